"""A model survives its JSON to the last bit, and a wrong one is refused."""

import json

import numpy as np
import pytest
from builders import make_data, make_table

from pipeline.config.contract import Categorical
from pipeline.config.schema import EncodeSettings
from pipeline.errors import DataError
from pipeline.stages.encode import fit_encoder
from pipeline.stages.predict import Model, contract_for_new_rows, from_json, to_json


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
    column = contract_for_new_rows(model.data, model.encoder).columns["a"]
    assert isinstance(column, Categorical)
    assert column.categories == ("p", "q")


def test_the_file_of_a_model_names_the_input_of_each_weight(model):
    tree = json.loads(to_json(model))
    assert tree["inputs"] == list(model.encoder.inputs)
    assert len(tree["theta"]) == len(tree["inputs"]) + 1


@pytest.mark.parametrize(
    ("key", "value", "got"),
    [
        ("theta", [1.0], r"\(1,\)"),
        ("theta", "abc", "theta"),
        ("threshold", None, "threshold"),
        ("encoder", {"blocks": [{"attribute": "x"}], "unseen": "refuse"}, "blocks"),
        ("data", {}, "data.name"),
        ("format", 99, "99"),
    ],
)
def test_a_model_whose_parts_do_not_fit_is_refused(model, key, value, got):
    tree = json.loads(to_json(model)) | {key: value}
    with pytest.raises(DataError, match=got):
        from_json(json.dumps(tree))


def test_a_model_with_a_weight_that_is_no_number_is_refused(model):
    text = to_json(model).replace(repr(float(model.theta[0])), "NaN")
    with pytest.raises(DataError, match="theta"):
        from_json(text)
