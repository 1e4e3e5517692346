"""What is stored of any Python value: exactly it, or a summary with a mark; never an exception."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import hashlib
import json
import math
import pathlib
import types
import weakref
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import pllib
from pllib import spool, values


class Colour(enum.Enum):
    RED = "red"
    BLUE = (1, 2)


@dataclasses.dataclass
class Point:
    x: int
    y: float


class Level(enum.IntEnum):
    HIGH = 3


class Mode(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Nested:
    point: Point
    pair: Any


class Scalar:
    """As a tensor of no dimensions."""

    shape = ()

    def item(self) -> float:
        return 2.5


class Frame:
    """As a frame of pandas: its text is long in the making."""

    shape, dtype = (3, 4), "mixed"

    def __repr__(self) -> str:
        raise AssertionError("this is not asked for")


class Tensor:
    """As one of torch, on a device, with no truth of its own."""

    shape, dtype, device = (2,), "torch.float32", "cuda:0"
    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise RuntimeError("ambiguous")

    def __eq__(self, other: object) -> Any:
        raise RuntimeError("not on this device")

    def item(self) -> Any:
        raise RuntimeError("more than one")


def Raising(name: str) -> Any:
    """An object of which one method, or attribute, raises."""

    def raising(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no")

    return type("Raising", (), {name: property(raising) if name == "__class__" else raising})()


class Recursive:
    def __repr__(self) -> str:
        return repr(self)


class LongText:
    def __repr__(self) -> str:
        return "x" * 10_000_000


class BadProperty:
    @property
    def shape(self) -> Any:
        raise RuntimeError("no")


class BadList(list):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        raise RuntimeError("no")


class BadDict(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        raise RuntimeError("no")


class BadText(str):
    def __str__(self) -> str:
        raise RuntimeError("no")


class BadInt(int):
    def __int__(self) -> int:
        raise RuntimeError("no")

    __index__ = __int__


class Anything:
    """Has every attribute there could be, and none of any use."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> Any:
        return Anything(name)


class Endless(collections.abc.Mapping):  # type: ignore[type-arg]
    def __getitem__(self, key: Any) -> Any:
        return self

    def __iter__(self) -> Any:
        return iter(int, 1)

    def __len__(self) -> int:
        return 10**9


class EndlessList(list):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return iter(int, 1)


class Nameless(type):
    @property
    def __module__(cls) -> str:
        raise RuntimeError("no")


class NamelessType(metaclass=Nameless):
    pass


class Someone:
    pass


ALIVE = Someone()


def dead_proxy() -> Any:
    return weakref.proxy(Someone())


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __str__(self) -> str:
        raise RuntimeError("no")

    def __getattr__(self, name: str) -> Any:
        raise ValueError("no")


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (0.1, 0.1),
        ("é\n", "é\n"),
        (-0.0, -0.0),
        (math.nan, {"$": "float", "v": "NaN"}),
        (math.inf, {"$": "float", "v": "INF"}),
        (-math.inf, {"$": "float", "v": "-INF"}),
        (2**63 - 1, 2**63 - 1),
        (2**63, {"$": "int", "v": str(2**63)}),
        (-(2**70), {"$": "int", "v": str(-(2**70))}),
        (b"ab", {"$": "bytes", "v": "YWI="}),
        ([1, 2], [1, 2]),
        ((1, "a"), [1, "a"]),
        ({"a": 1}, {"$": "json", "v": {"a": 1}}),
        ({1: "a", "1": "b"}, {"$": "json", "v": {"int:1": "a", "1": "b"}}),
        ([math.nan], {"$": "json", "v": [{"$": "float", "v": "NaN"}]}),
        ({"$": "ref"}, {"$": "json", "v": {"$": "ref"}}),
        ({3, 1, 2}, {"$": "json", "v": [1, 2, 3]}),
        (Colour.RED, "red"),
        (Colour.BLUE, "BLUE"),
        (Point(1, 2.5), {"$": "json", "v": {"x": 1, "y": 2.5}}),
        (Pair(1, 2), {"$": "json", "v": {"a": 1, "b": 2}}),
        (datetime.datetime(2026, 1, 2, 3, 4, 5), {"$": "datetime", "v": "2026-01-02T03:04:05"}),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (np.float64(0.5), 0.5),
        (np.int8(5), 5),
        (np.bool_(True), True),
        (np.float32(0.5), 0.5),
        (np.array(7), 7),
        (np.float16(0.1), 0.0999755859375),
        (np.float32("nan"), {"$": "float", "v": "NaN"}),
        (np.uint64(2**63 + 1), {"$": "int", "v": "9223372036854775809"}),
        (np.str_("é"), "é"),
        (np.bytes_(b"ab"), {"$": "bytes", "v": "YWI="}),
        (np.datetime64("2026-01-02T03:04"), {"$": "datetime", "v": "2026-01-02T03:04:00"}),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, {"$": "int", "v": "-9223372036854775809"}),
        (bytearray(b"ab"), {"$": "bytes", "v": "YWI="}),
        (
            datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
            {"$": "datetime", "v": "2026-01-02T00:00:00+00:00"},
        ),
        (datetime.datetime(2026, 1, 2, 3, 4, 5, 6), {"$": "datetime", "v": "2026-01-02T03:04:05.000006"}),
        (datetime.time(3, 4, 5), "03:04:05"),
        (Level.HIGH, 3),
        (Mode.READ | Mode.WRITE, 3),
        (
            {2: 1, None: 2, (1, 2): 3, b"x": 4},
            {"$": "json", "v": {"int:2": 1, "NoneType:None": 2, "tuple:(1, 2)": 3, "bytes:b'x'": 4}},
        ),
        ({"\udfff": 1}, {"$": "json", "v": {"\\udfff": 1}}),
        ([1, "a", None, 2**70], {"$": "json", "v": [1, "a", None, {"$": "int", "v": str(2**70)}]}),
        (frozenset("ba"), {"$": "json", "v": ["a", "b"]}),
        ({1, "a", None}, {"$": "json", "v": ["a", 1, None]}),
        (collections.OrderedDict(a=1), {"$": "json", "v": {"a": 1}}),
        (collections.Counter("aab"), {"$": "json", "v": {"a": 2, "b": 1}}),
        (types.MappingProxyType({"a": [1]}), {"$": "json", "v": {"a": [1]}}),
        (
            Nested(Point(1, 2.5), Pair(1, None)),
            {"$": "json", "v": {"point": {"x": 1, "y": 2.5}, "pair": {"a": 1, "b": None}}},
        ),
        (Scalar(), 2.5),
        ("😀", "😀"),
        ("", ""),
        ([], []),
        ({}, {"$": "json", "v": {}}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_stored_form(value, stored):
    found = values.exact(value)
    assert found == stored
    assert type(found) is type(stored)
    assert pllib.recorded(value) == stored


SUMMARISED: list[tuple[Any, dict[str, Any]]] = [
    (np.arange(3), {"shape": [3], "dtype": "int64"}),
    (np.zeros((0, 3)), {"shape": [0, 3], "dtype": "float64"}),
    (np.array([object()], dtype=object), {"shape": [1], "dtype": "object"}),
    (np.complex128(1 + 2j), {"dtype": "complex128"}),
    (np.longdouble(1) / 3, {"dtype": "float128"}),
    (np.zeros(1, dtype=[("a", "i4")])[0], {"dtype": "[('a', '<i4')]"}),
    (
        np.datetime64("2026-01-02T03:04:05.123456789"),
        {"dtype": "datetime64[ns]", "text": "2026-01-02T03:04:05.123456789"},
    ),
    (np.datetime64("NaT"), {"dtype": "datetime64", "text": "NaT"}),
    (np.timedelta64(5, "s"), {"seconds": 5.0}),
    (np.ma.masked, {"shape": []}),
    (datetime.timedelta(days=1, microseconds=5), {"seconds": 86400.000005}),
    (datetime.timezone.utc, {"text": "datetime.timezone.utc"}),
    (decimal.Decimal("1.10"), {"text": "Decimal('1.10')"}),
    (decimal.Decimal("NaN"), {"text": "Decimal('NaN')"}),
    (fractions.Fraction(1, 3), {"text": "Fraction(1, 3)"}),
    (1 + 2j, {"text": "(1+2j)"}),
    (collections.deque([1, 2]), {"text": "deque([1, 2])"}),
    (range(5), {"text": "range(0, 5)"}),
    (memoryview(b"ab"), {"nbytes": 2}),
    (b"x" * 5000, {"length": 5000, "sha256": hashlib.sha256(b"x" * 5000).hexdigest()}),
    (b"x" * 2_000_000, {"length": 2_000_000}),
    ("x" * 10_000_000, {"length": 10_000_000, "start": "x" * 200}),
    ("a\ud800b", {"escaped": "a\\ud800b"}),
    (10**5000, {"bits": 16610}),
    (ValueError("x"), {"text": "ValueError('x')"}),
    (json, {}),
    (len, {"name": "builtins.len"}),
    (int, {"name": "builtins.int"}),
    (Frame(), {"shape": [3, 4], "dtype": "mixed"}),
    (Tensor(), {"shape": [2], "dtype": "torch.float32", "device": "cuda:0"}),
    (set(range(30_000)), {"cut": "large"}),
    (weakref.proxy(ALIVE), {}),
    (dead_proxy(), {"cut": "unreadable"}),
    (Raising("__repr__"), {"text": "(its text could not be made)"}),
    (Recursive(), {"text": "(its text could not be made)"}),
    (LongText(), {"text": "x" * 200}),
    (Raising("__getattribute__"), {"cut": "unreadable"}),
    (Raising("__getattr__"), {"cut": "unreadable"}),
    (Raising("__class__"), {"cut": "unreadable"}),
    (BadProperty(), {"cut": "unreadable"}),
    (BadList([1]), {"cut": "unreadable"}),
    (BadDict(a=1), {"cut": "unreadable"}),
    (BadText("abc"), {"cut": "unreadable"}),
    (BadInt(3), {"cut": "unreadable"}),
    ({Raising("__repr__")}, {"cut": "unreadable"}),
    (*(map(Anything, ["x"])), {"cut": "unreadable"}),
    (NamelessType(), {"type": "(its type has no name)"}),
]


@pytest.mark.parametrize("position", range(len(SUMMARISED)))  # what is in it breaks pytest, too
def test_summarised_form(position):
    value, told = SUMMARISED[position]
    found = values.exact(value)
    assert found["$"] == "summary"
    assert {name: found["v"].get(name) for name in told} == told
    assert "type" in found["v"]
    assert len(json.dumps(found)) < 1000


@pytest.mark.parametrize(
    "name", ["__str__", "__eq__", "__hash__", "__len__", "__iter__", "__bool__", "__format__", "__sizeof__"]
)
def test_what_else_an_object_raises_does_not_matter(name):
    found = values.exact(Raising(name))
    assert found["v"]["text"].startswith("<")


def test_generators_and_iterators_are_never_consumed():
    generator, iterator = (n for n in range(3)), iter([1, 2])
    for value in (generator, iterator, map(abs, iterator)):
        assert values.exact(value)["$"] == "summary"
    assert (list(generator), list(iterator)) == ([0, 1, 2], [1, 2])


def test_what_has_no_end_is_cut():
    for endless in (Endless(), EndlessList([1])):
        text = json.dumps(values.exact(endless))
        assert '"cut": "large"' in text
        assert len(text) < 3_000_000


def hostile() -> list[Any]:
    """Everything above that could break something, and what breaks elsewhere than in ``exact``."""
    names = (
        "__repr__",
        "__getattribute__",
        "__getattr__",
        "__class__",
        "__fspath__",
        "__eq__",
        "__hash__",
        "__len__",
        "__bool__",
    )
    return [
        *map(Raising, names),
        Recursive(), BadProperty(), BadList([1]), BadDict(a=1), BadText("abc"), BadInt(3), Anything("x"), NamelessType(),
        dead_proxy(), weakref.proxy(ALIVE), Endless(), Tensor(), Frame(), np.ma.masked, "a\ud800b", {"\ud800": "\udfff"}, 2**70, 10**5000,
        math.nan, [math.inf, {"a": math.nan}], {3, "a"}, b"x" * 3000, "x" * 300_000, list(range(100_000)), {"$": "ref"}, lambda: 1,
    ]  # fmt: skip


@pytest.mark.parametrize("strict", [False, True])
def test_a_record_of_any_value_is_one_that_a_tracker_takes(tmp_path, records, strict):
    from tracker.records import Begin, End, decode_record

    pllib.configure(mode="disk", spool=str(tmp_path / "s"), strict=strict)
    with pllib.workflow("w", used={"v": 1}) as wf:
        for value in hostile():
            with wf.task("t", used={"v": value}, meta={"v": value}) as task:
                task.generated(v=value)
                task.generated(v=value)
            with wf.task("again", used={"v": value, "handle": task.generated}):
                pass
    figures = pllib.stats()
    assert figures["dropped"] == {}
    assert figures["accepted"] == 3 + 4 * len(hostile())
    pllib.shutdown()
    folder = str(tmp_path / "s")
    found = [
        frame.payload
        for producer in spool.producers(folder)
        for number in spool.segments(folder, producer)
        for frame in spool.read_segment(folder, producer, number)
    ]
    for payload in found:
        record = decode_record(payload)
        if isinstance(record, Begin) and record.id:
            assert "v" in record.used or ["v"] in record.links.values()
        elif isinstance(record, End) and record.id and record.id.startswith("t/"):
            assert "v" in record.generated


@pytest.mark.parametrize("name", ["\ud800", "n" * 5000, "", 5, None, "ö" * 5000, "a b/c%"])
def test_names_are_such_that_a_tracker_takes_them(tmp_path, records, name):
    from tracker.records import decode_record

    with pllib.workflow("w") as wf:
        with wf.task("t", used={name: 1.5}) as task:
            task.generated({name: 2.5})
        with wf.task("t", used={name: 2.5}, meta={name: 1}):
            pass
    for record in records():
        decode_record(json.dumps(record).encode())
    assert pllib.stats()["dropped"] == {}
    assert len(records()) == 6


def test_many_large_values_in_one_record_are_within_a_trackers_bounds(tmp_path, records):
    from tracker.records import decode_record

    with pllib.workflow("w") as wf, wf.task("t", used={f"x{n}": list(range(19_000)) for n in range(8)}):
        pass
    found = [record for record in records() if record["op"] == "begin" and record.get("used")]
    assert found[0]["used"]["x0"]["v"]["cut"] == "record too large"
    decode_record(json.dumps(found[0]).encode())
    with pllib.workflow("w") as wf, wf.task("t", used={f"x{n}": "," * 90_000 for n in range(8)}):
        pass
    assert [record for record in records() if record["op"] == "begin" and record.get("used")][1]["used"][
        "x7"
    ] == "," * 90_000


def test_long_texts_and_structures_are_still_recognised(records):
    text, structure = "x" * 5000, {"a": list(range(500))}
    with pllib.workflow("w") as wf:
        with wf.task("first") as first:
            first.generated(text=text, structure=structure, number=2**80)
        with wf.task("second", used={"text": "x" * 5000, "structure": {"a": list(range(500))}, "number": 2**80}):
            pass
    used = next(record for record in records() if record.get("id", "").startswith("second/"))["used"]
    assert all(value == {"$": "ref", "id": first.id, "name": name} for name, value in used.items())
    assert len(used) == 3


def test_arrays_are_described_not_stored():
    found = values.exact(np.zeros((3, 4), dtype="float32"))
    assert found["$"] == "summary"
    assert found["v"] == {
        "type": "numpy.ndarray",
        "shape": [3, 4],
        "dtype": "float32",
        "nbytes": 48,
        "device": "cpu",
    }


@pytest.mark.parametrize(
    "value",
    [Hostile(), object(), lambda: 1, int, 10**20_000],
    ids=lambda value: type(value).__name__,
)
def test_everything_else_is_a_summary_with_its_type(value):
    found = values.exact(value)
    assert found["$"] == "summary"
    assert found["v"]["type"].endswith(type(value).__qualname__)
    json.dumps(found).encode("utf-8")
