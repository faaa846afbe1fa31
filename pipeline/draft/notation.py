"""Cells become how a file writes numbers: its decimal mark, and what divides thousands."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.draft.kinds import Column, Notation

COMMA_IS_POINT = r"[+-]?(\d{1,3}(\.\d{3})+|\d*),\d+([eE][+-]?\d+)?"
GROUPS = r"[+-]?\d{1,3}(%s\d{3})+"
N_TRIED = 2000  # values of a column


def guess_notation(columns: Iterable[Column]) -> tuple[Notation, str]:
    """Return how numbers are written, and the evidence; "" where it is the usual way."""
    tried = [(column.name, column.text[:N_TRIED]) for column in columns]
    for name, text in tried:  # a comma that cannot divide thousands
        comma = text.str.fullmatch(COMMA_IS_POINT)
        ambiguous = text.str.fullmatch(GROUPS % ",")
        plain = text.str.fullmatch(r"[+-]?\d+")
        if (comma & ~ambiguous).any() and (comma | plain).mean() > 0.9:
            dotted = [t.str.fullmatch(GROUPS % r"\." + r"(,\d*)?").any() for _, t in tried]
            shown = text[comma & ~ambiguous].iloc[0]
            thousands = "." if any(dotted) else None
            return Notation(",", thousands), f"as in {shown} of column {name}"
    for mark in (",", " ", "'", "\u00a0", "\u202f"):
        for name, text in tried:
            grouped = text.str.fullmatch(GROUPS % mark + r"(\.\d*)?")
            plain = text.str.fullmatch(r"[+-]?\d*\.?\d+")
            if grouped.any() and (grouped | plain).mean() > 0.9:
                shown = text[grouped].iloc[0]
                return Notation(".", mark), f"as in {shown} of column {name}"
    return Notation(), ""
