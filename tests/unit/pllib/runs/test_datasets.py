"""Data set objects: real arrays and frames, and stand-ins for what is not installed, with the attributes that theirs have."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from pllib import _boundary
from pllib.runs.datasets import MAX_COLUMNS, facts_about

pd = pytest.importorskip("pandas")


pytestmark = pytest.mark.usefixtures("nothing_goes_wrong")


def test_an_array():
    array = np.arange(12, dtype="float32").reshape(3, 4)
    assert facts_about(array) == {
        "class": "numpy.ndarray",
        "length": 3,
        "shape": [3, 4],
        "dtype": "float32",
        "bytes": 48,
        "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
    }


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12).reshape(3, 4)[:, ::2],
        np.zeros(2_000_000, dtype="u1"),
        np.array([object(), None]),
        np.array(["2020-01-01"], dtype="datetime64[ns]"),
    ],
    ids=["with gaps", "large", "objects", "dates"],
)
def test_arrays_whose_content_is_not_summed(array):
    facts = facts_about(array)
    assert "sha256" not in facts
    assert facts["length"] == len(array)


def test_an_array_of_no_dimensions():
    assert facts_about(np.array(3.0))["shape"] == []


def test_a_frame():
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], 3: [0.5, None]})
    facts = facts_about(frame)
    assert facts["class"].endswith(".DataFrame")
    assert (facts["length"], facts["shape"], facts["columns"]) == (2, [2, 3], ["a", "b", "3"])
    assert facts["dtypes"][0] == "int64"


def test_a_frame_with_very_many_columns_is_bounded():
    facts = facts_about(pd.DataFrame(np.zeros((2, 2 * MAX_COLUMNS))))
    assert (len(facts["columns"]), facts["columns_in_all"]) == (MAX_COLUMNS, 2 * MAX_COLUMNS)


def test_a_column():
    assert facts_about(pd.Series([1, 2, 3], name="x"))["length"] == 3


class Images:
    """As torch.utils.data.Dataset."""

    def __len__(self) -> int:
        return 60

    def __getitem__(self, index: int) -> None:
        raise AssertionError("nothing is read from a data set")


class Loader:
    """As torch.utils.data.DataLoader."""

    batch_size, num_workers = 8, 2

    def __init__(self, dataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        if not hasattr(self.dataset, "__len__"):
            raise TypeError("object of type 'Stream' has no len()")
        return 8

    def __iter__(self):
        raise AssertionError("a loader is not iterated over")


def test_a_loader_says_what_it_loads():
    facts = facts_about(Loader(Images()))
    assert (facts["length"], facts["batch_size"], facts["num_workers"]) == (8, 8, 2)
    assert facts["dataset"]["length"] == 60
    assert facts["dataset"]["class"].endswith("Images")


def test_a_loader_of_a_stream_has_no_length():
    facts = facts_about(Loader(object()))
    assert "length" not in facts
    assert facts["batch_size"] == 8


class Table:
    """As datasets.Dataset of Hugging Face, and pyarrow's tables."""

    shape = (5, 2)
    column_names = ("text", "label")

    def __len__(self) -> int:
        return 5


def test_a_table_with_column_names():
    assert facts_about(Table())["columns"] == ["text", "label"]


def test_containers_and_generators():
    assert facts_about([1, 2, 3]) == {"class": "builtins.list", "length": 3}
    generator = (number for number in range(3))
    assert facts_about(generator) == {"class": "builtins.generator"}
    assert list(generator) == [0, 1, 2]


class Hostile:
    def __getattr__(self, name):
        raise RuntimeError("no " + name)

    def __len__(self):
        raise RuntimeError("no length")


def test_an_object_that_raises_has_a_class_at_least():
    assert facts_about(Hostile())["class"].endswith("Hostile")
    assert _boundary.swallowed
    _boundary.swallowed.clear()
