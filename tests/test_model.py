"""A model survives its JSON to the last bit, and a wrong one is refused."""

import json

import numpy as np
import pytest
from tables import make_data, make_table

from pipeline.config import Categorical, EncodeSettings
from pipeline.errors import DataError
from pipeline.model import Model, from_json, tightened, to_json
from pipeline.stages.encode import fit_encoder


@pytest.fixture
def model() -> Model:
    data = make_data({"a": {"kind": "categorical"}, "x": {"kind": "numeric", "missing": "input"}})
    table = make_table({"a": ["p", "q"], "x": [0.1, 0.2 + 0.1]}, [0, 1])
    encoder = fit_encoder(table, EncodeSettings(), data)
    theta = np.random.default_rng(0).normal(size=len(encoder.inputs) + 1)
    return Model(data, encoder, theta, 0.4)


def test_a_model_is_read_back_to_the_last_bit(model):
    back = from_json(to_json(model))
    assert back.theta.tobytes() == model.theta.tobytes()
    assert (back.data, back.encoder, back.threshold) == (
        model.data, model.encoder, model.threshold,
    )  # fmt: skip


def test_the_contract_of_a_model_lists_the_categories_that_it_has_learned(model):
    column = tightened(model.data, model.encoder).columns["a"]
    assert isinstance(column, Categorical)
    assert column.categories == ("p", "q")


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("theta", [1.0], "theta must hold 5 finite numbers"),
        ("format", 99, "model format must be 1; got 99"),
    ],
)
def test_a_model_whose_parts_do_not_fit_is_refused(model, key, value, rule):
    tree = json.loads(to_json(model)) | {key: value}
    with pytest.raises(DataError, match=rule):
        from_json(json.dumps(tree))


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "[" * 100_000, '{"format": 1}', '{"format": 1, "blocks": [3]}']
)
def test_a_model_of_another_shape_is_refused_in_a_sentence(text):
    with pytest.raises(DataError, match="model must be one of make run; got a misshapen one"):
        from_json(text)


def test_a_model_with_a_weight_that_is_no_number_is_refused(model):
    text = to_json(model).replace(repr(float(model.theta[0])), "NaN")
    with pytest.raises(DataError, match="finite"):
        from_json(text)
