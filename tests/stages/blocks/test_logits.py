"""Bins hold every row once, in bounded number, and do not depend on the order of the blocks."""

from functools import partial

import numpy as np
import pytest
from block_builders import in_blocks, make_rows

from nn import Examples, binary_cross_entropy, row_logits, sigmoid
from pipeline.stages.blocks import logits
from pipeline.stages.blocks.logits import (
    BUCKETS,
    Cuts,
    bucket_losses,
    loss_kinds,
    score_block,
    score_blocks,
)
from pipeline.stages.decisions import THRESHOLDS

CUTS = Cuts(THRESHOLDS, 10)


def test_sums_over_rows_are_exact_and_bins_hold_each_row_once() -> None:
    theta, rows = make_rows(5000)
    found = score_blocks(theta, in_blocks(rows), CUTS)
    z = row_logits(theta, rows.X)
    assert found.log_loss == pytest.approx(binary_cross_entropy(z, rows.y).sum(), rel=1e-14)
    assert found.brier == pytest.approx(((sigmoid(z) - rows.y) ** 2).sum(), rel=1e-14)
    assert np.array_equal(np.sort(z), found.bins.low)  # so few rows have a bin each
    assert found.bins.positive.sum() == rows.y.sum()
    assert found.bins.negative.sum() == (1 - rows.y).sum()


@pytest.mark.parametrize("most", [64, 500, 2048])
def test_bins_get_coarser_until_they_are_few_and_keep_every_mean(monkeypatch, most) -> None:
    monkeypatch.setattr(logits, "MOST_BINS", most)
    theta, rows = make_rows(5000)
    bins = score_blocks(theta, in_blocks(rows)).bins
    z = row_logits(theta, rows.X)
    assert most / 2 - 40 < len(bins.key) <= most
    assert (bins.high - bins.low).max() <= bins.width
    place = np.searchsorted(bins.low, z, side="right") - 1
    assert (z <= bins.high[place]).all()
    assert np.array_equal(np.bincount(place, rows.y, len(bins.key)), bins.positive)
    mean = np.bincount(place, z) / np.bincount(place)
    assert bins.logit == pytest.approx(mean, abs=1e-14)


def test_no_bin_lies_across_a_cut_however_few_there_are(monkeypatch) -> None:
    monkeypatch.setattr(logits, "MOST_BINS", 400)
    theta, rows = make_rows(20_000)
    for cuts in (CUTS, Cuts()):  # the second is the control: then bins do
        bins = score_blocks(theta, in_blocks(rows), cuts).bins
        alike = CUTS.places(sigmoid(bins.low)) == CUTS.places(sigmoid(bins.high))
        assert alike.all() == (cuts is CUTS)


def test_bins_are_the_same_whoever_adds_the_blocks_in_the_tree(monkeypatch) -> None:
    """Halves that two workers add are those of the whole, and the order of rows has no part."""
    monkeypatch.setattr(logits, "MOST_BINS", 1000)
    theta, rows = make_rows(4096)
    key = np.arange(4096, dtype=np.uint64)
    whole = score_blocks(theta, in_blocks(rows, 512, key), CUTS)
    halves = [
        score_blocks(theta, in_blocks(Examples(*(a[part] for a in rows)), 512, key[part]), CUTS)
        for part in (slice(2048), slice(2048, None))
    ]
    joined = halves[0].bins + halves[1].bins
    backwards = Examples(*(array[::-1] for array in rows))
    turned = score_blocks(theta, in_blocks(backwards, 300, key[::-1]), CUTS)
    for name in ("key", "negative", "positive", "low", "high"):
        assert np.array_equal(getattr(joined, name), getattr(whole.bins, name)), name
        assert np.array_equal(getattr(turned.bins, name), getattr(whole.bins, name)), name
    assert np.array_equal(joined.total, whole.bins.total)
    assert np.array_equal(turned.buckets[0], whole.buckets[0])


def test_logits_beyond_all_bounds_are_in_a_bin_of_their_own() -> None:
    rows = Examples(np.array([[1e300], [-1e300], [0.0]]), np.array([1.0, 0, 1]), np.ones(3))
    block = partial(score_block, np.array([1.0, 0.0]), CUTS)
    bins = block(rows, np.arange(3, dtype=np.uint64)).bins
    assert bins.logit.tolist() == [-1e300, 0.0, 1e300]


def test_rows_of_one_hash_share_a_bucket_and_its_mean_loss() -> None:
    theta, rows = make_rows(3000)
    key = np.random.default_rng(1).integers(0, 2**64, 3000, np.uint64)
    found = bucket_losses(score_blocks(theta, in_blocks(rows, 250, key)))
    z = row_logits(theta, rows.X)
    loss, other = binary_cross_entropy(z, rows.y), binary_cross_entropy(z, 1 - rows.y)
    bucket = (key % BUCKETS).astype(int)
    assert found.group.tolist() == sorted({*bucket.tolist()})
    for i in range(0, len(found.group), 97):
        held = bucket == found.group[i]
        assert found.count[i] == held.sum()
        assert found.loss[i] == pytest.approx(loss[held].mean(), rel=1e-13)
        # The mean over its rows of the mean loss had this one the other label.
        moved = [loss[held].sum() - a + b for a, b in zip(loss[held], other[held], strict=True)]
        assert found.other[i] == pytest.approx(np.mean(moved) / held.sum(), rel=1e-12)


def test_kinds_of_losses_keep_mean_and_variance() -> None:
    theta, rows = make_rows(30_000)
    kinds = loss_kinds(score_blocks(theta, in_blocks(rows, 4096)).bins)
    loss = binary_cross_entropy(row_logits(theta, rows.X), rows.y)
    assert len(kinds.loss) <= logits.KINDS
    mean = kinds.loss @ kinds.count / kinds.count.sum()
    assert mean == pytest.approx(loss.mean(), rel=1e-12)
    variance = (kinds.loss - mean) ** 2 @ kinds.count / kinds.count.sum()
    assert variance == pytest.approx(loss.var(), rel=1e-5)
