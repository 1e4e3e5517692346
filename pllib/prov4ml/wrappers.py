"""Prov4ML's wrappers around functions and models."""

from __future__ import annotations

import threading
from typing import Any, Optional

from . import calls, files
from .said import once


class ProvenanceTrackedFunction:
    """Calls a function, and records what it gives as a metric that is called after its class or itself.

    Args:
        func: such as a loss function.
        context: the part of the run.
    """

    def __init__(self, func: Any, context: Any = None) -> None:
        self.fn, self.context = func, context
        kind = type(func).__name__
        self.source = getattr(func, "__name__", kind) if kind in ("function", "builtin_function_or_method") else kind
        self._calls, self._lock = 0, threading.Lock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self.fn(*args, **kwargs)
        with self._lock:
            step, self._calls = self._calls, self._calls + 1
        calls.log_metric(self.source, result, self.context, step, self.source)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["fn"], name)


def ProvenanceTrackedModel(
    model_label: Any, model: Any = None, context: Any = None, chunk_size: Optional[int] = None
) -> Any:
    """The model itself, which is recorded as one that the run starts from; what its layers take and give is not recorded."""
    name, it = ("model", model_label) if model is None else (str(model_label), model)
    once(
        "activations",
        "ProvenanceTrackedModel: the model is described; inputs and outputs of its layers are not recorded",
    )
    files.log_model(model_name=name, model=it, context=context, is_input=True, log_copy_in_prov_directory=False)
    return it
