"""Which values of a parameter beat others in every pair of runs that differ in nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from pipeline.compare.chance import paired_p_value
from pipeline.compare.comparison import Candidate, Run, Value
from pipeline.compare.variance import Level

RATE = 0.02  # of false findings, over all that is looked at
MIN_PAIRS = 6
MAX_LEVELS = 4  # of a parameter whose values are compared

Pairs = list[tuple[Run, Run]]
ByValue = dict[Level, dict[object, Run]]  # the runs of each value, by all else and the seeds


@dataclass(frozen=True)
class Win:
    """A value of a parameter has the lower validation loss in each of ``n`` pairs with others."""

    name: str
    value: Value
    others: tuple[Value, ...]
    n_levels: int  # of the parameter
    n: int
    margin: float  # the mean difference of the pairs, nats per row


def wins(candidates: Sequence[Candidate], varying: Sequence[str]) -> list[Win]:
    """Return for each parameter of few values the one that beats most others, by margin."""
    tables = {name: _by_value(candidates, name) for name in varying}
    few = {name: table for name, table in tables.items() if 2 <= len(table) <= MAX_LEVELS}
    n_looked = sum(math.comb(len(table), 2) for table in few.values())
    found = [
        max(won, key=lambda win: (len(win.others), win.margin))
        for name, table in few.items()
        if (won := _won(name, table, n_looked))
    ]
    return sorted(found, key=lambda win: -win.margin)


def _by_value(candidates: Sequence[Candidate], name: str) -> ByValue:
    """Return the runs by value; none at all where several agree in value, all else and seeds."""
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


def _won(name: str, table: ByValue, n_looked: int) -> list[Win]:
    """Return what each value of the parameter beats, of those that beat any."""
    beaten: dict[Value, dict[Value, Pairs]] = {}
    for ((_, a), of_a), ((_, b), of_b) in permutations(table.items(), 2):
        pairs = [(of_a[key], of_b[key]) for key in of_a if key in of_b]
        if _all_won(pairs, n_looked):
            beaten.setdefault(a, {})[b] = pairs
    found = []
    for value, others in beaten.items():
        pairs = [pair for of_other in others.values() for pair in of_other]
        margin = float(np.mean([b.validation_loss - a.validation_loss for a, b in pairs]))
        found.append(Win(name, value, tuple(others), len(table), len(pairs), margin))
    return found


def _all_won(pairs: Pairs, n_looked: int) -> bool:
    """Return whether the first of each pair is lower, and neither seeds nor rows explain it."""
    return (
        len(pairs) >= MIN_PAIRS
        and 0.5 ** len(pairs) * n_looked < RATE
        and all(a.validation_loss < b.validation_loss for a, b in pairs)
        and paired_p_value(pairs) * n_looked < RATE
    )
