"""What the SPARQL endpoint refuses before the store sees it, and that it refuses nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_engine.errors import BadQuery, QueryEngineError, ReadOnly, TooLarge
from query_engine.guard import MAX_BYTES, MAX_NESTING, check
from tests.integration.query_graph import process


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { SERVICE <http://evil/> { ?s ?p ?o } }",
        "SELECT * { service silent <http://evil/> {} }",
        "SELECT * {{}SeRvIcE?x{}}",
        "SELECT * FROM <http://evil/> { ?s ?p ?o }",
        "SELECT * FROM NAMED <file:///etc/passwd> {}",
        "CONSTRUCT FROM <http://evil/> WHERE {}",
        "ASK\nFROM\n<x:>{}",
        "SELECT * { ?s ?p 1SERVICE<http://evil/>{} }",
        "SELECT * { ?s ?p 1.0e5SERVICE<http://evil/>{} }",
        "SELECT * { ?s ?p trueSERVICE<http://evil/>{} }",
        "PREFIX e: <http://evil/> SELECT * { SERVICEe:x {} }",
        "PREFIX e: <http://evil/> SELECT * { SERVICESILENTe:x {} }",
        "PREFIX e: <http://evil/> SELECT * { ?s ?p trueSERVICEe:x {} }",
        "PREFIX e: <http://evil/> SELECT * { ?s ?p true.SERVICEe:x {} }",
        "PREFIX : <http://evil/> SELECT * { SERVICE:x {} }",
        "PREFIX e: <http://evil/> SELECT *FROMe:x {}",
        "PREFIX e: <http://evil/> SELECT *FROMNAMEDe:x {}",
        "PREFIX e: <http://evil/> ASKFROMe:x {}",
        "PREFIX e: <http://evil/> CONSTRUCTFROMe:x WHERE {}",
        r"SELECT * { \u0053ERVICE <http://evil/> {} }",
        r"SELECT * { S\u0045RVICE <http://evil/> {} }",
        r'SELECT * { ?s ?p "\u0022 } SERVICE <http://evil/> { #" }',
        r'SELECT * { ?s ?p "\\u0022 } SERVICE <http://evil/> { #" }',
        r"SELECT * { ?s ?p <http://a/\u003E\u0020SERVICE> }",
        "SELECT * { ?s ?p 'a' SERVICE <http://evil/> { ?s ?p 'b' } }",
        'SELECT * { ?s ?p """a"" " """ . SERVICE <http://evil/> { } }',
        r"SELECT * { ?s ?p 'a\\' SERVICE <http://evil/> { ?s ?p '' } }",
        "SELECT * { ?s ?p ex:a\\' SERVICE <http://evil/> {} }",
        "SELECT * { # comment\rSERVICE <http://evil/> {} }",
        "SELECT (1<2 AS ?x) { SERVICE <http://evil/> {} }",
        "SELECT (1<2AS?x)FROM<http://evil/>{}",
    ],
)
def test_whatever_reaches_out_is_refused(text):
    with pytest.raises(BadQuery):
        check(text)


@pytest.mark.parametrize(
    "text",
    [
        "INSERT DATA { <a:> <a:> <a:> }",
        "delete where { ?s ?p ?o }",
        "LOAD <http://evil/>",
        "CLEAR ALL",
        "DROP DEFAULT",
        "CREATE GRAPH <a:>",
        "COPY <a:> TO <b:>",
        "MOVE <a:> TO <b:>",
        "ADD <a:> TO <b:>",
        "WITH <a:> DELETE {} INSERT {} WHERE {}",
        "PREFIX a: <a:> INSERT DATA {}",
        "SELECT * {} ; LOAD <http://evil/>",
    ],
)
def test_updates_are_refused(text):
    with pytest.raises(ReadOnly):
        check(text)


@pytest.mark.parametrize(
    "text",
    [
        'SELECT * { ?s ?p "SERVICE <http://x/> FROM INSERT" }',
        "SELECT * { ?s ?p '''SERVICE ' '' FROM''' }",
        'SELECT * { ?s ?p """SERVICE " "" \\""" FROM""" }',
        "SELECT * { ?s <http://x/SERVICE/FROM> ?o }",
        "SELECT * { ?s <http://x/#SERVICE> ?o } # SERVICE",
        "# FROM\nSELECT * { ?s ?p ?o }",
        "PREFIX ex: <http://x/> SELECT * { ?s ex:SERVICE ?o ; ex:FROM ex:INSERT }",
        "PREFIX ex: <http://x/> SELECT * { ?s ex:service-from ?o ; ex:a.service ?b }",
        "SELECT ?SERVICE $FROM { ?SERVICE ?LOAD $FROM }",
        'SELECT * { ?s ?p "x"@from }',
        "SELECT * { _:SERVICE ?p _:FROM }",
        "SELECT (?a<?b AS ?c) (?a>?b AS ?d) { ?a ?x ?b FILTER(?a<?b && ?b>=?a) }",
        r'SELECT * { ?s ?p "\u00e9\u0041 \\ \" \n" }',
        r'SELECT * { ?s ?p "C:\\users\\u12" }',
        "PREFIX ex: <http://x/> SELECT * { ?s ex:a\\'b\\(c%20d ?o }",
        "SELECT * { ?s ?p 1, 1.5, .5, 1e6, 1.e6, -3, true, false }",
        "ASK { ?s ?p ?o FILTER NOT EXISTS { ?s a ?o } }",
        "DESCRIBE <http://x/>",
        "CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p ?o } LIMIT 10",
        "BASE <http://x/> SELECT * { <a> ?p ?o }",
        "SELECT * { ?s (^<a:>/<b:>*|!(<c:>|^<d:>))+ ?o }",
        "SELECT * { ?s ?p <<( ?a ?b ?c )>> }",
        "SELECT * { VALUES (?a ?b) { " + "(<a:> 'x') " * 3000 + "} ?a ?p ?b }",
        "SELECT * { ?s ?p ?o FILTER(?o IN (" + ",".join(["1"] * 5000) + ")) }",
        "SELECT * { " + " ".join(f"?s <a:p{n}> ?o{n} ." for n in range(150)) + " }",
        "SELECT * { ?s ?p 'é日本😀' ; <http://x/é> ?ünï }",
    ],
)
def test_queries_with_such_words_elsewhere_pass_unchanged(text):
    assert check(text).text == text


def test_the_message_names_the_word_and_the_place():
    with pytest.raises(BadQuery, match=r"SERVICE at line 2, column 3"):
        check("SELECT * {\n  service <http://evil/> {} }")


@pytest.mark.parametrize("pair", ["{}", "()", "[]"])
def test_nesting_has_a_limit(pair):
    def nested(depth: int) -> str:
        return f"ASK {{ {pair[0] * (depth - 1)} {pair[1] * (depth - 1)} }}"

    assert check(nested(MAX_NESTING)).form == "ASK"
    with pytest.raises(BadQuery, match="nested deeper"):
        check(nested(MAX_NESTING + 1))


def test_text_has_a_limit():
    assert check("ASK {}" + " " * (MAX_BYTES - 6)).form == "ASK"
    with pytest.raises(TooLarge):
        check("ASK {}" + " " * (MAX_BYTES - 5))


DEEP = {
    "braces": "ASK " + "{" * 2250 + "}" * 2250,
    "braces, closed nowhere": "ASK " + "{" * 4500,
    "not": f"ASK {{ FILTER({'!' * 3000}true) }}",
    "or": f"ASK {{ ?s ?p ?o FILTER({'||'.join(['?s'] * 3000)}) }}",
    "sum": f"SELECT ({'+'.join(['1'] * 3000)} AS ?x) {{}}",
    "product": f"SELECT ({'*'.join(['1'] * 3000)} AS ?x) {{}}",
    "sequence path": f"ASK {{ ?s {'/'.join(['<a:>'] * 1000)} ?o }}",
    "starred path": f"ASK {{ ?s {'/'.join(['<a:>*'] * 1000)} ?o }}",
    "alternative path": f"ASK {{ ?s {'|'.join(['<a:>'] * 4000)} ?o }}",
    "union": f"ASK {{ {'UNION'.join(['{?s?p?o}'] * 2000)} }}",
    "optional": f"ASK {{ {'OPTIONAL{?s?p?o}' * 1000} }}",
    "minus": f"ASK {{ {'MINUS{?s?p?o}' * 1000} }}",
    "triples": f"ASK {{ {'?s?p?o.' * 1000} }}",
    "predicates": f"ASK {{ ?s {';'.join(['?p?o'] * 1000)} }}",
    "objects": f"ASK {{ ?s ?p {','.join(['?o'] * 1000)} }}",
    "collection": f"ASK {{ ?s ?p ({' '.join(['1'] * 1000)}) }}",
    "collection of blank nodes": f"ASK {{ ?s ?p ({'[]' * 1000}) }}",
    "filters": f"ASK {{ ?s ?p ?o {'FILTER(?s)' * 4000} }}",
    "binds": f"ASK {{ {''.join(f'BIND(1 AS ?x{n})' for n in range(1000))} }}",
    "projections": f"SELECT {''.join(f'(1 AS ?x{n})' for n in range(1000))} {{}}",
    "groups": f"ASK {{ {'{?s?p?o}' * 1000} }}",
    "having": f"SELECT (SUM(?s) AS ?x) {{ ?s ?p ?o }} HAVING {'(1)' * 4000}",
    "tables": f"ASK {{ {'VALUES?s{1}' * 1000} }}",
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_queries_are_refused(name):
    with pytest.raises(BadQuery):
        check(DEEP[name])


@pytest.fixture(scope="module")
def store(free_port: Callable[[], int], require_server: Callable[[str], str]) -> Iterator[str]:
    url = f"http://127.0.0.1:{free_port()}"
    command = [require_server("oxigraph"), "serve", "--bind", url.removeprefix("http://"), "--timeout-s", "20"]
    with process(command, f"{url}/query"):
        httpx.post(f"{url}/store?default", content="<a:> <a:> <a:> .", headers={"Content-Type": "text/turtle"})
        yield url


AT_LIMIT = {
    "triples": lambda n: f"SELECT * {{ {'?s?p?o.' * n} }}",
    "chain": lambda n: f"SELECT * {{ {''.join(f'?a{i} ?p{i} ?a{i + 1}.' for i in range(n))} }}",
    "collection": lambda n: f"ASK {{ ?s ?p ({' '.join(['1'] * n)}) }}",
    "path": lambda n: f"SELECT * {{ ?s {'/'.join(['<a:>*'] * n)} ?o }}",
    "optional": lambda n: f"SELECT * {{ {'OPTIONAL{?s?p?o}' * n} }}",
    "nested exists": lambda n: f"SELECT * {{ ?s?p?o {'FILTER EXISTS{?s?p?o ' * n}{'}' * n} }}",
    "nested function": lambda n: f"SELECT * {{ FILTER{'(1+IF(1,' * n}true{',1))' * n} }}",
    "nested sub-queries": lambda n: f"SELECT * {{ {'{SELECT*{?s?p?o ' * n}{'}}' * n} }}",
    "not": lambda n: f"ASK {{ FILTER({'!' * n}true) }}",
    "sum": lambda n: f"SELECT ({'+'.join(['1'] * n)} AS ?x) {{}}",
    "values": lambda n: f"SELECT * {{ VALUES ?s {{ {'<a:> ' * n} }} ?s ?p ?o }}",
}


def _passes(text: str) -> bool:
    try:
        check(text)
    except QueryEngineError:
        return False
    return True


@pytest.mark.parametrize("name", AT_LIMIT)
def test_the_largest_query_that_passes_leaves_the_store_alive(store, name):
    make = AT_LIMIT[name]
    low, high = 1, 20_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _passes(make(middle)) else (low, middle)
    headers = {"Content-Type": "application/sparql-query"}
    try:
        httpx.post(f"{store}/query", content=make(low), headers=headers, timeout=60)
    except httpx.RemoteProtocolError:
        pytest.fail(f"{name}: {low} of them broke the connection")
    assert httpx.post(f"{store}/query", content="ASK {}", headers=headers).json()["boolean"] is True


LONG = [
    "a-" * 32_000,
    "a." * 32_000,
    "ex:" + "." * 60_000,
    "ex:a" + ".-" * 30_000,
    "<a" * 32_000,
    '"' + "\\n" * 32_000,
    '"""' + '"" ' * 21_000,
    "'''" * 21_000,
    "_:a" + "." * 60_000,
    "é" * 32_000,
    "?" * 64_000,
    "1e" * 32_000,
    "@a-" * 21_000,
    "%41" * 21_000,
    "\\u0041" * 10_000,
    "a:" * 32_000,
    "1." * 32_000,
    "#" * 64_000,
    "VALUES{" * 9_000,
]


@pytest.mark.parametrize("text", LONG, ids=lambda text: text[:8])
def test_time_grows_no_faster_than_the_text(text):
    def seconds(part: str) -> float:
        best = float("inf")
        for _ in range(3):
            begin = time.thread_time()
            _passes(part)
            best = min(best, time.thread_time() - begin)
        return best

    quarter, whole = seconds(text[: len(text) // 4]), seconds(text)
    # Four times the text, at most ten times the time; below 20 ms clocks say nothing.
    assert whole < max(10 * quarter, 0.02)


@given(st.text(alphabet="{}()[]<>\"'\\#?$:_.,;*/|^!&=+-@% \n\raSERVICEfrom0é", max_size=300))
def test_any_text_is_answered(text):
    try:
        assert check(text).text == text
    except (BadQuery, ReadOnly):
        return


@given(st.text(max_size=100))
def test_what_stands_in_a_string_is_never_a_keyword(content):
    try:
        content.encode()
    except UnicodeEncodeError:
        return
    quoted = content.replace("\\", "/").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    assert check(f'ASK {{ ?s ?p "{quoted} SERVICE FROM INSERT" }}').form == "ASK"
