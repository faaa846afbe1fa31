"""Figures of a run on another file, as a person reads them at the end of ``make evaluate``."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.compare.monitor import Monitored
from pipeline.report.performance import METRICS
from pipeline.stages.drift import LARGE, LEVEL, MODERATE, Drift
from pipeline.text import counted, cut, printable

SHOWN = {
    **METRICS, "calibration_slope": "calibration slope",
    "calibration_intercept": "calibration intercept",
}  # fmt: skip
MOST = 10  # columns
NAME = 20  # characters of a column, or of a bin of it


def format_monitored(found: Monitored) -> str:
    """Return the figures beside those on test, what has drifted, and last the verdict."""
    sections = {
        "Input": _input(found), "Figures": _figures(found), "Drift": _drift(found),
        "Verdict": _verdict(found),
    }  # fmt: skip
    return "\n\n".join(
        "\n".join(f"{'' if i else name:10}{printable(line)}" for i, line in enumerate(lines))
        for name, lines in sections.items()
    )


def _input(found: Monitored) -> Iterator[str]:
    rows = counted(found.figures.n_rows, "row")
    yield f"{found.source}: {rows}, {found.figures.n_positive:,} of them positive"
    yield f"scored by run {found.run[:12]}"
    if found.is_training_table:
        yield "warning: the run was made of this very table, and trained on most of its rows"
    for attribute, categories in found.unseen.items():
        n = sum(categories.values())
        yield f"warning: {n:,} rows have a category of {attribute} that train did not: zeros"


def _figures(found: Monitored) -> Iterator[str]:
    test = "on test" if found.test.held_out else "on train"
    yield f"{'':22}{test:>9} {'here':>9}  95 % interval"
    for name, label in SHOWN.items():
        values = [e.metrics.get(name) for e in (found.test, found.figures)]
        cells = " ".join(f"{_number(value):>9}" for value in values)
        yield f"{label:22}{cells}{_bounds(found, name)}"
    if found.figures.worse_than_baseline:
        baseline = found.figures.baseline["log_loss"]
        yield f"warning: the majority baseline has a log loss of {baseline:.4f} here, no higher"
    held = found.calibration
    yield (
        f"predicts {held.predicted:.1%} positive on average; {held.share:.1%} are (95 % interval "
        f"{held.share_low:.1%} to {held.share_high:.1%})"
    )
    yield (
        f"promises, by its probabilities, a log loss of {_number(held.expected_loss)} here: "
        "more is miscalibration"
    )


def _number(value: float | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:.4f}" if abs(value) < 1e4 else f"{value:.3g}"


def _bounds(found: Monitored, name: str) -> str:
    metrics = found.figures.metrics
    if f"{name}_low" in metrics:
        return f"  {metrics[f'{name}_low']:.4f} to {metrics[f'{name}_high']:.4f}"
    if f"{name}_chance" in metrics:
        return f"  {metrics[f'{name}_chance']:.4f} by chance"
    return "  too few of a class" if name == "roc_auc" else ""


def _drift(found: Monitored) -> Iterator[str]:
    certain = [drift for drift in found.drift if drift.p_value <= LEVEL]
    shown = [drift for drift in certain if drift.psi > MODERATE][:MOST]
    few = f", {len(certain) - len(shown)} of them little" if len(certain) > len(shown) else ""
    of_all = f"{len(certain)} of {counted(len(found.drift), 'column')}"
    yield f"{of_all} differ from train by more than chance{few}"
    if shown:
        yield f"{'':{NAME}}     PSI   p-value  (a PSI above {LARGE} is a large drift)"
    yield from map(_line, shown)
    for drift in found.drift:
        if drift.unseen:
            names = ", ".join(cut(name, NAME) for name in drift.unseen)
            yield f"{cut(drift.column, NAME)} has categories that train did not: {names}"


def _line(drift: Drift) -> str:
    p_value = f"{drift.p_value:8.4f}" if drift.p_value >= 1e-4 else "< 0.0001"
    changed = f"{cut(drift.bin, NAME)}: {drift.train_share:.1%} of train, {drift.share:.1%} here"
    return f"{cut(drift.column, NAME):{NAME}}  {drift.psi:6.2f}  {p_value}  {changed}"


def _verdict(found: Monitored) -> Iterator[str]:
    if found.rise is None:
        yield "none: the run held no rows out, or too few are independent to be compared"
        return
    rise = found.rise
    here, test = (e.metrics["log_loss"] for e in (found.figures, found.test))
    losses = f"log loss {_number(here)} against {_number(test)}, p = {rise.p_value:.2g}"
    yield f"a rise of {rise.noticeable:.2g} nats per row is seen four times in five of so many rows"
    yield (
        f"WORSE than on test: {losses}"
        if found.is_worse
        else f"not worse than on test by more than chance: {losses}"
    )
