"""Dates are known by a form that every one of them has."""

import pandas as pd
import pytest

from pipeline.draft.date_forms import date_form

DAYS = pd.date_range("2023-01-01", periods=400, freq="27h")


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("%Y-%m-%d", None),
        ("%Y-%m-%d %H:%M:%S", None),
        ("%Y-%m-%dT%H:%M:%SZ", None),
        ("%Y-%m-%d %H:%M:%S+02", None),
        ("%d.%m.%Y", "%d.%m.%Y"),
        ("%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M"),
        ("%d/%m/%Y", "%d/%m/%Y"),
        ("%m/%d/%Y", "%m/%d/%Y"),
        ("%m/%d/%y", "%m/%d/%y"),
        ("%Y/%m/%d", "%Y/%m/%d"),
        ("%Y%m%d", "%Y%m%d"),
        ("%d %b %Y", "%d %b %Y"),
        ("%d-%b-%Y", "%d-%b-%Y"),
        ("%B %d, %Y", "%B %d, %Y"),
    ],
)
def test_the_form_is_found_and_is_the_only_one(form, expected):
    found = date_form([*DAYS.strftime(form)])
    assert (found.form, found.rival) == (expected, None)
    assert (found.first, found.last) == ("2023-01-01", DAYS[-1].strftime("%Y-%m-%d"))
    assert found.has_time == ("%H" in form)


def test_a_day_that_may_be_a_month_is_asked_about():
    found = date_form(["01/02/2023", "03/04/2023"])
    assert (found.form, found.rival) == ("%d/%m/%Y", "%m/%d/%Y")


@pytest.mark.parametrize(
    "values", [[], ["1.2"], ["12"], ["2023"], ["2023-02-30"], ["2023-01-01", "soon"], ["a-b-c"]]
)
def test_other_texts_are_no_dates(values):
    assert date_form(values) is None
