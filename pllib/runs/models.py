"""What models are like: framework, class, how many parameters, their memory, their architecture.

PyTorch modules, scikit-learn estimators, Keras models and trees of arrays (JAX, Flax, numpy) are known by what they can do.
Nothing is imported, and nothing of a model is run or copied.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Set, Tuple

from .._boundary import shielded
from .datasets import class_name

Facts = Dict[str, Any]
MAX_PARTS = 200
"""Parts of the architecture that are listed."""
MAX_SETTINGS = 100
MAX_LEAVES = 100_000
LEARNT = (
    "coef_", "intercept_", "coefs_", "intercepts_", "dual_coef_", "support_vectors_", "cluster_centers_", "components_",
    "means_", "covariances_", "precisions_", "weights_", "theta_", "var_", "feature_log_prob_", "class_log_prior_",
    "mean_", "scale_", "threshold_",
)  # fmt: skip
"""Attributes in which scikit-learn's estimators keep what they learnt, where it is numbers."""
INNER = (
    "estimators_",
    "estimator_",
    "best_estimator_",
    "steps",
    "final_estimator_",
    "calibrated_classifiers_",
    "transformers_",
)


class Description:
    """What is said of a model: ``facts`` about it, and the ``settings`` that it was made with."""

    def __init__(self, facts: Facts, settings: Optional[Mapping[str, Any]] = None) -> None:
        self.facts = facts
        self.settings: Dict[str, Any] = dict(list((settings or {}).items())[:MAX_SETTINGS])


def description(model: Any) -> Description:
    """What a model is like.

    Facts: ``framework``, ``framework_version``, ``class``, ``parameters``, ``trainable_parameters``, ``memory_bytes``,
    ``architecture`` (a list of ``{"name", "class", "parameters"}``; ``parts`` says how many there are in all when it was
    cut), as far as the framework tells.
    An object that is no known model has ``class``, and ``recognised`` says no.
    """
    for describe in (_torch, _keras, _sklearn, _tree):
        found = _tried(describe, model)
        if found is not None:
            return found
    return Description({"class": class_name(model), "recognised": False})


@shielded(lambda describe, model: None, always=True)
def _tried(describe: Callable[[Any], Optional[Description]], model: Any) -> Optional[Description]:
    return None if isinstance(model, type) else describe(model)


def _base(model: Any, framework: str) -> Facts:
    found: Facts = {"framework": framework, "class": class_name(model)}
    version = vars(sys.modules[framework]).get("__version__") if framework in sys.modules else None
    return {**found, "framework_version": str(version)[:100]} if version is not None else found


def _listed(parts: Iterable[Tuple[str, str, Optional[int]]]) -> Facts:
    """The architecture, the first parts of it."""
    rows: List[Facts] = []
    count = 0
    for name, kind, parameters in parts:
        count += 1
        if len(rows) < MAX_PARTS:
            row: Facts = {"name": name[:200], "class": kind[:200]}
            rows.append(row if parameters is None else {**row, "parameters": parameters})
        elif count >= MAX_LEAVES:
            break
    found: Facts = {"architecture": rows} if rows else {}
    return {**found, "parts": count} if count > len(rows) else found


# -- PyTorch ----------------------------------------------------------------------------------------------------------


def _torch(model: Any) -> Optional[Description]:
    if not all(
        callable(getattr(model, name, None)) for name in ("named_modules", "parameters", "buffers", "state_dict")
    ):
        return None
    total, trainable, memory = 0, 0, 0
    kinds = set()
    for parameter in model.parameters():
        count = _numel(parameter)
        total += count
        trainable += count if parameter.requires_grad else 0
        memory += count * parameter.element_size()
        kinds.add(str(parameter.dtype))
    memory += sum(_numel(buffer) * buffer.element_size() for buffer in model.buffers())
    facts = {**_base(model, "torch"), "parameters": total, "trainable_parameters": trainable, "memory_bytes": memory}
    if kinds:
        facts["dtypes"] = sorted(kinds)
    facts.update(_listed(_torch_parts(model)))
    return Description(facts)


def _torch_parts(model: Any) -> Iterator[Tuple[str, str, Optional[int]]]:
    """The modules, each with the parameters that are its own and none of its parts'."""
    for name, module in model.named_modules():
        if name:
            yield name, type(module).__name__, sum(_numel(own) for own in module.parameters(recurse=False))


@shielded(lambda tensor: 0, always=True)
def _numel(tensor: Any) -> int:
    """How many numbers; 0 of a parameter whose size is only known with the first batch."""
    return int(tensor.numel())


# -- Keras ------------------------------------------------------------------------------------------------------------


def _keras(model: Any) -> Optional[Description]:
    if (
        not callable(getattr(model, "count_params", None))
        or not hasattr(model, "layers")
        or not hasattr(model, "weights")
    ):
        return None
    facts = _base(model, "keras")
    facts["parameters"] = sum(_size(weight) for weight in model.weights)
    facts["trainable_parameters"] = sum(_size(weight) for weight in model.trainable_weights)
    facts["memory_bytes"] = sum(_size(weight) * _item_size(weight) for weight in model.weights)
    layers = ((layer.name, type(layer).__name__, sum(map(_size, layer.weights))) for layer in model.layers)
    facts.update(_listed(layers))
    return Description(facts)


def _size(array: Any) -> int:
    """How many numbers something with a shape holds."""
    total = 1
    for size in array.shape:
        total *= int(size)
    return total


_ITEM_SIZES = {"64": 8, "32": 4, "16": 2, "8": 1, "128": 16}


def _item_size(array: Any) -> int:
    """Bytes of one of its numbers, also where the type is only a name (``float32``, ``bfloat16``)."""
    size = getattr(array.dtype, "itemsize", None)
    if isinstance(size, int):
        return size
    name = str(array.dtype)
    return next((size for bits, size in _ITEM_SIZES.items() if name.endswith(bits)), 1)


# -- scikit-learn -----------------------------------------------------------------------------------------------------


def _sklearn(model: Any) -> Optional[Description]:
    """Estimators, and what follows their protocol (XGBoost, LightGBM, …)."""
    if not callable(getattr(model, "get_params", None)) or not callable(getattr(model, "fit", None)):
        return None
    framework = type(model).__module__.partition(".")[0]
    estimators = list(_estimators(model))
    facts = _base(model, framework if framework in sys.modules and framework != "__main__" else "sklearn")
    arrays = [array for _, estimator in estimators for array in _learnt(estimator)]
    nodes = sum(_nodes(estimator) for _, estimator in estimators)
    fitted = any(name.endswith("_") and not name.startswith("_") for name in vars(model)) or bool(arrays or nodes)
    facts["fitted"] = fitted
    if arrays or nodes:
        facts["parameters"] = sum(map(_size, arrays)) + nodes
        facts["memory_bytes"] = sum(array.nbytes for array in arrays) + sum(_tree_bytes(one) for _, one in estimators)
    facts.update(_listed((name, type(one).__name__, None) for name, one in estimators[1:]))
    return Description(facts, model.get_params(deep=False))


def _estimators(model: Any) -> Iterator[Tuple[str, Any]]:
    """The estimator and those inside it (steps of pipelines, members of ensembles), each once."""
    seen: Set[int] = set()
    pending: List[Tuple[str, Any]] = [("", model)]
    while pending and len(seen) < MAX_LEAVES:
        name, one = pending.pop(0)
        if id(one) in seen or not callable(getattr(one, "get_params", None)):
            continue
        seen.add(id(one))
        yield name, one
        for attribute in INNER if "estimators_" not in vars(one) else ("estimators_",):
            pending.extend(
                (f"{name}.{inner}".lstrip("."), part)
                for inner, part in _inside(attribute, getattr(one, attribute, None))
            )


def _inside(attribute: str, held: Any) -> Iterator[Tuple[str, Any]]:
    if callable(getattr(held, "get_params", None)):
        yield attribute, held
        return
    if hasattr(held, "ravel"):
        held = held.ravel().tolist()
    for index, part in enumerate(held if isinstance(held, (list, tuple)) else ()):
        if isinstance(part, tuple) and len(part) >= 2 and isinstance(part[0], str):
            yield part[0], part[1]
        else:
            yield f"{attribute}{index}", part


def _learnt(estimator: Any) -> Iterator[Any]:
    """Arrays of numbers that it learnt; not what is reckoned from others when asked for, so only what it holds itself."""
    held = vars(estimator)
    for name in LEARNT:
        found = held.get(name)
        for array in found if isinstance(found, (list, tuple)) else (found,):
            if hasattr(array, "nbytes") and hasattr(array, "shape"):
                yield array


def _nodes(estimator: Any) -> int:
    return int(getattr(vars(estimator).get("tree_"), "node_count", 0))


def _tree_bytes(estimator: Any) -> int:
    tree = vars(estimator).get("tree_")
    names = ("threshold", "feature", "value", "children_left", "children_right", "impurity")
    return sum(int(getattr(tree, name).nbytes) for name in names) if tree is not None else 0


# -- trees of arrays (JAX, Flax, numpy) -------------------------------------------------------------------------------


def _tree(model: Any) -> Optional[Description]:
    """Nested containers whose leaves are arrays."""
    leaves = list(_leaves(model))
    if not leaves or hasattr(model, "shape"):
        return None
    arrays = [(name, leaf) for name, leaf in leaves if hasattr(leaf, "shape") and hasattr(leaf, "dtype")]
    if not arrays or len(arrays) < len(leaves) / 2:
        return None
    roots = {type(array).__module__.partition(".")[0] for _, array in arrays}
    facts = _base(model, "jax" if roots & {"jax", "jaxlib"} else sorted(roots)[0])
    facts["parameters"] = sum(_size(array) for _, array in arrays)
    facts["memory_bytes"] = sum(_size(array) * _item_size(array) for _, array in arrays)
    facts.update(_listed((name, f"{array.dtype}{list(array.shape)}", _size(array)) for name, array in arrays))
    return Description(facts)


def _leaves(model: Any) -> Iterator[Tuple[str, Any]]:
    """Leaves with their paths; a tree that contains itself, or is very large, ends early."""
    tree_util = getattr(sys.modules.get("jax"), "tree_util", None)
    if tree_util is not None and not isinstance(model, (dict, list, tuple)):
        for path, leaf in tree_util.tree_flatten_with_path(model)[0][:MAX_LEAVES]:
            yield tree_util.keystr(path), leaf
        return
    seen: Set[int] = set()
    pending: List[Tuple[str, Any]] = [("", model)]
    while pending and len(seen) < MAX_LEAVES:
        name, node = pending.pop()
        if isinstance(node, (Mapping, list, tuple)):
            if id(node) not in seen:
                seen.add(id(node))
                inner = node.items() if isinstance(node, Mapping) else enumerate(node)
                pending.extend((f"{name}/{key}".lstrip("/"), part) for key, part in reversed(list(inner)))
        elif node is not None:
            yield name, node
