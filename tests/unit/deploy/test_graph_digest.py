"""Canonical triples: what stores may write in two ways is one, what differs stays two."""

from __future__ import annotations

import random

import pytest

from deploy.graph_digest import GraphDigest, NoTriple, canonical

XSD = "http://www.w3.org/2001/XMLSchema#"


def line(term: str) -> str:
    return f"<http://a> <http://b> {term} ."


def typed(text: str, datatype: str) -> str:
    return line(f'"{text}"^^<{XSD}{datatype}>')


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (typed("0.25e0", "double"), typed("2.5E-1", "double")),
        (typed("-0.0e0", "double"), typed("-0", "double")),
        (typed("INF", "double"), typed("+INF", "double")),
        (typed("NaN", "double"), typed("NaN", "double")),
        (typed("5e-324", "double"), typed("4.9E-324", "double")),
        (typed("+007", "integer"), typed("7", "integer")),
        (typed("-0", "integer"), typed("0", "integer")),
        (typed("1.50", "decimal"), typed("01.5", "decimal")),
        (typed("1", "boolean"), typed("true", "boolean")),
        (typed("2026-01-01T10:00:01.120000Z", "dateTime"), typed("2026-01-01T10:00:01.12Z", "dateTime")),
        (typed("2026-01-01T10:00:01.000000Z", "dateTime"), typed("2026-01-01T10:00:01+00:00", "dateTime")),
        (line('"a\\u00e9\\n\\U0001F600"'), line('"aé\\n😀"')),
        (line('"a"@en-GB'), line('"a"@en-gb')),
        (line('"a"'), typed("a", "string")),
        ("<http://a> <http://b> <http://c>.", "<http://a>\t<http://b>  <http://c> ."),
    ],
)
def test_two_ways_of_writing_are_one_triple(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (typed("0.0", "double"), typed("-0.0", "double")),
        (typed("1", "integer"), typed("1", "double")),
        (typed("1", "integer"), line('"1"')),
        (line('"a"@en'), line('"a"')),
        (line('"<http://c>"'), line("<http://c>")),
        (line('"a "'), line('"a"')),
        (typed("2026-01-01T10:00:01Z", "dateTime"), typed("2026-01-01T10:00:01+01:00", "dateTime")),
        (typed("20", "integer"), typed("2", "integer")),
        (line('"a\\\\u00e9"'), line('"aé"')),
        (line('"x"^^<http://t>'), line('"x"^^<http://u>')),
    ],
)
def test_different_triples_stay_two(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize("text", ["<http://a> <http://b>", '<http://a> <http://b> "c .', "a b c .", line('"c') + "x"])
def test_what_is_no_triple_is_told(text: str) -> None:
    with pytest.raises(NoTriple):
        canonical(text)


def test_the_digest_needs_no_order_and_sees_every_triple() -> None:
    lines = [line(f'"{number}"').encode() + b"\n" for number in range(1000)]
    shuffled = random.Random(1).sample(lines, len(lines))
    digests = [GraphDigest(), GraphDigest(), GraphDigest()]
    digests[0].add(lines)
    digests[1].add(shuffled[:300])
    digests[1].add([*shuffled[300:], b"\n", b"# a comment\n"])
    digests[2].add([*lines[:-1], line('"other"').encode()])
    assert digests[0] == digests[1]
    assert digests[0].triples == 1000
    assert digests[0].checksum != digests[2].checksum
