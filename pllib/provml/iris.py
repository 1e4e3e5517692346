"""Identifiers of every resource, as pure functions of what a record says.

An *id* is the part of an IRI after the base; ``iri(base, id)`` is the only way to a full IRI. All
variable parts are percent-encoded down to RFC 3986's unreserved characters, so an id holds nothing
that N-Triples, SPARQL or a URL would read as syntax, and distinct parts never give the same id::

    workflow/{workflow}                              plan of a workflow
    workflow/{workflow}/transformation/{name}        plan of a task, stage, section or cycle
    workflow/{workflow}/attribute/{name}             attribute
    execution/{workflow}/{execution}                 workflow execution
    execution/{workflow}/{execution}/{name}/{n}      execution of a task, stage, section, cycle, iteration
    execution/{workflow}/{execution}/{name}/{n}/{attribute}    value that this execution generated
    session/{workflow}/{execution}[/{name}/{n}]/{session}      part of one process in an execution that several share
    value/{workflow}/{execution}/{attribute}/{key}   value used that no generation is known for
    data/{store}/{key}                               data reference
    data/{store}/{key}/{version}                     one state of that data
    data/{store}/{key}/w-{execution}                 a state that nobody saw: what that execution wrote
    data/{store}/{key}/{version|-}/{attribute}/{key} fact about that data (characteristic, measure, ...)
    store/{name}                                     data store instance
    store/{name}/plan                                data store, as it is described
    store/{name}[/database/{database}][/database-schema/{name}]   database and its schema
    …/schema/{name}[/attribute/{name}]               data schema (table, collection, format) there, and its attributes
    document/{digest}[/bundle/{bundle}]              PROV document that was imported, and what is in one of its bundles
    relation/{digest}  blank/{label}                 relation of a document that has no identifier; what has none but a blank one
    study/{name}  agent/person/{name}  agent/process/{producer}  agent/software/{name}/{version}
"""

from __future__ import annotations

import re
from typing import Optional

DEFAULT_BASE = "http://127.0.0.1:8472/id/"
"""Base of all IRIs unless configured (``PLLIB_BASE``): the query engine's own address, so that IRIs resolve."""

_PLAIN = r"[A-Za-z0-9\-._~/]*"
_ID = re.compile(rf"(?=.){_PLAIN}(?:%[0-9A-Fa-f]{{2}}{_PLAIN})*")  # one way to match, so linear in time
_PLAIN_PART = re.compile(r"[A-Za-z0-9\-._~]*")
_PLAIN_ON_THE_WIRE = re.compile(r"[A-Za-z0-9\-._~]+/[A-Za-z0-9\-._~]+")
INLINE_KEY_LENGTH = 40


def encode(part: str) -> str:
    """One path segment: everything but RFC 3986 unreserved characters percent-encoded as UTF-8.

    Lone surrogates (from undecodable file names) are kept apart from all valid text; the dot
    segments, which URL parsers would swallow, get a form of their own.
    """
    text = part if _PLAIN_PART.fullmatch(part) else _quoted(part)
    return text.replace(".", "%2E") if text in (".", "..") else text


def _quoted(part: str) -> str:
    # Imported where it is needed: that takes a tenth of the time that ``import pllib`` does.
    from urllib.parse import quote

    return quote(part, safe="", errors="surrogatepass")


def canonical(identifier: str) -> str:
    """The one spelling of a wire identifier: what need not be percent-encoded is not, hex digits are capitals."""
    if _PLAIN_ON_THE_WIRE.fullmatch(identifier) and "/." not in identifier and not identifier.startswith("."):
        return identifier
    return "/".join(_canonical_part(part) for part in identifier.split("/"))


def _canonical_part(part: str) -> str:
    from urllib.parse import quote, unquote_to_bytes

    text = quote(unquote_to_bytes(part), safe="")
    return text.replace(".", "%2E") if text in (".", "..") else text


def first_part(identifier: str) -> str:
    """The decoded name in ``{name}/{number}``: of a workflow, or of a transformation."""
    part = identifier.partition("/")[0]
    if "%" not in part:
        return part
    from urllib.parse import unquote

    return unquote(part, errors="backslashreplace")


def is_id(text: str) -> bool:
    """Whether ``text`` has the form of an id, that is, can follow a base without changing its meaning."""
    return _ID.fullmatch(text) is not None


def iri(base: str, identifier: str) -> str:
    """The IRI of an id under a base.

    Raises:
        ValueError: ``identifier`` is no id.
    """
    if not is_id(identifier):
        raise ValueError(f"not an identifier: {identifier[:100]!r}")
    return base + identifier


def workflow(name: str) -> str:
    return "workflow/" + encode(name)


def transformation(workflow_name: str, name: str) -> str:
    return f"workflow/{encode(workflow_name)}/transformation/{encode(name)}"


def attribute(workflow_name: str, name: str) -> str:
    return f"workflow/{encode(workflow_name)}/attribute/{encode(name)}"


def session(execution: str, name: str) -> str:
    """The part that one process has in an execution.

    Args:
        execution: id of the execution, of a workflow or of what is part of one.
    """
    return f"session/{execution.partition('/')[2]}/{encode(name)}"


def value_key(type_code: str, lexical: str) -> str:
    """Key of a plain value: its type and text, a digest in place of long text.

    Args:
        type_code: one letter a datatype (see ``docs/reference/identity.md``); never ``h``.
        lexical: canonical text of the value.
    """
    if len(lexical) <= INLINE_KEY_LENGTH:
        return f"{type_code}-{encode(lexical)}"
    from hashlib import blake2b  # only long values need it, and it is slow to import

    digest = blake2b(lexical.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{type_code}h-{digest}"


def data(store_name: str, key: str, version: Optional[str] = None) -> str:
    """A data reference, or with ``version`` one state of it."""
    reference = f"data/{encode(store_name)}/{encode(key)}"
    return f"{reference}/{encode(version)}" if version else reference


def data_fact(store_name: str, key: str, version: Optional[str], name: str, key_of_value: str) -> str:
    return f"data/{encode(store_name)}/{encode(key)}/{encode(version or '-')}/{encode(name)}/{key_of_value}"


def store(name: str) -> str:
    return "store/" + encode(name)


def store_plan(name: str) -> str:
    return store(name) + "/plan"


def database(store_name: str, name: str) -> str:
    return f"{store(store_name)}/database/{encode(name)}"


def database_schema(store_name: str, database_name: Optional[str], name: str) -> str:
    inside = store(store_name) if database_name is None else database(store_name, database_name)
    return f"{inside}/database-schema/{encode(name)}"


def data_schema(
    store_name: str, name: str, database_name: Optional[str] = None, database_schema_name: Optional[str] = None
) -> str:
    """A table, collection or file format, in the innermost of what is named."""
    if database_schema_name is not None:
        inside = database_schema(store_name, database_name, database_schema_name)
    else:
        inside = store(store_name) if database_name is None else database(store_name, database_name)
    return f"{inside}/schema/{encode(name)}"


def schema_attribute(schema: str, name: str) -> str:
    """An attribute (column, member) of a data schema.

    Args:
        schema: the schema's id.
    """
    return f"{schema}/attribute/{encode(name)}"


def document(digest: str, bundle: Optional[str] = None) -> str:
    """A PROV document that was imported, by the digest of its normal form; or what is in one of its bundles."""
    return f"document/{digest}" + (f"/bundle/{encode(bundle)}" if bundle is not None else "")


def relation(digest: str) -> str:
    return "relation/" + digest


def blank(label: str) -> str:
    """What a document gives no identifier but a blank one, by its label in the normal form."""
    return "blank/" + encode(label)


def study(name: str) -> str:
    return "study/" + encode(name)


def person(name: str) -> str:
    return "agent/person/" + encode(name)


def process(producer: str) -> str:
    return "agent/process/" + encode(producer)


def software(name: str, version: str) -> str:
    return f"agent/software/{encode(name)}/{encode(version or '-')}"
