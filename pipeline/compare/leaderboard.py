"""A comparison becomes the rows of its leaderboard, which the terminal and the page both show."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.compare.comparison import VALID_LOSS, Candidate, Comparison
from pipeline.compare.convergence import convergence, too_early
from pipeline.compare.labels import (
    format_difference,
    format_interval,
    format_number,
    format_value,
    short_value,
)

# What each figure means, the most important first: a narrow terminal shows only the first ones.
FIGURES = {
    "validation loss": "mean over seeds, nats per row",
    "excess": "validation loss over that of the best, nats per row",
    "convergence": "of the run that fared worst: how far its objective is above the optimum",
    "runs": "one for each seed and fold, that finished; of all where some did not",
    "95 % interval": "of the validation loss of this candidate alone",
    "excess interval": "simultaneous over all comparisons",
    "sd": "standard deviation of the validation loss over seeds",
    "accuracy": "share of the validation rows that are decided right, mean over seeds",
    "train loss": "mean over seeds, nats per row",
}


@dataclass(frozen=True)
class BoardRow:
    """One candidate as text."""

    rank: int  # from 1
    verdict: str  # best, tied, worse, or "" without validation rows
    chosen: bool
    early: bool  # some run stopped too early
    params: tuple[tuple[str, str], ...]  # in the order of ``varying``: short, and whole
    figures: dict[str, str]
    detail: str  # of the convergence

    @property
    def leads(self) -> bool:
        """Whether it is the best or tied with it."""
        return self.verdict in ("best", "tied")


def leaderboard(comparison: Comparison) -> list[BoardRow]:
    """Return a row for each candidate, the best first."""
    return [_row(comparison, i, c) for i, c in enumerate(comparison.candidates)]


def format_choice(comparison: Comparison) -> str:
    """Return why the candidate was chosen, and what the choice costs on the validation rows."""
    board, place = comparison.board, comparison.chosen
    if board is None or place is None or board.excess[place] == 0:
        return "the lowest validation loss"
    excess, error = (format_difference(float(of[place])) for of in (board.excess, board.error))
    return (
        "the simplest (most l2, then fewest epochs) within one standard error, "
        f"{error.lstrip('+')}, of the lowest validation loss: it costs {excess} nats per row"
    )


def _row(comparison: Comparison, i: int, candidate: Candidate) -> BoardRow:
    values = [candidate.params.get(name) for name in comparison.varying]
    ended, detail = convergence(candidate.runs)
    n, lost = len(candidate.runs), len(candidate.unfinished)
    figures = {
        **_of_board(comparison, i, candidate),
        "convergence": ended,
        "runs": f"{n} of {n + lost}" if lost else str(n),
        "accuracy": format_number(candidate.mean_metric("valid/best_accuracy")),
        "train loss": format_number(candidate.mean_metric("train/best_loss")),
    }
    return BoardRow(
        rank=i + 1,
        verdict=_verdict(comparison, i),
        chosen=comparison.chosen == i,
        early=any(map(too_early, candidate.runs)),
        params=tuple((short_value(value), format_value(value)) for value in values),
        figures={name: figures[name] for name in FIGURES},
        detail=detail,
    )


def _verdict(comparison: Comparison, i: int) -> str:
    if comparison.board is None:
        return ""
    return "best" if i == 0 else "tied" if comparison.board.tied[i] else "worse"


def _of_board(comparison: Comparison, i: int, candidate: Candidate) -> dict[str, str]:
    """Return the figures of the validation rows; without a board only the loss is known."""
    board = comparison.board

    def known(array: str) -> float:
        return math.nan if board is None else float(getattr(board, array)[i])

    loss = candidate.mean_metric(VALID_LOSS) if board is None else known("mean")
    return {
        "validation loss": format_number(loss),
        "95 % interval": format_interval(known("low"), known("high")),
        "excess": format_difference(known("excess")),
        "excess interval": format_interval(known("excess_low"), known("excess_high")),
        "sd": format_number(known("deviation")),
    }
