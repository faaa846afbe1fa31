"""The candidates become lines across parallel axes: one per parameter, the last one the cost."""

from __future__ import annotations

import numpy as np

from nn.arrays import Array
from pipeline.sweeps.comparison import Candidate, Comparison, Value
from pipeline.sweeps.labels import cut, short_names
from pipeline.sweeps.page.look import GREY, Figure, Tree, layout, rich, spans
from pipeline.sweeps.page.scale import Scale
from pipeline.sweeps.rows import mean_costs

MOST_AXES = 12
LONGEST, SHORTEST = 16, 7  # characters of a tick
LINE = 64  # characters of a tick of each axis, side by side: more would run into the next one
LONGEST_NAME = 20


def draw(comparison: Comparison) -> Figure | None:
    """A line per candidate with a cost; None where fewer than two have one or nothing varies."""
    costs = np.array(mean_costs(comparison), dtype=float)
    known = np.flatnonzero(np.isfinite(costs))
    if known.size < 2 or not comparison.varying:
        return None
    cost, label = costs[known], "valid cost"
    if spans(cost):
        cost, label = np.log10(cost), "log₁₀ valid cost"
    candidates = [comparison.candidates[i] for i in known]
    trace = {
        "type": "parcoords",
        "meta": [int(i) + 1 for i in known],  # ranks
        "line": {"color": cost.tolist(), "colorscale": "Viridis", "showscale": False},
        "dimensions": [
            *_axes(candidates, comparison.varying),
            {"label": label, "values": _rounded(cost)},
        ],
        "labelangle": -18,
        "labelfont": {"size": 12},
        "tickfont": {"size": 11},
        "rangefont": {"size": 10, "color": GREY},
        "unselected": {"line": {"color": GREY, "opacity": 0.08}},
    }
    margin = {"l": 90, "r": 60, "t": 66, "b": 24}
    return Figure([trace], layout(margin=margin), 440, _caption(len(known), comparison.varying))


def _axes(candidates: list[Candidate], varying: tuple[str, ...]) -> list[Tree]:
    names, shown = short_names(varying), varying[:MOST_AXES]
    longest = max(min(LONGEST, LINE // len(shown)), SHORTEST)
    return [_axis([c.params.get(name) for c in candidates], names[name], longest) for name in shown]


def _caption(n: int, varying: tuple[str, ...]) -> str:
    left = (
        f" The first {MOST_AXES} of {len(varying)} parameters." if len(varying) > MOST_AXES else ""
    )
    return (
        f"One line per candidate ({n:,}), the darker the better; the last axis is its mean valid "
        f"cost, in nats per row.{left} Drag along an axis to select, click on what is selected to "
        f"clear it, drag the name of an axis to move it."
    )


def _axis(values: list[Value], short: str, longest: int) -> Tree:
    scale = Scale.of(values)
    label = rich(cut(short, LONGEST_NAME))
    places = scale.places(values)
    if scale.is_labelled:
        # Unlike all other texts, plotly.js takes these letter by letter.
        ticks = {"tickvals": _rounded(scale.places(scale.levels)), "ticktext": scale.ticks(longest)}
        return {"label": label, "values": _rounded(places), **ticks, **_room(scale)}
    return {"label": f"log₁₀ {label}" if scale.kind == "log" else label, "values": _rounded(places)}


def _room(scale: Scale) -> Tree:
    """One level alone has no extent to draw an axis along."""
    return {"range": [-1, 1]} if len(scale.levels) == 1 else {}


def _rounded(values: Array) -> list[float]:
    """Six digits, far finer than a pixel; ticks and values must be rounded alike to meet."""
    return [float(f"{value:.6g}") for value in values]
