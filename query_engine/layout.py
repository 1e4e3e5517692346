"""A program: DOT on standard input, a drawing on standard output. Imports nothing of this package.

Graphviz is a C library that is not safe for threads, cannot be stopped, and complains to standard error where a system
has no fonts; so it works in a process of its own, which ends after each drawing (see :mod:`query_engine.drawing`).
"""

from __future__ import annotations

import sys
import warnings


def main() -> None:
    import pygraphviz

    warnings.simplefilter("ignore")  # pygraphviz hands on what the library says, such as missing fonts
    graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
    sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog="dot"))


if __name__ == "__main__":
    main()
