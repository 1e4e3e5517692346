"""Analyses of users' own, over REST."""

from __future__ import annotations


def own(mark: str) -> dict:
    return {
        "name": f"limits-{mark}",
        "title": "Limits",
        "question": "Which tasks used this limit?",
        "taxonomy": {"data": "execution", "execution_timing": "online", "direction": "forward"},
        "parameters": [
            {"name": "limit", "type": "literal", "description": "the limit"},
            {"name": "attribute", "type": "text", "description": "its name", "default": "limit"},
        ],
        "columns": {"task": "the task"},
        "query": {
            "text": "SELECT ?task ?name WHERE { VALUES ?limit {} VALUES ?attribute {} ?v prov:value ?limit ; "
            "prov:wasDerivedFrom/rdfs:label ?attribute . ?task prov:used ?v ; prov:wasInfluencedBy/rdfs:label ?name }"
        },
    }


def test_an_own_analysis_is_stored_run_and_deleted(lab):
    lab.run("""
        import pllib
        with pllib.workflow("w-MARK") as wf:
            for limit in (2.5, 3, "3"):
                with wf.task(f"t-{type(limit).__name__}-MARK", used={"limit": limit, "other": 2.5}):
                    pass
        """)
    lab.settle()
    address = f"{lab.services.query_url}/v1/analyses"
    assert lab.http.post(address, json=own(lab.mark)).status_code == 201
    assert lab.http.post(address, json=own(lab.mark)).status_code == 200
    listed = lab.get("/v1/analyses", data="execution", direction="forward").json()["items"]
    assert [item["name"] for item in listed] == ["q4", f"limits-{lab.mark}"]

    def names(**parameters):
        answer = lab.get(f"/v1/analyses/limits-{lab.mark}/run", **parameters)
        assert answer.status_code == 200, answer.text
        return {row["name"] for row in answer.json()["rows"] if lab.mark in row["name"]}

    assert names(limit="2.5") == {f"t-float-{lab.mark}"}
    assert names(limit="3") == {f"t-int-{lab.mark}", f"t-str-{lab.mark}"}
    assert names(limit='"} ?s ?p ?o #') == set()
    assert names(limit="2.5", attribute="other") == {f"t-{kind}-{lab.mark}" for kind in ("float", "int", "str")}
    posted = lab.http.post(f"{address}/limits-{lab.mark}/run", json={"limit": 2.5})
    assert posted.status_code == 200
    assert posted.json()["columns"][0] == {"name": "task", "description": "the task"}

    for parameters, word in (({}, "limit"), ({"limit": "1", "speed": "2"}, "speed")):
        answer = lab.get(f"/v1/analyses/limits-{lab.mark}/run", **parameters)
        assert answer.status_code == 400
        assert answer.json()["error"]["field"] == word
    assert lab.http.delete(f"{address}/limits-{lab.mark}").status_code == 204
    assert lab.get(f"/v1/analyses/limits-{lab.mark}").status_code == 404
    assert lab.http.delete(f"{address}/q1").status_code == 409


def test_what_is_no_analysis_is_refused(lab):
    address = f"{lab.services.query_url}/v1/analyses"
    wrong = {**own(lab.mark), "query": {"text": "SELECT * { SERVICE <http://127.0.0.1:9/> { ?s ?p ?o } }"}}
    answer = lab.http.post(address, json=wrong)
    assert answer.status_code == 422
    assert "SERVICE" in answer.json()["error"]["message"]


def test_data_that_nobody_knows_is_404(lab):
    answer = lab.get("/v1/analyses/q1/run", model="/no/such/model.pkl")
    assert answer.status_code == 404
    assert "/no/such/model.pkl" in answer.text
