"""Ties against scipy, and against worlds in which the truth is known."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from scipy.linalg import hadamard
from scipy.stats import binom, norm, studentized_range, t, ttest_1samp, ttest_rel
from threadpoolctl import threadpool_limits

from nn import Examples, newton
from nn.arrays import ShapeError
from pipeline.compare.ties import find_ties
from pipeline.stages.read import car

ONE = [0]  # the name of the only seed


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """On cores that others use as well, two BLAS threads take three times as long as one."""
    with threadpool_limits(1):
        yield


def board(losses, count=None, **settings):
    """The leaderboard of candidates (k, n) that have one seed each."""
    count = np.ones(losses.shape[1]) if count is None else count
    return find_ties(losses[:, None, :], [ONE] * len(losses), count, **settings)


def mirrored(differences: np.ndarray) -> np.ndarray:
    """Two candidates that differ by these values, each with its mirror image: without skewness."""
    mean = differences.mean()
    centred = np.concatenate([differences - mean, mean - differences])
    return np.stack([np.full(centred.size, 5.0), 5.0 + mean + centred])


def seeded(means: np.ndarray, rows: int = 30) -> np.ndarray:
    """Losses of candidates (k, s, n) whose seeds have these means, the same on every row."""
    return np.repeat(means[:, :, None], rows, axis=2)


# Two candidates: scipy's tests.


def test_two_candidates_with_one_seed_are_compared_by_the_paired_t_test_on_many_rows():
    losses = mirrored(np.random.default_rng(1).normal(0.4, 1, 500))
    test = ttest_rel(losses[1], losses[0])
    interval = test.confidence_interval(0.95)
    found = board(losses, draws=30_000)
    worse = int(np.argmax(found.mean))
    wanted = (interval.low, interval.high) if worse == 1 else (-interval.high, -interval.low)
    # The quantile of 30,000 draws has a standard error of 0.011 at 1.96 standard errors.
    tolerance = 0.03 * (wanted[1] - wanted[0])
    got = (found.excess_low[worse], found.excess_high[worse])
    assert got == pytest.approx(wanted, abs=tolerance)
    alone = ttest_1samp(losses[1], 0).confidence_interval(0.95)
    assert (found.low[1], found.high[1]) == pytest.approx(tuple(alone), abs=0.01)


@pytest.mark.parametrize(("factor", "tied"), [(1.2, False), (0.8, True)])
def test_two_candidates_are_tied_where_scipys_p_value_says_so(factor, tied):
    losses = mirrored(np.random.default_rng(0).normal(0.07, 1, 600))
    p = ttest_rel(losses[0], losses[1]).pvalue
    assert 0.001 < p < 0.2
    assert board(losses, confidence=1 - factor * p, draws=20_000).tied.all() == tied


def test_seeds_of_equal_names_are_paired_and_others_are_not():
    means = 5 + np.random.default_rng(3).normal(0, 1, (2, 5))
    names = [list(range(5)), list(range(5, 10))]
    shared = find_ties(seeded(means), [names[0]] * 2, np.ones(30), draws=30_000)
    apart = find_ties(seeded(means), names, np.ones(30), draws=30_000)
    q = t.isf(0.025, 4)
    paired = q * math.sqrt((means[0] - means[1]).var(ddof=1) / 5)
    unpaired = q * math.sqrt(means.var(axis=1, ddof=1).sum() / 5)
    worse = int(np.argmax(shared.mean))
    assert shared.excess_high[worse] - shared.excess[worse] == pytest.approx(paired, rel=0.03)
    assert apart.excess_high[worse] - apart.excess[worse] == pytest.approx(unpaired, rel=0.03)
    assert shared.deviation == pytest.approx(means.std(axis=1, ddof=1))
    assert paired != pytest.approx(unpaired, rel=0.1)


def test_rows_and_seeds_add_up_as_the_sides_of_a_right_angle():
    rng = np.random.default_rng(4)
    by_row, by_seed = rng.normal(0, 0.5, 40), rng.normal(0, 0.5, 6)
    rows = 5 + by_row - by_row.mean()
    losses = rows + (by_seed - by_seed.mean())[:, None]
    found, alone = find_ties([losses], [list(range(6))], np.ones(40)), board(rows[None])
    half = t.isf(0.025, 5) * by_seed.std(ddof=1) / math.sqrt(6)
    assert 5 - found.low[0] == pytest.approx(math.hypot(half, 5 - alone.low[0]), rel=0.01)
    assert found.high[0] - 5 == pytest.approx(math.hypot(half, alone.high[0] - 5), rel=0.01)


# Many candidates: Tukey's range, counts, power.


@pytest.mark.parametrize("k", [3, 20, 60])
def test_the_quantile_of_independent_candidates_is_that_of_the_studentized_range(k):
    # Rows of a Hadamard matrix are uncorrelated, have one variance, and differ without skewness.
    count = np.full(64, 1e6)
    found = board(5 + hadamard(64)[1 : k + 1] * 1.0, count, draws=20_000)
    error = math.sqrt(2 / (count.sum() - 1))
    q = studentized_range.ppf(0.95, k, np.inf) / math.sqrt(2)
    assert found.excess_high[1] == pytest.approx(q * error, rel=0.02)
    assert q > 1.15 * norm.isf(0.025)  # a bound for one comparison alone would not pass


def test_the_quantile_of_seeds_has_the_level_of_the_studentized_range_and_tails_of_t():
    k, s = 20, 64
    names = [list(range(s))] * k
    found = find_ties(seeded(5 + hadamard(s)[1 : k + 1] * 1.0), names, np.ones(30), draws=20_000)
    level = 2 * norm.sf(studentized_range.ppf(0.95, k, np.inf) / math.sqrt(2))
    assert found.excess_high[1] == pytest.approx(
        t.isf(level / 2, s - 1) * math.sqrt(2 / (s - 1)), rel=0.02
    )


def test_candidates_that_are_nearly_one_cost_less_than_strangers():
    rng = np.random.default_rng(5)
    strangers = rng.normal(10, 1, (100, 346))
    family = 10 + rng.normal(0, 1, 346) + np.linspace(0, 1, 100)[:, None] * rng.normal(0, 1, 346)

    def quantile(losses):
        found, best = board(losses), int(np.argmin(losses.mean(axis=1)))
        far = 99 if best < 50 else 0
        return (found.excess_high - found.excess)[far] / (
            (losses[far] - losses[best]).std(ddof=1) / math.sqrt(346)
        )

    assert quantile(strangers) > 4
    assert quantile(family) < 2.4  # all differences are one difference


def test_a_table_with_counts_is_the_table_with_its_rows_repeated():
    rng = np.random.default_rng(6)
    losses = rng.exponential(1, (8, 5, 60))
    count = rng.integers(1, 6, 60).astype(float)
    names = [list(range(5))] * 8
    short = find_ties(losses, names, count, draws=50_000)
    long = find_ties(
        np.repeat(losses, count.astype(int), axis=2), names, np.ones(int(count.sum())), draws=50_000
    )
    for field in ("mean", "low", "high", "deviation", "excess"):
        assert getattr(short, field) == pytest.approx(getattr(long, field), rel=1e-9), field
    # The draws are others, so the quantile agrees within their error.
    for field in ("excess_low", "excess_high"):
        assert getattr(short, field) == pytest.approx(getattr(long, field), rel=0.05), field
    unweighted = find_ties(losses, names, np.ones(60))
    assert unweighted.mean != pytest.approx(long.mean, rel=1e-3)


def test_a_real_difference_is_found_among_many_and_the_others_are_tied():
    rng = np.random.default_rng(7)
    losses = 10 + rng.normal(0, 1, (60, 346)) + rng.normal(0, 1, 346)
    worse = [3, 40, 59]
    # Eight standard errors of a difference: the bound is about 4.2 of them, and the best of the
    # others lies about 2 below their mean.
    losses[worse] += 8 * math.sqrt(2 / 346)
    found = board(losses)
    assert np.flatnonzero(~found.tied).tolist() == worse
    assert (found.excess_low[worse] > 0).all()


def test_the_true_excess_lies_between_its_bounds():
    rng, held = np.random.default_rng(8), 0
    truth = np.linspace(0, 0.5, 20)
    for sample in range(100):
        losses = 10 + truth[:, None] + rng.normal(0, 1, (20, 100))
        found = board(losses, draws=500, rng_seed=sample)
        true_excess = truth - truth[np.argmin(found.mean)]
        held += ((found.excess_low <= true_excess) & (true_excess <= found.excess_high)).all()
    assert held >= binom.ppf(0.001, 100, 0.95)


# The edges.


def test_one_candidate_is_the_best():
    found = board(np.random.default_rng(9).exponential(1, (1, 50)))
    assert found.tied.tolist() == [True]
    assert (found.excess[0], found.excess_low[0], found.excess_high[0]) == (0, 0, 0)
    assert found.low[0] < found.mean[0] < found.high[0]
    assert math.isnan(found.deviation[0])


def test_equal_candidates_are_tied_and_a_constant_difference_is_none():
    losses = np.tile(np.random.default_rng(10).exponential(1, 50), (4, 1))
    losses[3] += 1e-6  # on every row: nothing is left to chance
    found = board(losses)
    assert found.tied.tolist() == [True, True, True, False]
    assert found.excess[:3].tolist() == [0, 0, 0]
    assert found.excess_high == pytest.approx([0, 0, 0, 1e-6], abs=1e-12)


def test_the_order_of_seeds_and_of_candidates_does_not_matter():
    rng = np.random.default_rng(11)
    losses, names = rng.exponential(1, (5, 50)), list(range(5))
    found = find_ties([losses, losses[::-1]], [names, names[::-1]], np.ones(50))
    assert found.tied.all()
    many = rng.exponential(1, (30, 50))
    one, other = board(many), board(many[::-1])
    for field in dataclasses.fields(one)[:-1]:
        assert getattr(one, field.name) == pytest.approx(
            getattr(other, field.name)[::-1], rel=1e-4, abs=1e-9, nan_ok=True
        )


def test_a_candidate_that_is_far_off_does_not_blur_the_others():
    rng = np.random.default_rng(12)
    common = 1 + rng.exponential(1, 346)
    losses = common + 1e-6 * (5 + rng.normal(0, 1, (20, 346)))
    losses[7] += 1e-6
    wild = np.vstack([losses, 1e8 * rng.exponential(1, (1, 346))])
    alone, together = board(np.abs(losses)), board(np.abs(wild))
    assert not together.tied[7]
    assert not together.tied[-1]
    assert together.excess_low[:-1] == pytest.approx(alone.excess_low, rel=0.05, abs=1e-9)


def test_equal_arguments_give_equal_bits():
    losses = np.random.default_rng(13).exponential(1, (10, 3, 80))
    names = [list(range(3))] * 10
    one, other = (find_ties(losses, names, np.ones(80)) for _ in range(2))
    changed = find_ties(losses, names, np.ones(80), rng_seed=1)
    assert one.excess_low.tobytes() == other.excess_low.tobytes()
    assert one.excess_low.tobytes() != changed.excess_low.tobytes()


def test_candidates_may_have_other_seeds_and_other_numbers_of_them():
    rng = np.random.default_rng(14)
    names = [[0, 1, 2], [7], [2, 5]]
    losses = [rng.exponential(1, (len(of), 50)) for of in names]
    found = find_ties(losses, names, np.ones(50))
    assert np.isnan(found.deviation).tolist() == [False, True, False]
    assert found.mean == pytest.approx([of.mean() for of in losses])
    assert np.isfinite(np.stack([found.low, found.high, found.excess_low, found.excess_high])).all()


def test_rows_drawn_several_times_count_as_many_as_there_are():
    losses = 5 + np.random.default_rng(21).exponential(0.3, (3, 80))
    once, again = board(losses), board(np.tile(losses, 4), weight=1 / 4)
    assert again.low == pytest.approx(once.low, rel=1e-12)
    assert again.high == pytest.approx(once.high, rel=1e-12)
    naive = board(np.tile(losses, 4))  # the control: 80 rows taken for 320
    assert (naive.high - naive.mean < 0.6 * (once.high - once.mean)).all()


def test_the_variance_of_a_single_seed_is_taken_to_be_the_largest_of_the_others():
    """Of two candidates 3 seeds of one say how much a seed may do: t with 2 degrees of freedom."""
    rng = np.random.default_rng(22)
    means = [5 + 0.01 * rng.normal(size=3), 5 + rng.normal(size=1)]
    names = [[0, 1, 2], [0]]
    found = find_ties([seeded(m[None])[0] for m in means], names, np.ones(30), draws=30_000)
    worse = int(np.argmax(found.mean))
    wanted = t.isf(0.025, 2) * math.sqrt(means[0].var(ddof=1) * (1 / 3 + 1))
    assert found.excess_high[worse] - found.excess[worse] == pytest.approx(wanted, rel=0.03)


@pytest.mark.parametrize("value", [np.inf, np.nan, -0.1, 1e12])
def test_a_loss_that_is_none_is_refused_by_its_place(value):
    losses = np.ones((3, 2, 10))
    losses[1, 1, 4] = value
    with pytest.raises(ValueError, match=r"losses\[1\] must lie from 0 .* at seed 8, row 4"):
        find_ties(losses, [[7, 8]] * 3, np.ones(10))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"losses": []}, "losses and seeds must"),
        ({"seeds": [ONE]}, "losses and seeds must"),
        ({"seeds": [ONE, []]}, r"seeds\[1\] must"),
        ({"losses": np.ones((2, 2, 10)), "seeds": [ONE * 2] * 2}, r"seeds\[0\] must be different"),
        ({"count": np.zeros(10)}, "count .* must"),
        ({"count": np.full(10, -1.5)}, "count .* must"),
        ({"count": np.full(10, np.nan)}, "count .* must"),
        ({"count": np.full(10, np.inf)}, "count .* must"),
        ({"losses": np.ones((2, 1, 1)), "count": np.ones(1)}, "count .* must"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(change, words):
    given = {"losses": np.ones((2, 1, 10)), "seeds": [ONE] * 2, "count": np.ones(10)}
    with pytest.raises(ValueError, match=words):
        find_ties(**{**given, **change})


def test_losses_of_another_number_of_rows_are_refused():
    with pytest.raises(ShapeError, match=r"losses\[1\] must have shape \(1, 10\)"):
        find_ties([np.ones((1, 10)), np.ones((1, 9))], [ONE] * 2, np.ones(10))


# All candidates equally good: how often is one called worse?


def normal(rng, k, n):
    """Candidates that go together, as neurons on the same rows do."""
    return 10 + rng.normal(0, 1, n) + 0.3 * rng.normal(0, 1, (k, n))


def heavy(rng, k, n):
    """Logistic losses of neurons that miss the true logit by errors of one size, partly shared."""
    z = 2.5 * np.clip(rng.standard_t(3, n), -40, 40)
    direction = rng.normal(0, 1, (k, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    logit = z + direction @ rng.normal(0, 1, (3, n)) + 0.5 * rng.normal(0, 1, (k, n))
    return logistic(logit, rng.random(n) < 1 / (1 + np.exp(-z)))


def skewed(rng, k, n):
    """Logistic losses of neurons from timid to overconfident, each less its exact expectation."""
    z, confidence = 2.5 * rng.normal(0, 1, n), np.linspace(0.3, 1.6, k)[:, None]
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    at = 2.5 * nodes
    p = 1 / (1 + np.exp(-at))
    expected = p * logistic(confidence * at, True) + (1 - p) * logistic(confidence * at, False)
    expectation = expected @ weights / weights.sum()
    losses = logistic(confidence * z, rng.random(n) < 1 / (1 + np.exp(-z)))
    return 5 + losses - expectation[:, None]


def logistic(z, y):
    return np.logaddexp(0, np.where(y, -z, z))


def naively_different(losses) -> bool:
    """Whether some candidate differs from the best by the paired z-test of two alone."""
    d = losses - losses[np.argmin(losses.mean(axis=1))]
    error = d.std(axis=1, ddof=1) / math.sqrt(d.shape[1])
    return bool((d.mean(axis=1) > norm.isf(0.025) * error).any())


@pytest.mark.parametrize(
    ("world", "factor"),
    [(skewed, 2), *(pytest.param(w, 5, marks=pytest.mark.exhaustive) for w in (normal, heavy))],
)
@pytest.mark.parametrize("part", [20, pytest.param(1, marks=pytest.mark.exhaustive)])
@pytest.mark.exhaustive
def test_of_equal_candidates_one_is_called_worse_in_at_most_5_percent(world, factor, part):
    sets = [(20, 346)] * 500 + [(20, 60)] * 200 + [(60, 346)] * 220 + [(200, 346)] * 80
    sets, rng = sets[::part], np.random.default_rng(15)
    alarms = naive = 0
    for number, (k, n) in enumerate(sets):
        losses = world(rng, k, n)
        alarms += not board(losses, draws=500, rng_seed=number).tied.all()
        naive += naively_different(losses)
    print(f"{world.__name__}: {alarms} false alarms in {len(sets)} sets, naively {naive}")
    assert alarms <= binom.ppf(0.99, len(sets), 0.05)
    assert naive >= max(factor * alarms / (2 if part > 1 else 1), 0.067 * len(sets))


@pytest.mark.parametrize("s", [2, 5])
@pytest.mark.parametrize("part", [20, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_of_candidates_that_differ_by_the_noise_of_seeds_none_is_called_worse(s, part):
    rng, sets = np.random.default_rng(16), ([20] * 700 + [60] * 260 + [150] * 40)[::part]
    alarms = naive = 0
    for number, k in enumerate(sets):
        spread = 0.1 * np.exp(rng.normal(0, 1, (k, 1)))  # of seeds, another for each candidate
        means = 1000 + spread * rng.normal(0, 1, (k, s)) + rng.normal(0, 0.5, s)
        names = [list(range(s))] * k
        found = find_ties(seeded(means, 3), names, np.ones(3), draws=500, rng_seed=number)
        alarms += not found.tied.all()
        naive += naively_different(means)
    print(f"{s} seeds: {alarms} false alarms in {len(sets)} sets, naively {naive}")
    assert alarms <= binom.ppf(0.99, len(sets), 0.05)
    assert naive >= 0.6 * len(sets)


@pytest.mark.parametrize("single", [1, 5, 15])
@pytest.mark.parametrize("n", [40, pytest.param(300, marks=pytest.mark.exhaustive)])
def test_a_candidate_of_a_single_seed_neither_wins_nor_loses_by_its_noise(single, n):
    """A lone seed is the extreme one of 20 means over five as often as not."""
    rng, alarms, leads = np.random.default_rng(23), 0, 0
    for number in range(n):
        spread = 0.1 * np.exp(rng.normal(0, 1, (20, 1)))
        means = 1000 + spread * rng.normal(0, 1, (20, 5))
        kept = [of[: 1 if c < single else 5] for c, of in enumerate(means)]
        names = [list(range(len(of))) for of in kept]
        losses = [np.repeat(of[:, None], 3, axis=1) for of in kept]
        found = find_ties(losses, names, np.ones(3), draws=500, rng_seed=number)
        alarms += not found.tied.all()
        leads += int(np.argmin(found.mean)) < single
    print(f"{single} of 20 with a single seed: {alarms} false alarms in {n} sets, {leads} lead")
    assert alarms <= binom.ppf(0.99, n, 0.05)
    assert leads > 1.5 * n * single / (20 + single)  # so that by their noise they would win


# Errors so rare that validation rows hold none or few.


def rare_errors(rng, n, rate, l2s):
    """Counts of n validation rows, neurons' losses (k, 32) on the kinds of rows, expected losses.

    A word that says the label but for errors at ``rate``, and three coins; three rows to train for
    one to validate. A kind of row has a label too.
    """
    bits = (np.arange(16)[:, None] >> np.arange(4)) & 1
    X = np.column_stack([bits[:, 0] == 0, bits]).astype(float)
    p = np.where(bits[:, 0] == 1, 1 - rate, rate)
    share = np.concatenate([1 - p, p]) / 16
    train, valid = (rng.multinomial(size, share).astype(float) for size in (3 * n, n))
    rows = Examples(np.vstack([X, X]), np.repeat([0.0, 1.0], 16), train)
    some = Examples(*(of[train > 0] for of in rows))
    theta, losses = np.zeros(X.shape[1] + 1), []
    for l2 in l2s:
        theta = newton(theta, some, l2=l2).theta
        losses.append(logistic(X @ theta[:-1] + theta[-1], np.array([[False], [True]])).ravel())
    return valid, np.array(losses), losses @ share


def lacks_the_best(rng, n, rate, k, compared) -> bool:
    count, losses, expected = rare_errors(rng, n, rate, np.logspace(-2, -6, k))
    best = np.argmin(expected)
    return not compared(losses[:, count > 0], count[count > 0])[best]


def naively_tied(losses, count):
    """By the paired z-test of two alone."""
    n, d = count.sum(), losses - losses[np.argmin(losses @ count)]
    mean = d @ count / n
    error = np.sqrt((d - mean[:, None]) ** 2 @ count / n / (n - 1))
    return mean <= norm.isf(0.025) * error + 1e-12


@pytest.mark.parametrize("repeats", [3, pytest.param(100, marks=pytest.mark.exhaustive)])
@pytest.mark.exhaustive
def test_the_truly_best_is_tied_where_errors_are_too_rare_to_be_seen(repeats):
    rates, sizes, ks = (0.001, 0.002, 0.005, 0.02), (100, 346, 570, 1728), (2, 4, 20)
    rng, lacks, naive = np.random.default_rng(24), 0, 0
    for rate, n, k in itertools.product(rates, sizes, ks):
        here = sum(
            lacks_the_best(rng, n, rate, k, lambda *of: board(*of, draws=200).tied)
            for _ in range(repeats)
        )
        assert here <= binom.ppf(0.9999, repeats, 0.05), (rate, n, k)
        lacks += here
        naive += lacks_the_best(rng, n, rate, k, naively_tied)
    print(f"lacked in {lacks} of {48 * repeats} worlds, naively in {naive} of 48")
    assert lacks <= 0.05 * 48 * repeats
    assert naive >= 10  # the control


@pytest.mark.parametrize("s", [2, 3, 5])
@pytest.mark.parametrize("n", [20, pytest.param(400, marks=pytest.mark.exhaustive)])
def test_seeds_that_matter_four_times_as_much_as_rows_make_no_winner_of_twelve(s, n):
    rng, alarms = np.random.default_rng(25), 0
    for number in range(n):
        rows, seed = rng.normal(0, 1, (12, 1, 346)), rng.normal(0, 4, (12, s, 1))
        losses = 200 + rows / 2 + seed * math.sqrt(s / 346) / 2 + rng.normal(0, 0.05, (12, s, 346))
        names = [list(range(s))] * 12
        alarms += not find_ties(losses, names, np.ones(346), draws=200, rng_seed=number).tied.all()
    print(f"{s} seeds: {alarms} false alarms in {n} sets")
    assert alarms <= binom.ppf(0.99, n, 0.05)


def test_a_standard_error_is_no_less_than_what_one_error_would_move():
    losses = logistic(np.array([[2.0], [9.0]]), np.ones(100, bool))  # no row holds an error
    found = board(losses)
    cost = logistic(np.array([9.0, 2.0]), np.zeros(2, bool)) @ [1, -1]
    assert found.error[0] == pytest.approx(cost / 100)
    rng = np.random.default_rng(26)
    noisy = 5 + rng.normal(0, 1, (2, 400))  # what the other label would cost is next to nothing
    worse = int(np.argmax(noisy.mean(axis=1)))
    plain = (noisy[0] - noisy[1]).std(ddof=1) / math.sqrt(400)
    assert board(noisy).error[worse] == pytest.approx(plain, rel=1e-9)


# Shuffled labels: 200 real neurons that have nothing to learn.

RATES, L2 = (0.2, 0.4, 0.8, 1.6, 3.0), (0.0, 1e-4, 1e-3, 1e-2)
EPOCHS = (60, 80, 100, 150, 200)
SEEDS = 5


def one_hot(attributes, *crosses):
    """Inputs of the cars: one per category, or per combination, of each group of attributes."""
    names, blocks = list(car.ATTRIBUTES), []
    for cross in [*((name,) for name in attributes), *crosses]:
        words = np.array(["|".join(row[names.index(name)] for name in cross) for row in car.rows()])
        blocks.append(words[:, None] == np.unique(words))
    return np.hstack([*blocks, np.ones((1728, 1), bool)]).astype(np.float32)  # the bias is last


def descend(X, y):
    """Parameters of 100 configurations x 5 seeds (epochs, d + 1, 100) after full-batch descent."""
    grid = [(rate, l2, seed) for rate in RATES for l2 in L2 for seed in range(SEEDS)]
    rate, l2, _ = np.array(grid, np.float32).T
    d = X.shape[1] - 1
    starts = [np.random.default_rng(seed).uniform(-0.5, 0.5, d) for seed in range(SEEDS)]
    theta = np.stack([np.append(starts[seed], 0) for *_, seed in grid], 1).astype(np.float32)
    shrink = np.vstack([np.tile(l2, (d, 1)), np.zeros_like(l2)])  # the bias is not penalised
    kept = []
    for epoch in range(1, EPOCHS[-1] + 1):
        residual = 1 / (1 + np.exp(-(X @ theta))) - y[:, None]
        theta = theta - rate * (X.T @ residual / np.float32(len(y)) + shrink * theta)
        if epoch in EPOCHS:
            kept.append(theta)
    return np.stack(kept)


def shuffled(number, encodings, positive):
    """Losses (200, 5, 346) on one shuffle, and the expected loss of each neuron (200, 5).

    Labels have nothing to do with inputs, so the loss of a neuron on new rows is known exactly: the
    share of positive cars times its loss with label 1, plus the rest times that with label 0.
    """
    rng = np.random.default_rng(number)
    y, order = rng.permutation(positive), rng.permutation(1728)
    train, valid = order[:1036], order[1036:1382]
    losses, expected = [], []
    for X in encodings:
        z = X @ descend(X[train], y[train])
        negative = np.logaddexp(0, z)  # loss with label 0; with label 1 it is less by z
        here = negative[:, valid] - y[valid, None] * z[:, valid]
        losses.append(here.reshape(len(EPOCHS), 346, -1, SEEDS).transpose(0, 2, 3, 1))
        expected.append((negative - positive.mean() * z).mean(axis=1))
    return (
        np.stack(losses).reshape(200, SEEDS, 346).astype(np.float64),
        np.stack(expected).reshape(200, SEEDS).astype(np.float64),
    )


@pytest.mark.exhaustive
def test_on_shuffled_labels_200_neurons_are_tied_in_at_least_95_percent_of_the_shuffles():
    """What is said, and what is false of it, are two questions; both are put to 100 shuffles.

    Of labels that mean nothing nothing can be learned, yet the neurons are not equal: one that has
    overfitted loses up to 0.025 nats more on new rows than the best of them, a difference that many
    more rows would show. To find it is no false alarm. As the labels are drawn, each neuron's
    expected loss is known exactly; less it, all 200 are equally good and every alarm is false. So:
    the losses as they are must be all tied in 95 of 100 shuffles, at 346 rows, and the losses less
    their expectation as well. A procedure that is wrong in 15 % passes 100 shuffles with a
    probability of 0.2 %. Five seeds, as a sweep has them, are what makes it a statement about
    configurations: with one seed the noise of its start counts as the configuration's.
    """
    positive = np.array([row[-1] != "unacc" for row in car.rows()], np.float32)
    encodings = [
        one_hot(car.ATTRIBUTES),
        one_hot(["safety"], ["buying", "maint"], ["doors", "persons", "lug_boot"]),
    ]
    names, count = [list(range(SEEDS))] * 200, np.ones(346)
    shuffles, different, false, naive, naive_false, excess = 100, 0, 0, 0, 0, []
    for number in range(shuffles):
        losses, expected = shuffled(number, encodings, positive)
        found = find_ties(losses, names, count, draws=500)
        null = 5 + losses - expected[:, :, None]
        different += not found.tied.all()
        false += not find_ties(null, names, count, draws=500).tied.all()
        naive += naively_different(losses.mean(axis=1))
        naive_false += naively_different(null.mean(axis=1))
        true = expected.mean(axis=1)
        excess.append(np.ptp(true))
        # Whatever is called worse is truly worse than the best.
        assert (true[~found.tied] > true[np.argmin(found.mean)]).all()
    print(f"{shuffles} shuffles: a difference in {different}, a false alarm in {false};")
    print(f"naively {naive} and {naive_false}; true excess {np.mean(excess):.3f} nats")
    assert different <= 0.05 * shuffles
    assert false <= 0.05 * shuffles
    assert naive >= 0.9 * shuffles
    assert naive_false >= 3 * binom.ppf(0.5, shuffles, 0.05)
    # With a real difference on top it is found: an encoding whose loss is 0.1 nats higher.
    null[100:] += 0.1
    found = find_ties(null, names, count, draws=500)
    assert found.tied[:100].all()
    assert not found.tied[100:].any()
