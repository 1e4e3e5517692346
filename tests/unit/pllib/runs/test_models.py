"""Models: real ones of scikit-learn and trees of real arrays; stand-ins with the attributes of Keras's and PyTorch's.

PyTorch itself is in tests/frameworks (``make test-torch``).
"""

from __future__ import annotations

import math
import types

import numpy as np
import pytest

from pllib import _boundary
from pllib.runs.models import MAX_PARTS, description

sklearn = pytest.importorskip("sklearn")


pytestmark = pytest.mark.usefixtures("nothing_goes_wrong")


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)


def test_a_linear_model(digits):
    from sklearn.linear_model import SGDClassifier

    model = SGDClassifier(alpha=0.01, random_state=0)
    before = description(model)
    assert before.facts["fitted"] is False
    assert "parameters" not in before.facts
    found = description(model.fit(digits[0][:200], digits[1][:200]))
    assert found.facts["framework"] == "sklearn"
    assert found.facts["framework_version"] == sklearn.__version__
    assert found.facts["class"].endswith("SGDClassifier")
    assert found.facts["parameters"] == 64 * 10 + 10
    assert found.facts["memory_bytes"] == 8 * 650
    assert found.facts["fitted"] is True
    assert (found.settings["alpha"], found.settings["random_state"]) == (0.01, 0)


def test_a_neural_network_of_scikit_learn(digits):
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((5,), max_iter=2, early_stopping=False, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(digits[0][:100], digits[1][:100])
    assert description(model).facts["parameters"] == 64 * 5 + 5 + 5 * 10 + 10


def test_a_forest_counts_the_nodes_of_its_trees(digits):
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(3, random_state=0).fit(digits[0][:200], digits[1][:200])
    facts = description(model).facts
    assert facts["parameters"] == sum(tree.tree_.node_count for tree in model.estimators_)
    assert [part["class"] for part in facts["architecture"]] == ["DecisionTreeClassifier"] * 3
    assert facts["memory_bytes"] > facts["parameters"]


def test_a_pipeline_has_its_steps_for_architecture(digits):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=20, tol=1.0))
    facts = description(model.fit(digits[0][:200], digits[1][:200])).facts
    assert [(part["name"], part["class"]) for part in facts["architecture"]] == [
        ("standardscaler", "StandardScaler"),
        ("logisticregression", "LogisticRegression"),
    ]
    assert facts["parameters"] == 650 + 3 * 64  # mean, scale and variance of the scaler


class Tensor:
    """As a parameter of PyTorch."""

    def __init__(self, count: int, trains: bool = True) -> None:
        self.count, self.requires_grad, self.dtype = count, trains, "torch.float32"

    def numel(self) -> int:
        return self.count

    def element_size(self) -> int:
        return 4


class Module:
    """As a module of PyTorch."""

    def __init__(self, parameters=(), buffers=(), parts=()) -> None:
        self.own, self.held, self.parts = list(parameters), list(buffers), dict(parts)

    def named_modules(self, prefix=""):
        yield prefix, self
        for name, part in self.parts.items():
            yield from part.named_modules(f"{prefix}.{name}".lstrip("."))

    def parameters(self, recurse=True):
        yield from self.own
        for part in self.parts.values() if recurse else ():
            yield from part.parameters()

    def buffers(self):
        return iter(self.held)

    def state_dict(self):
        raise AssertionError("nothing is copied")


def test_a_module_with_parts():
    model = Module(
        parts={"a": Module([Tensor(10), Tensor(5, trains=False)]), "b": Module([Tensor(2)])}, buffers=[Tensor(3)]
    )
    facts = description(model).facts
    assert (facts["framework"], facts["parameters"], facts["trainable_parameters"]) == ("torch", 17, 12)
    assert facts["memory_bytes"] == 4 * 20
    assert facts["dtypes"] == ["torch.float32"]
    assert facts["architecture"] == [
        {"name": "a", "class": "Module", "parameters": 15},
        {"name": "b", "class": "Module", "parameters": 2},
    ]


def test_a_large_architecture_is_bounded_and_it_is_said():
    facts = description(Module(parts={str(number): Module() for number in range(3 * MAX_PARTS)})).facts
    assert (len(facts["architecture"]), facts["parts"]) == (MAX_PARTS, 3 * MAX_PARTS)


class Weight:
    def __init__(self, *shape: int) -> None:
        self.shape, self.dtype = shape, "float32"


class Dense:
    def __init__(self, name: str, *weights: Weight) -> None:
        self.name, self.weights = name, list(weights)


def test_a_keras_model():
    layers = [Dense("hidden", Weight(4, 8), Weight(8)), Dense("out", Weight(8, 1))]
    weights = [weight for layer in layers for weight in layer.weights]
    model = types.SimpleNamespace(layers=layers, weights=weights, trainable_weights=weights[:2], count_params=lambda: 0)
    facts = description(model).facts
    assert (facts["framework"], facts["parameters"], facts["trainable_parameters"]) == ("keras", 48, 40)
    assert facts["memory_bytes"] == 4 * 48
    assert facts["architecture"][1] == {"name": "out", "class": "Dense", "parameters": 8}


def test_a_tree_of_arrays():
    tree = {"dense": {"kernel": np.zeros((3, 4), "float32"), "bias": np.zeros(4, "float32")}, "layers": [np.zeros(2)]}
    facts = description(tree).facts
    assert (facts["framework"], facts["parameters"], facts["memory_bytes"]) == ("numpy", 18, 4 * 16 + 8 * 2)
    assert facts["architecture"][0] == {"name": "dense/kernel", "class": "float32[3, 4]", "parameters": 12}


def test_a_tree_that_contains_itself():
    tree = {"w": np.zeros(2)}
    tree["self"] = tree
    assert description(tree).facts["parameters"] == 2


@pytest.mark.parametrize("thing", [None, 3, math.nan, "text", [], {}, {"a": 1}, object(), int, np.zeros(3), lambda: 0])
def test_what_is_no_model_is_described_as_an_object(thing):
    found = description(thing)
    assert found.facts["recognised"] is False
    assert found.facts["class"]
    assert found.settings == {}


class Broken(Module):
    def parameters(self, recurse=True):
        raise RuntimeError("its parameters cannot be had")


def test_a_model_that_raises_is_described_as_an_object():
    assert description(Broken()).facts == {"class": f"{__name__}.Broken", "recognised": False}
    assert _boundary.swallowed
    _boundary.swallowed.clear()
