"""In the style of 2.x and 3.x: the experiment first, names before what they name, contexts that are texts, an RO-Crate at the end."""

import numpy as np
import yprov4ml
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier

EPOCHS = 2

yprov4ml.start_run(
    prov_user_namespace="www.example.org",
    experiment_name="example",
    provenance_save_dir="prov",
    save_after_n_logs=100,
    collect_all_processes=True,
    disable_codecarbon=True,
    metrics_file_type=yprov4ml.MetricsType.CSV,
    use_compressor=True,
)

yprov4ml.log_source_code()
yprov4ml.log_execution_command(cmd="python", path="three.py")

x, y = load_iris(return_X_y=True)
np.save("train.npy", x)
model = yprov4ml.ProvenanceTrackedModel("tracked", SGDClassifier(random_state=0))
yprov4ml.log_param("optimizer", "SGD")
yprov4ml.log_param("batch", 50, context="Training")
yprov4ml.log_dataset("train_dataset", "train.npy", context="Training")
yprov4ml.log_dataset("val_dataset", x[:50], context="Validation")


def loss_fn(labels, found):
    return float(np.mean(labels != found))


train_loss = yprov4ml.ProvenanceTrackedFunction(loss_fn, context="Training")
yprov4ml.log_context("TrainingButDifferent", "Training")
other_loss = yprov4ml.ProvenanceTrackedFunction(loss_fn, context="TrainingButDifferent")

for epoch in range(EPOCHS):
    model.partial_fit(x, y, classes=range(3))
    found = model.predict(x)
    train_loss(y, found)
    other_loss(y, found)
    yprov4ml.log_metric("MSE", loss_fn(y, found), context="Training", step=epoch, source="numpy")
    yprov4ml.log_metric("Indices", [1, 2, 3], context=yprov4ml.Context.TRAINING, step=epoch)
    yprov4ml.log_carbon_metrics("Training", step=epoch)
    yprov4ml.log_system_metrics("Training", step=epoch)
    yprov4ml.save_model_version("mnist_model_version", model, "Training", epoch)

yprov4ml.log_input(3)
yprov4ml.log_output(9)
yprov4ml.log_artifact("weights", "train.npy", context="Training", is_input=True)
yprov4ml.log_model("mnist_model_final", model, log_model_layers=True, is_input=False)
print(yprov4ml.end_run(create_graph=True, create_svg=True, crate_ro_crate=True, create_card=True))
