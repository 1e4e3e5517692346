"""Every kind of value that the client can mark, and those that it cannot mean to send."""

from __future__ import annotations

from typing import Any

import pytest

from tracker import lenient_json
from tracker.errors import RecordError
from tracker.provlake.values import MAX_WHOLE, converted
from tracker.specifications import AttributeForm
from tracker.values import Data, Float, Integer, Structure, Summary, Valued

Json = Any


def values(given: Json, **planned: AttributeForm) -> dict[str, Any]:
    return converted(given, planned.get)[0]


def value(given: Json) -> Any:
    found = values({"v": given})
    assert list(found) == ["v"]
    return found["v"]


def marked(kind: str, inner: Json, **more: Json) -> Json:
    return {"prov_attr_type": kind, "values": inner, **more}


@pytest.mark.parametrize("plain", [None, True, 0, -(2**63), 2**63 - 1, 0.1, "", "é", [], [1, "a", None], [1.5, True]])
def test_plain_values_are_themselves(plain: Json) -> None:
    assert value(plain) == plain
    assert type(value(plain)) is type(plain)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (float("nan"), Float(v="NaN")), (float("inf"), Float(v="INF")), (float("-inf"), Float(v="-INF")),
        (2**63, Integer(v=str(2**63))), ({"k": [1]}, Structure(v={"k": [1]})), ({}, Structure(v={})),
        ({"values": 1}, Structure(v={"values": 1})), ({"type": "x", "values": 1}, Structure(v={"type": "x", "values": 1})),
        ({"n": float("nan"), "i": [2**70]}, Structure(v={"n": {"$": "float", "v": "NaN"}, "i": [{"$": "int", "v": str(2**70)}]})),
        (lenient_json.HugeInteger("-" + "9" * 5000), Summary(v={"type": "builtins.int", "digits": 5000})),
        ("a\udcff", Summary(v={"type": "builtins.str", "escaped": "a\\udcff"})),
        ("x" * 1_000_001, Summary(v={"type": "builtins.str", "length": 1_000_001, "start": "x" * 200})),
        (["a\udcff"], [{"$": "summary", "v": {"type": "builtins.str", "escaped": "a\\udcff"}}]),
    ],
)  # fmt: skip
def test_what_json_cannot_say_is_kept_exactly_or_described(given: Json, kept: Any) -> None:
    assert value(given) == kept


@pytest.mark.parametrize(
    ("given", "store", "key"),
    [
        (marked("data_reference", "/data//a/../b.h5", data_store_id="fs1"), "fs1", "/data/b.h5"),
        (marked("data_reference", "/data/b.h5"), "unnamed", "/data/b.h5"),
        (marked("data_reference", "s3://bucket/a/b"), "s3://bucket", "a/b"),
        (marked("data_reference", "s3://bucket"), "s3://bucket", "/"),
        (marked("data_reference", "s3://bucket/a", data_store_id="cos"), "cos", "s3://bucket/a"),
        (marked("data_reference", "file:///data/b", data_store_id="fs1"), "fs1", "/data/b"),
        (marked("data_reference", 17, data_store_id=3), "3", "17"),
        (marked("kg_reference", "http://ex.org/a//b#1", data_store_id="kg"), "kg", "http://ex.org/a//b#1"),
        (marked("kg_reference", "http://ex.org/a#1"), "http://ex.org", "a#1"),
        (marked("kg_reference", "a//b"), "unnamed", "a//b"),
        ({"type": "data_reference", "values": "/a", "data_store_id": "fs1"}, "fs1", "/a"),
    ],
)
def test_references(given: Json, store: str, key: str) -> None:
    assert value(given) == Data(store=store, key=key)


@pytest.mark.parametrize(("inner", "kept"), [(None, None), ("", ""), ({"a": 1}, Structure(v={"a": 1}))])
def test_a_reference_to_nothing_is_a_value(inner: Json, kept: Any) -> None:
    assert value(marked("data_reference", inner)) == kept


def test_a_list_of_references() -> None:
    found = values({"files": marked("data_reference", ["/a", "/b"], data_store_id="fs1")})
    assert found == {
        "files": ["/a", "/b"], "files[0]": Data(store="fs1", key="/a"), "files[1]": Data(store="fs1", key="/b"),
    }  # fmt: skip


def test_custom_metadata_of_a_value_are_facts() -> None:
    assert value(marked("attribute_value", 5, custom_metadata={"unit": "m"})) == Valued(v=5, facts={"unit": "m"})
    assert value(marked("attribute_value", [5], custom_metadata={"u": 1})) == Structure(v=[5], facts={"u": 1})
    reference = marked("data_reference", "/a", data_store_id="s")
    assert value(marked("attribute_value", reference, custom_metadata={"n": {"k": 1}})) == Data(
        store="s", key="/a", facts={"n": Structure(v={"k": 1})}
    )


def test_a_dict_is_one_value_and_each_member_one_more() -> None:
    given = marked(
        "dict", {"a": 1, "f": marked("data_reference", "/x", data_store_id="s"), "b": marked("dict", {"c": 2.5})}
    )
    found, elements = converted({"opts": given}, {}.get)
    assert found == {
        "opts": Structure(v={"a": 1, "f": "/x", "b": {"c": 2.5}}),
        "opts.a": 1,
        "opts.f": Data(store="s", key="/x"),
        "opts.b": Structure(v={"c": 2.5}),
        "opts.b.c": 2.5,
    }
    assert elements == set(found) - {"opts"}


def test_a_list_is_one_value_and_each_element_one_more() -> None:
    assert values({"l": marked("list", [5, 5, {"k": 1}])}) == {
        "l": [5, 5, {"k": 1}], "l[0]": 5, "l[1]": 5, "l[2]": Structure(v={"k": 1}),
    }  # fmt: skip


def test_a_dataset_with_its_items() -> None:
    row_of = {"city": "Rio", "id": marked("kg_reference", "u", data_store_id="kg")}
    item = marked("dataset_item", marked("dict", row_of), order=0, dataset_id="d1")
    found = values({"ds": marked("dataset", [item], dataset_schema_id="sch")})
    row = {"city": "Rio", "id": "u"}
    assert found == {
        "ds": Structure(v=[row], facts={"dataset_schema_id": "sch"}),
        "ds[0]": Structure(v=row, facts={"dataset_id": "d1", "order": 0}),
        "ds[0].city": "Rio",
        "ds[0].id": Data(store="kg", key="u"),
    }
    plain = values({"r": marked("dataset_item", 5, order=3)})
    assert plain == {"r": Valued(v=5, facts={"order": 3})}


def test_an_unmarked_structure_with_marked_values_is_looked_into() -> None:
    reference = marked("data_reference", "/a", data_store_id="s")
    assert values({"l": [reference], "d": {"k": reference}}) == {
        "l": ["/a"], "l[0]": Data(store="s", key="/a"), "d": Structure(v={"k": "/a"}), "d.k": Data(store="s", key="/a"),
    }  # fmt: skip


def test_a_large_structure_is_described_and_its_elements_kept() -> None:
    found = values({"l": marked("list", list(range(MAX_WHOLE + 1)))})
    assert found["l"] == Summary(v={"type": "list", "length": MAX_WHOLE + 1})
    assert len(found) == MAX_WHOLE + 2


def test_a_text_that_is_planned_as_a_file_is_a_reference() -> None:
    planned = AttributeForm(reference=True, stores=["fs1"])
    assert values({"f": "/a//b", "n": 3}, f=planned, n=planned) == {"f": Data(store="fs1", key="/a/b"), "n": 3}


@pytest.mark.parametrize(
    "given",
    [
        {"a": {"prov_attr_type": "dict", "values": {"b": 1}}, "a.b": 2},
        {"l[0]": 1, "l": {"prov_attr_type": "list", "values": [1]}},
        {"": 1},
    ],
)
def test_refused(given: Json) -> None:
    with pytest.raises(RecordError) as refusal:
        values(given)
    assert refusal.value.field == "$.prov_obj.values"


@pytest.mark.parametrize("place", ["values", "custom_metadata", "attribute_associations"])
def test_a_record_is_bounded_wherever_it_is_large(lake: Any, place: str) -> None:
    deep: Json = 1
    for _ in range(900):
        deep = [deep]
    for large, told in ((deep, "nested deeper"), ([0] * 100_000, "more than 100000 values")):
        with pytest.raises(RecordError, match=told):
            lake.converted(lake.record(**{place: {"v": large}}))
