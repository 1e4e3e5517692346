"""Errors of extraction.

::

    PllibError
    └── ExtractionError         a repository, tracking store or configuration cannot be read; the message says which, and why
"""

from __future__ import annotations

from ..errors import PllibError


class ExtractionError(PllibError):
    """Something that is to be extracted cannot be read, or a configuration is wrong."""
