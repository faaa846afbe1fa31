"""The runs become one small figure per parameter: the valid cost of each run by level."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nn.arrays import Array
from pipeline.sweeps.comparison import Comparison, Value
from pipeline.sweeps.labels import cut, short_names
from pipeline.sweeps.page.look import (
    BLUE,
    INK,
    VERMILION,
    Figure,
    Tree,
    axis,
    cost_axis,
    layout,
    packed,
    rich,
)
from pipeline.sweeps.page.scale import Scale
from pipeline.sweeps.rows import VALID_COST, known_params

MOST_POINTS = 2000  # of a panel
MOST_PANELS = 24
LONGEST_NAME = 36
HEIGHT = 270  # pixels
DECADES = 2.5  # fewer need ticks at 2 and 5 as well
UNKNOWN = math.nan  # no level
LARGEST = 308.25  # power of ten that is a number


@dataclass(frozen=True)
class Points:
    """Runs as points: their cost, who they are, and the parameters of each."""

    costs: Array  # (n,), valid cost in nats per row; NaN of a run that did not finish
    labels: Sequence[int]  # positions of their labels in those of the page
    params: Sequence[Mapping[str, Value]]  # those that are known


def draw(comparison: Comparison, first_label: int) -> list[Figure]:
    """A figure per parameter that varies; none where no run has a valid cost.

    The runs' labels are those of the page from ``first_label`` on: finished, then unfinished.
    """
    points = _points(comparison, first_label)
    if not np.isfinite(points.costs).any():
        return []
    names = short_names(comparison.varying)
    return [_panel(points, name, names[name]) for name in comparison.varying[:MOST_PANELS]]


def _points(comparison: Comparison, first_label: int) -> Points:
    finished = [(c, run) for c in comparison.candidates for run in c.runs]
    costs = [run.metrics.get(VALID_COST, math.nan) for _, run in finished]
    params: list[Mapping[str, Value]] = [candidate.params for candidate, _ in finished]
    params += [known_params(run, comparison.varying) for run in comparison.unfinished]
    costs += [math.nan] * len(comparison.unfinished)
    kept = np.unique(np.linspace(0, len(costs) - 1, min(len(costs), MOST_POINTS)).astype(int))
    return Points(
        np.array(costs, dtype=float)[kept],
        [first_label + int(i) for i in kept],
        [params[i] for i in kept],
    )


def _panel(points: Points, name: str, short: str) -> Figure:
    scale = Scale.of(params[name] for params in points.params if name in params)
    places = scale.places(params.get(name, UNKNOWN) for params in points.params)
    y_axis = cost_axis(points.costs, "valid cost")
    title = cut(short, LONGEST_NAME)
    figure = layout(
        xaxis=_axis(scale, title),
        yaxis=y_axis,
        showlegend=False,
        margin={"l": 56, "r": 8, "t": 12, "b": 40},
    )
    top = _top(points.costs, log=y_axis["type"] == "log")
    traces = [*_runs(points, places, scale), _means(points.costs, places, scale)]
    return Figure([*traces, *_lost(points, places, scale, top)], figure, HEIGHT, "")


def _axis(scale: Scale, title: str) -> Tree:
    places = scale.places(scale.levels)
    few = scale.kind == "log" and np.ptp(places) < DECADES
    ticks: Tree = {"dtick": "D2" if few else 1} if scale.kind == "log" else {}
    if scale.is_labelled:
        ticks = {
            "tickvals": _values(scale, places).tolist(),
            "ticktext": list(map(rich, scale.ticks())),
        }
    more = {"range": [-0.6, len(scale.levels) - 0.4]} if scale.kind == "levels" else {}
    kind = "log" if scale.kind == "log" else "linear"
    return axis(rich(title), type=kind, showgrid=False, **ticks, **more)


def _values(scale: Scale, places: Array) -> Array:
    """What stands at the places of the axis; the largest number stands for a larger one."""
    return 10.0 ** np.minimum(places, LARGEST) if scale.kind == "log" else places


def _spread(scale: Scale, places: Array) -> Array:
    """The places moved a little apart, always alike: multiples of the golden ratio lie evenly."""
    few = min(0.16 * scale.gap, 0.02 * max(np.nanmax(places) - np.nanmin(places), scale.gap))
    width = 0.16 if scale.kind == "levels" else few
    moved = places + width * (2 * ((np.arange(len(places)) * 0.6180339887) % 1) - 1)
    return _values(scale, moved)


def _runs(points: Points, places: Array, scale: Scale) -> list[Tree]:
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": packed(_spread(scale, places)),
            "y": packed(points.costs),
            "customdata": list(points.labels),
            "marker": {"color": BLUE, "size": 5, "opacity": 0.45},
            "hovertemplate": "%{text}<br>valid cost %{y:.4f}<extra></extra>",
        }
    ]


def _means(costs: Array, places: Array, scale: Scale) -> Tree:
    """The mean of each level; joined by a line where the levels are few and to scale."""
    at = np.unique(places[np.isfinite(places) & np.isfinite(costs)])
    means = [float(np.nanmean(costs[places == place])) for place in at]
    many = not scale.is_labelled
    return {
        "type": "scatter",
        "mode": "markers" if scale.kind == "levels" else "lines+markers",
        "visible": not many,
        "x": packed(_values(scale, at)),
        "y": packed(means),
        "marker": {"color": INK, "size": 20, "symbol": "line-ew-open", "line": {"width": 2.5}},
        "line": {"color": INK, "width": 1},
        "hovertemplate": "mean of the level %{y:.4f}<extra></extra>",
    }


def _lost(points: Points, places: Array, scale: Scale, top: float) -> list[Tree]:
    """The runs that did not finish, as crosses above all costs."""
    lost = np.isnan(points.costs)
    if not lost.any():
        return []
    who = [label for label, is_lost in zip(points.labels, lost, strict=True) if is_lost]
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": packed(_spread(scale, places)[lost]),
            "y": packed(np.full(lost.sum(), top)),
            "customdata": who,
            "marker": {"color": VERMILION, "size": 7, "symbol": "x-thin-open"},
            "hovertemplate": "%{text}<extra></extra>",
        }
    ]


def _top(costs: Array, *, log: bool) -> float:
    """A cost a little above all others."""
    low, high = float(np.nanmin(costs)), float(np.nanmax(costs))
    return high * (high / low) ** 0.08 if log else high + 0.08 * ((high - low) or abs(high))
