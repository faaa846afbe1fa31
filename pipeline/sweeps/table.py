"""A comparison becomes plain text that fits a terminal: what is known, then who leads."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from pipeline.redact import printable
from pipeline.sweeps.comparison import Comparison
from pipeline.sweeps.labels import (
    brief,
    counted,
    interval,
    number,
    percent,
    short_names,
    signed,
    state,
)
from pipeline.sweeps.rows import Row, leaderboard, n_leading

MOST = 15  # candidates shown
NARROWEST = 3  # characters that a parameter's column keeps
FIGURES = 2  # that are shown on every terminal
USEFUL = 3  # figures for which names give way, to so many characters:
READABLE = 10
WHOLE = 16  # that names have before further figures take room

Column = list[str]  # its heading, then a cell per row


def table(comparison: Comparison, width: int) -> str:
    """The sentences and the leaderboard in lines of at most ``width`` columns."""
    return "\n".join(_cut(line, width).rstrip() for line in _lines(comparison, width))


def _lines(comparison: Comparison, width: int) -> Iterator[str]:
    rows = leaderboard(comparison)
    yield _title(comparison)
    yield from (_part for s in comparison.sentences for _part in _wrapped(printable(s), width))
    if rows:
        yield ""
        yield from _board(comparison, rows, width)
    yield from _rest(comparison, rows, width)


def _title(comparison: Comparison) -> str:
    n_runs = sum(len(candidate.runs) for candidate in comparison.candidates)
    return (
        f"{printable(comparison.name)}: {counted(n_runs, 'finished run')} of "
        f"{counted(len(comparison.candidates), 'candidate')}"
    )


def _board(comparison: Comparison, rows: list[Row], width: int) -> Iterator[str]:
    shown = rows[:MOST]
    params, figures = _params(comparison, shown), _figures(shown)
    while len(figures) > FIGURES:
        room = READABLE if len(figures) <= USEFUL else WHOLE
        wanted = sum(min(_broad(column), room) + 2 for column in params)
        if wanted + _total(figures) - 2 <= width:
            break
        figures.pop()  # the least important stands last
    _narrow(params, width - _total(figures) + 2)
    lines = list(_joined(params, figures))
    yield lines[0]
    leading = n_leading(rows)
    for i, line in enumerate(lines[1:]):
        if i == leading and i > 0:
            yield "-" * min(width, max(map(_width, lines)))
        yield line


def _params(comparison: Comparison, rows: list[Row]) -> list[Column]:
    """The rank with ``=`` where it is shared with the best, and the parameters that vary."""
    marks = [f"{'=' if row.tied and not row.best else ' '}{row.rank}" for row in rows]
    chosen = ["*" if row.chosen else "" for row in rows]
    ranks = [mark + star for mark, star in zip(marks, chosen, strict=True)]
    names = short_names(comparison.varying)
    return [
        ["", *ranks],
        *(
            [printable(names[name]), *(brief(row.values[i]) for row in rows)]
            for i, name in enumerate(comparison.varying)
        ),
    ]


def _figures(rows: list[Row]) -> list[Column]:
    """The figures, the most important first; costs in nats per validation row."""
    return [
        ["valid cost", *(number(row.cost) for row in rows)],
        ["excess", *(signed(row.excess) for row in rows)],
        ["training", *(row.training.short for row in rows)],
        ["seeds", *(_seeds(row) for row in rows)],
        ["95 % interval", *(interval(row.low, row.high) for row in rows)],
        ["sd", *(number(row.deviation) for row in rows)],
        ["accuracy", *(number(row.accuracy) for row in rows)],
        ["train cost", *(number(row.train_cost) for row in rows)],
    ]


def _seeds(row: Row) -> str:
    both = row.n_finished + row.n_unfinished
    return f"{row.n_finished}/{both}" if row.n_unfinished else str(both)


def _rest(comparison: Comparison, rows: list[Row], width: int) -> Iterator[str]:
    hidden = rows[MOST:]
    if hidden:
        tied = sum(row.tied for row in hidden)
        yield f"… and {len(hidden):,} more" + (f", of which {tied:,} tied" if tied else "")
    if any(row.tied and not row.best for row in rows) and comparison.board is not None:
        level = percent(comparison.board.confidence)
        yield f"=  cannot be told apart from the first, at {level} over all comparisons"
    if any(row.chosen for row in rows):
        yield "*  chosen"
    if any(row.training.ending == "stopped early" for row in rows[:MOST]):
        yield "stopped +x  ended x nats per row above the least that training could reach"
    if comparison.unfinished:
        yield f"Not finished: {_states(comparison)}"
    for reason, n in comparison.left_out:
        yield from _wrapped(f"Left out: {counted(n, 'run')}, {printable(reason)}", width)


def _states(comparison: Comparison) -> str:
    """How many runs of each end, the commonest first."""
    words = [state(run) for run in comparison.unfinished]
    counts = {word: words.count(word) for word in sorted(set(words))}
    return ", ".join(f"{n:,} {word}" for word, n in sorted(counts.items(), key=lambda at: -at[1]))


# --- widths ------------------------------------------------------------------------------------


def _joined(params: list[Column], figures: list[Column]) -> Iterator[str]:
    """The lines: parameters to the left, figures to the right of their columns."""
    cells = [[_pad(cell, _broad(column)) for cell in column] for column in params]
    cells += [[_pad(cell, _broad(column), right=True) for cell in column] for column in figures]
    return ("  ".join(line) for line in zip(*cells, strict=True))


def _narrow(columns: list[Column], width: int) -> None:
    """Cut the broadest columns but the first, in place, until all fit or none can give more."""
    broad = [_broad(column) for column in columns]
    while sum(broad) + 2 * len(broad) > width and max(broad[1:], default=0) > NARROWEST:
        broad[broad.index(max(broad[1:]), 1)] -= 1
    for column, wanted in zip(columns, broad, strict=True):
        column[:] = [_cut(cell, wanted) for cell in column]


def _total(columns: list[Column]) -> int:
    """The width of the columns with the two spaces after each."""
    return sum(_broad(column) + 2 for column in columns)


def _broad(column: Column) -> int:
    return max(map(_width, column), default=0)


def _pad(cell: str, width: int, *, right: bool = False) -> str:
    space = " " * (width - _width(cell))
    return space + cell if right else cell + space


def _wrapped(text: str, width: int) -> Iterator[str]:
    """The words of a sentence, with two spaces before all lines but the first."""
    line = ""
    for word in text.split():
        if line.strip() and _width(line) + 1 + _width(word) > width:
            yield line
            line = "  " + word
        else:
            line = f"{line} {word}" if line else word
    yield line


def _cut(text: str, width: int) -> str:
    """The text in at most ``width`` columns; an ellipsis stands for what was cut."""
    if _width(text) <= width:
        return text
    ends = list(accumulate(map(_width, text)))
    return text[: bisect_right(ends, width - 1)] + "…"[: max(width, 0)]


def _width(text: str) -> int:
    """How many columns of a terminal the text takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "FW")
        for c in text
    )
