"""An MLflow script as one finds them: it knows nothing of provenance.

Trains classifiers of handwritten digits with autolog, registers the best and calls it `production`.
"""

from __future__ import annotations

import mlflow
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

MODEL = "digit-reader"

load_digits(as_frame=True).frame.to_csv("digits.csv", index=False)
frame = pd.read_csv("digits.csv")
train, test = train_test_split(frame, random_state=0)
mlflow.set_experiment("handwriting")
mlflow.sklearn.autolog(log_models=False, log_datasets=False, silent=True)

best = None
for regularisation in (0.01, 1.0):
    with mlflow.start_run(run_name=f"C={regularisation}"):
        mlflow.log_input(
            mlflow.data.from_pandas(frame, source="digits.csv", name="digits", targets="target"), context="training"
        )
        model = LogisticRegression(C=regularisation, max_iter=200)
        model.fit(train.drop(columns="target") / 16, train["target"])
        score = model.score(test.drop(columns="target") / 16, test["target"])
        mlflow.log_metric("test_score", score)
        logged = mlflow.sklearn.log_model(
            model, name="classifier", serialization_format="cloudpickle", pip_requirements=["scikit-learn"]
        )
    if best is None or score > best[0]:
        best = score, logged.model_uri

assert best is not None
version = mlflow.register_model(best[1], MODEL)
mlflow.MlflowClient().set_registered_model_alias(MODEL, "production", version.version)
print(f"version {version.version} of {MODEL} is in production, with a score of {best[0]:.3f}")
