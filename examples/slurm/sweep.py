"""One point of a sweep: a line fitted by gradient descent, as a run. Needs pllib only.

python examples/slurm/sweep.py --rate 0.1
"""

from __future__ import annotations

import argparse
import random

import pllib

STEPS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=0.1, help="learning rate (default 0.1)")
    rate = parser.parse_args().rate
    chance = random.Random(1)  # noqa: S311  (data for an example)
    points = [(x / 100, 3 * x / 100 + 1 + chance.gauss(0, 0.1)) for x in range(100)]
    slope = intercept = 0.0
    with pllib.run("sweep", params={"rate": rate}) as run:
        for step in range(STEPS):
            errors = [(x, slope * x + intercept - y) for x, y in points]
            run.log_metric("loss", sum(error * error for _, error in errors) / len(points), step=step)
            slope -= rate * 2 * sum(error * x for x, error in errors) / len(points)
            intercept -= rate * 2 * sum(error for _, error in errors) / len(points)
        run.log_params({"slope": slope, "intercept": intercept})


if __name__ == "__main__":
    main()
