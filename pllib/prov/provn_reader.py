"""PROV-N read: a tokeniser and one function a rule of the grammar (REC-prov-n-20130430, section 3)."""

from __future__ import annotations

import re
from typing import Iterator, List, NamedTuple, Optional, Tuple

from ..provml.vocabulary import XSD
from .errors import DocumentError
from .model import KINDS, LANG_STRING, XSD_STRING, Attribute, Bundle, Document, Kind, Literal, Ref, Statement, Value
from .names import Names
from .provn import LETTER

_NAME_PART = rf"(?:\\[=\'(),\-:;\[\].]|%[0-9A-Fa-f]{{2}}|[{LETTER}/@~&+*?#$!\-])"
_LOCAL = rf"{_NAME_PART}(?:(?:{_NAME_PART}|\.)*{_NAME_PART})?"
_PREFIX = rf"[A-Za-z\u00C0-\uFFFD](?:[{LETTER}\-.]*[{LETTER}\-])?"
_TIME = r"-?[0-9]{4,}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})?"
_TOKEN = re.compile(
    rf"""(?P<space>(?:\s+|//[^\r\n]*|/\*.*?\*/)+)
    |(?P<iri><[^<>"{{}}|^`\\\x00-\x20]*>)
    |(?P<long>\"\"\"(?:\"{{0,2}}(?:[^"\\]|\\.))*\"\"\")
    |(?P<string>"(?:[^"\\\r\n]|\\.)*")
    |(?P<time>{_TIME})
    |(?P<lang>@[A-Za-z]+(?:-[A-Za-z0-9]+)*)
    |(?P<quoted>'(?:{_PREFIX})?:?(?:{_LOCAL})?')
    |(?P<type>%%)
    |(?P<number>-?[0-9]+(?![{LETTER}/@~&+*?\#$!%\\:\-.]))
    |(?P<none>-(?=\s*[,;)]))
    |(?P<name>{_PREFIX}:(?:{_LOCAL})?|{_LOCAL})
    |(?P<mark>[(),;=\[\]])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_STRING = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f"}
_DECIMAL = re.compile(r"-?[0-9]+")


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def read(text: str) -> Document:
    """The document in a PROV-N text.

    Raises:
        DocumentError: it is none; ``where`` is the line and column.
    """
    return _Reader(text).document()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._tokenised()
        self._token = next(self._tokens)

    def document(self) -> Document:
        document = Document()
        self._word("document")
        names = self._namespaces(document, None)
        found: List[Statement] = []
        while self._token.text != "endDocument":
            if self._token.text == "bundle":
                document.bundles.append(self._bundle(names))
            else:
                found.append(self._expression(names))
        document.statements = found
        self._word("endDocument")
        if self._token.kind != "end":
            raise self._wrong("nothing may follow endDocument")
        return document

    def _bundle(self, outer: Names) -> Bundle:
        self._word("bundle")
        bundle = Bundle()
        at = self._next()
        names = self._namespaces(bundle, outer)
        bundle.id = self._expanded(at.text, names, at)  # the bundle's own prefixes hold for its identifier, too
        found: List[Statement] = []
        while self._token.text != "endBundle":
            found.append(self._expression(names))
        bundle.statements = found
        self._word("endBundle")
        return bundle

    def _namespaces(self, bundle: Bundle, outer: Optional[Names]) -> Names:
        while self._token.text in ("default", "prefix"):
            prefix = ""
            if self._next().text == "prefix":
                prefix = self._next().text
            if self._token.kind != "iri":
                raise self._wrong("a namespace stands as <IRI>")
            bundle.namespaces[prefix] = self._next().text[1:-1]
        return Names(bundle.namespaces, outer)

    def _expression(self, names: Names) -> Statement:
        token = self._next()
        kind = KINDS.get(token.text)
        if kind is None and token.text == "bundle":
            raise self._wrong("a bundle stands in the document, before its end and in no other bundle", token)
        if kind is None:
            raise self._wrong(f"{token.text[:100]!r} is no kind of statement", token)
        self._mark("(")
        given: List[Optional[str]] = []
        identifier: Optional[str] = None
        attributes: Tuple[Attribute, ...] = ()
        while True:
            if self._token.text == "[":
                attributes = self._attributes(names)
                self._mark(")")
                break
            given.append(self._argument(names))
            mark = self._next()
            if mark.text == ";" and len(given) == 1 and not kind.element:
                identifier, given = given[0], []
            elif mark.text == ")":
                break
            elif mark.text != ",":
                raise self._wrong("a comma or a closing bracket is needed", mark)
        return self._statement(kind, identifier, given, attributes, token)

    def _statement(
        self,
        kind: Kind,
        identifier: Optional[str],
        given: List[Optional[str]],
        attributes: Tuple[Attribute, ...],
        at: _Token,
    ) -> Statement:
        if kind.element:
            if not given or given[0] is None:
                raise self._wrong(f"{kind.name} needs an identifier", at)
            identifier = given.pop(0)
        if len(given) > len(kind.arguments):
            raise self._wrong(f"{kind.name} has at most {len(kind.arguments)} arguments", at)
        whole = (*given, *[None] * (len(kind.arguments) - len(given)))
        return Statement(kind.name, identifier, whole, attributes)

    def _argument(self, names: Names) -> Optional[str]:
        if self._token.kind == "none":
            self._next()
            return None
        if self._token.kind == "time":
            return self._next().text
        return self._name(names)

    def _attributes(self, names: Names) -> Tuple[Attribute, ...]:
        found: List[Attribute] = []
        self._mark("[")
        while self._token.text != "]":
            if found:
                self._mark(",")
            name = self._name(names)
            self._mark("=")
            found.append((name, self._value(names)))
        self._mark("]")
        return tuple(found)

    def _value(self, names: Names) -> Value:
        token = self._next()
        if token.kind == "quoted":
            return Ref(self._expanded(token.text[1:-1], names, token))
        if token.kind in ("number", "none", "name") and _DECIMAL.fullmatch(token.text):
            return Literal(token.text, XSD + "int")
        if token.kind not in ("string", "long"):
            raise self._wrong("a value is a string, a number or 'a:name'", token)
        width = 3 if token.kind == "long" else 1
        text = _ESCAPE.sub(lambda match: _STRING.get(match[1], match[1]), token.text[width:-width])
        if self._token.kind == "lang":
            return Literal(text, LANG_STRING, self._next().text[1:])
        if self._token.kind != "type":
            return Literal(text, XSD_STRING)
        self._next()
        at = self._token
        datatype = self._name(names)
        if datatype in (XSD + "QName", names.all["prov"] + "QUALIFIED_NAME"):
            return Ref(self._expanded(text, names, at))
        return Literal(text, datatype)

    # -- tokens

    def _name(self, names: Names) -> str:
        token = self._next()
        if token.kind not in ("name", "number"):
            raise self._wrong("a name is needed", token)
        return self._expanded(token.text, names, token)

    def _expanded(self, text: str, names: Names, at: _Token) -> str:
        # Colons of the local name are escaped, so that the first one ends the prefix.
        try:
            return names.expand(_ESCAPE.sub(r"\1", text))
        except DocumentError as error:  # where it is takes a look at all before it: only when it must be said
            raise DocumentError(str(error), self._place(at)) from error

    def _word(self, word: str) -> None:
        if self._token.text != word:
            raise self._wrong(f"{word} is needed")
        self._next()

    def _mark(self, mark: str) -> None:
        if self._token.kind != "mark" or self._token.text != mark:
            raise self._wrong(f"{mark} is needed")
        self._next()

    def _next(self) -> _Token:
        token, self._token = self._token, next(self._tokens, self._token)
        return token

    def _tokenised(self) -> Iterator[_Token]:
        position = 0
        while position < len(self._text):
            match = _TOKEN.match(self._text, position)
            if match is None or match.end() == position:
                at = _Token("wrong", self._text[position : position + 20], position)
                raise self._wrong("this is no PROV-N", at)
            if match.lastgroup != "space":
                yield _Token(match.lastgroup or "", match[0], position)
            position = match.end()
        yield _Token("end", "", position)

    def _wrong(self, message: str, token: Optional[_Token] = None) -> DocumentError:
        at = self._token if token is None else token
        found = repr(at.text[:40]) if at.text else "the end"
        return DocumentError(f"{message}; there is {found}", self._place(at))

    def _place(self, token: _Token) -> str:
        before = self._text[: token.position]
        return f"line {before.count(chr(10)) + 1}, column {token.position - before.rfind(chr(10))}"
