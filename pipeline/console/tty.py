"""What a terminal can show: how wide a text is there, which characters it has, and colour."""

from __future__ import annotations

import itertools
import os
import re
import textwrap
import unicodedata
from typing import TextIO

BOLD, RED, GREEN, YELLOW = 1, 31, 32, 33
# Colour is for what a reader must not miss, and for the names of sections.
STYLES = {
    r"^(One neuron on .*|Sweep .*|[A-Z][A-Za-z]+(?=  +\S))": BOLD,
    r"\b(converged|bit-identical)\b": GREEN,
    r"\b(warning(?=:)|stopped early|not certified|no finite optimum)\b": YELLOW,
    r"\b(WORSE( THAN [A-Z ]+[A-Z])?|NOT HELD OUT|NOT REPRODUCED|run (FAILED|KILLED))\b": RED,
}
_STYLE = re.compile("|".join(f"(?P<s{code}>{pattern})" for pattern, code in STYLES.items()), re.M)
# In an encoding that lacks them. What else it lacks, as a name in a table, is escaped.
PLAIN = str.maketrans(
    {"─": "-", "━": "-", "█": "#", "…": "...", "–": "-", "−": "-", "×": "x", "→": "->",
     "≥": ">=", "≤": "<=", "∞": "inf"}
)  # fmt: skip


def has_colour(stream: TextIO) -> bool:
    """Return whether to colour what the stream shows: a terminal that can, by no-color.org.

    NO_COLOR, not empty, forbids it; FORCE_COLOR, not empty, has it elsewhere, too.
    """
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_terminal(stream)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether the stream is a terminal that obeys codes, as all but the dumb ones do."""
    is_there = stream is not None and stream.isatty()  # it may have been closed: 2>&-
    return is_there and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def coloured(text: str) -> str:
    """Return the text with the codes of STYLES."""
    return _STYLE.sub(lambda found: f"\x1b[{str(found.lastgroup)[1:]}m{found[0]}\x1b[0m", text)


def encodable(text: str, encoding: str) -> str:
    """Return the text in characters of the encoding: others as PLAIN has them, or escaped."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        plain = "".join(c if _has(encoding, c) else c.translate(PLAIN) for c in text)
        return plain.encode(encoding, "backslashreplace").decode(encoding)
    return text


def columns(text: str) -> int:
    """Return how many columns of a terminal the text takes: two for a letter of Chinese."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def wrapped(text: str, width: int) -> list[str]:
    """Return the text in lines of at most ``width`` columns."""
    if columns(text) == len(text):
        return textwrap.wrap(text, width)
    lines, line = [], ""
    for part in re.split(r"(\s+)", text):
        if columns(line + part) <= width:
            line += part
            continue
        lines.append(line)
        line = part.lstrip()
        while columns(line) > width:
            head = _head(line, width)
            lines.append(head)
            line = line[len(head) :]
    return [each.rstrip() for each in [*lines, line] if each.strip()]


def folded(text: str, width: int = 80) -> str:
    """Return the text with its wide lines wrapped: below what stands beside their title."""
    return "\n".join(line for each in text.splitlines() for line in _folded(each, width))


def _folded(line: str, width: int) -> list[str]:
    if columns(line) <= width:
        return [line]
    has_title = line[9:10] == " " and " " not in line[:9].strip()
    indent = 10 if has_title else len(line) - len(line.lstrip())
    first, *rest = wrapped(line[indent:], width - indent)
    return [line[:indent] + first, *(" " * indent + each for each in rest)]


def fitted(text: str, width: int) -> str:
    """Return the text in exactly ``width`` columns: an ellipsis for what is too much, or blanks."""
    if columns(text) > width:
        text = _head(text, width - 1) + "…"
    return text + " " * (width - columns(text))


def _head(text: str, width: int) -> str:
    """Return as much of the text as takes at most ``width`` columns."""
    taken = itertools.accumulate(map(_columns, text))
    return text[: sum(1 for n in taken if n <= width)]


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _has(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
