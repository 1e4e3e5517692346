"""Files of models: what a model is saved to, by its framework's own way, else by ``pickle``."""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any, Callable, Optional, Tuple

from .names import file_name
from .said import once

Writer = Callable[[Any, str], None]
FAILURES = (
    pickle.PicklingError,
    TypeError,
    AttributeError,
    ValueError,
    RuntimeError,
    RecursionError,
    OSError,
    NotImplementedError,
)
"""What saving a model may raise: of ours nothing but these is caught."""


def saved(model: Any, artifacts: str, name: str, incremental: bool) -> Optional[str]:
    """The file that a model was saved to, ``{artifacts}/{name}/{name}[_{number}].{ending}``; ``None``, and said, if it cannot be.

    Args:
        incremental: every call makes another file, numbered from 0.
    """
    part = file_name(name)
    folder = os.path.join(artifacts, part)
    ending, write = _way(model)
    beside = os.path.join(folder, f".{part[:40]}.{os.getpid()}.part.{ending}")
    try:
        os.makedirs(folder, exist_ok=True)
        write(model, beside)
        path = _free(folder, part, ending) if incremental else os.path.join(folder, f"{part}.{ending}")
        os.replace(beside, path)
    except FAILURES as error:
        once(f"model {name}", f"the model {name} is described, but could not be saved: {type(error).__name__}: {error}")
        return None
    finally:
        if os.path.exists(beside):
            os.remove(beside)
    return path


def _free(folder: str, part: str, ending: str) -> str:
    """A path that was not there; it is taken by making the file."""
    number = sum(each.startswith(f"{part}_") for each in os.listdir(folder))
    while True:
        path = os.path.join(folder, f"{part}_{number}.{ending}")
        try:
            with open(path, "x", encoding="ascii"):
                return path
        except FileExistsError:
            number += 1


def _way(model: Any) -> Tuple[str, Writer]:
    """Ending and function that fit a model."""
    torch = sys.modules.get("torch")
    state = getattr(model, "state_dict", None)
    if callable(state):
        return (
            ("pt", lambda it, path: torch.save(it.state_dict(), path)) if torch is not None else ("pkl", _pickle_state)
        )
    if "keras" in type(model).__module__ and callable(getattr(model, "save", None)):
        return "keras", lambda it, path: it.save(path)
    return "pkl", _pickle


def _pickle(thing: Any, path: str) -> None:
    with open(path, "wb") as file:
        pickle.dump(thing, file)


def _pickle_state(model: Any, path: str) -> None:
    _pickle(model.state_dict(), path)
