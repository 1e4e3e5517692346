"""A layered layout in pure Python: boxes in columns, edges from right to left, few crossings. Pure; it knows nothing of PROV.

The usual four steps (Sugiyama, Tagawa, Toda: "Methods for visual understanding of hierarchical system structures", 1981): edges
against the stream are turned, boxes get columns, the order in each is improved by medians, and then everything goes as near to what it
is joined with as the order lets it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Sequence, Set, Tuple

Point = Tuple[float, float]
Pair = Tuple[int, int]

COLUMN_GAP, ROW_GAP, BEND_GAP = 56.0, 14.0, 7.0
_SWEEPS, _SETTLINGS = 12, 6
_MOST_BENDS = 20_000


@dataclass
class Layout:
    """Where things are.

    Attributes:
        boxes: left, top, width, height.
        paths: the points of each edge, in the order in which they were given, from its start to its end.
    """

    width: float = 0.0
    height: float = 0.0
    boxes: List[Tuple[float, float, float, float]] = field(default_factory=list)
    paths: List[List[Point]] = field(default_factory=list)


def lay_out(sizes: Sequence[Tuple[float, float]], edges: Sequence[Pair]) -> Layout:
    """Places boxes so that edges lead to the left.

    Args:
        sizes: width and height of each box.
        edges: start and end of each, as positions in ``sizes``; they may form circles, or begin and end at one box.
    """
    turned = _without_circles(len(sizes), edges)
    columns = _columns(len(sizes), turned)
    grid = _Grid(sizes, columns)
    bends = [grid.bend(start, end) for start, end in turned]
    grid.order()
    grid.place()
    return grid.layout(edges, turned, bends)


def _without_circles(count: int, edges: Sequence[Pair]) -> List[Pair]:
    """The edges with those turned that lead back on a way through the graph; those from a box to itself stay."""
    nexts: List[List[int]] = [[] for _ in range(count)]
    for start, end in edges:
        nexts[start].append(end)
    done: List[int] = [0] * count  # 0 not met, 1 on the way, 2 left behind
    back: Set[Pair] = set()
    for root in range(count):
        if done[root]:
            continue
        done[root] = 1
        way = [(root, iter(nexts[root]))]
        while way:
            node, rest = way[-1]
            following = next(rest, None)
            if following is None:
                done[node] = 2
                way.pop()
            elif done[following] == 1:
                back.add((node, following))
            elif not done[following]:
                done[following] = 1
                way.append((following, iter(nexts[following])))
    return [(end, start) if (start, end) in back and start != end else (start, end) for start, end in edges]


def _columns(count: int, edges: Sequence[Pair]) -> List[int]:
    """The column of each box: right of all that its edges lead to; what leads nowhere stands next to what leads there."""
    before: List[Set[int]] = [set() for _ in range(count)]
    after: List[Set[int]] = [set() for _ in range(count)]
    for start, end in edges:
        if start != end:
            before[start].add(end)
            after[end].add(start)
    columns = [0] * count
    waiting = [len(each) for each in before]
    ready = [node for node in range(count) if not waiting[node]]
    for node in ready:  # grows while it is gone through
        for other in after[node]:
            columns[other] = max(columns[other], columns[node] + 1)
            waiting[other] -= 1
            if not waiting[other]:
                ready.append(other)
    for node in range(count):
        if not before[node] and after[node]:
            columns[node] = min(columns[other] for other in after[node]) - 1
    return columns


class _Grid:
    """Boxes, and bends of long edges, in their columns."""

    def __init__(self, sizes: Sequence[Tuple[float, float]], columns: Sequence[int]) -> None:
        self._sizes, self._boxes = list(sizes), len(sizes)
        self._column = list(columns)
        self._left: List[List[int]] = [[] for _ in sizes]
        self._right: List[List[int]] = [[] for _ in sizes]
        self._rows: List[List[int]] = [[] for _ in range(max(columns, default=-1) + 1)]
        for node, column in enumerate(columns):
            self._rows[column].append(node)
        self._y: List[float] = []

    def bend(self, start: int, end: int) -> List[int]:
        """Gives an edge a place in each column between its ends."""
        if start == end:
            return []
        made: List[int] = []
        last = start
        if len(self._sizes) - self._boxes < _MOST_BENDS:  # beyond, edges are straight: nobody follows them anyway
            for column in range(self._column[start] - 1, self._column[end], -1):
                node = len(self._sizes)
                self._sizes.append((0.0, 0.0))
                self._column.append(column)
                self._left.append([])
                self._right.append([])
                self._rows[column].append(node)
                self._join(last, node)
                made.append(node)
                last = node
        self._join(last, end)
        return made

    def _join(self, right: int, left: int) -> None:
        self._left[right].append(left)
        self._right[left].append(right)

    def order(self) -> None:
        """Puts each column in the order of what its boxes are joined with, to and fro, and keeps the best."""
        best, fewest = [row[:] for row in self._rows], self._crossings()
        place = {node: share for row in self._rows for node, share in _shares(row).items()}
        for sweep in range(_SWEEPS):
            forth = sweep % 2 == 0
            joined = self._left if forth else self._right
            for column in range(len(self._rows)) if forth else reversed(range(len(self._rows))):
                self._sort(self._rows[column], joined, place)
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [row[:] for row in self._rows], crossings
            if not fewest:
                break
        self._rows = best

    def _sort(self, row: List[int], joined: List[List[int]], place: Dict[int, float]) -> None:
        centre = {node: _median([place[other] for other in joined[node]], place[node]) for node in row}
        row.sort(key=centre.__getitem__)
        place.update(_shares(row))

    def _crossings(self) -> int:
        """Pairs of edges between neighbouring columns that cross."""
        total = 0
        for row in self._rows:
            index = {node: place for place, node in enumerate(row)}
            column = self._column[row[0]] if row else 0
            if column + 1 >= len(self._rows):
                continue
            ends = [
                place
                for right in self._rows[column + 1]
                for place in sorted(index[left] for left in self._left[right] if left in index)
            ]
            total += _inversions(ends, len(row))
        return total

    def place(self) -> None:
        """Gives everything a height: near to what it is joined with, without touching its neighbours."""
        self._y = [0.0] * len(self._sizes)
        for row in self._rows:
            self._settle(row, [0.0] * len(row))
        for settling in range(_SETTLINGS):
            rows = self._rows if settling % 2 == 0 else self._rows[::-1]
            for row in rows:
                self._settle(row, [self._wanted(node, settling) for node in row])

    def _wanted(self, node: int, settling: int) -> float:
        joined = self._left[node] if settling % 2 == 0 else self._right[node]
        if settling >= _SETTLINGS - 2 or not joined:
            joined = self._left[node] + self._right[node]
        return sum(self._y[other] for other in joined) / len(joined) if joined else self._y[node]

    def _settle(self, row: List[int], wanted: List[float]) -> None:
        """The heights nearest to those wanted that keep order and distance (pool adjacent violators)."""
        offsets: List[float] = []
        for index, node in enumerate(row):
            gap = self._gap(row[index - 1], node) if index else 0.0
            offsets.append(offsets[-1] + gap if index else 0.0)
        pools: List[List[float]] = []  # mean of what is wanted in it, how many
        for want, offset in zip(wanted, offsets):
            pools.append([want - offset, 1.0])
            while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
                mean, count = pools.pop()
                total = pools[-1][1] + count
                pools[-1] = [(pools[-1][0] * pools[-1][1] + mean * count) / total, total]
        index = 0
        for mean, count in pools:
            for _ in range(int(count)):
                self._y[row[index]] = mean + offsets[index]
                index += 1

    def _gap(self, upper: int, lower: int) -> float:
        """Least distance between the middles of two neighbours."""
        gap = BEND_GAP if upper >= self._boxes or lower >= self._boxes else ROW_GAP
        return (self._sizes[upper][1] + self._sizes[lower][1]) / 2 + gap

    def layout(self, edges: Sequence[Pair], turned: Sequence[Pair], bends: Sequence[List[int]]) -> Layout:
        """Columns side by side, and the ways of the edges."""
        found = Layout()
        widths = [max((self._sizes[node][0] for node in row), default=0.0) for row in self._rows]
        lefts: List[float] = []
        for width in widths:
            lefts.append(found.width)
            found.width += width + COLUMN_GAP
        found.width = max(0.0, found.width - COLUMN_GAP)
        middles = [left + width / 2 for left, width in zip(lefts, widths)]
        top = min((self._y[node] - self._sizes[node][1] / 2 for node in range(len(self._sizes))), default=0.0)
        bottom = max((self._y[node] + self._sizes[node][1] / 2 for node in range(len(self._sizes))), default=0.0)
        found.height = bottom - top
        for node in range(self._boxes):
            width, height = self._sizes[node]
            left = middles[self._column[node]] - width / 2
            found.boxes.append((left, self._y[node] - top - height / 2, width, height))
        span = {node: (lefts[self._column[node]], widths[self._column[node]]) for bend in bends for node in bend}
        for edge, way, bend in zip(edges, turned, bends):
            points = self._path(found.boxes, way, [(span[node], self._y[node] - top) for node in bend])
            found.paths.append(points if edge == way else points[::-1])
        return found

    def _path(
        self,
        boxes: Sequence[Tuple[float, float, float, float]],
        way: Pair,
        bends: Sequence[Tuple[Tuple[float, float], float]],
    ) -> List[Point]:
        """From the left side of one box to the right side of another; across the columns between straight on."""
        start, end = boxes[way[0]], boxes[way[1]]
        points = [(start[0], start[1] + start[3] / 2)]
        for (left, width), y in bends:
            points += [(left + width, y), (left, y)]
        return [*points, (end[0] + end[2], end[1] + end[3] / 2)]


def _shares(row: Sequence[int]) -> Dict[int, float]:
    """Where in its column everything stands, from 0 to 1, so that columns of any length compare."""
    return {node: (index + 0.5) / len(row) for index, node in enumerate(row)}


def _median(places: List[float], otherwise: float) -> float:
    if not places:
        return otherwise
    places.sort()
    middle = len(places) // 2
    return places[middle] if len(places) % 2 else (places[middle - 1] + places[middle]) / 2


def _inversions(places: Sequence[int], size: int) -> int:
    """Pairs that stand the wrong way round, counted by a tree of sums."""
    tree = [0] * (size + 1)
    total = 0
    for seen, place in enumerate(places):
        index, smaller = place + 1, 0
        while index > 0:
            smaller += tree[index]
            index -= index & -index
        total += seen - smaller
        index = place + 1
        while index <= size:
            tree[index] += 1
            index += index & -index
    return total
