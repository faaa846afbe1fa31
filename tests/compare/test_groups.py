"""Rows of a group are one observation: of ties, of the gate, and of every interval."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.compare.gate import Scored, paired
from pipeline.compare.groups import by_group
from pipeline.compare.ties import find_ties


def test_means_of_groups_are_those_of_pandas_and_counts_those_of_kish():
    rng = np.random.default_rng(0)
    group, count = rng.integers(3, 40, 500).astype(float), rng.integers(1, 5, 500).astype(float)
    values = rng.normal(size=(2, 500))
    n, (means,) = by_group(count, group, values)
    frame = pd.DataFrame({"g": group, "n": count, "a": values[0] * count, "b": values[1] * count})
    sums = frame.groupby("g").sum()
    assert means == pytest.approx(np.array([sums["a"] / sums["n"], sums["b"] / sums["n"]]))
    assert n / n.sum() == pytest.approx(sums["n"].to_numpy() / count.sum())
    assert n.sum() == pytest.approx(sums["n"].sum() ** 2 / (sums["n"] ** 2).sum())
    assert means @ n / n.sum() == pytest.approx(values @ count / count.sum())


def test_without_groups_nothing_changes():
    count, values = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    n, (same,) = by_group(count, None, values)
    assert n is count
    assert same is values


LOSSES = np.random.default_rng(1).gamma(1.0, 0.3, (3, 1, 80)) * np.array([1, 1.3, 2])[:, None, None]
TIMES = np.repeat(np.arange(80), 6)


def test_rows_measured_six_times_in_a_group_are_tied_as_if_measured_once():
    """The control: as rows of their own they would seem six times as sure."""
    once = find_ties(LOSSES, [[0]] * 3, np.ones(80))
    again = LOSSES[:, :, TIMES]
    of_groups = find_ties(again, [[0]] * 3, np.ones(480), group=TIMES.astype(float))
    of_rows = find_ties(again, [[0]] * 3, np.ones(480))
    for name in ("low", "high", "excess_low", "excess_high", "error", "mean"):
        assert getattr(of_groups, name) == pytest.approx(getattr(once, name), rel=1e-9)
    assert of_groups.tied.tolist() == once.tied.tolist()
    assert (of_rows.high - of_rows.mean < 0.6 * (once.high - once.mean)).all()


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
def test_the_gate_counts_groups(metric):
    rng = np.random.default_rng(0)
    losses = rng.gamma(1.0, 0.3, (2, 80)) * [[1.0], [1.6]]
    right = (rng.random((2, 80)) < [[0.9], [0.7]]).astype(float)
    ones, groups = np.ones(480), TIMES.astype(float)
    own, held = (Scored(losses[i, TIMES], right[i, TIMES], ones, groups) for i in (0, 1))
    found = paired(own, held, metric)
    assert "80 groups" in found.test
    alone = [
        paired(*(Scored(losses[i], right[i], np.ones(80), np.arange(80.0)) for i in (0, 1)), metric)
    ]
    assert found.p == pytest.approx(alone[0].p, rel=1e-9)
    assert found.difference == pytest.approx(alone[0].difference)
    as_rows = paired(replace(own, group=None), replace(held, group=None), metric)
    assert as_rows.p < found.p / 10


def test_decisions_on_weighted_rows_are_not_compared_as_counts_of_rows():
    count, right = np.full(60, 0.7), np.repeat([1.0, 0.0], 30)
    better = Scored(np.ones(60), np.ones(60), count)
    found = paired(better, Scored(np.ones(60), right, count), "accuracy")
    assert "Gaffke" in found.test
    assert found.p < 0.001
    assert found.difference == pytest.approx(0.5)
