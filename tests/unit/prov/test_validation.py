"""PROV-CONSTRAINTS: the verdicts on the corpora that the ``prov`` package ships, one case a constraint, and large documents."""

from __future__ import annotations

import time
from pathlib import Path

import prov.tests
import pytest

from pllib.prov import json_form, provn_reader, xml_form
from pllib.prov.model import Document, Statement, statement
from pllib.prov.validation import CONSTRAINTS, validate

UNIFICATION = Path(prov.tests.__file__).parent / "unification"
CORPUS = sorted([*UNIFICATION.glob("*.json"), *(UNIFICATION / "constraints").glob("*.*x*")])
EX = "http://example.org/"

OTHERWISE = {
    # An activity may use an entity several times: the Recommendation has no constraint that makes usages unique.
    "usage-fail1.xml": "valid",
    "usage-fail5.xml": "valid",
    "usage-fail6.xml": "valid",
    "usage-fail7.xml": "valid",
    # Of placeholders only the plan of an association and the activity of a derivation mean "none" (table 3).
    "delegation-fail4.xml": "valid",
    # Who is responsible may not be left out (PROV-DM 5.3.4; PROV-N's grammar).
    "delegation-success3.xml": "invalid",
    "delegation-success4.xml": "invalid",
    # That a mention is unique is said by PROV-LINKS, a Note, not by PROV-CONSTRAINTS.
    "mention-fail4.xml": "valid",
}
"""Files of which the corpus says something else than the Recommendation, and what that says."""


def read(path: Path) -> Document:
    return (json_form if path.suffix == ".json" else xml_form).read(path.read_text())


def numbers(text: str) -> list[int]:
    """The constraints that statements in PROV-N break."""
    document = provn_reader.read(f"document\nprefix ex <{EX}>\n{text}\nendDocument")
    return [each.constraint for each in validate(document)]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_verdict_on_the_corpus_is_right(path: Path) -> None:
    labelled = "invalid" if "fail" in path.name.lower() else "valid"
    found = validate(read(path))
    assert ("invalid" if found else "valid") == OTHERWISE.get(path.name, labelled), found
    assert labelled != OTHERWISE.get(path.name), "no exception any more"


def test_the_exceptions_are_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "how-to" / "prov-documents.md").read_text("utf-8")
    assert {name for name in OTHERWISE if f"`{name}`" not in text} == set()


def test_the_corpus_is_whole() -> None:
    assert len(CORPUS) >= 174
    assert set(OTHERWISE) <= {path.name for path in CORPUS}


@pytest.mark.parametrize(
    "path", [path for path in CORPUS if "-FAIL-" in path.name], ids=lambda path: path.name.partition("-FAIL-")[2]
)
def test_violations_have_the_numbers_that_the_working_group_gives(path: Path) -> None:
    # Where two numbers are given, the first is 50: typing, by whose inferences the second is broken.
    last = int(path.stem.rpartition("c")[2])
    assert last in {each.constraint for each in validate(read(path))}


BROKEN = {
    4: "wasInformedBy(ex:a, -)",
    22: "activity(ex:a, 2020-01-01T00:00:00, -) activity(ex:a, 2021-01-01T00:00:00, -)",
    23: "used(ex:u; ex:a, ex:e1, -) used(ex:u; ex:a, ex:e2, -)",
    24: "wasGeneratedBy(ex:g1; ex:e, ex:a, -) wasGeneratedBy(ex:g2; ex:e, ex:a, -)",
    25: "wasInvalidatedBy(ex:g1; ex:e, ex:a, -) wasInvalidatedBy(ex:g2; ex:e, ex:a, -)",
    26: "wasStartedBy(ex:s1; ex:a, -, ex:b, -) wasStartedBy(ex:s2; ex:a, -, ex:b, -)",
    27: "wasEndedBy(ex:s1; ex:a, -, ex:b, -) wasEndedBy(ex:s2; ex:a, -, ex:b, -)",
    28: "activity(ex:a, 2020-01-01T00:00:00Z, -) wasStartedBy(ex:a, -, -, 2020-01-01T00:00:01Z)",
    29: "activity(ex:a, -, 2020-01-01T00:00:00Z) wasEndedBy(ex:a, -, -, 2020-01-01T00:00:01Z)",
    42: "entity(ex:e1) entity(ex:e2) wasDerivedFrom(ex:e1, ex:e2) wasDerivedFrom(ex:e2, ex:e1)",
    51: "wasDerivedFrom(ex:e2, ex:e1, -, ex:g, -)",
    52: "specializationOf(ex:e1, ex:e2) specializationOf(ex:e2, ex:e3) specializationOf(ex:e3, ex:e1)",
    53: "wasInformedBy(ex:x; ex:a, ex:b) wasAttributedTo(ex:x; ex:e, ex:ag)",
    54: "agent(ex:x) wasAssociatedWith(ex:x; ex:a, ex:ag, -)",
    55: "entity(ex:x) used(ex:x, ex:e, -)",
    56: "entity(ex:c, [prov:type='prov:EmptyCollection']) hadMember(ex:c, ex:e)",
}


@pytest.mark.parametrize("number", BROKEN)
def test_each_constraint_is_reported_by_its_number(number: int) -> None:
    assert numbers(BROKEN[number]) == [number]
    assert number in CONSTRAINTS


DERIVED = "entity(ex:e1) entity(ex:e2) wasDerivedFrom(ex:e2, ex:e1) "
ORDERS = {
    "30 33 37": "activity(ex:a) used(ex:a, ex:e2, -) wasGeneratedBy(ex:e1, ex:b, -) wasStartedBy(ex:b, -, ex:a, -) "
    "wasEndedBy(ex:a, ex:e1, ex:b, -) activity(ex:b) wasInformedBy(ex:b, ex:a) wasStartedBy(ex:b, ex:e2, -, -)",
    "34 44": "activity(ex:b) wasGeneratedBy(ex:e1, ex:b, -) wasStartedBy(ex:b, ex:e2, -, -)",
    "41": "wasDerivedFrom(ex:e1, ex:e3, ex:a, ex:g, ex:u) used(ex:u; ex:a, ex:e3, -) specializationOf(ex:e3, ex:e2) entity(ex:e3)",
    "45": "specializationOf(ex:e1, ex:e2)",
    "45 by transitivity": "specializationOf(ex:e1, ex:e0) specializationOf(ex:e0, ex:e2)",
    "48": "wasAttributedTo(ex:e1, ex:e2)",
    "36 46 49": "entity(ex:e3) entity(ex:e4) wasInvalidatedBy(ex:e3, ex:a, -) actedOnBehalfOf(ex:e3, ex:e2, -) "
    "activity(ex:b) wasStartedBy(ex:b, ex:e2, -, -) wasGeneratedBy(ex:e1, ex:b, -)",
}


@pytest.mark.parametrize("name", ORDERS)
def test_no_cycle_of_events_may_hold_a_derivation(name: str) -> None:
    assert numbers(ORDERS[name].replace("ex:e2", "ex:e9")) == []
    assert numbers(DERIVED + ORDERS[name]) == [42]


@pytest.mark.parametrize(
    "text",
    [
        "activity(ex:a, 2020-01-01T00:00:00Z, -) wasStartedBy(ex:a, -, -, 2020-01-01T01:00:00.000+01:00)",
        "activity(ex:a, 2021-01-01T00:00:00, 2020-01-01T00:00:00)",  # times play no part in the order
        "wasDerivedFrom(ex:x; ex:e2, ex:e1) wasInfluencedBy(ex:x; ex:e2, ex:e1)",
        "entity(ex:x) agent(ex:x) wasAttributedTo(ex:e, ex:x)",
        "activity(ex:x) agent(ex:x) wasAssociatedWith(ex:x, ex:x, -)",
        "wasGeneratedBy(ex:g1; ex:e, ex:a, -) wasGeneratedBy(ex:g2; ex:e, ex:b, -)",
        "used(ex:a, ex:e, -) used(ex:a, ex:e, 2020-01-01T00:00:00)",
        "wasInvalidatedBy(ex:e, ex:a, -) used(ex:b, ex:e, -) wasGeneratedBy(ex:e, ex:a, -) entity(ex:e)",
    ],
)
def test_what_is_allowed_is_not_reported(text: str) -> None:
    assert numbers(text) == []


def test_a_derivation_says_what_was_generated_and_used() -> None:
    derived = "wasDerivedFrom(ex:e2, ex:e1, ex:a, ex:g, ex:u) "
    assert numbers(derived + "wasGeneratedBy(ex:g; ex:e2, ex:a, -) used(ex:u; ex:a, ex:e1, -)") == []
    assert numbers(derived + "wasGeneratedBy(ex:g; ex:e3, ex:a, -)") == [23]
    assert numbers(derived + "wasGeneratedBy(ex:other; ex:e2, ex:a, -)") == [24]


def test_bundles_are_judged_by_themselves() -> None:
    apart = "entity(ex:x) bundle ex:b activity(ex:x) endBundle bundle ex:c agent(ex:x) endBundle"
    assert numbers(apart) == []
    text = f"document prefix ex <{EX}> bundle ex:b {BROKEN[55]} endBundle endDocument"
    (found,) = validate(provn_reader.read(text))
    assert (found.bundle, found.name) == (EX + "b", "entity-activity-disjoint")
    assert {each.kind for each in found.statements} == {"entity", "used"}


def large(count: int) -> list[Statement]:
    """A derivation chain, each link of which is an activity with what it used and generated."""
    found = []
    for number in range(count):
        entity, activity, before = f"{EX}e{number}", f"{EX}a{number}", f"{EX}e{number - 1}"
        found += [
            statement("entity", entity),
            statement("activity", activity),
            statement("used", None, (activity, before)),
            statement("wasGeneratedBy", None, (entity, activity)),
            statement("wasDerivedFrom", None, (entity, before, activity)),
        ]
    return found


def test_chains_of_any_depth_are_walked_and_their_ends_tied_is_one_violation() -> None:
    chain = large(20_000)  # 100,000 statements
    assert validate(Document(statements=chain)) == []
    tied = [*chain, statement("wasDerivedFrom", None, (EX + "e0", EX + "e19999"))]
    (found,) = validate(Document(statements=tied))
    assert found.constraint == 42
    assert len(found.statements) <= 20


def test_the_time_grows_with_the_document_and_not_faster() -> None:
    def seconds(count: int) -> float:
        document = Document(statements=large(count))
        begin = time.process_time()
        validate(document)
        return time.process_time() - begin

    seconds(100)
    assert seconds(8000) < 40 * max(seconds(1000), 0.01)
