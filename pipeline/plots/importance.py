"""The ranking of attributes becomes a bar chart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pipeline.plots import style
from pipeline.stages.explain import Importance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ATTRIBUTES = 60
PITCH = 0.24  # inches from bar to bar


def draw(ranking: tuple[Importance, ...], caption: style.Caption) -> Figure:
    """How much the cost rises, in nats per row, when each attribute is taken away."""
    shown = ranking[:MOST_ATTRIBUTES]
    names = [style.label(i.attribute) for i in shown]
    rise = np.array([i.cost_rise for i in shown])
    n_left_out = len(ranking) - len(shown)
    left, height = style.label_width(names), PITCH * len(shown)
    bottom = 0.8 if n_left_out else 0.55
    title = "Importance: what taking an attribute away costs"
    figure = style.sheet(height + bottom + 0.7, title, caption)
    panel = style.axes(figure, left, bottom, style.WIDTH - left - 0.8, height)
    colours = [style.BLUE if value > 0 else style.GREY for value in rise]
    panel.barh(np.arange(len(shown)), rise, height=0.7, color=colours)
    panel.set_ylim(len(shown) - 0.5, -0.5)
    panel.set_xlim(min(0.0, rise.min()), max(rise.max(), 1e-3))
    panel.set_xlabel("rise of the cost (nats per row)")
    panel.locator_params(axis="x", nbins=6)
    panel.set_yticks([])
    panel.spines["left"].set_visible(False)
    panel.axvline(0, color=style.GREY, linewidth=0.8)
    # Three digits of the longest bar, and as many decimals for all.
    decimals = min(6, max(3, 2 - math.floor(math.log10(max(abs(rise).max(), 1e-6)))))
    for place, (name, value) in enumerate(zip(names, rise, strict=True)):
        style.label_row(panel, place, name)
        panel.annotate(
            f"{value:,.{decimals}f}".replace("-", "−"), (max(value, 0.0), place), (4, 0),
            textcoords="offset points", size=style.SMALL, va="center_baseline",
        )  # fmt: skip
    if n_left_out:
        style.footnote(figure, f"{n_left_out} less important attributes left out")
    return figure
