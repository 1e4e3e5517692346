"""Capture records to PROV-ML JSON (docs/reference/rdf-model.md): what each record says, and no more.

A record says the same whatever comes before or after it; statements only add up. So any order, any repetition and any
cut into batches of the records of a run give the same graph.
"""

from __future__ import annotations

import msgspec

from pllib.provml import iris

from .activities import ActivityStatements, PointsStatements
from .records import Add, Begin, End, Gap, Points, ProducerRecord, Record
from .statements import Statements, without_none

_encoder = msgspec.json.Encoder()


class Document(Statements):
    """What records of one producer say, of one workflow execution or of the producer itself."""

    __slots__ = ()

    def encoded(self) -> bytes:
        """The document as JSON."""
        parts = {name: getattr(self, name) for name in ("activities", "entities", "agents", "plans", "stores")}
        return _encoder.encode({name: part for name, part in parts.items() if part})

    def add(self, record: Record) -> None:
        """Adds what one record says."""
        if isinstance(record, Begin):
            ActivityStatements(self, record).begin(record)
        elif isinstance(record, End):
            ActivityStatements(self, record).end(record)
        elif isinstance(record, Points):
            PointsStatements(self, record).add(record)
        elif isinstance(record, Add):
            ActivityStatements(self, record).add(record)
        elif isinstance(record, ProducerRecord):
            self._add_process(record)
        else:
            self._add_gap(record)

    def _add_gap(self, record: Gap) -> None:
        lost = {"count": record.count, "from": record.since, "to": record.to, "reason": record.reason}
        self.agents.append({"id": self.process, "lost": without_none(lost)})

    def _add_process(self, record: ProducerRecord) -> None:
        environment = {**record.env, **without_none({"python": record.python, "pllib": record.pllib})}
        agent = {
            "id": self.process,
            "types": ["prov:SoftwareAgent"],
            "label": _process_label(record),
            "host": record.host,
            "pid": record.pid,
            "command": record.command,
            "environment": environment or None,
            "actedFor": [self.person(record.user)] if record.user else None,
            "ran": [self._software(name, version) for name, version in record.software.items()] or None,
        }
        self.agents.append(without_none(agent))

    def _software(self, name: str, version: str) -> str:
        identifier = iris.software(name, version)
        if self.fresh.first(identifier):
            about = {"id": identifier, "types": ["provlake:Program"], "label": name, "version": version}
            self.agents.append(about)
        return identifier


def _process_label(record: ProducerRecord) -> str:
    """The script's name, process id and host, as far as they are known: ``train.py (pid 12 on node1)``."""
    words = (record.command or record.env.get("client", "")).split()
    program = words[0].replace("\\", "/").rpartition("/")[2] if words else ""
    where = " on ".join(without_none({"pid": record.pid and f"pid {record.pid}", "host": record.host}).values())
    return f"{program or 'process'} ({where})" if where else program or "process"
