"""Named analyses without a store: their form, their parameters' terms, their tables."""

from __future__ import annotations

import json

import pytest

from pllib.provml.vocabulary import XSD
from query_engine.analyses import catalogue, form, running
from query_engine.binding import UNBOUND, Literal, bind
from query_engine.errors import BadParameter, Conflict, NotFound, Unprocessable

OWN = {
    "name": "models-of-person",
    "title": "Models of a person",
    "question": "Which models did a person train?",
    "taxonomy": {"data": "machine_learning", "execution_timing": "offline", "direction": "backward"},
    "parameters": [{"name": "person", "type": "text", "description": "the person's name"}],
    "query": {"text": "SELECT ?model WHERE { VALUES ?person {} ?model a provml:Model ; prov:wasAttributedTo ?person }"},
}


def changed(**parts):
    return {**json.loads(json.dumps(OWN)), **parts}


def test_the_papers_seven_questions_are_there_each_with_its_place_in_the_taxonomy():
    found = catalogue.built_in()
    assert list(found) == [*(f"q{number}" for number in range(1, 8)), "shared-data", "top-runs"]
    facets = {
        name: (a.taxonomy.data, a.taxonomy.execution_timing, a.taxonomy.training_timing, a.taxonomy.direction)
        for name, a in found.items()
    }
    assert facets["q1"] == ("hybrid", "offline", "inter", "backward")
    assert facets["q3"] == ("machine_learning", "online", "intra", "forward")
    assert facets["q4"] == ("execution", "online", "intra", "forward")
    assert {a.taxonomy.direction for a in found.values()} == {"backward", "forward"}
    for analysis in found.values():
        assert analysis.question.endswith("?")
        assert all(analysis.columns.values())
        if analysis.pivot:
            assert set(analysis.pivot.rows) <= set(analysis.columns)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (changed(name="Has Spaces"), "name"),
        (changed(colour="red"), "colour"),
        (changed(taxonomy={"data": "all"}), "taxonomy"),
        (changed(query={"text": "ASK { VALUES ?person {} ?s ?p ?person }"}), "SELECT"),
        (changed(query={"text": "SELECT * { SERVICE <http://127.0.0.1:1/> {} }"}), "SERVICE"),
        (changed(query={"text": "INSERT DATA {}"}), "query.text"),
        (changed(parameters=[]), "person"),
        (changed(parameters=[{"name": "store", "type": "text", "description": "x"}]), "store"),
        (changed(query={"text": "SELECT * { ?s ?p ?o }"}), "person"),
    ],
)
def test_what_is_no_analysis_is_refused_with_the_reason(content, words):
    with pytest.raises(Unprocessable) as caught:
        form.parse(content)
    assert words in f"{caught.value.field} {caught.value.message}"


def test_own_analyses_are_kept_replaced_and_deleted(tmp_path):
    kept = catalogue.Catalogue(tmp_path)
    analysis = form.parse(OWN)
    assert kept.store(analysis) is True
    assert kept.store(analysis) is False
    assert catalogue.Catalogue(tmp_path).get("models-of-person") == analysis
    assert len(kept.all()) == len(catalogue.built_in()) + 1
    (tmp_path / "analyses" / "broken.json").write_text("{")
    assert len(kept.all()) == len(catalogue.built_in()) + 1
    kept.delete("models-of-person")
    with pytest.raises(NotFound, match="models-of-person"):
        kept.get("models-of-person")
    with pytest.raises(NotFound):
        kept.delete("models-of-person")


def test_built_in_names_are_taken_and_no_folder_keeps_nothing(tmp_path):
    with pytest.raises(Conflict, match="built-in"):
        catalogue.Catalogue(tmp_path).store(form.parse(changed(name="q1")))
    with pytest.raises(Conflict, match="built in"):
        catalogue.Catalogue(tmp_path).delete("q1")
    with pytest.raises(BadParameter, match="data folder"):
        catalogue.Catalogue(None).store(form.parse(OWN))


@pytest.mark.parametrize(
    ("value", "terms"),
    [
        ("abc", {("abc", None)}),
        ("true", {("true", None), ("true", XSD + "boolean")}),
        ("0-899", {("0-899", None)}),
        ("nan", {("nan", None)}),
    ],
)
def test_a_value_given_as_text_may_mean_several_literals(value, terms):
    assert {(term.lexical, term.datatype) for term in running.readings(value) if isinstance(term, Literal)} == terms


def test_a_number_is_looked_for_as_text_integer_and_double_in_the_forms_that_are_stored():
    found = {(term.lexical, term.datatype) for term in running.readings("40") if isinstance(term, Literal)}
    assert {("40", None), ("40", XSD + "integer"), ("40.0", XSD + "double"), ("40.0e0", XSD + "double")} == found
    assert ("1e-05", XSD + "double") in {
        (term.lexical, term.datatype) for term in running.readings(1e-05) if isinstance(term, Literal)
    }


def test_an_optional_parameter_that_is_not_given_leaves_its_variable_unbound():
    query = "SELECT ?s { VALUES ?o {} ?s ?p ?o }"
    assert bind(query, {"o": UNBOUND}) == "SELECT ?s { VALUES ?o {UNDEF} ?s ?p ?o }"
    analysis = form.parse(changed(parameters=[{**OWN["parameters"][0], "optional": True}]))
    assert analysis.parameters[0].optional


def test_a_pivot_makes_one_row_a_subject_and_one_column_a_name():
    rows = [
        {"model": "a", "name": "lr", "value": 0.1},
        {"model": "a", "name": "loss", "value": 0.5},
        {"model": "b", "name": "lr", "value": 0.2},
        {"model": "b", "name": "lr", "value": 0.3},
        {"model": "c", "name": None, "value": None},
        {"model": "a", "name": "model", "value": "shadow"},
    ]
    names, table = running.pivoted(rows, form.Pivot(rows=["model"], name="name", value="value"))
    assert names == ["model", "loss", "lr", "model (value)"]
    assert table == [
        {"model": "a", "loss": 0.5, "lr": 0.1, "model (value)": "shadow"},
        {"model": "b", "loss": None, "lr": [0.2, 0.3], "model (value)": None},
        {"model": "c", "loss": None, "lr": None, "model (value)": None},
    ]


def test_a_pivot_keeps_a_value_that_is_a_list_apart_from_several_values():
    rows = [{"data": "a", "name": "corners", "value": value} for value in ([1, 2], [1, 2], [3, 4], [5, 6])]
    _, table = running.pivoted(rows[:2], form.Pivot(rows=["data"], name="name", value="value"))
    assert table == [{"data": "a", "corners": [1, 2]}]
    _, table = running.pivoted(rows[1:], form.Pivot(rows=["data"], name="name", value="value"))
    assert table == [{"data": "a", "corners": [[1, 2], [3, 4], [5, 6]]}]
