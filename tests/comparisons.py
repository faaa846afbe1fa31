"""Comparisons made up: a grid of configurations with known effects, seeds and failures."""

import dataclasses
import itertools
import math

import numpy as np

from pipeline.sweeps.comparison import Candidate, Comparison, Leaderboard, Run, Shares

N_ROWS = 346
RATE, CHOICE, CROSSES, L2 = (
    "optimiser.learning_rate", "optimiser.name", "encode.crosses", "train.l2",
)  # fmt: skip
GRID = {
    RATE: (0.01, 0.03, 0.1, 0.3, 1.0),
    CHOICE: ("gradient_descent", "momentum", "adam"),
    CROSSES: ("[]", "[[buying, maint], [doors, persons, lug_boot]]"),
}


def run(params, seed=0, cost=0.12, epochs=60, **more) -> Run:
    """A finished run whose valid cost falls from 0.8 to ``cost``."""
    epoch = np.arange(epochs + 1.0)
    fall = np.exp(-epoch / (epochs / 6))
    curve = {
        "epoch": epoch,
        "train_cost": 0.9 * cost + (0.8 - cost) * fall,
        "valid_cost": cost + (0.8 - cost) * fall,
    }
    values = {
        "identity": f"{abs(hash((tuple(params.items()), seed))):032x}"[-32:],
        "status": "FINISHED",
        "settings": {"seed": seed, "split.seed": 0, **params},
        "metrics": {
            "valid/best_cost": cost,
            "valid/best_accuracy": 1 - cost / 2,
            "train/best_cost": 0.9 * cost,
        },
        "curve": curve,
        "count": np.ones(N_ROWS),
        "overrides": tuple(f"{name}={value}" for name, value in params.items()),
        "ended": "epochs",
    }
    return Run(**values | more)


def failed(params, seed=0, **more) -> Run:
    values = {
        "status": "FAILED",
        "metrics": {},
        "curve": {},
        "ended": "diverged",
        "reason": "cost must stay finite; got an infinite one at epoch 12",
        "log": "runs/logs/0007.log",
    }
    return run(params, seed, **values | more)


def cost_of(params) -> float:
    """0.1 at its lowest: a cost that depends on the three parameters of ``GRID``."""
    rate = params.get(RATE, 0.3)
    crosses = 0.03 if params.get(CROSSES) == "[]" else 0.0
    choice = {"adam": 0.0, "momentum": 0.004}.get(params.get(CHOICE), 0.02)
    return 0.1 + 0.02 * math.log10(rate / 0.3) ** 2 + crosses + choice


def grid(axes=None, seeds=5, epochs=60, tied=4, **more) -> Comparison:
    """A full grid, the best first; of the seeds each differs a little, the first ``tied`` are."""
    axes = GRID if axes is None else axes
    rng = np.random.default_rng(0)
    candidates = []
    for values in itertools.product(*axes.values()):
        params = dict(zip(axes, values, strict=True))
        costs = cost_of(params) + 0.002 * rng.standard_normal(seeds)
        runs = tuple(run(params, seed, cost, epochs) for seed, cost in enumerate(costs))
        candidates.append(Candidate(params, runs))
    candidates.sort(key=lambda c: np.mean([r.metrics["valid/best_cost"] for r in c.runs]))
    values = {
        "name": "rates",
        "varying": tuple(axes),
        "candidates": tuple(candidates),
        "board": board(candidates, tied),
        "shares": shares(tuple(axes)),
        "no_shares": "",
        "unfinished": (),
        "sentences": ("learning_rate explains 81 % of the variation of the valid cost.",),
        "chosen": min(1, len(candidates) - 1),
        "test": {
            "test/accuracy": 0.9451, "test/accuracy_low": 0.9158, "test/accuracy_high": 0.9646,
            "test/baseline_accuracy": 0.6994, "test/log_loss": 0.1111,
        },
    }  # fmt: skip
    return Comparison(**values | more)


def board(candidates, tied) -> Leaderboard:
    costs = [[run.metrics["valid/best_cost"] for run in c.runs] for c in candidates]
    mean = np.array([np.mean(c) for c in costs])
    excess = mean - mean[0]
    deviation = np.array([np.std(c, ddof=1) if len(c) > 1 else np.nan for c in costs])
    return Leaderboard(
        mean, mean - 0.01, mean + 0.01, deviation, excess, excess - 0.02, excess + 0.02,
        np.arange(len(mean)) < tied, 0.95,
    )  # fmt: skip


def shares(names) -> Shares:
    main = dict(zip(names, (0.62, 0.2, 0.08, 0.03), strict=False))
    pairs = {pair: 0.02 / (i + 1) for i, pair in enumerate(itertools.combinations(names, 2))}
    rest = 1 - sum(main.values()) - sum(pairs.values()) - 0.01
    return Shares(main, pairs, rest, 0.01)


def with_failures(comparison, **more) -> Comparison:
    """Two runs more that did not finish: one diverged, one of an error with a traceback."""
    params = dict(comparison.candidates[-1].params)
    lost = (
        failed(params | ({RATE: 10.0} if RATE in params else {}), 0, **more),
        failed(params, 1, ended=None, reason="MemoryError\nno more", url="https://host/#/runs/1"),
    )
    last = dataclasses.replace(comparison.candidates[-1], unfinished=lost[1:])
    candidates = (*comparison.candidates[:-1], last)
    return dataclasses.replace(comparison, candidates=candidates, unfinished=lost)
