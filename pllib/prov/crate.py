"""What was captured of one execution as RO-Crate 1.1 metadata, by the Workflow Run Crate profiles 0.5. Pure: no file is looked at.

An execution that has steps is described by the Provenance Run Crate (and so by the Workflow Run and Process Run Crates below it):
the workflow with its steps and tools, an action for each of its activities, what these took and gave. One without is a Process
Run Crate: one action of one program. Identifiers are the IRIs that the PROV document has, so that both tell of the same things.
"""

from __future__ import annotations

import json
import mimetypes
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional
from urllib.parse import quote, unquote

from ..provml.vocabulary import PROV, PROVLAKE, PROVML, RDF, XSD
from .crate_run import DataFile, Run, Thing
from .model import Literal, Statement

Json = Any
Entity = Dict[str, Json]

METADATA, PROV_FILE, PLAN_FILE = "ro-crate-metadata.json", "provenance.json", "workflow.json"
_CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
_SPECIFICATION = "https://w3id.org/ro/crate/1.1"
_WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
_PROFILES = {"process": "Process Run Crate", "workflow": "Workflow Run Crate", "provenance": "Provenance Run Crate"}
_PROFILE_VERSION = "0.5"
_WORKFLOW = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
_PARAMETER = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
_COMPLETED, _FAILED = "http://schema.org/CompletedActionStatus", "http://schema.org/FailedActionStatus"
_NUMBERS = {"integer": int, "double": float}
_TYPES = {"integer": "Integer", "double": "Float", "boolean": "Boolean", "dateTime": "DateTime", "string": "Text"}


class Place(NamedTuple):
    """Where a file is for whoever reads the crate.

    Attributes:
        id: relative path in the crate, or an absolute URI.
        note: what is to be said of it, such as that it is not there any more.
    """

    id: str
    note: str = ""


@dataclass
class Crate:
    """The metadata of a crate on its way.

    Attributes:
        files: the data that the execution had to do with; where each is, ``metadata`` is told.
    """

    files: List[DataFile]
    _run: Run

    def metadata(self, places: Mapping[str, Place], published: datetime, license: Optional[str] = None) -> Json:
        """The content of ``ro-crate-metadata.json``.

        Args:
            places: of the files, by IRI; those that are not in it are named by their IRI.
            published: when the crate is made.
            license: of the data, an IRI or a name.
        """
        return {"@context": _CONTEXT, "@graph": [*_Graph(self._run, places, published, license).entities()]}

    def plan(self) -> Optional[Json]:
        """The content of the file that describes the workflow: its transformations in the order in which they first began.

        ``None`` for an execution without steps, whose crate has no such file.
        """
        return self._run.plan() if self._run.tools() else None


def as_json(content: Json) -> bytes:
    """A file of the crate."""
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()


def crate_of(statements: Iterable[Statement], execution: str) -> Crate:
    """A crate of the document of one execution.

    Args:
        execution: its IRI.

    Raises:
        DocumentError: the document does not tell of it, or of more than ``MAX_ENTITIES`` things.
    """
    run = Run(statements, execution)
    return Crate(run.files(), run)


class _Graph:
    """The entities of a crate, each once."""

    def __init__(self, run: Run, places: Mapping[str, Place], published: datetime, license: Optional[str]) -> None:
        self._run, self._places = run, places
        self._published = published.astimezone(timezone.utc).isoformat(timespec="seconds")
        self._license = license or "No license was stated."
        self._tools = run.tools()
        self._data = {each.iri: each for each in run.files()}
        self._main = PLAN_FILE if self._tools else run.workflow

    def entities(self) -> Iterator[Entity]:
        run = self._run
        profiles = [*_PROFILES] if self._tools else ["process"]
        yield from self._root(profiles)
        yield from self._programs()
        yield from map(self._action, run.activities)
        if self._tools:
            yield from self._orchestration()
        yield from map(self._file, self._data.values())
        used = [entity for each in run.activities for entity in (*run.taken(each), *run.made.get(each, ()))]
        yield from (self._value(each) for each in dict.fromkeys(used) if each not in self._data)
        yield from self._parameters(used)
        people = dict.fromkeys(filter(None, map(run.person, run.activities)))
        yield from ({"@id": each, "@type": "Person", "name": run.label(each)} for each in people)

    # -- the crate itself

    def _root(self, profiles: List[str]) -> Iterator[Entity]:
        run = self._run
        conforms = [f"https://w3id.org/ro/wfrun/{each}/{_PROFILE_VERSION}" for each in profiles]
        crates = [_SPECIFICATION, _WORKFLOW_CRATE] if self._tools else [_SPECIFICATION]
        about = {"@id": METADATA, "@type": "CreativeWork", "about": {"@id": "./"}}
        yield {**about, "conformsTo": _refs(crates) if self._tools else {"@id": _SPECIFICATION}}
        files = [PROV_FILE, *([PLAN_FILE] if self._tools else []), *map(self._id, self._data)]
        root: Entity = {
            "@id": "./",
            "@type": "Dataset",
            "name": run.title,
            "description": f"An execution of {run.name} as it was captured: what it took, what it gave, who ran it, when, and how.",
            "datePublished": self._published,
            "license": {"@id": self._license} if "://" in self._license else self._license,
            "conformsTo": _refs([*conforms, *crates[1:]]),
            "hasPart": _refs(dict.fromkeys(files)),
            "mentions": _refs(run.activities),
            "author": _refs(filter(None, [run.person(run.execution)])),
        }
        yield _given({**root, "mainEntity": {"@id": self._main} if self._tools else None})
        for profile, iri in zip(profiles, conforms):
            yield {"@id": iri, "@type": "CreativeWork", "name": _PROFILES[profile], "version": _PROFILE_VERSION}
        if self._tools:
            yield {"@id": _WORKFLOW_CRATE, "@type": "CreativeWork", "name": "Workflow RO-Crate", "version": "1.0"}
        yield {
            "@id": PROV_FILE,
            "@type": "File",
            "name": "Provenance of the execution, as PROV-JSON",
            "encodingFormat": "application/json",
            "conformsTo": {"@id": "https://www.w3.org/submissions/prov-json/"},
            "about": {"@id": run.execution},
        }
        yield {
            "@id": "https://www.w3.org/submissions/prov-json/",
            "@type": "CreativeWork",
            "name": "The PROV-JSON Serialization",
        }
        if "://" in self._license:
            yield {"@id": self._license, "@type": "CreativeWork", "name": self._license}

    # -- what was run

    def _programs(self) -> Iterator[Entity]:
        run = self._run
        softwares = self._softwares()
        taken, given = (run.parameters(each) for each in run.outer())
        about: Entity = {"name": run.name, "input": _refs(taken), "output": _refs(given)}
        about["softwareRequirements"] = _refs(each["@id"] for each in softwares)
        command = run.command()
        if command is not None:
            about["description"] = f"Run as: {command}"
        if self._tools:
            language = {"@id": PROVML, "@type": "ComputerLanguage", "name": "PROV-ML plan", "url": PROVML}
            types = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
            parts = {"hasPart": _refs(self._tools), "step": _refs(map(_step, self._tools)), "identifier": run.workflow}
            yield _given(
                {
                    "@id": PLAN_FILE,
                    "@type": types,
                    **about,
                    **parts,
                    "encodingFormat": "application/json",
                    "conformsTo": {"@id": _WORKFLOW},
                    "programmingLanguage": {"@id": language["@id"]},
                }
            )
            yield language
            yield {"@id": _WORKFLOW, "@type": "CreativeWork", "name": "ComputationalWorkflow", "version": "1.0-RELEASE"}
        else:
            yield _given({"@id": run.workflow, "@type": "SoftwareApplication", **about})
        for place, tool in enumerate(self._tools):
            taken, given = run.inputs_of(tool)
            about = {"name": run.label(tool), "input": _refs(taken), "output": _refs(given)}
            yield _given({"@id": tool, "@type": "SoftwareApplication", **about})
            yield {"@id": _step(tool), "@type": "HowToStep", "position": str(place), "workExample": {"@id": tool}}
        yield from softwares

    def _softwares(self) -> List[Entity]:
        """Packages that the processes ran with; the graph names them by name and version."""
        run = self._run
        ran = (value.iri for each in run.processes() for value in run.things[each].attributes.get(PROVLAKE + "ran", ()))
        found = []
        for iri in dict.fromkeys(ran):
            name, version = map(unquote, iri.split("/")[-2:])
            found.append({"@id": iri, "@type": "SoftwareApplication", "name": name, "softwareVersion": version})
        return found

    def _action(self, iri: str) -> Entity:
        run = self._run
        thing = run.things[iri]
        whole = iri == run.execution
        taken, given = run.outer() if whole else (run.taken(iri), run.made.get(iri, []))
        status, error = thing.text(PROVLAKE + "status"), thing.text(PROVLAKE + "errorMessage")
        person = run.person(iri)
        kind = thing.text(PROVLAKE + "errorType")
        return _given(
            {
                "@id": iri,
                "@type": "CreateAction",
                "name": f"Run of {run.name}"
                if whole
                else f"{run.label(run.plan_of(iri) or iri)} ({unquote(iri.rpartition('/')[2])})",
                "instrument": {"@id": self._main if whole else run.plan_of(iri) or self._main},
                "startTime": _time(thing.times[0]),
                "endTime": _time(thing.times[1]),
                "object": _refs(map(self._id, taken)),
                "result": _refs(map(self._id, given)),
                "agent": {"@id": person} if person else None,
                "actionStatus": {"finished": _COMPLETED, "failed": _FAILED}.get(status or ""),
                "error": ": ".join(filter(None, (kind, error))) or None,
                "description": "As it was captured." if status else "It had not ended when this was written.",
            }
        )

    def _orchestration(self) -> Iterator[Entity]:
        """Which step each action belongs to, and what brought them together."""
        run = self._run
        steps = [each for each in run.activities if run.is_tool(each)]
        engine = run.processes()
        about: Entity = {
            "@id": f"{run.execution}#organize",
            "@type": "OrganizeAction",
            "name": f"Orchestration of {run.name}",
        }
        about["instrument"] = {"@id": engine[0] if engine else "#python"}
        about |= {"object": _refs(f"{each}#control" for each in steps), "result": {"@id": run.execution}}
        whole = run.things[run.execution]
        person = run.person(run.execution)
        yield _given(
            {
                **about,
                "startTime": _time(whole.times[0]),
                "endTime": _time(whole.times[1]),
                "agent": {"@id": person} if person else None,
            }
        )
        if not engine:
            yield {"@id": "#python", "@type": "SoftwareApplication", "name": "Python"}
        for each in engine:
            yield {"@id": each, "@type": "SoftwareApplication", "name": run.label(each)}
        for each in steps:
            step = _step(run.plan_of(each) or "")
            yield {
                "@id": f"{each}#control",
                "@type": "ControlAction",
                "name": f"Orchestration of {run.label(run.plan_of(each) or each)}",
                "instrument": {"@id": step},
                "object": {"@id": each},
            }

    # -- what was taken and given

    def _place(self, iri: str) -> Place:
        return self._places.get(iri, Place(iri))

    def _id(self, iri: str) -> str:
        return self._place(iri).id if iri in self._data else iri

    def _file(self, each: DataFile) -> Entity:
        run, place = self._run, self._place(each.iri)
        facts = [one for one in run.related("hadMember", each.iri) if one in run.things]
        return _given(
            {
                "@id": place.id,
                "@type": "File",
                "name": each.key.rstrip("/").rpartition("/")[2] or each.key,
                "description": ". ".join(filter(None, (f"{each.key} in the store {each.store}", place.note))),
                "identifier": each.iri,
                "encodingFormat": mimetypes.guess_type(each.key)[0] or "application/octet-stream",
                "sdDatePublished": self._published if "://" in place.id else None,
                "contentSize": str(each.size) if each.size is not None else None,
                "sha256": each.sha256,
                "version": each.version,
                "exampleOfWork": _refs(run.parameters([each.iri])),
                "additionalProperty": _refs(facts),
            }
        )

    def _value(self, iri: str) -> Entity:
        run = self._run
        thing = run.things.get(iri)
        attribute = run.attribute_of(iri)
        name = run.label(attribute) if attribute else unquote(iri.rpartition("/")[2])
        about: Entity = {"@id": iri, "@type": "PropertyValue", "name": name}
        if thing is None:
            return about
        about["value"] = _plain(thing, PROV + "value")
        about["minValue"], about["maxValue"] = (_plain(thing, PROVLAKE + end) for end in ("minimum", "maximum"))
        about["unitText"] = thing.text(PROVLAKE + "unit")
        return _given({**about, "exampleOfWork": _refs(run.parameters([iri]))})

    def _parameters(self, used: Iterable[str]) -> Iterator[Entity]:
        """The formal parameters, and the facts about files."""
        run = self._run
        facts = [fact for each in self._data for fact in run.related("hadMember", each) if fact in run.things]
        yield from map(self._value, dict.fromkeys(facts))
        types: Dict[str, str] = {}
        for each in (*used, *facts):
            for attribute in run.parameters([each]):
                types.setdefault(attribute, "File" if each in self._data else _type_of(run.things.get(each)))
        for attribute, kind in types.items():
            about = {"@id": attribute, "@type": "FormalParameter", "name": run.label(attribute)}
            yield {**about, "additionalType": kind, "conformsTo": {"@id": _PARAMETER}}
        if types:
            yield {"@id": _PARAMETER, "@type": "CreativeWork", "name": "FormalParameter", "version": "1.0-RELEASE"}


def _step(tool: str) -> str:
    return f"{tool}#step"


def _time(text: Optional[str]) -> Optional[str]:
    """A time to the millisecond, in the form that the profiles' readers look for; to the microsecond it is in the PROV document."""
    if text is None or not text.endswith("Z"):
        return text
    whole, _, fraction = text[:-1].partition(".")
    return f"{whole}.{fraction:0<3.3}+00:00"


def _refs(iris: Iterable[str]) -> List[Dict[str, str]]:
    return [{"@id": each} for each in iris]


def _given(about: Entity) -> Entity:
    """An entity without what it does not have; of a property with one value that value itself."""
    several = {
        name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in about.items()
    }
    return {name: value for name, value in several.items() if value is not None and value != []}


def _datatype(thing: Optional[Thing]) -> str:
    values = thing.attributes.get(PROV + "value", ()) if thing is not None else ()
    return next((value.datatype for value in values if isinstance(value, Literal)), RDF + "JSON")


def _type_of(thing: Optional[Thing]) -> str:
    datatype = _datatype(thing)
    return _TYPES.get(datatype[len(XSD) :], "PropertyValue") if datatype.startswith(XSD) else "PropertyValue"


def _plain(thing: Thing, name: str) -> Json:
    """A value as JSON has it; what JSON has no form for, and structures, as text."""
    values = thing.attributes.get(name, ())
    literal = next((value for value in values if isinstance(value, Literal)), None)
    if literal is None:
        return None
    if literal.datatype == XSD + "boolean":
        return literal.text == "true"
    number = _NUMBERS.get(literal.datatype[len(XSD) :]) if literal.text not in ("NaN", "INF", "-INF") else None
    return number(literal.text) if number is not None and len(literal.text) < 300 else literal.text


def relative(each: DataFile) -> str:
    """Where a file lies in a crate that holds it: under its store and key, with what it may not hold percent-encoded."""
    parts = [part for part in each.key.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "/".join(quote(part, safe="~.-_") for part in ("data", each.store or "-", *(parts or ["-"])))
