"""A compiled model judges and scores every row as the pipeline does, without any of its code."""

import json

import numpy as np
import pytest

from pipeline.config.compose import configuration
from pipeline.serving.compiled import compile_model
from pipeline.serving.scorer import BadRowsError, Scorer
from pipeline.stages.encode import fit_encoder
from pipeline.stages.predict import Model, contract_for_new_rows, score
from pipeline.stages.read import read_rows
from pipeline.stages.validate import validate


def learned(*words):
    """A model of the table of a configuration, with weights by chance, and the rows."""
    config = configuration([*words])
    rows = read_rows(config.data)
    encoder = fit_encoder(validate(rows, config.data).table, config.encode, config.data)
    theta = np.random.default_rng(0).normal(size=len(encoder.inputs) + 1)
    data = contract_for_new_rows(config.data, encoder)
    return Model(data, encoder, theta, 0.5), rows.frame


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("encode=crosses",),
        *(("data=breast_cancer", f"encode={encode}") for encode in ("onehot", "spline", "bins")),
    ],
    ids=str,
)
def test_every_row_of_a_table_has_the_probability_that_the_pipeline_gives(words):
    model, frame = learned(*words)
    scorer = Scorer(json.loads(json.dumps(compile_model(model))))
    p, decision, _ = score(model, frame, np.arange(len(frame)), "the table")
    scored = scorer.score(frame)
    np.testing.assert_allclose(scored["probability"], p, rtol=0, atol=4e-15)
    np.testing.assert_array_equal(scored["decision"], decision)
    log_odds = scorer.terms(frame).sum(axis=1)
    np.testing.assert_allclose(1 / (1 + np.exp(-log_odds)), p, rtol=0, atol=4e-15)


def test_a_bad_row_is_named_with_column_value_and_rule():
    model, frame = learned()
    scorer = Scorer(compile_model(model))
    rows = frame.iloc[:4].copy()
    rows.loc[2, "safety"] = "hihg"
    with pytest.raises(BadRowsError, match=r"column safety must be one of .*'hihg' in row 2"):
        scorer.score(rows)
    answered = scorer.score(rows, "skip")
    assert answered["probability"].isna().tolist() == [False, False, True, False]
    assert "hihg" in answered["reason"][2]
