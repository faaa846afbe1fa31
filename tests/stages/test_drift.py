"""Columns that drift are found against SciPy, pandas and statsmodels; others are not alleged."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from builders import make_data, make_table
from scipy import stats
from statsmodels.stats.multitest import multipletests

from pipeline.stages.drift import (
    LEVEL,
    Distribution,
    compare_counts,
    distributions,
    drift_warnings,
    find_drift,
)
from pipeline.stages.validate import MISSING


def table(rng, n, shift=0.0, colours=("red", "green", "blue"), missing=0.1):
    x = rng.normal(size=n) + shift
    x[rng.random(n) < missing] = np.nan
    zeros = rng.poisson(0.4, n).astype(float)
    columns = {"x": x, "zeros": zeros, "colour": rng.choice(colours, n)}
    return make_table(columns, (rng.random(n) < 0.3).astype(float))


def drift_of(train, new):
    known = distributions(train, np.ones(len(train.y)), "class")
    return {drift.column: drift for drift in find_drift(known, new, np.ones(len(new.y)))}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_each_bin_of_a_number_holds_a_tenth_of_train_and_its_ends_lie_outside(rng):
    train = table(rng, 2000, missing=0.0)
    (known, *_) = distributions(train, np.ones(2000), "class")
    x = train.frame["x"]
    assert known.count == (0.0, *[200.0] * 10, 0.0, 0.0)
    assert [*known.edges[1:]] == np.quantile(
        x, np.arange(1, 11) / 10, method="inverted_cdf"
    ).tolist()
    by_pandas = pd.qcut(x, 10).value_counts(sort=False)
    assert by_pandas.tolist() == [*known.count[1:-2]]


def test_a_value_that_most_rows_have_is_a_bin_of_its_own(rng):
    train = table(rng, 2000)
    known = distributions(train, np.ones(2000), "class")[1]
    values = train.frame["zeros"].value_counts()
    assert known.count[1] == values[0.0]
    assert known.count[2] == values[1.0]


def test_a_count_is_as_many_rows(rng):
    train, new = table(rng, 300), table(rng, 200, 0.5)
    count = rng.integers(1, 5, 300).astype(float)
    order = np.repeat(np.arange(300), count.astype(int))
    long = make_table({c: train.frame[c].to_numpy()[order] for c in train.frame}, train.y[order])
    counted = distributions(train, count, "class")
    assert counted == distributions(long, np.ones(len(order)), "class")
    assert find_drift(counted, new, np.full(200, 2.0)) == find_drift(
        counted, replace_rows(new, 2), np.ones(400)
    )


def replace_rows(new, times):
    frame = pd.concat([new.frame] * times, ignore_index=True)
    return replace(new, frame=frame, y=np.tile(new.y, times), count=np.tile(new.count, times))


@pytest.mark.parametrize("n", [40, 400, 40_000])
def test_the_p_value_is_scipys_and_the_psi_that_of_its_definition(rng, n):
    train, here = rng.multinomial(1000, [0.4, 0.3, 0.3]), rng.multinomial(n, [0.5, 0.2, 0.3])
    psi, p_value = compare_counts(train.astype(float), here.astype(float))
    oracle = stats.chi2_contingency([train, here], correction=False)
    assert p_value == pytest.approx(oracle.pvalue, rel=1e-9)
    p, q = ((rows + 0.5) / (rows.sum() + 1.5) for rows in (train, here))
    by_hand = sum((b - a) * np.log(b / a) for a, b in zip(p, q, strict=True))
    assert psi == pytest.approx(max(by_hand - 2 * (1 / 1000 + 1 / n), 0), abs=1e-12)


def test_small_bins_are_joined_until_chi_square_holds():
    train, here = np.array([480.0, 500, 3, 2, 95]), np.array([50.0, 38, 0, 1, 1])
    oracle = stats.chi2_contingency([[480, 500, 100], [50, 38, 2]], correction=False)
    assert compare_counts(train, here)[1] == pytest.approx(oracle.pvalue, rel=1e-9)
    assert compare_counts(np.array([500.0, 500]), np.array([2.0, 2])) == (0.0, 1.0)


def test_the_p_values_are_corrected_as_statsmodels_does(rng):
    train, new = table(rng, 2000), table(rng, 500, 0.1)
    found = drift_of(train, new)
    known = distributions(train, np.ones(2000), "class")
    alone = {d.column: find_drift([d], new, np.ones(500))[0].p_value for d in known}
    _, corrected, *_ = multipletests([*alone.values()], method="holm")
    assert [found[c].p_value for c in alone] == pytest.approx(corrected.tolist(), rel=1e-12)


def test_what_has_drifted_is_named_with_the_bin_that_changed_most(rng):
    train = table(rng, 2000)
    found = drift_of(train, table(rng, 1000, 1.5, ("red", "green", "mauve", "mauve")))
    assert found["x"].is_large
    assert found["colour"].is_large
    assert (found["colour"].bin, found["colour"].train_share) == ("not in train", 0.0)
    assert found["colour"].unseen == ("mauve",)
    assert not found["zeros"].is_large
    assert not found["class"].is_large
    columns = {name: {"kind": "ignored"} for name in ("x", "colour")}
    data = make_data({**columns, "zeros": {"kind": "numeric"}})
    (first, second) = drift_warnings([found["x"], found["colour"], found["zeros"]], data)
    assert "column x has drifted" in first
    assert "not in train in 0.0% of train and" in second
    (of_target,) = drift_warnings([replace(found["x"], column="class")], data)
    assert of_target.endswith("set data.known=[class]")
    known = data.model_copy(update={"known": ("x", "colour")})
    assert drift_warnings([*found.values()], known) == []


@pytest.mark.parametrize(
    ("new", "label"),
    [
        (np.full(200, 9.0), "above 7"), (np.full(200, -2.0), "below 7"),
        (np.full(200, np.nan), "missing"),
    ],
)  # fmt: skip
def test_a_column_that_was_constant_drifts_to_either_side_and_to_missing(new, label):
    train = make_table({"x": np.full(500, 7.0)}, np.tile([0, 1], 250))
    found = drift_of(train, make_table({"x": new}, np.tile([0, 1], 100)))
    assert (found["x"].bin, found["x"].share, found["x"].is_large) == (label, 1.0, True)


def test_of_many_categories_the_commonest_are_told_apart(rng):
    train = make_table({"x": [f"c{i}" for i in rng.geometric(0.02, 5000)]}, np.tile([0, 1], 2500))
    known = distributions(train, np.ones(5000), "class")[0]
    assert len(known.categories) == 50
    assert sum(known.count) == 5000
    assert {*known.categories} == {*train.frame["x"].value_counts()[:50].index} or known.count[-1]
    assert find_drift([known], train, np.ones(5000))[0].psi == 0


@pytest.mark.parametrize(
    "parts",
    [
        ((1.0,), (), (1.0,)), ((2.0, 1.0), (), (1.0,) * 4), ((), ("a",), (1.0, -1.0)),
        ((), ("a",), (0.0, 0.0)), ((np.inf,), (), (1.0,) * 3),
    ],
)  # fmt: skip
def test_a_distribution_whose_parts_do_not_fit_is_refused(parts):
    with pytest.raises(ValueError, match="must"):
        Distribution("x", *parts)


def alarm_rates(repeats, m, n, shift=0.0):
    """How often any column differs, any differs much, and the mean PSI beyond chance of x."""
    rng = np.random.default_rng(m + n)
    differ = large = 0
    for _ in range(repeats):
        found = drift_of(table(rng, m), table(rng, n, shift))
        differ += any(drift.p_value <= LEVEL for drift in found.values())
        large += any(drift.is_large for drift in found.values())
    return differ / repeats, large / repeats


def test_rows_of_the_same_population_seldom_raise_an_alarm():
    differ, large = alarm_rates(100, 1000, 100)
    assert differ <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 100)
    assert large <= 0.01
    assert alarm_rates(20, 1000, 100, 1.5)[1] == 1.0  # the control: a shift is seen


@pytest.mark.exhaustive
@pytest.mark.parametrize("n", [20, 50, 200, 1000, 10_000])
@pytest.mark.parametrize("m", [50, 200, 1000])
def test_the_rate_of_false_alarms_is_that_of_the_level(m, n):
    differ, large = alarm_rates(400, m, n)
    assert differ <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert large <= (0.02 if min(m, n) >= 200 else 0.08)  # of few rows, what is seen is large


def test_a_missing_category_is_shown_as_such(rng):
    train = make_table({"x": ["a", "b"] * 100}, [0, 1] * 100)
    new = make_table({"x": ["a", MISSING] * 100}, [0, 1] * 100)
    found = drift_of(train, new)["x"]
    assert (found.bin, found.unseen) == ("not in train", ("missing",))
    back = drift_of(new, train)["x"]
    assert (back.bin, back.unseen) == ("not in train", ("b",))
    halved = drift_of(new, make_table({"x": [MISSING] * 100}, [0, 1] * 50))["x"]
    assert halved.bin == "missing"
