"""A comparison becomes plain text that fits a terminal: what is known, then who leads."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.compare.comparison import Comparison
from pipeline.compare.labels import format_share, short_names
from pipeline.compare.leaderboard import FIGURES, BoardRow, format_choice, leaderboard
from pipeline.text import counted, printable

MAX_ROWS = 15  # candidates shown
MIN_FIGURES = 2  # shown on every terminal
USEFUL = 3  # figures for which parameters are cut to so many columns:
SHORT = 10
WHOLE = 16  # that they have before further figures are shown
GAP = 2  # columns between two cells

Column = list[str]  # its heading, then a cell per row


def text_table(comparison: Comparison, width: int) -> str:
    """Return the sentences and the leaderboard in lines of at most ``width`` columns."""
    output = io.StringIO()
    console = Console(
        file=output, width=width, color_system=None, force_terminal=False, legacy_windows=False,
        markup=False, emoji=False, highlight=False,
    )  # fmt: skip
    for part in _parts(comparison, width):
        console.print(part)
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines())


def _parts(comparison: Comparison, width: int) -> Iterator[RenderableType]:
    rows = leaderboard(comparison)
    n_runs = counted(len(comparison.finished), "finished run")
    yield _text(f"{comparison.name}: {n_runs} of {counted(len(rows), 'candidate')}")
    if comparison.sentences:
        sentences = Table.grid(padding=(0, 1))
        for sentence in comparison.sentences:
            sentences.add_row("-", _text(sentence))
        yield sentences
    if rows:
        yield ""
        yield _board(comparison, rows[:MAX_ROWS], width)
    yield from map(_text, _notes(comparison, rows))


def _board(comparison: Comparison, rows: list[BoardRow], width: int) -> Table:
    """Return the table, with a rule below the last row before which all lead."""
    table = Table(box=box.HORIZONTALS, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    params, figures = _params(comparison, rows), [_figure(name, rows) for name in FIGURES]
    while len(figures) > MIN_FIGURES and _least(params, figures) > width:
        figures.pop()
    for i, (heading, *_) in enumerate(params):
        table.add_column(_cell(heading), no_wrap=i == 0)
    for heading, *_ in figures:
        table.add_column(heading, justify="right", no_wrap=True)
    n_leading = next((i for i, row in enumerate(rows) if not row.leads), len(rows))
    lines = zip(*(column[1:] for column in (*params, *figures)), strict=True)
    for n, line in enumerate(lines, 1):
        table.add_row(*map(_cell, line), end_section=n == n_leading)
    return table


def _least(params: list[Column], figures: list[Column]) -> int:
    """Return how broad the table must be for the figures and what parameters need of room."""
    part = SHORT if len(figures) <= USEFUL else WHOLE
    widths = [min(_broadest(column), part) for column in params] + list(map(_broadest, figures))
    return sum(widths) + GAP * (len(widths) - 1)


def _params(comparison: Comparison, rows: list[BoardRow]) -> list[Column]:
    """Return the ranks, with ``=`` where tied and ``*`` where chosen, and the parameters."""
    ranks = [f"{'=' if r.verdict == 'tied' else ' '}{r.rank}{'*' * r.chosen}" for r in rows]
    names = short_names(comparison.varying).values()
    columns = [[name, *(row.params[i][0] for row in rows)] for i, name in enumerate(names)]
    return [["", *ranks], *columns]


def _figure(name: str, rows: list[BoardRow]) -> Column:
    """Return a column; its heading stands on two lines where it has two words or more."""
    return ["\n".join(name.rsplit(" ", 1)), *(row.figures[name] for row in rows)]


def _notes(comparison: Comparison, rows: list[BoardRow]) -> Iterator[str]:
    shown, hidden = rows[:MAX_ROWS], rows[MAX_ROWS:]
    if hidden:
        tied = sum(row.leads for row in hidden)
        yield f"… and {len(hidden):,} more" + (f", of which {tied:,} tied" if tied else "")
    if comparison.board is not None and any(row.verdict == "tied" for row in rows):
        level = format_share(comparison.board.confidence)
        yield f"=  tied: not distinguishable from the best, at {level} over all comparisons"
    if comparison.chosen is not None:
        yield f"*  chosen: {format_choice(comparison)}"
    if any(row.figures["convergence"].startswith("stopped +") for row in shown):
        yield "stopped +x  training ended x nats per row above the optimum"
    if comparison.unfinished:
        outcomes = Counter(run.outcome for run in comparison.unfinished).most_common()
        yield "Not finished: " + ", ".join(f"{n:,} {outcome}" for outcome, n in outcomes)
    for reason, n in comparison.left_out:
        yield f"Left out: {counted(n, 'run')}, {reason}"


def _text(text: str) -> Text:
    return Text(printable(text), overflow="fold")


def _cell(text: str) -> Text:
    return Text(printable(text), no_wrap=True, overflow="ellipsis")


def _broadest(column: Column) -> int:
    return max(cell_len(line) for text in column for line in text.splitlines() or [""])
