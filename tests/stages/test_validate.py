"""Every rule of the contract is checked on every row, and every fault is told at once."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import car
from pipeline.config import DataSettings
from pipeline.errors import MAX_MESSAGE, DataError
from pipeline.stages.read import Rows, read_in_order, read_rows
from pipeline.stages.validate import MISSING, Validation, check_attributes, convert, validate

NAMES = [*car.ATTRIBUTES, "class"]
CARS = [list(row) for row in car.rows()]
WORDS = {name: {"kind": "categorical", "categories": list(v)} for name, v in car.ATTRIBUTES.items()}
NUMBER = {"kind": "numeric"}


def contract(path: Path | str = "t.csv", **changes: object) -> DataSettings:
    tree = {
        "name": "car",
        "path": str(path),
        "names": NAMES,
        "target": {"name": "class", "positive": ["acc", "good", "vgood"], "negative": ["unacc"]},
        "columns": WORDS,
    }
    return DataSettings.parse(tree | changes)


def checked(path: Path, rows: Sequence[Sequence[str]], **changes: object) -> Validation:
    path.write_text("".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    data = contract(path, **changes)
    return validate(read_rows(data), data)


def cars_with(**cells: str) -> list[list[str]]:
    """The cars, where the column of row 9 (line 10) holds something else."""
    rows = [row[:] for row in CARS]
    for name, value in cells.items():
        rows[9][NAMES.index(name)] = value
    return rows


def messages(found: Validation) -> str:
    with pytest.raises(DataError) as error:
        found.require()
    assert found.table is None
    assert len(str(error.value)) <= MAX_MESSAGE
    return str(error.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


def numeric(path: Path, values: Sequence[str], **column: object) -> Validation:
    """Twenty rows or more of one number and a class that alternates."""
    rows = [[value, ("unacc", "acc")[i % 2]] for i, value in enumerate(values)]
    columns = {"x": NUMBER | column}
    return checked(path, rows, names=["x", "class"], columns=columns, min_rows=1)


def test_the_cars_hold_every_rule(path):
    """The negative control of this module."""
    found = checked(path, CARS)
    table = found.require()
    assert (found.n_rows, found.n_distinct, found.n_positive) == (1728, 1728, 518)
    assert found.faults == found.warnings == ()
    assert len(table.y) == 1728
    assert table.y.sum() == 518
    assert table.frame.columns.tolist() == list(car.ATTRIBUTES)
    assert table.count.tolist() == [1] * 1728


def test_a_table_keeps_each_row_with_its_label(path):
    """Against the rows themselves, paired by hand."""
    table = checked(path, CARS).require()
    pairs = zip(table.frame.itertuples(index=False, name=None), table.y.tolist(), strict=True)
    assert dict(pairs) == {tuple(row[:-1]): float(row[-1] != "unacc") for row in CARS}


def test_a_fault_says_column_rule_value_rows_share_lines_and_hint(path):
    """Section 3: all that is needed to mend the file."""
    rows = [row[:] for row in CARS]
    for line in (3, 9, 15, 20, 31, 40, 50, 60, 70, 80, 90, 100):
        rows[line - 1][5] = "lowww"
    assert messages(checked(path, rows)) == (
        "column safety must be one of low, med, high; got 'lowww' in 12 rows (0.7 %), "
        "lines 3, 9, 15, 20, 31; did you mean 'low'?"
    )


def test_every_fault_is_told_at_once(path):
    rows = cars_with(buying="", maint="??", persons="5", **{"class": "great"})
    text = messages(checked(path, rows))
    columns = [line.split()[1] for line in text.splitlines()]
    assert columns == ["buying", "maint", "persons", "class"]
    assert all(", line 10" in line for line in text.splitlines())


def test_offending_values_are_counted_from_the_commonest(path):
    rows = [row[:] for row in CARS]
    bad = ["x1"] * 7 + ["x2"] * 9 + ["x3"] + ["x4"] * 2 + ["x5"] * 3 + ["x6"] * 4
    for i, value in enumerate(bad):
        rows[60 * i][0] = value
    (fault,) = checked(path, rows).faults
    assert fault.examples == (("x2", 9), ("x1", 7), ("x6", 4), ("x5", 3), ("x4", 2))
    assert (fault.n_rows, fault.share) == (26, 26 / 1728)
    assert fault.lines == (1, 61, 121, 181, 241)


def test_an_unseen_category_is_told_with_line_value_and_allowed_values(path):
    """G12: unseen category."""
    text = messages(checked(path, cars_with(lug_boot="huge")))
    assert (
        text
        == "column lug_boot must be one of small, med, big; got 'huge' in 1 row (0.1 %), line 10"
    )


def test_an_unseen_class_is_told(path):
    """G12: unseen class."""
    text = messages(checked(path, cars_with(**{"class": "unac"})))
    assert "column class must be one of unacc, acc, good, vgood; got 'unac'" in text
    assert "did you mean 'unacc'?" in text


@pytest.mark.parametrize("value", ["", "?", "NA", "N/A", "NaN", "null", "None"])
@pytest.mark.parametrize("name", ["safety", "class"])
def test_a_missing_value_is_refused_by_default(path, value, name):
    """G12: ?, NA, empty cell; the article's isnull check."""
    (fault,) = checked(path, cars_with(**{name: value})).faults
    assert (fault.column, fault.rule) == (name, "must not be missing")
    assert (fault.examples, fault.lines) == (((value, 1),), (10,))


def test_an_empty_column_is_refused(path):
    """G12: empty column."""
    rows = [[*row[:5], "", row[6]] for row in CARS]
    assert "column safety must not be missing; got '' in 1728 rows (100.0 %)" in messages(
        checked(path, rows)
    )


def test_a_listed_category_is_never_missing(path):
    """NA may be a country: what the contract lists is a value."""
    columns = {**WORDS, "buying": {"kind": "categorical", "categories": ["NA", "", "med", "low"]}}
    names = {"vhigh": "NA", "high": ""}
    rows = [[names.get(row[0], row[0]), *row[1:]] for row in CARS]
    found = checked(path, rows, columns=columns)
    assert set(found.require().frame["buying"]) == {"NA", "", "med", "low"}
    assert found.profile[0].n_missing == 0


def test_a_missing_value_that_is_allowed_is_a_category_of_its_own(path):
    columns = {**WORDS, "safety": WORDS["safety"] | {"missing": "input"}}
    found = checked(path, cars_with(safety="?"), columns=columns)
    assert (found.require().frame["safety"] == MISSING).sum() == 1
    assert found.profile[-1].n_missing == 1


LOOKS = {
    "Low": "capital and small letters differ",
    " low": "spaces around it",
    "low ": "spaces around it",
    "low\u00a0": "NO-BREAK SPACE",
    "l\u200bow": "ZERO WIDTH SPACE",
    "\ufefflow": "ZERO WIDTH NO-BREAK SPACE",
    "l\u043ew": "CYRILLIC SMALL LETTER O",
}


@pytest.mark.parametrize("value", LOOKS)
def test_a_value_that_looks_like_an_allowed_one_is_shown_escaped_with_the_difference(path, value):
    """G13: case, spaces, NBSP, zero width, Cyrillic."""
    text = messages(checked(path, cars_with(safety=value)))
    assert f"did you mean 'low'? it has {LOOKS[value]}" in text or (
        f"did you mean 'low'? {LOOKS[value]}" in text
    )
    assert f"got {value!a} in 1 row" in text
    assert text.isascii()


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("doors", "2.0", "did you mean '2'? it was turned into a decimal"),
        ("doors", "5-more", "did you mean '5more'? punctuation differs"),
        ("doors", "5-May", "a spreadsheet may have turned it into a date"),
        ("persons", "02.04.2024", "a spreadsheet may have turned it into a date"),
        ("safety", "safety", "does the file have a header? Then set data.names=null"),
        ("safety", "xyz", ""),
    ],
)
def test_what_programs_do_to_values_is_recognised(path, name, value, hint):
    """G14: 2.0, 5-more, 5-May."""
    (fault,) = checked(path, cars_with(**{name: value})).faults
    assert fault.hint.endswith(hint)
    assert bool(fault.hint) == bool(hint)


@pytest.mark.parametrize("keep", ["unacc", "acc"])
def test_a_table_of_one_class_is_refused(path, keep):
    """G15: pandas and scikit-learn report an accuracy of 1.0 here."""
    rows = [row for row in CARS if row[6] == keep]
    assert "the table must hold both classes; got" in messages(checked(path, rows))


def test_one_class_is_seen_whatever_the_negative_values_are(path):
    """G15: where every other value is negative, and some are missing."""
    target = {"name": "class", "positive": ["unacc"]}
    rows = [row for row in CARS if row[6] == "unacc"]
    rows[0] = [*rows[0][:6], "?"]
    text = messages(checked(path, rows, target=target))
    assert "got 1209 positive and 0 negative rows of class" in text
    assert "column class must not be missing" in text


@pytest.mark.parametrize("n", [1, 2, 5])
def test_too_few_rows_are_refused_with_the_minimum(path, n):
    """G17: 1, 2, 5 rows."""
    text = messages(checked(path, CARS[-n:]))
    assert f"the table must hold at least 20 rows (data.min_rows); got {n}" in text.splitlines()


def test_the_minimum_is_inclusive_and_counts_copies(path):
    """G17: two rows that stand for twenty are twenty."""
    two = [CARS[0], next(row for row in CARS if row[6] != "unacc")]
    assert checked(path, two * 10).require().count.sum() == 20
    assert "got 18" in messages(checked(path, two * 9))


def test_identical_rows_are_refused(path):
    """G18: all rows identical are of one class."""
    found = checked(path, [CARS[0]] * 100)
    assert "must hold both classes" in messages(found)
    assert "99 of 100 rows repeat another row (1 distinct)" in found.warnings[0]


def test_a_doubled_file_is_told_with_the_count(path):
    """G18: doubled file."""
    found = checked(path, CARS * 2)
    assert found.require().count.tolist() == [2] * 1728
    (warning,) = found.warnings
    assert "1728 of 3456 rows repeat another row (1728 distinct)" in warning


def contradictory() -> list[list[str]]:
    """Three times the opposite of line 1, once the opposite of line 2."""
    return [*CARS, *[[*CARS[0][:6], "acc"]] * 3, [*CARS[1][:6], "good"]]


def test_contradictory_labels_are_told_with_count_and_the_best_accuracy(path):
    """G19: 4 + 2 rows are in dispute; a model gets at most 3 + 1 of them."""
    found = checked(path, contradictory())
    assert found.require()
    assert "6 rows (0.346 %) have the attributes of a row of the other class" in found.warnings[0]
    assert f"accuracy {1 - 2 / 1732:.4f} here" in found.warnings[0]


def test_two_positive_values_for_the_same_attributes_do_not_contradict(path):
    """G19: acc and vgood are both class 1."""
    row = next(row for row in CARS if row[6] == "acc")
    assert not any(
        "other class" in line for line in checked(path, [*CARS, [*row[:6], "vgood"]]).warnings
    )


def test_too_many_contradictions_are_refused(path):
    """G19: error if more than the share that is allowed."""
    text = messages(checked(path, contradictory(), max_contradictory=0.003))
    assert text.startswith("the table must hold at most 0.3% rows that contradict")
    assert text.endswith("got 0.3%")
    assert checked(path, contradictory(), max_contradictory=0.004).require()


def test_the_best_accuracy_is_that_of_the_best_table_of_answers(path):
    """G19 against pandas: the commoner class of every combination."""
    rng = random.Random(0)
    rows = [[rng.choice("ab"), rng.choice("cde"), rng.choice(["unacc", "acc"])] for _ in range(99)]
    columns = {"a": {"kind": "categorical"}, "b": {"kind": "categorical"}}
    found = checked(path, rows, names=["a", "b", "class"], columns=columns)
    commoner = pd.DataFrame(rows).groupby([0, 1])[2].agg(lambda cell: cell.value_counts().max())
    assert f"accuracy {commoner.sum() / 99:.4f} here" in found.warnings[0]


def test_a_category_that_no_row_has_is_told(path):
    """G20: and it stays in the contract, so that the width of the inputs is constant."""
    found = checked(path, [row for row in CARS if row[2] != "3" and row[6] != "good"])
    assert "column doors: no row has '3'" in found.warnings
    assert "target class: no row has 'good'" in found.warnings
    assert found.require()


def test_a_constant_column_is_told(path):
    found = checked(path, [row for row in CARS if row[0] == "low"])
    assert "column buying says nothing: every row has 'low'" in found.warnings


@pytest.mark.parametrize("seed", range(3))
def test_counted_rows_are_profiled_as_the_long_table_would_be(path, seed):
    """Every figure against pandas on the rows written out one by one."""
    rng = random.Random(seed)
    rows = [
        [rng.choice(["a", "b", "c", "?"]), rng.choice(["1.5", "2", "-3e1", ""]), rng.choice("yn")]
        for _ in range(300)
    ]
    columns = {
        "w": {"kind": "categorical", "missing": "input"},
        "x": NUMBER | {"missing": "input"},
    }
    target = {"name": "class", "positive": ["y"]}
    found = checked(path, rows, names=["w", "x", "class"], columns=columns, target=target)
    words, figures = found.profile
    long = pd.DataFrame(rows, columns=["w", "x", "y"]).assign(y=lambda f: f["y"] == "y")
    known = long[long["w"] != "?"].groupby("w")["y"].agg(["size", "mean"])
    assert {c.value: c.n_rows for c in words.categories} == known["size"].to_dict()
    assert {c.value: c.positive_share for c in words.categories} == pytest.approx(
        known["mean"].to_dict()
    )
    assert words.n_missing == (long["w"] == "?").sum()
    x = pd.to_numeric(long["x"])
    assert (figures.minimum, figures.maximum) == (x.min(), x.max())
    assert figures.mean == pytest.approx(x.mean(), rel=1e-13)
    assert figures.n_missing == x.isna().sum()
    assert (found.n_rows, found.n_positive) == (300, long["y"].sum())
    assert found.n_distinct == len({tuple(row) for row in rows})


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_changes_nothing_but_lines(path, seed):
    """G21: a shuffled file gives the same table and the same profile."""
    rows = cars_with(safety="lowww")
    plain, again = checked(path, rows), checked(path, random.Random(seed).sample(rows, len(rows)))
    assert plain.profile == again.profile
    assert [f.examples for f in plain.faults] == [f.examples for f in again.faults]
    a, b = checked(path, CARS).require(), checked(path, CARS[::-1]).require()
    assert a.frame.equals(b.frame)
    assert a.y.tolist() == b.y.tolist()


def test_repeating_the_table_scales_every_count(path):
    once, thrice = checked(path, cars_with(doors="6")), checked(path, cars_with(doors="6") * 3)
    assert [3 * f.n_rows for f in once.faults] == [f.n_rows for f in thrice.faults]
    assert [f.share for f in once.faults] == [f.share for f in thrice.faults]
    for a, b in zip(once.profile, thrice.profile, strict=True):
        assert [3 * c.n_rows for c in a.categories] == [c.n_rows for c in b.categories]
        assert [c.positive_share for c in a.categories] == [c.positive_share for c in b.categories]


GOOD = ["0", "-0.0", "+1", "2.5", ".5", "5.", "1e3", "-1.25E-7", "0007", "1e-400", "123456789012"]
BAD = ["NaN!", "inf", "-Infinity", "0x1f", "1_000", "1,5", "１", "1e999", "--1", "1e", ".", "e5"]
BAD += ["1.2.3", "1 2", " 1", "1\t", "12 kg", "5-May", "1\u00a0", "\u22121"]


def test_decimal_and_scientific_text_is_a_number(path):
    """Converted as Python does, which rounds correctly."""
    table = numeric(path, GOOD * 2).require()
    assert sorted(set(table.frame["x"])) == sorted({float(text) for text in GOOD})
    assert table.frame["x"].dtype == np.float64


@pytest.mark.parametrize("value", BAD)
def test_text_that_is_no_number_is_refused(path, value):
    """Section 5: NaN, infinity, hexadecimal, separators, other scripts: nothing is guessed."""
    (fault,) = numeric(path, [f'"{value}"', *GOOD * 2]).faults
    assert (fault.column, fault.rule) == ("x", "must be a number")
    assert fault.examples == ((value, 1),)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("inf", "every number must be finite"),
        ("1e999", "every number must be finite"),
        ("1,5", "is the comma a decimal point? Write a point"),
        ("1,234.5", "leave out what separates thousands"),
        ("0x1f", "write numbers in decimals"),
        ("12 kg", "write numbers without a unit"),
        (" 7", "it has spaces around it"),
        ("\u22127", "it has MINUS SIGN"),
        ("5-May", "a spreadsheet may have turned it into a date"),
        ("abc", ""),
    ],
)
def test_a_number_that_almost_is_one_is_recognised(path, value, hint):
    (fault,) = numeric(path, [f'"{value}"', *GOOD * 2]).faults
    assert fault.hint == hint


def test_bounds_are_inclusive(path):
    assert numeric(path, ["0", "10", "5"], minimum=0.0, maximum=10.0).require()
    text = messages(
        numeric(path, ["0", "10", "-1e-300", "10.000000000000002"], minimum=0.0, maximum=10.0)
    )
    assert "column x must be at least 0; got '-1e-300' in 1 row (25.0 %), line 3" in text
    assert "column x must be at most 10; got '10.000000000000002' in 1 row (25.0 %), line 4" in text


def test_a_missing_number_that_is_allowed_is_nan(path):
    table = numeric(path, ["1", "", "?", "4"], missing="input").require()
    assert np.isnan(table.frame["x"]).sum() == 2
    assert "column x must not be missing" in messages(numeric(path, ["1", "", "?", "4"]))


def test_a_number_that_is_listed_as_missing_is_no_number(path):
    """It keeps no bound, and neither the profile nor the neuron takes it for a value."""
    rows = [[value, ("unacc", "acc")[i % 2]] for i, value in enumerate(["1", "-999", "4", "1e999"])]
    more = {"names": ["x", "class"], "min_rows": 1, "missing_values": ["", "-999", "1e999"]}
    column = NUMBER | {"minimum": 0, "missing": "input"}
    found = checked(path, rows, columns={"x": column}, **more)
    x = found.require().frame["x"].to_numpy()
    assert sorted(x[~np.isnan(x)].tolist()) == [1.0, 4.0]
    assert np.isnan(x).sum() == found.profile[0].n_missing == 2
    assert (found.profile[0].minimum, found.profile[0].mean) == (1.0, 2.5)
    refused = checked(path, rows, columns={"x": NUMBER | {"minimum": 0}}, **more)
    assert [(fault.rule, fault.n_rows) for fault in refused.faults] == [("must not be missing", 2)]


def test_a_number_too_large_to_reckon_with_is_refused_with_its_line(path):
    """Its square, and sums of such, would overflow; it stands for something else."""
    assert numeric(path, ["1e100", "-1e100", "5"]).require()
    (fault,) = numeric(path, ["1", "1.7976931348623157e308", "-1e101", "5"]).faults
    assert fault.lines == (2, 3)
    assert fault.message == (
        "column x must be from -1e+100 to 1e+100; got '-1e101' (1), '1.7976931348623157e308' (1) "
        "in 2 rows (50.0 %), lines 2, 3; does it stand for a missing value? Then add it to "
        "data.missing_values"
    )


def test_a_column_of_missing_numbers_only_is_refused(path):
    """G12: empty column; there is no mean to put in place."""
    text = messages(numeric(path, ["", "?"] * 2, missing="input"))
    assert "column x must not be missing in every row" in text


def test_control_characters_are_refused(path):
    columns = {**WORDS, "safety": {"kind": "categorical"}}
    (fault,) = checked(path, cars_with(safety="lo\x1bw"), columns=columns).faults
    assert fault.rule == "must hold no control characters"
    assert r"'lo\x1bw'" in fault.message


def test_learned_categories_that_look_alike_are_told(path):
    columns = {**WORDS, "safety": {"kind": "categorical"}}
    found = checked(path, cars_with(safety="Low "), columns=columns)
    assert "column safety holds values that look alike: 'Low ', 'low'" in found.warnings
    assert found.require()


def test_an_identifier_is_not_taken_for_a_category(path):
    """G22: 10^6 categories, in small."""
    columns = {**WORDS, "buying": {"kind": "categorical"}}
    rows = [[f"id{i}", *row[1:]] for i, row in enumerate(CARS)]
    found = checked(path, rows, columns=columns)
    assert messages(found) == (
        "column buying must have at most 1000 different values (data.max_categories); got 1728: is "
        "it an identifier? Then set data.columns.buying.kind=ignored"
    )
    assert len(found.profile[0].categories) == 51
    assert found.profile[0].categories[-1].value == "… 1678 more"
    assert sum(c.n_rows for c in found.profile[0].categories) == 1728
    assert checked(path, rows, columns=columns, max_categories=1728).require()


def test_a_long_value_is_told_in_short(path):
    (fault,) = checked(path, cars_with(safety="x" * 100_000)).faults
    assert len(fault.message) < 200
    assert fault.lines == (10,)


@pytest.mark.slow
def test_a_million_offending_rows_are_told_in_two_kilobytes(path):
    """G22: every cell of every row offends, each in its own way."""
    n = 1_000_000
    path.write_text("".join(",".join(f"{c}{i}" for c in "abcdefg") + "\n" for i in range(n)))
    data = contract(path)
    found = validate(read_rows(data), data)
    assert len(messages(found).splitlines()) == 8
    assert [f.n_rows for f in found.faults] == [n] * 8
    assert all(f.lines == (1, 2, 3, 4, 5) for f in found.faults[:7])


def test_rows_to_predict_are_checked_without_a_target_and_told_by_line(path):
    path.write_text("vhigh,low,2,4,big,lowww\n\nlow,low,2,4,big,low\n?,low,6,4,big,LOW\n")
    data = contract("elsewhere.csv")
    frame, lines = read_in_order(path, data)
    faults = check_attributes(frame, np.ones(3, np.int64), data, lines)
    assert [(f.column, f.lines) for f in faults] == [
        ("buying", (4,)),
        ("doors", (4,)),
        ("safety", (1, 4)),
    ]
    assert check_attributes(frame[1:2], np.ones(1, np.int64), data, lines[1:2]) == ()


def test_a_single_row_to_predict_breaks_no_rule_about_tables():
    """Too few rows, one class, too many categories: rules of a table, not of a row."""
    data = contract(columns={"x": NUMBER | {"missing": "input"}}, names=["x", "class"])
    frame = pd.DataFrame({"x": [""]}, dtype="str")
    assert check_attributes(frame, np.ones(1, np.int64), data, np.ones(1, np.int64)) == ()
    assert np.isnan(convert(frame, data)["x"]).all()


def test_rows_without_their_file_are_told_without_lines(tmp_path):
    """The lines are a service: a file that has gone does not hide the fault."""
    frame = pd.DataFrame(cars_with(safety="lowww"), columns=NAMES)
    rows = Rows(frame, np.ones(len(frame), np.int64), tmp_path / "gone.csv")
    (fault,) = validate(rows, contract()).faults
    assert (fault.column, fault.n_rows, fault.lines) == ("safety", 1, ())
