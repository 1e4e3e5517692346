"""The chained commands, their YAML files, and what they do to documents."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import prov.tests
import pytest
from lxml import etree

from bench.projects import tracking_store
from pllib import extraction
from pllib import prov as documents
from pllib.extraction import stream
from pllib.extraction.people import pseudonym

from .conftest import Repo, Run, ids, relations, text_of

SCHEMA = Path(prov.tests.__file__).parent / "schemas" / "prov.xsd"
EXAMPLE = """
# yaml-language-server: $schema=../mlflow2prov/config/schema.json
- extract:
        repository_path: "/home/user/dev/mlproject-foo"
        mlflow_url: "http://localhost-foo:5000"
- extract:
        repository_path: "/home/user/dev/mlproject-bar"
        mlflow_url: "http://localhost-bar:5000"
- load:
        input: [example.rdf]
- transform:
        use_pseudonyms: true
        eliminate_duplicates: true
- merge:
- save:
        output: result
        format: [json, rdf, xml, provn, dot]
- statistics:
        resolution: fine
        format: table
"""
"""The example configuration of MLflow2PROV 0.1.6."""
AGENTS = """document
  default <https://github.com/mariusschlegel/mlflow2prov/>
  agent(User?name\\=Ana+Lee&email\\=ana%40x.org, [name="Ana Lee", email="ana@x.org", prov:type="User"])
  agent(User?name\\=alee&email\\=, [name="alee", prov:type="User"])
  agent(User?name\\=Bo&email\\=, [name="Bo", prov:type="User"])
  agent(robot, [prov:type='prov:SoftwareAgent', name="builder"])
  activity(Commit?sha\\=1, -, -, [message="Signed-off-by: Ana Lee <ana@x.org>, not Anatol", title="alee did it"])
  wasAssociatedWith(Commit?sha\\=1, User?name\\=Ana+Lee&email\\=ana%40x.org, -, [prov:role="CommitAuthor"])
  wasAssociatedWith(Commit?sha\\=1, User?name\\=alee&email\\=, -, [prov:role="Committer"])
  wasAssociatedWith(Commit?sha\\=1, User?name\\=Bo&email\\=, -)
  entity(RunTag?run_id\\=1&name\\=mlflow.user, [name="mlflow.user", value="alee"])
endDocument
"""


def once(document: documents.Document) -> documents.Document:
    """With each thing said once: RDF does not keep what else is said apart of one thing."""
    found = stream.merged([document])
    return documents.Document(namespaces=found.namespaces, statements=list(found.statements))


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    path = tmp_path / "agents.provn"
    path.write_text(AGENTS)
    return path


@pytest.fixture
def project(repo: Repo, tmp_path: Path) -> list[str]:
    """The options of ``extract`` for a small project."""
    sha = repo.commit({"train.py": "1\n", "with space é": "x"})
    return [
        "--repository_path",
        str(repo.folder),
        "--mlflow_url",
        tracking_store(tmp_path / "mlflow.db", tmp_path / "artifacts", 2, [sha]),
    ]


@pytest.mark.parametrize("ids_of", ["pllib", "mlflow2prov"])
def test_every_format_is_written_and_says_the_same(chain: Run, project: list[str], tmp_path: Path, ids_of: str) -> None:
    formats = ("json", "xml", "rdf", "provn", "dot", "ttl", "jsonld")
    wanted = [word for form in formats for word in ("--format", form)]
    chain("extract", *project, "--ids", ids_of, "save", "--output", tmp_path / "result", *wanted)
    found = documents.read(tmp_path / "result.json")
    assert documents.validate(found) == []
    for form in ("xml", "provn", "jsonld", "ttl"):
        assert documents.differences(once(found), once(documents.read(tmp_path / f"result.{form}"))) == [], form
    assert (tmp_path / "result.dot").read_text().startswith("digraph")
    # Read again by a chain, identifiers are what they were.
    chain(
        "load",
        "--input",
        tmp_path / "result.rdf",
        "load",
        "--input",
        tmp_path / "result.xml",
        "save",
        "--output",
        tmp_path / "again",
    )
    for number in (1, 2):
        assert documents.differences(once(found), once(documents.read(tmp_path / f"again-{number}.json"))) == []


def test_xml_passes_the_schema(chain: Run, project: list[str], tmp_path: Path) -> None:
    """But for values that are JSON, a type that the schema cannot know; MLflow2PROV's scheme has none."""
    schema = etree.XMLSchema(etree.parse(SCHEMA))
    for ids_of, reasons in (
        ("mlflow2prov", ()),
        ("pllib", ("#}JSON' of the xsi:type", "The type definition is absent")),
    ):
        chain("extract", *project, "--ids", ids_of, "save", "--output", tmp_path / ids_of, "--format", "xml")
        schema.validate(etree.parse(tmp_path / f"{ids_of}.xml"))
        assert [str(each) for each in schema.error_log if not any(reason in str(each) for reason in reasons)] == []


def test_the_url_option_is_obeyed(
    chain: Run, project: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    other = tracking_store(tmp_path / "other.db", tmp_path / "elsewhere", 3, ["0" * 40])
    chain("extract", "--mlflow_url", other, "--ids", "mlflow2prov", "save", "--output", tmp_path / "r")
    runs = [each for each in ids(documents.read(tmp_path / "r.json").statements, "entity") if each.startswith("Run?")]
    assert len(runs) == 3


def test_several_documents_are_all_written_and_merged(chain: Run, project: list[str], tmp_path: Path) -> None:
    other = tracking_store(tmp_path / "other.db", tmp_path / "elsewhere", 1, ["0" * 40])
    scheme = ("--ids", "mlflow2prov")
    chain(
        "extract",
        *project,
        *scheme,
        "extract",
        "--mlflow_url",
        other,
        *scheme,
        "save",
        "--output",
        "each",
        "merge",
        "save",
        "--output",
        "all",
    )
    first, second, both = (documents.read(tmp_path / f"{name}.json") for name in ("each-1", "each-2", "all"))
    assert {*ids(first.statements, "entity"), *ids(second.statements, "entity")} == ids(both.statements, "entity")
    elements = [each.id for each in both.statements if each.kind in ("entity", "agent", "activity")]
    assert len(elements) == len(set(elements))
    assert both.namespaces[""] == "https://github.com/mariusschlegel/mlflow2prov/"


def test_merge_keeps_bundles_and_prefixes_apart(chain: Run, tmp_path: Path) -> None:
    for number, iri in enumerate(("http://one.org/", "http://two.org/")):
        text = f"document prefix ex <{iri}> entity(ex:a) bundle ex:b entity(ex:in) endBundle endDocument"
        (tmp_path / f"{number}.provn").write_text(text)
    chain("load", "--input", "0.provn", "--input", "1.provn", "merge", "save", "--output", "m")
    found = documents.read(tmp_path / "m.json")
    assert [each.id for each in found.statements] == ["http://one.org/a", "http://two.org/a"]
    assert [(each.id, [one.id for one in each.statements]) for each in found.bundles] == [
        ("http://one.org/b", ["http://one.org/in"]),
        ("http://two.org/b", ["http://two.org/in"]),
    ]


def test_documents_on_standard_input_and_output(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pllib", "load", "--input", "-", "save", "--format", "provn"]
    done = subprocess.run(
        command, input=AGENTS, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    assert documents.differences(documents.read(done.stdout), documents.read(AGENTS)) == []


# -- configuration ----------------------------------------------------------------------------------------------------


def test_the_example_of_mlflow2prov_is_valid(chain: Run, tmp_path: Path) -> None:
    (tmp_path / "example.yaml").write_text(EXAMPLE)
    assert "a valid chain of 7 commands" in chain("--validate", "example.yaml")
    assert "/home/user/dev/mlproject-foo: there is no such folder" in chain("--config", "example.yaml", code=1)


@pytest.mark.parametrize(
    "text",
    [
        "- extract: {repository_path: project/.git, mlflow_url: 'http://localhost:5000'}\n- transform: {eliminate_duplicates: true}\n",
        "- load: {input: [a]}\n- statistics: {fine: true, format: table}\n",
        "- load: {input: a}\n- statistics: {formatter: csv}\n",
        "- load: {input: [a]}\n- transform: {use_pseudonyms: false, merge_aliased_agents: false}\n- merge\n",
        "- load: {input: [a]}\n- save: {output: b, format: JSON}\n",
    ],
)
def test_other_files_that_are_valid(chain: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    chain("--validate", "c.yaml")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("extract: {}", "a list of commands"),
        ("- extract: {mlflow_url: 5}", "mlflow_url is a text, not 5"),
        ("- extract: {}", "extract needs repository_path"),
        ("- load:", "load needs input"),
        ("- publish: {}", "item 1: 'publish' is no command; there are extract, load"),
        (
            "- load: {input: [a]}\n- transform: {use_pseudonyms: 'no'}",
            "item 2: transform: use_pseudonyms is true or false",
        ),
        ("- load: {input: [a], inptu: b}", "load has no option 'inptu'; it has input"),
        ("- load: {input: [a]}\n- save: {format: [json, yaml]}", "it may be json, xml"),
        ("- {load: {input: [a]}, merge: }", "each item is one command"),
        ("- [", "this is no YAML"),
        ("- !!python/object/apply:os.system ['echo']", "this is no YAML"),
    ],
)
def test_files_that_are_not(chain: Run, tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    for option in ("--validate", "--config"):
        assert told in chain(option, "c.yaml", code=2)


def test_false_means_false(chain: Run, agents: Path, tmp_path: Path) -> None:
    off = "- transform: {use_pseudonyms: false, eliminate_duplicates: false}\n"
    text = f"- load: {{input: [agents.provn]}}\n{off}- save: {{output: out, format: [json]}}\n"
    (tmp_path / "c.yaml").write_text(text)
    chain("--config", "c.yaml")
    assert documents.differences(documents.read(tmp_path / "out.json"), documents.read(agents)) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["extract"], "extract needs"),
        (["load", "--input"], "--input needs a value"),
        (["load", "--input", "x", "publish"], "'publish' is no command of a chain"),
        (["save", "--formats", "json"], "save has no option --formats"),
        (["transform", "--use_pseudonyms=yes"], "takes no value"),
        (["extract", "--mlflow_url", "x", "--ids", "mine"], "it may be pllib, mlflow2prov"),
        (["--config"], "--config needs a file"),
        (["--validate", "nowhere.yaml"], "cannot be read"),
    ],
)
def test_command_lines_that_are_wrong(chain: Run, arguments: list[str], told: str) -> None:
    assert told in chain(*arguments, code=2)


def test_options_may_have_hyphens_and_values_the_names_of_commands(chain: Run, agents: Path, tmp_path: Path) -> None:
    chain(
        "load",
        "--input=agents.provn",
        "transform",
        "--eliminate-duplicates",
        "save",
        "--output",
        "merge",
        "--format=provn",
    )
    assert (tmp_path / "merge.provn").exists()
    assert "usage: pllib COMMAND" in chain("extract", "--help")


# -- statistics -------------------------------------------------------------------------------------------------------


def test_statistics(chain: Run, agents: Path) -> None:
    coarse = chain("load", "--input", agents, "statistics", "--format", "csv")
    assert coarse == "Record Type,Count\nActivity,1\nAgent,4\nEntity,1\nRelations,3\n"
    fine = chain("load", "--input", agents, "statistics", "--resolution", "fine", "--format", "csv")
    assert (
        fine == "Record Type,Count\nActivity,1\nAgent,4\nAgent/SoftwareAgent,1\nAgent/User,3\nEntity,1\nAssociation,3\n"
    )
    table = chain("load", "--input", agents, "statistics")
    assert table.splitlines() == [
        "|Record Type|       Count|",
        "+-----------+------------+",
        "|Activity   |           1|",
        "|Agent      |           4|",
        "|Entity     |           1|",
        "|Relations  |           3|",
    ]


# -- transformations --------------------------------------------------------------------------------------------------


def test_pseudonyms_stand_wherever_a_user_stood(chain: Run, agents: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    chain(
        "load",
        "--input",
        agents,
        "transform",
        "--use_pseudonyms",
        "--pseudonym_key",
        key,
        "save",
        "--output",
        "p",
        "--format",
        "provn",
    )
    written = (tmp_path / "p.provn").read_text()
    for word in ("Ana", "alee", "x.org", "Bo\\b"):
        assert word.replace("\\b", '"') not in written.replace("Anatol", "")
    assert "not Anatol" in written  # another word
    assert "builder" in written  # no person
    secret = key.read_text().strip().encode()
    one, other = pseudonym("Ana Lee", secret), pseudonym("alee", secret)
    found = documents.read(tmp_path / "p.provn")
    assert f"Signed-off-by: {one} <{pseudonym('ana@x.org', secret)}>" in written
    assert f'value="{other}"' in written
    assert f"User?name={one}&email={pseudonym('ana@x.org', secret)}" in ids(found.statements, "agent")
    assert {pair[1] for pair in relations(found, "wasAssociatedWith")} == ids(found.statements, "agent") - {"robot"}
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_pseudonyms_follow_from_the_key_alone(
    chain: Run, agents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transform = ("load", "--input", agents, "transform", "--use_pseudonyms")
    chain(*transform, "save", "--output", "one")
    chain(*transform, "save", "--output", "two")
    assert (tmp_path / "one.json").read_text() == (tmp_path / "two.json").read_text()
    monkeypatch.setenv("PLLIB_PSEUDONYM_KEY", "another secret, long enough")
    chain(*transform, "save", "--output", "three")
    assert (tmp_path / "one.json").read_text() != (tmp_path / "three.json").read_text()
    monkeypatch.setenv("PLLIB_PSEUDONYM_KEY", "short")
    assert "16 characters" in chain(*transform, code=1)
    monkeypatch.delenv("PLLIB_PSEUDONYM_KEY")
    (tmp_path / "pllib-pseudonyms.key").chmod(0o644)
    assert "others may read this key" in chain(*transform, code=1)


def test_pseudonyms_in_an_extraction(chain: Run, project: list[str], tmp_path: Path) -> None:
    """In tags, metadata and identifiers of both schemes."""
    for scheme in ("pllib", "mlflow2prov"):
        chain("extract", *project, "--ids", scheme, "transform", "--use_pseudonyms", "save", "--output", scheme)
        written = (tmp_path / f"{scheme}.json").read_text()
        assert not [
            word
            for word in ("Ana Lee", "Ana%20Lee", "Ana+Lee", "example.org", '"ana"', "person/ana", "name=ana&")
            if word in written
        ]
        assert documents.validate(documents.read(tmp_path / f"{scheme}.json")) == []


def test_only_aliased_agents_merge(chain: Run, agents: Path, tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text('- name: "Ana Lee"\n  aliases: ["alee", "ana"]\n')
    chain("load", "--input", agents, "transform", "--merge-aliased-agents", "map.yaml", "save", "--output", "m")
    found = documents.read(tmp_path / "m.json")
    assert ids(found.statements, "agent") == {"User?name=Ana+Lee&email=ana%40x.org", "User?name=Bo&email=", "robot"}
    assert {pair[1] for pair in relations(found, "wasAssociatedWith")} == {
        "User?name=Ana+Lee&email=ana%40x.org",
        "User?name=Bo&email=",
    }
    roles = [value for each in found.statements if each.kind == "wasAssociatedWith" for _, value in each.attributes]
    assert sorted(roles) == [documents.Literal("CommitAuthor"), documents.Literal("Committer")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- name: 5", "item 1: give name"),
        ("- {name: a, aliases: x}", "a list of texts"),
        ("- {name: a, aliases: [x]}\n- {name: b, aliases: [x]}", "an alias of 'a' already"),
    ],
)
def test_maps_of_aliases_that_are_wrong(chain: Run, agents: Path, tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "map.yaml").write_text(text)
    assert told in chain("load", "--input", agents, "transform", "--merge_aliased_agents", "map.yaml", code=1)


def test_duplicates_are_eliminated_and_nothing_else(chain: Run, tmp_path: Path) -> None:
    text = """document prefix ex <http://example.org/>
      entity(ex:e, [ex:a="1"]) entity(ex:e, [ex:b="2"]) entity(ex:e, [ex:a="1"])
      activity(ex:a, 2026-11-21T10:00:00Z, -) activity(ex:a, -, 2026-11-21T11:00:00Z) activity(ex:a, 2026-11-21T09:00:00Z, -)
      used(ex:a, ex:e, -) used(ex:a, ex:e, -) used(ex:a, ex:e, 2026-11-21T10:30:00Z)
      wasAssociatedWith(ex:a, ex:me, -, [prov:role="x"]) wasAssociatedWith(ex:a, ex:me, -, [prov:role="y"])
      bundle ex:b entity(ex:e) entity(ex:e) endBundle
    endDocument"""
    (tmp_path / "d.provn").write_text(text)
    chain("load", "--input", "d.provn", "transform", "--eliminate_duplicates", "save", "--output", "d")
    found = documents.read(tmp_path / "d.json")
    wanted = documents.read("""document prefix ex <http://example.org/>
      entity(ex:e, [ex:a="1", ex:b="2"])
      activity(ex:a, 2026-11-21T10:00:00Z, 2026-11-21T11:00:00Z) activity(ex:a, 2026-11-21T09:00:00Z, -)
      used(ex:a, ex:e, -) used(ex:a, ex:e, 2026-11-21T10:30:00Z)
      wasAssociatedWith(ex:a, ex:me, -, [prov:role="x"]) wasAssociatedWith(ex:a, ex:me, -, [prov:role="y"])
      bundle ex:b entity(ex:e) endBundle
    endDocument""")
    assert len(list(found.statements)) == len(list(wanted.statements))
    assert documents.differences(found, wanted) == []


def test_documents_larger_than_memory_are_kept_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "IN_MEMORY", 3)
    given = [documents.statement("entity", f"http://x/{number}") for number in range(100)]
    kept = stream.Kept(iter(given))
    first, second = iter(kept), iter(kept)  # two readers at a time
    assert [next(first) for _ in range(50)] == given[:50]
    assert list(second) == given
    assert list(first) == given[50:]
    assert text_of(documents.Document(statements=kept)) == text_of(documents.Document(statements=given))


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60, env=environment)


def test_a_chain_imports_nothing_that_is_not_there() -> None:
    """Commands need the standard library only, and no other command loads them."""
    program = (
        "import sys; sys.modules.update(yaml=None, mlflow=None, pyoxigraph=None)\n"
        "from pllib.cli import main; print(main(sys.argv[1:]))"
    )
    assert python("-c", program, "--validate", "x.yaml").stdout == "2\n"
    done = python("-c", program, "extract", "--mlflow_url", "postgresql://u:secret@h/d")
    assert "is read through the mlflow package" in done.stderr
    assert "secret" not in done.stderr
    assert "pllib.extraction." not in python("-X", "importtime", "-m", "pllib", "status", "--help").stderr


def test_yaml_without_pyyaml(chain: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.yaml").write_text(json.dumps([{"merge": None}]))
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert "needs PyYAML: pip install 'pllib[mlflow]'" in chain("--config", "c.yaml", code=2)


def test_from_python(project: list[str]) -> None:
    found = extraction.document(project[1], project[3], ids="mlflow2prov")
    assert documents.validate(found) == []
    assert len([each for each in ids(found.statements, "entity") if each.startswith("Run?")]) == 2
    with pytest.raises(extraction.ExtractionError, match="say what is to be extracted"):
        extraction.document()
