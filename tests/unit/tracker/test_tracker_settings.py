"""Flags before environment before defaults; nothing unsafe by accident."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import SettingsError
from edge.listening import is_loopback
from tracker.settings import Settings, from_arguments


def test_defaults() -> None:
    assert from_arguments([], {}) == Settings(data=Path("data/tracker"))


def test_flags_win_over_the_environment() -> None:
    environment = {
        "PLLIB_TRACKER_PORT": "1",
        "PLLIB_MANAGER_URL": "http://m:2/",
        "PLLIB_TRACKER_DATA": "/d",
        "PLLIB_ALLOWED_HOSTS": "a, b",
    }
    found = from_arguments(["--port", "3"], environment)
    assert (found.port, found.manager_url, found.data, found.allowed_hosts) == (3, "http://m:2", Path("/d"), ("a", "b"))


@pytest.mark.parametrize(
    "arguments",
    [["--host", "0.0.0.0"], ["--host", "::"], ["--manager-url", "m:1"], ["--partitions", "0"], ["--max-backlog", "0"]],  # noqa: S104
)
def test_what_makes_no_sense_names_the_flag(arguments: list[str]) -> None:
    with pytest.raises(SettingsError, match=arguments[0]):
        from_arguments(arguments, {})


def test_beyond_loopback_only_when_asked_for() -> None:
    assert from_arguments(["--host", "0.0.0.0", "--insecure"], {}).host == "0.0.0.0"  # noqa: S104
    assert from_arguments(["--host", "0.0.0.0"], {"PLLIB_INSECURE": "1"}).insecure  # noqa: S104


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("10.0.0.1", False),
        ("node1", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
