"""A drafted contract is YAML that parses, and its file is read and keeps it."""

import random
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf

from pipeline.config.contract import DataSettings
from pipeline.draft import Draft, draft_contract
from pipeline.draft.contract_text import data_name
from pipeline.draft.draft import N_LOOKED_AT
from pipeline.errors import ConfigError
from pipeline.stages.read import car, read_rows
from pipeline.stages.validate import validate

N = 200


def table(**columns: object) -> pd.DataFrame:
    """A target and a number, and other columns."""
    rng = random.Random(0)
    answer = [rng.choice(["no", "no", "yes"]) for _ in range(N)]
    age = [rng.randint(17, 90) for _ in range(N)]
    return pd.DataFrame({"age": age, **columns, "answer": answer})


def drafted(path: Path, frame: pd.DataFrame | str, target: str = "answer", **more: str) -> Draft:
    """The draft of a table, once more by OmegaConf, the reader and the rules of a run."""
    if isinstance(frame, str):
        path.write_text(frame)
    else:
        frame.to_csv(path, index=False)
    draft = draft_contract(path, target, **more)
    data = contract(draft)
    found = validate(read_rows(data), data)
    assert bool(found.violations) == bool(draft.edits)
    return draft


def contract(draft: Draft) -> DataSettings:
    """The contract as Hydra reads it."""
    return DataSettings.parse(OmegaConf.to_container(OmegaConf.create(draft.text), resolve=True))


def line(draft: Draft, name: str) -> str:
    """What the draft says of a column."""
    (found,) = [line for line in draft.text.splitlines() if line.startswith(f"  {name}:")]
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def cycle(*values: object) -> list[object]:
    return [values[i % len(values)] for i in range(N)]


def test_the_cars_have_no_header_though_duckdb_sees_one(path):
    """Its first line holds vhigh twice; the contract that is shipped has the same columns."""
    path.write_bytes(car.content())
    draft = drafted(path, path.read_text(), "7")
    data = contract(draft)
    assert data.names == ("c1", "c2", "c3", "c4", "c5", "c6", "c7")
    assert (data.target.positive, data.target.negative) == (("acc", "good", "vgood"), ("unacc",))
    kept = [{*column.categories} for column in data.columns.values()]
    assert kept == [{*values} for values in car.ATTRIBUTES.values()]
    assert draft.n_rows == 1728


@pytest.mark.parametrize(
    ("values", "kind", "says"),
    [
        (["a", "b", "c"], "categorical", "'a' 67"),
        (["yes", "no"], "boolean", "'no' 100"),
        (["1", "2"], "categorical", "'1' 100"),
        (range(40), "numeric", "from 0 to 39, whole"),
        ([0.5, 1.5, 2.25], "numeric", "from 0.5 to 2.25"),
        (range(5), "numeric", "5 values; or {kind: categorical}"),
        (range(N), "ignored", "every row has another value"),
        ([f"id{i}" for i in range(N)], "ignored", "an identifier"),
        ([f"a word or two {i}" for i in range(N)], "ignored", "free text"),
        (["x"], "ignored", "constant"),
        ([""], "ignored", "empty in every row"),
        ([f"w{i}" for i in range(50)], "categorical", "50 words, learned from train"),
        ([f"{i:03}" for i in range(50)], "categorical", "50 words"),
    ],
)
def test_a_column_gets_its_kind_with_the_evidence(path, values, kind, says):
    draft = drafted(path, table(x=cycle(*values)))
    assert contract(draft).columns["x"].kind == kind
    assert says in line(draft, "x")


def test_dates_are_left_out_with_the_kind_to_paste(path):
    days = pd.date_range("2023-01-01", periods=N)
    draft = drafted(
        path, table(day=days.strftime("%d.%m.%Y"), late=days + pd.Timedelta(days=90_000))
    )
    assert '{kind: date, format: "%d.%m.%Y", parts: [month, weekday]}' in line(draft, "day")
    assert "in the future" in line(draft, "late")
    assert contract(draft).as_of < "2100"
    assert contract(drafted(path, table())).as_of == "2100-01-01"


def test_missing_values_become_inputs_and_are_counted(path):
    draft = drafted(path, table(x=cycle(1.5, 2, 7.5, ""), w=cycle("a", "b", "?")))
    columns = contract(draft).columns
    assert (columns["x"].missing, columns["w"].missing) == ("input", "input")
    assert "missing in 50 rows (25.0%)" in line(draft, "x")


@pytest.mark.parametrize("mark", ["-", "unknown", "#N/A", "n/a", "."])
def test_a_mark_among_numbers_is_a_missing_value(path, mark):
    draft = drafted(path, table(x=cycle(*range(30), mark)))
    data = contract(draft)
    assert mark in data.missing_values
    assert {"", "?", "NA"} <= {*data.missing_values, "", "?", "NA"}
    assert (data.columns["x"].kind, data.columns["x"].missing) == ("numeric", "input")
    assert f"'{mark}' in x" in draft.text


def test_a_strange_word_among_numbers_is_asked_about(path):
    draft = drafted(path, table(x=cycle(*range(30), "12 kg")))
    assert any("'12 kg' among numbers" in question for question in draft.unsure)


def test_a_sentinel_becomes_a_missing_value_unless_another_column_has_it(path):
    draft = drafted(path, table(x=cycle(*range(30), 999)))
    assert contract(draft).missing_values == ("999",)
    assert contract(draft).columns["x"].missing == "input"
    assert any("is 999, far from the rest, a missing value?" in asked for asked in draft.unsure)
    shared = drafted(path, table(x=cycle(*range(30), 999), z=cycle(*range(950, 1050))))
    assert contract(shared).missing_values == ()


def test_a_column_that_tells_the_target_is_left_out_with_the_reason(path):
    frame = table()
    draft = drafted(path, frame.assign(copy=frame["answer"].map({"yes": "closed", "no": "open"})))
    assert contract(draft).columns["copy"].kind == "ignored"
    assert "tells the target nearly alone" in line(draft, "copy")


def test_a_file_without_a_column_to_learn_from_is_refused(path):
    frame = pd.DataFrame({"id": range(N), "one": "x", "answer": cycle("yes", "no", "no")})
    with pytest.raises(ConfigError, match=r"to learn from; got id \(an identifier.*one \(constant"):
        drafted(path, frame)


def test_more_words_than_a_contract_allows_are_left_out(path):
    frame = pd.concat([table(w=[f"w{i + N * k}" for i in range(N)]) for k in range(6)] * 3)
    draft = drafted(path, frame)
    assert contract(draft).columns["w"].kind == "ignored"
    assert "too many words: 1,200 values in 3,600 rows" in line(draft, "w")
    assert "or {kind: categorical, min_count: 20}" in line(draft, "w")


@pytest.mark.parametrize(
    ("values", "positive"),
    [
        (["no", "no", "yes"], ("yes",)),
        (["yes", "yes", "no"], ("yes",)),
        (["0", "1", "1"], ("1",)),
        (["1", "1", "2"], ("2",)),
        (["1", "2", "2"], ("1",)),
        (["good", "good", "bad"], ("bad",)),
        (["a", "b", "b"], ("a",)),
        (["0", "0", "1", "2"], ("1", "2")),
        (["a", "a", "none", "b"], ("a", "b")),
    ],
)
def test_the_positive_value_is_proposed_and_asked_about(path, values, positive):
    draft = drafted(path, table().assign(answer=cycle(*values)))
    data = contract(draft)
    assert data.target.positive == positive
    assert {*data.target.positive, *data.target.negative} == {*values}
    assert any(question.startswith("target answer") for question in draft.unsure)


def test_the_positive_values_that_are_given_are_not_asked_about(path):
    frame = table().assign(answer=cycle("a", "b", "c"))
    assert contract(drafted(path, frame, positive="a")).target.positive == ("a",)
    draft = drafted(path, frame, positive="a, c")
    assert contract(draft).target.positive == ("a", "c")
    assert not any(question.startswith("target") for question in draft.unsure)


@pytest.mark.parametrize(
    ("target", "positive", "parts"),
    [
        ("anser", "", ["'age', 'answer'", "did you mean answer?"]),
        ("answer", "yess", ["'no', 'yes'", "did you mean yes?"]),
        ("answer", "yes,no", ["must leave a value", "yes,no"]),
        ("amount", "", ["question of yes or no", "numbers from 0 to"]),
        ("note", "", ["POSITIVE", "200 values"]),
        ("same", "", ["two values", "'x' in every row"]),
    ],
)
def test_a_target_that_is_none_is_refused_with_the_cure(path, target, positive, parts):
    more = {"amount": [i / 7 for i in range(N)], "note": [f"n{i}" for i in range(N)], "same": "x"}
    frame = table(**more) if target not in ("anser",) else table()
    frame.to_csv(path, index=False)
    with pytest.raises(ConfigError) as caught:
        draft_contract(path, target, positive)
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_a_place_is_a_target_only_without_a_header(path):
    with pytest.raises(ConfigError, match="must be a column"):
        drafted(path, table(), "2")
    path.write_bytes(car.content())
    with pytest.raises(ConfigError, match="from 1 to 7"):
        draft_contract(path, "8")


ODD = ["${y}", "[", "true", "1e3", "é:", "\\", "\\${z}"]
NAMES = ["a.b", "a b", "a:b", "größe", "it's", 'say "x"', "yes", "null", "1", "${x}", "#", "{", "~"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_any_characters_is_quoted_in_the_yaml(path, name):
    draft = drafted(path, table(**{name: cycle(*ODD)}))
    assert {*contract(draft).columns[name].categories} == {*ODD}


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("telco.csv", "telco"),
        ("Bank Full (1).csv.gz", "Bank_Full_1"),
        ("2024.csv", "table_2024"),
        ("null.csv", "table_null"),
        ("é.csv", "table"),
        ("house-votes-84.data", "house-votes-84"),
    ],
)
def test_a_contract_is_named_after_its_file_by_a_word_that_hydra_takes(file, name):
    assert data_name(Path(file)) == name


def test_parquet_is_drafted_too(tmp_path):
    path = tmp_path / "table.parquet"
    table(x=cycle("a", "b")).to_parquet(path)
    draft = draft_contract(path, "answer")
    assert [c.kind for c in contract(draft).columns.values()] == ["numeric", "categorical"]


def test_of_many_rows_of_parquet_some_are_looked_at_and_the_draft_says_so(tmp_path):
    """Evenly spaced, so that a file in the order of its target shows both classes."""
    n = 2 * N_LOOKED_AT + 10
    frame = pd.DataFrame({"age": [20 + i % 50 for i in range(n)], "answer": ["no"] * n})
    frame.loc[n - 20_000 :, "answer"] = "yes"
    frame.to_parquet(tmp_path / "long.parquet")
    draft = draft_contract(tmp_path / "long.parquet", "answer")
    assert draft.n_rows == n
    assert f"of {n:,} rows" in draft.text.splitlines()[0]
    assert any("evenly spaced" in doubt for doubt in draft.unsure)
    assert contract(draft).target.positive == ("yes",)
    assert contract(draft).path == str(tmp_path / "long.parquet")
    pd.concat([frame[:N], frame[-N:]]).to_parquet(tmp_path / "short.parquet")
    short = draft_contract(tmp_path / "short.parquet", "answer")
    assert not any("evenly" in doubt for doubt in short.unsure)
