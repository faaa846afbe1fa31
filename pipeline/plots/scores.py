"""An evaluation becomes its four figures: confusion, ROC, precision-recall, calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.intervals import wilson
from pipeline.plots import style
from pipeline.plots.style import Caption
from pipeline.stages.evaluate import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Classes = tuple[str, str]  # what class 0 and class 1 are called

WIDTH = 5.4  # inches
SIDE = 4.2  # inches, of the panel that shares are drawn in


def draw(evaluation: Evaluation, classes: Classes, bins: int, rows: Caption) -> dict[str, Figure]:
    """The four figures, by name."""
    return {
        "confusion": confusion(evaluation, classes, rows),
        "roc": roc(evaluation, rows),
        "precision_recall": precision_recall(evaluation, rows),
        "calibration": calibration(evaluation, classes[1], bins, rows),
    }


def confusion(evaluation: Evaluation, classes: Classes, rows: Caption) -> Figure:
    """Counts and their shares of each true class: truth downwards, decision to the right."""
    counts = np.array(evaluation.confusion, dtype=np.float64)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    title = (
        f"Decisions at p ≥ {evaluation.threshold:g}: accuracy {interval(evaluation, 'accuracy')}"
    )
    figure = style.sheet(3.7, title, rows, WIDTH)
    left = style.MARGIN + 0.35 + max(map(style.text_width, classes))
    panel = style.axes(figure, left, 0.65, WIDTH - left - 0.2, 2.35)
    panel.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5), xlabel="decision", ylabel="truth")
    panel.imshow(share, cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
    panel.set_xticks([0, 1], list(classes), size=style.SIZE)
    panel.set_yticks([0, 1], list(classes), size=style.SIZE)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    for (truth, decision), value in np.ndenumerate(share):
        colour = "white" if value > 0.55 else style.INK
        place: dict[str, Any] = {"ha": "center", "color": colour}
        panel.text(decision, truth - 0.02, f"{counts[truth, decision]:,.0f}", size=16, **place)
        of_class = f"{100 * value:.1f} % of {counts[truth].sum():,.0f}"
        panel.text(decision, truth + 0.2, of_class, size=style.SIZE, **place)
    return figure


def roc(evaluation: Evaluation, rows: Caption) -> Figure:
    """True against false positive rate over all thresholds, with the one that was used."""
    title = f"ROC: area under the curve {interval(evaluation, 'roc_auc')}"
    figure = style.sheet(SIDE + 1.2, title, rows, WIDTH)
    panel = _square(figure, 0.5)
    panel.set(xlabel="false positive rate (share of negative rows)")
    panel.set(ylabel="true positive rate (share of positive rows)")
    panel.plot([0, 1], [0, 1], ":", color=style.GREY, linewidth=1.0)
    panel.text(0.62, 0.58, "chance", color=style.GREY, size=style.SMALL, rotation=45, va="top")
    panel.plot(
        evaluation.roc[:, 0], evaluation.roc[:, 1], color=style.BLUE, label="neuron", clip_on=False
    )
    (tn, fp), (fn, tp) = evaluation.confusion
    _mark(panel, _share(fp, tn), _share(tp, fn), evaluation.threshold, below=True)
    return figure


def precision_recall(evaluation: Evaluation, rows: Caption) -> Figure:
    """Precision against recall over all thresholds, and the share of positive rows."""
    title = f"Precision and recall: average precision {interval(evaluation, 'pr_auc')}"
    figure = style.sheet(SIDE + 1.2, title, rows, WIDTH)
    panel = _square(figure, 0.5)
    panel.set(xlabel="recall (share of positive rows)")
    panel.set(ylabel="precision (share of positive decisions)")
    prevalence = evaluation.n_positive / evaluation.n_rows
    panel.axhline(prevalence, color=style.GREY, linewidth=1.0, linestyle=":")
    panel.text(
        0.02, prevalence + 0.01, f"every row called positive: {prevalence:.3f}",
        color=style.GREY, size=style.SMALL, va="bottom" if prevalence < 0.9 else "top",
    )  # fmt: skip
    recall, precision = evaluation.pr.T
    panel.plot(
        recall, precision, color=style.BLUE, drawstyle="steps-post", label="neuron", clip_on=False
    )
    (_, fp), (fn, tp) = evaluation.confusion
    if tp + fp:
        _mark(panel, _share(tp, fn), _share(tp, fp), evaluation.threshold, below=True)
    return figure


def calibration(evaluation: Evaluation, positive: str, bins: int, rows: Caption) -> Figure:
    """Share of positive rows against probability, and how many rows have which probability."""
    error = evaluation.metrics["expected_calibration_error"]
    title = f"Expected calibration error {error:.3f} ({bins} equally wide bins)"
    figure = style.sheet(SIDE + 2.3, title, rows, WIDTH)
    panel = _square(figure, 1.6)
    panel.set(ylabel="share of positive rows")
    panel.set_xticklabels([])
    panel.plot([0, 1], [0, 1], ":", color=style.GREY, linewidth=1.0)
    p, share, n = evaluation.calibration.T
    low, high = zip(*map(wilson, share, n), strict=True)
    panel.vlines(p, low, high, color=style.BLUE, linewidth=1.2, clip_on=False)
    panel.scatter(p, share, 12 + 120 * n / n.max(), color=style.BLUE, zorder=3, clip_on=False)
    panel.text(
        0.03, 0.97, "area: rows in the bin\nbars: 95 % (Wilson)",
        size=style.SMALL, color=style.GREY, va="top",
    )  # fmt: skip
    below = style.axes(figure, 0.75, 0.5, SIDE, 0.9)
    edge = np.minimum(np.floor(p * bins), bins - 1) / bins
    below.bar(edge, n, 1 / bins, align="edge", color=style.BLUE, edgecolor="white")
    below.set(xlim=(0, 1), xlabel=f"probability of {positive}", ylabel="rows")
    below.locator_params(axis="y", integer=True, nbins=3)
    return figure


def _square(figure: Figure, bottom: float) -> Axes:
    """A panel for shares against shares, both from 0 to 1."""
    panel = style.axes(figure, 0.75, bottom, SIDE, SIDE)
    panel.set(xlim=(0, 1), ylim=(0, 1))
    panel.grid(color=style.PALE, linewidth=0.6)
    panel.set_axisbelow(True)
    return panel


def _mark(panel: Axes, x: float, y: float, threshold: float, *, below: bool) -> None:
    """The point at which the neuron decides."""
    panel.plot([x], [y], "o", color=style.INK, markersize=6, clip_on=False, zorder=3)
    panel.annotate(
        f"p ≥ {threshold:g}", (x, y), (8 if x < 0.7 else -8, -12 if below else 8),
        textcoords="offset points", size=style.SMALL, ha="left" if x < 0.7 else "right",
    )  # fmt: skip


def _share(count: int, others: int) -> float:
    return count / max(count + others, 1)


def interval(evaluation: Evaluation, metric: str) -> str:
    """``0.951 (95 % 0.923 to 0.969)``, without the brackets where there is no interval."""
    metrics = evaluation.metrics
    text = f"{metrics[metric]:.3f}"
    if f"{metric}_low" in metrics:
        text += f" (95 % {metrics[f'{metric}_low']:.3f} to {metrics[f'{metric}_high']:.3f})"
    return text
