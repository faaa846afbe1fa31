"""Dates as texts: the regular expressions by which a query knows one before it casts it."""

from __future__ import annotations

import re
from datetime import datetime

from pipeline.config.date_settings import parse_moment
from pipeline.errors import ConfigError

DAY = 86400
# What a text of ISO 8601 may be; how long months are is said by regular expressions alone, as a
# cast that fails ends the query of some databases.
CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
ZONE = rf"(Z|[+-]{CLOCK})?"
TIME = r"[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?"
DAY_OF = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
VALID = (
    r"[0-9]{4}-(0?[1-9]|1[0-2])-(0?[1-9]|[12][0-9]|3[01])"
    r"([T ]([01]?[0-9]|2[0-3]):[0-5]?[0-9](:[0-5]?[0-9]([.][0-9]{1,6})?)?)?"
)
TOO_LONG = r"0000-.*|[0-9]{4}-(0?2-3[01]|(0?[469]|11)-31).*"
LEAP_DAY = r"[0-9]{4}-0?2-29.*"
LEAP = r"([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-.*"
DIRECTIVES = {
    "Y": "([0-9]{4})", "m": "(1[0-2]|0?[1-9])", "d": "(3[01]|[12][0-9]|0?[1-9])",
    "H": "(2[0-3]|[01]?[0-9])", "M": "([0-5]?[0-9])", "S": "([0-5]?[0-9])",
}  # fmt: skip


def strptime_pattern(form: str, column: str, name: str) -> tuple[str, str]:
    """Return a form of strptime as a regular expression, and its groups in the order of ISO."""
    pieces, order = [], []
    for directive, literal in re.findall(r"%(.)|([^%]+)", form):
        if directive and directive not in DIRECTIVES:
            raise ConfigError(
                f"column {column} must have a form of year, month, day, hour, minute and second in "
                f"numbers to be expressed in {name}; got {form!r}"
            )
        pieces.append(DIRECTIVES[directive] if directive else re.escape(literal))
        order += [directive] if directive else []
    at = {directive: f"\\{i + 2}" for i, directive in enumerate(order)}  # 1 is the whole
    time = f" {at['H']}:{at.get('M', '00')}:{at.get('S', '00')}" if "H" in at else ""
    return "".join(pieces), f"{at['Y']}-{at['m']}-{at['d']}{time}"


def microseconds(reference: str) -> int:
    """Return the microseconds since 1970 of a date of ISO 8601."""
    moment = parse_moment(reference, None) or datetime(1970, 1, 1)
    since = moment - datetime(1970, 1, 1)
    return (since.days * DAY + since.seconds) * 10**6 + since.microseconds
