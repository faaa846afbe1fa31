"""The figures of a run, as PNG: one look, one file per figure, the same bytes for equal results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.config import StratifiedSplit, Target
from pipeline.run import RunResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipeline.plots.style import Caption
MAX_CLASS = 1.5  # inches, for the name of a class
MAX_TABLE = 2.0


def figures(result: RunResult) -> dict[str, bytes]:
    """PNG files by their path in the record, for the stages that the run has reached."""
    from pipeline.plots import style

    with style.look():
        drawn = drawings(result)
        return {f"figures/{name}.png": style.png(figure) for name, figure in drawn.items()}


def drawings(result: RunResult) -> dict[str, Figure]:
    """The figures by name, to be drawn within ``style.look()``."""
    from pipeline.plots import curves, effects, importance, scores, style, surface

    config, trained = result.config, result.trained
    table = style.name(config.data.name, MAX_TABLE, style.SMALL)
    classes = _class_names(config.data.target)
    drawn = {}
    if trained is not None and trained.curve["epoch"].size > 0:
        drawn["curves"] = curves.draw(
            trained, result.certificate, table, result.n_train, result.n_valid, config.train.l2
        )
    if result.surface is not None:
        train = style.Caption(f"on {result.n_train:,} train rows ({table})")
        drawn["surface"] = surface.draw(result.surface, train)
    test = _test_rows(result, classes[1], table)
    if result.effects is not None and result.effects.effects:
        train = style.Caption(f"learned from {result.n_train:,} train rows ({table})")
        drawn["effects"] = effects.draw(result.effects, classes[1], train)
        drawn["importance"] = importance.draw(result.effects.ranking, test)
    if result.evaluation is not None:
        bins = config.evaluate.calibration_bins
        drawn |= scores.draw(result.evaluation, classes, bins, test)
    return drawn


def _class_names(target: Target) -> tuple[str, str]:
    """What class 0 and class 1 are called: the values of the target."""
    from pipeline.plots import style

    negative = ", ".join(target.negative or ["any other"])
    positive = ", ".join(target.positive)
    return style.name(negative, MAX_CLASS), style.name(positive, MAX_CLASS)


def _test_rows(result: RunResult, positive: str, table: str) -> Caption:
    """Which rows were predicted, and whether the neuron had seen them before."""
    from pipeline.plots.style import Caption

    held_out = isinstance(result.config.split, StratifiedSplit)
    which = "held-out test rows" if held_out else "rows, NOT held out: trained on them"
    text = f"{result.n_test:,} {which}"
    if result.evaluation is not None:
        text += f"; {result.evaluation.n_positive:,} are {positive}"
    return Caption(f"{text} ({table})", warn=not held_out)
