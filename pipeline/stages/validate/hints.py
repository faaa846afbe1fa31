"""A value that breaks the contract becomes a hint: what it was probably meant to be."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable

from pipeline.text import skeleton

MONTH = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
DATE = re.compile(
    rf"\d{{1,2}}[-. ]({MONTH})[a-z]*([-. ]\d{{2,4}})?|({MONTH})[a-z]*[-. ]\d{{1,4}}"
    r"|\d{4}-\d{1,2}-\d{1,2}( .*)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}"
)
IS_DATE = "a spreadsheet may have turned it into a date"
NO_NUMBER = (
    (re.compile(r"[+-]?(inf|infinity|nan|[\d.]+e\+?\d+)"), "every number must be finite"),
    (re.compile(r"[+-]?0x[0-9a-f]+"), "write numbers in decimals"),
    (re.compile(r"[+-]?\d{1,3}([,_' ]\d{3})+(\.\d*)?"), "leave out what separates thousands"),
    (re.compile(r"[+-]?\d+,\d+"), "is the comma a decimal point? Write a point"),
    (DATE, IS_DATE),
    (re.compile(r"[+-]?[\d.]+\s*[^\d\s]+"), "write numbers without a unit"),
)


def category_hint(value: str, allowed: tuple[str, ...], name: str) -> str:
    """Return what ``value`` was probably meant to be among the ``allowed`` ones, or ""."""
    if value == name:
        return "it is the column's name: does the file have a header? Then set data.names=null"
    for meant in allowed:
        for same, difference in ALIKE:
            if same(value) and same(value) == same(meant):
                return f"did you mean {meant!r}? {difference or _strange_characters(value)}"
    if DATE.fullmatch(value.lower()):
        return IS_DATE
    near = difflib.get_close_matches(value[:100], allowed, n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def number_hint(value: str) -> str:
    """Return why ``value`` is not read as a number, or ""."""
    text = skeleton(value).lower()
    if text != value.lower() and re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", text):
        return _strange_characters(value)
    return next((hint for form, hint in NO_NUMBER if form.fullmatch(text)), "")


def _strange_characters(value: str) -> str:
    if value.strip(" ") != value and skeleton(value) == value.strip(" "):
        return "it has spaces around it"
    strange = dict.fromkeys(char for char in value if not (char.isascii() and char.isprintable()))
    names = [unicodedata.name(char, f"U+{ord(char):04X}") for char in strange]
    return f"it has {', '.join(names[:3]) or 'spaces around it'}"


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
