"""Which rank of which job this process is, from what its launcher left in the environment, and what names the job.

Known are torchrun, Open MPI, MPICH and Intel MPI (Hydra), and Slurm steps. A job's name is the same in all its processes and in
no other job's. What a launcher gives is often not enough for that: ``torchrun`` says ``none``, Open MPI's name holds a process
number that comes again. So for a job on one machine the launcher's own process is added, with the time it was started at.
"""

from __future__ import annotations

import os
import sys
from typing import Mapping, NamedTuple, Optional, Tuple


class Launcher(NamedTuple):
    """The variables that a launcher sets: this process's rank, how many there are, how many on this machine, what names the job."""

    rank: str
    size: str
    here: Tuple[str, ...]
    names: Tuple[str, ...]


LAUNCHERS = (
    Launcher("RANK", "WORLD_SIZE", ("LOCAL_WORLD_SIZE",), ("TORCHELASTIC_RUN_ID",)),
    Launcher(
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_SIZE",
        ("OMPI_COMM_WORLD_LOCAL_SIZE",),
        ("OMPI_MCA_orte_precondition_transports", "PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid"),
    ),
    Launcher("PMI_RANK", "PMI_SIZE", ("MPI_LOCALNRANKS",), ("PMI_JOBID",)),
    Launcher("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", (), ()),
)
RESTARTS = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
NO_NAMES = ("", "none")
MOST_ANCESTORS = 20


class Place(NamedTuple):
    """Where this process stands: its rank (``None``: not one of several), how many there are, and the name of its job.

    ``restarted``: the launcher started the job's processes again after they had failed or were put back into the queue.
    """

    rank: Optional[int]
    size: int
    job: Optional[str]
    restarted: bool


def place(environ: Optional[Mapping[str, str]] = None) -> Place:
    """Where this process stands by its environment.

    A child that a rank started by ``multiprocessing`` has the rank's environment, and is no rank itself: its runs are its own.
    """
    environ = os.environ if environ is None else environ
    launcher = _launcher(environ)
    if launcher is None:
        return Place(None, 1, None, False)
    rank, size = _number(environ.get(launcher.rank)), _number(environ.get(launcher.size)) or 1
    if size < 2:
        return Place(rank, size, None, False)
    job = None if _is_child() else _job(environ, launcher, size)
    return Place(rank, size, job, any(_number(environ.get(name)) for name in RESTARTS))


def _launcher(environ: Mapping[str, str]) -> Optional[Launcher]:
    """The one that is nearest to this process and started several; else any that gives a rank."""
    known = [one for one in LAUNCHERS if _number(environ.get(one.rank)) is not None]
    several = [one for one in known if (_number(environ.get(one.size)) or 1) > 1]
    found = (several or known)[:1]
    # In a batch script Slurm gives a rank too, although it is one process: only `srun` makes several.
    return found[0] if found and not (found[0].rank == "SLURM_PROCID" and "SLURM_STEP_ID" not in environ) else None


def _job(environ: Mapping[str, str], launcher: Launcher, size: int) -> Optional[str]:
    """What names the job; ``None`` where nothing does."""
    parts = [environ[name] for name in launcher.names if environ.get(name, "").lower() not in NO_NAMES]
    slurm = _slurm_job(environ, with_step=launcher.rank != "OMPI_COMM_WORLD_RANK")
    if slurm is not None:
        parts.append(slurm)
    here = next((_number(environ[name]) for name in launcher.here if name in environ), None)
    if here == size:
        started = _launched_by(launcher.rank)
        if started is not None:
            parts.append(started)
    return _digest(parts) if parts else None


def _slurm_job(environ: Mapping[str, str], with_step: bool) -> Optional[str]:
    """Cluster, job and step: ``mpirun`` in an allocation starts its processes in several steps, or none."""
    job = environ.get("SLURM_JOB_ID")
    if not job:
        return None
    step = environ.get("SLURM_STEP_ID", "") if with_step else ""
    return f"{environ.get('SLURM_CLUSTER_NAME', '')} {job} {step}"


def _digest(parts: list[str]) -> str:
    """A short name: what launchers give is long, and tells of hosts and addresses."""
    from hashlib import sha256

    return "job-" + sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:24]


def _number(text: Optional[str]) -> Optional[int]:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _is_child() -> bool:
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def _launched_by(variable: str) -> Optional[str]:
    """The process that started the ranks, the nearest ancestor with no rank itself: its number and when it began.

    A wrapper around the script (``mpirun sh -c …``) has a rank, too, so it is passed over.
    """
    marker, pid = f"{variable}=".encode(), os.getppid()
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        for _ in range(MOST_ANCESTORS):
            with open(f"/proc/{pid}/environ", "rb") as file:
                ranked = any(entry.startswith(marker) for entry in file.read().split(b"\0"))
            with open(f"/proc/{pid}/stat", "rb") as file:
                # The second field is the command in brackets, and may hold anything.
                fields = file.read().rpartition(b")")[2].split()
            if not ranked:
                return f"{boot} {pid} {fields[19].decode()}"
            pid = int(fields[1])
    except (OSError, ValueError, IndexError):
        pass
    return None
