"""Losses of a table in blocks, a mean for each bucket of rows, say what those of the rows say."""

from dataclasses import replace

import numpy as np
import pytest
from block_builders import in_blocks, make_rows
from builders import make_environment, make_finished
from compare_builders import run
from scipy.special import ndtri

from nn import binary_cross_entropy, row_logits
from pipeline.compare.compare import compare
from pipeline.compare.gate import paired, score_buckets, score_rows
from pipeline.compare.load import run_of
from pipeline.compare.ties import find_ties
from pipeline.compare.unseen_errors import flipped
from pipeline.record import write
from pipeline.stages.blocks import logits
from pipeline.stages.blocks.logits import bucket_losses, score_blocks
from pipeline.stages.evaluate import RowLosses

N, BUCKETS = 8000, 256
NEURONS = np.array([[0.8, -0.5, 0.3, -1.0], [0.77, -0.5, 0.3, -1.0], [0.8, -0.5, 0.0, -0.9]])


@pytest.fixture
def few_buckets(monkeypatch):
    monkeypatch.setattr(logits, "BUCKETS", BUCKETS)


def measured(seed):
    """Losses of three neurons on the same rows, by row (3, N) and by bucket."""
    _, rows = make_rows(N, seed)
    key = np.random.default_rng(seed).integers(0, 2**64, N, np.uint64)
    by_row = np.array([binary_cross_entropy(row_logits(t, rows.X), rows.y) for t in NEURONS])
    found = [bucket_losses(score_blocks(t, in_blocks(rows, 1000, key))) for t in NEURONS]
    return by_row, found


def ties(found: list[RowLosses], **changes):
    more = {"others": [each.other[None] for each in found], "group": found[0].group} | changes
    return find_ties([each.loss[None] for each in found], [[0]] * 3, found[0].count, **more)


def test_the_variance_of_a_difference_by_buckets_is_that_by_rows(few_buckets) -> None:
    """Over 30 tables; numpy's variance of the paired differences is the oracle."""
    ratios = []
    for seed in range(30):
        by_row, found = measured(seed)
        board = ties(found, draws=50)
        best = int(board.excess.argmin())
        error = np.std(by_row - by_row[best], axis=1, ddof=1) / np.sqrt(N)
        ratios.append((board.error / np.where(error, error, np.nan)) ** 2)
    ratio = np.nanmean(ratios)
    assert ratio == pytest.approx(1, abs=4 * np.sqrt(2 / BUCKETS / 60))


def test_buckets_that_are_taken_for_rows_would_be_noticed(few_buckets) -> None:
    """Negative control: their means vary less than rows do, as if each row were 31."""
    _, found = measured(0)
    board, wrong = ties(found), ties(found, group=None)
    apart = board.error > 0
    ratio = (wrong.error[apart] / board.error[apart]) ** 2
    assert ratio == pytest.approx(BUCKETS / N, rel=0.1)


def test_means_bounds_and_ties_are_those_of_the_rows(few_buckets) -> None:
    by_row, found = measured(1)
    board = ties(found)
    rows = find_ties([losses[None] for losses in by_row], [[0]] * 3, np.ones(N))
    assert board.mean == pytest.approx(rows.mean, rel=1e-12)
    assert board.excess == pytest.approx(rows.excess, abs=1e-12)
    assert board.tied.tolist() == rows.tied.tolist() == [True, True, False]
    for name in ("low", "high", "excess_low", "excess_high"):
        near = 0.2 * np.abs(rows.high - rows.mean if name in ("low", "high") else rows.error)
        assert (np.abs(getattr(board, name) - getattr(rows, name)) <= near * 1.96 + 1e-12).all()


def test_an_error_that_has_not_happened_costs_one_row_and_not_a_whole_bucket(few_buckets) -> None:
    """Where two neurons hardly differ, a bucket of flipped labels would drown the difference."""
    _, found = measured(2)
    board = ties(found)
    wrong = ties(found, others=[flipped(each.loss[None]) for each in found])
    wide, wider = (each.excess[2] - each.excess_low[2] for each in (board, wrong))
    assert wide < 2.45 * board.error[2]  # about the quantile of three comparisons
    assert wider > 1.05 * wide


def test_a_record_keeps_the_losses_of_buckets_and_runs_on_one_split_pair_up(
    few_buckets, tmp_path
) -> None:
    _, found = measured(3)
    runs = []
    for seed, losses in enumerate(found):
        outcome = make_finished(validation_losses=losses)
        config = outcome.config.model_copy(update={"train": outcome.config.train.with_l2(seed / 9)})
        record = write(replace(outcome, config=config), tmp_path, here=make_environment())
        kept = record.validation_losses
        for name in ("loss", "count", "group", "other"):
            assert np.array_equal(getattr(kept, name), getattr(losses, name)), name
        runs.append(run_of(record))
    comparison = compare("three", runs)
    ranked = sorted(found, key=lambda losses: losses.loss @ losses.count)
    assert comparison.board.error == pytest.approx(ties(ranked).error, rel=1e-9)
    assert comparison.board.tied.tolist() == [True, True, False]


def test_runs_of_rows_alone_need_no_other_losses() -> None:
    losses = np.array([0.1, 0.5, 0.9])
    made = run({}, losses=losses, count=np.ones(3))
    assert made.other is None


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
def test_the_gate_judges_buckets_as_it_judges_rows(few_buckets, metric) -> None:
    """Over 20 tables: the p-values are near, where buckets that are taken for groups err."""
    theta, champion = NEURONS[0], np.array([0.8, -0.5, 0.2, -0.85])
    pairs = []
    for seed in range(20):
        _, rows = make_rows(N, seed)
        key = np.random.default_rng(seed).integers(0, 2**64, N, np.uint64)
        blocks = in_blocks(rows, 1000, key)
        by_row, by_bucket = (
            [score(neuron, of, 0.4) for neuron in (theta, champion)]
            for score, of in ((score_rows, rows), (score_buckets, blocks))
        )
        for one, other in zip(by_row, by_bucket, strict=True):
            assert other.figures == pytest.approx(one.figures, rel=1e-12)
        found, want = paired(*by_bucket, metric), paired(*by_row, metric)
        assert found.difference == pytest.approx(want.difference, abs=1e-12)
        assert f"{BUCKETS} buckets of rows" in found.test
        wrong = paired(*(replace(scored, other=None) for scored in by_bucket), metric)
        pairs.append([want.p, found.p, wrong.p])
    want, found, wrong = np.array([ndtri(np.clip(p, 1e-12, 1 - 1e-12)) for p in pairs]).T
    # On the side of caution, by one bucket as bad as the worst: less, the more buckets.
    assert -0.1 < np.mean(found - want) < 6 / np.sqrt(BUCKETS) + 0.2
    assert np.std(found - want) < 0.45
    assert np.mean(wrong - found) > 0.05
