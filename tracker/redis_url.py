"""Addresses of Redis-compatible servers: what is wrong with one, and its form without what is secret in it."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, unquote, urlsplit

from edge.errors import SettingsError

_SCHEMES = ("redis", "rediss", "unix")
_EXAMPLES = "write redis://HOST:6379/0, rediss://USER:PASSWORD@HOST:6380/0 or unix:///path/to/redis.sock?db=0"


def shown(url: str) -> str:
    """The address without what is secret in it, for logs and messages."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "(an address that cannot be read)"
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "") + parts.path


def with_password(url: str, password: str) -> str:
    """A checked address with a password in it, in place of the one that it may have."""
    word = quote(password, safe="")
    parts = urlsplit(url)
    if parts.scheme == "unix":
        others = [f"{name}={quote(value, safe='')}" for name, value in parse_qsl(parts.query) if name != "password"]
        return f"unix://{parts.path}?" + "&".join([*others, f"password={word}"])
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}:{word}@{host}").geturl()


def check_url(flag: str, url: str) -> None:
    """Raises ``SettingsError``, which names the flag, when a server cannot be addressed like this."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise SettingsError(f"{flag}: the address cannot be read; {_EXAMPLES}") from error
    if parts.scheme not in _SCHEMES:
        raise SettingsError(f"{flag} {shown(url)}: {parts.scheme or 'no'} scheme is unknown; {_EXAMPLES}")
    if not (parts.path if parts.scheme == "unix" else host):
        raise SettingsError(f"{flag} {shown(url)}: says no host or path; {_EXAMPLES}")
    if unknown := options.keys() - _options(parts.scheme):
        raise SettingsError(f"{flag} {shown(url)}: option {sorted(unknown)[0]!r} is unknown; {_EXAMPLES}")
    database = options.get("db", "") if parts.scheme == "unix" else unquote(parts.path).strip("/")
    if database and not database.isdecimal():
        raise SettingsError(f"{flag} {shown(url)}: the database is a number from 0; {_EXAMPLES}")


def _options(scheme: str) -> set[str]:
    found = {"unix": {"db", "password", "username"}, "rediss": {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}}
    return found.get(scheme, set())
