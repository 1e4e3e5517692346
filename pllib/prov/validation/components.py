"""Strongly connected components of a graph, without recursion: Tarjan's algorithm (1972)."""

from __future__ import annotations

from typing import Iterable, List, Sequence, Tuple


def components(successors: Sequence[Iterable[int]]) -> List[int]:
    """The component that each node is in, as numbers; nodes on a common cycle have the same.

    Args:
        successors: for each node the nodes its edges lead to.
    """
    size = len(successors)
    order, low, found = [-1] * size, [0] * size, [-1] * size
    waiting: List[int] = []
    clock = 0
    for root in range(size):
        if order[root] >= 0:
            continue
        order[root] = low[root] = clock
        clock += 1
        waiting.append(root)
        path: List[Tuple[int, Iterable[int]]] = [(root, iter(successors[root]))]
        while path:
            node, coming = path[-1]
            for following in coming:
                if order[following] < 0:
                    order[following] = low[following] = clock
                    clock += 1
                    waiting.append(following)
                    path.append((following, iter(successors[following])))
                    break
                if found[following] < 0:
                    low[node] = min(low[node], order[following])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == order[node]:
                    _close(waiting, found, node)
    return found


def _close(waiting: List[int], found: List[int], root: int) -> None:
    """Takes the component of ``root`` off the stack."""
    while True:
        node = waiting.pop()
        found[node] = root
        if node == root:
            return
