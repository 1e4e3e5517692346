"""Users in documents: pseudonyms in place of whatever is theirs, and several names of one person made one."""

from __future__ import annotations

import hmac
import os
import re
import secrets
from hashlib import sha256
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Pattern, Set, Tuple
from urllib.parse import quote, quote_plus

from ..prov.model import KINDS, Attribute, Document, Literal, Ref, Statement
from ..provml import iris
from ..provml.vocabulary import PROV
from .errors import ExtractionError
from .git import Person
from .mlflow2prov import NAMESPACE, user
from .stream import changed, every
from .yaml_text import loads

_PERSONAL = frozenset(("name", "email", "username", "label"))
_SOFTWARE = Ref(PROV + "SoftwareAgent")
_PERSON = "agent/person/"
_SHORT = 3
_LOCAL = re.compile(r"[^#/]*\Z")
KEY_BYTES = 32


# -- pseudonyms -----------------------------------------------------------------------------------------------------


def load_key(path: str, told: Callable[[str], None]) -> bytes:
    """The secret in a file, which is made, readable by its owner only, when it is not there.

    Raises:
        ExtractionError: it cannot be read or made, is too short, or others may read it.
    """
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_key(path)
    except OSError as error:
        raise ExtractionError(f"{path}: the key of pseudonyms cannot be made: {error.strerror}") from error
    with os.fdopen(made, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")
    told(
        f"{path}: a key for pseudonyms was made; who has it can tell who is who, and without it no other document gets the same"
    )
    return _read_key(path)


def _read_key(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            key = file.read(10_000).strip()
    except OSError as error:
        raise ExtractionError(f"{path}: the key of pseudonyms cannot be read: {error.strerror}") from error
    if os.name == "posix" and mode & 0o077:
        raise ExtractionError(f"{path}: others may read this key; run chmod 600 {path}")
    return checked_key(key, path)


def checked_key(key: bytes, where: str) -> bytes:
    """A secret that is long enough not to be guessed.

    Raises:
        ExtractionError: it is not.
    """
    if len(key) < 16:
        raise ExtractionError(
            f"{where}: a key for pseudonyms has 16 characters at least; leave the file out, and one is made"
        )
    return key


def pseudonymous(document: Document, key: bytes) -> Document:
    """A document with pseudonyms in place of all that names a user, wherever it stands: in attributes, texts and identifiers.

    A pseudonym is a keyed digest (HMAC-SHA-256), so without the key it cannot be found by trying names.
    """
    people = _personal_values(document)
    replaced = _Replacement({value: pseudonym(value, key) for value in people})

    def change(statements: Iterable[Statement]) -> Iterator[Statement]:
        return map(replaced.statement, statements)

    return changed(document, change, replaced.iri)


def pseudonym(value: str, key: bytes) -> str:
    return "p" + hmac.new(key, value.encode("utf-8", "surrogatepass"), sha256).hexdigest()[:32]


def _personal_values(document: Document) -> Set[str]:
    found: Set[str] = set()
    for each in every(document):
        if each.kind == "agent" and (PROV + "type", _SOFTWARE) not in each.attributes:
            values = [
                value.text for name, value in each.attributes if _is_personal(name) and isinstance(value, Literal)
            ]
            found.update(value for value in values if value)
            if not values and each.id:
                found.add(_last(each.id))
    return found


def _is_personal(name: str) -> bool:
    found = _LOCAL.search(name)
    return found is not None and found[0] in _PERSONAL


def _last(iri: str) -> str:
    found = _LOCAL.search(iri)
    return found[0] if found and found[0] else iri


class _Replacement:
    """Texts with some words replaced, also where they are percent-encoded, as in identifiers."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self._whole = dict(words)
        self._inside = {word: other for word, other in words.items() if len(word) >= _SHORT}
        encoded: Dict[str, str] = {}
        for word, other in words.items():
            for form in (word, quote(word, safe="", errors="replace"), quote_plus(word, safe="", errors="replace")):
                encoded[form] = other
            encoded.setdefault(quote(word.lower(), safe="", errors="replace"), other)
        self._encoded = encoded
        self._in_text = _any_of(self._inside, r"(?<![^\W_])", r"(?![^\W_])")
        self._in_iri = _any_of(encoded, r"(?:(?<![A-Za-z0-9%])|(?<=%[0-9A-Fa-f]{2}))", r"(?![A-Za-z0-9])")

    def statement(self, each: Statement) -> Statement:
        times = KINDS[each.kind].times
        arguments = tuple(
            value if value is None or index in times else self.iri(value) for index, value in enumerate(each.arguments)
        )
        attributes = tuple(self._attribute(name, value) for name, value in each.attributes)
        return Statement(each.kind, self.iri(each.id) if each.id is not None else None, arguments, attributes)

    def _attribute(self, name: str, value: Any) -> Attribute:
        if isinstance(value, Ref):
            return name, Ref(self.iri(value.iri))
        whole = self._whole.get(value.text)
        return name, value._replace(text=whole if whole is not None else self.text(value.text))

    def text(self, text: str) -> str:
        if self._in_text is None:
            return text
        return self._in_text.sub(lambda found: self._inside[found[0]], text)

    def iri(self, iri: str) -> str:
        """An identifier; the namespaces of vocabularies are nobody's."""
        if self._in_iri is None or iri.startswith("http://www.w3.org/"):
            return iri
        start = len(NAMESPACE) if iri.startswith(NAMESPACE) else 0
        return iri[:start] + self._in_iri.sub(lambda found: self._encoded[found[0]], iri[start:])


def _any_of(words: Iterable[str], before: str, after: str) -> Optional[Pattern[str]]:
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    return re.compile(f"{before}(?:{'|'.join(map(re.escape, longest_first))}){after}") if longest_first else None


# -- aliases --------------------------------------------------------------------------------------------------------


def load_aliases(path: str) -> Dict[str, str]:
    """Alias to name, from a YAML list of ``{name: …, aliases: […]}``.

    Raises:
        ExtractionError: it is no such list, or gives one alias to two names.
    """
    try:
        with open(path, encoding="utf-8") as file:
            found = loads(file.read(), path)
    except (OSError, UnicodeError) as error:
        raise ExtractionError(f"{path}: the map of aliases cannot be read: {error}") from error
    aliases: Dict[str, str] = {}
    for number, each in enumerate(found if isinstance(found, list) else [found] if found else [], 1):
        for alias in _of_item(each, f"{path}: item {number}"):
            if aliases.setdefault(alias, each["name"]) != each["name"]:
                raise ExtractionError(f"{path}: item {number}: {alias!r} is an alias of {aliases[alias]!r} already")
    return aliases


def _of_item(each: Any, where: str) -> List[str]:
    if not isinstance(each, dict) or not isinstance(each.get("name"), str):
        raise ExtractionError(f"{where}: give name: NAME and aliases: [ALIAS, …]")
    aliases = each.get("aliases") or []
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise ExtractionError(f"{where}: aliases is a list of texts; quote those that are numbers")
    return aliases


def without_aliases(document: Document, aliases: Mapping[str, str]) -> Document:
    """A document in which agents that a map names aliases of one person are one agent; all others stay as they are."""
    merging = _Merging(document, aliases)
    return changed(document, merging.changed)


class _Merging:
    """Which agents are one person, and what is said of that one."""

    def __init__(self, document: Document, aliases: Mapping[str, str]) -> None:
        agents: Dict[str, Dict[Attribute, None]] = {}
        for each in every(document):
            if each.kind == "agent" and each.id is not None:
                agents.setdefault(each.id, {}).update(dict.fromkeys(each.attributes))
        persons = {iri: name for iri, found in agents.items() for name in (_name_behind(found, aliases),) if name}
        known = {name: iri for iri, found in agents.items() if iri not in persons for name in _texts(found)}
        self._aliases = aliases
        self._renamed: Dict[str, str] = {}
        self._together: Dict[str, Dict[Attribute, None]] = {}
        for iri, name in persons.items():
            target = known.setdefault(name, _iri_for(name, iri))
            self._renamed[iri] = target
            self._join(target, agents.get(target, {}), agents[iri], name)

    def _join(self, target: str, own: Mapping[Attribute, None], other: Mapping[Attribute, None], person: str) -> None:
        said = self._together.setdefault(target, dict(own))
        for name, value in other:
            alias = _is_personal(name) and not name.endswith("email")
            said[(name, Literal(person)) if alias else (name, value)] = None

    def changed(self, statements: Iterable[Statement]) -> Iterator[Statement]:
        said: Set[str] = set()
        for each in statements:
            new = _renamed(each, self._renamed)
            if new.kind == "agent" and new.id in self._together:
                if new.id in said:
                    continue
                said.add(new.id)
                new = new._replace(attributes=tuple(self._together[new.id]))
            yield new


def _texts(attributes: Iterable[Attribute]) -> Set[str]:
    return {value.text for name, value in attributes if _is_personal(name) and isinstance(value, Literal)}


def _name_behind(attributes: Iterable[Attribute], aliases: Mapping[str, str]) -> Optional[str]:
    return next((aliases[text] for text in sorted(_texts(attributes)) if text in aliases), None)


def _iri_for(name: str, iri: str) -> str:
    """The identifier of a person, in the scheme of one of their others."""
    base, found, _ = iri.partition(_PERSON)
    if found:
        return base + iris.person(name)
    return (
        user(Person(name, ""))
        if iri.startswith(NAMESPACE + "User?")
        else iri[: len(iri) - len(_last(iri))] + quote(name, safe="")
    )


def _renamed(each: Statement, names: Mapping[str, str]) -> Statement:
    arguments: Tuple[Optional[str], ...] = tuple(
        names.get(value, value) if value else value for value in each.arguments
    )
    attributes = tuple(
        (name, Ref(names.get(value.iri, value.iri)) if isinstance(value, Ref) else value)
        for name, value in each.attributes
    )
    return Statement(each.kind, names.get(each.id, each.id) if each.id else each.id, arguments, attributes)
