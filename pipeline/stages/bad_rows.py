"""Rows that break the contract get a reason each, and the other rows of their file are scored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pipeline.config.contract import DataSettings
from pipeline.stages.encode import Encoder, OneHot
from pipeline.stages.read import Counts
from pipeline.stages.validate.validation import bad_rows
from pipeline.stages.validate.values import Bools, ColumnValues, column_values
from pipeline.text import counted, quoted

if TYPE_CHECKING:
    import pandas as pd


def find_reasons(
    frame: pd.DataFrame,
    lines: Counts,
    of_width: dict[int, str],
    data: DataSettings,
    encoder: Encoder,
) -> tuple[dict[int, str], tuple[str, ...]]:
    """Return why rows cannot be scored, by their place, and each rule with what breaks it.

    ``lines`` (n,) says where the rows of text are, and ``of_width`` which have more or fewer cells
    than there are columns.
    """
    reasons = {i: [text] for i, text in of_width.items()}
    n_wide = counted(len(of_width), "row has", "rows have")
    rules = [f"row must have {frame.shape[1]} cells; {n_wide} more or fewer"] if of_width else []
    places = np.flatnonzero(~np.isin(np.arange(len(frame)), [*of_width]))
    rows = frame.iloc[places] if of_width else frame
    columns = column_values(rows, data)
    found = [
        *((v.column, v.rule, v.message, bad) for v, bad in bad_rows(
            rows, columns, data, lines[places]
        )),
        *_unknown(rows, columns, data, encoder),
    ]  # fmt: skip
    for column, rule, message, is_bad in found:
        rules.append(message)
        for i, value in zip(places[is_bad].tolist(), rows[column][is_bad], strict=True):
            text = f"column {column} {rule}; got {quoted(value)}"
            reasons.setdefault(i, []).append(text)
    return {i: "; and ".join(texts) for i, texts in reasons.items()}, tuple(rules)


def _unknown(
    rows: pd.DataFrame, columns: dict[str, ColumnValues], data: DataSettings, encoder: Encoder
) -> Iterator[tuple[str, str, str, Bools]]:
    """Yield column, rule, message and rows of categories of which the contract lists none.

    That is where train has a single one, and the encoder answers no other.
    """
    one_hot = [block for block in encoder.blocks if isinstance(block, OneHot)]
    open_ = [n for n, c in data.columns.items() if getattr(c, "categories", ()) is None]
    rule = "must have a category of train"
    for name in open_ if encoder.unseen == "refuse" else ():
        blocks = [block for block in one_hot if name in block.attributes]
        if any(name in block.infrequent for block in blocks):
            continue  # it takes any word
        known = {each[b.attributes.index(name)] for b in blocks for each in b.categories}
        is_missing = columns[name].of_rows(columns[name].is_missing)
        is_bad = ~is_missing & ~rows[name].isin(known).to_numpy(bool)
        if is_bad.any():
            n = counted(int(is_bad.sum()), "row")
            yield name, rule, f"column {name} {rule}; got another in {n}", is_bad
