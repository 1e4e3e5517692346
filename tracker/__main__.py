"""``python -m tracker``: runs the tracker until it is told to stop."""

from __future__ import annotations

import sys

from edge.listening import run

from .app import create_app
from .settings import from_arguments

if __name__ == "__main__":
    sys.exit(run("tracker", from_arguments, create_app))
