"""``python -m pllib``: the same as the ``pllib`` command."""

import sys

from .cli import main

sys.exit(main())
