"""The candidates become lines across parallel axes: one per parameter, the last one the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from nn.arrays import Array
from pipeline.compare.comparison import VALID_LOSS, Comparison, Value
from pipeline.compare.labels import short_names
from pipeline.compare.page import theme
from pipeline.compare.page.levels import Levels
from pipeline.compare.trials import Scale
from pipeline.text import cut

MAX_AXES = 12
MAX_NAME = 20  # characters
LINE = 64  # characters of a tick of each axis, side by side: more would run into the next one


def draw_parallel_axes(comparison: Comparison) -> go.Figure | None:
    """Return a line per candidate with a loss; None where fewer than two have one."""
    losses = np.array([c.mean_metric(VALID_LOSS) for c in comparison.candidates])
    known = np.flatnonzero(np.isfinite(losses))
    names = list(short_names(comparison.varying).items())[:MAX_AXES]
    if len(known) < 2 or not names:
        return None
    params = [comparison.candidates[i].params for i in known]
    length = min(16, max(7, LINE // len(names)))
    last = _numbers("validation loss", losses[known], log=theme.is_wide(losses))
    scales = comparison.search.scales if comparison.search else {}
    axes = [
        _axis(short, [p.get(name) for p in params], length, scales.get(name))
        for name, short in names
    ]
    trace = go.Parcoords(
        dimensions=[*axes, last],
        meta=[int(i) + 1 for i in known],  # ranks
        line={"color": last["values"], "colorscale": "Viridis"},
        labelangle=-18,
        rangefont={"size": 10, "color": theme.GREY},
        unselected={"line": {"color": theme.GREY, "opacity": 0.08}},
    )
    margin = {"l": 90, "r": 60, "t": 66, "b": 24}
    return go.Figure(trace).update_layout(template=theme.TEMPLATE, height=440, margin=margin)


def _axis(name: str, values: Sequence[Value], length: int, scale: Scale | None) -> dict[str, Any]:
    levels, label = Levels.of(values, scale), theme.escaped(cut(name, MAX_NAME))
    if not levels.are_categories:
        return _numbers(label, levels.places(values), log=levels.kind == "log")
    # One level alone has no extent. Unlike other texts, plotly.js shows ticks letter by letter.
    room = {"range": [-1, 1]} if len(levels.values) == 1 else {}
    places = levels.places(values).tolist()
    return {"label": label, "values": places, **levels.ticks(length), **room}


def _numbers(label: str, values: Array, *, log: bool) -> dict[str, Any]:
    """Return an axis of numbers, with six digits, far finer than a pixel."""
    shown = np.log10(values) if log else values
    return {
        "label": f"log₁₀ {label}" if log else label,
        "values": [float(f"{value:.6g}") for value in shown],
    }
