"""The certificates of a candidate's repeats become one word on its training: the worst of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pipeline.redact import printable
from pipeline.sweeps.comparison import Run
from pipeline.sweeps.labels import counted, cut

TOO_EARLY = 1e-3  # nats per row above the optimum, from which on it is worth a sentence
GAP, BOUND = "certificate/gap", "certificate/bound"
MOST_NAMED = 6  # inputs
LONGEST = 40  # characters of an input

Ending = Literal[
    "converged", "unknown", "not certified", "stopped by patience", "stopped early",
    "no finite optimum", "diverged",
]  # fmt: skip
ENDINGS: tuple[Ending, ...] = get_args(Ending)  # the worst last
UNKNOWN: Ending = "unknown"
SHORT: dict[Ending, str] = {"stopped by patience": "patience", "stopped early": "stopped"}
ABOVE = ("stopped by patience", "stopped early")  # endings that are told with how far


@dataclass(frozen=True)
class Training:
    """How far training got, of ``n`` runs: how the worst of them ended, and the largest gap.

    Gap and bound are how far what was minimised, cost and penalty, is above the best possible, in
    nats per row; NaN where no run knows it.
    """

    ending: Ending
    n: int
    n_alike: int  # runs that ended as the worst did
    gap: float
    bound: float
    separated_on: tuple[str, ...]  # of the first run that has no finite optimum

    @property
    def words(self) -> str:
        """``stopped early, 0.13 above``."""
        return f"{self.ending}, {self._gap} above" if self._is_told else self.ending

    @property
    def short(self) -> str:
        """As ``words`` for a narrow column: ``stopped +0.13``."""
        word = SHORT.get(self.ending, self.ending)
        return f"{word} +{self._gap}" if self._is_told else word

    @property
    def is_too_early(self) -> bool:
        """Whether what is lacking is worth a word."""
        return self.ending == "stopped early" and self.gap >= TOO_EARLY

    @property
    def detail(self) -> str:
        """What stands behind it."""
        parts = [f"{self.n_alike} of {counted(self.n, 'run')}" if self.n > 1 else ""]
        if self.separated_on:
            parts.append(f"the train rows separate on {named(self.separated_on)}")
        if not math.isnan(self.gap):
            least = "infimum" if self.ending == "no finite optimum" else "optimum"
            parts.append(f"at most {self._gap} nats per row above the {least}")
        elif not math.isnan(self.bound):
            parts.append(f"at most {self.bound:.2g} nats per row above the best possible")
        elif self.ending == UNKNOWN:
            parts.append("its record has no certificate")
        return "; ".join(part for part in parts if part)

    @property
    def _is_told(self) -> bool:
        return self.ending in ABOVE and not math.isnan(self.gap)

    @property
    def _gap(self) -> str:
        return f"{max(self.gap, 0.0):.2g}"  # rounding may leave -1e-17


def training(runs: Sequence[Run]) -> Training:
    """How far training got, over all of the runs."""
    endings = [ending(run) for run in runs]
    worst = max(endings, key=ENDINGS.index, default=UNKNOWN)
    separated = [run.separated_on for run in runs if run.separated_on]
    return Training(
        worst,
        len(runs),
        endings.count(worst),
        _largest(runs, GAP),
        _largest(runs, BOUND),
        separated[0] if separated else (),
    )


def ending(run: Run) -> Ending:
    """How the training of the run ended: its verdict, but that patience ends it on purpose."""
    if run.verdict is None:
        return UNKNOWN
    if run.verdict == "stopped early" and run.ended == "patience":
        return "stopped by patience"
    return run.verdict


def named(inputs: Sequence[str]) -> str:
    """The first inputs, and how many more there are."""
    more = len(inputs) - MOST_NAMED
    names = ", ".join(cut(printable(name), LONGEST) for name in inputs[:MOST_NAMED])
    return names + (f" and {more:,} more" if more > 0 else "")


def _largest(runs: Sequence[Run], name: str) -> float:
    return max((run.metrics[name] for run in runs if name in run.metrics), default=math.nan)
