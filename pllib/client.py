"""A client: settings, identity, where records go, what becomes of them, and its end. A process has one: see ``this_process.py``."""

from __future__ import annotations

import os
import sys
import threading
import time
from itertools import count
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple, Union

from . import _boundary
from .encoding import MAX_NODES as SMALL_RECORD
from .encoding import UNENCODABLE, Oversized, fits, payload, shortened
from .errors import FullError, SpoolError
from .losses import Losses
from .process_end import end_with_multiprocessing, ended
from .producer import producer_facts
from .records import KEPT_BYTES, NOTHING, Given, Made, kept
from .settings import Settings, default_spool
from .spool import CLOSED, SpoolWriter, folder_of

if TYPE_CHECKING:
    from .memory import Item, MemoryQueue, SpillingQueue
    from .sealing import Points
    from .shipper import Shipper
    from .spool_reader import OwnSpool
    from .syncing import Syncer

Json = Any
Make = Callable[..., Made]
SYNC_SECONDS = 0.4
"""What the last sync may take at the end of the process."""
LOOK_SECONDS = 0.001


class Client:
    """Where the records of one process go.

    Attributes:
        producer: 32 hex digits, random: the identity of this process's records.
        numbers: counts records; ``next`` of it is safe between threads.
        losses: what was dropped.
        points: those of series, once there is a series.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.pid = os.getpid()
        self.producer = os.urandom(16).hex()
        self.numbers = count()
        self.losses = Losses()
        self.shortened = 0
        self.spool = settings.spool or default_spool()
        self._deferred = settings.mode == "memory"
        self._shipper: Optional[Shipper] = None
        self._ships = settings.mode != "disk" and not ended()
        self._started = False
        self._lock = threading.RLock()
        self._ended = False
        self._beyond = 0  # records that were delivered without finding room in the sink
        self.sink: Union[SpoolWriter, MemoryQueue, SpillingQueue] = self._open_sink()
        self._offer_unlinked = None if isinstance(self.sink, SpoolWriter) else self.sink.offer_unlinked
        self._syncer: Optional[Syncer] = None
        self.points: Optional[Points] = None
        self._points_opened = False
        self._introduce()
        if settings.mode == "node" and isinstance(self.sink, SpoolWriter) and not ended():
            from .syncing import Syncer

            self._syncer = Syncer(self.sink)
        end_with_multiprocessing()

    def _open_sink(self) -> Union[SpoolWriter, MemoryQueue, SpillingQueue]:
        if not self._deferred:
            writer = self._open_writer()
            if writer is not None:
                return writer
            self._deferred = True
        from .memory import MemoryQueue, SpillingQueue

        chosen = self.settings
        queue = MemoryQueue(self.producer, chosen.queue_records, chosen.queue_bytes, self.encode)
        return SpillingQueue(queue, self._open_spill, self.encode) if chosen.full == "spill" else queue

    def _open_writer(self) -> Optional[SpoolWriter]:
        writer = self._writer_in(self.spool)
        if writer is None:
            import tempfile

            writer = self._writer_in(os.path.join(tempfile.gettempdir(), f"pllib-spool-{_user_id()}"))
        return writer

    def _writer_in(self, folder: str) -> Optional[SpoolWriter]:
        chosen = self.settings
        try:
            writer = SpoolWriter(
                folder,
                self.producer,
                chosen.segment_bytes,
                chosen.spool_bytes,
                ships=chosen.mode != "disk",
                keeps_finished=chosen.mode == "node",
            )
        except SpoolError as error:
            if chosen.strict:
                raise
            _boundary.report("spool", error)
            return None
        self.spool = writer.spool
        if chosen.keep:
            self._keep_files()
        return writer

    def _keep_files(self) -> None:
        """Says beside the files, for whoever sends them, that they are to stay."""
        from .spool_reader import KEPT_SUFFIX, write_whole

        try:
            write_whole(os.path.join(folder_of(self.spool, self.producer), self.producer + KEPT_SUFFIX), b"")
        except OSError as error:
            _boundary.report("spool", error)

    def _open_spill(self) -> Optional[Tuple[SpoolWriter, OwnSpool]]:
        from .spool_reader import OwnSpool

        writer = self._open_writer()
        return None if writer is None else (writer, OwnSpool(writer, self.losses))

    def _introduce(self) -> None:
        """Says what process this is, before all else; later, when there is no room yet."""
        said = payload(f'{{"n":{next(self.numbers)},"op":"producer",{stamp()}', producer_facts())
        if self.sink.offer(said) is not None:
            self.losses.owe(said)

    # -- taking records -----------------------------------------------------------------------------------------

    def accept(self, head: str, parts: Dict[str, Json], weight: int = 1) -> None:
        """Takes one record: JSON text that was begun and the fields still to encode (which nobody changes any more).

        Args:
            weight: what it counts for when it is dropped.

        Raises:
            FullError: there is no room, with ``full="raise"``.
        """
        item: Optional[Item] = (head, parts) if self._deferred else self.encode(head, parts)
        if self._shipper is None and self._ships:
            self._start_shipper()
        if item is not None:
            reason = self.sink.offer(item) if not self.losses.pending else self._offer_after_gaps(item)  # type: ignore[arg-type]
            if reason is not None:
                self.no_room(reason, lambda: self._offer_after_gaps(item), weight)

    def keep(self, make: Make, origins: Any, head: Tuple[Any, ...], used: Given, generated: Given = NOTHING) -> None:
        """Takes the record that ``make`` makes of the rest: later, in a queue in memory, where none of its values can change.

        Raises:
            FullError: as ``accept``.
        """
        if self._offer_unlinked is not None:
            if not self.losses.pending:
                size, held = kept(used, KEPT_BYTES) if used else (KEPT_BYTES, used)
                if not generated:
                    given: Tuple[Any, ...] = origins, head, held
                elif size:
                    size, made = kept(generated, size)
                    given = origins, head, held, made
                if size and self._offer_unlinked(size, make, given):
                    if self._shipper is None and self._ships:
                        self._start_shipper()
                    return
            self.link()
        self._take(make(origins, head, used, generated) if generated else make(origins, head, used))

    def _take(self, made: Made) -> None:
        if type(made) is not bytes:
            self.accept(*made)
            return
        if self._shipper is None and self._ships:
            self._start_shipper()
        reason = self.sink.offer(made) if not self.losses.pending else self._offer_after_gaps(made)
        if reason is not None:
            self.no_room(reason, lambda: self._offer_after_gaps(made))

    def link(self) -> None:
        """Makes the records that are still to be made: what comes now may be linked to what they tell."""
        if not isinstance(self.sink, SpoolWriter):
            self.sink.link()

    def encode(self, head: str, parts: Dict[str, Json]) -> Optional[bytes]:
        """A record's payload; ``None``, and counted as dropped, when it cannot be made."""
        try:
            encoded = payload(head, parts)
            if len(encoded) <= SMALL_RECORD or fits(encoded):
                return encoded
            self.shortened += 1
            return shortened(head, parts)
        except UNENCODABLE as error:
            self.lose("oversized" if isinstance(error, Oversized) else "unencodable")
            _boundary.report("encode", error)
            return None

    def _offer_after_gaps(self, item: Item) -> Optional[str]:
        return self.losses.tell(self.numbers, lambda told: self.sink.offer(*told, item), going_on=False)  # type: ignore[arg-type]

    def no_room(self, reason: str, again: Callable[[], Optional[str]], weight: int = 1) -> None:
        """What ``full`` says: waits and tries ``again``, raises, or only counts."""
        policy = self.settings.full
        if policy == "block" and reason != CLOSED:
            until = time.monotonic() + self.settings.block_timeout
            left: Optional[str] = reason
            while left is not None and time.monotonic() < until:
                time.sleep(LOOK_SECONDS)
                left = again()
            if left is None:
                return
            reason = left
        self.lose(reason, weight)
        if policy == "raise" and reason != CLOSED:
            raise FullError(f"a record was dropped, since there is no room for it ({reason}); see pllib.stats()")

    def collect_points(self) -> Points:
        """Where points of series go."""
        if self.points is None:
            from .sealing import Points

            with self._lock:
                durable = isinstance(self.sink, SpoolWriter)
                # In one step, and before all else: a signal's handler may log in the middle of this.
                self.points = self.__dict__.setdefault("_made_points", Points(self, durable))
                if not self._points_opened:
                    self._points_opened = True
                    self._open_points(self.points)
        return self.points

    def _open_points(self, made: Points) -> None:
        from .points_file import PointsFile

        chosen, syncer = self.settings, self._syncer
        if isinstance(self.sink, SpoolWriter):
            most = chosen.spool_bytes // 16
            limit = min(chosen.segment_bytes, most // 2)
            try:
                made.use(PointsFile(self.spool, self.producer, limit, most, chosen.mode != "disk"), syncer is not None)
                self.sink.set_aside(most)
            except OSError as error:
                _boundary.report("points", error)
        if syncer is not None:
            syncer.points = made
        if self._ships and not ended():
            made.start()

    def lose(self, reason: str, count: int = 1) -> None:
        """Counts records, or points of series, that are dropped or never came to be."""
        if self.losses.drop(reason, count):
            self._tell_losses(going_on=True)

    def _tell_losses(self, going_on: bool) -> None:
        if self.losses.pending:
            self.losses.tell(
                self.numbers, lambda told: self.sink.offer(*told, reserve=True) if told else None, going_on
            )

    def _start_shipper(self) -> None:
        with self._lock:
            if self._started or self._ended:
                return
            self._started = True  # at once: a signal's handler may capture in the middle of this
            from .shipper import Delivery, Shipper
            from .spool_reader import OwnSpool
            from .transport import HttpTransport

            chosen = self.settings
            source = OwnSpool(self.sink, self.losses) if isinstance(self.sink, SpoolWriter) else self.sink
            transport = HttpTransport(chosen.url, chosen.timeout, chosen.token, chosen.ca, chosen.token_file)
            delivery = Delivery(source, transport, chosen.batch_records, chosen.batch_bytes, self.accounting)
            try:
                self._shipper = Shipper(delivery, source, chosen.interval)
            except RuntimeError as error:  # the interpreter ends, or there are too many threads already
                self._ships = False
                _boundary.report("shipping", error)

    # -- figures ------------------------------------------------------------------------------------------------

    def accounting(self) -> Dict[str, Json]:
        """``accepted = delivered + refused + waiting``, and what was dropped and why."""
        delivery = self._shipper.delivery if self._shipper is not None else None
        delivered, refused = (delivery.delivered, delivery.refused) if delivery else (0, 0)
        accepted = max(self.sink.accepted + self._beyond, delivered + refused)
        return {
            "accepted": accepted,
            "delivered": delivered,
            "refused": refused,
            "waiting": accepted - delivered - refused,
            "dropped": dict(self.losses.dropped),
            "mode": self.settings.mode,
        }

    def stats(self) -> Dict[str, Json]:
        """The accounting, and what else there is to know."""
        return {
            "producer": self.producer,
            **self.accounting(),
            "shortened": self.shortened,
            "points": self.points.figures() if self.points is not None else {"accepted": 0, "waiting": 0},
            "errors": dict(_boundary.swallowed),
            "last_error": self._shipper.last_error if self._shipper is not None else None,
            "spool": self.spool if self._on_disk() else None,
        }

    def _on_disk(self) -> bool:
        """Whether what waits is in files."""
        return isinstance(getattr(self.sink, "writer", self.sink), SpoolWriter)

    def flush(self, timeout: float) -> bool:
        """Whether all accepted records reached the tracker within ``timeout`` seconds (in ``disk`` mode: the disk)."""
        if not self._ended:
            if self.points is not None:
                self.points.flush()
            self._tell_losses(going_on=False)
        if not self._ships and isinstance(self.sink, SpoolWriter) and self.sink.fd >= 0:
            os.fsync(self.sink.fd)
            return True
        if self._ships and self._shipper is None:
            self._start_shipper()
        until, target = time.monotonic() + timeout, self.sink.accepted
        while not self._settled(target) and self._shipper is not None and time.monotonic() < until:
            self._shipper.hurry()
            time.sleep(2 * LOOK_SECONDS)
        return self._settled(target)

    def _settled(self, target: int) -> bool:
        """Whether as many records as that are with the tracker; what was lost since it was accepted is not waited for."""
        figures = self.accounting()
        return bool(figures["delivered"] + figures["refused"] >= min(target, figures["accepted"]))

    # -- the end ------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Ships what is left for at most ``exit_timeout`` seconds; says in one line what remains and how to send it."""
        if self._ended:
            return
        self._ended = True
        if self.points is not None:
            self.points.close()
        self.link()
        self._tell_losses(going_on=False)
        untold = self._ship_rest()
        synced = self._syncer is None or self._syncer.stop(SYNC_SECONDS)
        self.sink.close(synced)
        if self.points is not None:
            self.points.finish()
        if self._shipper is not None:
            source = self._shipper.delivery.source
            source.save() if self.accounting()["waiting"] else source.finish()
        self._give_up()
        self._say_what_remains(untold)

    def _ship_rest(self) -> int:
        """Ships for the time there is; how many drops are told nowhere after it."""
        untold, last = self.losses.untold(), []  # type: ignore[var-annotated]
        if self._shipper is None:
            return untold
        if untold:
            self.losses.tell(self.numbers, last.extend, going_on=False)
        delivered = self._shipper.stop(self.settings.exit_timeout, last)
        if delivered:
            self._beyond = len(last)
        return 0 if delivered else untold

    def _give_up(self) -> None:
        lost = 0 if isinstance(self.sink, SpoolWriter) else self.sink.give_up()
        if lost:
            self.losses.drop("exit", lost)

    def _say_what_remains(self, untold: int) -> None:
        figures = self.stats()
        waiting, dropped = figures["waiting"], figures["dropped"]
        said: List[str] = []
        if waiting and self._ships:
            from shlex import quote

            where = quote(self.spool)
            said.append(f"{waiting} records were not sent and are kept in {where}; send them with: pllib ship {where}")
        if dropped.get("exit"):
            lost = dropped.pop("exit")
            said.append(f"{lost} records were not sent and are lost (they were in memory; the tracker did not answer)")
        if dropped:
            reasons = ", ".join(f"{reason} {number}" for reason, number in sorted(dropped.items()))
            silent = f"; of these {untold} in no record" if untold else ""
            said.append(f"{sum(dropped.values())} records were dropped ({reasons}{silent})")
        if not said or sys.stderr is None:
            return
        try:
            sys.stderr.write(f"pllib: {'. '.join(said)}\n")
        except (OSError, ValueError):
            return

    def abandon(self) -> None:
        """Lets go of files and connections in a forked child, to whom they do not belong. Takes no lock."""
        self._ended = True
        self.sink.abandon()
        if self.points is not None:
            self.points.abandon()
        if self._shipper is not None:
            self._shipper.delivery.transport.abandon()
            self._shipper.delivery.source.abandon()


def _user_id() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "user"


def stamp() -> str:
    """Both clocks, as the fields of a record: wall (microseconds) and monotonic (nanoseconds)."""
    return f'"t":{time.time_ns() // 1000},"m":{time.monotonic_ns()}'
