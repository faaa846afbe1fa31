"""A value that breaks the contract becomes a hint: what it was probably meant to be."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable

import numpy as np

from nn.arrays import Array
from pipeline.config.contract import DataSettings, Target
from pipeline.config.date_settings import parse_moment
from pipeline.config.file_settings import BLANKS
from pipeline.stages.read.numbers import parse_numbers
from pipeline.stages.validate.values import ColumnValues
from pipeline.text import column_setting, quoted, setting, skeleton

MONTH = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
DATE = re.compile(
    rf"\d{{1,2}}[-. ]({MONTH})[a-z]*([-. ]\d{{2,4}})?|({MONTH})[a-z]*[-. ]\d{{1,4}}"
    r"|\d{4}-\d{1,2}-\d{1,2}( .*)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}"
)
SPACES = "it has spaces around it: set data.strip=true"
IS_DATE = "a spreadsheet may have turned it into a date"
NAME = "it is the column's name: if the file has a header, set data.header=true"
BLANK = "with data.strip=true it is missing"
# How people and programs write that a value is missing, in small letters.
MISSING_MARKS = frozenset({
    "-", "--", ".", "..", "*", "?", "na", "n/a", "n.a.", "n.a", "#n/a", "#na", "<na>", "nan",
    "-nan", "null", "<null>", "\\n", "none", "nil", "missing", "(missing)", "unknown", "unk",
    "undefined", "not available", "not known", "not applicable", "no data", "blank", "#value!",
    "#ref!", "#div/0!", "#name?", "#num!", "#null!", "tbd", "keine angabe", "k.a.",
})  # fmt: skip
MARK_NAMES = {".": "point", ",": "comma", " ": "space", "'": "apostrophe", "_": "_", None: "null"}
NUMBER_MARKS: tuple[tuple[str, str | None], ...] = (  # decimal, thousands; the likeliest first
    (".", None), (",", None), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"),
    (",", "'"), (".", "_"),
)  # fmt: skip
MARKED = re.compile(r"\s*[+-]?[\d.,_'\u2019\u00a0\u202f ]+\s*")
N_MARKS = 20  # marks of missing values that one setting names
N_READ = 10_000  # values of a column that are read with other marks
N_HINTS = 20  # values that are looked at
SENTINEL = re.compile(r"-?9{2,}([.,]0*)?|-?9{2,}[.,]9+|-1([.,]0*)?")
NO_NUMBER = (
    (re.compile(r"[+-]?(inf|infinity|nan|[\d.]+e\+?\d+)"), "every number must be finite"),
    (re.compile(r"[+-]?0x[0-9a-f]+"), "write numbers in decimals"),
    (re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?"), "the others have a point: write one mark"),
    (DATE, IS_DATE),
    (re.compile(r"#.*"), "is it a comment? Set data.comment=hash"),
    (re.compile(r"[+-]?[\d.]+\s*[^\d\s]+"), "write numbers without a unit"),
)


def missing_cure(marks: list[str], data: DataSettings) -> str:
    """Return the setting that takes these values for missing ones."""
    shown = [mark for mark in marks if mark not in data.missing_values][:N_MARKS]
    cure = setting("data.missing_values", [*data.missing_values, *shown])
    what = "it stands for a missing value" if len(shown) == 1 else "they stand for missing values"
    return f"if {what}, set {cure}"


def known_cure(name: str, data: DataSettings) -> str:
    """Return the setting by which a column, or the target, is warned of no more."""
    return f"if you know it, set {setting('data.known', [*data.known, name])}"


def hint_of(bad: list[str], data: DataSettings, hint: Callable[[str], str]) -> str:
    """Return the cure of all ``bad`` values that are marks of a missing one, then another hint.

    That is the first one of the others, and names the value where they differ.
    """
    blank = [value for value in bad if is_blank(value, data)]
    marks = [value for value in bad if is_mark(value) and value not in blank]
    others = [value for value in bad if value not in marks and value not in blank]
    parts = [missing_cure(marks, data)] if marks else []
    parts += [BLANK] if blank else []
    hints = {value: hint(value) for value in others[:N_HINTS]}
    value = next((value for value in hints if hints[value]), None)
    if value is not None:
        alone = not parts and len({*hints.values()}) == 1
        parts.append(hints[value] if alone else f"{quoted(value, 30)}: {hints[value]}")
    return "; ".join(parts)


def is_mark(value: str) -> bool:
    """Return whether people or programs write this for a missing value."""
    return value.strip(BLANKS).lower() in MISSING_MARKS


def look(value: str) -> str:
    """Return what values have in common that differ only in how they are written: 1, 1.0."""
    return _as_number(skeleton(value)) or skeleton(value).casefold()


def labels_cure(target: Target, values: Iterable[str]) -> str:
    """Return the settings of the target if its values are the listed ones written otherwise."""
    there = {look(value): value for value in values if value == skeleton(value)}
    positive, negative = (
        [there.get(look(value), "") for value in listed]
        for listed in (target.positive, target.negative or ())
    )
    if not all((*positive, *negative)):
        return ""
    labels = {"positive": positive, "negative": negative}
    settings = [setting(f"data.target.{of}", values) for of, values in labels.items() if values]
    return f"they are written otherwise: set {' '.join(settings)}"


def is_blank(value: str, data: DataSettings) -> bool:
    """Return whether without blanks around it the value would be a missing one."""
    return value.strip(BLANKS) in data.missing


def category_hint(value: str, allowed: tuple[str, ...], name: str) -> str:
    """Return what ``value`` was probably meant to be among the ``allowed`` ones, or ""."""
    if value == name:
        return NAME
    for meant in allowed:
        for same, difference in ALIKE:
            if same(value) and same(value) == same(meant):
                return f"did you mean {meant!r}? {difference or _strange_characters(value)}"
    if DATE.fullmatch(value.lower()):
        return IS_DATE
    near = difflib.get_close_matches(value[:100], allowed, n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def number_hint(bad: list[str], values: ColumnValues, name: str, data: DataSettings) -> str:
    """Return why ``bad`` values of a column are not read as numbers, and the cure, or ""."""
    marks = _number_marks(bad, values, data)

    def hint(value: str) -> str:
        return marks if marks and MARKED.fullmatch(value) else _no_number(value, name)

    return hint_of(bad, data, hint)


def _number_marks(bad: list[str], values: ColumnValues, data: DataSettings) -> str:
    """Return the decimal mark and mark of thousands by which most values are numbers.

    Found by reading them so; both where two are as good, and "" where none is better than now.
    """
    import pandas as pd

    known = values.text[:N_READ][~values.is_missing[:N_READ]]
    text = pd.Series([*bad, *known], dtype="str").str.strip(BLANKS)

    def read(decimal: str, thousands: str | None) -> Array:
        changes = {"decimal": decimal, "thousands": thousands}
        return parse_numbers(text, data.model_copy(update=changes))

    found = {marks: read(*marks) for marks in NUMBER_MARKS}
    n_read = {marks: int(np.count_nonzero(~np.isnan(found[marks]))) for marks in found}
    best = max(n_read, key=lambda marks: n_read[marks])  # the first of equals
    if n_read[best] <= np.count_nonzero(~np.isnan(read(data.decimal, data.thousands))):
        return ""
    others = [
        marks
        for marks in found
        if n_read[marks] == n_read[best]
        and not np.array_equal(found[marks], found[best], equal_nan=True)
    ]
    settings = [_marks_setting(*marks, data) for marks in (best, *others[:1])]
    return " or, if that is meant, ".join(settings)


def _marks_setting(decimal: str, thousands: str | None, data: DataSettings) -> str:
    words = [f"data.decimal={MARK_NAMES[decimal]}"] if decimal != data.decimal else []
    if thousands != data.thousands:
        words.append(f"data.thousands={MARK_NAMES[thousands]}")
    return f"set {' '.join(words)}"


def _no_number(value: str, name: str) -> str:
    if value == name:
        return NAME
    text = skeleton(value).lower()
    if text != value.lower() and re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", text):
        return _strange_characters(value)
    return next((hint for form, hint in NO_NUMBER if form.fullmatch(text)), "")


def date_hint(name: str, bad: list[str]) -> str:
    """Return the format by which most of the values are dates, as a setting, or ""."""
    n = {form: sum(parse_moment(value, form) is not None for value in bad) for form in FORMATS}
    most = max(n.values())
    ways = [column_setting(name, "format", f"'{form}'") for form in FORMATS if n[form] == most]
    return f"set {' or '.join(ways)}" if most else ""


def _strange_characters(value: str) -> str:
    if value.strip(" ") != value and skeleton(value) == value.strip(" "):
        return SPACES
    strange = dict.fromkeys(char for char in value if not (char.isascii() and char.isprintable()))
    names = [unicodedata.name(char, f"U+{ord(char):04X}") for char in strange]
    return f"it has {', '.join(names[:3])}" if names else SPACES


def _as_number(value: str) -> str:
    try:
        return repr(float(value))
    except ValueError:
        return ""


FORMATS = [
    day + time
    for day in ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%d-%b-%Y", "%d %B %Y",
                "%b %d, %Y", "%d.%m.%y", "%m/%d/%y")
    for time in ("", " %H:%M", " %H:%M:%S", " %I:%M %p")
]  # fmt: skip

# Two values that are the same after this differ by that; "": by strange characters.
ALIKE: tuple[tuple[Callable[[str], str], str], ...] = (
    (skeleton, ""),
    (lambda value: skeleton(value).casefold(), "capital and small letters differ"),
    (_as_number, "it was turned into a decimal"),
    (lambda value: re.sub(r"[\W_]+", "", skeleton(value).casefold()), "punctuation differs"),
)
