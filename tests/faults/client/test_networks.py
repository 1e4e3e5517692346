"""Networks that are cut, and servers that come and go: all arrives by itself, once."""

from __future__ import annotations

import random
import time

from tests.faults.client.trials import BEFORE_EXIT, BUSY
from tests.faults.network import own_network
from tests.faults.proxy import Proxy, keeping

SEED = 20260726
QUICK = {"timeout": 1, "interval": 0.02, "batch_records": 20}


def test_a_server_that_flaps(trial, clean, ledger, tries):
    """It refuses connections and breaks those that are open, in the middle of requests and answers."""
    chance = random.Random(SEED)
    flaps = tries(10, 100)
    run = trial.start(
        "plain", "--count", str(flaps * 50), "--pause", "0.004", "--ending", "tell", "--flush", "60", **QUICK
    )
    run.began()
    for _ in range(flaps):
        time.sleep(chance.uniform(0.02, 0.15))
        trial.proxy.down()
        time.sleep(chance.uniform(0.02, 0.15))
        trial.proxy.up()
    ended = run.wait()
    assert ended.code == 0, ended
    found = trial.account()
    assert found.delivered.keys() >= found.accepted  # by itself
    row = ledger.row("server that goes and comes back")
    found.add_to(row, flaps)
    found.check()
    row.note = f"{trial.same_graph(clean)} triples, as with no fault"


def test_a_network_that_is_cut(trial, clean, ledger, tries):
    """Packets vanish: open connections stall instead of breaking. After the last cut the script ends in time, its records on disk."""
    row = ledger.row("network cut, in a namespace of its own")
    with own_network() as network, Proxy(trial.services.tracker_url, network.listener) as proxy:
        proxy.behave(keeping(trial.records))
        run = trial.start(
            "plain",
            "--count",
            "100000",
            "--pause",
            "0.004",
            "--exit-on-term",
            wrap=network.wrap,
            url=proxy.url,
            **QUICK,
        )
        run.began(20)
        cuts = tries(3, 30)
        for _ in range(cuts):
            network.cut()
            time.sleep(0.3)
            captured = run.records()
            time.sleep(0.4)
            assert run.records() > captured  # capture goes on
            network.restore()
            sent = len(trial.records)
            deadline = time.monotonic() + 30
            while len(trial.records) == sent:
                assert time.monotonic() < deadline, "nothing is sent after the cut"
                time.sleep(0.02)
        network.cut()
        time.sleep(0.2)
        run.process.terminate()
        ended = run.wait()
        assert ended.seconds <= BEFORE_EXIT + BUSY
        assert "were not sent and are kept in" in ended.errors
    before = trial.account()
    assert not before.missing
    assert before.on_disk
    trial.settle_account(row)
    row.tries = cuts + 1
    row.note = f"{trial.same_graph(clean)} triples, as with no fault; end after {ended.seconds:.1f} s while it is cut"
