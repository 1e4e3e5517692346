"""Scripts with the unmodified ProvLake client against the whole stack: the graph, node by node."""

from __future__ import annotations

import json
import os
import re
import subprocess
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyoxigraph
import pyshacl
import pytest
import rdflib

from bench.peers.compare import Plan, compare
from bench.peers.settings import SETTINGS
from pllib import cli
from pllib.provml.vocabulary import PREFIXES
from tests.end_to_end import provlake_client
from tests.end_to_end.provlake_client import GRAPH_OF_ALL_PARTS, WITH_ALL_PARTS
from tracker.provlake.conversion import producer_of

pytestmark = pytest.mark.timeout(900)

BASE = "http://127.0.0.1:8472/id/"
TIMES = ("startedAtTime", "endedAtTime", "duration")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def client_python(pytestconfig: pytest.Config) -> str:
    """The interpreter of an environment with the client; it is made once and kept."""
    try:
        return provlake_client.python(pytestconfig.cache.mkdir("provlake-client"))
    except provlake_client.Missing as error:
        told = f"the ProvLake client cannot be installed: {error}"
        pytest.fail(told) if os.environ.get("CI", "") not in ("", "0", "false") else pytest.skip(told)


@pytest.fixture
def run(lab: Any, client_python: str, tmp_path: Path) -> Run:
    """Runs a script with the client; ``MARK`` becomes a word of this test's own."""

    def script(code: str, bag: int = 1, **environ: str) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "script.py"
        path.write_text(textwrap.dedent(code).replace("MARK", lab.mark))
        given = {"LOG": str(tmp_path / "prov.log"), "SERVICE": lab.services.tracker_url, "BAG": str(bag), **environ}
        done = subprocess.run(
            [client_python, str(path)],
            env=provlake_client.environment(**given),
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        return done

    return script


def ship(lab: Any, *files: Path) -> int:
    return cli.main(["ship", "--format", "provlake", *map(str, files), "--url", lab.services.tracker_url])


class Graph:
    """What a test adds to the store."""

    def __init__(self, lab: Any) -> None:
        self._lab = lab
        lab.settle()
        self._before = lab.triples()

    def lines(self) -> set[str]:
        """Lines of N-Triples."""
        self._lab.settle()
        return set(self._lab.triples() - self._before)

    def added(self) -> set[str]:
        """The same, where what the client took from the clock for an iteration reads ``CLOCK``."""
        lines = self.lines()
        turns = {line.split(" ")[0] for line in lines if line.endswith("#CycleIteration> .")}
        return {_without_clock(line) if line.split(" ")[0] in turns else line for line in lines}


def _without_clock(line: str) -> str:
    times = "|".join(TIMES)
    return re.sub(rf'^(\S+ <\S+(?:{times})>) "[^"]*"\S* \.$', r'\1 "CLOCK" .', line)


def expected(turtle: str, mark: str, wf: str) -> set[str]:
    """Lines of N-Triples from Turtle with ids as relative IRIs."""
    text = "".join(f"@prefix {name}: <{iri}> .\n" for name, iri in PREFIXES.items()) + turtle
    text = text.replace("MARK", mark).replace("PRODUCER", producer_of(wf.replace("MARK", mark)))
    found = pyoxigraph.parse(text, format=pyoxigraph.RdfFormat.TURTLE, base_iri=BASE)
    return {f"{triple.subject} {triple.predicate} {triple.object} ." for triple in found}


def same(found: Iterable[str], wanted: Iterable[str]) -> None:
    found, wanted = set(found), set(wanted)
    assert not (wanted - found), "missing:\n" + "\n".join(sorted(wanted - found))
    assert not (found - wanted), "too much:\n" + "\n".join(sorted(found - wanted))


def conforms(lab: Any, lines: Iterable[str]) -> str:
    """What the shapes say against a graph; nothing when it holds to them."""
    shapes = lab.http.get(f"{lab.services.manager_url}/shapes", headers={"Accept": "text/turtle"}).text
    graph = rdflib.Graph().parse(data="\n".join(lines), format="nt")
    good, _, report = pyshacl.validate(graph, shacl_graph=rdflib.Graph().parse(data=shapes, format="turtle"))
    return "" if good else str(report)


ALL_PARTS = "curate-MARK/run%201"


@pytest.mark.parametrize("bag", [1, 50])
def test_online_every_statement_is_the_expected_one(lab: Any, run: Run, tmp_path: Path, bag: int) -> None:
    graph = Graph(lab)
    done = run(WITH_ALL_PARTS, bag)
    assert not done.stderr
    said = graph.added()
    same(said, expected(GRAPH_OF_ALL_PARTS, lab.mark, ALL_PARTS))
    # The log holds the same records: sending it after them, twice, changes nothing.
    assert ship(lab, tmp_path / "prov.log", tmp_path / "prov.log") == 0
    same(graph.added(), said)
    assert conforms(lab, graph.lines()) == ""
    (ambiguous,) = lab.lineage(f"execution/curate-{lab.mark}/run%201/check/1700000007.0")["ambiguous"]
    assert ambiguous["entity"].endswith("/loss/f-0.5")


@pytest.mark.parametrize(("bag", "managed"), [(7, "yes"), (1, "no")])
def test_offline_and_imported_it_is_the_same(lab: Any, run: Run, tmp_path: Path, bag: int, managed: str) -> None:
    graph = Graph(lab)
    run(WITH_ALL_PARTS, bag, SERVICE="", MANAGED=managed)
    assert graph.added() == set()
    assert ship(lab, tmp_path / "prov.log") == 0
    wanted = expected(GRAPH_OF_ALL_PARTS, lab.mark, ALL_PARTS)
    if managed == "no":  # this kind of persister knows no context
        wanted = {line for line in wanted if not line.startswith(f"<{BASE}study/")}
    same(graph.added(), wanted)


def test_a_log_that_was_torn_and_damaged(
    lab: Any, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = Graph(lab)
    run(WITH_ALL_PARTS, SERVICE="")
    log = tmp_path / "prov.log"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(lines[0][:40] + b"".join(lines) + b"garbage\n" + lines[1][:100])
    assert ship(lab, log) == 0
    told = capsys.readouterr()
    count = len(lines)
    assert [line.split(": ")[0] for line in told.err.splitlines()] == [f"{log}:{n}" for n in (1, count + 1, count + 2)]
    assert told.out == f"{count} records sent, 3 damaged lines passed over\n"
    same(graph.added(), expected(GRAPH_OF_ALL_PARTS, lab.mark, ALL_PARTS))


EVERY_TYPE = """
import os
from provlake import ProvLake
from provlake.capture import ProvTask, ProvWorkflow
from provlake.utils.args_handler import *

prov = ProvLake.get_persister(log_file_path=os.environ["LOG"], service_url=os.environ["SERVICE"], bag_size=int(os.environ["BAG"]))
with ProvWorkflow(prov, "types-MARK", wf_exec_id="r", wf_start_time=1700000000.0) as wf:
    task = ProvTask(prov, "take", wf, task_id=0, generated_time=1700000000.0, input_args={
        "none": None, "yes": True, "n": 9007199254740993, "big": 2 ** 70, "f": 1.0, "text": "é\\n'\\"", "simple": [1, [2]],
        "loose": {"k": [1, {"z": None}]},
    })
    task.begin(start_time=1700000000.0)
    rows = [get_dataset_item(get_dict({"city": "Rio", "at": get_kg_reference("http://ex.org/MARK#Rio", "kg-MARK")}), order=0, dataset_id="d1")]
    task.end({
        "rows": get_dataset(rows, dataset_schema_id="cities"),
        "deep": get_recursive_dicts({"a": {"b": 2}}),
        "empty": get_list([]),
        "files": get_data_reference(["/a", "/b"], "fs-MARK"),
        "where": add_custom_metadata(get_data_reference("s3://MARK/x"), {"etag": "7"}),
    }, end_time=1700000001.0)
    wf.end(end_time=1700000002.0)
"""  # fmt: skip  # noqa: E501

VALUES_OF_EVERY_TYPE = """
<value/types-MARK/r/none/n-null> prov:value 'null'^^rdf:JSON .
<value/types-MARK/r/yes/b-true> prov:value true .
<value/types-MARK/r/n/i-9007199254740993> prov:value 9007199254740993 .
<value/types-MARK/r/big/i-1180591620717411303424> prov:value 1180591620717411303424 .
<value/types-MARK/r/f/f-1.0> prov:value "1"^^xsd:double .
<value/types-MARK/r/text/s-%C3%A9%0A%27%22> prov:value "é\\n'\\"" .
<value/types-MARK/r/simple/j-%5B1%2C%5B2%5D%5D> prov:value '[1,[2]]'^^rdf:JSON .
<value/types-MARK/r/loose/j-%7B%22k%22%3A%5B1%2C%7B%22z%22%3Anull%7D%5D%7D> prov:value '{"k":[1,{"z":null}]}'^^rdf:JSON .
<execution/types-MARK/r/take/0/rows> prov:value '[{"at":"http://ex.org/MARK#Rio","city":"Rio"}]'^^rdf:JSON .
<execution/types-MARK/r/take/0/rows/dataset_schema_id/s-cities> prov:value "cities" .
<execution/types-MARK/r/take/0/rows%5B0%5D> prov:value '{"at":"http://ex.org/MARK#Rio","city":"Rio"}'^^rdf:JSON .
<execution/types-MARK/r/take/0/rows%5B0%5D/order/i-0> prov:value 0 .
<execution/types-MARK/r/take/0/rows%5B0%5D/dataset_id/s-d1> prov:value "d1" .
<execution/types-MARK/r/take/0/rows%5B0%5D.city> prov:value "Rio" .
<data/kg-MARK/http%3A%2F%2Fex.org%2FMARK%23Rio> prov:value "http://ex.org/MARK#Rio" .
<data/kg-MARK/http%3A%2F%2Fex.org%2FMARK%23Rio/w-types-MARK%2Fr%2Ftake%2F0> prov:value "http://ex.org/MARK#Rio" .
<execution/types-MARK/r/take/0/deep> prov:value '{"a":{"b":2}}'^^rdf:JSON .
<execution/types-MARK/r/take/0/deep.a> prov:value '{"b":2}'^^rdf:JSON .
<execution/types-MARK/r/take/0/deep.a.b> prov:value 2 .
<execution/types-MARK/r/take/0/empty> prov:value '[]'^^rdf:JSON .
<execution/types-MARK/r/take/0/files> prov:value '["/a","/b"]'^^rdf:JSON .
<data/fs-MARK/%2Fa> prov:value "/a" .
<data/fs-MARK/%2Fa/w-types-MARK%2Fr%2Ftake%2F0> prov:value "/a" .
<data/fs-MARK/%2Fb> prov:value "/b" .
<data/fs-MARK/%2Fb/w-types-MARK%2Fr%2Ftake%2F0> prov:value "/b" .
<data/s3%3A%2F%2FMARK/x> prov:value "x" .
<data/s3%3A%2F%2FMARK/x/w-types-MARK%2Fr%2Ftake%2F0> prov:value "x" .
<data/s3%3A%2F%2FMARK/x/w-types-MARK%2Fr%2Ftake%2F0/etag/s-7> prov:value "7" .
"""


def test_every_kind_of_value(lab: Any, run: Run) -> None:
    graph = Graph(lab)
    run(EVERY_TYPE)
    said = {line for line in graph.added() if "#value>" in line}
    equal = {line for line in said if line.startswith(f"<{BASE}value/types-{lab.mark}/r/")}
    used = ("none", "yes", "n", "big", "f", "text", "simple", "loose")
    shown = {line for line in said if line not in equal or line.split("/r/")[1].split("/")[0] in used}
    same(shown, expected(VALUES_OF_EVERY_TYPE, lab.mark, ""))


CHAIN = """
import os
from provlake import ProvLake
from provlake.capture import ProvCycle, ProvTask, ProvWorkflow
from provlake.utils.args_handler import get_data_reference

def persister():
    return ProvLake.get_persister(service_url=os.environ["SERVICE"], should_send_to_file=False)

prov = persister()
with ProvWorkflow(prov, "one-MARK") as wf:
    with ProvTask(prov, "make-MARK", wf, {"n": 5}) as task:
        task.end({"half": 2.5})
    with ProvTask(prov, "square-MARK", wf, {"half": 2.5}) as task:
        task.end({"file": get_data_reference("/MARK/out.csv", "fs-MARK")})
    for turn in range(2):
        with ProvCycle(prov, "turn-MARK", turn, wf, {"lr": 0.1}) as cycle:
            with ProvTask(prov, "step-MARK", wf, parent_cycle_name="turn-MARK", parent_cycle_iteration=turn) as task:
                pass
            cycle.end({"loss": turn / 2})
prov = persister()
with ProvWorkflow(prov, "two-MARK") as wf:
    with ProvTask(prov, "read-MARK", wf, {"table": get_data_reference("/MARK/./out.csv", "fs-MARK"), "half": 2.5}) as task:
        try:
            raise ValueError("the client does not see this")
        except ValueError:
            pass
prov = persister()
with ProvTask(prov, "alone-MARK", None, {"half": 2.5, "table": get_data_reference("/MARK/out.csv", "fs-MARK")}) as task:
    task.end({"half": 2.5})
with ProvTask(prov, "after-MARK", None, {"half": 2.5}) as task:
    pass
prov.close()
"""


def test_lineage_joins_equal_values_inside_an_execution_and_references_everywhere(
    lab: Any, run: Run, ancestors: Callable[..., set[str]], constraint_violations: Callable[..., list[str]]
) -> None:
    graph = Graph(lab)
    assert "Traceback" not in run(CHAIN).stderr
    lines = graph.lines()
    assert not constraint_violations(lines)
    assert conforms(lab, lines) == ""

    def behind(task: str) -> set[str]:
        (row,) = lab.select(f'SELECT ?t {{ ?t prov:wasInfluencedBy/rdfs:label "{task}-{lab.mark}" }}')
        return {name.removesuffix(f"-{lab.mark}") for name in ancestors(row["t"])}

    assert behind("square") == {"make"}
    assert behind("read") == {"square", "make"}  # by the file; an equal number of another execution means nothing
    assert behind("alone") == {"square", "make"}
    assert behind("after") == set()  # nor does one of a task without a workflow


CATALOGUE = """
import os
from provlake.prospective.data_store_catalog import DataStoreCatalog

catalog = DataStoreCatalog(os.environ["SERVICE"] + os.environ.get("PREFIX", ""))
made = [catalog.create_data_store("scratch MARK", "Lustre")["data_store_hkg_id"] for _ in range(2)]
assert made[0] == made[1], made
given = catalog.create_data_store("measurements", "PostgreSQL", id="pg/MARK", host_address="db1:5432", custom_metadata={"a": 1})
assert given == {"data_store_hkg_id": "pg/MARK"}, given
catalog.create_data_store("tiles", "AWSS3", id="s3-MARK", url="https://cos.example", bucket="tiles")
listed = {store["hkg_id"]: store for store in catalog.get_data_stores()}
assert {made[0], "pg/MARK", "s3-MARK"} <= set(listed), listed
one = catalog.get_data_store("pg/MARK")
assert one == listed["pg/MARK"], one
assert (one["name"], one["type"], one["host_address"], one["custom_metadata"]) == ("measurements", "PostgreSQL", "db1:5432", {"a": 1})
try:
    catalog.get_data_store("none-MARK")
except AssertionError as error:
    assert "404" in str(error), error
else:
    raise SystemExit("there is no such store")
"""


@pytest.mark.parametrize("prefix", ["", "/", "/lake", "/lake/"])
def test_the_catalogue_of_data_stores(lab: Any, run: Run, prefix: str) -> None:
    graph = Graph(lab)
    run(CATALOGUE, PREFIX=prefix)
    said = graph.added()
    wanted = expected(
        """
        <store/pg%2FMARK> a provlake:DataStoreInstance ; rdfs:label "measurements" ;
            provlake:storeType "RELATIONAL_DBMS" ; provlake:host "db1:5432" ; prov:wasDerivedFrom <store/pg%2FMARK/plan> .
        <store/pg%2FMARK/plan> a provlake:DataStore ; rdfs:label "measurements" ; provlake:storeType "RELATIONAL_DBMS" .
        <store/s3-MARK> a provlake:DataStoreInstance ; rdfs:label "tiles" ;
            provlake:storeType "OBJECT_STORE" ; provlake:host "https://cos.example/tiles" ; prov:wasDerivedFrom <store/s3-MARK/plan> .
        <store/s3-MARK/plan> a provlake:DataStore ; rdfs:label "tiles" ; provlake:storeType "OBJECT_STORE" .
        """,
        lab.mark,
        "",
    )
    assert wanted < said
    (made,) = {line.split(" ")[0].removesuffix("/plan>").rpartition("/")[2].rstrip(">") for line in said - wanted}
    turtle = """
        <store/MADE> a provlake:DataStoreInstance ; rdfs:label "scratch MARK" ; provlake:storeType "FILE_SYSTEM" ;
            prov:wasDerivedFrom <store/MADE/plan> .
        <store/MADE/plan> a provlake:DataStore ; rdfs:label "scratch MARK" ; provlake:storeType "FILE_SYSTEM" .
        """
    assert said - wanted == expected(turtle.replace("MADE", made), lab.mark, "")


PROSPECTIVE = """
import copy, os
from provlake import ProvLake
from provlake.capture import ProvTask, ProvWorkflow
from provlake.utils.args_handler import get_data_reference

document = {
    "context_name": "plan-MARK", "dataflow_name": "planned-MARK", "description": "trains",
    "storages": {"fs-MARK": {"type": "FileSystem", "host_address": "node1"}},
    "data_transformations": {"fit": {
        "stage": "training",
        "input_datasets": [{"attributes": [
            {"name": "lr", "dtype": "float", "semantics": "PARAMETER", "ml_semantics": "hyper_parameter", "description": "step"},
            {"name": "raw", "dtype": "string", "semantics": "FILE_REFERENCE", "storage_references": ["fs-MARK"]},
        ]}],
        "output_datasets": [{"attributes": [
            {"name": "loss", "dtype": "float", "semantics": "OUTPUT_VALUE", "ml_semantics": "evaluation_measure"},
        ]}],
    }},
}
prov = ProvLake.get_persister(
    service_url=os.environ["SERVICE"] + "/any/prefix/", should_send_to_file=False, log_level="warning",
    with_validation={"no": False, "warn": True, "strict": "strict"}[os.environ["CHECK"]], bag_size=int(os.environ["BAG"]),
)
prov.persist_prospective(document)
wrong = copy.deepcopy(document)
wrong["data_transformations"]["fit"]["input_datasets"][0]["attributes"][0]["dtype"] = "flot"
prov.persist_prospective(wrong)
with ProvWorkflow(prov, "planned-MARK", wf_exec_id=os.environ["CHECK"]) as wf:
    with ProvTask(prov, "fit", wf, {"lr": 0.1, "raw": "/MARK/a.h5"}, task_id="right") as task:
        task.end({"loss": 0.5})
    with ProvTask(prov, "fit", wf, {"lr": "fast", "speed": 1}, task_id="wrong") as task:
        task.end({"loss": 0.5})
    with ProvTask(prov, "unplanned", wf, task_id="unplanned") as task:
        pass
"""
WARNED = {
    "wrong_type input `lr` of `fit` is `fast` (str), expected float",
    "unknown_attribute `speed` is no input of `fit`",
    "missing_input `fit` has no input `raw`",
    "unknown_transformation `unplanned` is no transformation of the specification",
}


@pytest.mark.parametrize("bag", [1, 50])
@pytest.mark.parametrize("check", ["no", "warn", "strict"])
def test_prospective_provenance_and_validation(lab: Any, run: Run, check: str, bag: int) -> None:
    told = run(PROSPECTIVE, bag, CHECK=check).stderr
    assert "Traceback" not in told, told
    lines = {line for line in told.splitlines() if line}
    (refused,) = {line for line in lines if line.startswith("[[")}
    assert json.loads(refused)[0][0]["code"] == "E203"
    assert lines - {refused} == (WARNED if check != "no" else set())
    lab.settle()
    rows = lab.select(
        f'SELECT ?t {{ ?t provlake:isPartOf ?w FILTER(CONTAINS(STR(?w), "planned-{lab.mark}/{check}")) }}'
    )
    tasks = {row["t"].rpartition("/")[2] for row in rows}
    assert tasks == ({"right", "wrong"} if check == "strict" else {"right", "wrong", "unplanned"})
    values = lab.select(
        f"SELECT ?name ?type {{ ?t prov:used ?v . ?v prov:wasDerivedFrom/rdfs:label ?name ; a ?type "
        f'FILTER(CONTAINS(STR(?t), "planned-{lab.mark}/{check}/fit/right")) }}'
    )
    types = {(row["name"], row["type"].rpartition("#")[2]) for row in values}
    assert types == {("lr", "LearningHyperparameterValue"), ("raw", "DataReference")}
    (training,) = lab.select(
        f'SELECT ?t {{ ?t a provml:TrainingExecution FILTER(STRENDS(STR(?t), "{lab.mark}/{check}/fit/right")) }}'
    )
    assert training
    kept = lab.http.get(f"{lab.services.tracker_url}/v1/prospective/planned-{lab.mark}").json()
    assert kept["version"] == 1
    assert kept["specification"]["stores"] == {f"fs-{lab.mark}": {"type": "FILE_SYSTEM", "host": "node1"}}


NOT_JSON = """
import os
from provlake import ProvLake
from provlake.capture import ProvTask, ProvWorkflow

prov = ProvLake.get_persister(log_file_path=os.environ["LOG"], service_url=os.environ["SERVICE"], log_level="none")
with ProvWorkflow(prov, "odd-MARK", wf_exec_id="r") as wf:
    with ProvTask(prov, "t", wf, {"x": float("nan"), "name": b"a\\xff".decode("utf-8", "surrogateescape")}, task_id="a") as task:
        task.end({"y": float("inf"), "z": 10 ** 30})
"""


def test_what_the_client_cannot_send_is_imported_from_its_log(lab: Any, run: Run, tmp_path: Path) -> None:
    run(NOT_JSON)
    lab.settle()

    def values() -> dict[str, str]:
        rows = lab.select(
            f"SELECT ?name ?v {{ {{ ?t prov:used ?e }} UNION {{ ?e prov:wasGeneratedBy ?t }} ?e prov:value ?v ; "
            f'prov:wasDerivedFrom/rdfs:label ?name FILTER(CONTAINS(STR(?t), "odd-{lab.mark}")) }}'
        )
        return {row["name"]: row["v"] for row in rows}

    assert values() == {}, "the client's HTTP library refuses numbers that JSON has not"
    assert ship(lab, tmp_path / "prov.log") == 0
    lab.settle()
    found = values()
    assert json.loads(found.pop("name")) == {"type": "builtins.str", "escaped": "a\\udcff"}
    assert found == {"x": "NaN", "y": "INF", "z": str(10**30)}


CSV = """
import io, os
from provlake import ProvLake
from provlake.capture import ProvWorkflow
from provlake.data_extraction.file_extraction import CSVFileExtraction

prov = ProvLake.get_persister(service_url=os.environ["SERVICE"], should_send_to_file=False)
with ProvWorkflow(prov, "csv-MARK", wf_exec_id="r") as wf:
    table = io.StringIO("city,people\\nRio,6\\nNiteroi,1\\n")
    CSVFileExtraction(
        prov, table, wf, dataset_name="cities", extraction_function_kwargs={"dataset_schema_id": "rows", "dataset_id": "d"},
        extraction_function=lambda source, **known: {"rows": [{"city": "Rio", "people": 6}]},
    ).extract()
"""


def test_the_clients_extraction_of_files(lab: Any, run: Run) -> None:
    assert "Traceback" not in run(CSV).stderr
    lab.settle()
    rows = lab.select(
        f'SELECT ?v {{ ?e prov:wasGeneratedBy ?t ; prov:value ?v FILTER(CONTAINS(STR(?t), "csv-{lab.mark}/r/cities_extraction/")) }}'
    )
    assert [json.loads(row["v"]) for row in rows] == [[{"city": "Rio", "people": 6}]]


def test_the_bench_does_its_workload_with_the_client(client_python):
    chosen = tuple(one for one in SETTINGS if one.key in ("provlake-file", "provlake-memory", "provlake-http-bag-http"))
    plan = Plan(chosen, rounds=1, count=20, seconds=0.1, whole=20, killed=30, threads=(), states=("up",), trouble=5)
    found = compare(plan._replace(loops={}, all_closer=True), {"provlake": client_python})
    assert not found.failures
    left = {key: answers[0]["kept"] for (key, kind), answers in found.answers.items() if kind == "kill"}
    assert left["provlake-file"] == 30
    assert left["provlake-memory"] == 0
    assert found.answers["provlake-http-bag-http", "up"][0]["kept"] == 25
    assert found.answers["provlake-http-bag-http", "whole"][0]["wire"] > 1000


@pytest.fixture(autouse=True)
def _no_client_log_is_left(tmp_path: Path) -> Iterator[None]:
    """The client writes where it is told to, and nowhere else."""
    before = set(Path.cwd().glob("prov-*.log"))
    yield
    assert set(Path.cwd().glob("prov-*.log")) == before
