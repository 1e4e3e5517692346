"""Secrets that come as files, as container engines, schedulers and vaults hand them over."""

from __future__ import annotations

from pathlib import Path

from .errors import SettingsError


def read_secret(flag: str, file: str, fix: str) -> str:
    """The text of a file, without the space around it.

    Args:
        flag: that named the file.
        fix: what should be in it, for messages.

    Raises:
        SettingsError: it cannot be read, or is empty.
    """
    try:
        text = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"{flag} {file} cannot be read ({why}): {fix}") from error
    if not text:
        raise SettingsError(f"{flag} {file} is empty: {fix}")
    return text
