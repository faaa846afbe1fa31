"""Results of workers survive the way, and bytes from elsewhere call nothing."""

import os
import pickle
import subprocess
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from nn import Pass, tree_sum
from pipeline import files
from pipeline.errors import DataError
from pipeline.stages.blocks.survey import Bad, Numbers
from pipeline.stages.read.packed import Unreadable, pack, unpack

TABLE = pd.DataFrame(
    {"word": pd.Series(["a", "", "ünï"], dtype="str"), "x": [1.5, np.nan, -0.0], "n": [1, 2, 3]}
)


def test_results_are_what_they_were():
    sums = Pass(1.5, np.arange(3.0), np.eye(3), 0.25, 0.1)
    bad = Bad(3, Counter({"x": 3}))
    found = unpack(pack((sums, Numbers(1, 2.0), bad, np.uint64(7), None, b"x", ["t"])))
    assert type(found[0]) is Pass
    assert [np.asarray(a).tobytes() for a in found[0]] == [np.asarray(a).tobytes() for a in sums]
    assert found[1:] == (Numbers(1, 2.0), bad, 7, None, b"x", ["t"])
    assert isinstance(found[2].texts, Counter)


def test_a_table_is_what_it_was():
    found = unpack(pack(TABLE))
    pd.testing.assert_frame_equal(found, TABLE)
    assert np.signbit(found["x"][2])


def test_errors_are_what_they_were_or_say_it():
    assert isinstance(unpack(pack(DataError("a"))), DataError)
    assert isinstance(unpack(pack(MemoryError("b"))), MemoryError)
    other = unpack(pack(np.linalg.LinAlgError("singular")))
    assert str(other) == "LinAlgError: singular"


class Calls:
    """Bytes that call a function when they are read by pickle."""

    def __init__(self, function, *words):
        self.made = function, words

    def __reduce__(self):
        return self.made


@pytest.mark.parametrize(
    "value",
    [
        Calls(os.system, "touch here"),
        Calls(subprocess.Popen, ["touch", "here"]),
        Calls(eval, "open('here', 'w')"),
        Calls(files.replace, "here", b"x"),
        Calls(tree_sum, ()),
        np.array([Calls(os.system, "touch here")], dtype=object),
        pd.Series([1]),
    ],
    ids=["os", "Popen", "eval", "ours", "nn", "in an array", "pandas"],
)
def test_bytes_that_would_call_anything_are_refused(value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Unreadable, match="data alone"):
        unpack(pickle.dumps(value))
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("content", [b"", b"x", b"\x80\x05", pack(TABLE)[:-40], b"cos\nsystem\n."])
def test_damaged_bytes_are_refused(content):
    with pytest.raises(Unreadable):
        unpack(content)
