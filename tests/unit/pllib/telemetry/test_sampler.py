"""The sampler: its schedule, its end, what it survives."""

from __future__ import annotations

import os
import threading
import time

import pytest

from pllib import _boundary
from pllib.errors import ConfigurationError
from pllib.telemetry import Sampler
from pllib.telemetry.sampler import Ticker

PATIENCE = 20.0
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.fixture(autouse=True)
def no_errors_kept():
    yield
    _boundary.swallowed.clear()


def wait_until(condition):
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.005)


def test_samples_come_at_once_and_go_on_until_the_last_one():
    seen = []
    sampler = Sampler(lambda readings, when: seen.append((when, {r.name for r in readings})), 0.1, ("cpu", "memory"))
    assert not sampler.running
    before = time.time_ns() // 1000
    with sampler:
        assert sampler.running
        wait_until(lambda: len(seen) >= 4)
        taken = len(seen)
    assert not sampler.running
    assert sampler.samples == len(seen) >= taken + 1, "the last is taken at the end"
    times = [when for when, _ in seen]
    assert times == sorted(times)
    assert before <= times[0]
    assert "cpu.percent" not in seen[0][1], "the first sample has no shares"
    assert "cpu.percent" in set.union(*(names for _, names in seen))
    time.sleep(0.25)
    assert sampler.samples == len(seen), "and none after that"


def test_a_short_activity_has_a_first_and_a_last_sample():
    seen = []
    with Sampler(lambda readings, when: seen.append(when), 3600, "memory"):
        pass
    assert len(seen) == 2


def test_the_end_does_not_wait_for_the_interval():
    began = time.monotonic()
    sampler = Sampler(lambda readings, when: None, 3600, "memory").start()
    wait_until(lambda: sampler.samples)
    sampler.stop()
    assert time.monotonic() - began < 3600
    assert not any(thread.name == "pllib-telemetry" for thread in threading.enumerate())


def test_a_sink_that_fails_is_counted_and_asked_again():
    def broken(readings, when):
        raise OSError("no room")

    sampler = Sampler(broken, 0.1, "memory").start()
    wait_until(lambda: sampler.failures >= 3)
    sampler.stop()
    assert sampler.samples == 0
    assert _boundary.swallowed["Sampler._sample"] == sampler.failures


def test_the_schedule_does_not_drift_and_skips_what_it_misses():
    """Each tick takes half of the interval; one takes more than two."""
    began, ticks = time.monotonic(), []

    def tick():
        ticks.append(time.monotonic() - began)
        time.sleep(0.55 if len(ticks) == 3 else 0.1)

    ticker = Ticker(tick, 0.2, at_once=True)
    ticker.start()
    wait_until(lambda: len(ticks) >= 8)
    ticker.stop()
    assert ticker.missed >= 2
    turns = int(ticks[-1] / 0.2)
    assert abs(turns - (len(ticks) - 1 + ticker.missed)) <= 1, (
        "intervals are counted from the start, not from the last tick"
    )


def test_a_ticker_may_wait_first():
    ticks = []
    ticker = Ticker(lambda: ticks.append(1), 3600)
    ticker.start()
    time.sleep(0.05)
    assert ticker.stop()
    assert ticks == []
    assert ticker.missed == 0


def test_a_sample_that_hangs_holds_the_end_up_for_a_bounded_time():
    held, entered = threading.Event(), threading.Event()

    def hang():
        entered.set()
        held.wait(PATIENCE)

    ticker = Ticker(hang, 0.1, at_once=True)
    ticker.start()
    assert entered.wait(PATIENCE)
    assert ticker.stop(timeout=0.05) is False
    held.set()


def test_a_sink_may_stop_its_sampler():
    sampler = Sampler(lambda readings, when: sampler.stop(), 0.1, "memory").start()
    wait_until(lambda: not sampler.running)
    assert sampler.samples == 1


@pytest.mark.parametrize("interval", [0, 0.05, -1, float("nan"), float("inf"), "often", None])
def test_an_interval_that_is_too_short_is_refused(interval):
    with pytest.raises(ConfigurationError, match="interval"):
        Sampler(lambda readings, when: None, interval)


def in_a_child(body):
    """Exit status of a forked child that runs ``body``."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if body() else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@FORKS
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_has_no_sampler_unless_it_starts_one():
    seen = []
    sampler = Sampler(lambda readings, when: seen.append(when), 0.1, "memory").start()
    wait_until(lambda: len(seen) >= 2)

    def child():
        if sampler.running:
            return False
        before = len(seen)
        sampler.stop()  # nothing of the parent's
        if len(seen) != before:
            return False
        sampler.start()
        wait_until(lambda: len(seen) >= before + 2)
        sampler.stop()
        return True

    assert in_a_child(child) == 0
    before = len(seen)
    wait_until(lambda: len(seen) >= before + 2)  # the parent's goes on
    sampler.stop()
