"""Rare categories share an input, and no run depends on which of them the split deals to train."""

import numpy as np
import pytest
from builders import make_data, make_table
from sklearn.preprocessing import OneHotEncoder

from pipeline.config.schema import EncodeSettings
from pipeline.errors import DataError
from pipeline.stages.encode import encode, find_unseen, fit_encoder
from pipeline.stages.validate import MISSING

WORDS = make_data({"a": {"kind": "categorical"}})


def words(letters, **column):
    table = make_table({"a": list(letters)}, np.arange(len(letters)) % 2)
    return table, make_data({"a": {"kind": "categorical", **column}})


@pytest.mark.parametrize(
    "settings", [EncodeSettings(min_count=3), EncodeSettings(unseen="refuse", min_count=3)]
)
def test_rare_and_unseen_categories_are_scikit_learns_infrequent_ones(settings):
    table, data = words("aaaabbbbbccd")
    later, _ = words("abcdxyz")
    encoder = fit_encoder(table, settings, data)
    assert encoder.inputs == ("a=a", "a=b", "a=infrequent")
    oracle = OneHotEncoder(
        min_frequency=3, handle_unknown="infrequent_if_exist", sparse_output=False
    ).fit(table.frame)
    assert np.array_equal(encode(encoder, later, "test").X, oracle.transform(later.frame))
    assert find_unseen(encoder, later) == {}


def test_the_columns_own_number_wins():
    table, data = words("aaaabbbbbccd", min_count=2)
    assert fit_encoder(table, EncodeSettings(min_count=5), data).inputs == (
        "a=a", "a=b", "a=c", "a=infrequent"
    )  # fmt: skip


def test_without_rare_rows_in_train_an_unseen_category_is_zeros_and_refuses_no_run():
    table, data = words("aaabbb", min_count=3)
    encoder = fit_encoder(table, EncodeSettings(unseen="refuse"), data)
    assert encoder.inputs == ("a=a", "a=b")
    assert encode(encoder, words("x")[0], "test").X.tolist() == [[0.0, 0.0]]


def test_a_category_may_be_called_infrequent():
    table, data = words(["infrequent"] * 3 + ["b"] * 3 + ["c"], min_count=2)
    encoder = fit_encoder(table, EncodeSettings(), data)
    assert encoder.inputs == ("a=b", "a=infrequent", "a=(infrequent)")
    assert encode(encoder, table, "all").X.argmax(axis=1).tolist() == [1] * 3 + [0] * 3 + [2]


def test_a_missing_word_is_never_grouped():
    table, data = words(["a"] * 3 + ["b", MISSING], min_count=2, missing="input")
    encoder = fit_encoder(table, EncodeSettings(), data)
    assert encoder.inputs == ("a=a", "a=infrequent", "a=missing")
    assert encode(encoder, table, "all").X.argmax(axis=1).tolist() == [0, 0, 0, 1, 2]


def test_a_refusal_names_the_categories_the_rows_and_the_cures():
    table, data = words("aabb")
    encoder = fit_encoder(table, EncodeSettings(unseen="refuse"), data)
    with pytest.raises(DataError, match=r"got 'x' \(2\), 'y' \(1\) in 3 rows of test: .*min_count"):
        encode(encoder, words("xyxa")[0], "test")


def test_combinations_without_end_are_refused_with_their_number():
    n = 40
    table = make_table({k: [f"{k}{i}" for i in range(n)] for k in "ab"}, np.arange(n) % 2)
    data = make_data({"a": {"kind": "categorical"}, "b": {"kind": "categorical"}})
    with pytest.raises(DataError, match="1600 of a:b"):
        fit_encoder(table, EncodeSettings.parse({"crosses": [["a", "b"]]}), data)
