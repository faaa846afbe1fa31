"""A run that is pruned could not have won: the sweep has the winner of the full one, for less."""

import functools
import itertools
import math
import shutil
from dataclasses import dataclass

import numpy as np
import pytest
from exact import infimum
from sweep_builders import grid_of

from nn import Epoch, Examples, objective
from pipeline import files
from pipeline.config.train_settings import (
    Adam,
    FirstOrder,
    GradientDescent,
    Momentum,
    TrainSettings,
)
from pipeline.errors import ConfigError
from pipeline.record import heads
from pipeline.stages.bounds import minimum
from pipeline.stages.train import Trained, train
from pipeline.sweeps import incumbents
from pipeline.sweeps.incumbents import Bound, Incumbent, Incumbents, by_promise, lower_bound
from pipeline.sweeps.sweep import run_sweep, show_plan

EPOCHS = 300


@dataclass(frozen=True)
class Job:
    rows: Examples
    optimiser: FirstOrder
    l2: float


@functools.cache
def grid(seed: int) -> list[Job]:
    """Runs on one made table, in random order: two encodings, optimisers, rates, penalties."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(30, 120)), int(rng.integers(1, 5))
    X = rng.normal(size=(n, d)) * 10 ** rng.uniform(-0.5, 0.5, d)
    z = X @ rng.normal(size=d) + rng.normal() * X[:, 0] * X[:, -1]
    y = (z + rng.logistic(size=n) > 0).astype(float)
    y[:2] = 0, 1
    pairs = [X[:, i] * X[:, j] for i, j in itertools.combinations_with_replacement(range(d), 2)]
    count = rng.integers(1, 4, n).astype(float)
    tables = [Examples(X, y, count), Examples(np.column_stack([X, *pairs]), y, count)]
    rates = 10 ** rng.uniform(-2, 0, 3)
    optimisers: list[FirstOrder] = [
        GradientDescent(name="gradient_descent", learning_rate=rates[0]),
        Momentum(name="momentum", learning_rate=rates[1]),
        Adam(name="adam", learning_rate=rates[2]),
    ]
    penalties = 10 ** rng.uniform(-4, 0, 2)
    jobs = [Job(*point) for point in itertools.product(tables, optimisers, penalties)]
    return [jobs[i] for i in rng.permutation(len(jobs))]


def trained(job: Job, watch=lambda _: False) -> Trained:
    settings = TrainSettings(epochs=EPOCHS, l2=job.l2)
    inputs = tuple(map(str, range(job.rows.X.shape[1])))
    return train(job.rows, None, inputs, job.optimiser, settings, 0, watch)


def pruned(jobs: list[Job]) -> tuple[int, int]:
    """Which run ends with the lowest objective, and how many epochs all of them make."""
    best, lowest, epochs = -1, math.inf, 0
    for i, job in enumerate(jobs):
        bound = Bound(job.rows, job.l2, Incumbent("a" * 32, lowest))
        made = trained(job, lambda epoch, bound=bound: bool(bound(epoch)))
        epochs += len(made.curve["epoch"]) - 1
        if made.ended == "epochs" and made.curve["objective"][-1] < lowest:
            best, lowest = i, made.curve["objective"][-1]
    return best, epochs


@functools.cache
def winner(seed: int) -> int:
    """Which run of the grid ends with the lowest objective, if all are trained to their end."""
    return int(np.argmin([trained(job).curve["objective"][-1] for job in grid(seed)]))


@pytest.mark.parametrize("n", [4, pytest.param(20, marks=pytest.mark.exhaustive)])
def test_the_winner_is_that_of_the_full_grid_in_all_of_20_with_fewer_epochs(n):
    found = [(*pruned(grid(seed)), winner(seed), EPOCHS * len(grid(seed))) for seed in range(n)]
    assert [best == won for best, _, won, _ in found] == [True] * n
    shares = [epochs / of_full for _, epochs, _, of_full in found]
    assert max(shares) <= 1
    assert np.mean(shares) < 0.85


@pytest.mark.exhaustive
def test_a_bound_that_lies_loses_winners(monkeypatch):
    """The control: what a run has now is taken for what it can reach."""
    monkeypatch.setattr(incumbents, "lower_bound", lambda _, objective, *__: objective)
    assert sum(pruned(grid(seed))[0] != winner(seed) for seed in range(20)) >= 3


@pytest.mark.parametrize("seed", range(3))
def test_no_objective_is_below_the_bound_wherever_it_is_computed(seed):
    """The oracle: Newton's method in numbers of 60 digits."""
    job = grid(seed)[0]
    best = infimum(job.rows, job.l2)[0]
    end = minimum(np.zeros(job.rows.X.shape[1] + 1), job.rows, job.l2)
    assert 0 <= best - end.lower < 1e-9
    for share in (0.0, 0.5, 0.99, 1.0, 1.5):
        value = objective(share * end.theta, job.rows, job.l2)
        bound = lower_bound(share * end.theta, value, job.rows, job.l2)
        assert bound <= best
        assert (best - bound < 1e-9) == (share == 1)
    assert lower_bound(end.theta, 0.5, job.rows, 0.0) == -math.inf


def test_what_is_proven_of_an_objective_ends_others_before_their_first_epoch():
    job = grid(0)[0]
    bound = Bound(job.rows, job.l2, Incumbent("a" * 32, 0.1), known=0.1001)
    assert (made := trained(job, lambda epoch: bool(bound(epoch)))).ended == "stopped"
    assert made.curve["epoch"].tolist() == [0]
    bound = Bound(job.rows, job.l2, Incumbent("a" * 32, 0.1), known=0.1)  # it may reach it
    assert len(trained(job, lambda epoch: bool(bound(epoch))).curve["epoch"]) > 100


def test_numbers_that_overflow_prune_nothing():
    rows = Examples(np.full((4, 1), 1e200), np.array([0.0, 1, 0, 1]), np.ones(4))
    bound = Bound(rows, 0.1, Incumbent("a" * 32, 0.1))
    epoch = Epoch(10**6, np.ones(2), 0.5, 0.5, 0.5, 0.5, 0.5)
    assert [bound(epoch) for _ in range(9)] == [""] * 9


# --- sweeps ----------------------------------------------------------------------------------

WORDS = ("evaluate.bootstrap=null", "train.epochs=400", "sweep.prune=objective")
AXES = ("optimiser.learning_rate=0.1,1", "train.l2=0.1,0.001", "encode=onehot,crosses")


def test_the_weakest_penalty_and_the_highest_rate_of_each_encoding_come_first():
    jobs = by_promise(grid_of(*WORDS, *AXES).jobs)
    configs = [job.config for job in jobs]
    seen = [(c.encode.crosses != (), c.train.l2, c.optimiser.learning_rate) for c in configs]
    first, second = (False, 0.001, 1.0), (True, 0.001, 1.0)
    assert {*seen[:2]} == {first, second}
    assert [each[1] for each in seen[2:5]] == [0.001, 0.1, 0.1]  # then one encoding, then the other
    assert len({each[0] for each in seen[2:5]}) == 1


def test_a_launcher_whose_runs_do_not_wait_for_each_other_is_refused():
    with pytest.raises(ConfigError, match=r"sweep\.prune=none"):
        Incumbents(grid_of(*WORDS, "hydra/launcher=joblib", "seed=0,1"))


@pytest.mark.exhaustive
@pytest.mark.usefixtures("table", "store")
def test_what_was_pruned_is_made_again_only_where_the_run_that_it_lost_to_is_gone(capsys):
    words = [*WORDS, *AXES]
    assert run_sweep(words) == 0
    out = capsys.readouterr().out
    finished = [head for head in heads() if head.status == "FINISHED"]
    lost = [head for head in heads() if head.status == "KILLED"]
    lowest = min(finished, key=lambda head: head.metrics["train/best_objective"])
    assert {head.failure.kind for head in lost} == {"Pruned"}
    assert len(finished) + len(lost) == 8
    assert len(lost) >= 4
    messages = [head.failure.message for head in lost]
    assert sum("by a run with the same objective" in message for message in messages) >= 3
    saved = sum(400 - head.best_epoch for head in lost)
    assert f"0 failed, {len(lost)} pruned ({saved:,} epochs saved)" in out
    assert f"nats per row: run {lowest.identity[:12]}, " in out
    for head in lost:  # to its end none of them is better
        assert (
            head.metrics["train/best_objective"] - head.certificate.bound
            > (lowest.metrics["train/best_objective"])
        )
    assert run_sweep(words) == 0
    assert f"{8} done already, 0 refused, 0 to run" in capsys.readouterr().out
    assert show_plan([word.replace("=objective", "=none") for word in words]) == 0
    assert f"{len(lost)} to run\npruned before" in capsys.readouterr().out  # the control
    for head in finished:
        shutil.rmtree(files.RUNS / head.identity)
    assert run_sweep(words) == 0
    assert "0 done already, 0 refused, 8 to run" in capsys.readouterr().out


@pytest.mark.exhaustive
@pytest.mark.usefixtures("table", "store")
def test_the_winner_of_a_pruned_sweep_is_that_of_the_full_one():
    assert run_sweep([*WORDS, *AXES]) == 0
    objectives = {head.identity: head.metrics["train/best_objective"] for head in heads()
                  if head.status == "FINISHED"}  # fmt: skip
    winner = min(objectives, key=objectives.__getitem__)
    assert run_sweep([*WORDS, *AXES, "sweep.prune=none"]) == 0
    every = {head.identity: head.metrics["train/best_objective"] for head in heads()}
    assert (len(every), min(every, key=every.__getitem__)) == (8, winner)
