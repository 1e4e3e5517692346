"""A network of its own for a process under test, with a service in it, that can be cut like a cable.

Nothing but the loopback interface of that network namespace is touched; nobody else's traffic is.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator

from tests.faults.tools import missing, require_program, require_root

HOLDER = """
import os, socket, subprocess, sys
link = ["ip", "link", "set", "lo"]
subprocess.run([*link, "up"], check=True)
listener = socket.create_server(("127.0.0.1", 0), backlog=128)
with socket.socket(fileno=int(sys.argv[1])) as peer:
    socket.send_fds(peer, [b"x"], [listener.fileno()])
    while (word := peer.recv(8)):
        subprocess.run([*link, word.decode()], check=True)
        peer.send(b"x")
"""


class Network:
    """A network namespace; ``listener`` is a socket that listens in it, ``wrap`` begins commands that are to run in it."""

    def __init__(self, peer: socket.socket, listener: socket.socket, pid: int) -> None:
        self._peer = peer
        self.listener = listener
        self.wrap = ("nsenter", f"--net=/proc/{pid}/ns/net", "--")

    def cut(self) -> None:
        """Nothing gets through any more, neither over connections that are open."""
        self._tell(b"down")

    def restore(self) -> None:
        self._tell(b"up")

    def _tell(self, word: bytes) -> None:
        self._peer.send(word)
        assert self._peer.recv(1) == b"x"


@contextlib.contextmanager
def own_network() -> Iterator[Network]:
    """A network namespace that is there for a ``with`` block."""
    require_root()
    require_program("ip", "iproute2")
    require_program("nsenter", "util-linux")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = ["unshare", "--net", sys.executable, "-c", HOLDER, str(theirs.fileno())]
        holder = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, text=True)
        theirs.close()
        try:
            _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
            if not descriptors:
                missing(f"a network of its own is not permitted here: {holder.communicate()[1].strip()[-200:]}")
            yield Network(ours, socket.socket(fileno=descriptors[0]), holder.pid)
        finally:
            holder.kill()
            holder.communicate()
