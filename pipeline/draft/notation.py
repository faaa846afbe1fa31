"""Cells become how a file writes numbers: its decimal mark, and what divides thousands."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from pipeline.config.file_settings import FileSettings
from pipeline.draft.kinds import Column
from pipeline.stages.read.numbers import SEPARATORS

COMMA_IS_POINT = r"[+-]?(\d{1,3}(\.\d{3})+|\d*),\d+([eE][+-]?\d+)?"
GROUPS = r"[+-]?\d{1,3}(%s\d{3})+"
DIVIDED = re.compile(r"\d[.,' _\u00a0\u2009\u202f\u2019]\d{3}|,\d")
N_TRIED = 2000  # values of a column
MOSTLY = 0.9  # share of them


def guess_notation(columns: Iterable[Column]) -> tuple[FileSettings, dict[str, str]]:
    """Return the marks of numbers, and the evidence of each that is not the usual one."""
    tried = [(column.name, column.text[:N_TRIED]) for column in columns]
    tried = [(name, text) for name, text in tried if DIVIDED.search("\n".join(text))]
    for name, text in tried:  # a comma that cannot divide thousands
        comma, plain = text.str.fullmatch(COMMA_IS_POINT), text.str.fullmatch(r"[+-]?\d+")
        clear = comma & ~text.str.fullmatch(GROUPS % ",")
        if clear.any() and (comma | plain).mean() > MOSTLY:
            return _with_comma(tried, f"as in {text[clear].iloc[0]} of column {name}")
    for mark, sign in SEPARATORS.items():
        for name, text in tried:
            grouped = text.str.fullmatch(GROUPS % sign + r"(\.\d*)?")
            plain = text.str.fullmatch(r"[+-]?\d*\.?\d+")
            if mark != "." and grouped.any() and (grouped | plain).mean() > MOSTLY:
                why = f"as in {text[grouped].iloc[0]} of column {name}"
                return FileSettings.parse({"thousands": mark}), {"thousands": why}
    return FileSettings(), {}


def _with_comma(
    tried: list[tuple[str, pd.Series[str]]], why: str
) -> tuple[FileSettings, dict[str, str]]:
    """Return a decimal comma, and the point that divides thousands in some column."""
    for name, text in tried:
        grouped = text[text.str.fullmatch(GROUPS % "[.]" + r"(,\d*)?")]
        if len(grouped):
            more = {"decimal": why, "thousands": f"as in {grouped.iloc[0]} of column {name}"}
            return FileSettings(decimal=",", thousands="."), more
    return FileSettings(decimal=","), {"decimal": why}
