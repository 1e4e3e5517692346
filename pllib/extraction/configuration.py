"""Chains of commands from a YAML file, as MLflow2PROV has them: a list of items with one key each, the command, and its options."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from .counting import FORMATS as COUNT_FORMATS
from .counting import RESOLUTIONS
from .errors import ExtractionError
from .yaml_text import loads


class Option(NamedTuple):
    """An option of a command.

    Attributes:
        kind: ``text``, ``path``, ``flag``, or ``several`` texts.
        choices: what it may be; anything, without them.
        help: for people.
    """

    kind: str
    help: str
    choices: Tuple[str, ...] = ()


SAVED = ("json", "xml", "rdf", "provn", "dot", "ttl", "trig", "nt", "jsonld")
IDS = ("pllib", "mlflow2prov")
COMMANDS: Dict[str, Dict[str, Option]] = {
    "extract": {
        "repository_path": Option("path", "folder of a git repository"),
        "mlflow_url": Option("text", "tracking store: http(s)://…, sqlite:///FILE, or the folder mlruns"),
        "ids": Option("text", "identifiers and model: our own, or MLflow2PROV's", IDS),
        "base": Option("text", "what our own identifiers begin with (PLLIB_BASE)"),
    },
    "load": {"input": Option("several", "file to read, or - for standard input; may be given several times")},
    "save": {
        "format": Option("several", "format; may be given several times (json)", SAVED),
        "output": Option("path", "file without its ending, or - for standard output (-)"),
        "to_store": Option("flag", "send the documents to the tracker, which keeps them in the store"),
        "url": Option("text", "tracker (PLLIB_URL; default http://127.0.0.1:8470)"),
        "query_url": Option("text", "query engine (PLLIB_QUERY_URL; default http://127.0.0.1:8472)"),
    },
    "merge": {},
    "transform": {
        "use_pseudonyms": Option("flag", "put pseudonyms in place of all that names a user"),
        "pseudonym_key": Option(
            "path", "file with the secret (PLLIB_PSEUDONYM_KEY has the secret itself; default pllib-pseudonyms.key)"
        ),
        "eliminate_duplicates": Option("flag", "say each thing once"),
        "merge_aliased_agents": Option("path", "YAML list of {name: NAME, aliases: [ALIAS, …]}"),
    },
    "statistics": {
        "resolution": Option("text", "count elements by kind, or also by type, and each kind of relation", RESOLUTIONS),
        "format": Option("text", "how to print them", COUNT_FORMATS),
    },
}
"""The commands of a chain and their options; an option is written ``--repository_path`` or ``--repository-path``."""
_OTHER_NAMES = {("statistics", "formatter"): "format"}


class Step(NamedTuple):
    """One command of a chain with its options, all of them checked."""

    command: str
    options: Dict[str, Any]


def read(path: str) -> List[Step]:
    """The chain in a file.

    Raises:
        ExtractionError: it cannot be read, or is no chain; the message names the item and the option.
    """
    try:
        with open(path, encoding="utf-8") as file:
            found = loads(file.read(), path)
    except (OSError, UnicodeError) as error:
        raise ExtractionError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not isinstance(found, list) or not found:
        raise ExtractionError(f"{path}: a chain is a list of commands: - extract: …")
    return [_step(item, f"{path}: item {number}") for number, item in enumerate(found, 1)]


def _step(item: Any, where: str) -> Step:
    if isinstance(item, str):
        item = {item: None}
    if not isinstance(item, dict) or len(item) != 1:
        raise ExtractionError(f"{where}: each item is one command with its options")
    ((command, options),) = item.items()
    if command not in COMMANDS:
        raise ExtractionError(f"{where}: {command!r} is no command; there are {', '.join(COMMANDS)}")
    if options is not None and not isinstance(options, dict):
        raise ExtractionError(f"{where}: the options of {command} are pairs of name and value")
    return checked(command, options or {}, where)


def checked(command: str, given: Mapping[str, Any], where: str) -> Step:
    """A command with its options.

    Raises:
        ExtractionError: an option is unknown, or its value impossible.
    """
    known = COMMANDS[command]
    options: Dict[str, Any] = {}
    for key, value in given.items():
        name = str(key).replace("-", "_")
        name = _OTHER_NAMES.get((command, name), name)
        if command == "statistics" and name == "fine":
            name, value = "resolution", "fine" if _flag(value, f"{where}: fine") else "coarse"
        if name not in known:
            names = ", ".join(known) or "none"
            raise ExtractionError(f"{where}: {command} has no option {key!r}; it has {names}")
        found = _value(known[name], value, f"{where}: {command}: {key}")
        if found is not None:
            options[name] = found
    _check_needs(command, options, where)
    return Step(command, options)


def _check_needs(command: str, options: Mapping[str, Any], where: str) -> None:
    if command == "extract" and not ("repository_path" in options or "mlflow_url" in options):
        raise ExtractionError(f"{where}: extract needs repository_path, mlflow_url, or both")
    if command == "load" and not options.get("input"):
        raise ExtractionError(f"{where}: load needs input")


def _value(option: Option, value: Any, where: str) -> Optional[Any]:
    if option.kind == "flag":
        return _flag(value, where)
    if option.kind == "several":
        values = value if isinstance(value, list) else [value]
        return [_text(option, each, where) for each in values]
    if value is None or (value is False and option.kind == "path"):  # a switch that is off
        return None
    return _text(option, value, where)


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise ExtractionError(f"{where} is true or false, not {value!r}")
    return value


def _text(option: Option, value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ExtractionError(f"{where} is a text, not {value!r}")
    if option.choices and value.lower() not in option.choices:
        raise ExtractionError(f"{where} is {value!r}; it may be {', '.join(option.choices)}")
    return value.lower() if option.choices else value
