"""A model survives its JSON to the last bit, and a wrong one is refused."""

import json

import numpy as np
import pytest
from builders import make_data, make_table

from pipeline.config.column_settings import Categorical
from pipeline.config.schema import EncodeSettings
from pipeline.errors import DataError
from pipeline.stages.encode import encode, fit_encoder
from pipeline.stages.predict import Model, contract_for_new_rows, from_json, to_json


@pytest.fixture
def model() -> Model:
    data = make_data({"a": {"kind": "categorical"}, "x": {"kind": "numeric", "missing": "input"}})
    table = make_table({"a": ["p", "q"], "x": [0.1, 0.2 + 0.1]}, [0, 1])
    encoder = fit_encoder(table, EncodeSettings(unseen="refuse"), data)
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


def test_every_kind_of_input_is_read_back_and_gives_the_same_bits():
    """Bins, curves, infrequent words, parts of dates, a cross of them, and a wide-off mean."""
    data = make_data({
        "a": {"kind": "categorical", "min_count": 2},
        "x": {"kind": "numeric", "spline": 4, "missing": "input"},
        "t": {"kind": "numeric"},
        "b": {"kind": "numeric", "bins": [0.1 + 0.2]},
        "day": {"kind": "date", "parts": ["month", "days"]},
    })  # fmt: skip
    table = make_table(
        {
            "a": list("ppqqrs"), "x": [0.1, 0.7, np.nan, 2.0, 5.0, 9.0],
            "t": [1.7e18 + 512 * i for i in (0, 1, 1, 0, 2, 2)], "b": [0.0, 1.0] * 3,
            "day.month": list("121212"), "day.days": [1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
        },
        [0, 1] * 3,
    )  # fmt: skip
    settings = EncodeSettings.parse({"unseen": "refuse", "crosses": [["a", "b"]]})
    encoder = fit_encoder(table, settings, data)
    assert {type(block).__name__ for block in encoder.blocks} == {"OneHot", "Spline", "Standard"}
    theta = np.random.default_rng(1).normal(size=len(encoder.inputs) + 1)
    contract = contract_for_new_rows(data, encoder)
    assert contract.columns["a"].categories is None  # what is rare is infrequent, not refused
    back = from_json(to_json(Model(contract, encoder, theta, 0.5)))
    assert back.encoder == encoder
    assert (
        encode(back.encoder, table, "all").X.tobytes() == encode(encoder, table, "all").X.tobytes()
    )


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
