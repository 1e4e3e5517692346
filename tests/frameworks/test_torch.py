"""A real PyTorch training as a run: by itself, with loaders that fork, and under torchrun. ``make test-torch`` runs it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests.integration.runs_bench import Bench, points

PYTHON = os.environ.get("PLLIB_TORCH_PYTHON", "python")
TRAIN = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    x = torch.rand(64, 4)
    data = TensorDataset(x, x.sum(dim=1, keepdim=True))
    loader = DataLoader(data, batch_size=16, num_workers=2)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 1))
    net[0].bias.requires_grad_(False)
    optimizer = torch.optim.SGD((p for p in net.parameters() if p.requires_grad), lr=0.1)
    with pllib.run("sums", params={"lr": 0.1}, tags={"device": torch.device("cpu")}) as run:
        run.log_dataset(loader, "train", context="training")
        step = 0
        for epoch in range(2):
            with run.timed("epoch", step=epoch):
                for inputs, targets in loader:
                    loss = nn.functional.mse_loss(net(inputs), targets)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    run.log_metric("loss", loss, step=step, context="training")
                    step += 1
        with run.count_flops("forward"):
            net(x)
        torch.save(net.state_dict(), "net.pt")
        run.log_model(net, "net", path="net.pt")
        run.log_model(net.state_dict(), "weights")
    assert not pllib.stats()["errors"], pllib.stats()

if __name__ == "__main__":
    main()
"""
PARALLEL = """
import torch.distributed as dist

dist.init_process_group("gloo")
with pllib.run("parallel", code=False, environment=False) as run:
    for step in range(10):
        run.log_metric("loss", run.rank, step=step, context="training")
    assert run.rank == dist.get_rank()
with pllib.run("parallel", collect_all_processes=False, code=False, environment=False) as run:
    run.log_metric("only", run.rank)
dist.destroy_process_group()
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_training(bench):
    bench.finish([bench.start(PYTHON, bench.script(TRAIN))])
    used = {name: value for record in bench.of("add") for name, value in record.get("used", {}).items()}
    generated = {name: value for record in bench.of("add") for name, value in record.get("generated", {}).items()}
    facts = generated["net"]["facts"]
    assert (facts["framework"], facts["class"]) == ("torch", "torch.nn.modules.container.Sequential")
    assert facts["parameters"] == 4 * 8 + 8 + 2 * 8 + 8 + 1
    assert facts["trainable_parameters"] == facts["parameters"] - 8
    assert (
        facts["memory_bytes"] == 4 * (facts["parameters"] + 2 * 8) + 8
    )  # and the running figures of the normalisation
    assert [(part["name"], part["class"]) for part in facts["architecture"]["v"]] == [
        ("0", "Linear"),
        ("1", "ReLU"),
        ("2", "BatchNorm1d"),
        ("3", "Linear"),
    ]
    assert facts["sha256"] == hashlib.sha256((bench.folder / "net.pt").read_bytes()).hexdigest()
    assert generated["weights"]["facts"]["parameters"] > facts["parameters"]  # a tree of arrays
    train = {name: fact["v"] for name, fact in used["train"]["facts"].items()}
    assert (train["length"], train["batch_size"], train["num_workers"]) == (4, 16, 2)
    assert train["dataset"]["length"] == 64
    modules = used["environment"]["v"]["modules"]
    assert "torch" in modules
    losses = points(bench.of("points", series="loss"))
    assert [step for step, _ in losses] == list(range(8))
    assert losses[-1][1] < losses[0][1]
    (flops,) = points(bench.of("points", series="flops.forward"))
    assert flops[1] == 2 * 64 * (4 * 8 + 8 * 1)
    assert [record["status"] for record in bench.of("end", kind="workflow")] == ["finished"]


def test_workers_of_torchrun_are_one_run(bench):
    script = bench.script(PARALLEL)
    # The second does not name its job: it is told from others by the process that started it.
    for options in (("--standalone",), ("--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0")):
        launcher = (PYTHON, "-m", "torch.distributed.run", "--nproc-per-node=2", *options)
        process = bench.start(*launcher, script, OMP_NUM_THREADS="1")
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
    begun = bench.of("begin", kind="workflow")
    runs = {record["wf"] for record in begun}
    assert len(runs) == 4
    both = [run for run in runs if len([r for r in begun if r["wf"] == run]) == 2]
    assert len(both) == 2
    for run in both:
        own = [record for record in bench.of("points", series="loss") if record["wf"] == run]
        assert points(own) == sorted((step, rank) for step in range(10) for rank in range(2))
    assert [value for _, value in points(bench.of("points", series="only"))] == [0, 0]
