"""``python -m pllib.prov4ml script.py …``: runs an unchanged script, to which ``prov4ml`` and ``yprov4ml`` are ``pllib.prov4ml``."""

from __future__ import annotations

import os
import runpy
import sys
from typing import List

import pllib.prov4ml


def main(arguments: List[str]) -> int:
    """Runs a script with its arguments; 2 when there is none."""
    if not arguments or arguments[0].startswith("-") or not os.path.exists(arguments[0]):
        if arguments and not arguments[0].startswith("-"):
            print(f"pllib.prov4ml: there is no file {arguments[0]}", file=sys.stderr)
        print("usage: python -m pllib.prov4ml script.py [arguments…]", file=sys.stderr)
        return 2
    for name in ("prov4ml", "yprov4ml"):
        sys.modules[name] = pllib.prov4ml
    sys.argv[:] = arguments
    sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
    runpy.run_path(arguments[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
