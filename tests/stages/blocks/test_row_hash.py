"""The hash of a row: of its values alone, spread evenly, and on record for good."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare

from pipeline.stages.blocks.row_hash import row_keys


def test_a_hash_is_of_the_values_and_not_of_their_place_or_sign_of_zero():
    frame = pd.DataFrame({"x": [1.0, -0.0, np.nan, 0.0], "word": ["a", "b", "ü", "b"]})
    keys = row_keys(frame)
    assert keys[1] == keys[3]
    assert len({*keys.tolist()}) == 3
    assert row_keys(frame[::-1]).tolist() == keys[::-1].tolist()
    words = frame.assign(word=pd.Categorical(frame["word"]))
    assert row_keys(words).tolist() == keys.tolist()
    assert row_keys(frame[["word", "x"]])[0] != keys[0]


def test_hashes_are_those_of_every_other_version():
    """A run that is made again must deal the rows as it did."""
    frame = pd.DataFrame({"x": [1.0, 2.5, np.nan], "word": ["a", "b", "ü"]})
    assert row_keys(frame).tolist() == KNOWN


KNOWN = [1705879862921830251, 4420604761499460171, 10671858891065941798]


@pytest.mark.exhaustive
def test_small_whole_numbers_never_meet_and_fill_all_buckets_alike():
    a, b, c = np.meshgrid(np.arange(100.0), np.arange(100.0), np.arange(100.0))
    frame = pd.DataFrame({"a": a.ravel(), "b": b.ravel(), "c": c.ravel()})
    keys = row_keys(frame)
    assert len(np.unique(keys)) == len(frame)
    for bits in (
        keys >> np.uint64(54),
        keys & np.uint64(1023),
        keys >> np.uint64(30) & np.uint64(1023),
    ):
        counts = np.bincount(bits.astype(np.intp), minlength=1024)
        assert chisquare(counts).pvalue > 1e-4
    poor = (frame["a"] + frame["b"]).to_numpy().astype(np.intp)  # the control
    assert chisquare(np.bincount(poor, minlength=199)).pvalue < 1e-4
