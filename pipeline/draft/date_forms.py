"""Texts become the form of date that all of them have, if there is one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M", "T%H:%M:%S", "T%H:%M:%S.%f")
DAYS = (
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%y",
    "%d/%m/%y", "%m/%d/%y", "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%Y%m%d",
)  # fmt: skip
LOOKS = re.compile(
    r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}.*|\d{1,2}[- ][A-Za-z]{3,9}[- ]\d{4}.*"
    r"|[A-Za-z]{3,9} \d{1,2}, \d{4}.*|(19|20)\d\d[01]\d[0-3]\d"
)


class DateForm(NamedTuple):
    """A form of strptime (None: ISO 8601), another that fits too, and the first and last day."""

    form: str | None
    rival: str | None
    first: str
    last: str
    has_time: bool


def date_form(values: Sequence[str]) -> DateForm | None:
    """Return the form that every one of the values has; None without one."""
    if not values or not all(LOOKS.fullmatch(value) for value in values):
        return None
    if all(map(_is_iso, values)):
        days = sorted(values)
        return DateForm(None, None, days[0][:10], days[-1][:10], len(days[0]) > 10)
    fit = [day + time for day in DAYS for time in TIMES if _all_fit(values, day + time)]
    if not fit:
        return None
    days = sorted(datetime.strptime(value, fit[0]).isoformat() for value in values)
    rival = fit[1] if len(fit) > 1 else None
    return DateForm(fit[0], rival, days[0][:10], days[-1][:10], "%H" in fit[0])


def _is_iso(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return "-" in value


def _all_fit(values: Sequence[str], form: str) -> bool:
    try:
        for value in values:
            datetime.strptime(value, form)
    except ValueError:
        return False
    return True
