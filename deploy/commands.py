"""The launcher's commands, apart from their spelling: run a plan, stop it, tell how it is."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from deploy import health, plan, ports, processes, restore, state, stores
from deploy.errors import FolderInUse, FolderUnusable, NothingRuns, UsageError
from deploy.http_calls import Endpoint, with_token
from deploy.logs import log_path, open_log
from deploy.plan import Service, Settings
from deploy.processes import Identity
from deploy.restarts import RestartPolicy
from deploy.state import Run
from deploy.supervisor import TICK_SECONDS, Limits, Supervisor, Surroundings
from edge.errors import SettingsError
from edge.exposure import is_loopback, make_token, read_token
from edge.stores import DEFAULT_KIND, StoreAddress

CHECKOUT = Path(__file__).resolve().parent.parent
"""The folder that holds the services' packages; they are started in it."""

STOP_SECONDS = 60.0
"""How long `down` waits for a launcher to stop its services before it kills all of them."""

ANY_HOST = ("0.0.0.0", "::", "")  # noqa: S104

Report = Callable[[str], None]


def up(settings: Settings, report: Report, ready_file: Path | None = None) -> int:
    """Runs the whole stack until it is asked to stop; 0 then. Raises DeployError where it cannot be run."""
    store = None if settings.store_url else stores.find(stores.kind_for(settings.data, settings.store), report)
    services = plan.services(settings, sys.executable, store)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment.pop("PLLIB_TOKEN_FILE", None)  # the plan says who has one
    _require_token(settings)
    if store:  # what is set for another one must not lead there
        environment = {name: text for name, text in environment.items() if not name.startswith("PLLIB_STORE_")}
    kind = store.kind if store else settings.store_kind
    with state.folder_lock(settings.data):
        make_folders(plan.folders(settings, store))
        if store:
            store.prepare(settings.data)
        around = Surroundings(CHECKOUT, settings.data, environment)
        token_file = str(settings.token_file or "")
        return supervise(
            services, around, report, settings.store_url, ready_file, store_kind=kind, token_file=token_file
        )


def _require_token(settings: Settings) -> None:
    """The file of the token is there, where the settings name one. Raises UsageError where it cannot be, or must be named."""
    if settings.host in ANY_HOST:
        raise UsageError(
            f"--host {settings.host} is no address that others can be told",
            "give the name or IPv4 address by which they reach this machine",
        )
    if settings.token_file is None and not is_loopback(settings.host):
        raise UsageError(
            f"--host {settings.host} can be reached from other machines, and anyone who reaches it could use it",
            "add --token-file FILE; the file is made where it is not there",
        )
    if settings.token_file is not None:
        with _told_as_usage():
            make_token(settings.token_file)


def _read_token(file: str) -> str:
    with _told_as_usage():
        return read_token(file)


@contextlib.contextmanager
def _told_as_usage() -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        what, _, fix = str(error).rpartition(": ")
        raise UsageError(what, fix) from error


def make_folders(folders: Sequence[Path]) -> None:
    """The folders are there. Raises FolderUnusable where one cannot be made."""
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderUnusable(
            f"the folder {error.filename} cannot be made ({error.strerror})", "give another folder with --data DIR"
        ) from error


def supervise(
    services: Sequence[Service],
    around: Surroundings,
    report: Report,
    store_url: str | None = None,
    ready_file: Path | None = None,
    *,
    store_kind: str = DEFAULT_KIND,
    token_file: str = "",
    policy: RestartPolicy | None = None,
    limits: Limits | None = None,
) -> int:
    """Runs any plan in a data folder that the caller has locked, until SIGINT, SIGTERM or SIGHUP; 0 then.

    None of the plan's processes is left when this returns or raises. `ready_file` is there, and holds the addresses as
    JSON (and the token in `token_file`, where the services have one), while all services have been usable and the end
    was not asked for.
    """
    _end_leftovers(around.data, report)
    ports.require_free(services)
    urls = plan.addresses(services, store_url)
    token = _read_token(token_file)
    announced = _announcement(urls, token)
    record = _recorder(around.data, urls, store_kind, token_file)
    supervisor = Supervisor(
        services, around, report, changed=lambda: record("", supervisor), policy=policy, limits=limits
    )
    with _stopped_by_signals(supervisor):
        try:
            record("starting", supervisor)
            if supervisor.start():
                if "tracker" in urls:
                    restore.take_in_what_waits(around.data, with_token(urls["tracker"], token), report)
                report(ready_text(around.data, urls, token_file))
                record("ready", supervisor)
                if ready_file:
                    _announce(ready_file, announced)
                supervisor.watch()
        finally:
            if ready_file:
                _take_back(ready_file, announced)
            record("stopping", supervisor)
            supervisor.stop()
            state.remove_run(around.data)
    report("stopped")
    return 0


def _announcement(urls: Mapping[str, str], token: str) -> str:
    return json.dumps({**urls, **({"token": token} if token else {})}) + "\n"


def _announce(ready_file: Path, announced: str) -> None:
    try:
        state.write_whole(ready_file, announced, 0o600 if '"token"' in announced else 0o666)
    except OSError as error:
        raise FolderUnusable(
            f"the ready file {ready_file} cannot be written ({error.strerror})", "give another with --ready-file FILE"
        ) from error


def _take_back(ready_file: Path, announced: str) -> None:
    """Removes what we announced; not what another stack, which goes on elsewhere in our place, has written since."""
    with contextlib.suppress(OSError):
        if ready_file.read_text(encoding="utf-8") == announced:
            ready_file.unlink()


def ready_text(data: Path, urls: Mapping[str, str], token_file: str = "") -> str:
    """What a user wants to know once all services are usable."""
    lines = [
        ("tracker", "capture: export PLLIB_URL=", ""),
        ("query_engine", "look:    ", "/"),
        ("query_engine", "REST:    ", "/v1/executions"),
        ("query_engine", "SPARQL:  ", "/sparql"),
        ("query_engine", "API:     ", "/docs"),
    ]
    told = [f"  {label}{urls[name]}{path}" for name, label, path in lines if name in urls]
    if token_file:
        told.insert(1, f"  who calls needs the token: export PLLIB_TOKEN_FILE={token_file}")
    return "\n".join([f"ready; the data is in {data}", *told, "Ctrl-C, or `python -m deploy down`, stops all"])


def detach(arguments: Sequence[str], data: Path, report: Report) -> int:
    """Starts `up` with these arguments in the background and waits until it is ready: 0 then, else its exit code."""
    make_folders([data / "logs"])
    log = open_log(data, "launcher")
    came_from = os.fstat(log).st_size
    command = [sys.executable, "-m", "deploy", "up", *arguments]
    try:
        launcher = subprocess.Popen(  # noqa: S603  (our own command line again)
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=CHECKOUT, start_new_session=True
        )
    finally:
        os.close(log)
    with log_path(data, "launcher").open(encoding="utf-8", errors="replace") as told:
        told.seek(came_from)
        try:
            while launcher.poll() is None and not _is_ready(data, launcher.pid):
                _pass_on(told, report)
                time.sleep(TICK_SECONDS)
        except KeyboardInterrupt:
            launcher.terminate()
            launcher.wait()
        _pass_on(told, report)
    if launcher.poll() is not None:
        return launcher.returncode or 3
    # It goes on without us; Python must not warn that it is left.
    launcher.returncode = 0
    return 0


def _pass_on(told: TextIO, report: Report) -> None:
    text = told.read().rstrip("\n")
    if text:
        report(text)


def down(data: Path, report: Report) -> int:
    """Stops what runs on the data folder, and waits until it has ended; 0 also when nothing ran.

    Raises:
        FolderInUse: its launcher runs on another machine.
    """
    run = state.read_run(data)
    if run is None and not state.held(data):
        report(f"nothing is running on {data}")
        return 0
    if run is None or (state.held(data) and not _is_ours(run)):
        where = f"process {run.launcher.pid} on {run.host}" if run else "not known; it may be starting or ending"
        raise FolderInUse(
            f"the launcher of {data} cannot be stopped from here ({where})", "stop it there, or try again in a moment"
        )
    if processes.alive(run.launcher):
        report(f"stopping the launcher (process {run.launcher.pid}) and its services")
        _end(run.launcher, STOP_SECONDS, group=False)
    _end_leftovers(data, report)
    report("stopped")
    return 0


def running(data: Path) -> Run | None:
    """The stack that runs on the data folder; None when none does."""
    run = state.read_run(data)
    if run is None:
        return None
    runs = state.held(data) if run.host != state.host_name() else processes.alive(run.launcher)
    return run if runs else None


def address(data: Path, service: str, given: str | None, option: str) -> str:
    """Where a service answers: as given, else as the stack on the data folder says.

    Raises:
        NothingRuns: neither says it.
    """
    run = None if given else running(data)
    found = given or (run.urls.get(service) if run else None)
    if found is None:
        raise NothingRuns(
            f"no stack that runs on {data} tells where its {service} is",
            f"name its folder with --data DIR, or the {service} itself with {option} URL",
        )
    return found


def tracker(data: Path, given: str | None, token_file: Path | None) -> Endpoint:
    """The tracker: as given, else as the stack on the data folder says; with the token that it wants.

    Raises:
        NothingRuns: neither says where it is.
        UsageError: the file of the token cannot be read.
    """
    url = address(data, "tracker", given, "--tracker-url")
    run = None if given or token_file else running(data)
    return with_token(url, _read_token(str(token_file or "") or (run.token_file if run else "")))


def store_address(data: Path, url: str | None, kind: str) -> StoreAddress:
    """Where the store answers: as given, else as the stack on the data folder says.

    Raises:
        NothingRuns: neither says it.
        UsageError: the environment says more of it that makes no sense.
    """
    run = None if url else running(data)
    if run is None or all(service.name != "store" for service in run.services):  # an outside one
        return stores.outside(address(data, "store", url, "--store-url"), run.store_kind if run else kind)
    return StoreAddress(run.urls["store"], run.store_kind)


def own_database(data: Path, store: StoreAddress) -> Path | None:
    """The folder of a store's data, where the stack on the data folder runs that store."""
    run = running(data)
    found = next((each for each in run.services if each.name == "store"), None) if run else None
    if found is None or found.url != store.url:
        return None
    return data / stores.FOLDERS[store.kind]


def status(data: Path, report: Report) -> int:
    """Tells of the launcher and each service. 0 when all are usable, 1 when one is not or nothing runs."""
    run = running(data)
    if run is None:
        report(f"nothing is running on {data}")
        return 1
    report(f"launcher: process {run.launcher.pid} on {run.host}, {run.stage}; data in {data}")
    all_usable = run.stage == "ready"
    for service in run.services:
        trouble = health.trouble(service.health_url)
        all_usable = all_usable and trouble is None
        who = f"process {service.process.pid}" if service.process else "waiting to be started again"
        report(f"  {service.name:<13} {service.url}  {who}  {trouble or 'usable'}")
    return 0 if all_usable else 1


def _recorder(data: Path, urls: dict[str, str], store_kind: str, token_file: str) -> Callable[[str, Supervisor], None]:
    """Writes the run record; an empty stage keeps the last one."""
    launcher = processes.identify(os.getpid())
    assert launcher is not None  # noqa: S101  (we are running)
    last = ["starting"]

    def record(stage: str, supervisor: Supervisor) -> None:
        last[0] = stage or last[0]
        # A full disk must not end the services that still run.
        with contextlib.suppress(OSError):
            state.write_run(
                data, Run(state.host_name(), launcher, last[0], urls, supervisor.states(), store_kind, token_file)
            )

    return record


@contextlib.contextmanager
def _stopped_by_signals(supervisor: Supervisor) -> Iterator[None]:
    """Turns the signals that end a program into a request to stop, while the body runs."""
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    # nohup asks for a program that goes on after its terminal is closed.
    numbers = [n for n in numbers if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, lambda *_: supervisor.request_stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_ours(run: Run) -> bool:
    return run.host == state.host_name() and processes.alive(run.launcher)


def _is_ready(data: Path, launcher: int) -> bool:
    run = state.read_run(data)
    return run is not None and run.launcher.pid == launcher and run.stage == "ready"


def _end_leftovers(data: Path, report: Report) -> None:
    """Ends the services that a launcher of this machine left when it was killed, and removes its record.

    Where the kernel ends the services with their launcher (Linux) there are none.
    """
    run = state.read_run(data)
    if run is not None and run.host == state.host_name():
        for service in reversed(run.services):
            if service.process and processes.alive(service.process):
                report(f"ending {service.name} (process {service.process.pid}), left by a launcher that was killed")
                _end(service.process, Limits().stop, group=True)
    state.remove_run(data)


def _end(process: Identity, seconds: float, *, group: bool) -> None:
    """The process has ended, by SIGTERM or, after so many seconds, by SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not processes.alive(process):
            return
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(process.pid, number)
        processes.wait_until(lambda: not processes.alive(process), seconds)
