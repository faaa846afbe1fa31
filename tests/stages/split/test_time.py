"""Train on the past: cuts by shares or as given, and never one moment in two parts."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from builders import make_table

from pipeline.config.split_settings import TimeSplit
from pipeline.errors import DataError
from pipeline.stages.split import split_table
from pipeline.stages.split.time import time_folds


def dated(moments, seed=0):
    moments = np.asarray(moments, "datetime64[s]")
    y = np.random.default_rng(seed).integers(0, 2, len(moments)).astype(float)
    table = make_table({"a": ["x"] * len(moments)}, y)
    return replace(table, dates={"day": moments})


def test_the_latest_rows_test_and_those_before_them_validate():
    days = np.datetime64("2020-01-01") + np.random.default_rng(0).permutation(1000)
    split = split_table(dated(days), TimeSplit(name="time"))
    assert split.sizes == (600, 200, 200)
    ends = [(part.dates["day"].min(), part.dates["day"].max())
            for part in (split.train, split.valid, split.test)]  # fmt: skip
    assert ends[0][1] < ends[1][0]
    assert ends[1][1] < ends[2][0]
    cuts = {"valid": "2021-08-23", "test": "2022-03-11"}
    assert split.dealing.cuts == cuts
    first = np.datetime64("2020-01-01")
    assert [str(first + 600), str(first + 800)] == [*cuts.values()]


def test_rows_of_one_moment_are_in_one_part():
    days = np.datetime64("2020-01-01") + np.random.default_rng(1).integers(0, 7, 1000)
    split = split_table(dated(days), TimeSplit(name="time"))
    held = [set(part.dates["day"]) for part in (split.train, split.valid, split.test)]
    assert sum(map(len, held)) == len(set.union(*held)) == 7


def test_cut_dates_that_are_given_are_kept():
    days = np.datetime64("2020-01-01") + np.arange(1000)
    settings = TimeSplit(name="time", valid_from="2020-07-01", test_from="2022-01-01T12:00")
    split = split_table(dated(days), settings)
    assert split.dealing.cuts == {"valid": "2020-07-01", "test": "2022-01-01T12:00:00"}
    assert split.valid.dates["day"].min() == np.datetime64("2020-07-01")
    assert split.test.dates["day"].min() == np.datetime64("2022-01-02")


def test_shares_are_of_the_rows_before_a_cut_that_is_given():
    days = np.datetime64("2020-01-01") + np.arange(1000)
    split = split_table(dated(days), TimeSplit(name="time", test_from="2021-05-15"))
    assert split.sizes == (300, 200, 500)


def test_no_validation_rows_where_their_share_is_zero():
    days = np.datetime64("2020-01-01") + np.arange(100)
    split = split_table(dated(days), TimeSplit(name="time", valid=0.0))
    assert split.valid is None
    assert split.sizes == (80, 0, 20)
    assert {*split.dealing.cuts} == {"test"}


def test_a_row_without_a_date_is_refused():
    days = np.datetime64("2020-01-01") + np.arange(100)
    days[3] = np.datetime64("NaT")
    with pytest.raises(DataError, match=r"must hold a date in every row.*got 1 rows"):
        split_table(dated(days), TimeSplit(name="time"))


def test_a_cut_after_all_rows_leaves_nothing_to_test_and_says_so():
    days = np.datetime64("2020-01-01") + np.arange(100)
    with pytest.raises(DataError, match=r"test must hold both classes.*split\.test_from"):
        split_table(dated(days), TimeSplit(name="time", test_from="2030-01-01"))


def test_folds_by_time_are_blocks_of_about_as_many_rows_and_no_moment_is_in_two():
    days = np.datetime64("2020-01-01") + np.random.default_rng(2).integers(0, 100, 1000)
    table = dated(days)
    folds = time_folds(table, None, 5)
    assert (folds.sum(axis=0) == table.count).all()
    assert folds.sum(axis=1) == pytest.approx(200, abs=20)
    ends = [(min(days[fold > 0]), max(days[fold > 0])) for fold in folds]
    assert all(last < first for (_, last), (first, _) in pairwise(ends))
    one = time_folds(dated(days[:1].repeat(20)), "day", 5)
    assert sorted(one.sum(axis=1)) == [0, 0, 0, 0, 20]
