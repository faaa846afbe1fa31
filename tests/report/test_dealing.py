"""The summary says how rows were dealt, and warns of groups that train knows."""

import pytest

from pipeline.report.dealing import format_dealing
from pipeline.stages.split import Dealing

DATA = {"valid": None, "test": "data/b.csv"}


def said(dealing, **split):
    return " | ".join(format_dealing(dealing, {"split": split, "data": DATA}))


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ({"name": "stratified", "seed": 3}, "stratified, split seed 3"),
        ({"name": "group", "seed": 3}, "whole groups, split seed 3"),
        (
            {"name": "folds", "seed": 3, "fold": 1, "folds": 5},
            "fold 2 of 5 validates, split seed 3",
        ),
        ({"name": "files"}, "files, test is data/b.csv"),
        ({"name": "time"}, "by time, valid from 2024-01-01, test from 2024-07-01T12:00:00"),
    ],
)
def test_each_way_says_by_what_rows_were_dealt(split, words):
    cuts = {"valid": "2024-01-01", "test": "2024-07-01T12:00:00"}
    found = said(Dealing((6000, 20, 10), cuts=cuts if split["name"] == "time" else {}), **split)
    assert found == f"6,000 rows train, 20 validate, 10 test; {words}"


def test_rows_that_are_not_held_out_are_said_to_be_so():
    assert said(Dealing((60, 0, 60)), name="none").startswith("NONE: all 60 rows")


def test_groups_that_train_knows_are_warned_of_with_the_cure():
    dealing = Dealing((60, 20, 20), (30, 15, 14), 9)
    found = said(dealing, name="stratified", seed=0)
    assert "they are of 30 groups, 15 and 14" in found
    assert "warning: 9 groups of test are in train as well" in found
    assert found.endswith("use split=group")
    assert "use split=group" not in said(dealing, name="time")
    assert "warning" not in said(Dealing((60, 20, 20), (30, 15, 14)), name="group", seed=0)
