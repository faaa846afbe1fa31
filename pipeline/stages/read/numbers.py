"""Text becomes numbers: in decimals, with the marks that the contract names, nothing guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nn.arrays import Array
from pipeline.config.file_settings import FileSettings

if TYPE_CHECKING:
    import pandas as pd

NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
# Typesetters have several blanks and apostrophes for one.
SEPARATORS = {" ": "[ \u00a0\u2009\u202f]", "'": "['\u2019]", ".": "[.]", ",": ",", "_": "_"}


def parse_numbers(text: pd.Series[str], settings: FileSettings | None = None) -> Array:
    """Return each text as float64, correctly rounded; NaN where it is no finite number.

    A number is a NUMBER, or one with the decimal mark and the mark of thousands of the settings.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    # Arrow takes what NUMBER is, and names of inf and nan; a single other text is an error.
    cells: Any = pa.array(text, pa.large_string())
    if settings is not None and (settings.decimal, settings.thousands) != (".", None):
        cells = _with_point(cells, settings)
    try:
        found = pc.cast(cells, pa.float64())
    except pa.ArrowInvalid:
        is_number = pc.match_substring_regex(cells, rf"\A({NUMBER})\z")
        found = pc.cast(pc.if_else(is_number, cells, None), pa.float64())
    number = found.to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(number), number, np.nan)


def number_text(number: float, settings: FileSettings) -> str:
    """Return the shortest text that is read back as the number, with the decimal mark."""
    return repr(number).replace(".", settings.decimal)


def _with_point(cells: Any, settings: FileSettings) -> Any:
    """Return the numbers among the cells as NUMBER has them; null where a cell is none."""
    import pyarrow.compute as pc

    point = "[.]" if settings.decimal == "." else ","
    whole = "[0-9]+"
    if settings.thousands is not None:
        sign = SEPARATORS[settings.thousands]
        whole = rf"([1-9][0-9]{{0,2}}({sign}[0-9]{{3}})+|[0-9]+)"
    number = rf"[+-]?({whole}({point}[0-9]*)?|{point}[0-9]+)([eE][+-]?[0-9]+)?"
    found = pc.if_else(pc.match_substring_regex(cells, rf"\A({number})\z"), cells, None)
    if settings.thousands is not None:
        found = pc.replace_substring_regex(found, sign, "")
    return pc.replace_substring(found, settings.decimal, ".")
