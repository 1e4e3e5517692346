"""``python -m manager``: runs the manager until it is told to stop."""

from __future__ import annotations

import sys

from edge.listening import run

from .app import create_app
from .settings import from_arguments

if __name__ == "__main__":
    sys.exit(run("manager", from_arguments, create_app))
