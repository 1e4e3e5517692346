"""Times of documents, compared as instants."""

from __future__ import annotations

from datetime import datetime


def instant(text: str) -> str:
    """A time in one form, so that two ways to write one instant are the same; what is no time stays as it is."""
    try:
        found = datetime.fromisoformat(_six_digits(text.strip().replace("Z", "+00:00")))
        offset = found.utcoffset()
        if offset is None:
            return found.isoformat()
        return (found - offset).replace(tzinfo=None).isoformat() + "Z"
    except (ValueError, OverflowError):
        return text


def _six_digits(text: str) -> str:
    """Fractions of seconds as older versions of Python read them."""
    whole, dot, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return f"{whole}.{digits[:6]:0<6}{rest[len(digits) :]}" if dot and digits else text
