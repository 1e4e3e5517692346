"""Validation of PROV documents by PROV-CONSTRAINTS (W3C Recommendation, 30 April 2013).

What the Recommendation does: an instance is normalised (definitions 1 to 4, inferences 5 to 21, keys and uniqueness 22
to 29), then the order of events (30 to 49), types (50) and impossibilities (51 to 56) are checked. Here the inferences
are made as far as they can decide a constraint, and none is written out that would make the document larger than a few
times itself. Each bundle, and the document without its bundles, is an instance of its own.
"""

from __future__ import annotations

from typing import List

from ..model import Bundle, Document
from .constraints import CONSTRAINTS, Violation
from .impossibility import impossible
from .ordering import order_violations
from .unification import Instance

__all__ = ["CONSTRAINTS", "Violation", "validate"]


def validate(document: Document) -> List[Violation]:
    """Every violated constraint with its W3C number and the statements involved; none, when the document is valid.

    Args:
        document: its statements are read once.
    """
    found = _instance(document)
    for bundle in document.bundles:
        found += [each._replace(bundle=bundle.id) for each in _instance(bundle)]
    return found


def _instance(bundle: Bundle) -> List[Violation]:
    instance = Instance(list(bundle.statements))
    return [*instance.violations, *order_violations(instance), *impossible(instance)]
