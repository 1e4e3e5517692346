"""``python -m tracker``: runs the tracker until it is told to stop."""

from __future__ import annotations

import logging
import os
import sys

from edge.listening import serve

from .app import create_app
from .errors import SettingsError
from .settings import from_arguments

EXIT_USAGE = 2


def main() -> int:
    """Exit status: 0 after a stop, 2 when the settings make no sense, 3 when it could not start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = from_arguments(sys.argv[1:], os.environ)
    except SettingsError as error:
        print(f"tracker: {error}", file=sys.stderr)
        return EXIT_USAGE
    app = create_app(settings)
    serve(app, settings.host, settings.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
