"""The runs become one small figure per parameter: the validation loss of each run by value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from nn.arrays import Array
from pipeline.compare.comparison import Comparison, Value
from pipeline.compare.labels import short_names
from pipeline.compare.load import known_params
from pipeline.compare.page import theme
from pipeline.compare.page.levels import UNKNOWN, Levels
from pipeline.compare.trials import Scale
from pipeline.text import cut

MAX_POINTS = 2000  # of a panel
MAX_PANELS = 24
MAX_NAME = 36  # characters
LINE = 48  # characters of all ticks, side by side
GOLDEN = 0.6180339887  # multiples of it lie evenly: points are moved apart, always alike


def draw_parameter_panels(comparison: Comparison, first_label: int) -> list[go.Figure]:
    """Return a figure per parameter that varies; none where no run has a validation loss.

    The labels of the runs are those of the page from ``first_label`` on: finished, then unfinished.
    """
    params = [candidate.params for candidate in comparison.candidates for _ in candidate.runs]
    params += [known_params(run, comparison.varying) for run in comparison.unfinished]
    losses = np.full(len(params), np.nan)
    losses[: len(comparison.finished)] = [run.validation_loss for run in comparison.finished]
    if not np.isfinite(losses).any():
        return []
    labels = range(first_label, first_label + len(params))
    scales = comparison.search.scales if comparison.search else {}
    return [
        _panel(short, [p.get(name, UNKNOWN) for p in params], losses, labels, scales.get(name))
        for name, short in list(short_names(comparison.varying).items())[:MAX_PANELS]
    ]


def _panel(
    name: str, values: Sequence[Value], losses: Array, labels: Sequence[int], scale: Scale | None
) -> go.Figure:
    """Return the panel of a parameter: points of some runs, and means over all of them."""
    levels = Levels.of(values, scale)
    x, lost = levels.places(values), np.isnan(losses)
    apart = 0.16 * (2 * ((np.arange(len(x)) * GOLDEN) % 1) - 1) if levels.are_categories else 0
    y = np.where(lost, theme.above(losses), losses)
    shown = np.zeros(len(x), bool)
    shown[:: -(-len(x) // MAX_POINTS)] = True
    figure = go.Figure(_dots(x + apart, y, labels, shown & ~lost, loss=True))
    if lost.any():
        figure.add_trace(_dots(x + apart, y, labels, shown & lost))
    ticks: dict[str, Any] = {"type": levels.kind}
    if levels.are_categories:
        figure.add_trace(_means(x, losses))
        ticks = levels.ticks(max(LINE // max(len(levels.values), 3), 6))
        ticks["ticktext"] = list(map(theme.escaped, ticks["ticktext"]))
        ticks["range"] = [-0.6, len(levels.values) - 0.4]
    return figure.update_layout(
        template=theme.TEMPLATE,
        height=270,
        margin={"l": 56, "r": 8, "t": 12, "b": 40},
        showlegend=False,
        xaxis={"title_text": theme.escaped(cut(name, MAX_NAME)), "showgrid": False, **ticks},
        yaxis=theme.loss_axis(losses, "validation loss"),
    )


def _dots(
    x: Array, y: Array, labels: Sequence[int], kept: npt.NDArray[np.bool_], *, loss: bool = False
) -> go.Scatter:
    """Return the runs that finished as dots, those that did not as crosses."""
    dot = {"color": theme.BLUE, "size": 5, "opacity": 0.45}
    cross = {"color": theme.VERMILION, "size": 7, "symbol": "x-thin-open"}
    figure = "<br>validation loss %{y:.4f}" if loss else ""
    return go.Scatter(
        mode="markers",
        x=theme.single(x[kept]),
        y=theme.single(y[kept]),
        customdata=np.array(labels)[kept].tolist(),
        marker=dot if loss else cross,
        hovertemplate=f"%{{text}}{figure}<extra></extra>",
    )


def _means(x: Array, losses: Array) -> go.Scatter:
    at = np.unique(x[np.isfinite(x) & np.isfinite(losses)])
    return go.Scatter(
        mode="markers",
        x=theme.single(at),
        y=theme.single(np.array([np.nanmean(losses[x == place]) for place in at])),
        marker={"color": theme.INK, "size": 20, "symbol": "line-ew-open", "line_width": 2.5},
        hovertemplate="mean %{y:.4f}<extra></extra>",
    )
