"""Flags before environment before defaults; nothing unsafe by accident."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import ConnectionPool

from edge.errors import SettingsError
from edge.exposure import is_loopback
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
    [
        ["--host", "0.0.0.0"],  # noqa: S104
        ["--host", "::"],
        ["--manager-url", "m:1"],
        ["--partitions", "0"],
        ["--max-backlog", "0"],
        ["--name", "a b"],
    ],
)
def test_what_makes_no_sense_names_the_flag(arguments: list[str]) -> None:
    with pytest.raises(SettingsError, match=arguments[0]):
        from_arguments(arguments, {})


@pytest.mark.parametrize(
    "url",
    [
        "redis://host:6379/0",
        "redis://host",
        "rediss://user:p%40ss@host:6380/2",
        "unix:///run/redis.sock?db=3",
        "redis://[::1]:6379/1",
    ],
)
def test_addresses_of_servers(url: str) -> None:
    assert from_arguments(["--queue", url], {}).queue == url
    assert from_arguments([], {"PLLIB_TRACKER_QUEUE": url}).queue == url


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("host:6379", "redis://HOST"),
        ("http://u:hunter2@host", "http scheme is unknown"),
        ("redis://:hunter2@/0", "no host"),
        ("redis://u:hunter2@host:port/0", "cannot be read"),
        ("redis://u:hunter2@host/first", "number"),
        ("redis://u:hunter2@host/0?timeout=1", "'timeout'"),
        ("unix://", "no host"),
    ],
)
def test_an_address_that_makes_no_sense_is_told_without_its_password(url: str, told: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        from_arguments(["--queue", url], {})
    assert str(refusal.value).startswith("--queue")
    assert told in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_settings_do_not_show_the_password() -> None:
    assert "hunter2" not in repr(from_arguments(["--queue", "redis://u:hunter2@host"], {}))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://host:6379/0", "redis://:p%40s%3Fs@host:6379/0"),
        ("redis://tracker@host", "redis://tracker:p%40s%3Fs@host"),
        ("rediss://u:old@host:1/2?ssl_ca_certs=/ca", "rediss://u:p%40s%3Fs@host:1/2?ssl_ca_certs=/ca"),
        ("unix:///run/redis.sock?db=3&password=old", "unix:///run/redis.sock?db=3&password=p%40s%3Fs"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock?password=p%40s%3Fs"),
    ],
)
def test_the_password_of_the_server_may_be_in_a_file(tmp_path: Path, url: str, expected: str) -> None:
    (tmp_path / "password").write_text("p@s?s\n")
    given = ["--queue-password-file", str(tmp_path / "password")]
    found = from_arguments(["--queue", url, *given], {})
    assert found.queue == expected
    pool = ConnectionPool.from_url(found.queue)
    assert pool.connection_kwargs["password"] == "p@s?s"
    variables = {"PLLIB_TRACKER_QUEUE": url, "PLLIB_TRACKER_QUEUE_PASSWORD_FILE": given[1]}
    assert from_arguments([], variables).queue == expected


def test_a_password_file_that_is_of_no_use(tmp_path: Path) -> None:
    file = tmp_path / "password"
    for queue, told in (("", "without --queue"), ("redis://h", "cannot be read")):
        with pytest.raises(SettingsError, match=told) as refusal:
            from_arguments(["--queue", queue, "--queue-password-file", str(file)], {})
        assert str(refusal.value).startswith("--queue-password-file")
    file.write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        from_arguments(["--queue", "redis://h", "--queue-password-file", str(file)], {})


def test_a_server_that_may_lose_records_only_when_asked_for() -> None:
    assert not from_arguments([], {}).queue_unsafe
    assert from_arguments(["--queue-unsafe"], {}).queue_unsafe
    assert from_arguments([], {"PLLIB_TRACKER_QUEUE_UNSAFE": "1"}).queue_unsafe
    assert not from_arguments([], {"PLLIB_TRACKER_QUEUE_UNSAFE": "0"}).queue_unsafe


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
