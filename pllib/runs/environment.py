"""The environment of a run: Python, platform, packages, modules, CUDA, Slurm, MPI, and the command line without its secrets.

Only files are read and only what is loaded is asked: no driver is started, which would keep a process from forking later.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, List, Optional, Tuple

from .. import this_process
from .._boundary import shielded
from ..masking import masked_arguments
from ..producer import JOB_VARIABLES

Facts = Dict[str, Any]
MAX_PACKAGES = 5_000
MAX_ARGUMENTS = 1_000
VARIABLES = (
    *JOB_VARIABLES,
    "SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS", "SLURM_JOB_NUM_NODES", "SLURM_CPUS_PER_TASK", "SLURM_GPUS",
    "SLURM_GPUS_ON_NODE", "SLURM_JOB_GPUS", "SLURM_MEM_PER_NODE", "SLURM_JOB_QOS", "SLURM_RESTART_COUNT",
    "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT",
    "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_HOME",
    "CUDA_DEVICE_ORDER", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES", "PYTHONHASHSEED", "TF_DETERMINISTIC_OPS", "XLA_FLAGS",
)  # fmt: skip
"""Variables of the environment that are recorded; no others, since there are secrets among them."""
DRIVER = "/proc/driver/nvidia"
GPU_FACTS = ("Model", "GPU UUID", "Bus Location", "Video BIOS")

_packages: Dict[Tuple[str, ...], Dict[str, str]] = {}


def command() -> Facts:
    """How the process was started: ``command`` (with secrets masked), ``folder``."""
    arguments = masked_arguments([_text(argument) for argument in sys.argv[:MAX_ARGUMENTS]])
    return {"command": arguments, "folder": _folder()}


def environment() -> Facts:
    """All of the environment that is recorded, as one JSON object."""
    found: Facts = {**command(), "python": _python(), "platform": _platform()}
    for name, look in (
        ("packages", packages),
        ("modules", modules),
        ("cuda", cuda),
        ("variables", _variables),
        ("mpi", _mpi),
    ):
        facts = _looked(look)
        if facts:
            found[name] = facts
    return found


@shielded(lambda look: {"unreadable": True}, always=True)
def _looked(look: Any) -> Any:
    return look()


def packages() -> Dict[str, str]:
    """Versions of the packages that can be imported, by name."""
    where = tuple(sys.path)
    known = _packages.get(where)
    if known is None:
        known = _installed()
        _packages.clear()
        _packages[where] = known
    return known


def _installed() -> Dict[str, str]:
    with this_process.importing():
        from importlib.metadata import distributions

    found: Dict[str, str] = {}
    for package in distributions():
        name = _looked(lambda package=package: package.metadata["Name"])
        if isinstance(name, str) and len(found) < MAX_PACKAGES:
            found.setdefault(
                name[:200], str(package.version)[:100]
            )  # the first on the path is the one that is imported
    return dict(sorted(found.items()))


def modules() -> Dict[str, str]:
    """Versions of the top-level modules that are imported by now, of those that say theirs."""
    found: Dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        # Asking a module for an attribute may make it import something; its own dictionary is only read.
        version = getattr(module, "__dict__", {}).get("__version__") if "." not in name else None
        if isinstance(version, str):
            found[name] = version[:100]
    return dict(sorted(found.items()))


def cuda() -> Facts:
    """What NVIDIA's driver says in files, and the versions that PyTorch was built for, if it is loaded."""
    found: Facts = {}
    driver = _read(os.path.join(DRIVER, "version"))
    if driver:
        found["driver"] = driver.splitlines()[0][:300]
    gpus = [_gpu(os.path.join(DRIVER, "gpus", name)) for name in _names(os.path.join(DRIVER, "gpus"))]
    if gpus:
        found["gpus"] = gpus
    version = getattr(sys.modules.get("torch"), "version", None)
    for name in ("cuda", "hip"):
        built = getattr(version, name, None)
        if isinstance(built, str):
            found[f"torch_{name}"] = built
    return found


def _gpu(folder: str) -> Dict[str, str]:
    told = (line.partition(":") for line in (_read(os.path.join(folder, "information")) or "").splitlines())
    return {key.strip(): text.strip()[:200] for key, _, text in told if key.strip() in GPU_FACTS}


def _python() -> Facts:
    return {
        "version": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "executable": _text(sys.executable or ""),
        "prefix": _text(sys.prefix),
        "virtual": sys.prefix != sys.base_prefix,
    }


def _platform() -> Facts:
    """System, release and machine, with no command run for it."""
    if hasattr(os, "uname"):
        told = os.uname()
        found: Facts = {"system": told.sysname, "release": told.release, "machine": told.machine, "host": told.nodename}
    else:
        found = {"system": sys.platform}
    return {**found, "cpus": os.cpu_count() or 1}


def _variables() -> Dict[str, str]:
    return {name: _text(os.environ[name])[:2000] for name in VARIABLES if name in os.environ}


def _mpi() -> Facts:
    """The library's own words, where the script uses mpi4py and has started MPI."""
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is None:
        return {}
    return {"library": str(mpi.Get_library_version()).strip("\0\n ")[:300], "version": list(mpi.Get_version())}


def _folder() -> Optional[str]:
    try:
        return _text(os.getcwd())
    except OSError:  # it was removed
        return None


def _read(path: str) -> Optional[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(10_000)
    except OSError:
        return None


def _names(folder: str) -> List[str]:
    try:
        return sorted(os.listdir(folder))[:64]
    except OSError:
        return []


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
