"""Columns become the bytes of a CSV file: every one that is written is written here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

FORMULA_SIGNS = "=+-@\t\r\n＝＋－＠"  # that a cell begins with which spreadsheets run
PLAIN_NUMBER = r"\A[+-]?([0-9.,' ]+([eE][+-]?[0-9]+)?)?\z"


def csv_bytes(columns: Iterable[tuple[str, Any]], *, header: bool = True) -> bytes:
    """Return named columns of texts or numbers as CSV in UTF-8; None is an empty cell.

    Without ``header`` they are more rows of such a file.

    A number is the shortest text that is read back to the last bit. A text is as it is, in quotes
    where it must be, but for one that a spreadsheet would run as a formula: that gets an apostrophe
    in front. Plain numbers are no formulas, whatever their sign.
    """
    names, cells = zip(*((name, _csv_cells(column)) for name, column in columns), strict=True)
    first = ",".join(_csv_cells(names).to_pylist()) + "\n" if header else ""
    return first.encode() + _content(_joined(*cells[:-1], _joined(cells[-1], "\n"), by=","))


def _csv_cells(column: Any) -> Any:
    """Return the cells of a column as an Arrow array of texts, as a CSV file has them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = str(getattr(column, "dtype", ""))
    if kind in ("int64", "float64"):
        return _numbers(column)
    if kind != "str":
        column = ["" if v is None else _utf8(v) if isinstance(v, str) else repr(v) for v in column]
    cells: Any = pa.array(column, pa.large_string())
    cells = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
    content = _content(cells)  # whether a sign is anywhere is known at once
    if any(sign.encode() in content for sign in FORMULA_SIGNS):
        runs = pc.and_not(
            pc.match_substring_regex(cells, rf"\A[{re.escape(FORMULA_SIGNS)}]"),
            pc.match_substring_regex(cells, PLAIN_NUMBER),
        )
        cells = pc.if_else(runs, _joined("'", cells), cells)
    if any(mark in content for mark in b'",\r\n'):
        quoted = _joined('"', pc.replace_substring(cells, '"', '""'), '"')
        cells = pc.if_else(pc.match_substring_regex(cells, '[",\r\n]'), quoted, cells)
    return cells


def _numbers(numbers: Any) -> Any:
    """Return numbers (n,) as ``repr`` writes them, an Arrow array of texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pa.large_string()
    cells = pc.cast(pa.array(numbers), text)
    if numbers.dtype.kind == "i":
        return cells
    # Here alone the two write the same digits in another way: 1 or 1.0, 0.00001 or 1e-05.
    size = np.abs(numbers)
    differs = ~((size >= 1e-4) & (size < 1e9)) | (numbers == np.floor(numbers))
    return pc.replace_with_mask(
        cells, pa.array(differs), pa.array(map(repr, numbers[differs].tolist()), text)
    )


def _joined(*parts: Any, by: str = "") -> Any:
    """Return the parts, Arrow arrays or texts, one after the other in each cell."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pa.large_string()
    each = (pa.scalar(part, text) if isinstance(part, str) else part for part in (*parts, by))
    return pc.binary_join_element_wise(*each)


def _content(cells: Any) -> bytes:
    """Return all texts of an Arrow array, one after the other."""
    _, ends, content = cells.buffers()
    first, last = np.frombuffer(ends, np.int64)[[cells.offset, cells.offset + len(cells)]]
    return bytes(memoryview(content)[first:last]) if last > first else b""


def _utf8(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
