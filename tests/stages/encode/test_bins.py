"""Numbers become bins: by quantiles of train or as given, merged where an order is asked for."""

import numpy as np
import pandas as pd
import pytest
from builders import CONFIG, make_data, make_table
from sklearn.isotonic import IsotonicRegression

from pipeline.config.column_settings import Numeric
from pipeline.config.schema import EncodeSettings, RunConfig
from pipeline.errors import ConfigError
from pipeline.stages.encode import encode, fit_encoder
from pipeline.stages.encode.bins import fit_edges


def edges(x, y=None, count=None, **column):
    table = make_table({"x": x}, np.arange(len(x)) % 2 if y is None else y, count)
    return fit_edges(table, "x", Numeric.parse({"kind": "numeric", **column}))


def test_quantile_bins_hold_as_many_rows_as_pandas_puts_there():
    x = np.random.default_rng(0).normal(size=1000)
    found = np.bincount(np.searchsorted(edges(x, bins=8), x, side="right"))
    expected = pd.Series(pd.qcut(x, 8)).value_counts(sort=False)
    assert found.tolist() == expected.tolist()


def test_edges_are_the_shortest_numbers_that_part_the_same_rows():
    assert edges([17.93, 18.21, 17.9, 18.5], bins=2) == (18.0,)
    assert edges([1.0, 2.0, 3.0, 4.0], bins=2) == (3.0,)


def test_many_equal_numbers_share_a_bin():
    assert edges([0.0] * 9 + [1.0], bins=5) == (0.5,)
    assert edges([2.0] * 5, bins=5) == ()


def test_a_row_counts_as_often_as_it_occurs():
    assert edges([1.0, 2.0, 3.0], count=[8, 1, 1], bins=2) == edges([1.0] * 8 + [2.0, 3.0], bins=2)


def test_given_edges_begin_the_bin_above_them_and_none_is_where_the_contract_ends():
    data = make_data({"x": {"kind": "numeric", "minimum": 0.0, "bins": [0.0, 18.0, 65.5]}})
    table = make_table({"x": [0.0, 17.9, 18.0, 70.0]}, [0, 1, 0, 1])
    encoder = fit_encoder(table, EncodeSettings(), data)
    assert encoder.inputs == ("x=below 18", "x=18 to below 65.5", "x=65.5 or more")
    assert encode(encoder, table, "all").X.argmax(axis=1).tolist() == [0, 0, 1, 2]


def test_a_missing_number_is_a_bin_of_its_own():
    data = make_data({"x": {"kind": "numeric", "missing": "input", "bins": [1.0]}})
    table = make_table({"x": [0.0, np.nan, 2.0]}, [0, 1, 0])
    encoder = fit_encoder(table, EncodeSettings(), data)
    assert encoder.inputs[-1] == "x=missing"
    assert encode(encoder, table, "all").X.argmax(axis=1).tolist() == [0, 2, 1]


@pytest.mark.parametrize("way", ["increasing", "decreasing"])
@pytest.mark.parametrize("seed", range(5))
def test_ordered_bins_are_those_within_which_isotonic_regression_is_constant(way, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=500)
    sign = 1 if way == "increasing" else -1
    y = (rng.uniform(size=500) < 0.5 + 0.3 * sign * (x - 0.5)).astype(float)
    free, kept = edges(x, y, bins=12), edges(x, y, bins=12, monotone=way)
    code = np.searchsorted(free, x, side="right")
    oracle = IsotonicRegression(increasing=way == "increasing").fit(code, y)
    levels = oracle.predict(np.arange(len(free) + 1))
    expected = [edge for edge, step in zip(free, np.diff(levels), strict=True) if abs(step) > 1e-12]
    assert list(kept) == expected
    rates = [y[np.searchsorted(kept, x, side="right") == i].mean() for i in range(len(kept) + 1)]
    assert (sign * np.diff(rates) > 0).all()
    assert len(kept) < len(free)


def test_an_empty_bin_breaks_no_order():
    assert edges([0.0, 0.5, 5.0, 5.5], [0, 0, 1, 1], bins=[1.0, 2.0], monotone="increasing") == (
        2.0,
    )


@pytest.mark.parametrize(
    "column", [{"bins": [2.0, 1.0]}, {"bins": 1}, {"bins": []}, {"bins": 3, "spline": 4}]
)
def test_bins_that_are_none_are_refused(column):
    with pytest.raises(ConfigError, match="bins"):
        Numeric.parse({"kind": "numeric", **column})


def test_bins_are_crossed_with_words():
    data = make_data({"x": {"kind": "numeric", "bins": [1.0]}, "a": {"kind": "categorical"}})
    table = make_table({"x": [0.0, 2.0, 2.0], "a": ["p", "p", "q"]}, [0, 1, 0])
    encoder = fit_encoder(table, EncodeSettings.parse({"crosses": [["x", "a"]]}), data)
    assert encoder.inputs == (
        "x:a=below 1:p", "x:a=below 1:q", "x:a=1 or more:p", "x:a=1 or more:q"
    )  # fmt: skip
    assert encode(encoder, table, "all").X.argmax(axis=1).tolist() == [0, 2, 3]


@pytest.mark.parametrize(
    ("column", "crosses", "rule"),
    [
        (
            {"monotone": "increasing"},
            [],
            r"monotone must go with bins.*data.columns.safe.bins=5",
        ),
        ({}, [["safe", "safety"]], r"categories or bins.*'safe'.*data.columns.safe.bins=5"),
    ],
)
def test_what_needs_bins_says_how_to_get_them(column, crosses, rule):
    data = CONFIG["data"] | {
        "columns": CONFIG["data"]["columns"] | {"safe": {"kind": "numeric", **column}}
    }
    tree = CONFIG | {"data": data, "encode": {"crosses": crosses}}
    with pytest.raises(ConfigError, match=rule):
        RunConfig.parse(tree)
    RunConfig.parse(tree | {"encode": {"crosses": crosses, "bins": 5}})
