"""A value that breaks the contract becomes a hint: what it was probably meant to be."""

from __future__ import annotations

import difflib
import re
import unicodedata

LOOK_ALIKES = str.maketrans(
    "аеорсухіѕјԁһАВЕКМНОРСТХІЅЈοναΑΒΕΖΗΙΚΜΝΟΡΤΥΧ−–—‐‑",
    "aeopcyxisjdhABEKMHOPCTXISJovaABEZHIKMNOPTYX-----",
)
MONTH = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
DATE = re.compile(
    rf"\d{{1,2}}[-. ]({MONTH})[a-z]*([-. ]\d{{2,4}})?|({MONTH})[a-z]*[-. ]\d{{1,4}}"
    r"|\d{4}-\d{1,2}-\d{1,2}( .*)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}"
)
NO_NUMBER = (
    (re.compile(r"[+-]?(inf|infinity|nan|[\d.]+e\+?\d+)"), "every number must be finite"),
    (re.compile(r"[+-]?0x[0-9a-f]+"), "write numbers in decimals"),
    (re.compile(r"[+-]?\d{1,3}([,_' ]\d{3})+(\.\d*)?"), "leave out what separates thousands"),
    (re.compile(r"[+-]?\d+,\d+"), "is the comma a decimal point? Write a point"),
    (DATE, "a spreadsheet may have turned it into a date"),
    (re.compile(r"[+-]?[\d.]+\s*[^\d\s]+"), "write numbers without a unit"),
)


def category_hint(value: str, allowed: tuple[str, ...], name: str) -> str:
    """What ``value`` was probably meant to be among the ``allowed`` ones, or ""."""
    if value == name:
        return "it is the column's name: does the file have a header? Then set data.names=null"
    for meant in allowed:
        difference = _difference(value, meant)
        if difference:
            return f"did you mean {meant!r}? {difference}"
    if DATE.fullmatch(value.lower()):
        return "a spreadsheet may have turned it into a date"
    near = difflib.get_close_matches(value[:100], allowed, n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def number_hint(value: str) -> str:
    """Why ``value`` is not read as a number, or ""."""
    text = skeleton(value).lower()
    if text != value.lower() and re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", text):
        return f"it has {_odd_characters(value)}"
    return next((hint for form, hint in NO_NUMBER if form.fullmatch(text)), "")


def skeleton(value: str) -> str:
    """What the value looks like: without invisible characters, look-alikes, space around it."""
    plain = unicodedata.normalize("NFKC", value)
    seen = "".join(char for char in plain if unicodedata.category(char) not in ("Cf", "Cc"))
    return seen.translate(LOOK_ALIKES).strip()


def quoted(value: str, length: int = 60) -> str:
    """The value in quotes, bounded, with every character that deceives the eye escaped."""
    short = value[:length]
    look = skeleton(short)
    deceives = short.isprintable() and look != short.strip() and look.isascii()
    return (ascii(short) if deceives else repr(short)) + ("…" if len(value) > length else "")


def _difference(value: str, meant: str) -> str:
    """How the value differs from the one it looks like, or "" where it does not look like it."""
    if skeleton(value) == skeleton(meant):
        return f"it has {_odd_characters(value)}"
    if skeleton(value).casefold() == skeleton(meant).casefold():
        return "capital and small letters differ"
    if _as_number(value) is not None and _as_number(value) == _as_number(meant):
        return "it was turned into a decimal"
    if _letters(value) and _letters(value) == _letters(meant):
        return "punctuation differs"
    return ""


def _odd_characters(value: str) -> str:
    if value.strip(" ") != value and skeleton(value) == value.strip(" "):
        return "spaces around it"
    odd = dict.fromkeys(char for char in value if not (char.isascii() and char.isprintable()))
    names = [unicodedata.name(char, f"U+{ord(char):04X}") for char in odd]
    return ", ".join(names[:3]) or "spaces around it"


def _as_number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _letters(value: str) -> str:
    return re.sub(r"[\W_]+", "", skeleton(value).casefold())
