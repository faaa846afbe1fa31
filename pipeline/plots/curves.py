"""A learning curve becomes a figure: cost and accuracy, epoch by epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from nn.arrays import Array
from pipeline.plots import style
from pipeline.stages.certify import Certificate
from pipeline.stages.train import Trained

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT = 3.7  # inches
LONG = 50  # epochs; from here on the first ones need a logarithmic axis to be seen
MOST_POINTS = 4000  # in a panel 330 pixels wide


class Line(NamedTuple):
    """A curve and what is written at its end."""

    label: str
    values: Array
    colour: str
    style: str = "-"


ENDED = {
    "epochs": "{last:,} epochs",
    "patience": "ended early, after {last:,} epochs",
    "diverged": "DIVERGED after epoch {last:,}",
    "stopped": "STOPPED after epoch {last:,}",
}


def draw(
    trained: Trained,
    certificate: Certificate | None,
    table: str,
    n_train: int,
    n_valid: int,
    l2: float,
) -> Figure:
    """Train and valid cost in nats per row on the left, accuracy as a share on the right.

    A dotted line is the least that the objective can be: the cost, with the penalty where there is
    one, which is then drawn beside the cost.
    """
    has_valid = "valid_cost" in trained.curve
    held_out = f"{n_valid:,} valid rows held out" if has_valid else "NOT held out: no valid rows"
    figure = style.sheet(
        HEIGHT,
        "Learning curve: " + ENDED[trained.ended].format(last=int(trained.curve["epoch"][-1])),
        style.Caption(f"{n_train:,} train rows, {held_out} ({table})", warn=not has_valid),
    )
    for left, unit, ylabel in (
        (0.72, "cost", "cost (nats per row)"),
        (4.3, "accuracy", "accuracy (share of rows)"),
    ):
        panel = style.axes(figure, left, 0.5, 2.0, HEIGHT - 1.3)
        panel.set(xlabel="epoch", ylabel=ylabel)
        _fill(panel, trained, _lines(trained.curve, unit, l2, certificate), unit)
    return figure


def _lines(
    curve: dict[str, Array], unit: str, l2: float, certificate: Certificate | None
) -> list[Line]:
    """The lines of a panel; the last is the one that is judged by."""
    lines = [Line("train", curve[f"train_{unit}"], style.BLUE)]
    if unit == "cost":
        optimum = None if certificate is None else certificate.optimum
        penalised = l2 > 0 and _differs(curve["objective"], curve["train_cost"])
        if penalised:
            lines.insert(0, Line("with l2", curve["objective"], style.GREY, "--"))
        if optimum is not None:
            least = np.full(len(curve["epoch"]), optimum)
            lines.insert(0, Line(_least(certificate, penalised=penalised), least, style.GREY, ":"))
    if f"valid_{unit}" in curve:
        lines.append(Line("valid", curve[f"valid_{unit}"], style.VERMILION))
    return lines


def _least(certificate: Certificate | None, *, penalised: bool) -> str:
    """What the least value of the objective is called."""
    if certificate is not None and certificate.verdict == "no finite optimum":
        return "infimum"
    return "its optimum" if penalised else "optimum"


def _differs(objective: Array, cost: Array) -> bool:
    """Whether the eye would see the penalty: by its end it is 1 % of the height of the panel."""
    return bool(objective[-1] - cost[-1] > 0.01 * (objective.max() - cost.min()))


def _fill(panel: Axes, trained: Trained, lines: list[Line], unit: str) -> None:
    epoch = trained.curve["epoch"]
    _scale_x(panel, epoch)
    _scale_y(panel, lines, unit)
    kept = min(int(np.searchsorted(epoch, trained.best_epoch)), len(epoch) - 1)
    points = _thin(len(epoch), kept)
    marker = "o" if len(epoch) == 1 else ""
    for line in lines:
        panel.plot(
            epoch[points], line.values[points], line.style, color=line.colour,
            marker=marker, label=line.label, clip_on=False,
        )  # fmt: skip
    _mark_best(panel, trained.best_epoch, float(lines[-1].values[kept]))
    _label_ends(panel, lines, unit)


def _scale_x(panel: Axes, epoch: Array) -> None:
    last = max(float(epoch[-1]), 1.0)
    if last < LONG:
        panel.set_xlim(0, last)
        panel.locator_params(axis="x", integer=True, nbins=5)
        return
    panel.set_xscale("symlog", linthresh=1, linscale=0.4)
    panel.set_xlim(0, last)
    exponents = range(int(np.log10(last)) + 1)
    panel.set_xticks(
        [0.0, *(10.0**k for k in exponents)], ["0", *map(style.power_of_ten, exponents)]
    )
    panel.set_xticks([], minor=True)


def _scale_y(panel: Axes, lines: list[Line], unit: str) -> None:
    low = min(float(line.values.min()) for line in lines)
    high = max(float(line.values.max()) for line in lines)
    if unit == "cost" and low > 0 and high / low > 30:
        _scale_log(panel, low / 1.3, high * 1.1)
    else:
        # At least 0.02 high: a flat curve would fill its ticks with digits.
        room = max(0.05 * (high - low), 0.01 - (high - low) / 2)
        panel.set_ylim(low - room, 1.0 if unit == "accuracy" and high + room > 1 else high + room)
    panel.grid(axis="y", color=style.PALE, linewidth=0.6)
    panel.set_axisbelow(True)


def _scale_log(panel: Axes, low: float, high: float) -> None:
    panel.set_yscale("log")
    panel.set_ylim(low, high)
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    exponents = range(first, last + 1, (last - first) // 6 + 1)
    ticks = {10.0**k: style.power_of_ten(k) for k in exponents}
    if last - first < 3:
        between = (m * 10.0**k for k in range(first - 1, last + 1) for m in (2, 5))
        ticks |= {tick: f"{tick:g}" for tick in between if low <= tick <= high}
    panel.set_yticks(list(ticks), list(ticks.values()))
    panel.set_yticks([], minor=True)


def _thin(n: int, kept: int) -> npt.NDArray[np.int64]:
    """Which points to draw: all, or as many as a logarithmic axis can show."""
    if n <= MOST_POINTS:
        return np.arange(n)
    return np.unique([0, kept, *np.geomspace(1, n - 1, MOST_POINTS).astype(int)])


def _mark_best(panel: Axes, best: int, value: float) -> None:
    panel.axvline(best, color=style.GREY, linewidth=0.8, linestyle=":")
    panel.plot([best], [value], "o", color=style.INK, markersize=4, clip_on=False, zorder=3)
    place = float(panel.transAxes.inverted().transform(panel.transData.transform((best, 0.5)))[0])
    panel.text(
        place, 1.02, f"kept: epoch {best:,}", transform=panel.transAxes,
        size=style.SMALL, color=style.GREY, ha=("left", "center", "right")[min(2, int(place * 3))],
    )  # fmt: skip


def _label_ends(panel: Axes, lines: list[Line], unit: str) -> None:
    """Write each curve's name and last value beside its end, in its colour."""
    ends = [(panel.get_xlim()[1], line.values[-1]) for line in lines]
    wanted = panel.transAxes.inverted().transform(panel.transData.transform(ends))[:, 1]
    places = style.spread(wanted, 1.35 * style.SMALL / 72 / (HEIGHT - 1.3))
    places += max(0.0, 0.03 - places.min())
    places -= max(0.0, places.max() - 1)
    for line, place in zip(lines, places, strict=True):
        value = line.values[-1]
        end = f"{value:.3f}" if unit == "accuracy" else style.figures(value)
        panel.text(
            1.03, float(place), f"{line.label} {end}", transform=panel.transAxes,
            size=style.SMALL, color=line.colour, va="center",
        )  # fmt: skip
