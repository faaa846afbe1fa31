"""A column of dates becomes its parts, whatever the zone of text or machine; nothing is guessed."""

import os
import time

import numpy as np
import pandas as pd
import pytest

from pipeline.config.contract import DataSettings
from pipeline.errors import ConfigError, DataError
from pipeline.stages.read import read_rows
from pipeline.stages.validate import MISSING, validate

PARTS = ["year", "month", "weekday", "hour", "days"]


def settings(path, **column):
    return DataSettings.parse({
        "name": "t", "path": str(path), "min_rows": 1,
        "target": {"name": "y", "positive": ["1"]},
        "columns": {
            "day": {"kind": "date", "parts": PARTS, **column}, "x": {"kind": "numeric"}
        },
    })  # fmt: skip


def table(path, days, **column):
    rows = [f'"{day}",{i},{i % 2}' for i, day in enumerate(days)]
    path.write_text("\n".join(["day,x,y", *rows]) + "\n")
    data = settings(path, **column)
    found = validate(read_rows(data), data).require()
    order = np.argsort(found.frame["x"])
    return found.frame.iloc[order].reset_index(drop=True), found.dates["day"][order]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t.csv"


def test_the_parts_are_pandas(path):
    days = [
        "2020-02-29",
        "2021-12-31T23:59:59",
        "1969-07-20 20:17",
        "1900-01-01",
        "2199-03-01T23",
    ]
    frame, dates = table(path, days)
    known = pd.Series(pd.to_datetime(days, format="ISO8601"))
    assert frame["day.year"].tolist() == known.dt.year.astype(float).tolist()
    assert frame["day.month"].tolist() == known.dt.month.astype(str).tolist()
    assert frame["day.weekday"].tolist() == known.dt.day_name().str[:3].tolist()
    assert frame["day.hour"].tolist() == known.dt.hour.astype(str).tolist()
    expected = (known - pd.Timestamp(0)) / pd.Timedelta(days=1)
    assert frame["day.days"].to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-15)
    assert (dates == known.to_numpy()).all()
    assert dates.dtype == "datetime64[us]"


def test_days_are_from_the_reference(path):
    frame, _ = table(path, ["2020-01-01", "2020-01-03T12:00"], reference="2020-01-02")
    assert frame["day.days"].tolist() == [-1.0, 1.5]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_a_zone_is_converted_to_utc_whatever_that_of_the_machine(path, zone, monkeypatch):
    monkeypatch.setitem(os.environ, "TZ", zone)
    time.tzset()
    try:
        frame, dates = table(
            path, ["2020-01-01T23:30:00-05:00", "2020-07-01 12:00", "2020-07-01T12Z"]
        )
    finally:
        monkeypatch.delitem(os.environ, "TZ")
        time.tzset()
    assert dates.astype(str).tolist() == [
        "2020-01-02T04:30:00.000000", "2020-07-01T12:00:00.000000", "2020-07-01T12:00:00.000000"
    ]  # fmt: skip
    assert frame["day.weekday"].tolist() == ["Thu", "Wed", "Wed"]


def test_a_format_is_strptimes(path):
    _, dates = table(path, ["31.12.2020", "01.02.2021"], format="%d.%m.%Y")
    assert dates.astype("datetime64[D]").astype(str).tolist() == ["2020-12-31", "2021-02-01"]


def test_a_missing_date_is_missing_in_each_part(path):
    frame, dates = table(path, ["2020-01-01", "", "2021-01-01"], missing="input")
    assert frame["day.month"].tolist() == ["1", MISSING, "1"]
    assert np.isnan(frame["day.days"]).tolist() == [False, True, False]
    assert np.isnat(dates).tolist() == [False, True, False]


def test_what_is_no_date_is_refused_with_line_value_and_the_format_that_it_has(path):
    days = ["2020-01-01", "31.12.2020", "2020-02-30"]
    with pytest.raises(DataError) as refusal:
        table(path, days)
    message = str(refusal.value)
    assert "column day must be a date of ISO 8601" in message
    assert "'31.12.2020'" in message
    assert "lines 3, 4" in message
    assert "set data.columns.day.format='%d.%m.%Y'" in message


def test_a_missing_date_is_refused_where_it_is_not_an_input(path):
    with pytest.raises(DataError, match="column day must not be missing"):
        table(path, ["2020-01-01", ""])


@pytest.mark.parametrize("column", [{"format": "%d.%m"}, {"format": "%Q"}, {"reference": "soon"}])
def test_a_format_that_holds_no_date_is_refused(column, path):
    with pytest.raises(ConfigError, match=f"columns.day.*{next(iter(column))} must"):
        settings(path, **column)


def test_a_date_without_parts_is_no_input(path):
    frame, dates = table(path, ["2020-01-01", "2021-01-01"], parts=[])
    assert [*frame.columns] == ["x"]
    assert len(dates) == 2


def test_rows_of_equal_parts_contradict_each_other_wherever_they_stand(path):
    path.write_text("day,x,y\n2020-01-01,1,0\n2020-01-05,2,0\n2021-01-09,1,1\n")
    data = settings(path, parts=["month"])
    assert "2 rows (66.7 %)" in validate(read_rows(data), data).warnings[0]
