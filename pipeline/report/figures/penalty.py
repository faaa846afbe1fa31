"""What folds say of each strength of the penalty becomes a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.report.figures import style
from pipeline.stages.penalty import PenaltyPath

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HIGHEST = 2.0  # times the lowest and the strongest: what overfits worse is off the panel


def draw_penalty(path: PenaltyPath, caption: style.Caption) -> Figure:
    """Return the loss out of fold in nats per row against l2, with the one that was chosen.

    A bar is a standard error of the distance from the lowest; a thin line is a fold.
    """
    from matplotlib.ticker import NullLocator

    figure = style.sheet(f"Penalty: l2 {path.chosen_l2:g}, chosen by folds", caption, 3.8)
    panel = figure.subplots()
    panel.plot(path.l2, path.fold_loss, color=style.GREY, linewidth=0.6, alpha=0.6)
    panel.errorbar(
        path.l2, path.loss, path.error, color=style.BLUE, marker="o", markersize=3, capsize=2,
        label="mean, and one standard error",
    )  # fmt: skip
    panel.plot([], [], color=style.GREY, linewidth=0.6, label="each fold")
    panel.axhline(path.loss.min(), color=style.GREY, linestyle=":", linewidth=1.0)
    panel.plot(
        path.chosen_l2, path.loss[path.chosen], "o", color=style.VERMILION, zorder=3,
        label="chosen: the strongest within one standard error",
    )  # fmt: skip
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set(xlabel="l2 (strength of the penalty)", ylabel="loss out of fold (nats per row)")
    low, high = path.fold_loss.min(), max(path.loss[0], path.fold_loss[path.chosen].max())
    panel.set_ylim(low - 0.1 * (high - low), min(path.fold_loss.max(), HIGHEST * high - low))
    panel.legend()
    return figure
