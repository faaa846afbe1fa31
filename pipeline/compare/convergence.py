"""How far training got: of a run by its certificate, of a candidate by the run that fared worst."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

from pipeline.compare.comparison import Comparison, Run
from pipeline.text import counted, one_line

TOO_EARLY = 1e-3  # nats per row above the optimum: the least that is reported
MAX_INPUTS = 120  # characters of the names of inputs

Ending = Literal[
    "converged", "unknown", "not certified", "patience", "stopped early", "no finite optimum",
    "diverged",
]  # fmt: skip
ENDINGS: tuple[Ending, ...] = get_args(Ending)  # the worst last


def ending(run: Run) -> Ending:
    """Return how the training of the run ended: its verdict, unless patience ended it."""
    verdict = run.certificate.verdict if run.certificate else "unknown"
    if verdict == "stopped early" and run.ended == "patience":
        return "patience"
    return verdict if verdict in ENDINGS else "unknown"


def gap(run: Run) -> float:
    """Return how far the objective is above the optimum, in nats per row; NaN if unknown."""
    known = run.certificate.gap if run.certificate else None
    return math.nan if known is None else max(known, 0.0)  # rounding may leave -1e-17


def worst(runs: Sequence[Run]) -> Run:
    """Return the run that fared worst: by how it ended, then by its gap."""
    return max(runs, key=lambda run: (ENDINGS.index(ending(run)), gap(run) >= 0, gap(run)))


def too_early(run: Run) -> bool:
    """Return whether more training would lower the objective by a reportable amount."""
    return ending(run) == "stopped early" and gap(run) >= TOO_EARLY


def convergence(runs: Sequence[Run]) -> tuple[str, str]:
    """Return how the run that fared worst ended, as ``stopped +0.13``, and what is known of it."""
    run = worst(runs)
    word, n_alike = ending(run), sum(ending(other) == ending(run) for other in runs)
    text = f"{word.removesuffix(' early')} +{gap(run):.2g}"
    some = f"{n_alike} of {len(runs)} runs: " if len(runs) > 1 else ""
    known = run.certificate.text if word != "unknown" and run.certificate else "no certificate"
    is_known = word in ("patience", "stopped early") and not math.isnan(gap(run))
    return text if is_known else word, some + known


def convergence_sentences(comparison: Comparison) -> Iterator[str]:
    """Yield how many runs stopped too early, and whether the best did; or that all converged."""
    known = _certified(comparison)
    gaps = sorted(gap(run) for run in known if too_early(run))
    if gaps:
        low, high = f"{gaps[0]:.2g}", f"{gaps[-1]:.2g}"
        by = high if low == high else f"{low} to {high}"
        yield (
            f"{len(gaps):,} of {_counted(comparison, known)} stopped too early: more epochs or "
            f"another learning rate would lower the objective by {by} nats per row"
            f"{_of_the_best(comparison)}."
        )
    elif known and all(ending(run) == "converged" for run in comparison.finished):
        yield "Every run has converged: no further training would lower the objective."


def _of_the_best(comparison: Comparison) -> str:
    if comparison.board is None or len(comparison.candidates) < 2:
        return ""
    runs = comparison.candidates[0].runs
    gaps = [gap(run) for run in runs if too_early(run)]
    if gaps:
        return f", that of the best by {max(gaps):.2g}"
    return "; the best has converged" if ending(worst(runs)) == "converged" else ""


def separation_sentences(comparison: Comparison) -> Iterator[str]:
    """Yield how many runs have no finite optimum, and because of which inputs."""
    known = _certified(comparison)
    apart = [
        run.certificate.separated_on
        for run in known
        if run.certificate and ending(run) == "no finite optimum"
    ]
    if apart:
        inputs, n = Counter(apart).most_common(1)[0]
        mostly = "" if n == len(apart) else "mostly "
        names = one_line(", ".join(inputs), MAX_INPUTS)
        yield (
            f"{len(apart):,} of {_counted(comparison, known)} have no finite optimum: their train "
            f"rows are separated, {mostly}by {names}; train.l2 above 0 gives one."
        )


def _certified(comparison: Comparison) -> list[Run]:
    return [run for run in comparison.finished if ending(run) != "unknown"]


def _counted(comparison: Comparison, known: Sequence[Run]) -> str:
    n = len(known)
    return counted(n, "run") + (" with a certificate" if n < len(comparison.finished) else "")
