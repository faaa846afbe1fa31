"""The arrays of a record: the curve as CSV, losses as ``.npy``; read without trusting either."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np

from nn.arrays import Array
from pipeline.csv_text import csv_bytes
from pipeline.record.head import RecordError
from pipeline.text import one_line

HEADER = 128  # bytes before the numbers of a .npy file
SERIES = {"epoch", "objective", "train_loss", "train_accuracy"}  # and more with validation rows


def curve_csv(curve: Mapping[str, Array]) -> bytes:
    """Return the series as CSV; a number is the shortest text that reads back to the last bit."""
    return csv_bytes(curve.items())


def parse_curve(content: bytes) -> dict[str, Array]:
    """Return the series of a ``curve.csv`` by name, to the last bit as they were written.

    Raise RecordError if it is no table of finite numbers, a column for each series.
    """
    first, _, lines = content.partition(b"\n")
    names = first.decode("ascii", "replace").split(",")
    table = np.empty((0, len(names)))  # of a run that diverged at once
    try:
        if lines[:1].isdigit():  # or NumPy warns of no data
            table = np.loadtxt(io.BytesIO(lines), delimiter=",", ndmin=2, comments=None)
        elif lines:
            raise ValueError("a line that begins with no epoch")
        curve = dict(zip(names, np.ascontiguousarray(table.T), strict=True))
        if not curve.keys() >= SERIES or not all(map(str.isidentifier, curve)):
            raise ValueError("other series")
        if not np.isfinite(table).all():
            raise ValueError("one that is not finite")
    except ValueError as error:
        raise RecordError(f"curve.csv must hold numbers; got {one_line(error, 100)}") from None
    return curve


def array_bytes(*rows: Array) -> bytes:
    """Return the rows, equally long, as one ``.npy`` file; equal arrays give equal bytes."""
    file = io.BytesIO()
    table = np.ascontiguousarray(np.stack(rows), "<f8")
    np.lib.format.write_array(file, table, version=(1, 0), allow_pickle=False)
    return file.getvalue()


def parse_array(content: bytes, rows: Sequence[int]) -> Array:
    """Return the array (rows, n) of a ``.npy`` file; its header is compared, not obeyed.

    Raise RecordError if it is not what ``array_bytes`` makes of so many, one of ``rows``, rows of
    finite numbers.
    """
    body = content[HEADER:]
    for k in rows:
        n = len(body) // (8 * k)
        array = np.frombuffer(body, "<f8", k * n).reshape(k, n)
        if array_bytes(*array) == content and np.isfinite(array).all():
            return array
    either = " or ".join(map(str, rows))
    raise RecordError(f"array must hold {either} rows of finite float64; got another file")
