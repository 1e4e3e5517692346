"""Facts about this process that go with its records: host, user, command, versions, and the job it is part of."""

from __future__ import annotations

import os
import sys
from typing import Any, Dict

from ._version import __version__
from .references import machine_name

JOB_VARIABLES = (
    "SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_PROCID", "SLURM_NTASKS",
    "SLURM_NODEID", "SLURM_NODELIST", "SLURM_CLUSTER_NAME", "SLURM_JOB_PARTITION",
    "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE", "PMIX_RANK", "MPI_LOCALRANKID",
    "RANK", "WORLD_SIZE", "LOCAL_RANK", "CUDA_VISIBLE_DEVICES", "CONDA_DEFAULT_ENV", "VIRTUAL_ENV",
)  # fmt: skip
SOFTWARE = (
    "numpy",
    "pandas",
    "scipy",
    "sklearn",
    "torch",
    "tensorflow",
    "keras",
    "jax",
    "xgboost",
    "lightgbm",
    "mpi4py",
)
WORLD_SIZES = ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "WORLD_SIZE")


def producer_facts() -> Dict[str, Any]:
    """Fields of the producer record. Of libraries, those that the script has imported by now and that tell their version."""
    from .masking import masked_arguments  # its expressions are dear to compile, and only needed now

    modules = {name: sys.modules.get(name) for name in SOFTWARE}
    versions = {name: getattr(module, "__version__", None) for name, module in modules.items() if module is not None}
    return {
        "host": machine_name(),
        "pid": os.getpid(),
        "user": user(),
        "command": " ".join(masked_arguments([_tidy(argument) for argument in sys.argv]))[:2000],
        "python": ".".join(map(str, sys.version_info[:3])),
        "pllib": __version__,
        "software": {name: version for name, version in versions.items() if isinstance(version, str)},
        "env": {name: _tidy(os.environ[name]) for name in JOB_VARIABLES if name in os.environ},
    }


def many_processes() -> bool:
    """Whether this process is one of several of a job that was started as one (MPI, Slurm steps, torchrun)."""
    return any(os.environ.get(name, "1") not in ("", "0", "1") for name in WORLD_SIZES)


def _tidy(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def user() -> str:
    """The name of who runs this process, else the number."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        if os.environ.get(name):
            return _tidy(os.environ[name])
    return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
