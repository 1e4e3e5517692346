"""Documents in a form that depends on what they say alone: not on the format, the order, prefixes or names of blank nodes.

Two documents that say the same have the same statements in this form and the same digest, so whatever is named by it
(a document in a store, a relation without an identifier) has one name however often, and in whichever format, it is read.

* attributes are a set, in order of their text; times in UTC are written with ``Z`` and without zeros at the end, language tags in
  small letters;
* a blank identifier (``_:x``) is named by what is said of it, told apart from others of which the same is said by a number;
* an element with very many attributes is several statements about it.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from hashlib import sha256
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from .errors import DocumentError
from .model import KINDS, Attribute, Document, Literal, Ref, Statement, Value
from .names import BLANK, iris_of

MAX_ATTRIBUTES = 1_000
"""Attributes of one statement in this form."""
MAX_SIZE = 500_000
"""Characters in the attributes of one statement, unless one alone has more."""
ROUNDS = 32
"""Steps from a blank identifier within which what is said tells it from others."""
MOST_LOOKS = 300_000
"""Looks at a blank identifier's neighbours to tell it apart, all together; after that their order decides."""
_NAMED = re.compile(rf"{BLANK}b[0-9a-f]{{32}}(?:-[0-9]+)?")
"""Blank identifiers that have their names already, which they keep: so parts of a document go together again."""
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_UTC = re.compile(r"(?:Z|[+-]00:00)\Z")
_ZEROS = re.compile(r"(:\d\d)\.(\d*?)0*(?=Z|[+-]|\Z)")
Seen = Dict[str, List[Tuple[str, List[str]]]]
"""By blank identifier: the statements that it is in, as it sees them, each with the other blank ones in it."""


class Part(NamedTuple):
    """What a document says outside of its bundles (``bundle`` is ``None``), or in one: statements as text (``encode``), each once."""

    bundle: Optional[str]
    texts: List[str]


class Normal(NamedTuple):
    """A document in normal form.

    Attributes:
        digest: 64 hexadecimal digits, the same for documents that say the same.
        parts: the document itself first, then its bundles in order of their identifiers.
    """

    digest: str
    parts: List[Part]


def normal(document: Document) -> Normal:
    """The normal form of a document. Its statements are read once."""
    found: Dict[Optional[str], List[Statement]] = {None: [_plain(each) for each in document.statements]}
    for bundle in document.bundles:
        found.setdefault(bundle.id or "", []).extend(_plain(each) for each in bundle.statements)
    labels = _labels(found)
    if labels:
        found = {
            _renamed(name, labels): [_relabelled(each, labels) for each in inside] for name, inside in found.items()
        }
    hashed = sha256()
    parts: List[Part] = []
    for name in sorted(found, key=lambda name: name or ""):
        texts = sorted({encode(piece) for each in found[name] for piece in _pieces(each)})
        hashed.update(json.dumps([name, texts], separators=(",", ":")).encode("ascii"))
        parts.append(Part(name, texts))
    return Normal(hashed.hexdigest(), parts)


# -- statements as text


def encode(each: Statement) -> str:
    """A statement as one line of JSON: ``[kind, identifier, [arguments], [[name, IRI] | [name, text, datatype(, language)]]]``."""
    attributes = [[name, *_encoded(value)] for name, value in each.attributes]
    return _encode([each.kind, each.id, each.arguments, attributes])


def _encoded(value: Value) -> Tuple[str, ...]:
    if isinstance(value, Ref):
        return (value.iri,)
    return (value.text, value.datatype) if value.lang is None else (value.text, value.datatype, value.lang.lower())


def decode(text: str) -> Statement:
    """The statement in a text of :func:`encode`.

    Raises:
        DocumentError: it is none.
    """
    try:
        kind, identifier, arguments, attributes = json.loads(text)
        if len(KINDS[kind].arguments) != len(arguments):
            raise ValueError(f"{kind} has {len(KINDS[kind].arguments)} arguments")
        return Statement(kind, identifier, tuple(arguments), tuple(_decoded(*each) for each in attributes))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DocumentError(f"this is no statement: {text[:200]!r}") from error


def _decoded(name: str, text: str, datatype: Optional[str] = None, lang: Optional[str] = None) -> Attribute:
    return (name, Ref(text) if datatype is None else Literal(text, datatype, lang))


# -- one statement


def _plain(each: Statement) -> Statement:
    """A statement with its attributes in order and its times in one form."""
    times = KINDS[each.kind].times
    arguments = each.arguments
    if times and any(arguments[index] is not None for index in times):
        arguments = tuple(
            _time(value) if value is not None and index in times else value for index, value in enumerate(arguments)
        )
    attributes = each.attributes
    if len(attributes) > 1:
        attributes = tuple(sorted(set(attributes), key=lambda pair: (pair[0], *_encoded(pair[1]))))
    return Statement(each.kind, each.id, arguments, attributes)


def _time(text: str) -> str:
    text = _UTC.sub("Z", text.strip())
    return _ZEROS.sub(lambda match: match[1] + (f".{match[2]}" if match[2] else ""), text)


def _pieces(each: Statement) -> Iterator[Statement]:
    if not KINDS[each.kind].element or not (len(each.attributes) > MAX_ATTRIBUTES or _size(each.attributes) > MAX_SIZE):
        yield each
        return
    piece: List[Attribute] = []
    size = 0
    for attribute in each.attributes:
        more = _size((attribute,))
        if piece and (len(piece) >= MAX_ATTRIBUTES or size + more > MAX_SIZE):
            yield each._replace(attributes=tuple(piece))
            piece, size = [], 0
        piece.append(attribute)
        size += more
    yield each._replace(attributes=tuple(piece))


def _size(attributes: Iterable[Attribute]) -> int:
    return sum(len(name) + len(value[0]) for name, value in attributes)


# -- blank identifiers


def _labels(found: Dict[Optional[str], List[Statement]]) -> Dict[str, str]:
    """New names for the blank identifiers of a document.

    The name of each is a digest of the statements that it is in, of which other blank ones are told by their own digests
    of the round before: by colours, as isomorphic graphs are looked for. Of those that stay alike one is taken out, and
    all are coloured again.
    """
    said: Seen = defaultdict(list)
    for bundle, statements in found.items():
        for each in statements:
            blanks = [iri for iri in (bundle, *iris_of((each,))) if iri is not None and _is_unnamed(iri)]
            for name in dict.fromkeys(blanks):
                said[name].append(_template(name, bundle, each, blanks))
    for bundle in found:
        if bundle is not None and _is_unnamed(bundle):
            said.setdefault(bundle, [])  # it may be empty
    return _named(said)


def _is_unnamed(iri: str) -> bool:
    return iri.startswith(BLANK) and not _NAMED.fullmatch(iri)


def _template(name: str, bundle: Optional[str], each: Statement, blanks: List[str]) -> Tuple[str, List[str]]:
    """A statement as one blank identifier in it sees it, and the others in it."""
    places = {other: BLANK + ("this" if other == name else "other") for other in blanks}
    return encode(_relabelled(each, places)) + str(_renamed(bundle, places)), [
        other for other in blanks if other != name
    ]


def _named(said: Seen) -> Dict[str, str]:
    # Those that share no statement with another blank one need no telling apart: a number each does.
    linked = {name: seen for name, seen in said.items() if any(others for _, others in seen)}
    alone = {name: _digest(sorted(text for text, _ in seen)) for name, seen in said.items() if name not in linked}
    colours, left = _coloured(linked, dict.fromkeys(linked, ""), MOST_LOOKS)
    while left > 0:
        tied = _first_tied(colours)
        if tied is None:
            break
        colours[tied] += "1"
        colours, left = _coloured(linked, colours, left)
    return _numbered({name: alone.get(name) or colours[name] for name in said})


def _first_tied(colours: Dict[str, str]) -> Optional[str]:
    """One of those with the least colour that several have."""
    counts: Dict[str, int] = defaultdict(int)
    for colour in colours.values():
        counts[colour] += 1
    least = min((colour for colour, count in counts.items() if count > 1), default=None)
    return next((name for name, colour in colours.items() if colour == least), None)


def _coloured(said: Seen, colours: Dict[str, str], left: int) -> Tuple[Dict[str, str], int]:
    """Colours told apart as far as ``ROUNDS`` looks at the neighbours do, and how many looks are left then."""
    kinds = 0
    for _ in range(ROUNDS):
        if left <= 0:
            break
        left -= len(said)
        colours = {
            name: _digest(
                [colours[name], *sorted(text + "".join([colours[other] for other in others]) for text, others in seen)]
            )
            for name, seen in said.items()
        }
        before, kinds = kinds, len(set(colours.values()))
        if kinds in (before, len(colours)):
            break
    return colours, left


def _numbered(colours: Dict[str, str]) -> Dict[str, str]:
    alike: Dict[str, int] = defaultdict(int)
    found: Dict[str, str] = {}
    for name, colour in colours.items():
        number = alike[colour]
        alike[colour] += 1
        found[name] = f"{BLANK}b{colour}" + (f"-{number}" if number else "")
    return found


def _digest(texts: Iterable[str]) -> str:
    return sha256("\n".join(texts).encode("utf-8")).hexdigest()[:32]


def _relabelled(each: Statement, names: Dict[str, str]) -> Statement:
    attributes = tuple(
        (_renamed(name, names) or name, Ref(names.get(value.iri, value.iri)) if isinstance(value, Ref) else value)
        for name, value in each.attributes
    )
    arguments = tuple(_renamed(value, names) for value in each.arguments)
    return Statement(each.kind, _renamed(each.id, names), arguments, attributes)


def _renamed(name: Optional[str], names: Dict[str, str]) -> Optional[str]:
    return None if name is None else names.get(name, name)
