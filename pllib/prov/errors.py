"""Errors of PROV documents.

::

    PllibError
    └── DocumentError           a document cannot be read or written; ``where`` says the place in it
"""

from __future__ import annotations

from typing import Optional

from ..errors import PllibError


class DocumentError(PllibError):
    """A PROV document cannot be read or written.

    Args:
        message: what is wrong, and what would be right.
        where: line, path or identifier of the place.
    """

    def __init__(self, message: str, where: Optional[str] = None) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where
