"""An MLflow 2 script: what it leaves in a tracking store is extracted by the tests. Prints the ids of its runs."""

import json
import sys

import mlflow
import numpy as np


class Mean(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return [0.5 for _ in model_input]


experiment = sys.argv[1]
mlflow.set_experiment(experiment)
with mlflow.start_run(run_name="outer", tags={"why": "to see"}) as run:
    mlflow.log_params({"lr": 0.1, "layers": 3, "name": "a b"})
    for step in range(3):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metric("odd", float("nan"), step=1)
    mlflow.log_text("hello", "notes and more/x.txt")
    mlflow.log_text("top", "root.txt")
    if hasattr(mlflow, "log_input"):  # since 2.4
        mlflow.log_input(mlflow.data.from_numpy(np.arange(4.0), name="numbers"), context="training")
    mlflow.pyfunc.log_model(
        "mean", python_model=Mean(), registered_model_name=f"{experiment} model", pip_requirements=["mlflow"]
    )
    with mlflow.start_run(nested=True, run_name="inner") as inner:
        mlflow.log_param("seed", 1)
client = mlflow.MlflowClient()
client.set_registered_model_alias(f"{experiment} model", "champion", 1)
client.create_model_version(f"{experiment} model", f"{run.info.artifact_uri}/mean", run.info.run_id)
client.transition_model_version_stage(f"{experiment} model", 1, "Production")
client.delete_model_version(f"{experiment} model", 2)
mlflow.delete_run(inner.info.run_id)
failed = mlflow.start_run(run_name="failed")
mlflow.end_run("FAILED")
gone = mlflow.create_experiment(f"{experiment} gone")
mlflow.delete_experiment(gone)
ids = {"run": run.info.run_id, "inner": inner.info.run_id, "failed": failed.info.run_id}
print(json.dumps({**ids, "version": mlflow.__version__}))
