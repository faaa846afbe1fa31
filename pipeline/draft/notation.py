"""Cells become how a file writes numbers: its decimal mark, and what divides thousands."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.config.file_settings import FileSettings
from pipeline.draft.kinds import Column
from pipeline.stages.read.numbers import SEPARATORS

COMMA_IS_POINT = r"[+-]?(\d{1,3}(\.\d{3})+|\d*),\d+([eE][+-]?\d+)?"
GROUPS = r"[+-]?\d{1,3}(%s\d{3})+"
N_TRIED = 2000  # values of a column
MOSTLY = 0.9  # share of them


def guess_notation(columns: Iterable[Column]) -> tuple[FileSettings, str]:
    """Return the marks of numbers, and the evidence; "" where they are the usual ones."""
    tried = [(column.name, column.text[:N_TRIED]) for column in columns if len(column.text)]
    for name, text in tried:  # a comma that cannot divide thousands
        comma, plain = text.str.fullmatch(COMMA_IS_POINT), text.str.fullmatch(r"[+-]?\d+")
        clear = comma & ~text.str.fullmatch(GROUPS % ",")
        if clear.any() and (comma | plain).mean() > MOSTLY:
            dotted = any(t.str.fullmatch(GROUPS % "[.]" + r"(,\d*)?").any() for _, t in tried)
            form = FileSettings(decimal=",", thousands="." if dotted else None)
            return form, f"as in {text[clear].iloc[0]} of column {name}"
    for mark, sign in SEPARATORS.items():
        for name, text in tried:
            grouped = text.str.fullmatch(GROUPS % sign + r"(\.\d*)?")
            plain = text.str.fullmatch(r"[+-]?\d*\.?\d+")
            if mark != "." and grouped.any() and (grouped | plain).mean() > MOSTLY:
                form = FileSettings.parse({"thousands": mark})
                return form, f"as in {text[grouped].iloc[0]} of column {name}"
    return FileSettings(), ""
