"""The unmodified public client of ProvLake in an environment of its own, and the scripts that use it."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

CLIENT = ("provlake==0.2.982",)
"""Its metadata excludes Python from 3.9 on, and it runs there."""
NEEDS = (
    "requests==2.34.2", "requests-futures==1.1.0", "pandas==3.1.1", "numpy==2.4.6", "certifi==2026.10.18",
    "charset-normalizer==3.5.2", "idna==3.20", "python-dateutil==4.0.0", "urllib3==2.8.0",
)  # fmt: skip
SECONDS = 400


class Missing(Exception):
    """The client cannot be installed here; the message says why."""


def python(folder: Path) -> str:
    """The interpreter of the environment in a folder, which is made when it is not there yet.

    Raises:
        Missing: the packages cannot be had.
    """
    home = folder / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    interpreter = home / "bin" / "python"
    ready = home / "ready"
    wanted = "\n".join((*CLIENT, *NEEDS))
    if ready.exists() and ready.read_text() == wanted and interpreter.exists():
        return str(interpreter)
    venv.create(home, with_pip=True, clear=True)
    install = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    for more in (("--ignore-requires-python", *CLIENT), NEEDS):
        try:
            done = subprocess.run([*install, *more], capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired as error:
            raise Missing(f"the packages did not come within {SECONDS} s") from error
        if done.returncode:
            raise Missing(done.stderr.strip()[-500:])
    ready.write_text(wanted)
    return str(interpreter)


def environment(**more: str) -> dict[str, str]:
    """The environment of a script: nothing of this project's."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")} | more


WITH_ALL_PARTS = """
import os
from provlake import ProvLake
from provlake.capture import ProvCycle, ProvTask, ProvWorkflow
from provlake.utils.args_handler import add_custom_metadata, get_data_reference, get_dict, get_list
from provlake.utils.constants import Status

prov = ProvLake.get_persister(
    log_file_path=os.environ["LOG"], service_url=os.environ.get("SERVICE") or None, context="demo-MARK",
    bag_size=int(os.environ["BAG"]), managed_persistence=os.environ.get("MANAGED") != "no", db_name="db",
)
with ProvWorkflow(prov, "curate-MARK", wf_exec_id="run 1", wf_start_time=1700000000.5, custom_metadata={"site": "rio"}) as wf:
    crop = ProvTask(
        prov, "crop", wf, task_id=1, generated_time=1700000001.0, person_id="ana-MARK",
        input_args={
            "seed": 1, "raw": get_data_reference("/MARK//raw.sgy", "fs-MARK"), "cfg": get_dict({"size": 32, "mode": "full"}),
        },
    )
    crop.begin(start_time=1700000002.0)
    crop.end(
        {"tiles": get_list(["t1", "t2"]), "out": get_data_reference("/MARK/tiles.h5", "fs-MARK")},
        stdout="cropped", end_time=1700000004.25,
    )
    with ProvCycle(prov, "epoch", 0, wf, {"lr": 0.1}, custom_metadata={"device": "cpu"}) as epoch:
        fit = ProvTask(
            prov, "fit", wf, {"tiles": "t2", "depth": add_custom_metadata(5, {"unit": "m"})},
            task_id="fit-a", generated_time=1700000005.0, parent_cycle_name="epoch", parent_cycle_iteration=0,
            attribute_associations={"loss": ["depth"]},
        )
        fit.begin(start_time=1700000005.5)
        fit.end({"loss": 0.5}, end_time=1700000006.0)
        epoch.end({"loss": 0.5})
    check = ProvTask(prov, "check", wf, {"loss": 0.5}, generated_time=1700000007.0)
    check.begin(start_time=1700000007.0)
    check.end({}, status=Status.ERRORED, stderr="ValueError", end_time=1700000007.5)
    wf.end({"best": 0.5}, stdout="done", end_time=1700000010.5)
"""

GRAPH_OF_ALL_PARTS = """
# -- the plan: who takes part in what, and what goes in and out
<study/demo-MARK> a provml:Study ; rdfs:label "demo-MARK" ; provlake:hasPart <workflow/curate-MARK> .
<workflow/curate-MARK> a provlake:Workflow ; rdfs:label "curate-MARK" ;
    provlake:hasPart <workflow/curate-MARK/transformation/crop> , <workflow/curate-MARK/transformation/epoch> ,
        <workflow/curate-MARK/transformation/check> ;
    provlake:hasOutput <workflow/curate-MARK/attribute/best> .
<workflow/curate-MARK/transformation/crop> a provlake:DataTransformation ; rdfs:label "crop" ;
    provlake:hasInput <workflow/curate-MARK/attribute/seed> , <workflow/curate-MARK/attribute/raw> ,
        <workflow/curate-MARK/attribute/cfg> , <workflow/curate-MARK/attribute/cfg.size> , <workflow/curate-MARK/attribute/cfg.mode> ;
    provlake:hasOutput <workflow/curate-MARK/attribute/tiles> , <workflow/curate-MARK/attribute/out> .
<workflow/curate-MARK/transformation/epoch> a provlake:Cycle ; rdfs:label "epoch" ;
    provlake:hasPart <workflow/curate-MARK/transformation/fit> ;
    provlake:hasInput <workflow/curate-MARK/attribute/lr> ; provlake:hasOutput <workflow/curate-MARK/attribute/loss> .
<workflow/curate-MARK/transformation/fit> a provlake:DataTransformation ; rdfs:label "fit" ;
    provlake:hasInput <workflow/curate-MARK/attribute/tiles> , <workflow/curate-MARK/attribute/depth> ;
    provlake:hasOutput <workflow/curate-MARK/attribute/loss> .
<workflow/curate-MARK/transformation/check> a provlake:DataTransformation ; rdfs:label "check" ;
    provlake:hasInput <workflow/curate-MARK/attribute/loss> .
<workflow/curate-MARK/attribute/seed> a provlake:Attribute ; rdfs:label "seed" .
<workflow/curate-MARK/attribute/raw> a provlake:Attribute ; rdfs:label "raw" .
<workflow/curate-MARK/attribute/cfg> a provlake:Attribute ; rdfs:label "cfg" .
<workflow/curate-MARK/attribute/cfg.size> a provlake:Attribute ; rdfs:label "cfg.size" .
<workflow/curate-MARK/attribute/cfg.mode> a provlake:Attribute ; rdfs:label "cfg.mode" .
<workflow/curate-MARK/attribute/tiles> a provlake:Attribute ; rdfs:label "tiles" .
<workflow/curate-MARK/attribute/out> a provlake:Attribute ; rdfs:label "out" .
<workflow/curate-MARK/attribute/lr> a provlake:Attribute ; rdfs:label "lr" .
<workflow/curate-MARK/attribute/depth> a provlake:Attribute ; rdfs:label "depth" .
<workflow/curate-MARK/attribute/unit> a provlake:Attribute ; rdfs:label "unit" .
<workflow/curate-MARK/attribute/loss> a provlake:Attribute ; rdfs:label "loss" .
<workflow/curate-MARK/attribute/best> a provlake:Attribute ; rdfs:label "best" .

# -- who
<agent/process/PRODUCER> a prov:SoftwareAgent ; rdfs:label "provlake" ; provlake:environment '{"client":"provlake"}'^^rdf:JSON .
<agent/person/ana-MARK> a prov:Person , provml:Persona ; rdfs:label "ana-MARK" .

# -- the workflow execution; its output may be the 0.5 that tasks had as `best`, and is not their `loss`
<execution/curate-MARK/run%201> a provlake:WorkflowExecution ; prov:wasInfluencedBy <workflow/curate-MARK> ;
    prov:startedAtTime "2023-11-14T22:13:20.5Z"^^xsd:dateTime ; prov:endedAtTime "2023-11-14T22:13:30.5Z"^^xsd:dateTime ;
    provlake:duration "10"^^xsd:double ; provlake:status "finished" ; provlake:stdout "done" ;
    provlake:metadata '{"site":"rio"}'^^rdf:JSON ; prov:wasAssociatedWith <agent/process/PRODUCER> .
<execution/curate-MARK/run%201/best> prov:value "0.5"^^xsd:double ; prov:wasDerivedFrom <workflow/curate-MARK/attribute/best> ;
    prov:wasGeneratedBy <execution/curate-MARK/run%201> ; prov:specializationOf <value/curate-MARK/run%201/best/f-0.5> .
<value/curate-MARK/run%201/best/f-0.5> prov:value "0.5"^^xsd:double ; prov:wasDerivedFrom <workflow/curate-MARK/attribute/best> .

# -- crop: a number, a file by store and normalised path, a dict with its members
<execution/curate-MARK/run%201/crop/1> a provlake:DataTransformationExecution ;
    prov:wasInfluencedBy <workflow/curate-MARK/transformation/crop> ; provlake:isPartOf <execution/curate-MARK/run%201> ;
    prov:startedAtTime "2023-11-14T22:13:22Z"^^xsd:dateTime ; prov:endedAtTime "2023-11-14T22:13:24.25Z"^^xsd:dateTime ;
    provlake:duration "2.25"^^xsd:double ; provlake:status "finished" ; provlake:stdout "cropped" ;
    provlake:metadata '{"generatedTime":1700000001.0}'^^rdf:JSON ;
    prov:wasAssociatedWith <agent/process/PRODUCER> , <agent/person/ana-MARK> ;
    prov:used <value/curate-MARK/run%201/seed/i-1> , <data/fs-MARK/%2FMARK%2Fraw.sgy> ,
        <value/curate-MARK/run%201/cfg/j-%7B%22mode%22%3A%22full%22%2C%22size%22%3A32%7D> ,
        <value/curate-MARK/run%201/cfg.size/i-32> , <value/curate-MARK/run%201/cfg.mode/s-full> .
<value/curate-MARK/run%201/seed/i-1> prov:value 1 ; prov:wasDerivedFrom <workflow/curate-MARK/attribute/seed> .
<value/curate-MARK/run%201/cfg/j-%7B%22mode%22%3A%22full%22%2C%22size%22%3A32%7D>
    prov:value '{"mode":"full","size":32}'^^rdf:JSON ; prov:wasDerivedFrom <workflow/curate-MARK/attribute/cfg> .
<value/curate-MARK/run%201/cfg.size/i-32> prov:value 32 ; prov:wasDerivedFrom <workflow/curate-MARK/attribute/cfg.size> .
<value/curate-MARK/run%201/cfg.mode/s-full> prov:value "full" ; prov:wasDerivedFrom <workflow/curate-MARK/attribute/cfg.mode> .
<store/fs-MARK> a provlake:DataStoreInstance ; rdfs:label "fs-MARK" .
<data/fs-MARK/%2FMARK%2Fraw.sgy> a provlake:DataReference ; prov:value "/MARK/raw.sgy" ; provlake:key "/MARK/raw.sgy" ;
    provlake:store <store/fs-MARK> ; prov:wasDerivedFrom <workflow/curate-MARK/attribute/raw> .
# what is written and whose state nobody saw is the state that this execution wrote
<data/fs-MARK/%2FMARK%2Ftiles.h5> a provlake:DataReference ; prov:value "/MARK/tiles.h5" ; provlake:key "/MARK/tiles.h5" ;
    provlake:store <store/fs-MARK> .
<data/fs-MARK/%2FMARK%2Ftiles.h5/w-curate-MARK%2Frun%25201%2Fcrop%2F1> a provlake:DataReference ;
    prov:value "/MARK/tiles.h5" ; prov:specializationOf <data/fs-MARK/%2FMARK%2Ftiles.h5> ;
    prov:wasDerivedFrom <workflow/curate-MARK/attribute/out> ; prov:wasGeneratedBy <execution/curate-MARK/run%201/crop/1> .
# a list is one value, and each element one more of the same attribute
<execution/curate-MARK/run%201/crop/1/tiles> prov:value '["t1","t2"]'^^rdf:JSON ;
    prov:wasDerivedFrom <workflow/curate-MARK/attribute/tiles> ; prov:wasGeneratedBy <execution/curate-MARK/run%201/crop/1> ;
    prov:specializationOf <value/curate-MARK/run%201/tiles/j-%5B%22t1%22%2C%22t2%22%5D> .
<execution/curate-MARK/run%201/crop/1/tiles%5B0%5D> prov:value "t1" ; prov:wasDerivedFrom <workflow/curate-MARK/attribute/tiles> ;
    prov:wasGeneratedBy <execution/curate-MARK/run%201/crop/1> ; prov:specializationOf <value/curate-MARK/run%201/tiles/s-t1> .
<execution/curate-MARK/run%201/crop/1/tiles%5B1%5D> prov:value "t2" ; prov:wasDerivedFrom <workflow/curate-MARK/attribute/tiles> ;
    prov:wasGeneratedBy <execution/curate-MARK/run%201/crop/1> ; prov:specializationOf <value/curate-MARK/run%201/tiles/s-t2> .
<value/curate-MARK/run%201/tiles/j-%5B%22t1%22%2C%22t2%22%5D> prov:value '["t1","t2"]'^^rdf:JSON ;
    prov:wasDerivedFrom <workflow/curate-MARK/attribute/tiles> .
<value/curate-MARK/run%201/tiles/s-t1> prov:value "t1" ; prov:wasDerivedFrom <workflow/curate-MARK/attribute/tiles> .
<value/curate-MARK/run%201/tiles/s-t2> prov:value "t2" ; prov:wasDerivedFrom <workflow/curate-MARK/attribute/tiles> .

# -- epoch 0, an iteration; the client takes its times from the clock
<execution/curate-MARK/run%201/epoch/0> a provlake:CycleIteration ; prov:wasInfluencedBy <workflow/curate-MARK/transformation/epoch> ;
    provlake:isPartOf <execution/curate-MARK/run%201> ; prov:startedAtTime "CLOCK" ; prov:endedAtTime "CLOCK" ;
    provlake:duration "CLOCK" ; provlake:status "finished" ; provlake:metadata '{"device":"cpu"}'^^rdf:JSON ;
    prov:wasAssociatedWith <agent/process/PRODUCER> ; prov:used <value/curate-MARK/run%201/lr/f-0.1> .
<value/curate-MARK/run%201/lr/f-0.1> prov:value "0.1"^^xsd:double ; prov:wasDerivedFrom <workflow/curate-MARK/attribute/lr> .
<execution/curate-MARK/run%201/epoch/0/loss> prov:value "0.5"^^xsd:double ; prov:wasDerivedFrom <workflow/curate-MARK/attribute/loss> ;
    prov:wasGeneratedBy <execution/curate-MARK/run%201/epoch/0> ; prov:specializationOf <value/curate-MARK/run%201/loss/f-0.5> .

# -- fit: in epoch 0, although the client does not send the number 0; it used the second tile
<execution/curate-MARK/run%201/fit/fit-a> a provlake:DataTransformationExecution ;
    prov:wasInfluencedBy <workflow/curate-MARK/transformation/fit> ; provlake:isPartOf <execution/curate-MARK/run%201> ;
    prov:wasInformedBy <execution/curate-MARK/run%201/epoch/0> ;
    prov:startedAtTime "2023-11-14T22:13:25.5Z"^^xsd:dateTime ; prov:endedAtTime "2023-11-14T22:13:26Z"^^xsd:dateTime ;
    provlake:duration "0.5"^^xsd:double ; provlake:status "finished" ;
    provlake:metadata '{"generatedTime":1700000005.0}'^^rdf:JSON , '{"attribute_associations":{"loss":["depth"]}}'^^rdf:JSON ;
    prov:wasAssociatedWith <agent/process/PRODUCER> ;
    prov:used <value/curate-MARK/run%201/tiles/s-t2> , <value/curate-MARK/run%201/depth/i-5> .
<value/curate-MARK/run%201/depth/i-5> prov:value 5 ; prov:wasDerivedFrom <workflow/curate-MARK/attribute/depth> ;
    prov:hadMember <value/curate-MARK/run%201/depth/i-5/unit/s-m> .
<value/curate-MARK/run%201/depth/i-5/unit/s-m> prov:value "m" ; prov:wasDerivedFrom <workflow/curate-MARK/attribute/unit> .
<execution/curate-MARK/run%201/fit/fit-a/loss> prov:value "0.5"^^xsd:double ; prov:wasDerivedFrom <workflow/curate-MARK/attribute/loss> ;
    prov:wasGeneratedBy <execution/curate-MARK/run%201/fit/fit-a> ; prov:specializationOf <value/curate-MARK/run%201/loss/f-0.5> .
<value/curate-MARK/run%201/loss/f-0.5> prov:value "0.5"^^xsd:double ; prov:wasDerivedFrom <workflow/curate-MARK/attribute/loss> .

# -- check: ended in error; which of the two losses of 0.5 it used, nobody can tell
<execution/curate-MARK/run%201/check/1700000007.0> a provlake:DataTransformationExecution ;
    prov:wasInfluencedBy <workflow/curate-MARK/transformation/check> ; provlake:isPartOf <execution/curate-MARK/run%201> ;
    prov:startedAtTime "2023-11-14T22:13:27Z"^^xsd:dateTime ; prov:endedAtTime "2023-11-14T22:13:27.5Z"^^xsd:dateTime ;
    provlake:duration "0.5"^^xsd:double ; provlake:status "failed" ; provlake:stderr "ValueError" ;
    prov:wasAssociatedWith <agent/process/PRODUCER> ; prov:used <value/curate-MARK/run%201/loss/f-0.5> .
"""
