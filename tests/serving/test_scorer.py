"""The scorer that a model carries gives the verdicts and the probabilities of the pipeline."""

import json

import numpy as np
import pandas as pd
import pytest
from contract_builders import CASES, Case, learned, rows, verdicts

from pipeline.config.file_settings import BLANKS
from pipeline.serving.compiled import compile_model, example_row
from pipeline.serving.scorer import Scorer
from pipeline.stages.predict import Model, score


def made(model: Model) -> Scorer:
    return Scorer(json.loads(json.dumps(compile_model(model))))


def require_equal(case: Case, n: int, odd: float) -> int:
    """Assert equal verdicts and probabilities; return how many rows are good."""
    model, frame = learned(case), rows(case, n, odd, seed=4)
    read = frame.apply(lambda cells: cells.str.strip(BLANKS)) if model.data.strip else frame
    scorer, expected = made(model), verdicts(model, read)
    assert {(f.row, f.column, f.rule) for f in scorer.check(frame)} == expected
    good = np.setdiff1d(np.arange(n), [row for row, _, _ in expected])
    p, decision, _ = score(model, read.iloc[good], good, "the rows")
    answered = scorer.score(frame, "skip")
    np.testing.assert_allclose(answered["probability"].iloc[good], p, rtol=0, atol=4e-15)
    assert answered["decision"].iloc[good].tolist() == decision.tolist()
    assert answered["probability"].notna().sum() == len(good)
    return len(good)


@pytest.mark.parametrize("name", CASES)
def test_verdicts_and_probabilities_are_the_pipelines(name):
    n_good = require_equal(CASES[name], 1500, 0.05)
    assert 100 < n_good < 1500  # both are there


@pytest.mark.exhaustive
@pytest.mark.parametrize("odd", [0.01, 0.3])
@pytest.mark.parametrize("name", CASES)
def test_verdicts_and_probabilities_are_the_pipelines_of_a_hundred_thousand_rows(name, odd):
    require_equal(CASES[name], 100_000 // len(CASES), odd)


@pytest.mark.parametrize("name", CASES)
def test_the_example_is_a_row_that_the_contract_takes(name):
    compiled = compile_model(learned(CASES[name]))
    row = pd.DataFrame([example_row(compiled)])
    assert not Scorer(compiled).check(row)


def typed(text: str, kind: str, form: str | None, rng: np.random.Generator) -> object:
    """The text as another thing that a request may hold for it."""
    if text in ("", "NA") and kind != "few":
        return rng.choice(np.array([None, np.nan, pd.NA, pd.NaT, np.float32("nan")], object))
    if kind in ("flag", "maybe"):
        word = text.lower() in ("true", "t", "yes", "y", "1")
        return rng.choice(np.array([word, np.bool_(word), int(word), float(word)], object))
    if kind in ("day", "when", "german") and form != "iso with zone":
        moment = pd.to_datetime(text, format=form) if form else pd.Timestamp(text)
        return rng.choice(np.array([moment, moment.to_pydatetime()], object))
    try:
        number = float(text)
    except ValueError:
        return text
    whole = [int(number), np.int64(number)] if number.is_integer() else []
    return rng.choice(np.array([number, np.float64(number), *whole], object))


def test_cells_of_every_type_are_taken_as_the_text_that_a_file_would_hold():
    case = CASES["every kind"]
    model, frame = learned(case), rows(case, 300, 0.0, seed=5)
    scorer, rng = made(model), np.random.default_rng(6)
    # A category that is there as 1 and as 1.0 is the former, of a number.
    text = frame.assign(**{n: frame[n].replace({"1.0": "1"}) for n in ("open", "rare")})
    mixed = pd.DataFrame({
        name: pd.Series(
            [typed(t, name, case.columns[name].get("format"), rng) for t in cells], dtype=object
        )
        for name, cells in text.items()
    })  # fmt: skip
    expected = scorer.score(text)
    pd.testing.assert_frame_equal(scorer.score(mixed), expected)
    one_by_one = [scorer.score(mixed.iloc[[i]])["probability"].iloc[0] for i in range(len(mixed))]
    assert one_by_one == expected["probability"].tolist()


@pytest.mark.parametrize("n", [3, 300])  # read cell by cell, and by column
@pytest.mark.parametrize("cells", [
    [1, 2, 1], [1.0, 2.0, 1.0], [1, 2, None], [1, np.nan, 2], ["1", 2, 1.0], [np.int8(1), "2", 1],
], ids=str)  # fmt: skip
def test_a_null_in_a_batch_leaves_a_category_that_is_a_number_what_it_is(cells, n):
    columns = {
        "code": {"kind": "categorical", "categories": ["1", "2"], "missing": "input"},
        "x": {"kind": "numeric"},
    }
    scorer = made(learned(Case(columns, {"unseen": "refuse"}, {})))
    batch = pd.DataFrame({"code": cells * (n // 3), "x": 1.0})
    text = ["" if pd.isna(cell) else str(int(cell)) for cell in cells] * (n // 3)
    expected = scorer.score(pd.DataFrame({"code": text, "x": "1"}))
    pd.testing.assert_frame_equal(scorer.score(batch), expected)
    as_floats = pd.DataFrame({"code": [float(t or "nan") for t in text], "x": [1] * len(text)})
    pd.testing.assert_frame_equal(scorer.score(as_floats), expected)
