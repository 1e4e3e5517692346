"""The launcher's small parts: restarts, ports, logs, the record, who a process is, the command line."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import commands, health, logs, ports, processes, state, stores
from deploy.__main__ import main
from deploy.errors import DeployError, FolderInUse, FolderUnusable, PortUnavailable, ServerMissing
from deploy.plan import Service
from deploy.processes import Identity, identify
from deploy.restarts import RestartPolicy
from deploy.state import Run, ServiceState


def service(name: str, port: int) -> Service:
    return Service(name, ("true",), port, f"--{name}-port")


def test_the_pauses_between_restarts_double_up_to_a_limit_and_end():
    policy = RestartPolicy(first_delay=1, longest_delay=4, ends_allowed=6)
    assert [policy.delay(ends) for ends in range(1, 7)] == [1, 2, 4, 4, 4, None]


def test_a_service_that_ran_well_for_a_while_begins_anew():
    policy = RestartPolicy(steady_after=30)
    assert policy.ends_in_a_row(3, ran_for=29) == 4
    assert policy.ends_in_a_row(3, ran_for=30) == 1


def test_a_port_that_is_listened_on_is_refused_by_name():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortUnavailable, match=f"port {port} .* wanted for the store, is in use") as refused:
            ports.require_free([service("store", port)])
    assert "--store-port PORT" in refused.value.fix
    ports.require_free([service("store", port)])


def test_one_port_for_two_services_is_refused(free_port):
    port = free_port()
    with pytest.raises(PortUnavailable, match=f"port {port} is given to both one and two"):
        ports.require_free([service("one", port), service("two", port)])


def test_a_log_is_begun_anew_once_it_is_large_and_old_ones_are_forgotten(tmp_path):
    (tmp_path / "logs").mkdir()
    for text in ("first", "second", "third", "fourth", "fifth"):
        log = logs.open_log(tmp_path, "tracker", max_bytes=5)
        os.write(log, text.encode())
        os.close(log)
    held = {path.name: path.read_text() for path in (tmp_path / "logs").iterdir()}
    assert held == {
        "tracker.log": "fifth",
        "tracker.log.1": "fourth",
        "tracker.log.2": "third",
        "tracker.log.3": "second",
    }


def test_a_small_log_is_continued(tmp_path):
    (tmp_path / "logs").mkdir()
    for text in ("a\n", "b\n"):
        log = logs.open_log(tmp_path, "store")
        os.write(log, text.encode())
        os.close(log)
    path = logs.log_path(tmp_path, "store")
    assert logs.tail(path) == ["a", "b"]
    assert logs.tail(path, lines=1) == ["b"]
    assert logs.tail(path, since=2) == ["b"]
    assert logs.tail(tmp_path / "none") == []


def test_the_record_comes_back_as_it_was_written(tmp_path):
    run = Run(
        "node1",
        Identity(12, "boot/1"),
        "ready",
        {"tracker": "http://127.0.0.1:1"},
        (
            ServiceState("store", Identity(13, "boot/2"), "http://127.0.0.1:2", "http://127.0.0.1:2/query"),
            ServiceState("tracker", None, "http://127.0.0.1:1", "http://127.0.0.1:1/health"),
        ),
    )
    state.write_run(tmp_path, run)
    assert state.read_run(tmp_path) == run
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    state.remove_run(tmp_path)
    state.remove_run(tmp_path)
    assert state.read_run(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 2}', '{"version": 1, "launcher": 3}'])
def test_a_record_that_cannot_be_read_is_none(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    assert state.read_run(tmp_path) is None


def test_the_folder_is_held_by_one_at_a_time(tmp_path):
    folder = tmp_path / "new" / "data"
    assert not state.held(folder)
    with state.folder_lock(folder):
        assert state.held(folder)
        with pytest.raises(FolderInUse, match="another launcher"), state.folder_lock(folder):
            pass
    assert not state.held(folder)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderUnusable, match="cannot be used"), state.folder_lock(tmp_path / "file" / "data"):
        pass


def test_a_process_is_known_until_it_ends_and_its_number_alone_is_not_enough():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        known = identify(child.pid)
        assert known is not None
        assert processes.alive(known)
        assert not processes.alive(Identity(child.pid, "another start"))
    finally:
        child.kill()
        # Ended but not yet waited for: gone as far as anyone can use it.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert identify(child.pid) is None
        child.communicate()
    assert identify(child.pid) is None


def test_how_a_process_ended_is_told_in_words():
    assert processes.describe_exit(3) == "exit code 3"
    assert processes.describe_exit(-9) == "signal SIGKILL"


def test_health_of_nobody_is_trouble(free_port):
    assert "does not answer yet" in (health.trouble(f"http://127.0.0.1:{free_port()}/health") or "")


def test_health_of_something_that_speaks_no_http_is_trouble():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert health.trouble(f"http://127.0.0.1:{other.getsockname()[1]}/health", 0.2)


def test_without_the_stores_program_the_way_to_get_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerMissing) as refused:
        stores.find_oxigraph(str(tmp_path / "python"))
    assert "pip install oxigraph" in refused.value.fix


def test_the_stores_program_beside_python_comes_first(tmp_path, monkeypatch):
    for folder in ("venv", "elsewhere"):
        (tmp_path / folder).mkdir()
        program = tmp_path / folder / "oxigraph"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    assert stores.find_oxigraph(str(tmp_path / "venv" / "python")) == str(tmp_path / "venv" / "oxigraph")
    assert stores.find_oxigraph(str(tmp_path / "python")) == str(tmp_path / "elsewhere" / "oxigraph")


def test_every_refusal_has_a_way_out_and_an_exit_code():
    def tree(root: type[DeployError]) -> list[type[DeployError]]:
        return [root, *(below for one in root.__subclasses__() for below in tree(one))]

    assert {one.exit_code for one in tree(DeployError)} == {2, 3}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["up", "--tracker-port", "0"], "not a port"),
        (["up", "--store-port", "65536"], "not a port"),
        (["up", "--store-port", "http"], "not a port"),
        (["up", "--store-url", "localhost:3030"], "not the address of a server"),
        (["up", "--store-url", "file:///etc"], "not the address of a server"),
        (["start"], "invalid choice"),
        ([], "required"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(arguments, told, capsys):
    with pytest.raises(SystemExit) as refused:
        main(arguments)
    assert refused.value.code == 2
    assert told in capsys.readouterr().err


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert "python -m deploy up --detach" in told
    assert "PLLIB_URL" in told


def test_the_data_folder_is_that_of_the_environment(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PLLIB_DATA", str(tmp_path / "mine"))
    assert main(["status"]) == 1
    assert str(tmp_path / "mine") in capsys.readouterr().out
    assert not Path(tmp_path / "mine").exists()


def test_an_announcement_that_another_stack_has_made_since_stays(tmp_path):
    file = tmp_path / "ready.json"
    ours, theirs = '{"tracker": "http://n1:1", "token": "a"}\n', '{"tracker": "http://n2:1", "token": "a"}\n'
    commands._announce(file, ours)
    assert file.stat().st_mode & 0o077 == 0
    file.write_text(theirs)
    commands._take_back(file, ours)
    assert file.read_text() == theirs
    commands._take_back(file, theirs)
    assert not file.exists()
    commands._take_back(file, theirs)
