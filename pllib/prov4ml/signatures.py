"""The forms of the calls of all generations of Prov4ML and yProv4ML (see ``forms.py``).

Generations: the first, over MLflow; 1.x (``prov4ml``, ``yprov4ml`` 0.1 and 1.0); 2.x; 3.x.
"""

from __future__ import annotations

import os
from enum import Enum
from typing import Any

from .forms import Call, Form
from .names import context_name, looks_like_namespace

_STAGES = ("training", "validation", "testing", "evaluation", "datasets", "models")


def _anything(value: Any) -> bool:
    return True


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))


def _file(value: Any) -> bool:
    """The path of something that is there."""
    return _path(value) and bool(os.fspath(value)) and os.path.exists(value)


def _thing(value: Any) -> bool:
    """An object, or the path of one; no name."""
    return not isinstance(value, str) or _file(value)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _whole(value: Any) -> bool:
    return hasattr(type(value), "__index__") and not isinstance(value, bool)


def _context(value: Any) -> bool:
    return isinstance(value, (str, Enum))


def _stage(value: Any) -> bool:
    """A context for sure: no path that happens to be a text."""
    return isinstance(value, Enum) or (isinstance(value, str) and context_name(value) in _STAGES and not _file(value))


def _namespace(value: Any) -> bool:
    return looks_like_namespace(value)


def _experiment(value: Any) -> bool:
    return isinstance(value, str) and not looks_like_namespace(value)


def _format(value: Any) -> bool:
    return isinstance(value, (str, Enum))


def _mapping(value: Any) -> bool:
    return hasattr(value, "keys")


_DIR = (("provenance_save_dir", _path),)
_NEW: Form = (("experiment_name", _experiment), ("prov_user_namespace", _namespace), *_DIR)
_OLD: Form = (("prov_user_namespace", _namespace), ("experiment_name", _experiment), *_DIR)
_PROCESSES: Form = (("collect_all_processes", _flag), ("save_after_n_logs", _whole), ("rank", _whole))
_FILES: Form = (("metrics_file_type", _format), ("csv_separator", _text), ("use_compressor", _anything))
_CARBON: Form = (("disable_codecarbon", _flag),)
_MLFLOW: Form = (
    ("mlflow_save_dir", _path),
    ("nested", _flag),
    ("tags", _mapping),
    ("description", _text),
    ("log_system_metrics", _flag),
)
_NEWER = (
    (*_NEW, *_PROCESSES, *_FILES, ("use_run_id", _whole)),
    (*_NEW, *_PROCESSES, *_CARBON, *_FILES),
)
_DRAWINGS: Form = (("create_graph", _flag), ("create_svg", _flag))
START_RUN = Call("start_run", (*_NEWER, (*_OLD, *_PROCESSES, *_CARBON), (*_OLD, *_MLFLOW)), ("experiment_name",))
START_RUN_CTX = Call(
    "start_run_ctx",
    (*_NEWER, (*_OLD, *_PROCESSES, *_DRAWINGS), (*_OLD, *_MLFLOW, *_DRAWINGS)),
    ("experiment_name",),
    ("crate_ro_crate", "create_ro_crate", "create_card", "create_provenance_collection"),
)

_INFO: Form = (("log_model_info", _flag), ("log_model_layers", _flag))
_NAMED_MODEL: Form = (("model_name", _text), ("model", _thing))
_MODEL_NAMED: Form = (("model", _thing), ("model_name", _text))
_SOURCE: Form = (("context", _context), ("source", _text))
_COPY: Form = (("log_copy_in_prov_directory", _flag),)
_INPUT: Form = (("is_input", _flag),)
_MORE: Form = (("other_attrs", _mapping),)
LOG_MODEL = Call(
    "log_model",
    (
        (*_NAMED_MODEL, *_SOURCE, *_INFO, *_COPY, *_INPUT, *_MORE),
        (*_NAMED_MODEL, ("context", _context), *_INFO, *_INPUT),
        (*_NAMED_MODEL, *_INFO, *_INPUT),
        (*_MODEL_NAMED, ("log_model_info", _flag), ("log_as_artifact", _flag)),
    ),
    ("model",),
)
SAVE_MODEL_VERSION = Call(
    "save_model_version",
    (
        (*_NAMED_MODEL, *_SOURCE, ("step", _whole), ("incremental", _flag), *_INPUT, *_COPY, *_MORE),
        (*_NAMED_MODEL, ("context", _context), ("step", _whole), ("incremental", _flag), *_INPUT),
        (*_MODEL_NAMED, ("context", _context), ("step", _whole), ("timestamp", _whole)),
    ),
    ("model", "model_name"),
)
_NAMED_FILE: Form = (("artifact_name", _text), ("artifact_path", _path))
_KINDS: Form = (("is_model", _flag), *_INPUT)
LOG_ARTIFACT = Call(
    "log_artifact",
    (
        (
            ("artifact_name", _text),
            ("artifact_path", _file),
            *_SOURCE,
            ("step", _whole),
            *_COPY,
            ("log_copy_subdirectory", _text),
            *_KINDS,
            *_MORE,
        ),
        (("artifact_name", _text), ("artifact_path", _file), ("context", _context), ("step", _whole), *_COPY, *_KINDS),
        (("artifact_path", _path), ("context", _stage), ("step", _whole), ("timestamp", _whole)),
    ),
    ("artifact_path",),
)
_SET_INFO: Form = (("log_dataset_info", _flag),)
LOG_DATASET = Call(
    "log_dataset",
    (
        (("dataset_label", _text), ("dataset", _thing), *_SOURCE, *_SET_INFO, *_MORE),
        (("dataset_label", _text), ("dataset", _thing), ("context", _context), *_SET_INFO),
        (("dataset_label", _text), ("dataset", _thing), *_SET_INFO),
        (("dataset", _thing), ("label", _text)),
    ),
    ("dataset",),
)
