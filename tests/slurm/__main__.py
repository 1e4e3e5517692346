"""``make test-slurm``: the tests of this folder on a Slurm cluster of their own, in a network of their own.

What runs is real: munge, slurmctld, and a slurmd for each of two nodes, which are namespaces of this machine with names, addresses and
processes of their own. Nothing of it can be reached from outside, and the kernel ends all of it when this ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PACKAGES = ("slurm-wlm", "munge", "openmpi-bin", "libpmix-dev", "python3-mpi4py", "iproute2", "util-linux")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "mpirun", "ip", "unshare", "nsenter")
PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
SYSTEM_PYTHON = "/usr/bin/python3"
NAMESPACES = ("--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def missing() -> list[str]:
    """What is not here that the tests need."""
    found = [name for name in PROGRAMS if shutil.which(name, path=PLACES) is None]
    asked = subprocess.run([SYSTEM_PYTHON, "-c", "import mpi4py"], capture_output=True, check=False)
    return [*found, *(["mpi4py"] if asked.returncode else [])]


def install() -> None:
    print(f"make test-slurm: installing {', '.join(PACKAGES)}", flush=True)
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends", *PACKAGES]
    # RUNLEVEL: Debian starts no service of what it installs.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)


def main(arguments: list[str]) -> int:
    if os.getuid() == 0 and missing() and shutil.which("apt-get"):
        install()
    lacks = [*(["to be root"] if os.getuid() else []), *missing()]
    if lacks:
        print(
            f"make test-slurm needs {', '.join(lacks)}: as root, apt-get install {' '.join(PACKAGES)}", file=sys.stderr
        )
        return 2
    tests = [sys.executable, "-m", "pytest", "-n0", "tests/slurm", *arguments]
    environment = {**os.environ, "PLLIB_TEST_SLURM": "1", "PATH": PLACES}
    return subprocess.run(["unshare", *NAMESPACES, *tests], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
