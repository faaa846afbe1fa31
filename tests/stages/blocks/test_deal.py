"""Rows dealt by buckets of hashes: exact shares of each class, at random, the same for ever."""

import numpy as np
import pytest
from builders import make_table

from pipeline.config.split_settings import FoldsSplit, StratifiedSplit, TimeSplit
from pipeline.errors import DataError
from pipeline.stages.blocks.deal import N_BUCKETS, Deal, buckets, deal_buckets

pytestmark = pytest.mark.exhaustive

N = 200_000


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hashes, labels, and how many of each class are in each bucket."""
    rng = np.random.default_rng(3)
    key, y = rng.integers(0, 2**64, N, np.uint64), (rng.random(N) < 0.1).astype(float)
    histogram = np.zeros((2, N_BUCKETS), np.int64)
    np.add.at(histogram, (y.astype(int), buckets(key)), 1)
    return key, y, histogram


def parts(deal: Deal, rows: tuple[np.ndarray, ...]) -> np.ndarray:
    return deal.parts(make_table({"x": np.zeros(N)}, rows[1]), rows[0])


def test_each_class_has_its_shares_to_within_a_bucket(rows: tuple[np.ndarray, ...]):
    part = parts(deal_buckets(rows[2], StratifiedSplit(name="stratified")), rows)
    for label in (0, 1):
        of_class = np.bincount(part[rows[1] == label], minlength=3) / np.sum(rows[1] == label)
        np.testing.assert_allclose(of_class, [0.6, 0.2, 0.2], atol=3 / np.sum(rows[1] == label))


def test_seeds_deal_independently(rows: tuple[np.ndarray, ...]):
    one, other = (
        parts(deal_buckets(rows[2], StratifiedSplit(name="stratified", seed=seed)), rows)
        for seed in (0, 1)
    )
    both = np.mean((one == 2) & (other == 2))
    assert both == pytest.approx(0.04, abs=0.003)


@pytest.mark.exhaustive
def test_folds_share_their_test_rows_and_each_row_validates_once(rows: tuple[np.ndarray, ...]):
    folds = [
        parts(deal_buckets(rows[2], FoldsSplit(name="folds", folds=3, fold=k, seed=5)), rows)
        for k in range(3)
    ]
    assert all(np.array_equal(fold == 2, folds[0] == 2) for fold in folds)
    assert np.array_equal(sum((fold == 1).astype(int) for fold in folds), folds[0] != 2)
    assert np.mean(folds[0] == 2) == pytest.approx(0.2, abs=1e-4)


def test_validation_rows_may_train(rows: tuple[np.ndarray, ...]):
    deal = deal_buckets(rows[2], StratifiedSplit(name="stratified"))
    apart, joined = parts(deal, rows), parts(deal.joined(), rows)
    assert np.array_equal(joined, np.where(apart == 1, 0, apart))


def test_a_split_by_time_is_refused_with_what_to_do(rows: tuple[np.ndarray, ...]):
    with pytest.raises(DataError, match=r"set split=files with the later rows in data\.test"):
        deal_buckets(rows[2], TimeSplit(name="time"))
