"""An evaluation becomes its four figures: confusion, ROC, precision-recall, calibration.

Displays of scikit-learn draw the same arrays, but importing them takes twice as long as drawing
every figure of a run.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.report.figures import style
from pipeline.report.figures.style import Caption
from pipeline.stages.evaluate import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE = 5.4  # inches
LINE = 13  # characters of a class beside the confusion matrix, on each of two lines
DOTTED: dict[str, Any] = {"color": style.GREY, "linestyle": ":", "linewidth": 1.0}


def draw_confusion(evaluation: Evaluation, classes: tuple[str, str], caption: Caption) -> Figure:
    """Return counts and their shares of each true class: truth down, decision to the right."""
    counts = np.array(evaluation.confusion, dtype=np.float64)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    title = f"Decisions: accuracy {interval(evaluation, 'accuracy')}"
    figure = style.sheet(title, caption, 3.6, WIDE)
    figure.subplots_adjust(left=0.32)
    panel = figure.subplots()
    panel.imshow(share, cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
    names = [textwrap.fill(name, LINE, max_lines=2, placeholder="…") for name in classes]
    panel.set_xticks([0, 1], names)
    panel.set_yticks([0, 1], names)
    panel.set(xlabel=f"decision at p ≥ {evaluation.threshold:g}", ylabel="truth")
    panel.tick_params(length=0)
    panel.grid(visible=False)
    panel.spines[:].set_visible(False)
    for (truth, decision), value in np.ndenumerate(share):
        text = f"{counts[truth, decision]:,.0f}\n{100 * value:.1f} % of {counts[truth].sum():,.0f}"
        colour = "white" if value > 0.55 else style.INK
        panel.text(decision, truth, text, size=10, color=colour, ha="center", va="center")
    return figure


def draw_roc(evaluation: Evaluation, caption: Caption) -> Figure:
    """Return true against false positive rate over all thresholds, with the one that was used."""
    title = f"ROC: area under the curve {interval(evaluation, 'roc_auc')}"
    figure = style.sheet(title, caption, style.NARROW, style.NARROW)
    panel = _shares(figure.subplots())
    panel.set(xlabel="false positive rate (share of negative rows)")
    panel.set(ylabel="true positive rate (share of positive rows)")
    panel.plot([0, 1], [0, 1], label="chance", **DOTTED)
    panel.plot(*evaluation.roc.T[:2], color=style.BLUE, label="neuron")
    recall = evaluation.metrics["recall"]
    specificity = 2 * evaluation.metrics["balanced_accuracy"] - recall
    _mark_decision(panel, min(max(1 - specificity, 0), 1), recall, evaluation.threshold)
    panel.legend()
    return figure


def draw_precision_recall(evaluation: Evaluation, caption: Caption) -> Figure:
    """Return precision against recall over all thresholds, and the share of positive rows.

    The curve is drawn as steps, whose area is the average precision.
    """
    title = f"Precision and recall: average precision {interval(evaluation, 'pr_auc')}"
    figure = style.sheet(title, caption, style.NARROW, style.NARROW)
    panel = _shares(figure.subplots())
    panel.set(xlabel="recall (share of positive rows)")
    panel.set(ylabel="precision (share of positive decisions)")
    prevalence = evaluation.pr[0, 1]  # where every row is decided positive
    panel.axhline(prevalence, label=f"every row called positive: {prevalence:.3f}", **DOTTED)
    panel.step(*evaluation.pr.T, where="post", color=style.BLUE, label="neuron")
    recall, precision = (evaluation.metrics.get(name) for name in ("recall", "precision"))
    if recall is not None and precision is not None:
        _mark_decision(panel, recall, precision, evaluation.threshold)
    panel.legend()
    return figure


def draw_calibration(evaluation: Evaluation, positive: str, bins: int, caption: Caption) -> Figure:
    """Return share of positive rows against probability, and how many rows have which."""
    error = evaluation.metrics["expected_calibration_error"]
    chance = evaluation.metrics["expected_calibration_error_chance"]
    title = f"Calibration error {error:.3f}, {chance:.3f} by chance ({bins} bins)"
    figure = style.sheet(title, caption, style.NARROW + 0.8, style.NARROW)
    figure.subplots_adjust(hspace=0.08)
    panel, rows = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    _shares(panel).set_ylabel("share of positive rows")
    panel.plot([0, 1], [0, 1], **DOTTED)
    p, share, n, low, high = evaluation.calibration.T
    bars = "where 95 % would be by chance"
    panel.vlines(p, low, high, color=style.GREY, linewidth=3, alpha=0.5, label=bars)
    panel.plot(p, share, "o", color=style.BLUE)
    panel.legend(loc="lower right", frameon=True, framealpha=0.9, edgecolor="none")
    edge = np.minimum(np.floor(p * bins), bins - 1) / bins
    rows.bar(edge, n, 1 / bins, align="edge", color=style.BLUE, edgecolor="white")
    rows.set_xlabel(f"probability of {positive}", size=style.SMALL)
    rows.set_ylabel("rows")
    rows.locator_params(axis="y", integer=True, nbins=3)
    return figure


def draw_decision_curve(evaluation: Evaluation, caption: Caption) -> Figure:
    """Return net benefit per row against the threshold (Vickers and Elkin 2006)."""
    figure = style.sheet("Net benefit of deciding by the neuron", caption, 3.4, style.NARROW)
    panel = figure.subplots()
    threshold, neuron, everyone = evaluation.decision_curve.T
    panel.axhline(0, label="no row called positive", **DOTTED)
    panel.plot(threshold, everyone, "--", color=style.GREY, label="every row called positive")
    panel.plot(threshold, neuron, color=style.BLUE, label="neuron")
    high = max(0.01, neuron.max(), everyone.max())
    panel.set(xlim=(0, 1), ylim=(-0.3 * high, 1.1 * high))
    panel.set(xlabel="threshold", ylabel="net benefit per row")
    panel.legend()
    return figure


def draw_gain(evaluation: Evaluation, caption: Caption) -> Figure:
    """Return the share of positive rows among those that the neuron ranks highest."""
    figure = style.sheet("Gain: positive rows found", caption, 3.4, style.NARROW)
    panel = _shares(figure.subplots())
    panel.plot([0, 1], [0, 1], label="at random", **DOTTED)
    panel.plot(*evaluation.gain.T, color=style.BLUE, label="neuron")
    panel.set(xlabel="share of rows, highest probability first", ylabel="share of positive rows")
    panel.legend()
    return figure


def interval(evaluation: Evaluation, metric: str) -> str:
    """Return ``0.951 (95 % 0.923 to 0.969)``, without the brackets where there is no interval."""
    metrics = evaluation.metrics
    text = f"{metrics[metric]:.3f}"
    if f"{metric}_low" in metrics:
        text += f" (95 % {metrics[f'{metric}_low']:.3f} to {metrics[f'{metric}_high']:.3f})"
    return text


def _shares(panel: Axes) -> Axes:
    """Return the panel with both of its axes from 0 to 1."""
    panel.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    panel.locator_params(nbins=5)
    return panel


def _mark_decision(panel: Axes, x: float, y: float, threshold: float) -> None:
    """Mark the point at which the neuron decides."""
    panel.plot([x], [y], "o", color=style.INK, zorder=3, label=f"decision at p ≥ {threshold:g}")
