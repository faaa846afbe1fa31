"""The curves of all runs become one figure: the leaders in colour, the others behind in grey."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from nn.arrays import Array
from pipeline.compare.comparison import Candidate, Comparison
from pipeline.compare.labels import format_params, short_names
from pipeline.compare.page import theme
from pipeline.tracking import thinned

N_LEADERS = len(theme.COLOURS)
MAX_POINTS = 150  # of a curve; a screen shows no more
MAX_CURVES = 400  # grey ones; more would be one grey area
MAX_GREY = 24_000  # points of all grey curves together
MAX_NAME = 60  # characters of a name in the legend
PIXELS = 7.2  # of a character, on average
PARTS = (("valid_loss", "solid"), ("train_loss", "dot"))
LEGEND = {
    "orientation": "h", "y": -0.18, "yanchor": "top", "x": 0, "xanchor": "left",
    "entrywidthmode": "pixels",
}  # fmt: skip

Curve = dict[str, Array]


def draw_loss_curves(comparison: Comparison) -> go.Figure | None:
    """Return loss against epoch, the mean over the seeds of each candidate; None without curves.

    Of very many candidates some are left out, evenly by rank.
    """
    places = shown_places(len(comparison.candidates))
    room = min(MAX_POINTS, MAX_GREY // max(len(places), 1))
    curves = [
        (i, curve)
        for i in places
        if (curve := mean_curve(comparison.candidates[i], MAX_POINTS if i < N_LEADERS else room))
    ]
    if not curves:
        return None
    leaders, others = curves[:N_LEADERS], curves[N_LEADERS:]
    names, longest = _differing(comparison, [i for i, _ in leaders]), 0
    figure = go.Figure(
        _grey(
            [(i, curve) for i, curve in others if "valid_loss" in curve], len(comparison.candidates)
        )
    )
    for colour, (i, curve) in zip(theme.COLOURS, leaders, strict=False):
        name = f"{i + 1}. {format_params(comparison.candidates[i].params, names, MAX_NAME)}"
        figure.add_traces(_leader(i, curve, theme.escaped(name), colour))
        longest = max(longest, len(name))
    losses = np.concatenate([c[part] for _, c in leaders for part, _ in PARTS if part in c])
    loss = theme.loss_axis(losses, "loss (nats per row)")
    return figure.update_layout(
        template=theme.TEMPLATE,
        height=510 + 21 * len(leaders),
        margin={"l": 60, "r": 36, "t": 48, "b": 8},
        modebar={"orientation": "v"},
        xaxis={"title_text": "epoch", "type": "linear"},
        yaxis=loss,
        legend=LEGEND | {"entrywidth": PIXELS * longest},
        updatemenus=[
            _switch("log loss", "yaxis", 0, now=loss["type"]),
            _switch("log epochs", "xaxis", 0.5, now="linear"),
        ],
    )


def shown_places(n: int) -> list[int]:
    """Return the places of the candidates, of ``n``, whose curves are drawn."""
    every = max(1, -(-(n - N_LEADERS) // MAX_CURVES))
    return [*range(min(n, N_LEADERS)), *range(N_LEADERS, n, every)]


def _differing(comparison: Comparison, places: list[int]) -> dict[str, str]:
    """Return the parameters in which these candidates differ; all where there is one candidate."""
    params = [comparison.candidates[place].params for place in places]
    names = short_names(comparison.varying)
    differing = [name for name in names if len({repr(p.get(name)) for p in params}) > 1]
    return {name: names[name] for name in differing or names}


def mean_curve(candidate: Candidate, most: int = MAX_POINTS) -> Curve:
    """Return losses at up to ``most`` epochs, the mean over the runs, as far as all of them go."""
    curves = [run.curve for run in candidate.runs if "epoch" in run.curve]
    n = min((len(curve["epoch"]) for curve in curves), default=0)
    names = [part for part, _ in PARTS if all(part in curve for curve in curves)]
    if n == 0 or not names:
        return {}
    means = {name: np.mean([curve[name][:n] for curve in curves], axis=0) for name in names}
    kept = thinned(np.array([*means.values()]), [], most)
    points = {"epoch": curves[0]["epoch"][:n].astype(float), **means}
    return {name: values[kept] for name, values in points.items()}


def _leader(i: int, curve: Curve, name: str, colour: str) -> list[go.Scatter]:
    return [
        _line(
            curve["epoch"], curve[part], [i] * len(curve["epoch"]), part.replace("_", " "),
            name=name, legendgroup=str(i), showlegend=part == "valid_loss" or len(curve) == 2,
            line={"color": colour, "width": 2 if dash == "solid" else 1.5, "dash": dash},
        )
        for part, dash in PARTS
        if part in curve
    ]  # fmt: skip


def _grey(others: list[tuple[int, Curve]], n: int) -> list[go.Scatter]:
    """Return one trace for all, for a thousand would make the page slow; gaps part the curves."""
    if not others:
        return []
    drawn = f"the other {len(others):,}"
    if len(shown_places(n)) < n:
        drawn = f"{len(others):,} of the other {n - N_LEADERS:,}"
    x = np.concatenate([[*curve["epoch"], np.nan] for _, curve in others])
    y = np.concatenate([[*curve["valid_loss"], np.nan] for _, curve in others])
    labels = np.concatenate([[i] * (len(curve["epoch"]) + 1) for i, curve in others])
    return [
        _line(
            x, y, labels.tolist(), "valid loss", name=drawn,
            legendrank=2000, connectgaps=False, line={"color": theme.LIGHT, "width": 1},
        )
    ]  # fmt: skip


def _line(x: Array, y: Array, labels: list[int], what: str, **more: Any) -> go.Scatter:
    return go.Scatter(
        mode="lines",
        x=theme.single(x),
        y=theme.single(y),
        customdata=labels,
        hovertemplate=f"%{{text}}<br>{what} %{{y:.4f}} at epoch %{{x}}<extra></extra>",
        **more,
    )


def _switch(label: str, axis: str, x: float, *, now: str) -> dict[str, Any]:
    """Return a button that changes an axis between linear and logarithmic."""
    kinds = [theme.LINEAR, theme.LOG] if now == "log" else [theme.LOG, theme.LINEAR]
    first, second = (
        {f"{axis}.{key}": value for key, value in kind.items()} | {f"{axis}.autorange": True}
        for kind in kinds
    )
    button = {"label": label, "method": "relayout", "args": [first], "args2": [second]}
    place = {"x": x, "xanchor": "center" if x else "left", "y": 1.02, "yanchor": "bottom"}
    return {"type": "buttons", "buttons": [button], "active": -1, "showactive": False, **place}
