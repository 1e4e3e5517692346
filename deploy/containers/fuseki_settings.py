"""``python -m deploy.containers.fuseki_settings FOLDER``: what Fuseki's image needs to know, from how the launcher runs it.

FOLDER/artifact          the release, as Maven calls it
FOLDER/checksum          what `sha512sum -c` compares the fetched file with
FOLDER/config.ttl        what the server serves
FOLDER/log4j2.properties what it says in its log
FOLDER/arguments         of Java
"""

from __future__ import annotations

import sys
from pathlib import Path

from deploy import fuseki

HOME = Path("/fuseki")
"""Where the image has the program and these files."""
DATABASE = Path("/data/tdb2")
JAR = "fuseki-server.jar"
PORT = 3030


def files() -> dict[str, str]:
    """The files by name."""
    arguments = fuseki.arguments(str(HOME / JAR), HOME, PORT)
    return {
        "artifact": fuseki.ARTIFACT,
        "checksum": f"{fuseki.SHA512}  /program/{JAR}\n",
        "config.ttl": fuseki.configuration({fuseki.DATASET.strip("/"): DATABASE}, users="*"),
        "log4j2.properties": fuseki.LOGGING,
        "arguments": "\n".join(arguments) + "\n",
    }


def main(folder: Path) -> None:
    """Writes them."""
    folder.mkdir(parents=True)
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
