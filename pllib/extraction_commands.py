"""``pllib extract``, ``load``, ``save``, …, chained in one command line: ``pllib.extraction.commands``, which loads when it is meant."""

from __future__ import annotations

import argparse
from typing import Any, List, Sequence

_WORDS = {
    "extract": "Makes a document of a git repository and an MLflow tracking store; further commands may follow",
    "load": "Reads documents from files, for the commands that follow",
    "save": "Writes the documents of a chain to files, or sends them to the tracker",
    "merge": "Makes one document of all in a chain",
    "transform": "Pseudonyms, no duplicates, aliased agents merged, in the documents of a chain",
    "statistics": "Counts the records of the documents of a chain",
}
_CHAIN = "chain"
_FILES = ("--config", "--validate")


def add_commands(commands: Any) -> None:
    for word, text in _WORDS.items():
        _add(commands, word, help=text)
    _add(commands, _CHAIN)


def _add(commands: Any, word: str, **about: Any) -> None:
    # No character begins an option here: the chain reads its own.
    parser = commands.add_parser(word, add_help=False, prefix_chars="\0", **about)
    parser.add_argument("chain", nargs=argparse.REMAINDER)
    parser.set_defaults(run=run)


def as_command(arguments: Sequence[str]) -> List[str]:
    """The arguments, with a command before ``--config FILE`` and ``--validate FILE``."""
    given = list(arguments)
    return [_CHAIN, *given] if given and given[0].partition("=")[0] in _FILES else given


def run(chosen: argparse.Namespace) -> int:
    from .extraction.commands import main

    return main(chosen.chain if chosen.command == _CHAIN else [chosen.command, *chosen.chain])
