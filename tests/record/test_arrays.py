"""Arrays come back to the last bit; a hostile file is refused before anything is allocated."""

import io
import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from pipeline.record import RecordError
from pipeline.record.arrays import array_bytes, curve_csv, parse_array, parse_curve

EXTREME = np.array([0.1, -1 / 3, 5e-324, 1.7976931348623157e308, -0.0])
LOSSES = array_bytes(EXTREME, EXTREME[::-1])
NAMES = ("objective", "train_loss", "train_accuracy")
CURVE = {"epoch": np.arange(5.0), **dict.fromkeys(NAMES, EXTREME)}


def npy(shape: str, data: bytes = b"", dtype: str = "'<f8'", order: str = "False") -> bytes:
    """The bytes of an array whose header says what we like."""
    text = f"{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}, }}"
    header = text.ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def csv(*lines: str, names: str = "epoch,objective,train_loss,train_accuracy") -> bytes:
    return "\n".join([names, *lines, ""]).encode()


def test_losses_come_back_to_the_last_bit_and_numpy_reads_them_too():
    read = parse_array(LOSSES, rows=[2])
    assert read.tobytes() == EXTREME.tobytes() + EXTREME[::-1].tobytes()
    assert np.load(io.BytesIO(LOSSES), allow_pickle=False).tobytes() == read.tobytes()


def test_an_array_that_is_read_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        parse_array(LOSSES, rows=[2])[0, 0] = 1


def test_a_curve_comes_back_to_the_last_bit_and_python_reads_it_too():
    content = curve_csv(CURVE)
    first, *lines = content.decode().splitlines()
    columns = zip(*(map(float, line.split(",")) for line in lines), strict=True)
    read = parse_curve(content)
    assert [*read] == first.split(",") == [*CURVE]
    for (name, series), column in zip(CURVE.items(), columns, strict=True):
        assert read[name].tobytes() == series.tobytes() == np.array(column).tobytes()


def test_a_curve_may_have_no_epoch_or_a_single_one():
    for n in (0, 1):
        read = parse_curve(curve_csv({name: series[:n] for name, series in CURVE.items()}))
        assert [(name, len(series)) for name, series in read.items()] == [(x, n) for x in CURVE]


@pytest.mark.parametrize("columns", [1, 7, 1000])
def test_arrays_of_any_length_are_read(columns):
    rows = np.random.default_rng(0).normal(size=(2, columns))
    assert parse_array(array_bytes(*rows), rows=[2]).tobytes() == rows.tobytes()


FLOAT = struct.pack("<d", 1.0)
HOSTILE_ARRAYS = {
    "object array": npy("(2, 1)", pickle.dumps([1, 2]), "'|O'"),
    "huge shape": npy(f"(2, {10**18})"),
    "shape that overflows 64 bits": npy(f"({2**40}, {2**40})"),
    "negative shape": npy("(-1,)"),
    "another number of rows": array_bytes(EXTREME),
    "a row more": array_bytes(EXTREME, EXTREME, EXTREME),
    "too little data": npy("(2, 1)", FLOAT),
    "too much data": npy("(2, 1)", 3 * FLOAT),
    "half a number more": LOSSES + FLOAT[:4],
    "NaN": array_bytes(EXTREME, np.full(5, np.nan)),
    "infinity": array_bytes(EXTREME, np.full(5, -np.inf)),
    "single precision": npy("(2, 1)", FLOAT, "'<f4'"),
    "big endian": npy("(2, 1)", 2 * FLOAT, "'>f8'"),
    "structured dtype": npy("(2, 1)", 2 * FLOAT, "[('a', '<f8')]"),
    "Fortran order": npy("(2, 1)", 2 * FLOAT, order="True"),
    "code in the header": npy("(__import__('os').getpid(),)", 2 * FLOAT),
    "version 2": b"\x93NUMPY\x02\x00" + LOSSES[8:],
    "an archive": b"PK\x03\x04" + bytes(200),
    "no header": b"theta",
    "nothing": b"",
    "truncated": LOSSES[:-3],
    "cut in its header": LOSSES[:100],
}


@pytest.mark.parametrize("content", HOSTILE_ARRAYS.values(), ids=HOSTILE_ARRAYS)
def test_hostile_array_is_refused(content):
    """H01."""
    with pytest.raises(RecordError) as refusal:
        parse_array(content, rows=[2])
    assert len(str(refusal.value)) < 200


HOSTILE_CURVES = {
    "NaN": csv("0.0,1.0,1.0,nan"),
    "infinity": csv("0.0,1.0,1.0,inf"),
    "overflow": csv("0.0,1.0,1.0,1e999"),
    "words": csv("0.0,1.0,1.0,high"),
    "code": csv("0.0,1.0,1.0,__import__('os')"),
    "a line too short": csv("0.0,1.0,1.0"),
    "a line too long": csv("0.0,1.0,1.0,1.0,1.0"),
    "a ragged line": csv("0.0,1.0,1.0,1.0", "1.0,1.0"),
    "a comment": csv("0.0,1.0,1.0,1.0", "# 1.0"),
    "blank lines alone": csv("", ""),
    "no names": csv("0.0,1.0,1.0,1.0", names=""),
    "other names": csv("0.0,1.0", names="a,b"),
    "a name of markup": csv("0.0,1.0,1.0,1.0,1.0", names=f"epoch,{','.join(NAMES)},<script>"),
    "bytes that are no text": b"\xff\xfe\x00",
    "nothing": b"",
}


@pytest.mark.parametrize("content", HOSTILE_CURVES.values(), ids=HOSTILE_CURVES)
def test_hostile_curve_is_refused(content):
    """H01."""
    with pytest.raises(RecordError) as refusal:
        parse_curve(content)
    assert len(str(refusal.value)) < 300


def test_a_header_that_promises_much_makes_nothing_be_allocated():
    """H01: 8 EB in 200 bytes."""
    tracemalloc.start()
    try:
        with pytest.raises(RecordError):
            parse_array(npy(f"(2, {10**18})", 2 * FLOAT), rows=[2])
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
