"""``pllib crate``: an RO-Crate of an execution in a spool folder, with no server.

Exit codes: 0 done, whatever is to be said of single files; 1 the folder or the execution is not there; 2 the crate cannot be written.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any, Dict, List

from ..command_line import add_command
from ..errors import ConfigurationError, SpoolError
from ..prov.errors import DocumentError
from .commands import add_spool_options, reading, tell_problems
from .crate import write_crate
from .reading import UnknownExecution


def add(commands: Any) -> None:
    """Adds ``crate`` to a parser's commands."""
    text = (
        "Makes an RO-Crate of an execution that a spool folder holds: its metadata by the Workflow Run Crate profiles,\n"
        "the PROV document, and the files it used and generated, as far as they are still what they were. No server is needed."
    )
    parser = add_command(
        commands, "crate", crate, text, "pllib crate --execution train --root scratch=/scratch/ana -o run.crate.zip"
    )
    add_spool_options(parser, "may be left out where there is only one")
    parser.add_argument("-o", "--output", required=True, metavar="PATH", help="folder to make, or a .zip")
    parser.add_argument("--reference", action="store_true", help="say where the files are, and copy none")
    root = "where a data store lies on this machine; may be given several times"
    parser.add_argument("--root", action="append", default=[], metavar="STORE=DIR", help=root)
    parser.add_argument("--license", metavar="NAME", help="license of the data, an IRI or a name")


def crate(chosen: argparse.Namespace) -> int:
    found = reading(chosen)
    roots = _roots(chosen.root)
    try:
        made = write_crate(
            found, chosen.execution, chosen.output, copy=not chosen.reference, roots=roots, license=chosen.license
        )
    except (SpoolError, UnknownExecution) as error:
        return _told(error, 1)
    except (DocumentError, OSError) as error:
        return _told(error, 2)
    tell_problems(found, "pllib crate")
    for note in made.notes:
        print(f"pllib crate: {note}", file=sys.stderr)
    print(f"{chosen.output}: {made.copied} files copied, {made.left_out} not")
    return 0


def _told(error: Exception, code: int) -> int:
    print(f"pllib crate: {error}", file=sys.stderr)
    return code


def _roots(given: List[str]) -> Dict[str, str]:
    pairs = [each.partition("=") for each in given]
    wrong = [name for name, sign, folder in pairs if not (name and sign and folder)]
    if wrong:
        raise ConfigurationError(f"--root takes STORE=DIR; {wrong[0]!r} is none")
    return {name: folder for name, _, folder in pairs}
