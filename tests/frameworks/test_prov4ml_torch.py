"""A real PyTorch training with the calls of Prov4ML's generations, written as their examples are. ``make test-torch`` runs it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.integration.prov4ml_bench import run_strictly

PYTHON = os.environ.get("PLLIB_TORCH_PYTHON", "python")
COMMON = """
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Subset, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
BATCH_SIZE, EPOCHS, DEVICE = 16, 2, "cpu"

class MNISTModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = torch.nn.Sequential(torch.nn.Linear(28 * 28, 10), nn.BatchNorm1d(10))

    def forward(self, x):
        return self.model(x.view(x.size(0), -1))

mnist_model = MNISTModel().to(DEVICE)
train_ds = TensorDataset(torch.rand(64, 1, 28, 28), torch.randint(10, (64,)))
train_ds = Subset(train_ds, range(BATCH_SIZE * 3))
train_loader = DataLoader(train_ds, batch_size=BATCH_SIZE, shuffle=True)
optim = torch.optim.Adam(mnist_model.parameters(), lr=0.0002)
"""
ONE = """
import prov4ml
prov4ml.start_run(prov_user_namespace="www.example.org", experiment_name="mnist", provenance_save_dir="prov", save_after_n_logs=100)
prov4ml.log_dataset(train_loader, "train_dataset")
prov4ml.log_param("optimizer", "Adam")
for epoch in range(EPOCHS):
    for i, (x, y) in enumerate(train_loader):
        optim.zero_grad()
        loss = F.cross_entropy(mnist_model(x), y)
        loss.backward()
        optim.step()
        prov4ml.log_metric("MSE_train", loss, context=prov4ml.Context.TRAINING, step=epoch)
    before = mnist_model.model[1].running_mean.clone()
    prov4ml.log_flops_per_batch("train_flops", mnist_model, (x, y), prov4ml.Context.TRAINING, step=epoch)
    prov4ml.log_flops_per_epoch("epoch_flops", mnist_model, TensorDataset(x, y), prov4ml.Context.TRAINING, step=epoch)
    assert mnist_model.training and torch.equal(before, mnist_model.model[1].running_mean)
    prov4ml.save_model_version(mnist_model, f"mnist_model_version_{epoch}", prov4ml.Context.TRAINING, epoch)
prov4ml.log_model(mnist_model, "mnist_model_final")
prov4ml.end_run(create_graph=True, create_svg=True)
"""
THREE = """
import yprov4ml
yprov4ml.start_run(prov_user_namespace="www.example.org", experiment_name="mnist", provenance_save_dir="prov", collect_all_processes=True)
mnist_model = yprov4ml.ProvenanceTrackedModel("mnist", mnist_model)
yprov4ml.log_dataset("train_dataset", train_loader, context="Training")
loss_fn = yprov4ml.ProvenanceTrackedFunction(nn.MSELoss().to(DEVICE), context="Training")
for epoch in range(EPOCHS):
    mnist_model.train()
    for x, y in train_loader:
        optim.zero_grad()
        loss = loss_fn(mnist_model(x), F.one_hot(y, 10).float())
        loss.backward()
        optim.step()
    yprov4ml.log_flops_per_batch("train_flops", mnist_model, (x, y), "Training", step=epoch)
    yprov4ml.log_flops_per_epoch("epoch_flops", mnist_model, TensorDataset(x, y), "Training", step=epoch)
    yprov4ml.save_model_version("mnist_model_version", mnist_model, "Training", epoch)
yprov4ml.log_model("mnist_model_final", mnist_model, log_model_layers=True, is_input=False)
yprov4ml.end_run(create_graph=True, create_svg=True, crate_ro_crate=True)
"""


@pytest.mark.parametrize(("script", "metric"), [(ONE, "MSE_train"), (THREE, "MSELoss")], ids=["1.x", "3.x"])
def test_a_training(script: str, metric: str, tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    path.write_text(COMMON + script)
    run_strictly([PYTHON, "-m", "pllib.prov4ml", path], tmp_path, timeout=300)
    folder = tmp_path / "prov" / "mnist_0"
    document = json.loads((folder / "prov_mnist_GR0_0.json").read_text())
    series = {name.rpartition("/")[2]: each for name, each in document["entity"].items() if "provlake:points" in each}
    assert {metric, "flops.train_flops", "flops.epoch_flops"} <= series.keys()
    assert len(next(folder.glob(f"metrics_GR0/{metric}_*.csv")).read_text().splitlines()) == 1 + 2 * 3
    batch, epoch = (float(series[f"flops.{name}_flops"]["prov:value"]["$"]) for name in ("train", "epoch"))
    assert batch > 0
    assert epoch == batch  # a batch of 16, and one item times 16
    assert len(list(folder.glob("artifacts_GR0/**/*.pt"))) == 3
    shuffled = [each["prov:value"] for name, each in document["entity"].items() if "/shuffle/" in name]
    assert shuffled == [{"$": "true", "type": "xsd:boolean"}]
