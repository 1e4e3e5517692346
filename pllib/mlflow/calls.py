"""Calls of MLflow's stores that are recorded: the outermost of each thread, after it succeeded, and never at its expense.

The methods of a store's class are wrapped, once a class: stores keep their type, can be pickled, and are recorded wherever
they are used. A call inside another is part of it, and so is what recording itself asks the store.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import weakref
from typing import Any, Callable, Dict, List, Optional

from .. import this_process
from .._boundary import nothing, shielded

HEADER = "X-PLLib-Captured"
"""Says in a request that its client records it."""
LOOKS = frozenset(("get_experiment", "get_experiment_by_name", "get_run"))
"""Methods of which nothing is recorded: what they return is remembered, so that it need not be asked for."""
Handler = Callable[..., None]


class _Here(threading.local):
    """What is under way in this thread: whether a recorded call is, and of what stores it has called a recorded method."""

    inside = False

    def __init__(self) -> None:
        self.within: List[Any] = []


here = _Here()
_uris: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def handlers() -> Dict[str, Handler]:
    """What is recorded: name of a store's method to what records a call of it, given store, result and arguments."""
    from . import artifacts, lifecycle, registry, tracking

    return {**tracking.HANDLERS, **registry.HANDLERS, **lifecycle.HANDLERS, **artifacts.HANDLERS}


@shielded(nothing, always=True)
def watch(store: Any, uri: Optional[str]) -> None:
    """Has the calls of a store recorded.

    Args:
        uri: where it is, as MLflow was told.
    """
    wrap(type(store), handlers())
    _rebind_queue(store)
    if isinstance(uri, str):
        _uris[store] = uri


def _rebind_queue(store: Any) -> None:
    """Has what is logged asynchronously go through the wrapped method: the store's queue was given the one before."""
    queue = getattr(store, "_async_logging_queue", None)
    function: Any = getattr(queue, "_logging_func", None)
    if queue is not None and getattr(function, "__self__", None) is store:
        queue._logging_func = getattr(store, function.__name__)


def wrap(kind: type, handlers: Dict[str, Handler]) -> None:
    """Wraps those methods of a class that are to be recorded and are not yet."""
    for name, handler in handlers.items():
        method = getattr(kind, name, None)
        if callable(method) and not hasattr(method, "__pllib__"):
            setattr(kind, name, recorded(method, handler))


def uri_of(store: Any) -> str:
    """Where a store is; empty when that is unknown."""
    return _uris.get(store, "")


def recorded(method: Callable[..., Any], handler: Handler) -> Callable[..., Any]:
    """A method that has each outermost call recorded once it has succeeded."""
    if inspect.iscoroutinefunction(method):
        return _recorded_coroutine(method, handler)
    record, wanted = _recording(handler), _goes_on if method.__name__ in LOOKS else _wanted

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if here.inside:
            here.within.append(self)
            return method(self, *args, **kwargs)
        if not wanted():
            return method(self, *args, **kwargs)
        here.inside = True
        try:
            result = method(self, *args, **kwargs)
            record(self, result, *args, **kwargs)
            return result
        finally:
            here.inside = False
            here.within.clear()

    call.__pllib__ = method  # type: ignore[attr-defined]
    return call


def _recorded_coroutine(method: Callable[..., Any], handler: Handler) -> Callable[..., Any]:
    record = _recording(handler)

    @functools.wraps(method)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = await method(self, *args, **kwargs)
        if not here.inside and _wanted():
            here.inside = True
            try:
                record(self, result, *args, **kwargs)
            finally:
                here.inside = False
                here.within.clear()
        return result

    call.__pllib__ = method  # type: ignore[attr-defined]
    return call


def _recording(handler: Handler) -> Handler:
    """The handler behind the boundary; it does nothing for what the client of a request records itself."""

    @shielded(nothing, always=True)
    @functools.wraps(handler)
    def record(store: Any, result: Any, *args: Any, **kwargs: Any) -> None:
        if not client_records():
            handler(store, result, *args, **kwargs)

    return record


def _goes_on() -> bool:
    """Whether something is recorded already: a process that only reads from MLflow says nothing."""
    client = this_process._client
    return client is not None and client.settings.enabled


def _wanted() -> bool:
    """Whether anything is recorded in this process at all."""
    client = this_process._client
    return client.settings.enabled if client is not None else _starts()


@shielded(lambda: False, always=True)
def _starts() -> bool:
    return this_process.current().settings.enabled


def request() -> Any:
    """The request that a server is answering in this thread, ``None`` where there is none."""
    flask = sys.modules.get("flask")
    return flask.request if flask is not None and flask.has_request_context() else None


def client_records() -> bool:
    """Whether the request that is being answered comes from a client that records it."""
    asked = request()
    return asked is not None and asked.headers.get(HEADER) is not None
