"""Uses the model that is in production, as a service or a nightly job would; it knows nothing of provenance either."""

from __future__ import annotations

import mlflow
import pandas as pd

model = mlflow.pyfunc.load_model("models:/digit-reader@production")
frame = pd.read_csv("digits.csv").head(100)
print("digits recognised:", int((model.predict(frame.drop(columns="target") / 16) == frame["target"]).sum()), "of 100")
