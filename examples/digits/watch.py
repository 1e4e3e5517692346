"""Watches learning while it goes on: asks the query engine once a second how far it is, until the execution has ended.

A process of its own, with nothing but ``pllib.query``.
"""

from __future__ import annotations

import argparse
import time

from pllib.query import Client

PROGRESS = """
SELECT ?execution ?ended (COUNT(DISTINCT ?training) AS ?models) (COUNT(DISTINCT ?epoch) AS ?epochs) (MIN(?loss) AS ?least)
WHERE {
  ?execution a provml:LearningProcessExecution ; prov:startedAtTime ?started .
  FILTER (?started >= ?since)
  OPTIONAL { ?execution prov:endedAtTime ?ended }
  ?training a provml:TrainingExecution ; provlake:isPartOf ?execution .
  ?epoch a provml:TrainingSectionExecution ; prov:wasInformedBy ?training ; prov:endedAtTime ?done .
  OPTIONAL { ?value prov:wasGeneratedBy ?epoch ; a provml:ModelEvaluation ; prov:value ?loss }
}
GROUP BY ?execution ?ended ORDER BY DESC(?started) LIMIT 1
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--query-url", required=True)
    parser.add_argument("--since", required=True, help="only executions begun from this time on (ISO, UTC)")
    parser.add_argument("--seconds", type=float, default=120.0, help="give up after so long (default 120)")
    chosen = parser.parse_args()
    client = Client(chosen.query_url)
    query = PROGRESS.replace("?since", f'"{chosen.since}"^^xsd:dateTime')
    deadline = time.monotonic() + chosen.seconds
    while time.monotonic() < deadline:
        rows = client.sparql(query)
        if rows:
            row = rows[0]
            state = "ended" if row.get("ended") else "running"
            print(
                f"  live: {state}, {row['models']} models begun, {row['epochs']} epochs done, least loss {row['least']:.4f}",
                flush=True,
            )
            if state == "ended":
                return
        time.sleep(1.0)
    raise SystemExit("the learning did not end in time")


if __name__ == "__main__":
    main()
