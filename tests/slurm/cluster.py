"""A Slurm cluster of two nodes on one machine. Each node is a set of namespaces: its own name, network and processes.

::

    login (10.77.0.10)   munged, slurmctld, and whoever asks: the tests
    n1, n2 (…11, …12)    a slurmd each, and the jobs' processes; killing its first process ends the node and all on it
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

NODES = {"n1": "10.77.0.11", "n2": "10.77.0.12"}
LOGIN = "10.77.0.10"
WAIT_SECONDS = 150.0
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY")

CONFIGURATION = """\
ClusterName=pllib
SlurmctldHost=login({login})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
TmpFS={folder}/tmp/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,bf_interval=2
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=10
KillWait=5
"""


def wait_for(condition: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Returns once the condition holds; fails when it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"{what}: not within {seconds:g} s"
        time.sleep(0.2)


def run(*command: str, **options: object) -> str:
    """What a command says. Fails when it does, with its words."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return str(done.stdout)


class Cluster:
    """The cluster; everything that it writes is in a folder, which stands for the shared file system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: Mapping[str, str] = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Returns once both nodes take jobs."""
        for name in ("munge", "state", *NODES, *(f"tmp/{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True, mode=0o700)
        self._write_configuration()
        self._make_network()
        munge = self.folder / "munge"
        (munge / "key").write_bytes(secrets.token_bytes(128))
        (munge / "key").chmod(0o600)
        files = [f"--{name}-file={munge / name}" for name in ("key", "pid", "log", "seed")]
        self._spawn("munged", "munged", "--foreground", "--force", f"--socket={munge / 'socket'}", *files)
        wait_for((munge / "socket").exists, "munge")
        self._spawn("slurmctld", "slurmctld", "-D")
        for node in NODES:
            self.start_node(node)
        wait_for(lambda: self._say("sinfo", "-h", "-N", "-t", "idle", "-o", "%n").split() == [*NODES], "the nodes")

    def start_node(self, node: str) -> None:
        """A node comes up, empty; nothing, when it is up."""
        if node in self._processes:
            return
        # It waits for its network, which can only be made once its namespaces are there.
        prepared = f"read -r _ && hostname {node} && exec slurmd -D -N {node}"
        spaces = ("--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        process = self._spawn(node, "unshare", *spaces, "sh", "-c", prepared, stdin=subprocess.PIPE)
        self._connect(node, process.pid)
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.close()

    def kill_node(self, node: str) -> None:
        """A node fails, with all that runs on it."""
        process = self._processes.pop(node)
        process.kill()
        process.wait()
        subprocess.run(["ip", "link", "del", f"to-{node}"], capture_output=True, check=False)

    def stop(self) -> None:
        """Ends everything, by process number."""
        for name in reversed([*self._processes]):
            process = self._processes.pop(name)
            process.send_signal(signal.SIGKILL if name in NODES else signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # -- jobs ---------------------------------------------------------------------------------------------------

    def submit(self, *arguments: str, **environment: str) -> str:
        """Submits a batch job from the folder; its number."""
        said = run("sbatch", "--parsable", *arguments, env={**self.environment, **environment}, cwd=self.folder)
        return said.strip()

    def states(self, job: str) -> list[str]:
        """The states of a job, of an array of each task."""
        told = self._say("scontrol", "--oneliner", "show", "job", job).split()
        return [word.partition("=")[2] for word in told if word.startswith("JobState=")]

    def wait(self, job: str) -> list[str]:
        """The states of a job when it has ended."""
        wait_for(lambda: all(state in ENDED for state in self.states(job)), f"job {job}")
        return self.states(job)

    def wait_until(self, job: str, state: str) -> None:
        wait_for(lambda: self.states(job) == [state], f"job {job} {state}")

    def cancel(self, job: str, *options: str) -> None:
        run("scancel", *options, job, env=self.environment)

    def node_of(self, job: str) -> str:
        """The node that a job runs on."""
        told = self._say("scontrol", "--oneliner", "show", "job", job).split()
        return next(word.partition("=")[2] for word in told if word.startswith("BatchHost="))

    def _say(self, *command: str) -> str:
        return run(*command, env=self.environment)

    # -- what it is made of ---------------------------------------------------------------------------------------

    def _spawn(self, name: str, *command: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.out").open("ab") as log:
            process = subprocess.Popen(command, env=self.environment, stdin=stdin, stdout=log, stderr=log)
        self._processes[name] = process
        return process

    def _write_configuration(self) -> None:
        nodes = [f"NodeName={name} NodeAddr={name} CPUs=8 RealMemory=1000 State=UNKNOWN\n" for name in NODES]
        partition = f"PartitionName=all Nodes={','.join(NODES)} Default=YES MaxTime=60 State=UP\n"
        text = CONFIGURATION.format(folder=self.folder, login=LOGIN) + "".join(nodes) + partition
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        names = {"localhost": "127.0.0.1", "login": LOGIN, **NODES}
        (self.folder / "hosts").write_text("".join(f"{address} {name}\n" for name, address in names.items()))

    def _make_network(self) -> None:
        run("mount", "--bind", str(self.folder / "hosts"), "/etc/hosts")
        run("hostname", "login")
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "cluster", "type", "bridge")
        run("ip", "addr", "add", f"{LOGIN}/24", "dev", "cluster")
        run("ip", "link", "set", "cluster", "up")

    def _connect(self, node: str, pid: int) -> None:
        spaces = Path(f"/proc/{pid}/ns/net")
        wait_for(lambda: spaces.readlink() != Path("/proc/self/ns/net").readlink(), f"the namespaces of {node}")
        run("ip", "link", "add", f"to-{node}", "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        run("ip", "link", "set", f"to-{node}", "master", "cluster", "up")
        inside = f"ip link set lo up && ip addr add {NODES[node]}/24 dev eth0 && ip link set eth0 up"
        run("nsenter", "--net", "-t", str(pid), "sh", "-c", inside)
