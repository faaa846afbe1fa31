"""Which values of a parameter beat others in every pair of runs that differ in nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from pipeline.sweeps.comparison import Candidate, Run, Value
from pipeline.sweeps.luck import luck_of_pairs
from pipeline.sweeps.shares import Level, Response

RATE = 0.02  # of claims, over all that is looked at, where there is only luck
FEWEST_PAIRS = 6
MOST_LEVELS = 4  # of a parameter whose values are compared

Pairs = list[tuple[Run, Run]]
ByValue = dict[Level, dict[object, Run]]  # the runs of each value, by all else and the seeds


@dataclass(frozen=True)
class Win:
    """A value of a parameter has the lower response in each of ``n`` pairs with others."""

    name: str
    value: Value
    others: tuple[Value, ...]
    n_levels: int  # of the parameter
    n: int
    margin: float  # the mean difference of the pairs


def wins(candidates: Sequence[Candidate], varying: Sequence[str], response: Response) -> list[Win]:
    """For each parameter of few values the one that beats most others, by margin."""
    tables = {name: _by_value(candidates, name) for name in varying}
    few = {name: table for name, table in tables.items() if 2 <= len(table) <= MOST_LEVELS}
    looked = sum(math.comb(len(table), 2) for table in few.values())
    found = [
        max(won, key=lambda win: (len(win.others), win.margin))
        for name, table in few.items()
        if (won := _won(name, table, response, looked))
    ]
    return sorted(found, key=lambda win: -win.margin)


def _by_value(candidates: Sequence[Candidate], name: str) -> ByValue:
    """The runs by value; none at all where several agree in value, all else and the seeds."""
    found: ByValue = {}
    for candidate in candidates:
        value = candidate.params.get(name)
        rest = frozenset((key, repr(v)) for key, v in candidate.params.items() if key != name)
        runs = found.setdefault((isinstance(value, bool), value), {})
        for run in candidate.runs:
            if (rest, run.seed) in runs:
                return {}
            runs[rest, run.seed] = run
    return found


def _won(name: str, table: ByValue, response: Response, looked: int) -> list[Win]:
    """What each value of the parameter beats, of those that beat any."""
    beaten: dict[Value, dict[Value, Pairs]] = {}
    for ((_, a), of_a), ((_, b), of_b) in permutations(table.items(), 2):
        pairs = [(of_a[key], of_b[key]) for key in of_a if key in of_b]
        if _all_won(pairs, response, looked):
            beaten.setdefault(a, {})[b] = pairs
    found = []
    for value, others in beaten.items():
        pairs = [pair for of_other in others.values() for pair in of_other]
        margin = float(np.mean([response(b) - response(a) for a, b in pairs]))
        found.append(Win(name, value, tuple(others), len(table), len(pairs), margin))
    return found


def _all_won(pairs: Pairs, response: Response, looked: int) -> bool:
    """Whether the first of each pair is lower, and neither seeds nor rows made it so."""
    return (
        len(pairs) >= FEWEST_PAIRS
        and 0.5 ** len(pairs) * looked < RATE
        and all(response(a) < response(b) for a, b in pairs)
        and luck_of_pairs(pairs, response) * looked < RATE
    )
