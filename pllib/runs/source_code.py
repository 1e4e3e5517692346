"""The state of the source code: which commit of which repository, what was changed since, and the script that was started.

``git`` is run to read only: with no shell, a time limit, no lock, hook, monitor, external diff, prompt or network, whatever the
configuration of the repository says. A repository is known by its remote, with no credentials in it.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from typing import Any, Dict, List, NamedTuple, Optional

from ..masking import masked_text
from ..provml.repositories import repository_name

SECONDS = 10.0
"""What all commands together may take."""
MAX_DIFF = 100_000_000
BLOCK = 1 << 20
READ_ONLY = {
    "core.fsmonitor": "false", "core.hooksPath": os.devnull, "core.untrackedCache": "false", "diff.external": "",
    "protocol.allow": "never", "submodule.recurse": "false", "credential.helper": "",
}  # fmt: skip
ARGUMENTS = (
    "--no-pager",
    "--no-optional-locks",
    *(word for item in READ_ONLY.items() for word in ("-c", "=".join(item))),
)
ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_NO_REPLACE_OBJECTS": "1", "GIT_PAGER": "cat",
    "GIT_TRACE2": "0", "LC_ALL": "C",
}  # fmt: skip
DIFF = (
    "diff",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--binary",
    "--full-index",
    "--ignore-submodules=dirty",
    "HEAD",
    "--",
)
Facts = Dict[str, Any]


class Unknown(Exception):
    """Something about the code cannot be told; the text says why."""


class Code(NamedTuple):
    """A repository's state, and what is said of it.

    Attributes:
        repository: the remote with no scheme and credentials (``example.org/lab/code``), else the folder's name.
        commit: the commit that is checked out.
        script: path of the entry script in the repository, ``None`` when it is not in there.
        facts: ``dirty``, ``diff_sha256``, ``branch``, ``remote``, and ``incomplete``, which says what could not be told.
    """

    repository: str
    commit: str
    script: Optional[str]
    facts: Facts

    @property
    def version(self) -> str:
        """The commit, and for changed code a mark of the changes: another state of the code is another version."""
        if "incomplete" in self.facts:
            return f"{self.commit}+unknown"
        return f"{self.commit}+{self.facts['diff_sha256'][:16]}" if self.facts.get("dirty") else self.commit


def entry_script() -> Optional[str]:
    """Absolute path of the script or module that this process was started with; ``None`` in a notebook or shell."""
    path = getattr(sys.modules.get("__main__"), "__file__", None) or (sys.argv[0] if sys.argv else "")
    try:
        return os.path.abspath(path) if path and os.path.isfile(path) else None
    except OSError:  # the folder that it is seen from was removed
        return None


def code_state(script: Optional[str], folder: str) -> Code:
    """The state of the repository that a script lies in (with no script, the folder).

    Raises:
        Unknown: there is no repository, no commit in it, or no usable ``git``.
    """
    git = _Git(os.path.dirname(script) if script else folder)
    top = git.line("rev-parse", "--show-toplevel")
    git.folder = top
    commit = git.line("rev-parse", "--verify", "HEAD^{commit}")
    facts: Facts = {}
    branch = git.optional("symbolic-ref", "--quiet", "--short", "HEAD")
    if branch:
        facts["branch"] = branch[:500]
    address = _remote(git)
    if address:
        facts["remote"] = address
    inside = _inside(top, script)
    if inside is not None and not git.optional("ls-files", "--error-unmatch", "--", f":(top,literal){inside}"):
        facts["script_untracked"] = True
    facts.update(_changes(git))
    return Code(repository_name(address) or os.path.basename(top) or "repository", commit, inside, facts)


def _inside(top: str, script: Optional[str]) -> Optional[str]:
    if script is None:
        return None
    inside = os.path.relpath(os.path.realpath(script), os.path.realpath(top)).replace(os.sep, "/")
    return None if inside.startswith("../") or os.path.isabs(inside) else inside


def _changes(git: _Git) -> Facts:
    """Whether files that are tracked differ from the commit, and a digest of how."""
    import tempfile

    try:
        with tempfile.TemporaryDirectory(prefix="pllib-") as folder:
            git.index = _copied_index(git, folder)
            digest = git.digest(*DIFF)
    except (Unknown, OSError) as error:
        return {"incomplete": str(error)}
    return {"dirty": False} if digest is None else {"dirty": True, "diff_sha256": digest}


def _copied_index(git: _Git, folder: str) -> Optional[str]:
    """A copy of the index, since ``git diff`` writes down in it what it finds out about files."""
    index, copy = os.path.join(git.folder, git.line("rev-parse", "--git-path", "index")), os.path.join(folder, "index")
    try:
        state = os.stat(index)
        with open(index, "rb") as file, open(copy, "wb") as copied:
            copied.write(file.read())
    except FileNotFoundError:
        return None
    # By its time git knows which files may have changed since it was written.
    os.utime(copy, ns=(state.st_atime_ns, state.st_mtime_ns))
    return copy


def _remote(git: _Git) -> Optional[str]:
    """The address of ``origin``, else of the first remote, with no credentials."""
    told = git.optional("config", "--get-regexp", r"^remote\..*\.url$") or ""
    addresses: Dict[str, str] = {}
    for line in told.splitlines():
        key, _, address = line.partition(" ")
        addresses.setdefault(key[len("remote.") : -len(".url")], address)
    address = addresses.get("origin") or next(iter(addresses.values()), "")
    return without_credentials(address)[:1000] if address else None


def without_credentials(address: str) -> str:
    """A remote's address with no user, password, query or fragment: ``https://example.org/lab/code.git``, ``example.org:lab/code.git``."""
    scheme, sign, rest = address.partition("://")
    if not sign:
        # The short form of ssh has a host before the first colon; anything else is a path.
        host, colon, path = address.partition(":")
        return masked_text(f"{host.rpartition('@')[2]}:{path}" if colon and "/" not in host else address)
    rest = rest.partition("?")[0].partition("#")[0]
    authority, slash, path = rest.partition("/")
    return masked_text(f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}")


class _Git:
    """Runs ``git`` in a folder, until the time is over."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.index: Optional[str] = None
        self._until = time.monotonic() + SECONDS
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self._clean = {**clean, **ENVIRONMENT}

    def line(self, *arguments: str) -> str:
        """What a command prints, without the last line's end. Raises ``Unknown`` when it fails."""
        import subprocess

        try:
            done = subprocess.run(  # noqa: S603 - no shell, and no argument begins with what others wrote
                self._command(arguments),
                env=self._environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self._left(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unknown(f"git {arguments[0]} took longer than there was time for") from None
        except OSError as error:
            raise Unknown(f"git cannot be run: {error.strerror or error}") from error
        if done.returncode:
            raise Unknown(_reason(done.stderr))
        return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def optional(self, *arguments: str) -> Optional[str]:
        """The same, ``None`` when it fails."""
        try:
            return self.line(*arguments)
        except Unknown:
            return None

    def digest(self, *arguments: str) -> Optional[str]:
        """SHA-256 of what a command prints, ``None`` when that is nothing. Raises ``Unknown`` when it fails, or prints without end."""
        import subprocess
        import threading

        with subprocess.Popen(  # noqa: S603 - as above
            self._command(arguments),
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            timer = threading.Timer(self._left(), process.kill)
            timer.daemon = True
            timer.start()
            try:
                read, digest = _digest(process.stdout)
                if read > MAX_DIFF:
                    raise Unknown(f"the changes are larger than {MAX_DIFF} bytes")
                if process.wait(self._left()):
                    raise Unknown(f"git {arguments[0]} failed, or took too long")
            finally:
                timer.cancel()
                process.kill()
        return digest if read else None

    def _command(self, arguments: Any) -> List[str]:
        return ["git", *ARGUMENTS, "-C", self.folder, *arguments]

    @property
    def _environ(self) -> Dict[str, str]:
        return self._clean if self.index is None else {**self._clean, "GIT_INDEX_FILE": self.index}

    def _left(self) -> float:
        return max(0.1, self._until - time.monotonic())


def _digest(stream: Any) -> Any:
    digest, read = hashlib.sha256(), 0
    while read <= MAX_DIFF:
        block = stream.read(BLOCK)
        if not block:
            break
        digest.update(block)
        read += len(block)
    return read, digest.hexdigest()


def _reason(said: bytes) -> str:
    lines = said.decode("utf-8", "backslashreplace").strip().splitlines()
    return masked_text(lines[0][:300]) if lines else "git failed and did not say why"
