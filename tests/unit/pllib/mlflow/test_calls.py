"""Which calls of a store are recorded, and what its user sees of that: nothing."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pllib import this_process
from pllib.mlflow import calls


class Store:
    """Has the shapes that MLflow's stores have."""

    def outer(self, value: Any, *, again: bool = False) -> Any:
        return self.inner(value) if again else value

    def inner(self, value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    async def later(self, value: Any) -> Any:
        await asyncio.sleep(0)
        return value


class Derived(Store):
    def inner(self, value: Any) -> Any:
        return super().inner(value)


@pytest.fixture(autouse=True)
def on(tmp_path: Path) -> Iterator[None]:
    this_process.configure({"mode": "disk", "spool": str(tmp_path)})
    yield
    this_process.close()


@pytest.fixture
def told() -> Iterator[list[Any]]:
    """What is recorded of ``Derived``, whose methods are as they were afterwards."""
    found: list[Any] = []

    def handler(store: Any, result: Any, value: Any, **_: Any) -> None:
        found.append(result)
        if value == "break us":
            raise ZeroDivisionError

    own = dict(vars(Derived))
    calls.wrap(Derived, dict.fromkeys(("outer", "inner", "later", "absent"), handler))
    yield found
    for name in ("outer", "inner", "later"):
        setattr(Derived, name, own[name]) if name in own else delattr(Derived, name)


def test_the_outermost_call_is_recorded_once_when_it_succeeded(told: list[Any]) -> None:
    store = Derived()
    assert store.outer(1, again=True) == 1
    with pytest.raises(KeyError):
        store.outer(KeyError("x"), again=True)
    assert store.inner(2) == 2
    assert told == [1, 2]


def test_what_recording_raises_stays_with_us(told: list[Any]) -> None:
    store = Derived()
    this_process.configure({"strict": True})
    try:
        assert store.outer("break us") == "break us"
    finally:
        this_process.configure({"strict": False})
    assert store.outer(3) == 3
    assert told == ["break us", 3]
    assert not calls.here.inside


def test_each_thread_has_calls_of_its_own(told: list[Any]) -> None:
    store = Derived()
    thread = threading.Thread(target=store.outer, args=(4,))
    calls.here.inside = True
    try:
        thread.start()
        thread.join()
        store.outer(5)
    finally:
        calls.here.inside = False
    assert told == [4]


def test_coroutines_are_recorded_and_awaited(told: list[Any]) -> None:
    assert asyncio.run(Derived().later(6)) == 6
    assert told == [6]


def test_stores_keep_their_type_and_can_be_pickled(told: list[Any]) -> None:
    store = pickle.loads(pickle.dumps(Derived()))
    assert type(store) is Derived
    assert store.outer.__name__ == "outer"
    assert not hasattr(Store.outer, "__pllib__")


def test_a_class_is_wrapped_once(told: list[Any]) -> None:
    before = Derived.outer
    calls.wrap(Derived, {"outer": lambda *_: None})
    assert Derived.outer is before


def test_nothing_is_recorded_that_is_not_enabled(told: list[Any]) -> None:
    this_process.configure({"enabled": False})
    try:
        assert Derived().outer(7) == 7
    finally:
        this_process.configure({"enabled": True})
    assert told == []
