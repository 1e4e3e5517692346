"""What MLflow finds by the entry points of pllib; it stands outside the package, so that nothing of pllib need work for it.

MLflow loads ``file`` while it registers what builds its stores, and ``CapturedHeader`` with its other providers of headers.
Without ``PLLIB_MLFLOW`` it gets back what it had: its own builder, and a provider that never has a header. With it, all
builders of that registry are wrapped: they build the same stores, whose calls are then recorded by ``pllib.mlflow``,
which is imported with the first store. Whatever goes wrong there, MLflow has its own store.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import Any, Callable, Dict

VARIABLE = "PLLIB_MLFLOW"
OFF = ("", "0", "false", "no", "off")
HEADER = "X-PLLib-Captured"
_FRAMES = 12
"""How far up the call may be that registers entry points."""


def enabled() -> bool:
    """Whether MLflow is to be recorded."""
    return os.environ.get(VARIABLE, "").strip().lower() not in OFF


def __getattr__(name: str) -> Any:
    """``file``: the builder for that scheme, of the registry that loads this."""
    if name != "file":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    builders = _builders()
    own = builders[name]
    if enabled():
        for scheme, build in list(builders.items()):
            if not hasattr(build, "__pllib__"):
                builders[scheme] = _recorded(build)
    return builders.get(name, own)


def _builders() -> Dict[str, Callable[..., Any]]:
    """The builders, by scheme, of the registry whose ``register_entrypoints`` is under way."""
    frame = sys._getframe(1)
    for _ in range(_FRAMES):
        registry = frame.f_locals.get("self") if frame.f_code.co_name == "register_entrypoints" else None
        found = getattr(registry, "_registry", None)
        if isinstance(found, dict) and "file" in found:
            return found
        if frame.f_back is None:
            break
        frame = frame.f_back
    raise AttributeError("this entry point is for a registry of MLflow's stores")


def _recorded(build: Callable[..., Any]) -> Callable[..., Any]:
    """The same builder, whose stores are recorded. It looks like the one it wraps: MLflow asks for module and signature."""

    @functools.wraps(build, updated=())
    def builder(*args: Any, **kwargs: Any) -> Any:
        made = build(*args, **kwargs)
        _watch(made, kwargs.get("store_uri") or (args[0] if args else None))
        return made

    builder.__pllib__ = build  # type: ignore[attr-defined]
    return builder


def _watch(made: Any, uri: Any) -> None:
    try:
        from pllib.mlflow.calls import watch

        watch(made, uri)
    except Exception as error:  # noqa: BLE001 - the boundary to MLflow: pllib may be broken, or half installed
        _report(error)


def _report(error: Exception) -> None:
    import logging

    logger = logging.getLogger("pllib")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.warning("MLflow is not recorded: %s: %s", type(error).__name__, str(error)[:500])


class CapturedHeader:
    """Tells a server that records as well which requests are part of a call that is recorded here."""

    def in_context(self) -> bool:
        """Whether such a call is under way in this thread."""
        calls = sys.modules.get("pllib.mlflow.calls")
        return calls is not None and bool(calls.here.inside)

    def request_headers(self) -> Dict[str, str]:
        """The header, and its value."""
        return {HEADER: "1"}
