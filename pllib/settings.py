"""Settings of the client: arguments of ``configure`` over ``PLLIB_*`` variables over a file over the defaults.

Read when the client starts, that is at the first capture or ``configure``, never at import. The file is named by
``PLLIB_CONFIG``, else ``pllib.json`` in the working folder: one JSON object with the keys below.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from .errors import ConfigurationError

MODES = ("memory", "process", "node", "disk")
FULL = ("drop_newest", "block", "spill", "raise")


class Settings(NamedTuple):
    """All settings, each also as ``PLLIB_<NAME>`` in the environment.

    ``url`` tracker, or ``file:///path`` of a file that says where it is (see ``addresses.py``); ``token`` sent as bearer,
    ``token_file`` the file that holds it; ``ca`` file of certificate authorities; ``mode`` one of ``MODES``;
    ``spool`` folder; ``store`` name of the file system that unnamed paths belong to; ``person`` who is responsible;
    ``execution`` id of the workflow execution that several processes share; ``interval`` seconds between shipments;
    ``batch_records`` and ``batch_bytes`` bounds of one; ``queue_records`` and ``queue_bytes`` bounds of the queue in memory;
    ``segment_bytes`` size at which a spool file is rotated; ``spool_bytes`` most that one process keeps on disk;
    ``full`` what happens to a record that finds no room, one of ``FULL``; ``block_timeout`` seconds that ``block`` waits for some;
    ``timeout`` seconds for an exchange with the tracker; ``exit_timeout`` seconds spent shipping at exit; ``stat`` whether files
    get the state identity they have on disk; ``strict`` whether errors are raised into the script;
    ``keep`` whether spool files stay when they were delivered; ``enabled`` whether anything is captured at all;
    ``country`` where the machine stands (three letters) and ``carbon_intensity`` what a kWh stands for there (g CO2eq), for emissions.
    """

    url: str = "http://127.0.0.1:8470"
    token: Optional[str] = None
    token_file: Optional[str] = None
    ca: Optional[str] = None
    mode: str = "process"
    spool: Optional[str] = None
    store: Optional[str] = None
    person: Optional[str] = None
    execution: Optional[str] = None
    interval: float = 0.1
    batch_records: int = 2000
    batch_bytes: int = 250_000
    queue_records: int = 20_000
    queue_bytes: int = 32_000_000
    segment_bytes: int = 8_000_000
    spool_bytes: int = 2_000_000_000
    full: str = "drop_newest"
    block_timeout: float = 0.1
    timeout: float = 10.0
    exit_timeout: float = 5.0
    stat: bool = True
    keep: bool = False
    strict: bool = False
    enabled: bool = True
    country: Optional[str] = None
    carbon_intensity: Optional[str] = None


_TRUE = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def _convert(name: str, value: Any, like: Any, source: str) -> Any:
    if value is None or like is None or isinstance(like, str):
        return value if value is None else str(value)
    try:
        if isinstance(like, bool):
            return value if isinstance(value, bool) else _TRUE[str(value).strip().lower()]
        number = type(like)(value)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        kind = "yes or no" if isinstance(like, bool) else f"a number like {like}"
        raise ConfigurationError(f"{name} ({source}) is {value!r}; it takes {kind}") from error
    if not 0 < number < float("inf"):
        raise ConfigurationError(f"{name} ({source}) is {value!r}; it takes a number above 0")
    return number


def _from_file(environ: Mapping[str, str]) -> Dict[str, Any]:
    path = environ.get("PLLIB_CONFIG") or "pllib.json"
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        if "PLLIB_CONFIG" in environ:
            raise ConfigurationError(f"PLLIB_CONFIG names {path}, which does not exist") from None
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path} must hold one JSON object of settings")
    return found


def _sources(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> Tuple[Tuple[str, Mapping[str, Any]], ...]:
    """Where settings come from, by name; what comes later wins."""
    named = {key: environ[f"PLLIB_{key.upper()}"] for key in Settings._fields if environ.get(f"PLLIB_{key.upper()}")}
    return ("configuration file", _from_file(environ)), ("environment", named), ("argument", arguments)


def given(arguments: Mapping[str, Any], environ: Optional[Mapping[str, str]] = None) -> Dict[str, Any]:
    """The settings that anybody gave, as they were given: all others are defaults.

    Raises:
        ConfigurationError: the configuration file cannot be read.
    """
    return {
        name: value
        for _, values in _sources(arguments, os.environ if environ is None else environ)
        for name, value in values.items()
        if value is not None
    }


def load(arguments: Mapping[str, Any], environ: Optional[Mapping[str, str]] = None) -> Settings:
    """The settings in force.

    Args:
        arguments: what the script gave; wins over everything.

    Raises:
        ConfigurationError: a name is unknown or a value impossible; the message names it and where it came from.
    """
    environ = os.environ if environ is None else environ
    defaults = Settings()._asdict()
    chosen = dict(defaults)
    sources = _sources(arguments, environ)
    for source, values in sources:
        for name, value in values.items():
            if name not in defaults:
                raise ConfigurationError(f"no setting is called {name!r} ({source}); there are: {', '.join(defaults)}")
            chosen[name] = _convert(name, value, defaults[name], source)
    _check(chosen, any("block_timeout" in values for _, values in sources))
    return Settings(**chosen)


def _check(chosen: Mapping[str, Any], waits: bool) -> None:
    """Raises ``ConfigurationError`` for what is impossible, or has no meaning together."""
    for name, possible in (("mode", MODES), ("full", FULL)):
        if chosen[name] not in possible:
            raise ConfigurationError(f"{name} is {chosen[name]!r}; it takes one of {', '.join(possible)}")
    if chosen["full"] == "spill" and chosen["mode"] != "memory":
        raise ConfigurationError(
            f"full is 'spill', which goes with mode=memory; in mode={chosen['mode']} records are on disk anyway: "
            "take full=drop_newest, block or raise"
        )
    if waits and chosen["full"] != "block":
        raise ConfigurationError(
            f"block_timeout is given, but full is {chosen['full']!r}: set full=block, or leave block_timeout out"
        )
    if not _is_address(chosen["url"]):
        raise ConfigurationError(
            f"url is {chosen['url']!r}; it takes an address like http://127.0.0.1:8470, or file:///path of a file that has one"
        )


def _is_address(url: str) -> bool:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        if parts.scheme == "file":
            return not parts.netloc and url.startswith("file:///") and len(parts.path) > 1
        return bool(parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0))
    except ValueError:
        return False


def default_spool(environ: Optional[Mapping[str, str]] = None) -> str:
    """Folder for spool files when none is configured: the user's state folder."""
    environ = os.environ if environ is None else environ
    state = environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "pllib", "spool")
