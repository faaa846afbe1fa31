"""A column of dates: how it is written, and which of its parts are attributes."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import Strict, model_validator

from pipeline.config.file_settings import Name, once_each
from pipeline.config.strict import Settings, require

Missing = Literal["refuse", "input"]
Part = Literal["year", "month", "weekday", "hour", "days"]


# The values of the attribute that a part of a date is; days, and years, are numbers.
PARTS: dict[str, tuple[str, ...]] = {
    "month": tuple(map(str, range(1, 13))),
    "weekday": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "hour": tuple(map(str, range(24))),
}


class Date(Settings):
    """A day or a moment: its parts are attributes, and a split may go by it."""

    kind: Literal["date"]
    format: Name | None = None  # of strptime, as "%d.%m.%Y"; null: ISO 8601
    parts: Annotated[tuple[Part, ...], Strict(False)] = ()  # days: since reference
    reference: Name = "1970-01-01"  # in ISO 8601
    missing: Missing = "refuse"

    @model_validator(mode="after")
    def _readable(self) -> Self:
        once_each(self.parts, ".parts")
        rule = f".reference must be a date of ISO 8601; got {self.reference!r}"
        require(parse_moment(self.reference, None) is not None, rule)
        sample = datetime(2001, 12, 31, tzinfo=UTC)
        back = self.format and parse_moment(sample.strftime(self.format), self.format)
        rule = f'.format must hold year, month and day, as "%d.%m.%Y"; got {self.format!r}'
        require(self.format is None or (back or datetime.min).date() == sample.date(), rule)
        return self


def parse_moment(text: str, form: str | None) -> datetime | None:
    """Return the moment that the text is, in UTC and without a zone; None if it is none.

    ``form`` is of strptime; None: ISO 8601. A text without a zone is taken to be in UTC.
    """
    try:
        found = datetime.strptime(text, form) if form else datetime.fromisoformat(text)
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError):
        return None
