"""Servers that are away, silent, slow, busy or not what they seem: nothing is lost, and the script ends in time."""

from __future__ import annotations

import email.utils
import time
from contextlib import ExitStack
from functools import partial

import pytest

from tests.faults.client.trials import BEFORE_EXIT, BUSY, Account, Run, Trial, side_by_side
from tests.faults.ledger import Row
from tests.faults.proxy import (
    Behaviour,
    Proxy,
    alternating,
    answer,
    black_hole,
    dripping,
    hanging_up,
    keeping,
    raw,
)

JSON_LIKE = {"Content-Type": "application/json"}
TOMORROW = email.utils.formatdate(time.time() + 86_400, usegmt=True)
SOON = email.utils.formatdate(time.time() + 20, usegmt=True)

SILENT: dict[str, Behaviour | None] = {"down": None, "black hole": black_hole, "a byte a second": dripping(1.0)}
BUSY_ANSWERS: dict[str, Behaviour] = {
    f"429, Retry-After: {told}": answer(429, {"Retry-After": told})
    for told in ("1", "0", SOON, TOMORROW, "soon, I think", "-5", "nan", "inf", "1000000000", "9" * 400, "")
}
ODD_ANSWERS: dict[str, Behaviour] = {
    f"200 {body[:30]!r}": answer(200, JSON_LIKE, body)
    for body in (
        b"",
        b"<html>Welcome to the hotel</html>",
        b"[]",
        b"{}",
        b"null",
        b'{"accepted": 0, "rejected": 0, "results": []}',
        b'{"accepted": 1000000, "rejected": 0, "results": []}',
        b'{"accepted": "all", "rejected": "none", "results": "good"}',
        b'{"accepted": 6, "rejected": 0, "results": [1, 2]}',
        b'{"accepted": 6, "rejected": 0, "results": null}',
        b'{"accepted": true}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
    )
}
REDIRECTS: dict[str, Behaviour] = {
    f"{status}": answer(status, {"Location": "http://127.0.0.1:1/v1/captures"}) for status in (301, 302, 307, 308)
}
BROKEN: dict[str, Behaviour] = {
    "an answer cut in its body": raw(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"accepted": 6'),
    "an answer cut in its headers": raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "an answer in broken chunks": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{"),
    "a thousand times 100 Continue": raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "another protocol": raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "a line without an end": raw(b"HTTP/1.1 200 " + b"x" * 100_000),
    "a thousand headers": raw(b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 1000 + b"\r\n"),
    "nothing": raw(b""),
}


def ends(runs: dict[str, Run]) -> dict[str, float]:
    """Seconds that each run took to end after its last record."""
    seconds: dict[str, float] = {}

    def note(name: str) -> None:
        seconds[name] = runs[name].end_seconds()

    side_by_side([partial(note, name) for name in runs])
    return seconds


def try_states(trial: Trial, row: Row, states: dict[str, Behaviour | None], count: int) -> Account:
    """Runs a script against each state at once; what became of the records before anything is shipped."""
    runs: dict[str, Run] = {}
    with ExitStack() as stack:
        for name, behaviour in states.items():
            proxy = stack.enter_context(Proxy(trial.services.tracker_url))
            if behaviour is None:
                proxy.down()
            else:
                proxy.behave(behaviour)
            runs[name] = trial.start("plain", "--count", str(count), "--pause", "0.002", url=proxy.url)
        seconds = ends(runs)
        for name, run in runs.items():
            ended = run.wait()
            assert ended.code == 0, (name, ended)
            assert ended.errors.count("\n") == 1, (name, ended)  # what remains, and how to send it
            assert "were not sent and are kept in" in ended.errors, (name, ended)
    slowest = max(seconds, key=seconds.__getitem__)
    assert seconds[slowest] <= BEFORE_EXIT + BUSY, (slowest, seconds[slowest])
    row.note = f"{len(states)} kinds; end after {seconds[slowest]:.1f} s at most ({slowest})"
    found = trial.account()
    assert not found.missing
    return found


def test_silent_servers(trial, clean, ledger, tries):
    row = ledger.row("server away, silent, or a byte a second")
    for _ in range(tries(1, 10)):
        try_states(trial, row, SILENT, 50)
    trial.settle_account(row)
    row.note += f"; {trial.same_graph(clean)} triples, as with no fault"


@pytest.mark.parametrize(
    ("fault", "states"),
    [
        ("429 with any Retry-After", BUSY_ANSWERS),
        ("answers that are no tracker's", {**ODD_ANSWERS, **REDIRECTS, **BROKEN}),
    ],
    ids=["busy", "odd"],
)
def test_servers_that_take_nothing(trial, clean, ledger, tries, fault, states):
    row = ledger.row(fault)
    for _ in range(tries(1, 10)):
        assert not try_states(trial, row, states, 20).delivered  # nothing was thought to be delivered that was not
    trial.settle_account(row)
    row.note += f"; {trial.same_graph(clean)} triples, as with no fault"


def test_control_the_bound_of_the_end_is_seen_by_its_measure(trial, ledger):
    """The times above can be missed: the same silent server costs what the setting says."""
    trial.proxy.behave(black_hole)
    runs = {text: trial.start("plain", "--count", "5", exit_timeout=text) for text in ("0.5", "4")}
    seconds = ends(runs)
    assert seconds["4"] - seconds["0.5"] > 2
    ledger.row(
        "server away, silent, or a byte a second"
    ).note += "; control: the end takes longer with a larger setting"


@pytest.mark.parametrize(
    ("fault", "behaviour"),
    [
        ("503 on every second request", lambda keep: alternating(answer(503, {"Retry-After": "0"}), keep)),
        ("no answer to every second request", lambda keep: alternating(raw(b""), keep)),
        ("429 to every second request", lambda keep: alternating(answer(429, {"Retry-After": "0.2"}), keep)),
        ("connections closed while they are idle", lambda keep: hanging_up(keep)),
    ],
    ids=["503", "none", "429", "closed"],
)
def test_servers_that_take_some(trial, clean, ledger, tries, fault, behaviour):
    """All arrives by itself, with nothing shipped by hand."""
    trial.proxy.behave(behaviour(keeping(trial.records)))
    row = ledger.row(fault)
    for _ in range(tries(1, 20)):
        run = trial.start("plain", "--count", "100", "--pause", "0.003", "--ending", "tell", "--flush", "30")
        assert run.end_seconds() <= BEFORE_EXIT + BUSY + 30
        assert run.wait().code == 0
        assert run.stats()["waiting"] <= 2
    found = trial.account()
    found.add_to(row, trial.runs)
    found.check()
    assert found.delivered.keys() >= found.accepted
    row.note = f"{trial.proxy.counts['requests']} requests"


def test_an_idle_connection_that_was_closed_costs_nothing_at_the_end(trial, ledger):
    """The last records of a script that computed for long are taken although the server had hung up."""
    trial.proxy.behave(hanging_up(keeping(trial.records)))
    run = trial.start("plain", "--count", "4", "--pause", "0.5", interval=0.05)
    ended = run.wait()
    assert (ended.code, ended.errors) == (0, "")
    found = trial.account()
    assert found.delivered.keys() >= found.accepted
