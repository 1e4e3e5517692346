"""Data stores: described at the tracker, written to the graph, listed and looked through under all their names."""

from __future__ import annotations

from typing import Any

SCRIPT = """
import pllib
with pllib.workflow("MARK-w") as wf, wf.task("load-MARK", used={"row": pllib.data("wells/7", store="old-MARK", version="1")}) as task:
    task.generated(file=pllib.data("a.bin", store="old-MARK", version="1"))
with pllib.workflow("MARK-v") as wf, wf.task("read-MARK", used={"file": pllib.data("a.bin", store="new/MARK", version="1")}) as task:
    task.generated(done=True)
"""
WELLS = {
    "name": "wells",
    "database": "geo",
    "database_schema": "public",
    "attributes": [{"name": "depth", "dtype": "double", "description": "in metres"}, {"name": "name"}],
}


def post(lab: Any, **body: Any) -> Any:
    return lab.http.post(f"{lab.services.tracker_url}/v1/stores", json=body)


def test_a_store_is_described_renamed_and_looked_through_under_all_its_names(lab: Any) -> None:
    old, new, first = f"old-{lab.mark}", f"new/{lab.mark}", f"first-{lab.mark}"
    lab.run(SCRIPT)
    about = {"name": old, "type": "RELATIONAL_DBMS", "host": "db1:5432", "schemas": [WELLS, {"name": "loose"}]}
    made = post(lab, **about)
    assert made.status_code == 201, made.text
    assert made.json() == {**about, "same_as": [], "schemas": [WELLS, {"name": "loose", "attributes": []}]}
    assert post(lab, name=new, same_as=[old]).status_code == 201
    again = post(lab, name=old, same_as=[first], schemas=[{**WELLS, "attributes": [{"name": "width"}]}])
    assert again.status_code == 200
    assert again.json()["same_as"] == sorted([first, new])
    assert [one["name"] for one in again.json()["schemas"][0]["attributes"]] == ["depth", "name", "width"]
    kept = lab.http.get(f"{lab.services.tracker_url}/v1/stores/{new}").json()
    assert kept == {"name": new, "same_as": sorted([first, old]), "schemas": []}
    lab.settle()

    listed = {store["name"]: store for store in lab.get("/v1/stores", limit=1000).json()["items"]}
    assert (listed[old]["type"], listed[old]["hosts"], listed[old]["references"]) == (
        "RELATIONAL_DBMS",
        ["db1:5432"],
        2,
    )
    assert (listed[new]["type"], listed[new]["references"], listed[new]["schemas"]) == (None, 1, [])
    found = lab.get(f"/v1/stores/{old}").json()
    assert found == listed[old]
    assert found["same_as"] == sorted([first, new])
    loose, wells = sorted(found["schemas"], key=lambda schema: schema["name"])
    assert (wells["database"], wells["database_schema"], wells["attributes"]) == (
        "geo",
        "public",
        ["depth", "name", "width"],
    )
    assert (loose["database"], loose["database_schema"], loose["attributes"]) == (None, None, [])
    assert lab.get(f"/v1/stores/new%2F{lab.mark}").json()["same_as"] == sorted([first, old])

    wanted = {f"wells/7 in {old}", f"a.bin in {old}", f"a.bin in {new}"}
    for name in (old, new, first):
        data = lab.get("/v1/data", store=name).json()["items"]
        assert {f"{one['data']['key']} in {one['data']['store']}" for one in data} == wanted


def test_the_description_is_in_the_graph_in_the_words_of_the_vocabulary(lab: Any) -> None:
    name = f"pg-{lab.mark}"
    post(lab, name=name, type="RELATIONAL_DBMS", schemas=[WELLS]).raise_for_status()
    lab.settle()
    rows = lab.select(f"""SELECT ?type ?column ?told {{
        ?store a provlake:DataStoreInstance ; rdfs:label "{name}" ; prov:wasDerivedFrom ?plan .
        ?plan a provlake:DataStore ; provlake:storeType ?type .
        ?attribute a provlake:Attribute ; rdfs:label ?column ; rdfs:comment ?told ; provlake:hasDataSchema ?schema .
        ?schema a provlake:DataSchema ; rdfs:label "wells" ; provlake:hasDatabaseSchema ?inside .
        ?inside a provlake:DatabaseSchema ; rdfs:label "public" ; provlake:hasDatabase ?database .
        ?database a provlake:Database ; rdfs:label "geo" ; provlake:hasDataStore ?plan }}""")
    assert rows == [{"type": "RELATIONAL_DBMS", "column": "depth", "told": "in metres"}]


def test_an_attribute_of_a_plan_names_its_store_and_schema(lab: Any) -> None:
    name = f"plan-{lab.mark}"
    place = {"store": f"db-{lab.mark}", "database": "geo", "name": "wells"}
    inputs = {"well": {"schema": place}, "file": {"stores": [f"fs-{lab.mark}"], "reference": True}}
    plan = {"workflow": name, "transformations": {"load": {"inputs": inputs}}}
    taken = lab.http.post(f"{lab.services.tracker_url}/v1/prospective", json=plan)
    assert taken.status_code == 201, taken.text
    kept = lab.http.get(f"{lab.services.tracker_url}/v1/prospective/{name}").json()["specification"]
    assert kept["transformations"]["load"]["inputs"]["well"] == {"schema": place}
    lab.settle()
    path = "provlake:hasDataSchema/provlake:hasDatabase/provlake:hasDataStore"
    rows = lab.select(f"""SELECT ?name ?store {{
        <{lab.get(f"/v1/workflows/{name}").json()["iri"]}/transformation/load> provlake:hasInput ?attribute .
        ?attribute rdfs:label ?name ; {path}|provlake:hasDataStore ?plan . ?plan a provlake:DataStore ; rdfs:label ?store }}""")
    assert {(row["name"], row["store"]) for row in rows} == {
        ("well", f"db-{lab.mark}"),
        ("file", f"fs-{lab.mark}"),
    }


def test_what_is_wrong_is_refused_with_the_field_and_the_fix(lab: Any) -> None:
    name = f"bad-{lab.mark}"
    for body, field in [
        ({"name": name, "same_as": ["x", name]}, "$.same_as[1]"),
        ({"name": name, "type": "Lustre"}, "$.type"),
        ({"name": ""}, "$.name"),
        ({"name": name, "schemas": [{"name": "a"}, {"name": "a"}]}, "$.schemas[1].name"),
        (
            {"name": name, "schemas": [{"name": "a", "attributes": [{"name": "b"}, {"name": "b"}]}]},
            "$.schemas[0].attributes[1].name",
        ),
        ({"name": name, "colour": "red"}, "$.colour"),
    ]:
        refused = post(lab, **body)
        assert (refused.status_code, refused.json()["error"]["field"]) == (422, field), refused.text
        assert refused.json()["error"]["fix"]
    assert lab.http.get(f"{lab.services.tracker_url}/v1/stores/{name}").status_code == 404
    post(lab, name=name, type="FILE_SYSTEM").raise_for_status()
    other = post(lab, name=name, type="OBJECT_STORE")
    assert (other.status_code, other.json()["error"]["field"]) == (422, "$.type")
    assert "same_as" in other.json()["error"]["fix"]
    assert post(lab, name=name, host="node2").json()["type"] == "FILE_SYSTEM"
    missing = lab.get(f"/v1/stores/none-{lab.mark}")
    assert (missing.status_code, missing.json()["error"]["field"]) == (404, "name")


def test_one_catalogue_with_that_of_provlake_clients(lab: Any) -> None:
    name = f"pg/{lab.mark}"
    catalogue = f"{lab.services.tracker_url}/provenance/api/data-stores"
    told = {"id": name, "name": "measurements", "type": "PostgreSQL", "host_address": "db1"}
    post(lab, name=name, same_as=[f"was-{lab.mark}"]).raise_for_status()
    assert lab.http.post(catalogue, json=told).status_code == 201
    found = lab.http.get(f"{lab.services.tracker_url}/v1/stores/{name}").json()
    about = {"name": name, "label": "measurements", "type": "RELATIONAL_DBMS", "host": "db1"}
    assert found == {**about, "same_as": [f"was-{lab.mark}"], "schemas": []}
    assert lab.http.get(f"{catalogue}/{name}").json()["type"] == "PostgreSQL"
