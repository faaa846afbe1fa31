"""Rows of several splits stand side by side, and weigh no more than they know."""

import numpy as np
import pytest
from compare_builders import run

from pipeline.compare.validation_losses import (
    effective_weight,
    losses_by_start,
    mean_losses,
    row_counts,
    row_groups,
)


def measured(start, split, *losses):
    settings = {"seed": start, "split.seed": split}
    return run({}, settings=settings, losses=np.array(losses), count=np.array([1.0 + split, 2.0]))


RUNS = [measured(0, 1, 5, 6), measured(0, 0, 1, 2), measured(7, 0, 3, 4), measured(7, 1, 7, 8)]


def test_the_rows_of_all_splits_stand_side_by_side_in_their_order():
    assert losses_by_start(RUNS).tolist() == [[1, 2, 5, 6], [3, 4, 7, 8]]
    assert mean_losses(RUNS).tolist() == [2, 3, 6, 7]
    assert row_counts(RUNS).tolist() == [1, 2, 2, 2]


def test_one_run_without_losses_leaves_the_mean_unknown():
    assert mean_losses([*RUNS, run({})]) is None


@pytest.mark.parametrize("m", [1, 2, 7, 20])
@pytest.mark.parametrize("n", [400, pytest.param(4000, marks=pytest.mark.exhaustive)])
def test_rows_of_overlapping_splits_weigh_what_the_variance_of_their_mean_says(m, n):
    """Against a simulation: n tables of 200 rows, m splits of 40."""
    rng = np.random.default_rng(m)
    means = []
    for _ in range(n):
        losses = rng.normal(0, 1, 200)
        means.append(np.mean([losses[rng.permutation(200)[:40]].mean() for _ in range(m)]))
    variance_of_as_many = 1 / (40 * m)
    runs = [run({}, split=i, settings={"split.seed": i, "split.valid": 0.2}) for i in range(m)]
    assert variance_of_as_many / np.var(means) == pytest.approx(
        effective_weight(runs), rel=5 / np.sqrt(n)
    )


def test_m_splits_of_an_unknown_share_weigh_as_much_as_one():
    runs = [run({}, 0, settings={"seed": 0, "split.seed": split}) for split in range(4)]
    assert effective_weight(runs) == 1 / 4
    assert effective_weight(runs[:1]) == 1
    assert effective_weight([]) == 1


def fold(number, seed=0, start=0, k=5, **more):
    settings = {"seed": start, "split.seed": seed, "split.fold": number, "split.folds": k}
    losses = np.array([10.0 * number + seed, 10.0 * number + seed + 1])
    return run({}, settings=settings, losses=losses, count=np.ones(2), **more)


def test_the_rows_of_folds_stand_side_by_side_and_each_counts_once():
    runs = [fold(number) for number in (3, 0, 4, 1, 2)]
    assert mean_losses(runs).tolist() == [0, 1, 10, 11, 20, 21, 30, 31, 40, 41]
    assert effective_weight(runs) == 1


def test_folds_that_are_repeated_by_seed_count_each_row_once_in_all():
    runs = [fold(number, seed) for number in range(5) for seed in range(3)]
    assert row_counts(runs).sum() * effective_weight(runs) == pytest.approx(10)
    some = [fold(number, seed) for number in range(2) for seed in range(3)]
    assert effective_weight(some) == pytest.approx(1 / (1 + 2 * 0.4))


def test_rows_of_groups_count_as_they_are_wherever_their_group_is_held_out():
    group = np.array([7.0, 8.0])
    runs = [fold(number, seed, group=group) for number in range(5) for seed in range(3)]
    assert effective_weight(runs) == 1
    assert row_groups(runs).tolist() == [7, 8] * 15
    assert row_groups([*runs, fold(0, 9)]) is None
