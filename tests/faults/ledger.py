"""What the fault tests found out, a row a fault: counted, and printed as a table at the end of the run."""

from __future__ import annotations

from dataclasses import dataclass, field, fields


@dataclass
class Row:
    """The account of one fault over all its tries, in records.

    Attributes:
        fault: what was done.
        tries: how many times.
        accepted: records whose capture call had returned, or that a tracker had answered 2xx for.
        delivered: those of them that a query of the store returned at the end.
        on_disk: those that still waited in a spool or queue, whole.
        dropped: those that were counted as dropped, with a gap record or a reason.
        lost: the rest; there must be none.
        duplicated: effects that appeared twice; there must be none.
        note: what else one wants to know, the control arm among it.
    """

    fault: str
    tries: int = 0
    accepted: int = 0
    delivered: int = 0
    on_disk: int = 0
    dropped: int = 0
    duplicated: int = 0
    note: str = ""

    @property
    def lost(self) -> int:
        return self.accepted - self.delivered - self.on_disk - self.dropped


@dataclass
class Ledger:
    """All rows of a run."""

    rows: dict[str, Row] = field(default_factory=dict)

    def row(self, fault: str) -> Row:
        """The account of a fault, to be added to."""
        return self.rows.setdefault(fault, Row(fault))

    def table(self) -> str:
        """The rows as Markdown."""
        names = [one.name for one in fields(Row) if one.name != "note"]
        names.insert(names.index("duplicated"), "lost")
        lines = ["| " + " | ".join([*names, "note"]) + " |", "|---" * (len(names) + 1) + "|"]
        lines.extend(
            "| " + " | ".join(str(getattr(row, name)) for name in [*names, "note"]) + " |" for row in self.rows.values()
        )
        return "\n".join(lines)
