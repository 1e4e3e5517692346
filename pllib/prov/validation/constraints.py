"""The numbers and names of PROV-CONSTRAINTS (REC-prov-constraints-20130430), and what a broken one is reported as."""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional, Tuple

from ..model import Statement

CONSTRAINTS: Dict[int, str] = {
    4: "optional-placeholders",
    22: "key-object",
    23: "key-properties",
    24: "unique-generation",
    25: "unique-invalidation",
    26: "unique-wasStartedBy",
    27: "unique-wasEndedBy",
    28: "unique-startTime",
    29: "unique-endTime",
    30: "start-precedes-end",
    31: "start-start-ordering",
    32: "end-end-ordering",
    33: "usage-within-activity",
    34: "generation-within-activity",
    35: "wasInformedBy-ordering",
    36: "generation-precedes-invalidation",
    37: "generation-precedes-usage",
    38: "usage-precedes-invalidation",
    39: "generation-generation-ordering",
    40: "invalidation-invalidation-ordering",
    41: "derivation-usage-generation-ordering",
    42: "derivation-generation-generation-ordering",
    43: "wasStartedBy-ordering",
    44: "wasEndedBy-ordering",
    45: "specialization-generation-ordering",
    46: "specialization-invalidation-ordering",
    47: "wasAssociatedWith-ordering",
    48: "wasAttributedTo-ordering",
    49: "actedOnBehalfOf-ordering",
    50: "typing",
    51: "impossible-unspecified-derivation-generation-use",
    52: "impossible-specialization-reflexive",
    53: "impossible-property-overlap",
    54: "impossible-object-property-overlap",
    55: "entity-activity-disjoint",
    56: "membership-empty-collection",
}
"""Constraints by number; 4 is the definition that says which arguments may be left out.

A cycle of events is reported as 42, the one strict ordering of the Recommendation; its message names the others that
take part (30 to 49). Typing (50) is an inference: what it infers is reported as 55 or 56.
"""


class Violation(NamedTuple):
    """One broken constraint.

    Attributes:
        constraint: its number in PROV-CONSTRAINTS; ``CONSTRAINTS`` has its name.
        message: what is wrong, in one sentence.
        statements: those that together break it, as they stand in the document.
        bundle: identifier of the bundle they stand in; ``None`` for the document itself.
    """

    constraint: int
    message: str
    statements: Tuple[Statement, ...]
    bundle: Optional[str] = None

    @property
    def name(self) -> str:
        """The constraint's name in the Recommendation."""
        return CONSTRAINTS[self.constraint]
