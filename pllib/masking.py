"""Secrets out of command lines: what a token, password or key is given as is replaced by ``***`` before it is recorded. Pure functions.

Words of a name decide (``--api-key``, ``HF_TOKEN=…``, ``db.password:…``), and the user part of an address (``https://ana:secret@host``).
What looks like a name and is none costs a value that was worth recording; the other way round costs a secret.
"""

from __future__ import annotations

import re
from typing import List, Sequence

MASK = "***"

_WORDS = (
    r"api[-_.]?keys?|access[-_.]?keys?|secret[-_.]?keys?|private[-_.]?keys?|account[-_.]?keys?|auth[-_.]?keys?|pass[-_.]?phrases?|passwords?"
    r"|passwd|pwd|secrets?|tokens?|credentials?|bearer|authori[sz]ation|cookies?"
)
_NAME = rf"(?:(?<![A-Za-z])(?:{_WORDS})(?![A-Za-z]))"
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET = re.compile(_NAME, re.IGNORECASE)
_NOT_SECRET = re.compile(
    r"(?:max|min|num|n|new|pad|eos|bos|unk|mask|stop|vocab|per|count|tokens|total)[-_.]", re.IGNORECASE
)
_ASSIGNED = re.compile(
    r"(?P<name>[^\s=:&?;,'\"{}]+)(?P<sign>['\"]?\s*[=:]\s*['\"]?(?:bearer\s+)?)(?P<value>[^\s&;,'\"}]+)", re.IGNORECASE
)
_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*://)[^/\s@]*@(?=[^/\s])")
_KNOWN = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w\-]{16,}|hf_[A-Za-z0-9]{20,}|sk-[\w\-]{20,}|xox[abprs]-[\w\-]{10,}"
    r"|AKIA[A-Z0-9]{16}|eyJ[\w\-]{10,}\.[\w\-]{10,}\.[\w\-]*)"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+\S+")


def masked_arguments(arguments: Sequence[str]) -> List[str]:
    """The arguments of a command with the secrets in them masked: ``--token abc``, ``--token=abc``, ``PASSWORD=abc``, ``https://a:b@host``.

    The words ``token`` and ``tokens`` beside a count (``--max-tokens 100``) are no secrets.
    """
    found: List[str] = []
    hides_next = False
    for argument in arguments:
        if hides_next and not (argument.startswith("-") and len(argument) > 1 and _is_option(argument)):
            found.append(MASK)
            hides_next = False
            continue
        found.append(masked_text(argument))
        hides_next = _is_option(argument) and "=" not in argument and is_secret_name(argument)
    return found


def masked_text(text: str) -> str:
    """A text with the secrets masked that are given as ``name=value`` or ``name: value`` in it, in an address, or known by their form."""
    text = _ADDRESS.sub(lambda found: found["scheme"] + MASK + "@", text)
    text = _ASSIGNED.sub(_mask_assigned, text)
    return _KNOWN.sub(MASK, _BEARER.sub(lambda found: f"{found[1]} {MASK}", text))


def is_secret_name(name: str) -> bool:
    """Whether what has such a name is likely to be a secret."""
    words = _CAMEL.sub("_", name)
    return _SECRET.search(words) is not None and _NOT_SECRET.search(words) is None


def _is_option(argument: str) -> bool:
    return argument.startswith("-") and not argument.lstrip("-")[:1].isdigit()


def _mask_assigned(found: re.Match[str]) -> str:
    if found["value"].startswith("//") or not is_secret_name(found["name"]):
        return found[0]
    return found["name"] + found["sign"] + MASK
