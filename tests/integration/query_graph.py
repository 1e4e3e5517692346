"""A small graph, written out by the rules of docs/reference/rdf-model.md, in a real store before a real query engine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from edge.stores import StoreAddress
from pllib.provml.iris import DEFAULT_BASE as BASE
from pllib.provml.vocabulary import PREFIXES

CHECKOUT = Path(__file__).resolve().parents[2]
HEAD = "".join(f"PREFIX {prefix}: <{iri}>\n" for prefix, iri in PREFIXES.items())

GRAPH = f"""@base <{BASE}> .
{HEAD}
provml:TrainingExecution rdfs:subClassOf provml:LearningStageExecution .
provml:LearningStageExecution rdfs:subClassOf provml:BaseLearningExecution .
provml:LearningProcessExecution rdfs:subClassOf provlake:WorkflowExecution .

<study/digits> a provml:Study ; rdfs:label "digits" ; provlake:hasPart <workflow/train>, <workflow/prepare> .
<workflow/train> a provml:LearningExperiment, provlake:Workflow ; rdfs:label "train" ;
    provlake:hasPart <workflow/train/transformation/fit> .
<workflow/train/transformation/fit> a provml:Training ; rdfs:label "fit" ;
    provlake:hasInput <workflow/train/attribute/lr>, <workflow/train/attribute/set> ;
    provlake:hasOutput <workflow/train/attribute/loss> ; provlake:hasPart <workflow/train/transformation/epoch> .
<workflow/train/transformation/epoch> a provml:LearningStageSection ; rdfs:label "epoch" ;
    provlake:hasOutput <workflow/train/attribute/loss> .
<workflow/train/attribute/lr> a provml:LearningHyperparameter ; rdfs:label "lr" .
<workflow/train/attribute/loss> a provml:EvaluationMeasure ; rdfs:label "loss" .
<workflow/train/attribute/set> a provml:LearningDatasetReference ; rdfs:label "set" .
<workflow/prepare> a provlake:Workflow ; rdfs:label "prepare" ; provlake:hasPart <workflow/prepare/transformation/split> .
<workflow/prepare/transformation/split> a provlake:DataTransformation ; rdfs:label "split" ;
    provlake:hasOutput <workflow/prepare/attribute/train> .
<workflow/prepare/attribute/train> a provlake:Attribute ; rdfs:label "train" .
<workflow/a%2Fb%20c> a provlake:Workflow ; rdfs:label "a/b c" .

<agent/person/ana> a prov:Person, provml:Persona ; rdfs:label "ana" .
<agent/process/9f> a prov:SoftwareAgent ; rdfs:label "train.py (pid 12 on node1)" ; provlake:host "node1" ;
    provlake:pid 12 ; provlake:command "train.py" ; provlake:environment "{{\\"SLURM_JOB_ID\\":\\"7\\"}}"^^rdf:JSON ;
    provlake:ran <agent/software/numpy/2.3> ; prov:actedOnBehalfOf <agent/person/ana> ;
    provlake:lost "{{\\"count\\":2}}"^^rdf:JSON .
<agent/software/numpy/2.3> a provlake:Program ; rdfs:label "numpy" ; provlake:version "2.3" .

<execution/prepare/p-1> a provlake:WorkflowExecution ; prov:wasInfluencedBy <workflow/prepare> ;
    prov:startedAtTime "2026-01-01T10:00:00.000000Z"^^xsd:dateTime ; provlake:status "finished" ;
    prov:endedAtTime "2026-01-01T10:00:05.500000Z"^^xsd:dateTime ; prov:wasAssociatedWith <agent/person/ana> .
<execution/prepare/p-1/split/7> a provlake:DataTransformationExecution ; provlake:isPartOf <execution/prepare/p-1> ;
    prov:wasInfluencedBy <workflow/prepare/transformation/split> ; provlake:status "finished" ;
    prov:startedAtTime "2026-01-01T10:00:01.000000Z"^^xsd:dateTime ; provlake:duration 1.125e0 ;
    prov:endedAtTime "2026-01-01T10:00:02.250000Z"^^xsd:dateTime .

<execution/train/9f-1> a provlake:WorkflowExecution, provml:LearningProcessExecution ;
    prov:wasInfluencedBy <workflow/train> ; prov:wasAssociatedWith <agent/process/9f> ;
    prov:startedAtTime "2026-01-02T10:00:00.000000Z"^^xsd:dateTime .
<execution/train/9f-1/fit/1> a provml:TrainingExecution ; provlake:isPartOf <execution/train/9f-1> ;
    prov:wasInfluencedBy <workflow/train/transformation/fit> ;
    prov:startedAtTime "2026-01-02T10:00:01.000000Z"^^xsd:dateTime ;
    prov:used <value/train/9f-1/lr/d-0.1>, <data/scratch/sets%2Ftrain.npz/s1-2f> .
<value/train/9f-1/lr/d-0.1> a provml:LearningHyperparameterValue ; prov:value 0.1e0 ;
    prov:wasDerivedFrom <workflow/train/attribute/lr> .
<execution/train/9f-1/epoch/2> a provml:TrainingSectionExecution ; provlake:isPartOf <execution/train/9f-1> ;
    prov:wasInfluencedBy <workflow/train/transformation/epoch> ; provlake:status "finished" ;
    prov:wasInformedBy <execution/train/9f-1/fit/1> ;
    prov:startedAtTime "2026-01-02T10:00:02.000000Z"^^xsd:dateTime ;
    prov:endedAtTime "2026-01-02T10:00:03.000000Z"^^xsd:dateTime .
<execution/train/9f-1/epoch/2/loss> a provml:ModelEvaluation ; prov:value 0.25e0 ;
    prov:wasDerivedFrom <workflow/train/attribute/loss> ; prov:wasGeneratedBy <execution/train/9f-1/epoch/2> .
<execution/train/9f-1/epoch/3> a provml:TrainingSectionExecution ; provlake:isPartOf <execution/train/9f-1> ;
    prov:wasInfluencedBy <workflow/train/transformation/epoch> ; provlake:status "failed" ;
    provlake:errorType "ValueError" ; provlake:errorMessage "<script>alert(1)</script>" ;
    prov:wasInformedBy <execution/train/9f-1/fit/1> ;
    prov:startedAtTime "2026-01-02T10:00:03.000000Z"^^xsd:dateTime ;
    prov:endedAtTime "2026-01-02T10:00:02.000000Z"^^xsd:dateTime .
<execution/train/9f-1/epoch/3/loss> prov:value "NaN"^^xsd:double ;
    prov:wasDerivedFrom <workflow/train/attribute/loss> ; prov:wasGeneratedBy <execution/train/9f-1/epoch/3> .

<execution/train/late> a provlake:WorkflowExecution ; prov:wasInfluencedBy <workflow/train> ; provlake:status "failed" ;
    prov:endedAtTime "2026-01-03T10:00:00.000000Z"^^xsd:dateTime .

<store/scratch> a provlake:DataStoreInstance ; rdfs:label "scratch" .
<data/scratch/sets%2Ftrain.npz> a provlake:DataReference ; prov:value "sets/train.npz" ; provlake:key "sets/train.npz" ;
    provlake:store <store/scratch> .
<data/scratch/sets%2Ftrain.npz/s1-2f> a provlake:DataReference, provml:LearningDataset ;
    prov:specializationOf <data/scratch/sets%2Ftrain.npz> ; prov:value "sets/train.npz" ; provlake:version "s1-2f" ;
    provlake:size 123 ; provlake:path "/scratch/sets/train.npz" ; provlake:store <store/scratch> ;
    provlake:key "sets/train.npz" ; prov:wasDerivedFrom <workflow/prepare/attribute/train>, <workflow/train/attribute/set> ;
    prov:wasGeneratedBy <execution/prepare/p-1/split/7> .
<data/scratch/raw.npz> a provlake:DataReference ; prov:value "raw.npz" ; provlake:key "raw.npz" ;
    provlake:store <store/scratch> ; provlake:path "./raw.npz" .
"""


@dataclass(frozen=True)
class Served:
    """A store and the query engine before it."""

    query_url: str
    store: StoreAddress

    def load(self, turtle: str) -> None:
        """Adds statements to the store."""
        headers = {"Content-Type": "text/turtle"}
        httpx.post(self.store.graph_url, content=turtle.encode(), headers=headers, timeout=60).raise_for_status()


@contextmanager
def process(command: list[str], url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, from when it answers at ``url`` until the end of the block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PLLIB_") or "TEST" in name}
    running = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stderr=subprocess.PIPE)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                httpx.get(url)
                break
            except httpx.TransportError as error:
                if running.poll() is not None or time.monotonic() > until:
                    raise AssertionError(f"{command} did not start") from error
                time.sleep(0.05)
        yield running
    finally:
        running.terminate()
        running.communicate(timeout=30)


@contextmanager
def served(oxigraph: str, ports: tuple[int, int], *options: str) -> Iterator[Served]:
    """An empty Oxigraph and a query engine with these options."""
    store = StoreAddress(f"http://127.0.0.1:{ports[0]}")
    store_command = [oxigraph, "serve", "--bind", f"127.0.0.1:{ports[0]}", "--timeout-s", "20"]
    with process(store_command, store.query_url), engine_on(store, ports[1], *options) as running:
        yield running


@contextmanager
def engine_on(store: StoreAddress, port: int, *options: str) -> Iterator[Served]:
    """A query engine with these options on a store that runs."""
    url = f"http://127.0.0.1:{port}"
    at_store = ["--store-url", store.url, "--store-kind", store.kind, "--store-query-url", store.query_url]
    with process([sys.executable, "-m", "query_engine", "--port", str(port), *at_store, *options], f"{url}/health"):
        yield Served(url, store)
