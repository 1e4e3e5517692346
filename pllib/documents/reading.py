"""From a spool folder to what it says of executions."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Set, Tuple, Union

from ..prov.errors import DocumentError
from ..prov.model import Document, Statement
from ..provml.iris import DEFAULT_BASE
from ..provml.settled import Extent
from ..provml.vocabulary import PREFIXES
from .conversion import OWN, Conversion, Fact, Facts, canonical
from .graph import Graph
from .outline import Execution, Outline
from .records import Raw, decoded, raw_records

Json = Any
Record = Dict[str, Json]

BROKEN = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What a record that breaks the capture format may raise on its way."""
_SHOWN = 20
_MOST_PROBLEMS = 100
_OF_EXECUTIONS = frozenset(("execution", "value", "session"))


class UnknownExecution(DocumentError):
    """Nothing is known of the execution that was asked for, or it may be one of several; the message lists them."""


class Statements:
    """The statements of a document, read anew each time they are asked for, so that they are never all in memory."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def __iter__(self) -> Iterator[Statement]:
        return self._graph.statements()


class Reading:
    """What a spool folder says.

    Args:
        folder: a spool folder.
        base: beginning of all IRIs; without it ``PLLIB_BASE``, as for the services.

    Attributes:
        base: the same.
        problems: what could not be read, a line each.
    """

    def __init__(self, folder: Union[str, os.PathLike[str]], base: Optional[str] = None) -> None:
        self._folder = os.fspath(folder)
        self.base = base or os.environ.get("PLLIB_BASE") or DEFAULT_BASE
        self._problems: Dict[str, str] = {}

    @property
    def problems(self) -> List[str]:
        return list(self._problems.values())

    def executions(self) -> List[Execution]:
        """The executions that there are records of, oldest first.

        Raises:
            SpoolError: there is no such folder.
        """
        found: Dict[str, Outline] = {}
        for raw in raw_records(self._folder, self._problem):
            record = self._decoded(raw)
            try:
                if record is not None and "wf" in record:
                    found.setdefault(canonical(record["wf"]), Outline()).add(record)
            except BROKEN as error:
                self._broken(raw, error)
        listed = (each.execution(wf) for wf, each in found.items())
        return sorted(listed, key=lambda each: (each.started is None, each.started or 0, each.id))

    def document(self, execution: Optional[str] = None) -> Document:
        """The document of an execution, or of all; its statements can be read again and again.

        Args:
            execution: ``{workflow}/{execution}``, or its IRI.

        Raises:
            SpoolError: there is no such folder.
            DocumentError: nothing is known of the execution; the message lists those that are.
        """
        graph = Graph(self.base)
        chosen = self._gather_all(graph) if execution is None else {self._gather(graph, self._wf(execution))}
        graph.choose("execution/" + wf for wf in sorted(chosen))
        return Document(namespaces={**PREFIXES, "id": self.base}, statements=Statements(graph))

    def one(self, execution: Optional[str] = None) -> str:
        """The ``{workflow}/{execution}`` that a name means, which may be the beginning of one; without it, the only one there is.

        Raises:
            As ``document``, also when it may be one of several.
        """
        return self._meant("" if execution is None else self._wf(execution))

    def _wf(self, execution: str) -> str:
        """The canonical ``{workflow}/{execution}`` of a name as it was given."""
        named = execution[len(self.base) :] if execution.startswith(self.base) else execution
        return canonical(named[len("execution/") :] if named.startswith("execution/") else named)

    def _gather_all(self, graph: Graph) -> Set[str]:
        found: Set[str] = set()
        for wf, facts in self._facts(lambda wf: True):
            graph.add(facts, facts.extents)
            if wf is not None:
                found.add(wf)
        return found

    def _gather(self, graph: Graph, chosen: str) -> str:
        """What all records say of an execution, and of what it shares with others; which one it is."""
        kept = self._own(graph, chosen)
        if not kept:
            chosen = self._meant(chosen)
            kept = self._own(graph, chosen)
        for _, facts in self._facts(lambda wf: wf not in (None, chosen), lambda raw: not _begins_with(raw, chosen)):
            graph.add((fact for fact in facts if _concerns(fact.subject, kept)), _concerning(facts, kept))
        return chosen

    def _own(self, graph: Graph, chosen: str) -> Set[str]:
        """Adds what the records of an execution say; it, and the executions that they speak of."""
        name = chosen.encode()
        kept: Set[str] = set()
        # An identifier may be written with more percent-encoding than it needs.
        for wf, facts in self._facts(lambda wf: wf in (None, chosen), lambda raw: name in raw or b"%" in raw):
            graph.add(facts, facts.extents)
            if wf is not None:
                kept.add(wf)
                kept.update(_executions(facts))
        return kept

    def _meant(self, beginning: str) -> str:
        """The one execution whose name begins so."""
        there = [each.id for each in self.executions()]
        several = [beginning] if beginning in there else [each for each in there if each.startswith(beginning)]
        if len(several) == 1:
            return several[0]
        shown = several or there
        more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
        listed = f"{', '.join(shown[:_SHOWN])}{more}" if shown else "none"
        if several:
            meant = f"{beginning[:200]!r} may be" if beginning else "say which execution is meant:"
            raise UnknownExecution(f"{meant} one of several: {listed}")
        raise UnknownExecution(f"nothing is known of {beginning[:200]!r} in {self._folder}; there are {listed}")

    def _facts(
        self, wanted: Callable[[Optional[str]], bool], worth: Callable[[bytes], bool] = lambda raw: True
    ) -> Iterator[Tuple[Optional[str], Facts]]:
        """Workflow execution and facts of the records that are wanted.

        Args:
            wanted: by the workflow execution of a record, ``None`` for what a process says of itself.
            worth: whether a record that speaks of an execution need be decoded at all.
        """
        conversion = Conversion("")
        for raw in raw_records(self._folder, self._problem):
            if b'"wf"' in raw.payload and not worth(raw.payload):
                continue
            record = self._decoded(raw)
            if record is None:
                continue
            if conversion.producer != raw.producer:
                conversion = Conversion(raw.producer)
            try:
                wf = canonical(record["wf"]) if "wf" in record else None
                if not wanted(wf):
                    continue
                facts = conversion.facts(record)
                if b"\\ud" in raw.payload:
                    "".join(fact.text for fact in facts).encode()  # halves of surrogate pairs, which nothing can hold
            except BROKEN as error:
                self._broken(raw, error)
            else:
                yield wf, facts

    def _decoded(self, raw: Raw) -> Optional[Record]:
        try:
            return decoded(raw.payload)
        except BROKEN as error:
            self._broken(raw, error)
            return None

    def _broken(self, raw: Raw, error: BaseException) -> None:
        about = raw.payload[:60].decode("ascii", "replace")
        text = f"a record of process {raw.producer} was left out ({type(error).__name__}: {error}): {about}…"
        self._problem(text, f"{raw.producer} {hash(raw.payload)}")

    def _problem(self, text: str, about: Optional[str] = None) -> None:
        """Notes what is wrong, of one thing once, since files are read several times."""
        if len(self._problems) < _MOST_PROBLEMS:
            self._problems.setdefault(about or text, text)


def _executions(facts: Iterable[Fact]) -> Iterator[str]:
    """Workflow executions that facts link to."""
    return (_wf_of(fact.text) for fact in facts if fact.datatype == OWN and fact.text.startswith("execution/"))


def _wf_of(identifier: str) -> str:
    return "/".join(identifier.split("/", 3)[1:3])


def _begins_with(payload: bytes, wf: str) -> bool:
    """Whether a record is of a workflow execution, by its text as the client writes it; said so only if it surely is."""
    place = payload.find(b'"wf":"')
    return place >= 0 and payload.startswith(f'{wf}"'.encode(), place + 6)


def _concerns(subject: str, kept: Set[str]) -> bool:
    """Whether what another execution says of something may belong into a document of these."""
    return subject.partition("/")[0] not in _OF_EXECUTIONS or _wf_of(subject) in kept


def _concerning(facts: Facts, kept: Set[str]) -> Iterator[Tuple[str, Extent]]:
    return ((series, extent) for series, extent in facts.extents if _concerns(series, kept))
