"""The files of a table that is held in several: train, and what is held out beside it."""

from __future__ import annotations

import numpy as np

from pipeline.config.contract import DataSettings
from pipeline.stages.read import rows
from pipeline.stages.read.rows import Rows


def read_rows(data: DataSettings) -> Rows:
    """Return the distinct rows of the table, then those of ``data.valid`` and ``data.test``.

    Raises
    ------
    DataError
        As ``rows.read_rows``, for any of the files.
    """
    import pandas as pd

    places = (data.place, data.valid, data.test)
    parts = [part for part, place in enumerate(places) if place is not None]
    read = {part: rows.read_rows(file_of(data, part)) for part in parts}
    if len(read) == 1:
        return read[0]
    return Rows(
        pd.concat([of.frame for of in read.values()], ignore_index=True),
        np.concatenate([of.count for of in read.values()]),
        read[0].path,
        np.repeat(np.array([*read], np.int8), [len(of.count) for of in read.values()]),
    )


def file_of(data: DataSettings, part: int) -> DataSettings:
    """Return the settings of the file of a part (0 train, 1 valid, 2 test) alone."""
    alone: dict[str, str | None] = {"valid": None, "test": None}
    if part > 0:
        path = (data.valid, data.test)[part - 1]
        alone |= {"path": path, "source": None, "sha256": None}
    return data.model_copy(update=alone)
