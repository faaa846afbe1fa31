"""The figures of a run, as PNG: one look, one file per figure, the same bytes for equal results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.config.contract import DataSettings
from pipeline.record import Record
from pipeline.report.figures import descent, effect_curves, forest, learning_curve, scores, style
from pipeline.report.figures.penalty import draw_penalty
from pipeline.report.figures.style import Caption, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figures(record: Record) -> dict[str, bytes]:
    """Return the PNG files by their path beside the record, for the stages that the run reached."""
    with style.look():
        return {f"figures/{name}.png": style.png(one) for name, one in drawings(record).items()}


def drawings(record: Record) -> dict[str, Figure]:
    """Return the figures by name, to be drawn within ``style.look()``."""
    data = DataSettings.parse(record.config["data"])
    train, valid = _n_rows(record, "train"), _n_rows(record, "valid")
    drawn = {}
    if record.curve and len(record.curve["epoch"]):
        held_out = f"{valid} valid rows held out" if valid != "0" else "NOT HELD OUT: no valid rows"
        if record.penalty is not None and valid == "0":
            held_out = "validated by folds"
        text = f"{train} train rows, {held_out} ({label(data.name)})"
        caption = Caption(text, warn="NOT" in held_out)
        drawn["curves"] = learning_curve.draw_learning_curve(record, caption)
    trained_on = Caption(f"learned from {train} train rows ({label(data.name)})")
    if record.penalty is not None:
        drawn["penalty"] = draw_penalty(record.penalty, trained_on)
    if record.surface is not None:
        drawn["surface"] = descent.draw_descent(record.surface, trained_on)
    if record.status == "FINISHED":
        drawn |= _findings(record, data, trained_on)
    return drawn


def _findings(record: Record, data: DataSettings, trained_on: Caption) -> dict[str, Figure]:
    """Return the figures of a run that finished: what the neuron does, and how well."""
    evaluation, effects = record.evaluation, record.effects
    positive = label(", ".join(data.target.positive))
    classes = label(", ".join(data.target.negative or ["any other"])), positive
    which = "test rows, held out" if evaluation.held_out else "rows, NOT HELD OUT: trained on them"
    text = f"{evaluation.n_rows:,} {which}; {evaluation.n_positive:,} are {positive}"
    rows = Caption(f"{text} ({label(data.name)})", warn=not evaluation.held_out)
    bins = record.config["evaluate"]["calibration_bins"]
    curves = {}
    if effects.curves:
        curves["effect_curves"] = effect_curves.draw_effect_curves(effects, positive, trained_on)
    return curves | {
        "effects": forest.draw_effects(effects, positive, trained_on),
        "importance": forest.draw_importance(effects, rows),
        "confusion": scores.draw_confusion(evaluation, classes, rows),
        "roc": scores.draw_roc(evaluation, rows),
        "precision_recall": scores.draw_precision_recall(evaluation, rows),
        "decision_curve": scores.draw_decision_curve(evaluation, rows),
        "gain": scores.draw_gain(evaluation, rows),
        "calibration": scores.draw_calibration(evaluation, positive, bins, rows),
    }


def _n_rows(record: Record, part: str) -> str:
    return f"{record.head.metrics.get(f'rows/{part}', 0):,.0f}"
