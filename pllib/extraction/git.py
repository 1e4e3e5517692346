"""The history of a git repository in one pass of git's own output, as a stream.

``git log`` writes commits, oldest first, with their changes: for a commit with one parent those against it, for a root
commit all files, for a merge only what differs from every parent. Names of files are bytes between NULs, so any path is
read right. No forge is asked and nothing of the repository is run: no hook, filter, external diff, monitor or signature check.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from datetime import datetime, timedelta, timezone
from typing import IO, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..provml.repositories import repository_name
from ..runs.source_code import ARGUMENTS, ENVIRONMENT, without_credentials
from .errors import ExtractionError

SUBMODULE = "160000"
MAX_MESSAGE = 100_000
"""Characters of a commit's message that are kept."""
SECONDS = 60.0
"""For what git answers at once."""
_BLOCK = 1 << 16
_MARK = b"\x01"
_FORMAT = "--format=%x01" + "%x00".join(("%H", "%P", "%an", "%ae", "%ad", "%cn", "%ce", "%cd", "%B"))
_FIELDS = 9
_LOG = (
    "-c", "log.showSignature=false", "-c", "log.showRoot=true", "-c", f"diff.orderFile={os.devnull}",
    "log", "--all", "--reverse", "--topo-order", "--root", "-c", "--combined-all-paths", "--raw", "--no-abbrev",
    "-M", "-C", "-z", "--date=raw", "--encoding=UTF-8", "--no-notes", "--no-mailmap", "--no-color",
    "--no-ext-diff", "--no-textconv", "--ignore-submodules=none",
)  # fmt: skip


class Person(NamedTuple):
    """Who wrote or committed."""

    name: str
    email: str


class Side(NamedTuple):
    """What a changed file was before: path, digest of its content, and what became of it (``A``, ``M``, ``R``, ``C``, ``T``, ``D``)."""

    path: str
    blob: str
    status: str


class Change(NamedTuple):
    """A file that a commit changed.

    Attributes:
        status: ``A`` added, ``M`` modified, ``T`` its type changed, ``R`` renamed, ``C`` copied, ``D`` deleted; of a merge, which changes
            it against each parent, the first of these that is not ``M``.
        path: where it is now (deleted: was).
        mode: ``160000`` for a submodule, whose ``blob`` is then a commit of another repository.
        before: one a parent, ``None`` where the file was not there.
    """

    status: str
    path: str
    mode: str
    blob: str
    before: Tuple[Optional[Side], ...]


class Commit(NamedTuple):
    """A commit; times are ``xsd:dateTime`` with the zone that was recorded, ``None`` where they are none."""

    sha: str
    parents: Tuple[str, ...]
    author: Person
    authored: Optional[str]
    committer: Person
    committed: Optional[str]
    message: str
    changes: Sequence[Change]

    @property
    def title(self) -> str:
        return self.message.partition("\n")[0]


class Repository:
    """A repository, by a folder in it (or its ``.git``, or a bare one).

    Raises:
        ExtractionError: there is none, or no usable ``git``.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self._environment = {**clean, **ENVIRONMENT}
        if not os.path.isdir(folder):
            raise ExtractionError(f"{folder}: there is no such folder; give the path of a git repository")
        self._git_folder = self._line("rev-parse", "--absolute-git-dir")
        self.remote = self._remote()
        self.name = repository_name(self.remote) or self._folder_name()

    def commits(self) -> Iterator[Commit]:
        """All commits of all branches and tags, parents before their children. They are read as they are asked for."""
        if not self._has_commits():
            return
        # A detached head may be on no branch.
        yield from _parsed(self._output([*_LOG, _FORMAT, "--end-of-options", *self._detached()]))

    def count(self) -> int:
        """How many commits there are."""
        if not self._has_commits():
            return 0
        return int(self._line("rev-list", "--count", "--all", *self._detached()))

    def blobs(self, asked: Sequence[Tuple[str, str]]) -> List[Optional[str]]:
        """For each pair of commit and path the digest of the file that was there, ``None`` where there was none."""
        plain = [pair for pair in asked if _one_line(pair)]
        answers = iter(self._batch([f"{commit}:{path}" for commit, path in plain]))
        return [next(answers) if _one_line(pair) else None for pair in asked]

    # -- running git ----------------------------------------------------------------------------------------------

    def _folder_name(self) -> str:
        folder = self._git_folder
        while os.path.basename(folder) in (".git", ""):
            folder = os.path.dirname(folder)
        name = os.path.basename(folder)
        return name[: -len(".git")] if name.endswith(".git") else name

    def _remote(self) -> Optional[str]:
        """The address of ``origin``, else of the first remote, with no credentials."""
        done = self._run("config", "--get-regexp", r"^remote\..*\.url$")
        addresses: Dict[str, str] = {}
        for line in _text(done.stdout).splitlines():
            key, _, address = line.partition(" ")
            addresses.setdefault(key[len("remote.") : -len(".url")], address)
        address = addresses.get("origin") or next(iter(addresses.values()), "")
        return without_credentials(address) if address else None

    def _has_commits(self) -> bool:
        return bool(self._run("rev-list", "--max-count=1", "--all", *self._detached()).stdout)

    def _detached(self) -> List[str]:
        return ["HEAD"] if not self._run("rev-parse", "--verify", "--quiet", "HEAD^{commit}").returncode else []

    def _line(self, *arguments: str) -> str:
        done = self._run(*arguments)
        if done.returncode:
            raise self._failed(arguments[0], done.stderr)
        return _text(done.stdout).rstrip("\n")

    def _run(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # noqa: S603 - no shell, and no argument begins with what others wrote
                self._command(arguments),
                env=self._environment,
                input=given,
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ExtractionError(f"{self.folder}: git {arguments[0]} took longer than {SECONDS:.0f} s") from error
        except OSError as error:
            raise ExtractionError(f"git cannot be run: {error.strerror or error}") from error

    def _batch(self, names: Sequence[str]) -> List[Optional[str]]:
        if not names:
            return []
        given = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
        lines = self._run("cat-file", "--batch-check", given=given).stdout.split(b"\n")
        # A name that is not there is repeated, with "missing" after it.
        parts = [line.split(b" ") for line in lines[: len(names)]]
        return [part[0].decode("ascii") if len(part) == 3 and part[1] == b"blob" else None for part in parts]

    def _output(self, arguments: Sequence[str]) -> Iterator[bytes]:
        """What git writes, in blocks; it is ended when nobody reads on."""
        with tempfile.TemporaryFile() as told:
            try:
                process = subprocess.Popen(  # noqa: S603 - as above
                    self._command(arguments),
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=told,
                )
            except OSError as error:
                raise ExtractionError(f"git cannot be run: {error.strerror or error}") from error
            try:
                yield from _blocks(process.stdout)
                if process.wait():
                    told.seek(0)
                    raise self._failed("log", told.read(10_000))
            finally:
                process.kill()
                process.wait()
                if process.stdout:
                    process.stdout.close()

    def _command(self, arguments: Sequence[str]) -> List[str]:
        return ["git", *ARGUMENTS, "-C", self.folder, *arguments]

    def _failed(self, command: str, told: bytes) -> ExtractionError:
        lines = _text(told).strip().splitlines()
        return ExtractionError(
            f"{self.folder}: git {command} failed: {lines[0][:300] if lines else 'it did not say why'}"
        )


def _blocks(stream: Optional[IO[bytes]]) -> Iterator[bytes]:
    if stream is not None:
        yield from iter(lambda: stream.read(_BLOCK), b"")


def _one_line(pair: Tuple[str, str]) -> bool:
    return "\n" not in pair[1] and pair[0].isalnum()


# -- what git log writes ------------------------------------------------------------------------------------------


def _parsed(blocks: Iterator[bytes]) -> Iterator[Commit]:
    tokens = _tokens(blocks)
    token = next(tokens, None)
    while token is not None:
        header = [token.lstrip(b"\n")[len(_MARK) :], *(next(tokens) for _ in range(_FIELDS - 1))]
        changes: List[Change] = []
        token = next(tokens, None)
        while token is not None and not token.lstrip(b"\n").startswith(_MARK):
            if token.strip(b"\n"):
                changes.append(_change(token.lstrip(b"\n"), tokens))
            token = next(tokens, None)
        yield _commit(header, changes)


def _tokens(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """What stands between NULs."""
    parts: List[bytes] = []
    for block in blocks:
        first, *more = block.split(b"\0")
        parts.append(first)
        if more:
            yield b"".join(parts)
            yield from more[:-1]
            parts = [more[-1]]
    if any(parts):
        yield b"".join(parts)


def _change(line: bytes, tokens: Iterator[bytes]) -> Change:
    """One line such as ``:100644 100644 {before} {after} M``, of a merge with one colon, mode and digest more a parent."""
    parents = len(line) - len(line.lstrip(b":"))
    words = line[parents:].decode("ascii").split(" ")
    modes, blobs, statuses = words[: parents + 1], words[parents + 1 : -1], words[-1]
    if parents == 1:
        first = _text(next(tokens))
        moved = statuses[0] in "RC"
        paths = [first, _text(next(tokens)) if moved else first]
        kinds = [statuses[0]]
    else:
        paths = [_text(next(tokens)) for _ in range(parents + 1)]
        kinds = list(statuses)
    before = tuple(
        None if _is_nothing(blob) else Side(path, blob, kind) for path, blob, kind in zip(paths, blobs, kinds)
    )
    gone = _is_nothing(blobs[-1])
    status = "D" if gone else next((kind for kind in kinds if kind != "M"), "M")
    return Change(status, paths[0] if gone else paths[-1], modes[0] if gone else modes[-1], blobs[-1], before)


def _is_nothing(blob: str) -> bool:
    return not blob.strip("0")


def _commit(header: List[bytes], changes: List[Change]) -> Commit:
    sha, parents, name, email, authored, committer, committer_email, committed, message = map(_plain, header)
    return Commit(
        sha,
        tuple(parents.split()),
        Person(name, email),
        time_text(authored),
        Person(committer, committer_email),
        time_text(committed),
        message.strip("\n")[:MAX_MESSAGE],
        changes,
    )


def time_text(raw: str) -> Optional[str]:
    """A time of git's (``1795283428 +0200``) with its zone; zones that XML Schema has no form for become UTC."""
    seconds, _, zone = raw.partition(" ")
    try:
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5])) * (-1 if zone[:1] == "-" else 1)
        if abs(offset) > timedelta(hours=14):
            offset = timedelta()
        return datetime.fromtimestamp(int(seconds), timezone(offset)).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


def _text(content: bytes) -> str:
    """A path, of which bytes that are no UTF-8 stay what they are."""
    return content.decode("utf-8", "surrogateescape")


def _plain(content: bytes) -> str:
    return content.decode("utf-8", "replace")
