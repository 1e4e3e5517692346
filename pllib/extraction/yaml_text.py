"""YAML, by PyYAML, which is no requirement of ``pllib`` itself."""

from __future__ import annotations

from typing import Any

from .errors import ExtractionError


def loads(text: str, where: str) -> Any:
    """The value of a YAML text; only plain values, nothing is constructed.

    Raises:
        ExtractionError: it is none, or PyYAML is not installed.
    """
    try:
        import yaml  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise ExtractionError(f"{where}: reading YAML needs PyYAML: pip install 'pllib[mlflow]'") from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ExtractionError(f"{where}: this is no YAML: {error}") from error
