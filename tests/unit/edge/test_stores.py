"""Where stores answer, by kind, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge import flags
from edge.errors import SettingsError
from edge.stores import FLAGS, StoreAddress, authorization, from_options


def parsed(*arguments: str, **environment: str) -> StoreAddress:
    given = flags.parser("test", "", environment, FLAGS).parse_args(arguments)
    return from_options(vars(given), environment)


def test_endpoints_by_kind() -> None:
    oxigraph, fuseki = StoreAddress("http://h:1"), StoreAddress("http://h:1/ds", "fuseki")
    assert (oxigraph.query_url, oxigraph.update_url) == ("http://h:1/query", "http://h:1/update")
    assert oxigraph.graph_url == "http://h:1/store?default"
    assert oxigraph.bulk_url == "http://h:1/store?default&no_transaction"
    assert (fuseki.query_url, fuseki.update_url) == ("http://h:1/ds/query", "http://h:1/ds/update")
    assert fuseki.graph_url == fuseki.bulk_url == "http://h:1/ds/data?default"
    assert oxigraph.query_url_within(5) == oxigraph.query_url
    assert fuseki.query_url_within(0.5) == "http://h:1/ds/query?timeout=0.5"


def test_endpoints_that_are_named_win_and_a_graph_may_be_named_too() -> None:
    arguments = ("--store-url", "http://h/", "--store-kind", "sparql", "--store-query-url", "http://h/q")
    named = parsed(*arguments, "--store-graph-url", "http://h/g?graph=urn:x", PLLIB_STORE_UPDATE_URL="http://h/u")
    assert (named.url, named.query_url, named.update_url) == ("http://h", "http://h/q", "http://h/u")
    assert named.graph_url == named.bulk_url == "http://h/g?graph=urn:x"


@pytest.mark.parametrize(
    ("credentials", "header"),
    [("basic ana:s:e cret", "Basic YW5hOnM6ZSBjcmV0"), ("Bearer abc.def", "Bearer abc.def"), ("", "")],
)
def test_credentials_become_a_header(credentials: str, header: str) -> None:
    assert authorization(credentials) == header


def test_credentials_come_from_a_file_or_the_environment_and_are_shown_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("bearer hidden-token\n")
    by_file = parsed("--store-credentials-file", str(file), PLLIB_STORE_CREDENTIALS="basic a:b")
    by_environment = parsed(PLLIB_STORE_CREDENTIALS="basic ana:hidden-word")
    assert by_file.headers == {"Authorization": "Bearer hidden-token"}
    assert by_environment.headers["Authorization"].startswith("Basic ")
    assert "hidden" not in repr(by_file)
    assert by_environment.authorization not in repr(by_environment)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--store-kind", "virtual"), "give one of oxigraph, fuseki, sparql"),
        (("--store-url", "localhost:3030"), "write http://HOST:PORT"),
        (("--store-url", "http://ana:secret@h"), "--store-credentials-file"),
        (("--store-graph-url", "ftp://h"), "--store-graph-url ftp://h"),
        (("--store-credentials-file", "/nowhere/secret"), "cannot be read"),
        (("--store-ca", "/nowhere/ca.pem"), "--store-ca /nowhere/ca.pem"),
    ],
)
def test_what_makes_no_sense_is_told_with_the_flag(arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parsed(*arguments)
    assert told in str(refused.value)
    assert "secret@" not in str(refused.value)


@pytest.mark.parametrize("credentials", ["hidden", "basic hidden", "bearer", "bearer hid den", "digest hidden:x"])
def test_credentials_of_another_form_are_refused_without_repeating_them(credentials: str) -> None:
    with pytest.raises(SettingsError) as refused:
        authorization(credentials)
    assert "hid" not in str(refused.value)
