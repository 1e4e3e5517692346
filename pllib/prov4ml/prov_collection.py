"""``python -m pllib.prov4ml.prov_collection --experiment_path FOLDER``: one document of all that the processes of a run recorded.

Every rank writes a document of what there was when it ended. This one is made of the records themselves, so it is complete, also
after processes were killed.
"""

from __future__ import annotations

import argparse
import glob
import os
import sys
from typing import List, Optional

from ..documents.reading import Reading
from ..errors import PllibError
from ..prov import forms
from .folders import HIDDEN

NAME = "prov_collection.json"


def create_prov_collection(experiment_path: str, output_dir: Optional[str] = None) -> str:
    """Writes the document of all processes of a run; its path.

    Args:
        experiment_path: the run's folder.
        output_dir: where the document goes; by default there, too.

    Raises:
        PllibError: the folder is no run's.
        OSError: the document cannot be written.
    """
    reading = Reading(os.path.join(experiment_path, HIDDEN), _base(experiment_path))
    folder = output_dir or experiment_path
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, NAME)
    forms.write(reading.document(), path)
    return path


def _base(folder: str) -> Optional[str]:
    """The beginning of the IRIs in the documents of the ranks."""
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), "prov_*_GR*.json"))):
        return forms.read(path).namespaces.get("id")
    return None


def main(arguments: List[str]) -> int:
    """Makes the document that the arguments ask for; 1 when that fails."""
    parser = argparse.ArgumentParser(
        "python -m pllib.prov4ml.prov_collection", description="One document of a run's processes."
    )
    parser.add_argument("--experiment_path", required=True, metavar="FOLDER", help="the run's folder")
    parser.add_argument(
        "--output_dir", metavar="FOLDER", help="where the document goes; by default to the run's folder"
    )
    chosen = parser.parse_args(arguments)
    try:
        print(create_prov_collection(chosen.experiment_path, chosen.output_dir))
    except (PllibError, OSError) as error:
        print(f"prov_collection: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
