"""``task``, ``workflow`` and ``section`` as what users write: for ``with`` and for decorating functions of every kind."""

from __future__ import annotations

import functools
import typing
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Union

from . import activities
from ._boundary import nothing, shielded
from .activities import Activity, Section, Task, Workflow
from .facts import checked_stage
from .references import Data, Marked
from .values import exact

Hyperparameter = typing.Annotated[typing.Any, "pllib:hyperparameter"]
ModelHyperparameter = typing.Annotated[typing.Any, "pllib:model_hyperparameter"]
Dataset = typing.Annotated[typing.Any, "pllib:dataset"]
Characteristic = typing.Annotated[typing.Any, "pllib:dataset_characteristic"]
FeatureSet = typing.Annotated[typing.Any, "pllib:feature_set"]
Model = typing.Annotated[typing.Any, "pllib:model"]
Evaluation = typing.Annotated[typing.Any, "pllib:evaluation_measure"]
LearningTask = typing.Annotated[typing.Any, "pllib:learning_task"]
Implementation = typing.Annotated[typing.Any, "pllib:implementation"]
Domain = typing.Annotated[typing.Any, "pllib:domain"]

_PATH_MEANINGS = ("dataset", "model")


def meaning_of(annotation: Any) -> Optional[str]:
    """The ML meaning that an annotation such as ``pllib.Hyperparameter`` gives, or ``None``."""
    for mark in getattr(annotation, "__metadata__", ()):
        if isinstance(mark, str) and mark.startswith("pllib:"):
            return mark[6:]
    return None


class _Captured:
    """A function whose calls are recorded: its arguments as used, its result as generated."""

    def __init__(
        self, function: Callable[..., Any], make: Callable[[str, Dict[str, Any]], Activity], returns: Any
    ) -> None:
        self.function = function
        import inspect

        self._make = make
        self._returns = returns
        self._signature = inspect.signature(function)
        self._meanings = self._read_meanings()

    @shielded(lambda self: {})
    def _read_meanings(self) -> Dict[str, str]:
        hints = typing.get_type_hints(self.function, include_extras=True)
        found = {name: meaning_of(hint) for name, hint in hints.items()}
        return {name: meaning for name, meaning in found.items() if meaning}

    @shielded(lambda self, args, kwargs: {})
    def _arguments(self, args: Any, kwargs: Any) -> Dict[str, Any]:
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError:
            return {}  # the call itself is about to fail with the same words
        bound.apply_defaults()
        used: Dict[str, Any] = {}
        for name, value in bound.arguments.items():
            kind = self._signature.parameters[name].kind
            if kind is kind.VAR_KEYWORD:
                used.update(value)
            elif kind is not kind.VAR_POSITIONAL or value:
                used[name] = value
        used.pop("self", None)
        return {name: self._meant(name, value) for name, value in used.items()}

    def _meant(self, name: str, value: Any) -> Any:
        meaning = self._meanings.get(name)
        if meaning is None or isinstance(value, (Marked, Data)):
            return value
        if meaning in _PATH_MEANINGS and (isinstance(value, str) or hasattr(value, "__fspath__")):
            return Data(str(value), None, meaning, None, None)
        return Marked(value, meaning)

    def open(self, args: Any, kwargs: Any) -> Activity:
        return self._make(self.function.__name__, self._arguments(args, kwargs))

    @shielded(nothing)
    def close(self, activity: Activity, result: Any) -> None:
        """Records the result: by the names in ``returns``, by its keys when it is a dict of them, else as ``result``."""
        if result is None:
            return
        if isinstance(self._returns, str):
            named = {self._returns: result}
        elif self._returns is not None:
            named = dict(zip(self._returns, result))
        elif isinstance(result, dict) and result and all(isinstance(key, str) for key in result):
            named = dict(result)
        else:
            named = {"result": result}
        activity.generated({name: self._meant("return", value) for name, value in named.items()})


def decorate(
    function: Callable[..., Any], make: Callable[[str, Dict[str, Any]], Activity], returns: Any
) -> Callable[..., Any]:
    """The function, recorded; plain, ``async``, generator and async generator functions stay what they are."""
    import inspect

    captured = _Captured(function, make, returns)
    if inspect.isasyncgenfunction(function):
        return _async_generator(captured)
    if inspect.iscoroutinefunction(function):
        return _coroutine(captured)
    if inspect.isgeneratorfunction(function):
        return _generator(captured)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with captured.open(args, kwargs) as activity:
            result = function(*args, **kwargs)
            captured.close(activity, result)
            return result

    return call


def _coroutine(captured: _Captured) -> Callable[..., Any]:
    @functools.wraps(captured.function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        with captured.open(args, kwargs) as activity:
            result = await captured.function(*args, **kwargs)
            captured.close(activity, result)
            return result

    return call


class _Turn:
    """While a generator's body runs its activity is the open one; between turns the caller's is."""

    def __init__(self, activity: Activity) -> None:
        self._activity = activity

    def __enter__(self) -> None:
        self._before = activities._open.get()
        activities._open.set(self._activity)

    def __exit__(self, *_: Any) -> None:
        activities._open.set(self._before)


def _generator(captured: _Captured) -> Callable[..., Any]:
    @functools.wraps(captured.function)
    def call(*args: Any, **kwargs: Any) -> Any:
        activity = captured.open(args, kwargs).begin()
        inner = captured.function(*args, **kwargs)
        yielded = 0
        try:
            resume: Callable[[], Any] = functools.partial(next, inner)
            while True:
                try:
                    with _Turn(activity):
                        item = resume()
                except StopIteration as stop:
                    captured.close(activity, stop.value)
                    activity.annotate(yielded=yielded)
                    activity.end()
                    return stop.value
                yielded += 1
                try:
                    sent = yield item
                    resume = functools.partial(inner.send, sent)
                except GeneratorExit:
                    with _Turn(activity):
                        inner.close()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - it goes on into the generator
                    resume = functools.partial(inner.throw, thrown)
        except GeneratorExit:
            activity.annotate(yielded=yielded)
            activity.end()
            raise
        except BaseException as error:
            activity.end(error)
            raise

    return call


def _async_generator(captured: _Captured) -> Callable[..., Any]:
    @functools.wraps(captured.function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        activity = captured.open(args, kwargs).begin()
        inner = captured.function(*args, **kwargs)
        yielded = 0
        try:
            while True:
                try:
                    with _Turn(activity):
                        item = await inner.__anext__()
                except StopAsyncIteration:
                    break
                yielded += 1
                yield item
            activity.annotate(yielded=yielded)
            activity.end()
        except GeneratorExit:
            await inner.aclose()
            activity.annotate(yielded=yielded)
            activity.end()
            raise
        except BaseException as error:
            activity.end(error)
            raise

    return call


class _Opener:
    """What ``pllib.task(...)`` gives: enter it with ``with``, or put it on a function with ``@``."""

    def __init__(self, make: Callable[[str, Dict[str, Any]], Activity], name: Optional[str], returns: Any) -> None:
        self._make, self._name, self._returns = make, name, returns
        self._activity: Optional[Activity] = None

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        name = self._name
        make = self._make if name is None else lambda _, used: self._make(str(name), used)
        return decorate(function, make, self._returns)

    def __enter__(self) -> Any:
        self._activity = self._make(self._name or "task", {})
        return self._activity.__enter__()

    def __exit__(self, *details: Any) -> None:
        activity, self._activity = self._activity, None
        if activity is not None:
            activity.__exit__(*details)


Name = Union[str, Callable[..., Any], None]
Returns = Union[str, Sequence[str], None]


def _opener(name: Name, make: Callable[[str, Dict[str, Any]], Activity], returns: Returns) -> Any:
    if callable(name):
        return decorate(name, make, returns)
    return _Opener(make, name, returns)


def _merged(used: Optional[Mapping[str, Any]], arguments: Dict[str, Any]) -> Dict[str, Any]:
    return {**arguments, **used} if used else arguments


def task(
    name: Name = None,
    *,
    used: Optional[Mapping[str, Any]] = None,
    stage: Optional[str] = None,
    person: Optional[str] = None,
    meta: Optional[Mapping[str, Any]] = None,
    returns: Returns = None,
) -> Any:
    """A task in the activity that is open: ``with pllib.task("crop", used={...}) as task`` or ``@pllib.task`` on a function.

    Args:
        name: the transformation; by default the function's name.
        used: values it uses; of a decorated function the arguments are added.
        stage: makes it a learning stage: ``training``, ``validation``, ``evaluation``, ``feature_extraction``, ``learning``.
        returns: names for the result of a decorated function (one, or one for each item of a tuple).
    """
    checked = checked_stage(stage)
    return _opener(
        name,
        lambda title, more: Task(title, used=_merged(used, more), stage=checked, person=person, meta=meta),
        returns,
    )


def section(
    name: Name = None, *, used: Optional[Mapping[str, Any]] = None, stage: Optional[str] = None, returns: Returns = None
) -> Any:
    """A section (epoch, batch) of the learning stage that is open; for ``with`` and for decorating."""

    def make(title: str, more: Dict[str, Any]) -> Activity:
        parent = activities.current()
        inherited = parent.stage if parent is not None else None
        return Section(title, used=_merged(used, more), stage=stage or inherited or "learning")

    return _opener(name, make, returns)


def workflow(
    name: Name = None,
    *,
    study: Optional[str] = None,
    person: Optional[str] = None,
    execution: Optional[str] = None,
    match: Optional[bool] = None,
    resumes: bool = False,
    rank: Optional[int] = None,
    within: Union[Activity, str, None] = None,
    used: Optional[Mapping[str, Any]] = None,
    meta: Optional[Mapping[str, Any]] = None,
    returns: Returns = None,
) -> Any:
    """An execution of a workflow: ``with pllib.workflow("prepare", study="digits") as wf`` or ``@pllib.workflow`` on a function.

    Args:
        study: the study or project the workflow belongs to.
        person: who is responsible.
        execution: id shared by the processes of one job; by default each ``with`` is an execution of its own.
        match, resumes, rank, within: see ``Workflow``.
    """

    said: Dict[str, Any] = {"study": study, "person": person, "execution": execution, "match": match, "meta": meta}

    def make(title: str, more: Dict[str, Any]) -> Activity:
        return Workflow(title, resumes=resumes, rank=rank, within=within, used=_merged(used, more), **said)

    return _opener(name, make, returns)


def recorded(value: Any) -> Any:
    """The form in which a value would be recorded: a JSON value, as on the wire. For looking, and for tests."""
    return exact(value)
