"""A small unmodified MLflow script; it prints what MLflow then holds, and ends with code 5."""

import sys

import mlflow

mlflow.set_experiment("small")
try:
    with mlflow.start_run(run_name="outer") as outer:
        mlflow.log_params({"lr": 0.1, "layers": 3})
        for step in range(20):
            mlflow.log_metric("loss", 1 / (step + 1), step=step, synchronous=step % 2 == 0)
        mlflow.log_metrics({"a": 1.0, "b": 2.0}, step=1)
        mlflow.flush_async_logging()
        mlflow.set_tags({"x": "1"})
        mlflow.log_text("hello", "a/b.txt")
        mlflow.log_input(
            mlflow.data.meta_dataset.MetaDataset(
                mlflow.data.http_dataset_source.HTTPDatasetSource("http://example.org/d.csv"), name="d"
            )
        )
        with mlflow.start_run(run_name="inner", nested=True):
            mlflow.log_metric("loss", 7.0)
        raise OverflowError("too much")
except OverflowError as error:
    print("caught", error)

client = mlflow.MlflowClient()
client.create_registered_model("m")
client.create_model_version("m", f"runs:/{outer.info.run_id}/a", outer.info.run_id)
client.set_registered_model_alias("m", "live", 1)
print(mlflow.artifacts.load_text(f"runs:/{outer.info.run_id}/a/b.txt"))
for run in sorted(client.search_runs(["1"]), key=lambda run: run.info.run_name):
    tags = {
        name: text for name, text in run.data.tags.items() if name not in ("mlflow.parentRunId", "mlflow.source.name")
    }
    print(run.info.run_name, run.info.status, run.data.params, run.data.metrics, tags, len(run.inputs.dataset_inputs))
print(sorted((point.step, point.value) for point in client.get_metric_history(outer.info.run_id, "loss")))
print(
    client.get_model_version_by_alias("m", "live").version,
    sorted(entry.path for entry in client.list_artifacts(outer.info.run_id)),
)
try:
    client.get_run("0" * 32)
except mlflow.MlflowException as error:
    print(error)
sys.exit(5)
