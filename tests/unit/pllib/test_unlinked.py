"""Records that are made later, in mode ``memory``, are those that are made at once: to the last byte, whatever comes between."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pllib
from pllib import _boundary, activities, encoding, memory, packing, records, spool, this_process

ROOT = Path(__file__).parents[3]
NAMES: list[Any] = ["x", "y", "é", "", "n" * 600, 7, None]
numbers = st.sampled_from([0.0, -0.0, 1.0, 0.5, 1e16, float("nan"), float("inf"), 0, 1, -5, 2**63 - 1, 2**63, 10**400])
texts = st.sampled_from(["", "a", "b" * 900, "b" * 1001, "é\ud83d\ude00", "\ud800"])
plain = numbers | texts | st.booleans() | st.none()
mutable = (
    st.lists(numbers, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), plain, max_size=2) | st.just(b"b")
)
mappings = st.dictionaries(st.sampled_from(NAMES), plain, max_size=4) | st.dictionaries(
    st.sampled_from(NAMES), plain | mutable, max_size=4
)
steps = st.fixed_dictionaries(
    {
        "used": mappings,
        "generated": mappings,
        "later": mappings,
        "added": st.none() | mappings,
        "meta": st.sampled_from([{}, {}, {"m": 1}]),
        "fails": st.sampled_from([False, False, True]),
        "inside": st.booleans(),
        "person": st.sampled_from([None, None, "ana"]),
    }
)


class Clock:
    """Both clocks, each call a little later than the one before it."""

    def __init__(self) -> None:
        self.now = itertools.count(10**18, 1_234_567)

    def __call__(self) -> int:
        return next(self.now)


def script(program: list[dict[str, Any]]) -> None:
    with pllib.workflow("w") as wf:
        handle: Any = None
        for step in program:
            used = {**step["used"], **({"handle": handle} if handle is not None else {})}
            task = wf.task("t", used=used, person=step["person"])
            task.begin()
            for value in step["used"].values():
                if isinstance(value, list):
                    value.append("changed later")
            if step["inside"]:
                with task.task("inner", used=step["generated"], stage="training") as inner:
                    inner.generated(step["used"])
            if step["added"] is not None:
                task.add(used=step["added"], generated=step["added"])
            if step["later"]:
                task.used(step["later"])
            handles = task.generated(step["generated"])
            handle = next(iter(handles.values()), None)
            task.annotate(step["meta"])
            task.end(ValueError("no") if step["fails"] else None)


def captured(mode: str, folder: Path, program: list[dict[str, Any]], **chosen: Any) -> list[bytes]:
    """The records of a script but the producer's, with its id taken out."""
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("time_ns", "monotonic_ns"):
            patch.setattr(activities, name, clock)
        pllib.configure(mode=mode, spool=str(folder), url="http://127.0.0.1:9", exit_timeout=0.01, **chosen)
        script(json_copy(program))
        client = this_process.current()
        found = taken(client) if mode == "memory" else written(str(folder), client.producer)
        pllib.shutdown()
    return [payload.replace(client.producer.encode(), b"P") for payload in found if b'"op":"producer"' not in payload]


def json_copy(value: Any) -> Any:
    """The program anew, since running it changes its lists; scalars stay the very same."""
    if isinstance(value, dict):
        return {name: json_copy(item) for name, item in value.items()}
    return [json_copy(item) for item in value] if isinstance(value, list) else value


def taken(client: Any) -> list[bytes]:
    batch = client.sink.take(10**6, 10**9)
    return [packing.unpacked(payload) for payload in batch.payloads]


def written(folder: str, producer: str) -> list[bytes]:
    found = [
        frame.payload
        for number in spool.segments(folder, producer)
        for frame in spool.read_segment(folder, producer, number)
    ]
    return [payload for payload in found if payload is not None]


@pytest.fixture(autouse=True)
def own_settings() -> Iterator[None]:
    yield
    pllib.shutdown()
    this_process._arguments.clear()
    _boundary.strict = False
    _boundary.swallowed.clear()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, max_size=8))
def test_records_are_the_same_made_at_once_or_later(tmp_path, program):
    folder = tmp_path / os.urandom(4).hex()
    assert captured("memory", folder, program) == captured("disk", folder, program)


def test_the_program_is_one_that_waits_and_links():
    """Else the test above would show nothing."""
    many = [{"used": {"x": n / 7}, "generated": {"x": (n + 1) / 7}} for n in range(5)]
    pllib.configure(mode="memory", url="http://127.0.0.1:9", exit_timeout=0.01, strict=True)
    client = this_process.current()
    client._ships = False
    with pllib.workflow("w") as wf:
        for each in many:
            with wf.task("t", used=each["used"]) as task:
                task.generated(each["generated"])
        assert len(client.sink._unlinked) == 10  # type: ignore[union-attr]
        wf.task("t", used={"x": [1]}).begin()
        assert not client.sink._unlinked  # type: ignore[union-attr]
    assert sum(b'"links"' in payload for payload in taken(client)) == 4


def test_what_was_dropped_is_still_known(tmp_path):
    """As it is in the other modes: a value is that which the dropped record would have told of."""
    pllib.configure(mode="memory", url="http://127.0.0.1:9", exit_timeout=0.01, queue_records=4)
    client = this_process.current()
    client._ships = False
    with pllib.workflow("w") as wf:
        for n in range(6):
            with wf.task("t") as task:
                task.generated(x=n / 7)
        assert client.losses.dropped == {"full": 10}
        client.sink.done(client.sink.take(10, 10**6))  # type: ignore[union-attr, arg-type]
        wf.task("t", used={"x": 5 / 7}).begin()
        last = json.loads(taken(client)[-1])
    assert (last["op"], "used" in last, list(last["links"].values())) == ("begin", False, [["x"]])


FORKED = """
import os, pllib
from pllib import this_process
pllib.configure(mode="memory", url="http://127.0.0.1:9", exit_timeout=0.01)
with pllib.workflow("w") as wf:
    with wf.task("t") as task:
        task.generated(x=0.25)
    child = os.fork()
    if child == 0:
        wf.task("t", used={"x": 0.25}).begin()
        batch = this_process.current().sink.take(100, 10**6)
        os._exit(0 if any(b'"links"' in payload for payload in batch.payloads) else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_child_knows_what_was_generated_before(tmp_path):
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PLLIB_SPOOL": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", FORKED], env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_records_to_be_made_are_bounded_in_bytes_and_records():
    made = (lambda number: b'{"n":%d,"x":"%s"}' % (number, b"x" * (1000 - memory.ITEM_BYTES - 14))), (1,)
    by_records = memory.MemoryQueue("0" * 32, 10, 10**9, encoding.payload)
    by_bytes = memory.MemoryQueue("0" * 32, 10**9, 10_000, encoding.payload)
    assert sum(by_records.offer_unlinked(1000, *made) for _ in range(20)) == 10
    assert sum(by_bytes.offer_unlinked(1000, *made) for _ in range(20)) == 10
    for queue in (by_records, by_bytes):
        assert (queue.accepted, queue.waiting(), queue.ready()) == (10, 10, True)
        assert len(queue._unlinked) <= 6  # so that linking all of them at once never takes long
        queue.done(queue.take(100, 10**6))  # type: ignore[arg-type]
        assert queue.bytes_held() == queue._flying == queue.waiting() == 0
        assert queue.offer_unlinked(10, *made)
        queue.close()
        assert not queue.offer_unlinked(10, *made)
        assert queue.give_up() == 1


Make = Callable[[int], dict[str, Any]]
HELD: dict[str, Make] = {
    "nothing": lambda n: {},
    "numbers": lambda n: {f"x{k}": n + k / 7 for k in range(10)},
    "integers": lambda n: {f"x{k}": 10**6 * n + k for k in range(10)},
    "texts": lambda n: {f"x{k}": f"{n} {k}" + "😀" * 100 for k in range(3)},
    "names": lambda n: {f"{n} {k}" * 20: None for k in range(10)},
    "names that come twice": lambda n: {f"{n // 2} {k}": n + k / 7 for k in range(20)},
}


@pytest.mark.parametrize("shape", HELD)
@pytest.mark.parametrize("known", [False, True])
def test_the_estimate_is_no_less_than_what_is_held(shape, known, monkeypatch):
    import tracemalloc

    if not known:
        monkeypatch.setattr(records, "known", lambda names: None)
        monkeypatch.setattr(records, "learned", lambda names: None)

    queue = memory.MemoryQueue("0" * 32, 10**6, 10**9, encoding.payload)
    wf = "w/" + "0" * 32 + "-1"  # the same text for all that is in it

    def keep(n: int) -> None:
        used = dict(HELD[shape](n))
        size, held = records.kept(used, records.KEPT_BYTES)
        moment = (10**15 + n, 10**13 + n)
        who = ("task", wf, f"t/{n}", False)
        given = (None, (n + 10**6, moment, who, "", "", None), held)
        assert queue.offer_unlinked(size, records.begun, given)

    for n in (-2, -1, 0):
        keep(n)
    tracemalloc.start()
    before = queue.bytes_held()
    for n in range(1, 501):
        keep(n)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held <= queue.bytes_held() - before <= 6 * held
