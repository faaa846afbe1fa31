"""Parquet is read type by type; what is no table is refused with the command that makes it one."""

import datetime as dt
import decimal
import io
import os
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import files
from pipeline.config.contract import DataSettings
from pipeline.errors import DataError
from pipeline.stages.read import lines_of, read_in_order, read_rows
from pipeline.stages.read.numbers import parse_numbers

NOON = dt.datetime(2026, 1, 31, 12)
TYPES: dict[str, tuple[pa.Array, list[str]]] = {
    "boolean": (pa.array([True, False, None]), ["true", "false", ""]),
    "integer": (pa.array([1, -(2**63), None], pa.int64()), ["1", "-9223372036854775808", ""]),
    "unsigned": (pa.array([0, 255, None], pa.uint8()), ["0", "255", ""]),
    "decimal": (
        pa.array([decimal.Decimal("1.50"), decimal.Decimal("-0.05"), None]),
        ["1.50", "-0.05", ""],
    ),
    "double": (pa.array([0.1, 1e22, float("nan")]), ["0.1", "1e+22", "nan"]),
    "float": (pa.array([0.1, 2, None], pa.float32()), ["0.1", "2.0", ""]),
    "dictionary": (pa.array(["a", "b", None]).dictionary_encode(), ["a", "b", ""]),
    "dictionary of integers": (pa.array([7, 8, None]).dictionary_encode(), ["7", "8", ""]),
    "date": (pa.array([NOON.date(), dt.date(1, 1, 1), None]), ["2026-01-31", "0001-01-01", ""]),
    "timestamp": (
        pa.array([NOON, NOON.replace(microsecond=500), None]),
        ["2026-01-31 12:00:00", "2026-01-31 12:00:00.0005", ""],
    ),
    "timestamp with a zone": (
        pa.array([NOON, NOON.replace(month=7), None], pa.timestamp("us", "America/New_York")),
        ["2026-01-31 12:00:00+00:00", "2026-07-31 12:00:00+00:00", ""],
    ),
    "nanoseconds with a zone": (
        pa.array([0, 10**18, None], pa.timestamp("ns", "UTC")),
        ["1970-01-01 00:00:00+00:00", "2001-09-09 01:46:40+00:00", ""],
    ),
    "text": (pa.array([" a ", "ä", None]), [" a ", "ä", ""]),
}


def contract(path: Path, **changes: Any) -> DataSettings:
    tree = {
        "name": "t",
        "path": str(path),
        "target": {"name": "y", "positive": ["yes"]},
        "columns": {"x": {"kind": "categorical"}},
    }
    return DataSettings.parse(tree | changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.parquet"


def read(path: Path, column: pa.Array, **changes: Any) -> list[str]:
    pq.write_table(pa.table({"x": column, "y": ["yes", "no", "no"]}), path)
    frame, _ = read_in_order(path, contract(path, **changes), need_target=True)
    rows = read_rows(contract(path, **changes))
    assert sorted(frame["x"]) == sorted(rows.frame["x"].repeat(rows.count))
    return frame["x"].tolist()


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_of_parquet_is_written_one_way(path, kind):
    column, text = TYPES[kind]
    assert read(path, column) == text


@pytest.mark.parametrize("kind", ["timestamp with a zone", "timestamp", "date"])
def test_a_moment_is_read_back_by_python_and_pandas(path, kind):
    column, text = TYPES[kind]
    parsed = [pd.Timestamp(moment) for moment in text[:2]] if kind != "date" else []
    assert parsed == [pd.Timestamp(moment) for moment in column.to_pylist()[: len(parsed)]]
    assert [dt.datetime.fromisoformat(moment) for moment in text[:2]]


@pytest.mark.parametrize("mark", [".", ","])
@pytest.mark.parametrize("type_", [pa.float64(), pa.float32()])
def test_numbers_of_parquet_come_back_to_the_last_bit_with_any_decimal_mark(path, mark, type_):
    numbers = pa.array([1 / 3, -1e-300, 123456.789], pa.float64()).cast(type_)
    text = read(path, numbers, decimal=mark)
    again = parse_numbers(pd.Series(text, dtype="str"), contract(path, decimal=mark))
    assert np.array_equal(again.astype(numbers.to_numpy().dtype), numbers.to_numpy())


ZONED = """
import sys, duckdb
from pathlib import Path
from pipeline.config.contract import DataSettings
from pipeline.stages.read import read_rows
data = DataSettings.parse({"name": "t", "path": sys.argv[1], "target": {"name": "y",
    "positive": ["yes"]}, "columns": {"x": {"kind": "categorical"}}})
print(read_rows(data).digest)
print(duckdb.sql(f"SELECT CAST(x AS VARCHAR) FROM '{sys.argv[1]}'").fetchall()[0][0])
"""


def test_a_moment_with_a_zone_is_the_same_text_wherever_it_is_read(path):
    """The negative control: what DuckDB alone writes is local time."""
    pq.write_table(
        pa.table({"x": TYPES["timestamp with a zone"][0], "y": ["yes", "no", "no"]}), path
    )
    said = {}
    for zone in ("UTC", "Asia/Tokyo"):
        said[zone] = subprocess.run(
            [sys.executable, "-c", ZONED, str(path)], cwd=files.PROJECT, text=True, check=True,
            capture_output=True, env={**os.environ, "TZ": zone},
        ).stdout.splitlines()  # fmt: skip
    assert said["UTC"][0] == said["Asia/Tokyo"][0]
    assert said["UTC"][1] != said["Asia/Tokyo"][1]


def test_blanks_of_parquet_are_taken_away_where_they_are_asked_for(path):
    assert read(path, pa.array([" a ", "a", "\u00a0b\t"]), strip=True) == ["a", "a", "b"]
    sought = [("x", frozenset("a"))]
    assert lines_of(path, contract(path, strip=True), sought) == [(1, 2)]


# --- what is no table ----------------------------------------------------------------------------


def refusal(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_rows(contract(path))
    return str(error.value)


def test_a_workbook_is_refused_with_its_conversion(tmp_path):
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    path = tmp_path / "it's a book.xlsx"
    message = refusal(path, book.getvalue())
    assert "got an Excel workbook" in message
    *install, python, _, code = shlex.split(message[message.index(".venv") :])
    assert install == [".venv/bin/pip", "install", "openpyxl", "&&"]
    assert python == ".venv/bin/python"
    compile(code, "", "exec")
    assert str(path.with_suffix(".csv")) in code


JSON = '{"x": "007", "y": "yes"}\n{"x": "a,b", "y": "no"}\n'


@pytest.mark.parametrize("name", ["t.jsonl", "t.csv"])
@pytest.mark.parametrize("content", [JSON, f"[{JSON.strip()}]".replace("\n", ",\n")])
def test_json_is_refused_with_a_command_that_converts_it(tmp_path, name, content):
    message = refusal(tmp_path / name, content.encode())
    assert f"got JSON{' lines' * (content == JSON)}" in message
    command = shlex.split(message[message.index(".venv") :])
    subprocess.run([sys.executable, *command[1:]], check=True)
    (made,) = [path for path in tmp_path.iterdir() if path.name != name]
    assert read_rows(contract(made)).frame["x"].tolist() == ["007", "a,b"]


def test_a_cell_in_braces_is_no_json(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,y\n{a},yes\n{},no\n")
    assert read_rows(contract(path)).count.sum() == 2


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html>", b"<html><body>Sign in"])
def test_a_page_that_was_downloaded_instead_is_named(tmp_path, content):
    assert "a page of the web" in refusal(tmp_path / "t.csv", content)
