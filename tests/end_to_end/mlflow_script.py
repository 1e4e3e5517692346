"""An unmodified MLflow 3 script with every class of event; it knows nothing of pllib. What it prints is the same each time."""

import os
import sys
import warnings

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

warnings.filterwarnings("ignore")
mark = os.environ.get("MARK", "x")
data = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0) % 3, "y": np.arange(20) % 2})
data.to_csv("train.csv", index=False)

mlflow.set_experiment(f"flowers-{mark}")
with mlflow.start_run(run_name="parent", tags={"team": "blue"}) as parent:
    print("parent", parent.info.status)
    train = mlflow.data.from_pandas(data, source="train.csv", name="train", targets="y")
    mlflow.log_input(train, context="training")
    mlflow.log_params({"C": 0.5, "solver": "lbfgs", "max_iter": 50, "warm_start": False})
    model = LogisticRegression(C=0.5, max_iter=50).fit(data[["a", "b"]], data["y"])
    for step in range(5):
        mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
    for step in range(5):
        mlflow.log_metric("slow", float(step), step=step, synchronous=False)
    mlflow.log_metrics({"accuracy": 0.75, "f1": 0.5}, step=4)
    mlflow.flush_async_logging()
    mlflow.set_tag("note", "by hand")
    mlflow.log_text("hello", "notes/hello.txt")
    mlflow.log_dict({"a": 1}, "config.json")
    info = mlflow.sklearn.log_model(
        model, name="classifier", signature=infer_signature(data[["a", "b"]]), registered_model_name=f"flower-{mark}",
        pip_requirements=["scikit-learn"], serialization_format="cloudpickle",
    )  # fmt: skip
    with mlflow.start_run(run_name="child", nested=True):
        mlflow.log_param("fold", 1)
        mlflow.log_metric("loss", 0.5, step=0)

client = mlflow.MlflowClient()
client.set_registered_model_alias(f"flower-{mark}", "production", 1)
print("alias", client.get_model_version_by_alias(f"flower-{mark}", "production").version)

mlflow.autolog(log_models=False, silent=True)
with mlflow.start_run(run_name="automatic"):
    LogisticRegression(max_iter=20).fit(data[["a", "b"]], data["y"])
mlflow.autolog(disable=True)

with mlflow.start_run(run_name="scoring") as scoring:
    loaded = mlflow.pyfunc.load_model(f"models:/flower-{mark}@production")
    print("loaded", len(loaded.predict(data[["a", "b"]])))
    mlflow.artifacts.load_text(f"runs:/{parent.info.run_id}/notes/hello.txt")

try:
    with mlflow.start_run(run_name="broken") as broken:
        mlflow.log_metric("loss", float("nan"), step=0)
        raise ValueError("the data is empty")
except ValueError as error:
    print("failed", error)

stored = mlflow.get_run(parent.info.run_id)
print("metrics", sorted(stored.data.metrics.items()))
print("params", sorted(stored.data.params.items()))
print("history", sorted({(m.step, m.value) for m in client.get_metric_history(parent.info.run_id, "slow")}))
print("runs", sorted((run.info.run_name, run.info.status) for run in client.search_runs([stored.info.experiment_id])))
print("artifacts", sorted(file.path for file in client.list_artifacts(parent.info.run_id)))
sys.exit(int(os.environ.get("EXIT", "0")))
