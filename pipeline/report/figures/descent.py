"""A slice of the loss surface becomes a figure: its contours, and the path of descent on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.report.figures import style
from pipeline.stages.surface import Surface

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEVELS = 13
NEAREST = 0.15  # of the panel's side, between two epochs that are marked: as wide as a label


def draw_descent(surface: Surface, caption: style.Caption) -> Figure:
    """Return contours of equal loss and the path from epoch 0 to the last. Distances are true."""
    share = f"the plane holds {100 * surface.share:.3g} % of the path's variance"
    caption = caption.with_notes([share])
    title = "Loss (nats per row) and the path of descent"
    figure = style.sheet(title, caption, 4.2, style.NARROW)
    figure.subplots_adjust(right=0.95)
    panel = figure.subplots()
    panel.grid(visible=False)
    high = float(surface.objective.max())
    low = max(float(surface.objective.min()), 1e-6 * high)
    levels = np.geomspace(low, max(high, 1.01 * low), LEVELS)
    grid = surface.a, surface.b, np.maximum(surface.objective, low)
    filled = panel.contourf(*grid, levels=levels, cmap="Blues_r", alpha=0.6)
    panel.contour(*grid, levels=levels[1:-1], colors=style.GREY, linewidths=0.5)
    figure.colorbar(filled, ticks=levels[::2], format="{x:.3g}")
    panel.plot(*surface.path.T, color=style.VERMILION)
    for epoch in _marked(surface):
        _mark(panel, surface, epoch)
    panel.set(
        xlabel="first direction of the path (norm of theta)",
        ylabel="second direction of the path",
        aspect="equal",
    )
    return figure


def _marked(surface: Surface) -> list[int]:
    """Return the first and last epoch, and the powers of ten that stand apart from others."""
    last = len(surface.path) - 1
    side = float(surface.a[-1] - surface.a[0])
    marked = [last]
    for epoch in [0, *(10**k for k in range(12) if 10**k < last)]:
        distances = np.linalg.norm(surface.path[marked] - surface.path[epoch], axis=1)
        if last > 0 and distances.min() > NEAREST * side:
            marked.append(epoch)
    return sorted(marked)


def _mark(panel: Axes, surface: Surface, epoch: int) -> None:
    x, y = surface.path[epoch]
    is_last = epoch == len(surface.path) - 1
    marker, size = ("*", 9) if is_last else ("o", 4)
    panel.plot([x], [y], marker, color=style.INK, markersize=size, zorder=3)
    name = f"epoch {epoch:,}" if epoch == 0 or is_last else f"{epoch:,}"
    panel.annotate(name, (x, y), xytext=(5, 6), textcoords="offset points", size=style.SMALL)
