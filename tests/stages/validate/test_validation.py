"""Every rule of the contract is checked on every row, and every violation is reported at once."""

import itertools
import random
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.config.contract import DataSettings
from pipeline.errors import DataError
from pipeline.stages.read import Rows, car, read_in_order, read_rows
from pipeline.stages.read.numbers import NUMBER, parse_numbers
from pipeline.stages.validate import MISSING, Validation, validate
from pipeline.stages.validate.convert import convert
from pipeline.stages.validate.validation import check_rows
from pipeline.stages.validate.values import column_values
from pipeline.stages.validate.violations import Violation
from pipeline.text import MAX_MESSAGE

NAMES = [*car.ATTRIBUTES, "class"]
CARS = [list(row) for row in car.rows()]
WORDS = {name: {"kind": "categorical", "categories": list(v)} for name, v in car.ATTRIBUTES.items()}
OPEN = {"kind": "categorical"}
NUMERIC = {"kind": "numeric"}


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


def refused(found: Validation) -> list[Violation]:
    """The violations of a table that is refused, in a message that is bounded."""
    with pytest.raises(DataError) as error:
        found.require()
    assert found.table is None
    assert len(str(error.value)) <= MAX_MESSAGE
    return list(found.violations)


def violation(found: Validation) -> Violation:
    """The only violation."""
    (one,) = refused(found)
    return one


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


def numeric(path: Path, values: Sequence[str], **column: object) -> Validation:
    """Rows of one number and a class that alternates."""
    rows = [[value, ("unacc", "acc")[i % 2]] for i, value in enumerate(values)]
    columns = {"x": NUMERIC | column}
    return checked(path, rows, names=["x", "class"], columns=columns, min_rows=1)


def test_the_cars_hold_every_rule(path):
    """The negative control of this module."""
    found = checked(path, CARS)
    table = found.require()
    assert (found.n_rows, found.n_distinct, found.n_positive) == (1728, 1728, 518)
    assert found.violations == found.warnings == ()
    assert len(table.y) == 1728
    assert table.y.sum() == 518
    assert table.frame.columns.tolist() == list(car.ATTRIBUTES)
    assert table.count.tolist() == [1] * 1728


def test_a_table_keeps_each_row_with_its_label(path):
    """Against the rows themselves, paired by hand."""
    table = checked(path, CARS).require()
    pairs = zip(table.frame.itertuples(index=False, name=None), table.y.tolist(), strict=True)
    assert dict(pairs) == {tuple(row[:-1]): float(row[-1] != "unacc") for row in CARS}


# --- what a violation says ---------------------------------------------------------------------

IDS = [[f"id{i}", *row[1:]] for i, row in enumerate(CARS)]
# The message of each kind of violation, whole.
GOLDEN = {
    "missing": "column safety must not be missing; got '' in 1 row (0.1 %), line 10; to take it as "
    "an input of its own, set data.columns.safety.missing=input",
    "category": "column safety must be one of low, med, high; got 'lowww' in 1 row (0.1 %), line "
    "10; did you mean 'low'?",
    "control": r"column safety must hold no control characters; got 'lo\x1bw' in 1 row (0.1 %), "
    "line 10",
    "many": "column buying must have at most 1000 different values (data.max_categories); got "
    "1728: is it an identifier? Then set data.columns.buying.kind=ignored; or group the rare ones "
    "with data.columns.buying.min_count=20",
    "number": "column x must be a number; got 'a' (2), 'b' (1) in 3 rows (75.0 %), lines 1, 2, 3",
    "minimum": "column x must be at least 0; got '-1' in 1 row (25.0 %), line 2; if "
    "it stands for a missing value, set data.missing_values=[-1]",
    "maximum": "column x must be at most 10; got '11' in 1 row (25.0 %), line 3",
    "empty": "column x must not be missing in every row; it is empty: set "
    "data.columns.x.kind=ignored",
    "rows": "the table must hold at least 20 rows (data.min_rows); got 19",
    "classes": "the table must hold both classes; got 0 positive and 1210 negative rows of class "
    "(positive: 'acc', 'good', 'vgood')",
    "contradictions": "the table must hold at most 0.3% rows that contradict a row with the same "
    "attributes (data.max_contradictory); got 0.3%",
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_the_message_of_a_violation_says_thing_rule_value_place_and_cure(path, kind):
    free = WORDS | {"safety": OPEN}
    found = {
        "missing": lambda: checked(path, cars_with(safety="")),
        "category": lambda: checked(path, cars_with(safety="lowww")),
        "control": lambda: checked(path, cars_with(safety="lo\x1bw"), columns=free),
        "many": lambda: checked(path, IDS, columns=WORDS | {"buying": OPEN}),
        "number": lambda: numeric(path, ["a", "b", "a", "1"]),
        "minimum": lambda: numeric(path, ["0", "-1", "1", "2"], minimum=0.0),
        "maximum": lambda: numeric(path, ["0", "10", "11", "2"], maximum=10.0),
        "empty": lambda: numeric(path, ["", "?", "", "?"], missing="input"),
        "rows": lambda: checked(path, CARS[-19:]),
        "classes": lambda: checked(path, [row for row in CARS if row[6] == "unacc"]),
        "contradictions": lambda: checked(path, contradictory(), max_contradictory=0.003),
    }[kind]()
    assert violation(found).message == GOLDEN[kind]
    with pytest.raises(DataError) as error:
        found.require()
    assert str(error.value) == GOLDEN[kind]


def test_pandera_is_the_judge(path, monkeypatch):
    """What it does not find broken is no violation."""
    monkeypatch.setattr("pandera.pandas.DataFrameSchema.validate", lambda *_, **__: None)
    assert checked(path, cars_with(safety="lowww")).violations == ()


def test_a_violation_holds_column_value_rows_share_and_first_lines(path):
    """Section 3: all that is needed to mend the file."""
    rows = [row[:] for row in CARS]
    for line in (3, 9, 15, 20, 31, 40, 50, 60, 70, 80, 90, 100):
        rows[line - 1][5] = "lowww"
    found = violation(checked(path, rows))
    assert (found.column, found.n_rows, found.share) == ("safety", 12, 12 / 1728)
    assert found.lines == (3, 9, 15, 20, 31)
    assert found.examples == (("lowww", 12),)
    assert "'low'" in found.hint


def test_every_violation_is_reported_at_once(path):
    rows = cars_with(buying="", maint="??", persons="5", **{"class": "great"})
    found = refused(checked(path, rows))
    assert [v.column for v in found] == ["buying", "maint", "persons", "class"]
    assert {v.lines for v in found} == {(10,)}


def test_offending_values_are_counted_from_the_commonest(path):
    rows = [row[:] for row in CARS]
    bad = ["x1"] * 7 + ["x2"] * 9 + ["x3"] + ["x4"] * 2 + ["x5"] * 3 + ["x6"] * 4
    for i, value in enumerate(bad):
        rows[60 * i][0] = value
    found = violation(checked(path, rows))
    assert found.examples == (("x2", 9), ("x1", 7), ("x6", 4), ("x5", 3), ("x4", 2))
    assert (found.n_rows, found.share) == (26, 26 / 1728)
    assert found.lines == (1, 61, 121, 181, 241)


def test_offending_numbers_that_are_alike_are_counted_together(path):
    """A numeric column is not looked through for equal values, but for its violations."""
    found = violation(numeric(path, ["abc"] * 3 + ["de", "1"], missing="input"))
    assert found.examples == (("abc", 3), ("de", 1))
    assert found.n_rows == 4


# --- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "meant"), [("lug_boot", "huge", ""), ("class", "unac", "'unacc'")]
)
def test_an_unseen_category_or_class_is_refused(path, column, value, meant):
    """G12: unseen category, unseen class."""
    found = violation(checked(path, cars_with(**{column: value})))
    assert (found.column, found.examples, found.lines) == (column, ((value, 1),), (10,))
    allowed = car.ATTRIBUTES.get(column, ("unacc", "acc", "good", "vgood"))
    assert ", ".join(allowed) in found.rule
    assert meant in found.hint


@pytest.mark.parametrize("value", ["", "?", "NA", "N/A", "NaN", "null", "None"])
@pytest.mark.parametrize("name", ["safety", "class"])
def test_a_missing_value_is_refused_by_default(path, value, name):
    """G12: ?, NA, empty cell; the article's isnull check."""
    found = violation(checked(path, cars_with(**{name: value})))
    assert (found.column, found.examples, found.lines) == (name, ((value, 1),), (10,))
    assert "missing" in found.rule
    assert ("data.columns.safety.missing=input" in found.hint) == (name == "safety")


def test_an_empty_column_is_refused(path):
    """G12: empty column."""
    found = violation(checked(path, [[*row[:5], "", row[6]] for row in CARS]))
    assert (found.column, found.n_rows, found.share) == ("safety", 1728, 1.0)


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
    "Low": "capital and small",
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
    found = violation(checked(path, cars_with(safety=value)))
    assert "'low'" in found.hint
    assert LOOKS[value] in found.hint
    assert ascii(value) in found.message
    assert found.message.isascii()


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("doors", "2.0", "'2'? it was turned into a decimal"),
        ("doors", "5-more", "'5more'? punctuation differs"),
        ("doors", "5-May", "a date"),
        ("persons", "02.04.2024", "a date"),
        ("safety", "safety", "data.header=true"),
        ("safety", "xyz", ""),
    ],
)
def test_what_programs_do_to_values_is_recognised(path, name, value, hint):
    """G14: 2.0, 5-more, 5-May."""
    found = violation(checked(path, cars_with(**{name: value})))
    assert found.hint.endswith(hint)
    assert bool(found.hint) == bool(hint)


def test_an_identifier_is_not_taken_for_a_category(path):
    """G22: 10^6 categories, in small."""
    columns = {**WORDS, "buying": OPEN}
    found = checked(path, IDS, columns=columns)
    assert "data.columns.buying.kind=ignored" in violation(found).hint
    assert len(found.profile[0].categories) == 51
    assert found.profile[0].categories[-1].value == "… 1678 more"
    assert sum(c.n_rows for c in found.profile[0].categories) == 1728
    assert checked(path, IDS, columns=columns, max_categories=1728).require()


def test_a_long_value_is_shown_in_short(path):
    found = violation(checked(path, cars_with(safety="x" * 100_000)))
    assert len(found.message) < 200
    assert found.lines == (10,)


@pytest.mark.exhaustive
def test_a_million_offending_rows_are_reported_in_two_kilobytes(path):
    """G22: every cell of every row offends, each in its own way."""
    n = 1_000_000
    path.write_text("".join(",".join(f"{c}{i}" for c in "abcdefg") + "\n" for i in range(n)))
    data = contract(path)
    found = refused(validate(read_rows(data), data))
    assert [v.n_rows for v in found] == [n] * 8
    assert all(v.lines == (1, 2, 3, 4, 5) for v in found[:7])


# --- the table as a whole -----------------------------------------------------------------------


@pytest.mark.parametrize("keep", ["unacc", "acc"])
def test_a_table_of_one_class_is_refused(path, keep):
    """G15: pandas and scikit-learn report an accuracy of 1.0 here."""
    found = violation(checked(path, [row for row in CARS if row[6] == keep]))
    assert (found.column, found.share) == ("", 1.0)
    assert "both classes" in found.rule


def test_one_class_is_seen_whatever_the_negative_values_are(path):
    """G15: where every other value is negative, and some are missing."""
    target = {"name": "class", "positive": ["unacc"]}
    rows = [row for row in CARS if row[6] == "unacc"]
    rows[0] = [*rows[0][:6], "?"]
    missing, one_class = refused(checked(path, rows, target=target))
    assert (missing.column, missing.examples) == ("class", (("?", 1),))
    assert "1209 positive and 0 negative" in one_class.hint


@pytest.mark.parametrize("n", [1, 2, 5])
def test_too_few_rows_are_refused_with_the_minimum(path, n):
    """G17: 1, 2, 5 rows."""
    found = next(v for v in refused(checked(path, CARS[-n:])) if "data.min_rows" in v.rule)
    assert (found.column, found.n_rows, found.hint) == ("", n, f"got {n}")


def test_the_minimum_is_inclusive_and_counts_copies(path):
    """G17: two rows that stand for twenty are twenty."""
    two = [CARS[0], next(row for row in CARS if row[6] != "unacc")]
    assert checked(path, two * 10).require().count.sum() == 20
    assert violation(checked(path, two * 9)).n_rows == 18


def test_identical_rows_are_refused(path):
    """G18: all rows identical are of one class."""
    found = checked(path, [CARS[0]] * 100)
    assert "both classes" in violation(found).rule
    assert found.warnings[0].startswith("99 of 100 rows")


def test_a_doubled_file_is_reported_with_the_count(path):
    """G18: doubled file."""
    found = checked(path, CARS * 2)
    assert found.require().count.tolist() == [2] * 1728
    (warning,) = found.warnings
    assert warning.startswith("1728 of 3456 rows")


def contradictory() -> list[list[str]]:
    """Three times the opposite of line 1, once the opposite of line 2."""
    return [*CARS, *[[*CARS[0][:6], "acc"]] * 3, [*CARS[1][:6], "good"]]


def test_contradictory_labels_are_reported_with_count_and_the_best_accuracy(path):
    """G19: 4 + 2 rows are in dispute; a model gets at most 3 + 1 of them."""
    found = checked(path, contradictory())
    assert found.require()
    assert found.warnings[0].startswith("6 rows (0.346 %)")
    assert f"accuracy {1 - 2 / 1732:.4f}" in found.warnings[0]


def test_two_positive_values_for_the_same_attributes_do_not_contradict(path):
    """G19: acc and vgood are both class 1."""
    row = next(row for row in CARS if row[6] == "acc")
    found = checked(path, [*CARS, [*row[:6], "vgood"]])
    assert not any("other class" in line for line in found.warnings)


def test_too_many_contradictions_are_refused(path):
    """G19: error if more than the share that is allowed."""
    found = violation(checked(path, contradictory(), max_contradictory=0.003))
    assert "data.max_contradictory" in found.rule
    assert checked(path, contradictory(), max_contradictory=0.004).require()


def test_the_best_accuracy_is_that_of_the_best_table_of_answers(path):
    """G19 against pandas: the commoner class of every combination."""
    rng = random.Random(0)
    rows = [[rng.choice("ab"), rng.choice("cde"), rng.choice(["unacc", "acc"])] for _ in range(99)]
    found = checked(path, rows, names=["a", "b", "class"], columns={"a": OPEN, "b": OPEN})
    commoner = pd.DataFrame(rows).groupby([0, 1])[2].agg(lambda cell: cell.value_counts().max())
    assert f"accuracy {commoner.sum() / 99:.4f}" in found.warnings[0]


# --- what is only reported ----------------------------------------------------------------------


def test_a_category_that_no_row_has_is_reported(path):
    """G20: and it stays in the contract, so that the width of the inputs is constant."""
    found = checked(path, [row for row in CARS if row[2] != "3" and row[6] != "good"])
    assert found.require()
    assert [line.split(":")[0] for line in found.warnings] == ["column doors", "target class"]
    assert [line.split(";")[0].split()[-1] for line in found.warnings] == ["'3'", "'good'"]


def test_a_constant_column_is_reported(path):
    found = checked(path, [row for row in CARS if row[0] == "low"])
    assert any("column buying is constant: every row has 'low';" in w for w in found.warnings)
    assert any("constant: every row has '1.0'" in w for w in numeric(path, ["1.0"] * 4).warnings)


def test_learned_categories_that_look_alike_are_reported(path):
    found = checked(path, cars_with(safety="Low "), columns={**WORDS, "safety": OPEN})
    assert found.require()
    assert [line.split(": ")[1].split(";")[0] for line in found.warnings] == ["'Low ', 'low'"]


@pytest.mark.parametrize("seed", range(3))
def test_counted_rows_are_profiled_as_the_long_table_would_be(path, seed):
    """Every figure against pandas on the rows written out one by one."""
    rng = random.Random(seed)
    rows = [
        [rng.choice(["a", "b", "c", "?"]), rng.choice(["1.5", "2", "-3e1", ""]), rng.choice("yn")]
        for _ in range(300)
    ]
    columns = {"w": OPEN | {"missing": "input"}, "x": NUMERIC | {"missing": "input"}}
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


def test_the_report_holds_all_but_the_rows_as_plain_values(path):
    found = checked(path, cars_with(safety="lowww"))
    tree = found.report()
    assert set(tree) == {
        "n_rows", "n_distinct", "n_positive", "violations", "warnings", "profile", "accepted"
    }  # fmt: skip
    assert tree["accepted"] is False
    assert tree["violations"][0]["message"] == found.violations[0].message
    assert [column["name"] for column in tree["profile"]] == NAMES[:-1]
    assert checked(path, CARS).report()["accepted"] is True


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_changes_nothing_but_lines(path, seed):
    """G21: a shuffled file gives the same table and the same profile."""
    rows = cars_with(safety="lowww")
    plain, again = checked(path, rows), checked(path, random.Random(seed).sample(rows, len(rows)))
    assert plain.profile == again.profile
    assert [v.examples for v in plain.violations] == [v.examples for v in again.violations]
    a, b = checked(path, CARS).require(), checked(path, CARS[::-1]).require()
    assert a.frame.equals(b.frame)
    assert a.y.tolist() == b.y.tolist()


def test_repeating_the_table_scales_every_count(path):
    once, thrice = checked(path, cars_with(doors="6")), checked(path, cars_with(doors="6") * 3)
    assert [3 * v.n_rows for v in once.violations] == [v.n_rows for v in thrice.violations]
    assert [v.share for v in once.violations] == [v.share for v in thrice.violations]
    for a, b in zip(once.profile, thrice.profile, strict=True):
        assert [3 * c.n_rows for c in a.categories] == [c.n_rows for c in b.categories]
        assert [c.positive_share for c in a.categories] == [c.positive_share for c in b.categories]


# --- numbers -----------------------------------------------------------------------------------

GOOD = ["0", "-0.0", "+1", "2.5", ".5", "5.", "1e3", "-1.25E-7", "0007", "1e-400", "123456789012"]
BAD = ["NaN!", "inf", "-Infinity", "0x1f", "1_000", "1,5", "１", "1e999", "--1", "1e", ".", "e5"]
BAD += ["1.2.3", "1 2", " 1", "1\t", "12 kg", "5-May", "1\u00a0", "\u22121", "1\n"]


def test_decimal_and_scientific_text_is_a_number(path):
    """Converted as Python does, which rounds correctly."""
    table = numeric(path, GOOD * 2).require()
    assert sorted(set(table.frame["x"])) == sorted({float(text) for text in GOOD})
    assert table.frame["x"].dtype == np.float64


@pytest.mark.parametrize("value", BAD)
def test_text_that_is_no_number_is_refused(path, value):
    """Section 5: NaN, infinity, hexadecimal, separators, other scripts: nothing is guessed."""
    found = violation(numeric(path, [f'"{value}"', *GOOD * 2]))
    assert (found.column, found.examples) == ("x", ((value, 1),))
    assert found.rule.endswith("a number")


def by_python(text: str) -> float:
    """What NUMBER says, by Python's own parser; NaN where it is no finite number."""
    number = float(text) if re.fullmatch(NUMBER, text) else np.nan
    return number if np.isfinite(number) else np.nan


def same(texts: Sequence[str]) -> bool:
    """Whether each text is the same bits, alone and among others that are no numbers."""
    expected = np.array([by_python(text) for text in texts])
    together = parse_numbers(pd.Series([*texts, "no number"], dtype="str"))[:-1]
    alone = np.array([parse_numbers(pd.Series([text], dtype="str"))[0] for text in texts])
    return expected.tobytes() == together.tobytes() == alone.tobytes()


def test_one_bit_of_a_number_would_be_noticed(monkeypatch):
    """The negative control of the two that follow."""
    parse = parse_numbers
    monkeypatch.setitem(globals(), "parse_numbers", lambda text: np.nextafter(parse(text), 2))
    assert not same(["0.1"])


def test_every_short_text_is_a_number_exactly_where_the_grammar_says_so():
    alphabet = "019+-.eE xinaf_"
    texts = ["".join(c) for n in range(4) for c in itertools.product(alphabet, repeat=n)]
    assert same(texts)


@pytest.mark.parametrize("seed", range(2))
def test_numbers_are_rounded_as_python_rounds_them(seed):
    """Halfway cases, subnormal ones, many digits, and texts that are almost numbers."""
    rng = random.Random(seed)
    texts = GOOD + BAD
    for _ in range(1000):
        digits = "".join(rng.choices("0123456789", k=rng.choice([1, 3, 17, 19, 25, 40])))
        at = rng.randint(0, len(digits))
        exponent = rng.choice(["", f"e{rng.randint(-345, 320)}", f"E+{rng.randint(0, 20)}"])
        texts.append(rng.choice(["", "-", "+"]) + digits[:at] + "." + digits[at:] + exponent)
        texts.append("".join(rng.choices("0123456789+-.eE xXnaif,\t", k=rng.randint(0, 7))))
    texts += [repr(0.1 + 0.2), "9007199254740993", "2.2250738585072011e-308", "5e-324", "1e308"]
    assert same(texts)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("inf", "must be finite"),
        ("1e999", "must be finite"),
        ("1,5", "the others have a point: write one mark"),
        ("1,234.5", "set data.thousands=comma"),
        ("0x1f", "numbers in decimals"),
        ("12 kg", "without a unit"),
        (" 7", "spaces around it: set data.strip=true"),
        ("\u22127", "MINUS SIGN"),
        ("5-May", "a date"),
        ("abc", ""),
    ],
)
def test_a_number_that_almost_is_one_is_recognised(path, value, hint):
    found = violation(numeric(path, [f'"{value}"', *GOOD * 2]))
    assert found.hint.endswith(hint)
    assert bool(found.hint) == bool(hint)


def test_bounds_are_inclusive(path):
    assert numeric(path, ["0", "10", "5", "5"], minimum=0.0, maximum=10.0).require()
    values = ["0", "10", "-1e-300", "10.000000000000002"]
    low, high = refused(numeric(path, values, minimum=0.0, maximum=10.0))
    assert (low.examples, low.share, low.lines) == ((("-1e-300", 1),), 0.25, (3,))
    assert (high.examples, high.lines) == ((("10.000000000000002", 1),), (4,))


def test_a_missing_number_that_is_allowed_is_nan(path):
    values = ["1", "", "?", "4"]
    table = numeric(path, values, missing="input").require()
    assert np.isnan(table.frame["x"]).sum() == 2
    assert violation(numeric(path, values)).examples == (("", 1), ("?", 1))


def test_a_number_that_stands_for_a_missing_one_is_missing(path):
    """A sentinel, as -999: it must not become an input that is far away."""
    rows = [[x, label] for x in ("1", "2.5", "-999") for label in ("acc", "unacc")]
    columns = {"x": NUMERIC | {"missing": "input"}}
    found = checked(
        path, rows, names=["x", "class"], columns=columns, missing_values=["-999"], min_rows=1
    )
    assert np.isnan(found.require().frame["x"]).sum() == 2
    assert (found.profile[0].n_missing, found.profile[0].minimum) == (2, 1.0)


# --- rows to predict ----------------------------------------------------------------------------


def test_rows_to_predict_are_checked_without_a_target_and_reported_by_line(path):
    path.write_text("vhigh,low,2,4,big,lowww\n\nlow,low,2,4,big,low\n?,low,6,4,big,LOW\n")
    data = contract("elsewhere.csv")
    frame, lines = read_in_order(path, data)
    found = check_rows(frame, column_values(frame, data), data, lines)
    assert [(v.column, v.lines) for v in found] == [
        ("buying", (4,)),
        ("doors", (4,)),
        ("safety", (1, 4)),
    ]
    for at, wrong in ((1, []), (2, ["buying", "doors", "safety"])):  # a part keeps its index
        part = frame[at : at + 1]
        found = check_rows(part, column_values(part, data), data, lines[at : at + 1])
        assert [v.column for v in found] == wrong


def test_a_single_row_to_predict_breaks_no_rule_about_tables():
    """Too few rows, one class, too many categories: rules of a table, not of a row."""
    data = contract(columns={"x": NUMERIC | {"missing": "input"}}, names=["x", "class"])
    frame = pd.DataFrame({"x": [""]}, dtype="str")
    columns = column_values(frame, data)
    assert check_rows(frame, columns, data, np.ones(1, np.int64)) == ()
    assert np.isnan(convert(frame, columns, data)["x"]).all()


def test_rows_without_their_file_are_reported_without_lines(tmp_path):
    """The lines are a service: a file that has gone does not hide the violation."""
    frame = pd.DataFrame(cars_with(safety="lowww"), columns=NAMES)
    rows = Rows(frame, np.ones(len(frame), np.int64), tmp_path / "gone.csv")
    found = violation(validate(rows, contract()))
    assert (found.column, found.n_rows, found.lines) == ("safety", 1, ())
