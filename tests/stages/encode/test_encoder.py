"""Attributes become inputs, by what train alone says."""

import numpy as np
import pandas as pd
import pytest
from builders import make_data, make_table, repeated
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from pipeline.config.schema import EncodeSettings
from pipeline.errors import DataError
from pipeline.stages.encode import encode, find_unseen, fit_encoder
from pipeline.stages.validate import MISSING

ONEHOT = EncodeSettings()
WORDS = make_data({"a": {"kind": "categorical"}})
NUMBERS = make_data({"a": {"kind": "numeric"}})


def test_the_cars_become_the_articles_21_inputs(cars, car_data):
    encoder = fit_encoder(cars, ONEHOT, car_data)
    assert len(encoder.inputs) == 21
    assert encoder.inputs[:4] == ("buying=vhigh", "buying=high", "buying=med", "buying=low")
    assert encoder.inputs[-1] == "safety=high"


def test_one_hot_is_scikit_learns(cars, car_data):
    got = encode(fit_encoder(cars, ONEHOT, car_data), cars, "all").X
    categories = [list(column.categories) for column in car_data.attributes.values()]
    expected = OneHotEncoder(categories=categories, sparse_output=False).fit_transform(cars.frame)
    assert np.array_equal(got, expected)


def test_one_hot_is_pandas_get_dummies_up_to_order(cars, car_data):
    """The article's own call, on its own table."""
    encoder = fit_encoder(cars, ONEHOT, car_data)
    got = pd.DataFrame(encode(encoder, cars, "all").X, columns=encoder.inputs)
    expected = pd.get_dummies(cars.frame, prefix_sep="=").astype(float)
    assert got[expected.columns].equals(expected)


def test_numbers_are_standardised_like_scikit_learn_does_weighted_by_count():
    table = make_table({"a": [1.0, 4.0, 10.0]}, [0, 1, 1], [5, 1, 2])
    got = encode(fit_encoder(table, ONEHOT, NUMBERS), table, "all").X
    long = repeated(table)
    expected = StandardScaler().fit(long.frame.to_numpy()).transform(table.frame.to_numpy())
    assert got == pytest.approx(expected, rel=1e-12)


def test_only_train_teaches_the_encoder():
    train = make_table({"a": [0.0, 2.0]}, [0, 1])
    other = make_table({"a": [100.0]}, [1])
    encoder = fit_encoder(train, ONEHOT, NUMBERS)
    assert encode(encoder, other, "test").X.tolist() == [[99.0]]


def test_a_number_that_does_not_vary_becomes_zero_and_not_nan():
    """I02: zero-variance inputs are finite."""
    table = make_table({"a": [0.1 + 0.2] * 3}, [0, 1, 1])
    assert encode(fit_encoder(table, ONEHOT, NUMBERS), table, "all").X.tolist() == [[0.0]] * 3


def test_a_missing_number_becomes_trains_mean_and_says_so():
    data = make_data({"a": {"kind": "numeric", "missing": "input"}})
    table = make_table({"a": [1.0, np.nan, 3.0]}, [0, 1, 1])
    encoder = fit_encoder(table, ONEHOT, data)
    assert encoder.inputs == ("a", "a=missing")
    assert encode(encoder, table, "all").X.tolist() == [[-1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]


def test_a_missing_word_is_a_category_of_its_own():
    data = make_data({"a": {"kind": "categorical", "categories": ["x", "y"], "missing": "input"}})
    table = make_table({"a": ["x", MISSING]}, [0, 1])
    assert fit_encoder(table, ONEHOT, data).inputs == ("a=x", "a=y", "a=missing")


def test_a_word_may_go_missing_later_though_none_is_missing_in_train():
    data = make_data({"a": {"kind": "categorical", "missing": "input"}})
    encoder = fit_encoder(make_table({"a": ["x", "y"]}, [0, 1]), ONEHOT, data)
    later = make_table({"a": [MISSING]}, [0])
    assert encode(encoder, later, "test").X.tolist() == [[0.0, 0.0, 1.0]]


def test_a_category_of_the_contract_keeps_its_input_though_no_row_has_it():
    """G20: the width does not depend on the rows."""
    data = make_data({"a": {"kind": "categorical", "categories": ["x", "y", "z"]}})
    assert len(fit_encoder(make_table({"a": ["x", "y"]}, [0, 1]), ONEHOT, data).inputs) == 3


def test_an_unseen_category_is_refused_with_the_number_of_rows_and_the_cures():
    encoder = fit_encoder(
        make_table({"a": ["x", "y"]}, [0, 1]), EncodeSettings(unseen="refuse"), WORDS
    )
    later = make_table({"a": ["x", "new"]}, [0, 1], [5, 3])
    with pytest.raises(DataError, match=r"^column a .* got 'new' \(3\) in 3 rows .*unseen=zeros"):
        encode(encoder, later, "test")


def test_an_unseen_category_may_become_zeros_and_is_counted():
    settings = EncodeSettings(unseen="zeros")
    encoder = fit_encoder(make_table({"a": ["x", "y"]}, [0, 1]), settings, WORDS)
    later = make_table({"a": ["x", "new"]}, [0, 1], [5, 3])
    assert encode(encoder, later, "test").X.tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert find_unseen(encoder, later) == {"a": {"new": 3}}


def test_joined_attributes_become_one_block_of_all_combinations(cars, car_data):
    settings = EncodeSettings.parse(
        {"crosses": [["buying", "maint"], ["doors", "persons", "lug_boot"]]}
    )
    encoder = fit_encoder(cars, settings, car_data)
    assert len(encoder.inputs) == 4 * 4 + 4 * 3 * 3 + 3
    assert "buying:maint=vhigh:low" in encoder.inputs
    X = encode(encoder, cars, "all").X
    row = (cars.frame["buying"] == "vhigh") & (cars.frame["maint"] == "low")
    assert np.array_equal(X[:, encoder.inputs.index("buying:maint=vhigh:low")] == 1, row)
    assert (X.sum(axis=1) == 3).all()


def test_two_inputs_of_one_name_are_refused():
    """F03: two keys that map to one are refused before training."""
    data = make_data({"a": {"kind": "categorical"}, "a=x": {"kind": "numeric"}})
    table = make_table({"a": ["x", "y"], "a=x": [1.0, 2.0]}, [0, 1])
    with pytest.raises(DataError, match="different names"):
        fit_encoder(table, ONEHOT, data)


def test_examples_cannot_be_written_to():
    table = make_table({"a": ["x", "y"]}, [0, 1])
    for array in encode(fit_encoder(table, ONEHOT, WORDS), table, "all"):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7.0
