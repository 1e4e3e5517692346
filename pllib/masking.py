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
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET = re.compile(rf"(?<![A-Za-z])(?:{_WORDS})(?![A-Za-z])", re.IGNORECASE)
_NOT_SECRET = re.compile(
    r"(?:max|min|num|n|new|pad|eos|bos|unk|mask|stop|vocab|per|count|total|use|no)[-_.]", re.IGNORECASE
)
_PARTS = re.compile(r"[^\s=:&?;,'\"{}#]+|[\s=:&?;,'\"{}#]+")
_BETWEEN = re.compile(r"[\s=:&?;,'\"{}#]")
_ASSIGNS = re.compile(r"['\"]?\s*[=:][\s'\"]*\Z")
_ENDS = re.compile(r"[\s&;,'\"}]")
_SCHEMES = ("bearer", "basic", "token")
_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]{0,30}://)[^/\s@]*@(?=[^/\s])")
_KNOWN = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w\-]{16,}|hf_[A-Za-z0-9]{20,}|sk-[\w\-]{20,}"
    r"|xox[abprs]-[\w\-]{10,}|AKIA[A-Z0-9]{16}|eyJ[\w\-]{10,}\.[\w\-]{10,}\.[\w\-]*)"
)


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
    """A text with its secrets masked: given as ``name=value`` or ``name: value``, in an address, or known by their form."""
    text = _ADDRESS.sub(lambda found: found["scheme"] + MASK + "@", text)
    return _KNOWN.sub(MASK, _without_assigned(text))


def _without_assigned(text: str) -> str:
    """The text's words and what is between them in turn; of a secret's value nothing is kept, up to where it must end."""
    found: List[str] = []
    name, hides, after_scheme = "", False, False
    for part in _PARTS.findall(text):
        if _BETWEEN.match(part) is None:
            after_scheme = hides and part.lower() in _SCHEMES
            if hides and not after_scheme:
                part = MASK if found[-1] != MASK else ""
            name = part
        elif hides and not after_scheme:
            if _ENDS.search(part) is None:
                continue
            hides = False
        elif not hides:
            hides = _ASSIGNS.match(part) is not None and is_secret_name(name)
        found.append(part)
    return "".join(found)


def is_secret_name(name: str) -> bool:
    """Whether what has such a name is likely to be a secret."""
    words = _CAMEL.sub("_", name)
    return _SECRET.search(words) is not None and _NOT_SECRET.search(words) is None


def _is_option(argument: str) -> bool:
    return argument.startswith("-") and not argument.lstrip("-")[:1].isdigit()
