"""A value that breaks the contract becomes a hint: what it was probably meant to be."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable

from pipeline.config.contract import DataSettings
from pipeline.config.file_settings import BLANKS
from pipeline.text import setting, skeleton

MONTH = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
DATE = re.compile(
    rf"\d{{1,2}}[-. ]({MONTH})[a-z]*([-. ]\d{{2,4}})?|({MONTH})[a-z]*[-. ]\d{{1,4}}"
    r"|\d{4}-\d{1,2}-\d{1,2}( .*)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}"
)
SPACES = "it has spaces around it: set data.strip=true"
IS_DATE = "a spreadsheet may have turned it into a date"
NAME = "it is the column's name: if the file has a header, set data.header=true"
BLANK = "it is blank: set data.strip=true, and an empty cell is missing"
THOUSANDS_COMMA = (
    "does the comma separate thousands? Set data.thousands=comma; is it a decimal comma? Set "
    "data.decimal=comma"
)


def _marks(decimal: str, thousands: str) -> str:
    words = [f"data.decimal={decimal}"] if decimal else []
    words += [f"data.thousands={thousands}"] if thousands else []
    return f"set {' '.join(words)}"


# How people and programs write that a value is missing, in small letters.
MISSING_MARKS = frozenset({
    "-", "--", ".", "..", "*", "?", "na", "n/a", "n.a.", "n.a", "#n/a", "#na", "<na>", "nan",
    "-nan", "null", "<null>", "\\n", "none", "nil", "missing", "(missing)", "unknown", "unk",
    "undefined", "not available", "not known", "not applicable", "no data", "blank", "#value!",
    "#ref!", "#div/0!", "#name?", "#num!", "#null!", "tbd", "keine angabe", "k.a.",
})  # fmt: skip
SENTINEL = re.compile(r"-?9{2,}([.,]0*)?|-?9{2,}[.,]9+|-1([.,]0*)?")
NO_NUMBER = (
    (re.compile(r"[+-]?(inf|infinity|nan|[\d.]+e\+?\d+)"), "every number must be finite"),
    (re.compile(r"[+-]?0x[0-9a-f]+"), "write numbers in decimals"),
    (re.compile(r"[+-]?[1-9]\d{0,2}([.]\d{3})+,\d*"), _marks("comma", "point")),
    (re.compile(r"[+-]?[1-9]\d{0,2}( \d{3})+,\d*"), _marks("comma", "space")),
    (re.compile(r"[+-]?[1-9]\d{0,2}(' ?\d{3})+,\d*"), _marks("comma", "apostrophe")),
    (re.compile(r"[+-]?[1-9]\d{0,2}((,\d{3})+[.]\d*|(,\d{3}){2,})"), _marks("", "comma")),
    (re.compile(r"[+-]?[1-9]\d{0,2},\d{3}"), THOUSANDS_COMMA),
    (re.compile(r"[+-]?[1-9]\d{0,2}( \d{3})+([.]\d*)?"), _marks("", "space")),
    (re.compile(r"[+-]?[1-9]\d{0,2}('\d{3})+([.]\d*)?"), _marks("", "apostrophe")),
    (re.compile(r"[+-]?[1-9]\d{0,2}(_\d{3})+([.]\d*)?"), "set data.thousands='_'"),
    (re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?"), _marks("comma", "")),
    (DATE, IS_DATE),
    (re.compile(r"[+-]?[\d.]+\s*[^\d\s]+"), "write numbers without a unit"),
)


def missing_cure(value: str, data: DataSettings) -> str:
    """Return the setting that takes a value for a missing one."""
    marks = setting("data.missing_values", [*data.missing_values, value])
    return f"if it stands for a missing value, set {marks}"


def known_cure(name: str, data: DataSettings) -> str:
    """Return the setting by which a column, or the target, is warned of no more."""
    return f"if you know it, set {setting('data.known', [*data.known, name])}"


def category_hint(value: str, allowed: tuple[str, ...], name: str, data: DataSettings) -> str:
    """Return what ``value`` was probably meant to be among the ``allowed`` ones, or ""."""
    if value == name:
        return NAME
    for meant in allowed:
        for same, difference in ALIKE:
            if same(value) and same(value) == same(meant):
                return f"did you mean {meant!r}? {difference or _strange_characters(value)}"
    if value.strip(BLANKS).lower() in MISSING_MARKS:
        return missing_cure(value, data)
    if not value.strip(BLANKS):
        return BLANK
    if DATE.fullmatch(value.lower()):
        return IS_DATE
    near = difflib.get_close_matches(value[:100], allowed, n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def number_hint(value: str, name: str, data: DataSettings) -> str:
    """Return why ``value`` is not read as a number, or ""."""
    if value == name:
        return NAME
    text = skeleton(value).lower()
    if not text:
        return BLANK
    if text in MISSING_MARKS and text != "nan":
        return missing_cure(value, data)
    if text != value.lower() and re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", text):
        return _strange_characters(value)
    return next((hint for form, hint in NO_NUMBER if form.fullmatch(text)), "")


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


# Two values that are the same after this differ by that; "": by strange characters.
ALIKE: tuple[tuple[Callable[[str], str], str], ...] = (
    (skeleton, ""),
    (lambda value: skeleton(value).casefold(), "capital and small letters differ"),
    (_as_number, "it was turned into a decimal"),
    (lambda value: re.sub(r"[\W_]+", "", skeleton(value).casefold()), "punctuation differs"),
)
