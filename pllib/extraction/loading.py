"""Documents into the store, by the tracker, so that they join what was captured live."""

from __future__ import annotations

import io
from itertools import islice
from typing import Dict, Iterable, Iterator, List, Optional, Set

from ..prov import forms
from ..prov.model import Bundle, Document, Literal, Statement
from ..prov_transfer import PIECE, Sender
from ..provml.vocabulary import PROV, PROVLAKE
from ..query_options import client_at
from ..settings import load

_POINTS = PROVLAKE + "points"
_SETTLED = frozenset(
    (_POINTS, PROV + "value", *(PROVLAKE + name for name in ("latest", "lastStep", "lastTime", "minimum", "maximum")))
)
"""What is said of a series by its points."""
_TOGETHER = 200
RETRY_SECONDS = 60.0


class Loader:
    """Sends documents to a tracker in pieces.

    Points of a series that the store has from somebody else already, who captured the run while it ran, are not sent again.

    Args:
        url: tracker; without it the setting.
        query_url: query engine, which is asked what the store has.
    """

    def __init__(self, url: Optional[str], query_url: Optional[str]) -> None:
        self._sender = Sender(load({"url": url} if url else {}), {"format": "json"}, RETRY_SECONDS)
        self._client = client_at(query_url)

    def load(self, document: Document) -> int:
        """Sends a document; how many statements it has.

        Raises:
            PllibError: nobody answers, or it is refused.
        """
        count = 0
        for part in (document, *document.bundles):
            statements = iter(part.statements)
            for some in iter(lambda statements=statements: list(islice(statements, PIECE)), []):  # type: ignore[misc]
                self._send(part, [*self._unknown(some)])
                count += len(some)
        return count

    def _send(self, part: Bundle, statements: List[Statement]) -> None:
        if isinstance(part, Document):
            piece = Document(namespaces=part.namespaces, statements=statements)
        else:
            piece = Document(bundles=[Bundle(part.id, part.namespaces, statements)])
        out = io.StringIO()
        forms.write(piece, out, "json")
        self._sender.send(out.getvalue().encode("utf-8"))

    def _unknown(self, statements: List[Statement]) -> Iterator[Statement]:
        """Statements without the points that were captured live."""
        ours = {
            each.id: _tellers(each)
            for each in statements
            if each.id and any(name == _POINTS for name, _ in each.attributes)
        }
        captured = self._captured({iri: tellers for iri, tellers in ours.items() if iri is not None})
        for each in statements:
            if each.id in captured:
                each = each._replace(attributes=tuple(pair for pair in each.attributes if pair[0] not in _SETTLED))
            yield each

    def _captured(self, ours: Dict[str, Set[str]]) -> Set[str]:
        """The series that have points of others."""
        found: Set[str] = set()
        names = list(ours)
        for start in range(0, len(names), _TOGETHER):
            some = names[start : start + _TOGETHER]
            listed = " ".join(f"(<{iri}> {_quoted(teller)})" for iri in some for teller in sorted(ours[iri])[:1])
            query = (
                f"SELECT DISTINCT ?s WHERE {{ VALUES (?s ?by) {{ {listed} }} ?s <{_POINTS}> ?chunk "
                'FILTER(!CONTAINS(STR(?chunk), CONCAT("\\"by\\":\\"", ?by, "\\""))) }'
            )
            found.update(str(row["s"]) for row in self._client.sparql(query))
        return found


def _tellers(each: Statement) -> Set[str]:
    """Who tells of a series' points, as its chunks say."""
    texts: Iterable[str] = (
        value.text for name, value in each.attributes if name == _POINTS and isinstance(value, Literal)
    )
    return {text.partition('"by":"')[2].partition('"')[0] for text in texts}


def _quoted(text: str) -> str:
    return '"' + "".join(letter for letter in text if letter.isalnum()) + '"'
