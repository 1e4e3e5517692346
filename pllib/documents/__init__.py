"""Standard documents of what was captured, with no server: from the records in a spool folder to PROV.

::

    from pllib import documents

    for each in documents.executions("spool"):
        print(each.id, each.status)
    documents.write("spool", "train/9f-1", "run.provn")

Records are there until a tracker has taken them; with ``PLLIB_MODE=disk`` or ``PLLIB_KEEP=yes`` they stay.
"""

from __future__ import annotations

from os import PathLike
from typing import Iterator, List, Mapping, Optional, Union

from ..prov.forms import write as write_document
from ..prov.model import Document, Statement
from .crate import Made, write_crate
from .outline import Execution
from .reading import Reading

__all__ = ["Execution", "Made", "crate", "document", "executions", "statements", "write"]

Folder = Union[str, "PathLike[str]"]


def executions(folder: Folder) -> List[Execution]:
    """The workflow executions that a spool folder holds records of, oldest first.

    Raises:
        SpoolError: there is no such folder.
    """
    return Reading(folder).executions()


def document(folder: Folder, execution: Optional[str] = None, base: Optional[str] = None) -> Document:
    """The PROV document of an execution: what the query engine would export if it had the same records.

    Args:
        folder: a spool folder, of living or of dead processes.
        execution: ``{workflow}/{execution}`` or its IRI; without it all that there are.
        base: beginning of all IRIs; without it ``PLLIB_BASE``, or the query engine's usual address.

    Raises:
        SpoolError: there is no such folder.
        prov.DocumentError: it knows nothing of the execution; the message lists those it knows.
    """
    return Reading(folder, base).document(execution)


def statements(folder: Folder, execution: Optional[str] = None, base: Optional[str] = None) -> Iterator[Statement]:
    """The statements of ``document``, one after another."""
    return iter(document(folder, execution, base).statements)


def write(folder: Folder, execution: Optional[str], path: Folder, format: Optional[str] = None) -> None:
    """Writes the document of an execution to a file, which is put in place when it is whole.

    Args:
        format: a name of ``pllib.prov.FORMATS``, such as ``json``, ``provn``, ``dot``, ``svg``; without it the ending of the path says it.

    Raises:
        As ``document`` and ``pllib.prov.write`` do.
    """
    write_document(document(folder, execution), path, format)


def crate(
    folder: Folder,
    execution: Optional[str],
    path: Folder,
    *,
    copy: bool = True,
    roots: Optional[Mapping[str, str]] = None,
    license: Optional[str] = None,
) -> Made:
    """Makes an RO-Crate of an execution: its metadata, the PROV document, and the files it used and generated.

    Args:
        execution: as in ``document``; ``None`` where there is one only.
        path: folder to make, or a ``.zip``.
        copy: whether the files go into it; else it says where they are.
        roots: where data stores lie on this machine, by name; files of others are looked for under the paths that were captured.
        license: of the data: an IRI or a name.

    Raises:
        SpoolError: there is no such folder.
        prov.DocumentError: nothing is known of the execution, or there is something at ``path``.
    """
    return write_crate(Reading(folder), execution, path, copy=copy, roots=roots, license=license)
