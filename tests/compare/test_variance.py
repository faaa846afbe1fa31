"""Shares of variance are those of least squares, add up to 1, and find what was planted."""

import itertools
import time

import compare_builders as made
import numpy as np
import pytest

from pipeline.compare.comparison import Candidate
from pipeline.compare.variance import shares

LEVELS = {"o.rate": (0.01, 0.1, 1.0, 3.0), "o.name": ("adam", "sgd", None), "encode": (True, False)}


def divided(levels, table):
    return shares(made.candidates(levels, table), tuple(levels))


def parts(found):
    return [*found.main.values(), *found.pairs.values(), found.rest, found.seeds]


def table_of(seed, shape=(4, 3, 2, 5)):
    return np.random.default_rng(seed).normal(size=shape) ** 3


def residual(y, columns):
    """The sum of squares that least squares on dummies of these columns leave."""
    blocks = [np.ones((len(y), 1))]
    for column in columns:
        names = sorted(set(column))
        blocks.append(np.array([[value == name for name in names] for value in column], float))
    X = np.hstack(blocks)
    return float(((y - X @ np.linalg.lstsq(X, y, rcond=None)[0]) ** 2).sum())


def test_every_share_is_a_difference_of_residuals_of_least_squares():
    table = table_of(0)
    found, left_out = divided(LEVELS, table)
    place = np.array(list(np.ndindex(table.shape)))
    y = table.ravel()
    columns = {name: [str(i) for i in place[:, axis]] for axis, name in enumerate(LEVELS)}
    total = residual(y, [])

    def joined(*names):
        return ["/".join(values) for values in zip(*(columns[n] for n in names), strict=True)]

    assert left_out == ""
    for name, share in found.main.items():
        others = [columns[n] for n in LEVELS if n != name]
        dropped = residual(y, others) - residual(y, [*others, columns[name]])
        assert share == pytest.approx(dropped / total, abs=1e-12)
    for (a, b), share in found.pairs.items():
        dropped = residual(y, list(columns.values())) - residual(
            y, [*columns.values(), joined(a, b)]
        )
        assert share == pytest.approx(dropped / total, abs=1e-12)
    pairs = [joined(a, b) for a, b in itertools.combinations(LEVELS, 2)]
    cells = joined(*LEVELS)
    assert found.rest == pytest.approx(
        (residual(y, pairs) - residual(y, [cells])) / total, abs=1e-12
    )
    assert found.seeds == pytest.approx(residual(y, [cells]) / total, abs=1e-12)
    assert list(found.main) == list(LEVELS)
    assert list(found.pairs) == list(itertools.combinations(LEVELS, 2))


@pytest.mark.parametrize("shape", [(2,), (5, 1), (2, 3), (4, 3, 2), (3, 3, 3, 2, 1), (2,) * 6])
@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e12, 1e300])
def test_shares_add_up_to_one_and_none_is_negative(shape, scale):
    levels = {f"p{axis}": tuple(range(n)) for axis, n in enumerate(shape)}
    found, _ = divided(levels, scale * table_of(1, (*shape, 3)))
    assert sum(parts(found)) == pytest.approx(1, abs=1e-12)
    assert min(parts(found)) >= 0
    assert set(found.main) == {f"p{axis}" for axis, n in enumerate(shape) if n > 1}


def planted(share, noise_seed=None):
    """A main effect of the first parameter that is so much of the variance; the rest is a pair."""
    main = np.array([-1.5, -0.5, 0.5, 1.5])[:, None, None, None]
    pair = np.array([1.0, -1, 0])[None, :, None, None] * np.array([1.0, -1])[None, None, :, None]
    table = np.sqrt(share / main.var()) * main + np.sqrt((1 - share) / pair.var()) * pair
    table = np.broadcast_to(table, (4, 3, 2, 5))
    if noise_seed is None:
        return table
    return table + 0.05 * np.random.default_rng(noise_seed).normal(size=table.shape)


def test_a_planted_effect_is_recovered_exactly():
    found, _ = divided(LEVELS, 0.3 + 0.01 * planted(0.81))
    assert found.main["o.rate"] == pytest.approx(0.81, abs=1e-9)
    assert found.pairs["o.name", "encode"] == pytest.approx(0.19, abs=1e-9)
    assert sorted(parts(found))[:-2] == pytest.approx([0] * 6, abs=1e-9)


def test_a_planted_effect_is_recovered_within_one_percent_under_noise():
    for seed in range(20):
        found, _ = divided(LEVELS, planted(0.81, seed))
        assert found.main["o.rate"] == pytest.approx(0.81, abs=0.01)


def test_a_permuted_response_loses_the_planted_effect():
    table = np.random.default_rng(0).permutation(planted(0.81).ravel()).reshape(4, 3, 2, 5)
    found, _ = divided(LEVELS, table)
    assert found.main["o.rate"] < 0.1
    assert found.seeds > 0.5


def test_the_order_of_candidates_and_a_second_name_for_one_do_not_matter():
    candidates = made.candidates(LEVELS, table_of(2))
    mixed = [candidates[i] for i in np.random.default_rng(0).permutation(len(candidates))]
    mixed[0] = Candidate(dict(reversed(mixed[0].params.items())), mixed[0].runs)

    def of(these):
        return shares(these, tuple(LEVELS))[0]

    assert parts(of(mixed)) == pytest.approx(parts(of(candidates)), abs=1e-12)


def test_cells_weigh_the_same_where_seeds_are_missing():
    table = table_of(3)
    candidates = made.candidates(LEVELS, table)
    candidates[0] = Candidate(candidates[0].params, candidates[0].runs[:2])
    found, _ = shares(candidates, tuple(LEVELS))
    cells = [table[place] for place in np.ndindex(table.shape[:-1])]
    cells[0] = cells[0][:2]
    within = np.mean([cell.var() for cell in cells])
    between = np.var([cell.mean() for cell in cells])
    assert found.seeds == pytest.approx(within / (within + between), abs=1e-12)
    assert sum(parts(found)) == pytest.approx(1, abs=1e-12)


def test_a_level_without_any_finished_run_is_as_if_it_had_not_been_tried():
    candidates = made.candidates(LEVELS, table_of(4))
    lost = [Candidate(c.params, () if c.params["o.rate"] == 3.0 else c.runs) for c in candidates]
    found, left_out = shares(lost, tuple(LEVELS))
    expected, _ = divided(LEVELS | {"o.rate": (0.01, 0.1, 1.0)}, table_of(4)[:3])
    assert left_out == ""
    assert parts(found) == pytest.approx(parts(expected), abs=1e-12)


def test_a_level_that_lacks_a_combination_is_left_out_and_named():
    holes = [
        c
        for c in made.candidates(LEVELS, table_of(5))
        if list(c.params.values()) != [3.0, "sgd", True]
    ]
    found, left_out = shares(holes, tuple(LEVELS))
    expected, _ = divided(LEVELS | {"o.rate": (0.01, 0.1, 1.0)}, table_of(5)[:3])
    assert left_out == "rate=3"
    assert parts(found) == pytest.approx(parts(expected), abs=1e-12)


def test_a_parameter_with_one_level_left_is_left_out():
    levels = {"a": (1, 2), "b": (1, 2, 3)}
    holes = [c for c in made.candidates(levels, table_of(6, (2, 3, 2))) if c.params["a"] == 1]
    found, _ = shares(holes, ("a", "b"))
    assert list(found.main) == ["b"]
    assert found.pairs == {}


UNION = [("sgd", 0.1), ("sgd", 0.3), ("adam", 0.01), ("adam", 0.03)]
PAIRED = [(i, i) for i in range(5)]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (UNION, "the runs are no full grid: 4 of 8 combinations finished"),
        (PAIRED, "the runs are no full grid: 5 of 25 combinations finished"),
        ([(1, 1)], "no parameter has two values that finished"),
        ([(1, 2), (1, 2)], "configurations differ in more than the parameters that vary"),
        ([], "no run finished"),
    ],
)
def test_what_is_no_full_grid_has_no_shares_and_says_why(cells, reason):
    losses = iter(np.random.default_rng(0).normal(size=9))
    candidates = [Candidate({"a": a, "b": b}, (made.run({}, 0, next(losses)),)) for a, b in cells]
    assert shares(candidates, ("a", "b")) == (None, reason)


@pytest.mark.parametrize("value", [0.0, 0.12, -1e300])
def test_a_response_without_variance_has_no_shares(value):
    rounding = 1 + 4e-16 * np.random.default_rng(0).integers(0, 2, (4, 3, 2, 5))
    assert divided(LEVELS, value * rounding) == (None, "every run has the same validation loss")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_response_that_is_no_number_has_no_shares(value):
    table = table_of(7)
    table[1, 1, 1, 1] = value
    found, reason = divided(LEVELS, table)
    assert found is None
    assert reason.endswith(f"got {value} of 1 run")


def test_true_is_no_one_and_a_list_as_text_is_a_value():
    levels = {"a": (1, True, "1", None), "b": ("[]", '[["x", "y"]]')}
    found, _ = divided(levels, table_of(8, (4, 2, 2)))
    assert set(found.main) == {"a", "b"}


def test_a_thousand_runs_of_six_parameters_take_no_time():
    levels = {f"p{i}": tuple(range(n)) for i, n in enumerate((5, 4, 5, 2, 2, 1))}
    candidates = made.candidates(levels, table_of(9, (5, 4, 5, 2, 2, 1, 5)))
    start = time.process_time()
    shares(candidates, tuple(levels))
    assert time.process_time() - start < 2  # 0.05 s when it was written
