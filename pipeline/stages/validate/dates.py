"""Texts become moments, and moments their parts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from nn.arrays import Array
from pipeline.config.date_settings import Part, parse_moment

Moments = npt.NDArray[np.datetime64]
DAY = np.timedelta64(1, "D")


def parse_moments(texts: Iterable[str], form: str | None) -> Moments:
    """Return the moments (m,) in UTC, to the microsecond; NaT where a text is none."""
    return np.array([parse_moment(text, form) for text in texts], "datetime64[us]")


def part_of(part: Part, moment: Moments, reference: str) -> Array:
    """Return a part of moments (m,) as a number, NaN where there is none; of words the position.

    ``days`` are from ``reference``, a date of ISO 8601, and not whole ones.
    """
    day = moment.astype("datetime64[D]")
    month = moment.astype("datetime64[M]")
    match part:
        case "days":
            found = (moment - parse_moments([reference], None)) / DAY
        case "year":
            found = month.astype("datetime64[Y]").astype(np.float64) + 1970
        case "month":
            found = (month - month.astype("datetime64[Y]")) / np.timedelta64(1, "M")
        case "weekday":  # 1970-01-01 was a Thursday
            found = (day.astype(np.float64) + 3) % 7
        case "hour":
            found = np.floor((moment - day) / np.timedelta64(1, "h"))
    return np.asarray(np.where(np.isnat(moment), np.nan, found), np.float64)
