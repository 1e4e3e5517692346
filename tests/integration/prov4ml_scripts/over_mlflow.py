"""In the style of the first generation, over MLflow: every call as its examples have it, with a model of numpy in place of PyTorch."""

import numpy as np
import prov4ml

EPOCHS = 2

# start the run in the same way as with mlflow
prov4ml.start_run(
    prov_user_namespace="www.example.org",
    experiment_name="experiment_name",
    provenance_save_dir="prov",
    mlflow_save_dir="test_runs",
)


class Regression:
    """A model in the form of a torch module: it tells its state and its parameters."""

    def __init__(self, features):
        self.weight = np.zeros(features)

    def state_dict(self):
        return {"weight": self.weight}

    def parameters(self):
        return iter([self.weight])

    def training_step(self, x, y, epoch):
        error = x @ self.weight - y
        self.weight -= 0.1 * x.T @ error / len(y)
        loss = np.mean(error**2)
        prov4ml.log_metric("MSE_train_2", loss, prov4ml.Context.TRAINING, step=epoch)
        prov4ml.log_flops_per_batch("train_flops", self, (x, y), prov4ml.Context.TRAINING, step=epoch)
        return loss


logger = prov4ml.ProvMLLogger(name="mnist_model")
model = Regression(3)
prov4ml.log_param("optimizer", "Adam")
prov4ml.log_params({"lr": 0.1, "epochs": EPOCHS})

rng = np.random.default_rng(0)
x = rng.normal(size=(32, 3))
y = x @ np.array([1.0, 2.0, 3.0])
for epoch in range(EPOCHS):
    loss = model.training_step(x, y, epoch)
    logger.log_metrics({"MSE_train": loss}, step=epoch)
    prov4ml.log_metric("epoch", epoch, prov4ml.Context.TRAINING, step=epoch)
    prov4ml.save_model_version(model, f"model_version_{epoch}", prov4ml.Context.TRAINING, step=epoch)
    prov4ml.log_system_metrics(prov4ml.Context.TRAINING, step=epoch)
    prov4ml.log_carbon_metrics(prov4ml.Context.TRAINING, step=epoch)
    prov4ml.log_current_execution_time("train_epoch_time", prov4ml.Context.TRAINING, epoch)

prov4ml.log_metric("MSE_test", loss, prov4ml.Context.EVALUATION, step=EPOCHS)
prov4ml.log_metrics({"MAE_test": (0.1, prov4ml.Context.EVALUATION)}, step=EPOCHS)
prov4ml.log_model(model, "model_version_final")
prov4ml.end_run()
