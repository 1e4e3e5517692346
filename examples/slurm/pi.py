"""Pi by chance, on all ranks of an MPI job, which together are one run. Needs pllib and mpi4py.

mpirun -n 4 python examples/slurm/pi.py
"""

from __future__ import annotations

import random

from mpi4py import MPI  # type: ignore[import-not-found,unused-ignore]

import pllib

DARTS = 20_000
ROUNDS = 5


def main() -> None:
    ranks = MPI.COMM_WORLD
    chance = random.Random(ranks.rank)  # noqa: S311  (not for secrets)
    hits = 0
    with pllib.run("pi", params={"darts": DARTS, "rounds": ROUNDS, "ranks": ranks.size}) as run:
        for step in range(ROUNDS):
            hits += sum(chance.random() ** 2 + chance.random() ** 2 < 1 for _ in range(DARTS))
            run.log_metric("hits", hits, step=step)
        total = ranks.reduce(hits)
        if ranks.rank == 0:
            run.log_metric("pi", 4 * total / (DARTS * ROUNDS * ranks.size))


if __name__ == "__main__":
    main()
