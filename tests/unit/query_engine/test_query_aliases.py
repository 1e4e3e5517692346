"""Stores that are one under several names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from query_engine.aliases import Aliases
from query_engine.names import Names

BASE = "http://127.0.0.1:8472/id/"
NAMES = Names(BASE)


def aliases(*pairs: tuple[str, str]) -> Aliases:
    return Aliases(NAMES, [(f"store/{a}", f"store/{b}") for a, b in pairs])


def test_without_aliases_everything_is_itself():
    none = aliases()
    assert not none
    assert none.spellings(BASE + "data/a/k") == [BASE + "data/a/k"]
    assert none.chosen(BASE + "data/a/k") == BASE + "data/a/k"
    assert none.rows([["<x>", '"y"']]) == [["<x>", '"y"']]
    assert none.stores("a b") == ["a b"]


def test_names_join_in_any_direction_and_over_several_statements():
    found = aliases(("a%20b", "c"), ("d", "c"), ("x", "y"))
    assert found.stores("a b") == ["a b", "c", "d"]
    assert found.stores("y") == ["y", "x"]
    assert found.spellings(BASE + "data/c/k/s1") == [BASE + f"data/{name}/k/s1" for name in ("c", "a%20b", "d")]


def test_the_first_name_that_is_met_stands_for_all_and_other_data_for_itself():
    found = aliases(("new", "old"))
    assert found.chosen(BASE + "data/old/k") == BASE + "data/old/k"
    assert found.chosen(BASE + "data/new/k") == BASE + "data/old/k"
    assert found.chosen(BASE + "data/new/k/s1") == BASE + "data/new/k/s1"
    for other in ("data/third/k", "store/new", "execution/new/k", "data/new"):
        assert found.chosen(BASE + other) == BASE + other
    assert found.rows([[f"<{BASE}data/new/k>", '"data/new/k"', ""]]) == [[f"<{BASE}data/old/k>", '"data/new/k"', ""]]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=8))
def test_being_the_same_store_is_an_equivalence(pairs):
    found = aliases(*pairs)
    for name in "abcdef":
        for other in found.stores(name):
            assert sorted(found.stores(other)) == sorted(found.stores(name))
    for a, b in pairs:
        assert set(found.stores(a)) >= {b}
