"""Columns that say how often, how much and for whom a row counts, and those of yes and no."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders import CONFIG

from pipeline.config.contract import DataSettings
from pipeline.config.schema import RunConfig
from pipeline.errors import DataError
from pipeline.run import learn, prepare
from pipeline.stages.outcome import Finished
from pipeline.stages.predict import Model, contract_for_new_rows, from_json, predict_file, to_json
from pipeline.stages.read import read_rows
from pipeline.stages.validate import Validation, validate

COLUMNS: dict[str, Any] = {"x": {"kind": "numeric"}, "g": {"kind": "categorical"}}
TREE: dict[str, Any] = {
    "name": "t",
    "target": {"name": "y", "positive": ["yes"]},
    "columns": COLUMNS,
    "min_rows": 1,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


def contract(path: Path, **changes: Any) -> DataSettings:
    return DataSettings.parse(TREE | {"path": str(path)} | changes)


def checked(path: Path, text: str, **columns: dict[str, Any]) -> Validation:
    path.write_text(text, encoding="utf-8")
    data = contract(path, columns=COLUMNS | columns)
    return validate(read_rows(data), data)


def long_rows(n: int = 300) -> list[tuple[str, str, str]]:
    rng = random.Random(0)
    return [(str(rng.randint(0, 5)), rng.choice("ab"), rng.choice(("yes", "no"))) for _ in range(n)]


# --- count -----------------------------------------------------------------------------------


def finished(data: DataSettings, optimiser: dict[str, Any]) -> Finished:
    tree = CONFIG | {"data": data.model_dump(mode="json"), "optimiser": optimiser}
    tree |= {"evaluate": {"bootstrap": None}}
    config = RunConfig.parse(tree)
    outcome = learn(prepare(config), config)
    assert isinstance(outcome, Finished), outcome
    return outcome


@pytest.mark.parametrize(
    "optimiser", [{"name": "newton"}, {"name": "gradient_descent", "learning_rate": 0.1}]
)
def test_a_table_of_counts_gives_the_bits_of_the_long_table(tmp_path, optimiser):
    """The same digest, splits and theta, in whatever order and pieces the counts stand."""
    long, short = tmp_path / "long.csv", tmp_path / "short.csv"
    rows = long_rows()
    pd.DataFrame(rows, columns=["x", "g", "y"]).to_csv(long, index=False)
    pieces = [(n - n // 3, *row) for row, n in Counter(rows).items()]
    pieces += [(n // 3, *row) for row, n in Counter(rows).items()] + [(0, "9", "c", "yes")]
    random.Random(1).shuffle(pieces)
    pd.DataFrame(pieces, columns=["n", "x", "g", "y"]).to_csv(short, index=False)
    one = finished(contract(long), optimiser)
    two = finished(contract(short, columns=COLUMNS | {"n": {"kind": "count"}}), optimiser)
    assert one.prepared.data_digest == two.prepared.data_digest
    assert one.trained.theta.tobytes() == two.trained.theta.tobytes()
    assert one.evaluation.metrics == two.evaluation.metrics
    assert one.prepared.validation.n_rows == two.prepared.validation.n_rows == 300


def test_a_count_less_would_be_noticed(tmp_path):
    """The negative control."""
    text = "n,x,g,y\n3,1,a,yes\n2,2,b,no\n"
    data = contract(tmp_path / "t.csv", columns=COLUMNS | {"n": {"kind": "count"}})
    digests = set()
    for n in "32":
        (tmp_path / "t.csv").write_text(text.replace("3,1", f"{n},1"))
        digests.add(read_rows(data).digest)
    assert len(digests) == 2


@pytest.mark.parametrize("value", ["-1", "1.5", "", "NA", "two", "inf", "1e16", "9007199254740992"])
def test_a_count_that_is_none_is_refused_with_its_lines(path, value):
    with pytest.raises(DataError) as error:
        checked(path, f"n,x,g,y\n3,1,a,yes\n{value},2,b,no\n{value},3,b,no\n", n={"kind": "count"})
    assert f"column n must hold whole numbers from 0 up (kind: count); got {value!r}" in str(
        error.value
    )
    assert "in 2 rows, lines 3, 4" in str(error.value)


@pytest.mark.parametrize("value", ["2", "2.0", "2e0", "0002", "+2"])
def test_a_whole_number_is_a_count_however_it_is_written(path, value):
    table = checked(path, f"n,x,g,y\n3,1,a,yes\n{value},2,b,no\n", n={"kind": "count"}).require()
    assert sorted(table.count.tolist()) == [2, 3]


def test_counts_that_are_all_0_are_refused(path):
    with pytest.raises(DataError, match="with a sum above 0"):
        checked(path, "n,x,g,y\n0,1,a,yes\n0,2,b,no\n", n={"kind": "count"})


# --- weight and group ------------------------------------------------------------------------


def test_weights_stand_beside_their_rows(path):
    found = checked(path, "w,x,g,y\n0.5,1,a,yes\n0,2,b,no\n1e3,2,b,no\n", w={"kind": "weight"})
    table = found.require()
    assert table.frame.columns.tolist() == ["x", "g"]
    assert table.weight is not None
    pairs = zip(table.frame["x"], table.weight.tolist(), strict=True)
    assert sorted(pairs) == [(1.0, 0.5), (2.0, 0.0), (2.0, 1000.0)]


WEIGHTS = {
    "-1": "must be at least 0",
    "": "must not be missing",
    "?": "must not be missing",
    "inf": "must be a number",
    "heavy": "must be a number",
}


@pytest.mark.parametrize("value", WEIGHTS)
def test_a_weight_that_is_none_is_refused_with_its_line(path, value):
    found = checked(path, f"w,x,g,y\n1,1,a,yes\n{value},2,b,no\n", w={"kind": "weight"})
    (violation,) = found.violations
    assert (violation.column, violation.lines) == ("w", (3,))
    assert WEIGHTS[value] in violation.rule


def test_weights_that_are_all_0_are_refused(path):
    found = checked(path, "w,x,g,y\n0,1,a,yes\n0.0,2,b,no\n", w={"kind": "weight"})
    assert [v.rule for v in found.violations] == ["must be above 0 in some row (kind: weight)"]


def test_groups_are_numbered_in_the_order_of_their_names(path):
    """Pandas' categories are the oracle."""
    names = ["b", "10", "9", "ä", "b", "9"]
    text = "who,x,g,y\n" + "".join(
        f"{name},{i},a,{('yes', 'no')[i % 2]}\n" for i, name in enumerate(names)
    )
    table = checked(path, text, who={"kind": "group"}).require()
    assert table.group is not None
    order = table.frame["x"].astype(int)
    assert table.group.tolist() == pd.Categorical(names).codes[order].tolist()


def test_a_row_without_a_group_is_refused(path):
    found = checked(path, "who,x,g,y\na,1,a,yes\n,2,b,no\n", who={"kind": "group"})
    assert [(v.column, v.lines) for v in found.violations] == [("who", (3,))]


def test_contradictions_are_found_whatever_stands_between_the_attributes(path):
    """A group of its own for each row does not keep two rows of equal attributes apart."""
    text = "x,who,g,y\n" + "".join(f"1,{i},a,{('yes', 'no')[i % 2]}\n" for i in range(4))
    columns = {"x": COLUMNS["x"], "who": {"kind": "group"}, "g": COLUMNS["g"]}
    path.write_text(text)
    data = contract(path, columns=columns)
    assert validate(read_rows(data), data).warnings[0].startswith("4 rows (100 %)")


# --- boolean ---------------------------------------------------------------------------------


def test_words_of_yes_and_no_are_true_and_false(path):
    yes, no = ["true", "TRUE", "Yes", "y", "T", "1"], ["false", "No", "n", "F", "0", "fAlSe"]
    text = "k,x,g,y\n" + "".join(f"{word},{i},a,{('yes', 'no')[i % 2]}\n"
                                 for i, word in enumerate(yes + no))  # fmt: skip
    found = checked(path, text, k={"kind": "boolean"})
    table = found.require()
    by_row = dict(zip(table.frame["x"], table.frame["k"], strict=True))
    assert [by_row[i] for i in range(12)] == ["true"] * 6 + ["false"] * 6
    (profile,) = [column for column in found.profile if column.name == "k"]
    assert [(c.value, c.n_rows) for c in profile.categories] == [("false", 6), ("true", 6)]


@pytest.mark.parametrize("value", ["2", "on", "oui", "1.0", "yes "])
def test_another_word_is_no_boolean(path, value):
    (violation,) = checked(
        path, f"k,x,g,y\n1,1,a,yes\n{value},2,a,no\n", k={"kind": "boolean"}
    ).violations
    assert "must be true or false" in violation.rule
    assert violation.lines == (3,)


def test_a_boolean_may_be_missing(path):
    kind = {"kind": "boolean", "missing": "input"}
    table = checked(path, "k,x,g,y\n1,1,a,yes\n,2,a,no\nno,2,a,no\n", k=kind).require()
    assert table.frame["k"].nunique() == 3


# --- rows to predict -------------------------------------------------------------------------


def test_rows_to_predict_need_no_count_weight_group_or_target(path):
    kinds = {"n": "count", "w": "weight", "who": "group", "k": "boolean"}
    columns = COLUMNS | {name: {"kind": kind} for name, kind in kinds.items()}
    rng = random.Random(0)
    text = "n,w,who,k,x,g,y\n" + "".join(
        f"2,1.5,p{i % 7},{rng.choice('yf')},{i},{rng.choice('ab')},{rng.choice(['yes', 'no'])}\n"
        for i in range(60)
    )
    path.write_text(text)
    done = finished(contract(path, columns=columns), {"name": "newton"})
    encoder = done.prepared.encoder
    data = contract_for_new_rows(done.config.data, encoder)
    model = from_json(to_json(Model(data, encoder, done.trained.theta, 0.5)))
    source, target = path.with_name("new.csv"), path.with_name("scored.csv")
    probabilities = []
    for new in ("k,x,g\nTRUE,3,a\n", "n,w,who,k,x,g\nx,-1,,1,3.0,a\n"):
        source.write_text(new)
        predict_file(model, source, target)
        probabilities.append(pd.read_csv(target)["probability"].tolist())
    assert probabilities[0] == probabilities[1]
    assert np.isfinite(probabilities[0]).all()


# --- words -----------------------------------------------------------------------------------


def test_the_word_missing_is_a_word_apart_from_a_missing_value(path):
    rows = ["missing,yes", "ok,no", ",yes", "missing,no"] * 10
    path.write_text("g,y\n" + "\n".join(rows) + "\n")
    kind = {"kind": "categorical", "missing": "input"}
    done = finished(contract(path, columns={"g": kind}), {"name": "newton"})
    assert done.prepared.encoder.inputs == ("g=missing", "g=ok", "g=(missing)")
    assert done.prepared.train.X.sum(axis=0).all()
    labels = [effect.label for effect in done.effects.effects]
    assert labels == ["missing", "ok", "(missing)"]


def test_an_input_of_a_missing_value_keeps_its_name_where_no_word_is_missing(path):
    path.write_text("g,y\n" + "ok,no\n,yes\nbad,yes\n,no\n" * 10)
    kind = {"kind": "categorical", "missing": "input"}
    data = contract(path, columns={"g": kind})
    assert finished(data, {"name": "newton"}).prepared.encoder.inputs[-1] == "g=missing"


OPEN_NEGATIVE = {
    "look-alike": ("Yes", "looks like the positive 'yes': if it is, set data.target.positive=["),
    "look-alike with a blank": ("yes ", "data.target.positive=[yes,'yes ']"),
    "a mark": ("NULL", "set data.missing_values=['NULL']"),
    "another mark": ("n/a", "set data.missing_values=[n/a]"),
    "a dash": ("-", "set data.missing_values=[-]"),
}  # fmt: skip


@pytest.mark.parametrize("case", OPEN_NEGATIVE)
def test_what_is_class_0_only_because_it_is_not_positive_is_shown(path, case):
    value, cure = OPEN_NEGATIVE[case]
    found = checked(path, f"x,g,y\n1,a,yes\n2,b,no\n3,b,{value}\n3,c,no\n")
    assert found.require().y.sum() == 1
    shown = f"2 values are class 0, as data.target.negative is not set: 'no' (2), {value!r} (1)"
    assert any(line.startswith(f"target y: {shown}; if all") for line in found.warnings)
    assert any(cure in line and repr(value) in line for line in found.warnings)


def test_one_other_label_is_class_0_without_a_word(path):
    warnings = checked(path, "x,g,y\n1,a,yes\n2,b,no\n").warnings
    assert not any("class 0" in line or "taken for" in line for line in warnings)


@pytest.mark.parametrize("mark", ["unknown", "-", "N.A.", " ?", "#VALUE!"])
def test_a_mark_of_missing_among_learned_categories_is_warned_of(path, mark):
    warnings = checked(path, f"x,g,y\n1,a,yes\n2,{mark},no\n").warnings
    (warning,) = [line for line in warnings if "taken for a value" in line]
    assert repr(mark) in warning
    assert "data.strip=true" in warning if mark == " ?" else "missing_values=[" in warning
