"""P-values of effects and of wins are those of the textbooks' tests."""

import itertools

import compare_builders as made
import numpy as np
import pytest
from scipy import stats

from pipeline.compare.chance import effect_p_value, effect_p_value_over_rows, paired_p_value
from pipeline.compare.comparison import Candidate
from pipeline.compare.variance import full_grid


def run(loss, seed=0, split=0, losses=None, count=None, **settings):
    known = {"seed": seed, "split.seed": split, **settings}
    return made.run({}, seed, loss, losses=losses, count=count, settings=known)


def levels_of(*shape):
    return dict(zip("abcdef", map(range, shape), strict=False))


def grid(table):
    """The grid of parameters a, b … of a table (levels …, seeds)."""
    levels = levels_of(*table.shape[:-1])
    return full_grid(made.candidates(levels, table), tuple(levels))


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def test_two_levels_are_compared_by_the_paired_t_test_over_seeds():
    table = normal(0, 2, 3, 6)
    expected = stats.ttest_rel(table[0].mean(axis=0), table[1].mean(axis=0)).pvalue
    assert effect_p_value(grid(table), ("a",)) == pytest.approx(expected, rel=1e-9)


def test_levels_with_errors_alike_are_compared_by_the_analysis_of_variance_of_blocks():
    # Errors of three levels and three seeds that are exactly alike: Box's correction is none.
    square = np.array([[0.0, 1, 2], [1, 2, 0], [2, 0, 1]])
    table = square + 5 * np.arange(3)[:, None]
    row, column = table.mean(axis=1), table.mean(axis=0)
    error = table - row[:, None] - column + table.mean()
    f = 3 * ((row - table.mean()) ** 2).sum() / 2 / ((error**2).sum() / 4)
    assert effect_p_value(grid(table), ("a",)) == pytest.approx(stats.f.sf(f, 2, 4), rel=1e-9)


def test_without_repeats_the_pair_is_the_error_of_two_parameters():
    table = normal(1, 4, 3, 1)
    t = table[..., 0]
    row, column = t.mean(axis=1, keepdims=True), t.mean(axis=0, keepdims=True)
    error = ((t - row - column + t.mean()) ** 2).sum() / 6
    f = 3 * ((row - t.mean()) ** 2).sum() / 3 / error
    assert effect_p_value(grid(table), ("a",)) == pytest.approx(stats.f.sf(f, 3, 6), rel=1e-9)
    assert np.isnan(effect_p_value(grid(table), ("a", "b")))


def test_without_repeats_what_three_parameters_do_together_is_the_error_of_pairs():
    table = normal(2, 2, 2, 2, 1)
    signs = np.array([-1.0, 1])
    a, b, c = signs[:, None, None], signs[:, None], signs
    t = table[..., 0]
    f = (t * a * b).mean() ** 2 / (t * a * b * c).mean() ** 2
    expected = stats.f.sf(f, 1, 1)
    assert effect_p_value(grid(table), ("a", "b")) == pytest.approx(expected, rel=1e-9)


def test_one_parameter_without_repeats_has_no_error():
    assert np.isnan(effect_p_value(grid(normal(3, 5, 1)), ("a",)))


def test_repeats_that_agree_to_the_last_bit_leave_nothing_to_chance():
    table = np.repeat(normal(4, 3, 2, 1), 4, axis=-1)
    assert effect_p_value(grid(table), ("a",)) == 0


def test_splits_are_repeats_where_the_start_is_always_the_same():
    table = normal(5, 2, 6)
    candidates = [
        Candidate({"a": i}, tuple(run(v, 0, split) for split, v in enumerate(table[i])))
        for i in range(2)
    ]
    found = effect_p_value(full_grid(candidates, ("a",)), ("a",))
    assert found == pytest.approx(stats.ttest_rel(*table).pvalue, rel=1e-9)


@pytest.mark.parametrize("spread", [(1, 1, 1, 1), (0.1, 0.3, 1, 4)])
@pytest.mark.parametrize("n", [60, pytest.param(2000, marks=pytest.mark.exhaustive)])
def test_noise_alone_has_a_small_p_value_as_often_as_it_says(spread, n):
    """Each level has its own noise with each seed, alike or not: the F test of cells would fail."""
    scale = np.array(spread)[:, None, None]
    low = 0
    for seed in range(n):
        table = normal(seed, 4, 1, 5) * scale + 0.01 * normal(seed + n, 4, 3, 5)
        low += effect_p_value(grid(table), ("a",)) < 0.05
    assert low <= stats.binom.isf(1e-4, n, 0.06)


def measured(losses, count=None, splits=1):
    """The grid of parameters a, b … of losses (levels …, rows), on so many splits side by side."""
    levels = levels_of(*losses.shape[:-1])
    count = np.ones(losses.shape[-1] // splits) if count is None else count
    candidates = []
    for place in itertools.product(*map(range, losses.shape[:-1])):
        parts = np.split(losses[place], splits)
        runs = [run(of.mean(), 0, split, of, count) for split, of in enumerate(parts)]
        candidates.append(Candidate(dict(zip(levels, place, strict=True)), tuple(runs)))
    return full_grid(candidates, tuple(levels))


def test_two_levels_are_compared_by_the_paired_t_test_over_rows():
    losses = normal(31, 2, 3, 60)
    first, second = losses.mean(axis=1)
    expected = stats.ttest_rel(first, second).pvalue
    assert effect_p_value_over_rows(measured(losses), ["a"]) == pytest.approx(expected, rel=1e-9)


def test_a_row_of_an_effect_that_occurs_several_times_is_so_many_rows():
    losses, count = normal(32, 3, 2, 12), np.tile([1.0, 2.0, 3.0], 4)
    again = np.repeat(losses, count.astype(int), axis=-1)
    for effect in (["a"], ["b"], ["a", "b"]):
        expected = effect_p_value_over_rows(measured(again), effect)
        assert 0.001 < expected < 0.999
        assert effect_p_value_over_rows(measured(losses, count), effect) == pytest.approx(
            expected, rel=1e-9
        )


def test_rows_of_the_same_split_twice_are_no_more_rows():
    """Of an unknown share each row of m splits counts as 1 / m, so that none counts twice."""
    losses = normal(33, 3, 2, 40)
    twice = np.concatenate([losses, losses], axis=-1)
    expected = effect_p_value_over_rows(measured(losses), ["a"])
    assert effect_p_value_over_rows(measured(twice, splits=2), ["a"]) == pytest.approx(
        expected, rel=1e-9
    )
    assert effect_p_value_over_rows(measured(twice), ["a"]) != pytest.approx(
        expected, rel=0.01
    )  # the control


@pytest.mark.parametrize("spread", [(1, 1, 1, 1), (1, 1, 1, 9)])
@pytest.mark.parametrize("n", [200, pytest.param(4000, marks=pytest.mark.exhaustive)])
def test_noise_of_rows_has_a_small_p_value_as_often_as_it_says(spread, n):
    shared = np.array(spread)[:, None]
    found = [
        effect_p_value_over_rows(measured(shared * normal(s, 4, 60)), ["a"]) < 0.05
        for s in range(n)
    ]
    low, high = stats.binom.ppf([0.001, 0.999], n, 0.05)
    assert low <= sum(found) <= high


def test_without_the_rows_of_every_run_nothing_is_held_against_an_effect():
    assert effect_p_value_over_rows(grid(normal(34, 3, 4)), ["a"]) == 0
    candidates = [
        Candidate({"a": 0}, (run(0.1, 0, 0, np.ones(9), np.ones(9)),)),
        Candidate({"a": 1}, (run(0.2, 0, 1, np.ones(9), np.ones(9)),)),
    ]
    assert effect_p_value_over_rows(full_grid(candidates, "a"), ["a"]) == 0  # of other splits


def test_pairs_are_compared_by_the_t_test_over_seeds():
    a, b = normal(6, 2, 5)
    pairs = [(run(x, seed), run(y, seed)) for seed, (x, y) in enumerate(zip(a, b, strict=True))]
    expected = stats.ttest_rel(a, b).pvalue
    assert paired_p_value(pairs) == pytest.approx(expected, rel=1e-9)
    assert paired_p_value(pairs * 20) == pytest.approx(expected, rel=1e-9)


def test_many_pairs_of_one_seed_prove_nothing():
    pairs = [(run(0.1 + i / 1e3), run(0.2 + i / 1e3)) for i in range(50)]
    assert paired_p_value(pairs) == 1


def measured_twice(first, second, count, seeds=3):
    """Pairs whose seeds make no difference."""
    means = [(of * count).sum() / count.sum() for of in (first, second)]
    ends = zip((first, second), means, strict=True)
    runs = [[run(mean, s, 0, of, count) for s in range(seeds)] for of, mean in ends]
    return list(zip(*runs, strict=True))


def test_pairs_are_compared_by_the_t_test_over_many_rows_where_seeds_make_no_difference():
    rows, again = 5 + normal(7, 2, 900)
    again += 0.08 - (again - rows).mean()
    pairs = measured_twice(rows, again, np.ones(900))
    p = stats.ttest_rel(rows, again).pvalue
    assert 0.001 < p < 0.3
    assert paired_p_value(pairs) == pytest.approx(p, rel=0.15)


def test_a_pair_that_differs_by_the_same_on_every_row_may_err_on_another():
    """All that 50 rows show is which of two is surer: an error would cost the second one more."""
    timid, sure = np.full(50, -np.log(0.99)), np.full(50, -np.log(0.9999))
    assert paired_p_value(measured_twice(sure, timid, np.ones(50))) > 0.3
    # So many rows without an error would be less likely than 1 in 1,000, were the timid better.
    assert paired_p_value(measured_twice(sure, timid, np.full(50, 100.0))) < 1e-3


@pytest.mark.parametrize("n", [40, pytest.param(1000, marks=pytest.mark.exhaustive)])
def test_splits_that_deal_the_same_rows_anew_are_not_as_many_rows_as_they_hold(n):
    """Ten splits that hold out half of 60 rows each; neither of two candidates is better."""
    rng, found, naive = np.random.default_rng(9), 0, 0
    for _ in range(n):
        table = rng.normal(5, 1, (2, 60))
        pairs, values = [], []
        for split in range(10):
            rows = rng.permutation(60)[:30]
            more = {"split.valid": 0.5}
            ends = [run(of[rows].mean(), 0, split, of[rows], np.ones(30), **more) for of in table]
            pairs.append(tuple(ends))
            values.append([end.validation_loss for end in ends])
        found += paired_p_value(pairs) < 0.05
        naive += stats.ttest_rel(*np.transpose(values)).pvalue < 0.05
    assert found <= stats.binom.ppf(0.99, n, 0.05)
    assert naive > n / 3  # the control: splits taken for as many observations


def test_a_row_that_occurs_five_times_is_five_rows():
    rows, again = 5 + normal(8, 2, 12)
    count = np.arange(1.0, 13)
    times = count.astype(int)
    values = [np.repeat(of_rows, times) for of_rows in (rows, again)]
    one, other = measured_twice(rows, again, count), measured_twice(*values, np.ones(78))
    assert 0.01 < paired_p_value(one) < 1 or 0.01 < paired_p_value([p[::-1] for p in one]) < 1
    assert paired_p_value(one) == pytest.approx(paired_p_value(other), rel=1e-6)
