"""A learning curve becomes a figure: loss and accuracy, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nn.arrays import Array
from pipeline.record import Record
from pipeline.report.figures import style
from pipeline.text import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_POINTS = 4000  # of a curve; a panel is 400 pixels wide
LONG = 50  # epochs; from here on the first ones need a logarithmic axis to be seen
WIDE = 30  # largest over smallest loss; from here on a logarithmic axis shows more
ENDED = {
    "epochs": "{}",
    "optimum": "optimum after {}",
    "patience": "ended early, after {}",
    "diverged": "DIVERGED after {}",
    "stopped": "STOPPED after {}",
}


class Line(NamedTuple):
    """A series of a panel: one value per epoch."""

    label: str
    values: Array
    colour: str
    style: str = "-"


def draw_learning_curve(record: Record, caption: style.Caption) -> Figure:
    """Return loss in nats per row above, accuracy as a share of rows below.

    A dotted line is the least that the objective can be: the loss, with the penalty where there is
    one, which is then drawn beside the loss.
    """
    epoch, kept = record.curve["epoch"], record.head.best_epoch or 0
    ended = ENDED[record.head.ended or "epochs"].format(counted(int(epoch[-1]), "epoch"))
    figure = style.sheet(f"Learning curve: {ended}", caption, 5.8, style.NARROW)
    figure.subplots_adjust(top=1 - 1.05 / figure.get_figheight(), hspace=0.4)
    loss, accuracy = figure.subplots(2, 1, sharex=True)
    losses = [*_parts(record, "loss"), *_objective(record)]
    _draw_lines(loss, epoch, kept, losses)
    _draw_lines(accuracy, epoch, kept, list(_parts(record, "accuracy")))
    _scale_loss(loss, losses)
    loss.set_ylabel("loss (nats per row)")
    accuracy.set(xlabel="epoch", ylabel="accuracy (share of rows)")
    _scale_epochs(accuracy, float(epoch[-1]))
    return figure


def _parts(record: Record, unit: str) -> Iterator[Line]:
    """Yield the series of the validation rows, by which the kept epoch is judged, and of train."""
    for part, colour in (("valid", style.VERMILION), ("train", style.BLUE)):
        if f"{part}_{unit}" in record.curve:
            yield Line(part, record.curve[f"{part}_{unit}"], colour)


def _objective(record: Record) -> Iterator[Line]:
    """Yield the objective where the eye would see its penalty, and the least that it can be."""
    objective, loss = record.curve["objective"], record.curve["train_loss"]
    certificate = record.certificate
    penalised = objective[-1] - loss[-1] > 0.01 * (objective.max() - loss.min())
    if penalised:
        yield Line("with l2", objective, style.GREY, "--")
    if certificate is not None and certificate.optimum is not None:
        name = "optimum with l2" if penalised else "optimum"
        name = "infimum" if certificate.verdict == "no finite optimum" else name
        yield Line(name, np.full(len(loss), certificate.optimum), style.GREY, ":")


def _draw_lines(panel: Axes, epoch: Array, kept: int, lines: list[Line]) -> None:
    """Draw each line, with its value at the kept epoch in the legend."""
    place = min(int(np.searchsorted(epoch, kept)), len(epoch) - 1)
    points = np.unique(np.geomspace(1, len(epoch), MOST_POINTS).astype(int)) - 1
    marker = "o" if len(epoch) == 1 else ""
    for line in lines:
        panel.plot(
            epoch[points], line.values[points], line.style, color=line.colour, marker=marker,
            label=f"{line.label} {line.values[place]:#.4g}",
        )  # fmt: skip
    panel.axvline(kept, color=style.GREY, linewidth=0.8, linestyle=":")
    panel.plot([kept], [lines[0].values[place]], "o", color=style.INK, markersize=4, zorder=3)
    panel.locator_params(nbins=5)
    legend = panel.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2, alignment="left")
    legend.set_title(f"kept: epoch {kept:,}")


def _scale_epochs(panel: Axes, last: float) -> None:
    from matplotlib.ticker import NullLocator

    if last < LONG:
        panel.locator_params(axis="x", integer=True)
    else:
        panel.set_xscale("symlog", linthresh=1, linscale=0.4)
        panel.xaxis.set_major_formatter("{x:,g}")
        panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlim(0, max(last, 1) * 1.02)


def _scale_loss(panel: Axes, lines: list[Line]) -> None:
    from matplotlib.ticker import LogLocator

    low = min(float(line.values.min()) for line in lines)
    high = max(float(line.values.max()) for line in lines)
    if low > 0 and high / low > WIDE:
        panel.set_yscale("log")
        if high / low < 1e3:
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter("{x:,g}")
        panel.yaxis.set_minor_formatter("")
