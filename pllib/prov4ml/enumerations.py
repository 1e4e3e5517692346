"""Names that scripts take from Prov4ML's enumerations."""

from __future__ import annotations

from enum import Enum
from typing import Any

from ..errors import CaptureError
from .names import context_name


class Context(Enum):
    """Parts of a run: those of all generations."""

    TRAINING = "training"
    VALIDATION = "validation"
    EVALUATION = "evaluation"
    TESTING = "testing"
    DATASETS = "datasets"
    MODELS = "models"

    # Members are one of a kind; the hash of Enum is that of the name, and takes longer than all else in finding a series.
    __hash__ = object.__hash__

    @staticmethod
    def get_context_from_string(context: str) -> Context:
        """The context of that name, with or without ``Context.`` before it, in any case.

        Raises:
            CaptureError: there is none.
        """
        name = context_name(context if isinstance(context, str) else None) or ""
        for each in Context:
            if each.value == name.rpartition(".")[2].lower():
                return each
        raise CaptureError(f"no context is called {context!r}; there are: {', '.join(each.value for each in Context)}")


class MetricsType(Enum):
    """Formats of files of metrics. They are written as CSV."""

    CSV = "csv"
    ZARR = "zarr"
    NETCDF = "netcdf"


class CompressorType(Enum):
    """Compressors of files of metrics. CSV needs none."""

    NONE = None
    ZIP = "zip"
    BLOSC_ZSTD = "blosc_zstd"
    LZ4 = "l4"


class LoggingItemKind(Enum):
    """Where a metric comes from."""

    METRIC = "metric"
    FLOPS_PER_BATCH = "flops_pb"
    FLOPS_PER_EPOCH = "flops_pe"
    SYSTEM_METRIC = "system"
    CARBON_METRIC = "carbon"
    EXECUTION_TIME = "execution_time"
    MODEL_VERSION = "model_version"
    FINAL_MODEL_VERSION = "final_model_version"
    PARAMETER = "param"


class FoldOperation:
    """What ``register_final_metric`` may do with the values of a metric; any function of two values will do too."""

    @staticmethod
    def ADD(x: Any, y: Any) -> Any:
        return x + y

    @staticmethod
    def SUBTRACT(x: Any, y: Any) -> Any:
        return x - y

    @staticmethod
    def MULTIPLY(x: Any, y: Any) -> Any:
        return x * y

    @staticmethod
    def MIN(x: Any, y: Any) -> Any:
        return min(x, y)

    @staticmethod
    def MAX(x: Any, y: Any) -> Any:
        return max(x, y)
