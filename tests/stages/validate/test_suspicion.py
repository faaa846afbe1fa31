"""Leaks that were planted are found, and what only predicts well is not alleged."""

import re
import time

import numpy as np
import pandas as pd
import pytest
from builders import make_data
from scipy.stats import binomtest
from sklearn.datasets import load_breast_cancer

from pipeline.config.contract import DataSettings
from pipeline.errors import ConfigError
from pipeline.stages.read import Rows, car
from pipeline.stages.validate import validate
from pipeline.stages.validate.leak import Classes, find_leak
from pipeline.stages.validate.suspicion import Suspicion, find_suspicions
from pipeline.stages.validate.values import column_values

NUMERIC = {"kind": "numeric"}
OPTIONAL = NUMERIC | {"missing": "input"}
WORDS = {"kind": "categorical"}


def suspicions(
    x: object, y: np.ndarray, column: dict, count: np.ndarray | None = None, **changes: object
) -> list[Suspicion]:
    """What is suspicious about one column x, in as many rows as there are labels y."""
    data = make_data({"x": column}).model_copy(update=changes)
    labels = np.where(y, "yes", "no")
    frame = pd.DataFrame({"x": np.asarray(x).astype(str), "class": labels}).astype("str")
    count = np.ones(len(y), np.int64) if count is None else count
    return [*find_suspicions(column_values(frame, data), count, np.asarray(y, bool), data)]


def kinds(*given: object, **more: object) -> set[str]:
    return {found.kind for found in suspicions(*given, **more)}


def labels(seed: int) -> np.ndarray:
    """150 to 3,000 rows, of which 10 to 50 % are positive."""
    rng = np.random.default_rng(seed)
    return rng.random(int(rng.integers(150, 3000))) < rng.uniform(0.1, 0.5)


def plant(kind: str, y: np.ndarray, rng: np.random.Generator) -> tuple[object, dict]:
    """A column that knows the target."""
    n, number = len(y), rng.normal(size=len(y)).round(3)
    amount = np.where(y, rng.lognormal(3, 1, n).round(2), 0)
    wrong = np.zeros(n, bool)
    wrong[rng.choice(n, n // 100, replace=False)] = True
    return {
        "copy": (np.where(y, "yes", "no"), WORDS),
        "recoded": (np.where(y, rng.choice(["a", "b"], n), rng.choice(["c", "d"], n)), WORDS),
        "recoded as numbers": (np.where(y, 7.5, 2), NUMERIC),
        "noisy": (np.where(y ^ wrong, "1", "0"), WORDS),
        "noisy numbers": (np.where(y ^ wrong, "1", "0"), NUMERIC),
        "threshold": (number.clip(-3, 3) + 9 * y, NUMERIC),
        "threshold downwards": (-number.clip(-3, 3) - 9 * y, NUMERIC),
        "amount": (amount, NUMERIC),
        "amount, mostly": (np.where(rng.random(n) < 0.95, amount, 0), NUMERIC),
        "missing": (np.where(y, "", number), OPTIONAL),
        "missing words": (np.where(y, "", rng.choice(["u", "v"], n)), WORDS | OPTIONAL | WORDS),
        "there": (np.where(y ^ wrong, number, ""), OPTIONAL),
    }[kind]


PLANTED = [
    "copy", "recoded", "recoded as numbers", "noisy", "noisy numbers", "threshold",
    "threshold downwards", "amount", "amount, mostly", "missing", "missing words", "there",
]  # fmt: skip


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_leak_is_found(kind):
    for seed in range(4):
        y = labels(seed)
        x, column = plant(kind, y, np.random.default_rng(seed))
        found = [f for f in suspicions(x, y, column) if f.kind == "leak"]
        assert len(found) == 1, (kind, seed, y.mean(), len(y))
        assert "data.columns.x.kind=ignored" in found[0].text
        assert "data.known=[x]" in found[0].text


def test_columns_that_predict_well_are_not_alleged():
    """Of 11 words, of a number with an AUC of 0.99, of an amount, of flags right in 95 %."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y = rng.random(1000) < 0.4
        words = np.where(
            y,
            rng.choice(["foul", "fish", "none"], 1000, p=[0.6, 0.3, 0.1]),
            rng.choice(["none", "mint"], 1000, p=[0.9, 0.1]),
        )
        assert "leak" not in kinds(words, y, WORDS)
        assert "leak" not in kinds(rng.normal(size=1000) + 3.3 * y, y, NUMERIC)
        light = np.where(y | (rng.random(1000) < 0.2), rng.uniform(300, 500, 1000), 0)
        assert "leak" not in kinds(light, y, NUMERIC)
        flag = np.where(rng.random(1000) < 0.95, y, ~y)
        assert "leak" not in kinds(flag, y, WORDS)
        assert "leak" not in kinds(flag * 1, y, NUMERIC)


def test_nothing_is_alleged_of_the_tables_of_the_project():
    """Safety=low is always unacc, and worst_perimeter has an AUC of 0.975."""
    frame = pd.DataFrame(car.rows(), columns=[*car.ATTRIBUTES, "class"]).astype("str")
    y = (frame.pop("class") != "unacc").to_numpy()
    assert all(kinds(frame[name], y, WORDS) == set() for name in frame)
    table = load_breast_cancer()
    assert all(kinds(x, table.target == 0, NUMERIC) == set() for x in table.data.T)


def test_what_only_one_row_has_tells_nothing():
    """Learned by heart it would be right about every row; it is an identifier."""
    y = labels(1)
    assert kinds([f"id{i}" for i in range(len(y))], y, WORDS) == {"identifier"}


@pytest.mark.parametrize("n_rows", [1000, 100_000])
def test_few_rows_of_a_class_and_many_rows_are_sampled_without_chance(n_rows):
    rng = np.random.default_rng(0)
    y = np.arange(n_rows) < 40
    x = np.where(y, rng.uniform(5, 6, n_rows), rng.uniform(0, 4, n_rows))
    first, again = suspicions(x, y, NUMERIC), suspicions(x, y, NUMERIC)
    assert first == again
    assert {f.kind for f in first} == {"leak", "class"}


def test_the_allowed_errors_are_those_of_a_binomial_test():
    """Against SciPy: as many as noise of 1 % gives with a chance of 1 % are allowed, not more."""
    n, alleged = 600, []
    for k in range(20):
        y = np.arange(2 * n) < n
        flag = y ^ (np.arange(2 * n) % n < k)  # k errors about each class
        data = column_values(pd.DataFrame({"x": np.where(flag, "a", "b")}), make_data({"x": WORDS}))
        alleged.append(bool(find_leak(data["x"], Classes.of(np.ones(2 * n, np.int64), y))))
    p = [binomtest(k, n, 0.01, alternative="greater").pvalue for k in range(20)]
    assert alleged == [each >= 0.01 for each in p]
    assert 0 < sum(alleged) < 20


def test_counts_stand_for_rows():
    """A table that is grouped is suspected of what the long table is suspected of."""
    y, x = np.array([0, 1, 0, 1], bool), ["a", "b", "b", "a"]
    assert kinds(x, y, WORDS, count=np.array([300, 200, 2, 1])) == {"leak"}
    assert kinds(x, y, WORDS, count=np.array([300, 200, 60, 1])) == set()


@pytest.mark.parametrize(
    ("numbers", "alleged"),
    [
        ([*range(18, 90), 999], "999"),
        ([*range(18, 90), 999999], "999999"),
        ([*range(18, 90), 999999999999], "999999999999"),
        ([*range(18, 90), -99], "-99"),
        ([*range(18, 90), -1], "-1"),
        ([0, 1, 2, -1], ""),
        ([*range(-20, 20), -99], "-99"),
        ([*range(95), 99], ""),
        (range(-50, 50), ""),
        ([0.5, 1.5, 99], "99"),
        ([*range(18, 90), 500], ""),
    ],
)
def test_a_number_that_stands_for_a_missing_one_is_named_with_its_cure(numbers, alleged):
    y = np.random.default_rng(0).random(1000) < 0.4
    found = suspicions(np.resize(numbers, 1000), y, NUMERIC)
    marks = [re.search(r"data\.missing_values=\[(.*?)\]", f.text)[1] for f in found]
    assert marks == ([alleged] if alleged else [])
    assert {f.kind for f in found} <= {"sentinel"}


def test_numbers_as_words_and_an_index_are_named():
    y = np.random.default_rng(0).random(300) < 0.5
    assert kinds(np.arange(300) % 40, y, WORDS) == {"numbers"}
    assert kinds(np.arange(300) % 5, y, WORDS) == set()
    assert kinds(np.arange(300), y, NUMERIC) == {"identifier"}
    assert kinds(np.arange(300) * 3 % 100, y, NUMERIC) == set()


def test_dates_after_a_given_day_are_named_whatever_the_clock_says():
    y = np.random.default_rng(0).random(300) < 0.5
    days = pd.date_range("2023-01-01", periods=300)
    iso = {"kind": "date", "parts": ["month"]}
    german = iso | {"format": "%d.%m.%Y"}
    assert kinds(days.strftime("%Y-%m-%d"), y, iso) == set()
    assert kinds(days.strftime("%Y-%m-%dT12:00"), y, iso, as_of="2023-10-27") == set()
    (found,) = suspicions(days.strftime("%d.%m.%Y"), y, german, as_of="2023-10-25")
    assert "'27.10.2023' and 2 rows in all after data.as_of=2023-10-25" in found.text
    assert kinds(["2123-01-01", *days[1:].strftime("%Y-%m-%d")], y, iso) == {"future"}


def test_the_day_must_be_one():
    with pytest.raises(ConfigError, match='as_of must be a day of ISO 8601, as "2026-01-31"'):
        DataSettings.parse(make_data({"age": NUMERIC}).model_dump(mode="json") | {"as_of": "soon"})


def test_a_class_of_few_rows_is_named():
    assert kinds(np.arange(500) % 7, np.arange(500) < 49, NUMERIC) == {"class"}
    assert kinds(np.arange(500) % 7, np.arange(500) % 10 == 0, NUMERIC) == set()


def test_what_is_known_is_not_said():
    y = np.arange(500) < 49
    assert kinds(y * 1, y, WORDS) == {"leak", "class"}
    assert kinds(y * 1, y, WORDS, known=("x",)) == {"class"}
    assert kinds(y * 1, y, WORDS, known=("x", "class")) == set()
    (text,) = (f.text for f in suspicions(y * 1, y, WORDS, known=("class",)))
    assert "data.known=[class,x]" in text


def test_what_is_known_must_be_a_column():
    tree = make_data({"age": NUMERIC}).model_dump(mode="json")
    with pytest.raises(ConfigError, match=r"known must name columns.*did you mean age\?"):
        DataSettings.parse(tree | {"known": ["agee"]})


def test_warnings_of_a_table_hold_the_suspicions(tmp_path):
    y = np.arange(200) % 2 == 0
    frame = pd.DataFrame({"x": y.astype(int).astype(str), "class": np.where(y, "yes", "no")})
    rows = Rows(frame.astype("str"), np.ones(200, np.int64), tmp_path / "t.csv")
    found = validate(rows, make_data({"x": WORDS}))
    assert any("tells the target nearly alone" in warning for warning in found.warnings)
    assert found.require()


@pytest.mark.exhaustive
def test_a_million_rows_are_judged_in_less_time_than_it_takes_to_parse_them():
    rng = np.random.default_rng(0)
    y = rng.random(1_000_000) < 0.1
    columns = {f"x{i}": NUMERIC for i in range(10)} | {f"w{i}": WORDS for i in range(10)}
    frame = pd.DataFrame(
        {n: rng.normal(size=len(y)) if n[0] == "x" else rng.integers(0, 9, len(y)) for n in columns}
    ).astype("str")
    frame["class"] = np.where(y, "yes", "no")
    data = make_data(columns)
    start = time.process_time()
    values = column_values(frame, data)
    parsed = time.process_time()
    assert [*find_suspicions(values, np.ones(len(y), np.int64), y, data)] == []
    assert time.process_time() - parsed < parsed - start
