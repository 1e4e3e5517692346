"""The whole store as one PROV document of any length, in bounded memory. Pure: lines of N-Triples in, text out.

The graph leaves PROV's own classes to the ontology; here every resource of ours says whether it is an entity, an activity
or an agent, as its id tells. The vocabulary is left out, since every store has it.

* N-Triples, Turtle and TriG are the graph itself, and go out as it comes in.
* The other formats say statements. Of what was captured they follow from the triples of each resource; imported documents
  are bundles, word by word. These formats are gathered on disk first (``pllib.prov.gathering``).

Of one subject all triples come together, as stores keep them; where they did not, a resource would be told of twice.
"""

from __future__ import annotations

from typing import Callable, Iterable, Iterator, Optional, Protocol

from pllib import prov
from pllib.prov.gathering import gathering
from pllib.prov.model import KINDS
from pllib.prov.normal import decode
from pllib.prov.rdf import TYPE, Triple, shortener
from pllib.prov.rdf_reader import statements
from pllib.provml.vocabulary import MLS, PREFIXES, PROV, PROVLAKE, PROVML, RDF, RDFS, XSD
from query_engine.graphs import read_ntriples
from query_engine.prov_terms import QUALIFIED, name_of, value_of
from query_engine.terms import Term

RDF_FORMATS = ("nt", "ttl", "trig")
_VOCABULARIES = (
    *(PROV, PROVLAKE, PROVML, MLS, RDF, RDFS, XSD),
    *("http://purl.org/dc/terms/", "http://purl.org/vocab/vann/", "http://www.w3.org/2004/02/skos/core#"),
)
_LEFT_OUT = tuple(begin for one in _VOCABULARIES for begin in (f"<{one}", f"<{one.rstrip('#')}>"))
_STATEMENT = PROVLAKE + "statement"
_RELATIONS = frozenset(PROV + kind.type for kind in KINDS.values() if not kind.element and kind.type)
_TYPE = f"<{TYPE}>"


def part_of(identifier: str) -> Optional[str]:
    """Which of PROV's classes a resource with an id of ours is of; ``None`` for what says so itself, or is a relation."""
    head, *rest = identifier.split("/")
    if head in ("relation", "blank"):
        return None
    if head == "session" or (head == "execution" and len(rest) in (2, 4)):
        return "Activity"
    return "Agent" if head == "agent" else "Entity"


class Export(Protocol):
    """Lines of N-Triples, without their ends, to the text of a document."""

    def feed(self, lines: Iterable[str]) -> str:
        """Takes lines in; what can be sent by now."""

    def finish(self) -> Iterator[str]:
        """The rest. Call it once, when all lines are in."""

    def close(self) -> None:
        """Lets go of what is on disk."""


def export(format: str, base: str) -> Export:
    """An export in a format of ``pllib.prov`` under this base of IRIs.

    Raises, when lines are taken in:
        DocumentError: the format cannot hold it.
    """
    if format == "nt":
        return _Lines(base)
    return _Turtle(base) if format in RDF_FORMATS else _Statements(format, base)


class _Lines:
    """N-Triples."""

    def __init__(self, base: str) -> None:
        self._base = f"<{base}"
        self._subject = ""

    def feed(self, lines: Iterable[str]) -> str:
        return "".join(self._line(*each) for each in self._triples(lines))

    def finish(self) -> Iterator[str]:
        return iter(())

    def close(self) -> None:
        pass

    def _triples(self, lines: Iterable[str]) -> Iterator[tuple[str, str, str]]:
        """Subjects, predicates and objects as N-Triples writes them, with PROV's classes."""
        for line in lines:
            if not line or line.startswith(_LEFT_OUT):
                continue
            subject, predicate, rest = line.split(" ", 2)
            if subject != self._subject:
                self._subject = subject
                part = part_of(subject[len(self._base) : -1]) if subject.startswith(self._base) else None
                if part is not None:
                    yield subject, _TYPE, f"<{PROV}{part}>"
            yield subject, predicate, rest.rstrip(" .\r")

    def _line(self, subject: str, predicate: str, value: str) -> str:
        return f"{subject} {predicate} {value} .\n"


class _Turtle(_Lines):
    """Turtle, which is TriG as well: names are short, and what follows on one subject is one statement."""

    def __init__(self, base: str) -> None:
        super().__init__(base)
        namespaces = {**PREFIXES, "id": base}
        self._shorten = _shortener(shortener(namespaces))
        self._open: Optional[str] = None
        self._head = "".join(f"@prefix {prefix}: <{iri}> .\n" for prefix, iri in namespaces.items())

    def feed(self, lines: Iterable[str]) -> str:
        head, self._head = self._head, ""
        return head + super().feed(lines)

    def finish(self) -> Iterator[str]:
        yield self._head
        if self._open is not None:
            yield " .\n"

    def _line(self, subject: str, predicate: str, value: str) -> str:
        shorten = self._shorten
        pair = f"{'a' if predicate == _TYPE else shorten(predicate)} {shorten(value)}"
        if subject == self._open:
            return f" ;\n    {pair}"
        before, self._open = "\n" if self._open is None else " .\n\n", subject
        return f"{before}{shorten(subject)} {pair}"


def _shortener(of_iri: Callable[[str], str]) -> Callable[[str], str]:
    """Terms of N-Triples as Turtle writes them with prefixes."""

    def shorten(term: str) -> str:
        if term.startswith("<"):
            return of_iri(term[1:-1])
        if term.endswith(">") and term.startswith('"'):
            end = term.rindex('"^^<')
            return f"{term[: end + 3]}{of_iri(term[end + 4 : -1])}"
        return term

    return shorten


class _Statements:
    """PROV-N, PROV-XML, PROV-JSON and PROV-JSONLD."""

    def __init__(self, format: str, base: str) -> None:
        self._base = base
        self._gathered = gathering(format, {**PREFIXES, "id": base})
        self._subject: Optional[Term] = None
        self._triples: list[Triple] = []
        self._texts: list[str] = []

    def feed(self, lines: Iterable[str]) -> str:
        for subject, predicate, value in read_ntriples(
            "\n".join(line for line in lines if not line.startswith(_LEFT_OUT))
        ):
            if subject != self._subject:
                self._end_subject()
                self._subject = subject
            if predicate.value == _STATEMENT:
                self._texts.append(value.value)
            elif predicate.value not in QUALIFIED:
                self._triples.append(Triple(name_of(subject), predicate.value, value_of(value)))
        return ""

    def finish(self) -> Iterator[str]:
        self._end_subject()
        yield from self._gathered.chunks()

    def close(self) -> None:
        self._gathered.close()

    def _end_subject(self) -> None:
        """Writes what was said of one resource, and the statements, if it is a document."""
        if self._subject is None:
            return
        name, said = name_of(self._subject), self._triples
        self._triples = []
        own = name[len(self._base) :] if name.startswith(self._base) else ""
        if not any(
            each.predicate == TYPE and isinstance(each.object, prov.Ref) and each.object.iri in _RELATIONS
            for each in said
        ):
            part = part_of(own) if own else None
            if part is not None:
                said.append(Triple(name, TYPE, prov.Ref(PROV + part)))
            for each in statements(said):
                self._gathered.add(each)
        if own.startswith("document/"):
            texts, self._texts = self._texts, []
            self._gathered.add_bundle(prov.Bundle(name, statements=[decode(text) for text in texts]))
