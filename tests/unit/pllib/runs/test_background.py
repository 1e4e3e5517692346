"""Jobs in the background: done in order, waited for, stopped, and forgotten in forked children."""

from __future__ import annotations

import os
import threading
import time

from pllib import _boundary
from pllib.runs import background
from pllib.runs.background import Jobs


def test_jobs_are_done_in_order_and_off_this_thread():
    jobs, done = Jobs(), []
    for number in range(5):
        jobs.put(lambda _, number=number: done.append((number, threading.current_thread())))
    assert jobs.wait(30)
    assert [number for number, _ in done] == list(range(5))
    assert threading.current_thread() not in {thread for _, thread in done}


def test_a_job_that_fails_is_counted_and_the_next_is_done():
    jobs, done = Jobs(), []
    jobs.put(lambda _: 1 / 0)
    jobs.put(lambda _: done.append(1))
    assert jobs.wait(30)
    assert done == [1]
    assert _boundary.swallowed.pop("_do") == 1


def test_waiting_has_an_end():
    jobs, free = Jobs(), threading.Event()
    jobs.put(lambda _: free.wait(30))
    assert not jobs.wait(0.01)
    free.set()
    assert jobs.wait(30)


def test_stopping_tells_the_one_that_is_done_and_those_that_wait():
    jobs, told = Jobs(), []

    def slow(jobs):
        while jobs.go_on():
            time.sleep(0.001)
        told.append("slow")

    jobs.put(slow)
    jobs.put(lambda jobs: told.append(jobs.go_on()))
    jobs.stop(0.01)
    assert told == ["slow", False]
    jobs.put(lambda jobs: told.append(jobs.go_on()))
    assert jobs.wait(30)
    assert told[-1] is True


def test_a_job_may_put_another_and_not_wait_for_itself():
    jobs, done = Jobs(), []

    def first(jobs):
        jobs.put(lambda _: done.append(2))
        done.append(jobs.wait(30))

    jobs.put(first)
    assert jobs.wait(30)
    assert done == [False, 2]


def test_a_forked_child_has_no_jobs_of_its_parents():
    free = threading.Event()
    background.jobs.put(lambda _: free.wait(30))
    pid = os.fork()
    if not pid:
        done = []
        background.jobs.put(lambda _: done.append(1))
        os._exit(0 if background.jobs.wait(10) and done == [1] else 1)
    free.set()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert background.jobs.wait(30)
