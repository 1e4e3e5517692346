"""What data set objects are like: lengths, shapes, columns, batch sizes, of arrays, frames, tables, loaders and lists.

They are known by what they can do. Nothing is imported, copied or iterated over, and a length or shape that cannot be told is left out.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from .._boundary import shielded

Facts = Dict[str, Any]
MAX_COLUMNS = 500
HASHED_BYTES = 1_000_000
"""Arrays up to this size get a checksum of their content."""


@shielded(lambda thing: {"unreadable": True}, always=True)
def facts_about(thing: Any) -> Facts:
    """Characteristics of a data set object: what of ``length``, ``shape``, ``dtype``, ``columns``, ``bytes``, ``batch_size`` … it has."""
    found: Facts = {"class": class_name(thing)}
    for look in (_length, _array, _columns, _loader, _content):
        found.update(_looked(look, thing))
    return found


def class_name(thing: Any) -> str:
    """Module and name of an object's class."""
    kind = type(thing)
    return f"{kind.__module__}.{kind.__qualname__}"[:500]


@shielded(lambda look, thing: {}, always=True)
def _looked(look: Any, thing: Any) -> Facts:
    return look(thing) or {}


def _length(thing: Any) -> Facts:
    if not hasattr(type(thing), "__len__") or getattr(thing, "shape", None) == ():
        return {}
    try:
        return {"length": len(thing)}
    except TypeError:  # a loader of a stream has the method and no answer
        return {}


def _array(thing: Any) -> Facts:
    found: Facts = {}
    shape = getattr(thing, "shape", None)
    if shape is not None and not callable(shape):
        found["shape"] = [int(size) if hasattr(size, "__index__") else None for size in shape]
    dtype = getattr(thing, "dtype", None)
    if dtype is not None and not callable(dtype):
        found["dtype"] = str(dtype)[:100]
    size = _bytes(thing)
    return found if size is None else {**found, "bytes": size}


def _bytes(thing: Any) -> Optional[int]:
    for name in ("nbytes", "data"):
        size = getattr(getattr(thing, name, None), "nbytes", None) if name == "data" else getattr(thing, name, None)
        if isinstance(size, int):
            return size
    return None


def _columns(thing: Any) -> Facts:
    """Names and types of the columns of a frame (pandas, polars), a table (pyarrow) or a set with features (Hugging Face)."""
    names = getattr(thing, "columns", None)
    if names is None or callable(names) or not _is_table(thing):
        names = getattr(thing, "column_names", None)
    if names is None or callable(names) or not hasattr(names, "__len__") or not hasattr(names, "__iter__"):
        return {}
    found: Facts = {"columns": _listed(names)}
    if len(names) > MAX_COLUMNS:
        found["columns_in_all"] = len(names)
    dtypes = getattr(thing, "dtypes", None)
    if dtypes is not None and hasattr(dtypes, "__iter__") and not isinstance(dtypes, Mapping):
        found["dtypes"] = _listed(dtypes)
    return found


def _is_table(thing: Any) -> bool:
    shape = getattr(thing, "shape", None)
    return isinstance(shape, tuple) and len(shape) == 2


def _listed(items: Any) -> List[str]:
    found: List[str] = []
    for item in items:
        if len(found) == MAX_COLUMNS:
            break
        found.append(str(item)[:200].encode("utf-8", "backslashreplace").decode("utf-8"))
    return found


def _loader(thing: Any) -> Facts:
    """A loader of batches (torch): how it batches, and the data set it loads."""
    size, inner = getattr(thing, "batch_size", None), getattr(thing, "dataset", None)
    if inner is None or not hasattr(type(thing), "__iter__"):
        return {}
    found: Facts = {"dataset": facts_about(inner)}
    if isinstance(size, int):
        found["batch_size"] = size
    workers = getattr(thing, "num_workers", None)
    return {**found, "num_workers": workers} if isinstance(workers, int) else found


def _content(thing: Any) -> Facts:
    """The checksum of a small array's numbers, in the order of its memory."""
    size = getattr(thing, "nbytes", None)
    if not isinstance(size, int) or size > HASHED_BYTES or getattr(getattr(thing, "dtype", None), "hasobject", True):
        return {}
    try:
        view = memoryview(thing)
    except (TypeError, ValueError, BufferError):  # a column, or an array of dates: no plain memory
        return {}
    if not view.c_contiguous:
        return {}
    from hashlib import sha256

    return {"sha256": sha256(view).hexdigest()}
