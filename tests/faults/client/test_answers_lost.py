"""Answers that are lost after the tracker has committed: what is sent again appears once."""

from __future__ import annotations

import secrets

from tests.faults.proxy import Behaviour, Proxy, Reply, Request, keeping, losing_answers, plain_body

SMALL = {"batch_records": 8, "interval": 0.01}
LOST = 0.3


def with_new_identities() -> Behaviour:
    """What would happen if a record's identity were made when it is sent: each sending has a producer of its own."""

    def behave(proxy: Proxy, request: Request) -> Reply:
        body = plain_body(request)
        known = body.partition(b'"producer":"')[2][:32]
        headers = {
            name: text for name, text in request.headers.items() if name not in ("content-encoding", "content-length")
        }
        return proxy.forward(
            request._replace(body=body.replace(known, secrets.token_hex(16).encode()), headers=headers)
        )

    return behave


def capture(trial, tries, count):
    for _ in range(tries):
        run = trial.start(
            "plain", "--count", str(count), "--pause", "0.002", "--ending", "tell", "--flush", "60", **SMALL
        )
        assert run.wait().code == 0


def test_answers_lost_after_the_commit_double_nothing(trial, clean, ledger, tries):
    trial.proxy.behave(losing_answers(LOST, 1, keeping(trial.records)))
    capture(trial, tries(2, 50), 150)
    row = ledger.row("30 % of the answers lost after the commit")
    found = trial.settle_account(row)
    assert found.delivered.keys() >= found.accepted
    sent = trial.proxy.counts["requests"]
    answered = trial.proxy.counts["200"]
    assert answered < 0.9 * sent
    row.note = f"{sent - answered} of {sent} answers lost; the same graph as with no fault"
    trial.same_graph(clean)


def test_control_with_new_identities_on_each_sending_there_are_duplicates(trial, ledger):
    trial.proxy.behave(losing_answers(LOST, 1, with_new_identities()))
    capture(trial, 1, 150)
    duplicated = trial.account().duplicated
    assert duplicated > 0
    ledger.row("30 % of the answers lost after the commit").note += f"; control, new identities: {duplicated} doubled"
