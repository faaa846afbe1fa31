"""Rows of blocks that have groups or weights are as much evidence as they are in memory."""

from dataclasses import replace

import numpy as np
import pytest
from block_builders import in_blocks, make_rows
from builders import make_table

from nn import Examples
from pipeline.config.evaluate_settings import EvaluateSettings
from pipeline.stages.blocks.judge import judge
from pipeline.stages.copies import Copies, Sampling
from pipeline.stages.evaluate import evaluate
from pipeline.stages.threshold import Threshold

SETTINGS = EvaluateSettings.parse({"threshold": 0.3})
SHARES = ("accuracy", "precision", "recall", "positive_rate", "roc_auc")


def both(theta, rows, table, key):
    """The evaluation of the blocks, and of the rows."""
    blocks = in_blocks(rows, 3000, key, table)
    sampling = Sampling.of(table)
    copies = Copies(np.zeros(len(rows.y), bool), group=sampling.group, rows=sampling.rows)
    whole = evaluate(theta, rows, 0.3, SETTINGS, copies, Threshold(0.3), held_out=True)
    return judge(theta, None, blocks, 0.3, SETTINGS, held_out=True).evaluation, whole


def widths(metrics, names=SHARES):
    return np.array([metrics[f"{name}_high"] - metrics[f"{name}_low"] for name in names])


@pytest.fixture(scope="module")
def weighted():
    theta, rows = make_rows(30_000)
    rng = np.random.default_rng(0)
    weight = rng.choice([0.2, 1.0, 4.0], 30_000)
    table = replace(make_table({"x": rows.y}, rows.y), weight=weight)
    rows = rows._replace(count=table.weighted_count)
    return theta, rows, table, rng.integers(0, 2**64, 30_000, np.uint64)


@pytest.fixture(scope="module")
def grouped():
    """Groups of 1 to 5 rows that are alike but for a little noise."""
    theta, rows = make_rows(8000)
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(8000), rng.integers(1, 6, 8000))
    X = rows.X[group] + rng.normal(0, 0.05, (len(group), 3))
    rows = Examples(X, rows.y[group], np.ones(len(group)))
    table = replace(make_table({"x": rows.y}, rows.y), group=group)
    return theta, rows, table, rng.integers(0, 2**64, 8000, np.uint64)[group]


@pytest.mark.parametrize("kind", ["weighted", "grouped"])
def test_figures_are_those_of_the_rows_and_intervals_about_as_wide(kind, request) -> None:
    made = request.getfixturevalue(kind)
    blocks, whole = both(*made)
    assert blocks.confusion == whole.confusion
    assert (blocks.n_rows, blocks.n_positive) == (whole.n_rows, whole.n_positive)
    for name in (*SHARES, "log_loss", "brier", "pr_auc", "expected_calibration_error"):
        assert blocks.metrics[name] == pytest.approx(whole.metrics[name], abs=1e-8), name
    assert blocks.calibration[:, 2].sum() == pytest.approx(whole.n_rows)
    ratio = widths(blocks.metrics) / widths(whole.metrics)
    assert ratio == pytest.approx(1, abs=0.12)
    chance = "expected_calibration_error_chance"
    assert blocks.metrics[chance] == pytest.approx(whole.metrics[chance], rel=0.12)
    size = "effective_rows"
    assert blocks.metrics[size] == pytest.approx(whole.metrics[size], rel=0.2)


@pytest.mark.parametrize("kind", ["weighted", "grouped"])
def test_rows_that_are_taken_for_independent_ones_would_be_noticed(kind, request) -> None:
    """Negative control: every interval would be too narrow."""
    theta, rows, table, key = request.getfixturevalue(kind)
    _, whole = both(theta, rows, table, key)
    plain = replace(table, weight=None, group=None)
    own = np.random.default_rng(5).integers(0, 2**64, len(key), np.uint64)
    rows = rows._replace(count=rows.count * (len(rows.y) / rows.count.sum()))
    simple = judge(theta, None, in_blocks(rows, 3000, own, plain), 0.3, SETTINGS, held_out=True)
    ratio = widths(simple.evaluation.metrics) / widths(whole.metrics)
    assert (ratio < 0.85).all()
