"""How many records of which kind a document has."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import Dict, Iterable, Optional, Set, Tuple

from ..prov.model import KINDS, Document, Literal, Statement
from ..provml.vocabulary import PROV
from .stream import every

_OTHERS = {
    "specializationOf": "Specialization",
    "alternateOf": "Alternate",
    "hadMember": "Membership",
    "mentionOf": "Mention",
}
RESOLUTIONS = ("coarse", "fine")
FORMATS = ("table", "csv")


def statistics(document: Document, resolution: str) -> Dict[str, int]:
    """Counts by kind. Elements count once, however often they are described.

    Args:
        resolution: ``coarse`` counts elements by kind and relations together; ``fine`` elements by their types as well
            (``Entity/Run``), and each kind of relation.
    """
    elements: Counter[str] = Counter()
    relations: Counter[str] = Counter()
    seen: Set[Tuple[str, Optional[str]]] = set()
    for each in every(document):
        name = KINDS[each.kind].type or _OTHERS[each.kind]
        if not KINDS[each.kind].element:
            relations[name] += 1
            continue
        for label in (name, *(f"{name}/{kind}" for kind in _types(each) if resolution == "fine")):
            if (label, each.id) not in seen:
                seen.add((label, each.id))
                elements[label] += 1
    found = dict(sorted(elements.items()))
    if resolution == "fine":
        return {**found, **dict(sorted(relations.items()))}
    return {**found, "Relations": sum(relations.values())}


def _types(each: Statement) -> Iterable[str]:
    for name, value in each.attributes:
        if name == PROV + "type":
            text = value.text if isinstance(value, Literal) else value.iri
            yield text.rpartition("#")[2].rpartition("/")[2]


def as_table(counts: Dict[str, int]) -> str:
    width = max(map(len, ("Record Type", *counts)))
    lines = [f"|{'Record Type':{width}}|{'Count':>12}|", f"+{'-' * width}+{'-' * 12}+"]
    return "\n".join([*lines, *(f"|{name:{width}}|{count:>12}|" for name, count in counts.items())]) + "\n"


def as_csv(counts: Dict[str, int]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("Record Type", "Count"))
    writer.writerows(counts.items())
    return out.getvalue()
