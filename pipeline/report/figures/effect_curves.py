"""What numbers do to the odds becomes curves, and steps where they are in bins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.report.figures import style
from pipeline.stages.curves import Curve
from pipeline.stages.explain import Effects

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 3  # panels side by side
MOST = 12  # attributes, the most important first
HEIGHT = 1.75  # inches of a row of panels


def draw_effect_curves(effects: Effects, positive: str, caption: style.Caption) -> Figure:
    """Return a panel for each curve: the estimate with its 95 % band, and what the neuron uses."""
    rank = {item.attribute: i for i, item in enumerate(effects.ranking)}
    shown = sorted(effects.curves, key=lambda curve: rank[curve.attribute])[:MOST]
    left_out = len(effects.curves) - len(shown)
    notes = ["blue: estimate and its 95 % interval at each number", "black: what the neuron uses"]
    notes += [f"{left_out:,} less important left out"] if left_out else []
    across = min(ACROSS, len(shown))
    n_rows = -(-len(shown) // across)
    title = f"Effects of numbers on the log-odds of {positive}"
    figure = style.sheet(title, caption.with_notes(notes), HEIGHT * n_rows + 0.8)
    figure.subplots_adjust(hspace=0.65, wspace=0.3)
    panels = figure.subplots(n_rows, across, squeeze=False).ravel()
    for panel, curve in zip(panels, shown, strict=False):
        _draw(panel, curve)
    for panel in panels[len(shown) :]:
        panel.set_visible(False)
    return figure


def _draw(panel: Axes, curve: Curve) -> None:
    x, weight = np.array(curve.x), np.array(curve.weight)
    panel.axhline(0, color=style.GREY, linewidth=0.8)
    if curve.log_odds:
        estimate, low, high = map(np.array, (curve.log_odds, curve.low, curve.high))
        widest = 1.5 * max(np.abs(estimate).max(), np.abs(weight).max(), 0.02)
        panel.fill_between(x, low, high, color=style.BLUE, alpha=0.2, linewidth=0)
        panel.set_ylim(max(low.min(), -widest) - widest / 20, min(high.max(), widest) + widest / 20)
        panel.plot(x, estimate, color=style.BLUE)
    panel.plot(x, weight, color=style.INK, linewidth=1)
    panel.set_xlabel(style.label(curve.attribute))
    panel.locator_params(axis="x", nbins=4)
    panel.locator_params(axis="y", nbins=5)
