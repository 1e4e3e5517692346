"""Points of a series: chunks decoded, put together and put in order. Pure; docs/reference/rdf-model.md has a chunk's form.

A series has any number of producers, each of which numbers its own points from 0. Chunks may come in any order, and
chunks of one producer may overlap: a point is known by its producer and number, and counts once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Any, Iterable, Iterator, Literal, NamedTuple, Optional, Sequence, Union

import numpy as np
import numpy.typing as npt
import orjson

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Axis = Literal["step", "time"]


class NoChunk(ValueError):
    """Text that is no chunk of a series."""


class Producer(NamedTuple):
    """Who measured: a process, and its rank in a job where it has one."""

    by: str
    rank: Optional[int]


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Consecutive points of one producer.

    Attributes:
        first: number of the first of them among this producer's points.
        times: microseconds since 1970, UTC.
    """

    producer: Producer
    first: int
    steps: Integers
    times: Integers
    values: Numbers

    def after(self, skipped: int) -> Chunk:
        """The chunk without its first points."""
        if skipped <= 0:
            return self
        parts = (self.steps[skipped:], self.times[skipped:], self.values[skipped:])
        return Chunk(self.producer, self.first + skipped, *parts)


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points of one or several producers, column by column.

    Attributes:
        times: microseconds since 1970, UTC.
        sources: for each point, which of ``producers`` measured it.
    """

    steps: Integers
    times: Integers
    values: Numbers
    sources: Integers
    producers: tuple[Producer, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def at(self, chosen: Union[Integers, npt.NDArray[np.bool_], slice]) -> Points:
        """The points with these positions, in a slice, or where a mask is true."""
        steps, times, values = self.steps[chosen], self.times[chosen], self.values[chosen]
        return Points(steps, times, values, self.sources[chosen], self.producers)

    def along(self, axis: Axis) -> Integers:
        return self.steps if axis == "step" else self.times


@dataclass(frozen=True, slots=True)
class Window:
    """Which points are asked for; every bound may be missing.

    Attributes:
        from_step, to_step: steps, both included.
        from_time, to_time: microseconds since 1970; the second is not included.
        rank: only what this rank measured.
    """

    from_step: Optional[int] = None
    to_step: Optional[int] = None
    from_time: Optional[int] = None
    to_time: Optional[int] = None
    rank: Optional[int] = None

    def meets(self, chunk: Chunk) -> bool:
        """Whether any point of the chunk may be in it."""
        if self.rank is not None and chunk.producer.rank != self.rank:
            return False
        return self._open or bool(self._mask(chunk.steps, chunk.times).any())

    def of(self, points: Points) -> Points:
        """The points in it."""
        return points if self._open else points.at(self._mask(points.steps, points.times))

    @property
    def _open(self) -> bool:
        return (self.from_step, self.to_step, self.from_time, self.to_time) == (None, None, None, None)

    def _mask(self, steps: Integers, times: Integers) -> npt.NDArray[np.bool_]:
        inside = np.ones(len(steps), dtype=np.bool_)
        for bound, column in ((self.from_step, steps), (self.from_time, times)):
            if bound is not None:
                inside &= column >= bound
        if self.to_step is not None:
            inside &= steps <= self.to_step
        if self.to_time is not None:
            inside &= times < self.to_time
        return inside


def decode(texts: Sequence[bytes]) -> list[Chunk]:
    """The chunks that literals say; many at once, since chunks may be small.

    Raises:
        NoChunk: one says none.
    """
    try:
        said = [orjson.loads(text) for text in texts]
        ends = list(accumulate((_length(each) for each in said), initial=0))
        starts = np.array(ends[:-1], dtype=np.int64)
        steps, times = (_sums([each[name] for each in said], starts) for name in ("steps", "times"))
        # "NaN", "INF" and "-INF" become what they say.
        values = np.array(list(chain.from_iterable(each["values"] for each in said)), dtype=np.float64)
        return [
            Chunk(_producer(each), int(each["first"]), steps[begin:end], times[begin:end], values[begin:end])
            for each, (begin, end) in zip(said, pairwise(ends))
        ]
    except (ValueError, TypeError, KeyError, OverflowError, AttributeError) as error:
        raise NoChunk(f"not a chunk of a series: {error}") from error


def _length(said: Any) -> int:
    """How many points a chunk has; in none of its columns another number."""
    lengths = {len(said[name]) for name in ("steps", "times", "values") if isinstance(said[name], list)}
    if len(lengths) != 1 or lengths == {0}:
        raise NoChunk(f"no points, or columns of different lengths: {orjson.dumps(said)[:100]!r}")
    return lengths.pop()


def _sums(columns: Sequence[list[int]], starts: Integers) -> Integers:
    """Columns of differences, as the numbers that they say, one after the other.

    The sum goes on over all of them, and what came before is taken off again: where it overflows, it does so both times.
    """
    differences = np.array(list(chain.from_iterable(columns)), dtype=np.int64)
    sums = np.cumsum(differences)
    before = (sums - differences)[starts]
    return sums - np.repeat(before, [len(column) for column in columns])


def _producer(said: Any) -> Producer:
    rank = said.get("rank")
    return Producer(str(said["by"]), None if rank is None else int(rank))


def merge(chunks: Iterable[Chunk]) -> Points:
    """The points of chunks in any order, each once: ordered by producer, then by number."""
    kept = list(_once(chunks))
    if not kept:
        none = np.zeros(0, dtype=np.int64)
        return Points(none, none, np.zeros(0), none)
    producers = list(dict.fromkeys(chunk.producer for chunk in kept))
    places = {producer: place for place, producer in enumerate(producers)}
    return Points(
        np.concatenate([chunk.steps for chunk in kept]),
        np.concatenate([chunk.times for chunk in kept]),
        np.concatenate([chunk.values for chunk in kept]),
        np.repeat(
            np.array([places[chunk.producer] for chunk in kept], dtype=np.int64),
            np.array([len(chunk.values) for chunk in kept], dtype=np.int64),
        ),
        tuple(producers),
    )


def _once(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """The chunks without the points that an earlier one has.

    Of chunks that are sorted by their first number, all that lies before the furthest end so far is in the chunk with
    that end: it begins no later and has no holes.
    """
    by, end = None, 0
    for chunk in sorted(chunks, key=lambda each: (each.producer.by, each.first, -len(each.values))):
        if chunk.producer.by != by:
            by, end = chunk.producer.by, chunk.first
        new = chunk.after(end - chunk.first)
        if len(new.values):
            end = new.first + len(new.values)
            yield new


def ordered(points: Points, axis: Axis) -> Points:
    """The points by step, then time (or by time, then step), then as :func:`merge` has them.

    The last one by step is therefore the latest value of the series.
    """
    first, second = (points.steps, points.times) if axis == "step" else (points.times, points.steps)
    gaps = np.diff(first)
    if (gaps > 0).all() or ((gaps >= 0).all() and (np.diff(second)[gaps == 0] >= 0).all()):
        return points
    return points.at(np.lexsort((second, first)))


def text_of(value: float) -> str:
    """What stands in JSON for a value that is no finite number."""
    return "NaN" if np.isnan(value) else "INF" if value > 0 else "-INF"
