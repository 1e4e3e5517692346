"""PROV documents in every W3C form: read, write, compare, draw, validate. Standard library only; no server is needed.

::

    from pllib import prov

    document = prov.read("run.provn")
    for violation in prov.validate(document):
        print(violation.constraint, violation.message)
    prov.write(document, "run.json")

Reading RDF (Turtle, TriG, …) needs ``pip install 'pllib[rdf]'``; writing it does not.
"""

from .compare import Difference, differences
from .errors import DocumentError
from .forms import FORMATS, Format, detect, read, write
from .model import Bundle, Document, Literal, Ref, Statement, statement
from .normal import Normal, normal
from .validation import CONSTRAINTS, Violation, validate

__all__ = [
    "CONSTRAINTS",
    "FORMATS",
    "Bundle",
    "Difference",
    "Document",
    "DocumentError",
    "Format",
    "Literal",
    "Normal",
    "Ref",
    "Statement",
    "Violation",
    "detect",
    "differences",
    "normal",
    "read",
    "statement",
    "validate",
    "write",
]
