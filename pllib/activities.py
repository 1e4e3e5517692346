"""Workflows, tasks, sections and cycles: what a script opens and closes, and the records that makes.

Each is a context manager. The one that is open is known by context (``contextvars``), so nested ones find their parent;
threads get it through ``carry`` or ``attach``.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from time import monotonic_ns, time_ns
from types import TracebackType
from typing import Any, Dict, Generic, Iterable, Iterator, Mapping, Optional, Set, Tuple, Type, TypeVar, Union

from . import facts, producer, records, this_process, values
from ._boundary import complain, nothing, shielded, shielded_step
from .client import Client
from .errors import CaptureError, FullError
from .facts import checked_rank, checked_stage, error_facts, meta_facts, quoted
from .origins import Origins
from .process_end import at_end
from .records import NOTHING
from .references import Generated

Item = TypeVar("Item")
_open: ContextVar[Optional[Activity]] = ContextVar("pllib_activity", default=None)
_implicit: Dict[int, Workflow] = {}


def current() -> Optional[Activity]:
    """The activity that is open here, or ``None``."""
    return _open.get()


def _not_recorded(*given: Any) -> Any:
    this_process.lose("unencodable")
    return given[0]


class Activity:
    """What workflows, tasks, sections, cycles and iterations have in common.

    Attributes:
        wf: wire id of the workflow execution, ``{workflow}/{execution}``.
        id: wire id in it, ``{name}/{number}``; ``""`` for the workflow execution itself.
    """

    kind = "task"

    # Defaults stand on the class: most activities need few of them, and making one is on the script's time.
    wf = id = ""
    stage: Optional[str] = None
    person: Optional[str] = None
    _given_used: Mapping[str, Any] = NOTHING
    _given: Mapping[str, Any] = NOTHING
    _given_output: Mapping[str, Any] = NOTHING
    _meta: Mapping[str, Any] = NOTHING
    _began: Optional[Tuple[int, int]] = None
    _client: Optional[Client] = None
    _origins: Optional[Origins] = None
    _outer: Optional[Activity] = None
    _sole: Optional[Client] = None  # who began the workflow execution, if it belongs to that process alone
    _added: Optional[Set[str]] = None  # names of generated values that are recorded already
    _number: Optional[str] = None
    _session = ""
    _who: Optional[records.Who] = None
    _resumes = _match = _ended = _silent = False  # silent: nothing of it is recorded, nor of what is opened inside it

    def __init__(
        self,
        name: str,
        parent: Optional[Activity] = None,
        used: Optional[Mapping[str, Any]] = None,
        *,
        stage: Optional[str] = None,
        person: Optional[str] = None,
        meta: Optional[Mapping[str, Any]] = None,
        number: Optional[str] = None,
    ) -> None:
        """
        Args:
            number: makes the id ``{name}/{number}`` whoever opens it, so that all processes of an execution mean the same activity by it;
                each is then a session of it, with a begin and an end of its own. By default the id is one that nobody else makes.
        """
        self.name = name
        self.parent = parent
        if number is not None:
            self._number = number
        if used:
            self._given_used = dict(used)
        if stage is not None:
            self.stage = stage
        if person is not None:
            self.person = person
        if meta:
            self._meta = dict(meta)

    # -- what a script calls ------------------------------------------------------------------------------------

    @shielded(_not_recorded)
    def begin(self) -> Activity:
        """Records the begin; ``with`` does this."""
        self._start(_open.get())
        return self

    @shielded(_not_recorded)
    def end(self, error: Optional[BaseException] = None) -> None:
        """Records the end, with what was generated; ``with`` does this. Failed when there is an ``error``."""
        self._stop(error)

    @shielded(nothing)
    def used(self, *mappings: Mapping[str, Any], **named: Any) -> None:
        """Adds values that were used; recorded when the activity ends."""
        self._check_open("used")
        for mapping in mappings:
            named.update(mapping)
        self._given_used = {**self._given_used, **named}

    def generated(self, /, *mappings: Mapping[str, Any], **named: Any) -> Generated:
        """Adds values that were generated; recorded when the activity ends.

        Returns:
            handles by name: hand them to another task's ``used`` for an exact link.
        """
        return self._generate((mappings, named))  # type: ignore[no-any-return]

    @shielded(lambda self, *_: Generated(self.wf, self.id, {}))
    def add(
        self,
        used: Optional[Mapping[str, Any]] = None,
        generated: Optional[Mapping[str, Any]] = None,
        meta: Optional[Mapping[str, Any]] = None,
    ) -> Generated:
        """Records at once, while the activity is open, what it used and generated, and metadata.

        Works inside ``attach`` too, for an activity of another process. Of a name that was generated by an earlier ``add`` the first value
        stays, since it is recorded; others go to the metadata under ``replaced``.

        Returns:
            handles of what was generated, by name.
        """
        self._check_open("add")
        self.begin()
        made = dict(generated or {})
        handles = Generated(self.wf, self.id, made)
        if self._began is not None and self._origins is not None:
            self._add(self._origins, dict(used or {}), self._not_added(made), dict(meta or {}))
        return handles

    @shielded(nothing)
    def annotate(self, *mappings: Mapping[str, Any], **named: Any) -> None:
        """Adds metadata of your own: no values of the workflow, only remarks."""
        for mapping in mappings:
            named.update(mapping)
        self._meta = {**self._meta, **named}

    @shielded(nothing)
    def output(self, stdout: Optional[str] = None, stderr: Optional[str] = None) -> None:
        """Adds what the activity printed (the last 100,000 characters of each are kept)."""
        for name, text in (("stdout", stdout), ("stderr", stderr)):
            if text is not None:
                self._given_output = {**self._given_output, name: values.optional_text(text)}

    def task(
        self, name: str, *, used: Optional[Mapping[str, Any]] = None, stage: Optional[str] = None, **options: Any
    ) -> Task:
        """A task inside this activity; for ``with``."""
        if stage is None and not options:
            return Task(name, self, used)
        return Task(name, parent=self, used=used, stage=checked_stage(stage), **options)

    def section(self, name: str, *, used: Optional[Mapping[str, Any]] = None, **options: Any) -> Section:
        """A part of a learning stage, such as an epoch, or a batch in an epoch; for ``with``."""
        return Section(
            name, parent=self, used=used, stage=options.pop("stage", None) or self.stage or "learning", **options
        )

    def cycle(self, name: str, items: Iterable[Item], **options: Any) -> Cycle[Item]:
        """A loop whose iterations are recorded: ``for item in wf.cycle("shot", shots): ...``."""
        return Cycle(name, items, parent=self, **options)

    @property
    def token(self) -> str:
        """Text with which another thread or process can go on inside this activity: see ``attach``."""
        return f"{self.wf} {self.id} {self.stage or '-'} {self.kind}{' silent' if self._silent else ''}"

    # -- context ------------------------------------------------------------------------------------------------

    def __enter__(self) -> Any:
        self._outer = outer = _open.get()
        self._start(outer)
        _open.set(self)
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        _open.set(self._outer)
        self._outer = None
        try:
            self._stop(error)
        except FullError:
            if error is None:
                raise  # else the script's own exception is the one to go on

    @shielded_step("Activity.begin", _not_recorded)
    def _start(self, outer: Optional[Activity]) -> None:
        """Begins inside the parent that was said, else inside ``outer``, the one that is open."""
        if self._began is not None:
            return
        parent = self.parent or outer
        if parent is not None and parent._silent:
            self.parent, self.wf, self._silent = parent, parent.wf, True
        if self._silent:
            return
        client = this_process._client or this_process.current()
        if client.settings.enabled:
            self._client = client
            self._begin(client, parent)

    @shielded_step("Activity.generated", lambda self, _: Generated(self.wf, self.id, {}))
    def _generate(self, said: Tuple[Tuple[Mapping[str, Any], ...], Dict[str, Any]]) -> Generated:
        self._check_open("generated")
        mappings, named = said
        if len(mappings) == 1 and not named:
            named = dict(mappings[0])  # quicker than to fill one
        else:
            for mapping in mappings:
                named.update(mapping)
        handles = Generated(self.wf, self.id, named)
        if self._added:
            named = self._not_added(named)
        given = self._given
        if given:
            for name in given.keys() & named.keys():
                if given[name] is not named[name]:
                    self._keep_replaced(name, given[name])
            named = {**given, **named}
        self._given = named
        return handles

    @shielded_step("Activity.end", _not_recorded)
    def _stop(self, error: Optional[BaseException]) -> None:
        if self._began is None or self._ended:
            return
        self._ended = True
        client, own = this_process._client, self._client
        # In a forked child, whose client is another one, nothing: the parent's activities end in the parent.
        if own is not None and (own is client or own.pid == os.getpid()):
            self._end(client or this_process.current(), error)

    # -- records ------------------------------------------------------------------------------------------------

    def _begin(self, client: Client, parent: Optional[Activity]) -> None:
        if parent is None:
            parent = implicit_workflow()
        self.parent = parent
        if parent._began is None:
            parent.begin()
        self.wf, self._match = parent.wf, parent._match
        self._origins, self._sole = parent._origins, parent._sole
        number = next(client.numbers)
        if self._number is not None:
            self.id = f"{quoted(self.name)}/{quoted(self._number)}"
            self._resumes = parent._resumes
            self._session = f"{client.producer}-{number}"
        elif parent._sole is client:  # where nobody else takes part the record's number is enough
            self.id = f"{quoted(self.name)}/{number}"
        else:
            self.id = f"{quoted(self.name)}/{client.producer}-{number}"
        # A run counts as the parent of what is in it; a workflow that is none has no inputs of its own to inherit.
        self._emit_begin(client, number, parent.id if parent.id or parent.stage else None)

    def _emit_begin(self, client: Client, number: int, up: Optional[str]) -> None:
        self._who = who = self.kind, self.wf, self.id, self._match
        self._began = began = time_ns() // 1000, monotonic_ns()
        head = number, began, who, up, self._session, self.stage
        used, origins = self._given_used, self._origins
        self._given_used = NOTHING
        if not self.person and not self._resumes and self.id:
            client.keep(records.begun, origins, head, used)
            return
        client.link()
        parts: Dict[str, Any] = {"person": values.bounded_name(self.person)} if self.person else {}
        parts.update(records.parts_of(origins, used))  # type: ignore[arg-type]
        self._more_parts(parts)
        client.accept(records.begin_head(*head), parts)

    def _more_parts(self, parts: Dict[str, Any]) -> None:
        """Fields that not all have in their begin."""
        if self._resumes:
            parts["resumes"] = True

    def _add(
        self, origins: Origins, used: Mapping[str, Any], generated: Mapping[str, Any], meta: Mapping[str, Any]
    ) -> None:
        parts: Dict[str, Any] = {}
        client = this_process.current()
        client.link()
        parts.update(records.parts_of(origins, used, generated, self.id))
        if generated:
            self._added = self._added or set()
            self._added.update(generated)
        if meta:
            parts["meta"] = meta_facts(meta)
        if parts:
            wall, steady = time_ns() // 1000, monotonic_ns()
            client.accept(f'{{"n":{next(client.numbers)},"op":"add","t":{wall},"m":{steady},{self._identity()}', parts)

    def _identity(self) -> str:
        """Which activity a record is about, as fields of it."""
        return records.identity(self.kind, self.wf, self.id, self._match)

    def _not_added(self, generated: Mapping[str, Any]) -> Dict[str, Any]:
        """What is not recorded as generated yet; what is meant to take its place goes to the metadata."""
        added = self._added or ()
        for name in [name for name in generated if name in added]:
            self._keep_replaced(name, generated[name])
        return {name: value for name, value in generated.items() if name not in added}

    def _end(self, client: Client, error: Optional[BaseException]) -> None:
        if client.points is not None:
            client.points.end(self.wf, self.id)
        moment = time_ns() // 1000, monotonic_ns()
        used, generated, origins = self._given_used, self._given, self._origins
        self._given_used = self._given = NOTHING
        status = "finished" if error is None else "failed"
        head: Any = next(client.numbers), self._began, moment, self._who, self._session, status
        if error is None and not self._meta and not self._given_output:
            client.keep(records.ended, origins, head, used, generated)
            return
        client.link()
        parts = records.parts_of(origins, used, generated, self.id)  # type: ignore[arg-type]
        if error is not None:
            parts["error"] = error_facts(error)
        if self._meta:
            parts["meta"] = meta_facts(self._meta)
        parts.update(self._given_output)
        client.accept(records.end_head(*head), parts)

    def _check_open(self, call: str) -> None:
        if self._ended:
            raise CaptureError(f"{self.name}: {call}() after the end; call it inside the with block")

    def _keep_replaced(self, name: str, value: Any) -> None:
        """One execution generates one value a name; what is replaced goes into the metadata rather than away."""
        replaced = {**self._meta.get("replaced", {})}
        replaced[name] = [*replaced.get(name, ()), values.exact(value)]
        self._meta = {**self._meta, "replaced": replaced}


class Workflow(Activity):
    """One execution of a workflow.

    Args:
        name: the workflow, the same in all its executions.
        study: the study or project it belongs to.
        execution: id of the execution, when several processes share one; else a new one is made.
        match: whether equal values of other processes of the execution may be meant (identity rule 5); by
            default when the execution is shared.
        resumes: goes on with ``execution``, which had ended.
        rank: which of the processes that share the execution this is.
        within: an activity of another workflow execution (or its token) that this one is nested in.

    Each process that opens a shared execution is a *session* of it, with a begin and an end of its own.
    """

    kind = "workflow"

    def __init__(
        self,
        name: str,
        *,
        study: Optional[str] = None,
        execution: Optional[str] = None,
        match: Optional[bool] = None,
        resumes: bool = False,
        rank: Optional[int] = None,
        within: Union[Activity, str, None] = None,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self.study = study
        self._execution = execution
        self._wants_match = match
        self._resumes = resumes
        self.rank = checked_rank(rank)
        self._within = _checked_within(within)

    def _begin(self, client: Client, parent: Optional[Activity]) -> None:
        number = next(client.numbers)
        shared = self._execution or client.settings.execution
        self.wf = f"{quoted(self.name)}/{quoted(shared) if shared else f'{client.producer}-{number}'}"
        self._sole = None if shared else client
        if shared:
            self._session = f"{client.producer}-{number}"
        elif self._resumes:
            self._resumes = False
            complain("resumes", CaptureError(f"{self.name}: resumes needs the execution to go on with: execution=…"))
        if shared is None and producer.many_processes():
            shared = "job"
        self._match = bool(shared) if self._wants_match is None else self._wants_match
        self._origins = Origins(self.wf, lambda data, origins: this_process.encode_data(data, origins.facts))
        self.person = self.person or client.settings.person
        self._emit_begin(client, number, None)

    def _more_parts(self, parts: Dict[str, Any]) -> None:
        if self.study:
            parts["study"] = values.bounded_name(self.study)
        super()._more_parts(parts)
        if self.rank is not None:
            parts["rank"] = self.rank
        within = self._within
        if within is not None and within.begin()._began is not None:
            parts["within"] = {"wf": within.wf, "id": within.id} if within.id else {"wf": within.wf}


class Task(Activity):
    """One execution of a data transformation; with ``stage``, of a learning stage."""


class Section(Activity):
    """One execution of a section of a learning stage: an epoch, a batch."""

    kind = "section"


class Iteration(Activity):
    """One turn of a cycle."""

    kind = "iteration"


class Cycle(Activity, Generic[Item]):
    """A loop: iterating over it yields the items, each turn an iteration that tasks inside belong to."""

    kind = "cycle"

    def __init__(self, name: str, items: Iterable[Item], **options: Any) -> None:
        super().__init__(name, **options)
        self._items = items
        self.iteration: Optional[Iteration] = None

    def __iter__(self) -> Iterator[Item]:
        with self:
            for item in self._items:
                with Iteration(self.name, parent=self, stage=None) as iteration:
                    self.iteration = iteration
                    yield item


class Remote(Activity):
    """An activity that was opened elsewhere (another thread's or process's), by its token. Its end is not ours."""

    def __init__(self, token: str) -> None:
        wf, identifier, stage, kind, self._silent = facts.parsed_token(token)
        super().__init__(wf.split("/")[0], stage=stage)
        self.wf, self.id, self.kind = wf, identifier, kind
        if self._silent:
            return
        self._began, self._match = (0, 0), True
        self._client = this_process.current()
        self._origins = Origins(wf, lambda data, origins: this_process.encode_data(data, origins.facts))

    def _stop(self, error: Optional[BaseException]) -> None:
        """Nothing: whoever opened it ends it."""

    def _check_open(self, call: str) -> None:
        """Whether it has ended is not known here. What is recorded at once can be said of it, what waits for its end cannot."""
        if call not in ("add", "series"):
            raise CaptureError(f"{self.name}: {call}() on an activity that was opened elsewhere; take add()")

    def _keep_replaced(self, name: str, value: Any) -> None:
        raise CaptureError(f"{self.name}: {name} was generated already, with another value")


def implicit_workflow() -> Workflow:
    """The workflow of tasks that stand outside one: named after the script, ends with the process."""
    found = _implicit.get(os.getpid())
    if found is None:
        found = _implicit[os.getpid()] = Workflow(facts.script_name())
        found.begin()
    return found


@at_end
def _end_implicit() -> None:
    found = _implicit.pop(os.getpid(), None)
    if found is not None:
        found.end()


def _checked_within(within: Any) -> Optional[Activity]:
    if within is None or isinstance(within, Activity):
        return within
    try:
        return Remote(within)
    except (CaptureError, AttributeError):
        complain("within", CaptureError(f"within is {within!r:.100}; it takes an activity or its token"))
        return None
