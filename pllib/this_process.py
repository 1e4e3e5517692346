"""The client of this process: made at the first capture, ended with the process, forgotten in forked children.

There is one at a time. A forked child gets one of its own, with an identity and a file of its own; nothing is shared with the parent
but what both may read.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, ContextManager, Dict, Optional, Tuple

from . import _boundary, references
from .client import Client
from .errors import CaptureError, ConfigurationError
from .process_end import around_forks, at_end
from .settings import Settings, load

Json = Any
FORK_SECONDS = 1.0
"""How long a fork waits for a client that is starting in another thread."""

_client: Optional[Client] = None
_last: Optional[Client] = None  # the one that was closed, whose figures can still be asked for
_arguments: Dict[str, Any] = {}
_stores: Dict[str, references.StoreRoot] = {}
_lock = threading.RLock()
_starting: Optional[int] = None  # records that came while the client was starting


def current() -> Client:
    """The client of this process, started if need be."""
    return _client if _client is not None else _start()


def _import_the_rest(settings: Settings) -> None:
    """All that ``import pllib`` leaves out, at one time and with the lock that forks wait for.

    A child that is forked while another thread imports something would wait for ever should it want to import the same.
    """
    import urllib.parse  # noqa: F401

    from . import encoding, memory, sealing, shipper, syncing, transport  # noqa: F401

    if settings.url.startswith(("https", "file")):
        import ssl  # noqa: F401
    encoding.accelerate()


def importing() -> ContextManager[Any]:
    """For imports in a thread of ours: no process is forked in the middle of one, which its child could then never finish."""
    return _lock


def locate(data: references.Data) -> Tuple[str, str, Optional[str]]:
    """Store, key and local path (if it has one) of a data reference."""
    return references.locate(data.path, data.store, _stores, current().settings.store)


def _start() -> Client:
    global _starting
    with _lock:
        if _client is not None:
            return _client
        if _starting is not None:  # a signal's handler that captures in the middle of the start
            _starting += 1
            raise CaptureError("the client is only starting")
        _starting = 0
        try:
            return _started()
        finally:
            _starting = None


def _started() -> Client:
    global _client
    try:
        settings = load(_arguments)
    except ConfigurationError as error:
        if _arguments.get("strict"):
            raise
        _boundary.report("configuration", error)
        settings = load({}, {})
    _boundary.strict = settings.strict
    _import_the_rest(settings)
    _client = client = Client(settings)
    if _starting:
        client.losses.drop("starting", _starting)
    return client


def configure(arguments: Dict[str, Any]) -> None:
    """Takes arguments for the settings; a client that is running is closed and starts anew with them."""
    load({**_arguments, **arguments})
    with _lock:
        _arguments.update(arguments)
        if "strict" in arguments:
            _boundary.strict = bool(arguments["strict"])
    close()


def replace_arguments(arguments: Dict[str, Any]) -> Dict[str, Any]:
    """Takes arguments for the settings in place of all before, which it returns; a client that is running starts anew with them.

    Raises:
        ConfigurationError: they are wrong; nothing is changed.
    """
    load(arguments)
    with _lock:
        before = dict(_arguments)
        _arguments.clear()
        _arguments.update(arguments)
    close()
    return before


def latest() -> Optional[Client]:
    """The client that runs, else the one that ran; starts none."""
    return _client or _last


def no_stats() -> Dict[str, Json]:
    """The figures of a process that has recorded nothing."""
    counts = dict.fromkeys(("accepted", "delivered", "refused", "waiting"), 0)
    points = {"accepted": 0, "waiting": 0}
    about = {"producer": None, "mode": None, "last_error": None, "spool": None, "shortened": 0}
    return {**about, **counts, "dropped": {}, "points": points, "errors": dict(_boundary.swallowed)}


def lose(reason: str) -> None:
    """Counts a record that could not be made."""
    if _client is not None:
        _client.lose(reason)


def define_store(name: str, root: str) -> None:
    _stores[name] = references.StoreRoot(name, os.path.abspath(root))


def encode_data(data: references.Data, facts: Callable[[Any], Dict[str, Json]]) -> Json:
    """Wire form of a data reference, with the state its file has now."""
    settings = current().settings
    store, key, local = locate(data)
    found: Dict[str, Json] = {"$": "data", "store": store, "key": key}
    if data.path != key:
        found["path"] = data.path
    if data.version is not None:
        found["version"] = str(data.version)
        if data.size is not None:
            found["size"] = data.size
    elif local is not None and settings.stat:
        state = references.state_of(local)
        if state is not None:
            found["version"], found["size"] = state
    if data.meaning:
        found["as"] = data.meaning
    if data.facts:
        found["facts"] = facts(data.facts)
    return found


@at_end
def close() -> None:
    """Ends the client of this process; the next capture starts another."""
    global _client, _last
    with _lock:
        old, _client = _client, None
    if old is not None and old.pid == os.getpid():
        _last = old
        old.close()


def _before_fork() -> None:
    """No thread is in the middle of starting a client when the process forks, and nothing is left to be linked."""
    global _fork_waits
    _fork_waits = _lock.acquire(timeout=FORK_SECONDS)
    if _client is not None:
        _client.link()  # so that the child knows what was generated until now


def _after_fork_in_parent() -> None:
    if _fork_waits:
        _lock.release()


def _after_fork_in_child() -> None:
    """The child shares no lock, thread, file or identity with its parent."""
    global _client, _last, _lock, _starting
    _starting = None
    old, _client, _last = _client, None, None
    _lock = threading.RLock()
    _boundary.swallowed.clear()
    if old is not None:
        old.abandon()


_fork_waits = False
around_forks(_before_fork, _after_fork_in_parent, _after_fork_in_child)
