"""``pllib extract | load | save | merge | transform | statistics``: a chain of commands in one command line, as MLflow2PROV has it::

    pllib extract --repository_path code --mlflow_url http://127.0.0.1:5000 transform --use_pseudonyms save --output result --format json

Documents go from command to command: ``extract`` and ``load`` add some, ``merge`` makes one of all, the others pass them on.
``pllib --config FILE.yaml`` runs the chain in a file, ``pllib --validate FILE.yaml`` checks it.

Exit codes: 0 done; 1 something cannot be read, written or sent; 2 the command line or the file is wrong.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Union

from ..errors import ConfigurationError, PllibError
from ..prov import forms
from ..prov.model import Document
from ..provml.iris import DEFAULT_BASE
from ..provml.vocabulary import MLS, PROVLAKE, PROVML
from .configuration import COMMANDS, Option, Step, checked, read
from .counting import as_csv, as_table, statistics
from .errors import ExtractionError
from .mapping import Mapper
from .mlflow2prov import Mlflow2ProvMapper
from .native import NativeMapper
from .people import checked_key, load_aliases, load_key, pseudonymous, without_aliases
from .progress import Steps
from .reading import Extraction
from .stream import Kept, changed, distinct, merged

KEY_FILE = "pllib-pseudonyms.key"
_VOCABULARIES = {"provlake": PROVLAKE, "provml": PROVML, "mls": MLS}
_RDF = "rdf"
Options = Mapping[str, Any]
Documents = Iterator[Document]
_HELP = {
    "extract": "make a document of a git repository and an MLflow tracking store",
    "load": "read documents from files",
    "save": "write documents to files, or send them to the tracker",
    "merge": "make one document of all",
    "transform": "pseudonyms, no duplicates, aliased agents merged",
    "statistics": "count the records of each document",
}


def main(arguments: Sequence[str]) -> int:
    """Runs a chain; the exit code."""
    try:
        steps = _steps(arguments)
    except (ExtractionError, ConfigurationError) as error:
        print(f"pllib: {error}", file=sys.stderr)
        return 2
    if steps is None:
        return 0
    try:
        run(steps)
    except (PllibError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        print(f"pllib: {error}", file=sys.stderr)
        return 1
    return 0


def run(steps: Sequence[Step]) -> None:
    """Pipes documents through the commands of a chain.

    Raises:
        PllibError, OSError: one of them cannot do its work.
    """
    documents: Documents = iter(())
    for step in steps:
        documents = _RUN[step.command](documents, step.options)
    for _ in documents:
        pass


# -- the command line -------------------------------------------------------------------------------------------------


def _steps(arguments: Sequence[str]) -> Optional[List[Step]]:
    """The chain on a command line or in the file that it names; ``None`` where only something was to be printed."""
    first = arguments[0]
    option, sign, value = first.partition("=")
    if option in ("--config", "--validate"):
        if not sign and len(arguments) < 2:
            raise ConfigurationError(f"{option} needs a file")
        steps = read(value if sign else arguments[1])
        if option == "--config":
            return steps
        print(f"{value if sign else arguments[1]}: a valid chain of {len(steps)} commands")
        return None
    if any(each in ("-h", "--help") for each in arguments):
        print(_help(first), end="")
        return None
    return list(_parsed(arguments))


def _parsed(arguments: Sequence[str]) -> Iterator[Step]:
    left = list(arguments)
    number = 0
    while left:
        command = left.pop(0)
        number += 1
        if command not in COMMANDS:
            raise ConfigurationError(f"{command!r} is no command of a chain; there are {', '.join(COMMANDS)}")
        given: Dict[str, Any] = {}
        while left and left[0].startswith("-"):
            _take(command, left, given)
        yield checked(command, given, f"command {number}")


def _take(command: str, left: List[str], given: Dict[str, Any]) -> None:
    """Takes one option, and its value, from the beginning of what is left."""
    word, sign, value = left.pop(0).partition("=")
    name = word[2:].replace("-", "_") if word.startswith("--") else ""
    option: Optional[Option] = COMMANDS[command].get(name)
    if option is None:
        known = ", ".join(f"--{each}" for each in COMMANDS[command]) or "none"
        raise ConfigurationError(f"{command} has no option {word}; it has {known}")
    if option.kind == "flag":
        if sign:
            raise ConfigurationError(f"{word} takes no value")
        given[name] = True
        return
    if not sign:
        if not left:
            raise ConfigurationError(f"{word} needs a value")
        value = left.pop(0)
    if option.kind == "several":
        given.setdefault(name, []).append(value)
    else:
        given[name] = value


def _help(command: str) -> str:
    lines = [
        "usage: pllib COMMAND [OPTIONS] [COMMAND [OPTIONS] …]",
        "       pllib --config FILE.yaml | --validate FILE.yaml",
        "",
    ]
    for name in [command] if command in COMMANDS else COMMANDS:
        lines.append(f"{name}: {_HELP[name]}")
        for option, about in COMMANDS[name].items():
            choices = f" {{{','.join(about.choices)}}}" if about.choices else "" if about.kind == "flag" else " …"
            lines.append(f"  --{option}{choices}\n      {about.help}")
    lines += ["", f"commands that can be chained: {', '.join(COMMANDS)}", "example:"]
    lines.append(
        "  pllib extract --repository_path code --mlflow_url sqlite:///mlflow.db save --output result --format json"
    )
    return "\n".join(lines) + "\n"


# -- the commands -----------------------------------------------------------------------------------------------------


def _extract(documents: Documents, options: Options) -> Documents:
    yield from documents
    yield extracted(options)


def extracted(options: Options) -> Document:
    """The document of what the options of ``extract`` name; what could not be read is told on stderr.

    Raises:
        ExtractionError, ConfigurationError: one of them cannot be read, or an option is wrong.
    """
    mapper = _mapper(options)
    progress = Steps("pllib extract", sys.stderr)
    extraction = Extraction(options.get("repository_path"), options.get("mlflow_url"), mapper, progress.update)
    namespaces = {**extraction.namespaces, **(_VOCABULARIES if isinstance(mapper, NativeMapper) else {})}
    try:
        statements = Kept(extraction.statements())
    finally:
        progress.end()
    for problem in dict.fromkeys(extraction.problems):
        print(f"pllib extract: {problem}", file=sys.stderr)
    return Document(namespaces=namespaces, statements=statements)


def _mapper(options: Options) -> Mapper:
    if options.get("ids") == "mlflow2prov":
        return Mlflow2ProvMapper()
    base = options.get("base") or os.environ.get("PLLIB_BASE") or DEFAULT_BASE
    if not base.endswith(("/", "#")):
        raise ConfigurationError(f"--base is {base!r}; it ends with / or #")
    return NativeMapper(base)


def _load(documents: Documents, options: Options) -> Documents:
    yield from documents
    for path in options["input"]:
        if path == "-":
            yield forms.read(sys.stdin.buffer.read())
        elif path.lower().endswith(f".{_RDF}"):  # RDF/XML by its name, but what MLflow2PROV writes is TriG
            yield forms.read(forms.content_of(path))
        else:
            yield forms.read(Path(path))


def _save(documents: Documents, options: Options) -> Documents:
    if options.get("to_store"):
        from .loading import Loader

        loader = Loader(options.get("url"), options.get("query_url"))
    else:
        loader = None
    to_file = "output" in options or "format" in options or loader is None
    for number, document, several in _numbered(documents):
        if loader is not None:
            loader.load(document)
        if to_file:
            _write(document, options, f"-{number}" if several else "")
        yield document


def _numbered(documents: Documents) -> Iterator[Any]:
    """Documents with their numbers from 1, and whether there are several."""
    first = next(documents, None)
    if first is None:
        return
    second = next(documents, None)
    yield 1, first, second is not None
    if second is not None:
        yield 2, second, True
    for number, document in enumerate(documents, 3):
        yield number, document, True


def _write(document: Document, options: Options, number: str) -> None:
    output = options.get("output", "-")
    for name in dict.fromkeys(options.get("format") or ["json"]):
        form: Union[str, forms.Format] = forms.VALID_XML if name == "xml" else name
        if name == _RDF:
            form = "trig" if document.bundles else "ttl"
        if output == "-":
            forms.write(document, sys.stdout, form)
        else:
            forms.write(document, f"{output}{number}.{name}", form)


def _merge(documents: Documents, options: Options) -> Documents:
    yield merged(list(documents))


def _transform(documents: Documents, options: Options) -> Documents:
    aliases = load_aliases(options["merge_aliased_agents"]) if "merge_aliased_agents" in options else None
    key: Optional[bytes] = None
    for document in documents:
        if key is None and options.get("use_pseudonyms"):
            key = _key(options)
        if aliases is not None:
            document = without_aliases(document, aliases)
        if key is not None:
            document = pseudonymous(document, key)
        if options.get("eliminate_duplicates"):
            document = changed(document, distinct)
        # Made once, however often it is read further on.
        if aliases is not None or key is not None or options.get("eliminate_duplicates"):
            document.statements = Kept(document.statements)
        yield document


def _key(options: Options) -> bytes:
    secret = os.environ.get("PLLIB_PSEUDONYM_KEY")
    if "pseudonym_key" not in options and secret:
        return checked_key(secret.encode("utf-8"), "PLLIB_PSEUDONYM_KEY")
    return load_key(
        options.get("pseudonym_key", KEY_FILE), lambda text: print(f"pllib transform: {text}", file=sys.stderr)
    )


def _statistics(documents: Documents, options: Options) -> Documents:
    show = as_csv if options.get("format") == "csv" else as_table
    for document in documents:
        print(show(statistics(document, options.get("resolution", "coarse"))), end="", flush=True)
        yield document


_RUN = {
    "extract": _extract,
    "load": _load,
    "save": _save,
    "merge": _merge,
    "transform": _transform,
    "statistics": _statistics,
}
