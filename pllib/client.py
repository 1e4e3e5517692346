"""The client of this process: settings, identity, where records go, and the end of the process.

There is one at a time, made at the first capture. A forked child gets one of its own, with an identity and a file of its
own; nothing is shared with the parent but what both may read.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
import time
from itertools import count
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Optional, Union

from . import _boundary, references
from .errors import ConfigurationError, SpoolError
from .producer import producer_facts
from .settings import Settings, default_spool, load
from .spool import SpoolReader, SpoolWriter

if TYPE_CHECKING:
    from .memory import MemoryQueue

Json = Any
MAX_RECORD = 4_000_000


def _make_chunks() -> Callable[[Any, int], Iterable[str]]:
    """Makes the chunks of compact JSON; CPython's C encoder is kept between calls, which saves a third of the time."""
    plain = json.JSONEncoder(separators=(",", ":"), allow_nan=False)

    def slowly(value: Any, _: int) -> Iterable[str]:
        return (plain.encode(value),)

    sample = {"a": [1, 0.5, None, "é"]}
    try:
        make = json.encoder.c_make_encoder  # type: ignore[attr-defined]
        quickly: Callable[[Any, int], Iterable[str]] = make(
            None, plain.default, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, False
        )
        return quickly if "".join(quickly(sample, 0)) == plain.encode(sample) else slowly
    except (AttributeError, TypeError, ValueError):
        return slowly


_chunks = _make_chunks()


def dumps(value: Any) -> str:
    """Compact ASCII JSON. Raises ``ValueError`` for what JSON has no form for."""
    return "".join(_chunks(value, 0))


def payload(head: str, parts: Dict[str, Json]) -> bytes:
    """A record's JSON: ``head`` is an open object without its brace, ``parts`` the fields that need encoding.

    The slow way is taken for what strict JSON has no form for: NaN, integers beyond 64 bit, lone surrogates.
    """
    try:
        text = head
        for name, value in parts.items():
            text += f',"{name}":{"".join(_chunks(value, 0))}'
        if "\\ud" in text:
            text.encode("ascii")
            json.loads(text + "}").__repr__().encode("utf-8")
    except (ValueError, RecursionError):
        from .values import bounded_name, exact

        text = head
        for name, value in parts.items():
            if isinstance(value, dict):
                clean = {
                    bounded_name(key): item if isinstance(item, dict) and "$" in item else exact(item)
                    for key, item in value.items()
                }
            else:
                clean = exact(value)
            text += f',"{name}":{dumps(clean)}'
    return (text + "}").encode("ascii")


class Client:
    """Where the records of one process go.

    Attributes:
        producer: 32 hex digits, random: the identity of this process's records.
        numbers: counts records; ``next`` of it is safe between threads.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.pid = os.getpid()
        self.producer = os.urandom(16).hex()
        self.numbers = count()
        self.oversized = 0
        self.sink: Union[SpoolWriter, MemoryQueue]
        self.spool = settings.spool or default_spool()
        self._deferred = settings.mode == "memory"
        self._shipper: Optional[Any] = None
        self._starting = threading.Lock()
        self._ended = False
        self.sink = self._open_sink()
        self._syncer: Optional[threading.Thread] = None
        self.accept(f'{{"n":{next(self.numbers)},"op":"producer",{stamp()}', producer_facts())
        if settings.mode == "node":
            self._syncer = threading.Thread(target=self._sync_often, name="pllib-sync", daemon=True)
            self._syncer.start()

    def _open_sink(self) -> Union[SpoolWriter, MemoryQueue]:
        from .memory import MemoryQueue

        settings = self.settings
        if settings.mode == "memory":
            return MemoryQueue(self.producer, settings.queue_records)
        import tempfile

        fallback = os.path.join(tempfile.gettempdir(), f"pllib-spool-{_user_id()}")
        sink = self._spool_in(self.spool) or self._spool_in(fallback)
        if sink is None:
            self._deferred = True
            return MemoryQueue(self.producer, settings.queue_records)
        self.spool = sink.spool
        return sink

    def _spool_in(self, folder: str) -> Optional[SpoolWriter]:
        try:
            return SpoolWriter(folder, self.producer, self.settings.segment_bytes, self.settings.spool_bytes)
        except SpoolError as error:
            if self.settings.strict:
                raise
            _boundary.report("spool", error)
            return None

    def accept(self, head: str, parts: Dict[str, Json]) -> None:
        """Takes one record: JSON text that was begun and the fields still to encode (which nobody changes any more)."""
        if self._deferred:
            self.sink.accept(lambda: payload(head, parts))  # type: ignore[arg-type]
        else:
            encoded = payload(head, parts)
            if len(encoded) > MAX_RECORD:
                self.oversized += 1
                encoded = payload(head, _without_values(parts))
            self.sink.accept(encoded)
        if self._shipper is None and self.settings.mode != "disk":
            self._start_shipper()

    def _start_shipper(self) -> None:
        with self._starting:
            if self._shipper is not None or self._ended:
                return
            from .shipper import Delivery, Shipper
            from .transport import HttpTransport

            chosen = self.settings
            source = SpoolReader(self.spool, self.producer) if isinstance(self.sink, SpoolWriter) else self.sink
            transport = HttpTransport(chosen.url, chosen.timeout, chosen.token, chosen.ca)
            delivery = Delivery(source, transport, chosen.batch_records, chosen.batch_bytes)
            self._shipper = Shipper(delivery, chosen.interval, self._freed)

    def _freed(self, size: int) -> None:
        if isinstance(self.sink, SpoolWriter):
            self.sink.trimmed_bytes += size

    def _sync_often(self) -> None:
        while not self._ended and isinstance(self.sink, SpoolWriter):
            try:
                self.sink.sync()
            except OSError as error:
                _boundary.report("sync", error)
            time.sleep(0.05)

    def flush(self, timeout: float) -> bool:
        """Whether all accepted records reached the tracker within ``timeout`` seconds (in ``disk`` mode: the disk)."""
        if isinstance(self.sink, SpoolWriter) and self.settings.mode == "disk":
            self.sink.sync()
            return True
        return self._shipper.flush(timeout) if self._shipper is not None else True

    def stats(self) -> Dict[str, Json]:
        """The accounting: ``accepted = delivered + refused + waiting``, and what was dropped and why."""
        delivery = self._shipper.delivery if self._shipper is not None else None
        delivered = delivery.delivered if delivery else 0
        refused = delivery.refused if delivery else 0
        accepted = self.sink.accepted
        return {
            "producer": self.producer,
            "mode": self.settings.mode,
            "accepted": accepted,
            "delivered": delivered,
            "refused": refused,
            "waiting": accepted - delivered - refused,
            "dropped": {"full": self.sink.dropped} if self.sink.dropped else {},
            "shortened": self.oversized,
            "errors": dict(_boundary.swallowed),
            "last_error": self._shipper.last_error if self._shipper is not None else None,
            "spool": self.spool if isinstance(self.sink, SpoolWriter) else None,
        }

    def close(self) -> None:
        """Ships what is left for at most ``exit_timeout`` seconds; says in one line what remains and how to send it."""
        if self._ended:
            return
        self._ended = True
        delivered = self._shipper.stop(self.settings.exit_timeout) if self._shipper is not None else False
        if isinstance(self.sink, SpoolWriter):
            self.sink.close()
            if delivered:
                self._shipper.delivery.source.finish()  # type: ignore[union-attr]
        if self.settings.mode != "disk":
            self._say_what_remains()

    def _say_what_remains(self) -> None:
        figures = self.stats()
        waiting = figures["waiting"]
        if not waiting or sys.stderr is None:
            return
        where = figures["spool"]
        if where:
            line = f"pllib: {waiting} records were not sent and are kept in {where}; send them with: pllib ship {where}"
        else:
            line = f"pllib: {waiting} records were not sent and are lost (mode=memory; the tracker did not answer)"
        try:
            sys.stderr.write(line + "\n")
        except (OSError, ValueError):
            return


def _without_values(parts: Dict[str, Json]) -> Dict[str, Json]:
    from .values import summary

    return {
        name: {key: summary(item, cut="record too large") for key, item in list(value.items())[:1000]}
        if isinstance(value, dict)
        else value
        for name, value in parts.items()
    }


def _user_id() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "user"


def stamp() -> str:
    """Both clocks, as the fields of a record: wall (microseconds) and monotonic (nanoseconds)."""
    return f'"t":{time.time_ns() // 1000},"m":{time.monotonic_ns()}'


_client: Optional[Client] = None
_arguments: Dict[str, Any] = {}
_stores: Dict[str, references.StoreRoot] = {}
_lock = threading.Lock()


def current() -> Client:
    """The client of this process, started if need be."""
    return _client if _client is not None else _start()


def _start() -> Client:
    global _client
    with _lock:
        if _client is None:
            try:
                settings = load(_arguments)
            except ConfigurationError as error:
                if _arguments.get("strict"):
                    raise
                _boundary.report("configuration", error)
                settings = load({}, {})
            _boundary.strict = settings.strict
            _client = Client(settings)
        return _client


def configure(arguments: Dict[str, Any]) -> None:
    """Takes arguments for the settings; a client that is running is closed and starts anew with them."""
    global _client
    load({**_arguments, **arguments})
    with _lock:
        old, _client = _client, None
        _arguments.update(arguments)
        if "strict" in arguments:
            _boundary.strict = bool(arguments["strict"])
    if old is not None:
        old.close()


def define_store(name: str, root: str) -> None:
    _stores[name] = references.StoreRoot(name, os.path.abspath(root))


def encode_data(data: references.Data, facts: Callable[[Any], Dict[str, Json]]) -> Json:
    """Wire form of a data reference, with the state its file has now."""
    settings = current().settings
    store, key, local = references.locate(data.path, data.store, _stores, settings.store)
    found: Dict[str, Json] = {"$": "data", "store": store, "key": key}
    if data.path != key:
        found["path"] = data.path
    if data.version is not None:
        found["version"] = str(data.version)
    elif local is not None and settings.stat:
        state = references.state_of(local)
        if state is not None:
            found["version"], found["size"] = state
    if data.meaning:
        found["as"] = data.meaning
    if data.facts:
        found["facts"] = facts(data.facts)
    return found


def close() -> None:
    """Ends the client of this process; the next capture starts another."""
    global _client
    with _lock:
        old, _client = _client, None
    if old is not None and old.pid == os.getpid():
        old.close()


def _after_fork_in_child() -> None:
    """The child shares no lock, thread, file or identity with its parent."""
    global _client, _lock
    _client = None
    _lock = threading.Lock()
    _boundary.swallowed.clear()


_at_end: List[Callable[[], None]] = []


@atexit.register
def _end_of_process() -> None:
    for end in _at_end:
        end()
    close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
