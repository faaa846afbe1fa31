"""A search becomes two figures: the loss of each trial and the lowest so far; the importances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from pipeline.compare.labels import format_share, short_names
from pipeline.compare.page import theme
from pipeline.compare.trials import Search, Trial
from pipeline.text import cut

MAX_NAME = 34  # characters


def draw_trials(search: Search) -> go.Figure | None:
    """Return the loss of each trial in order; None where none is complete."""
    complete = [trial for trial in search.trials if trial.loss is not None]
    if not complete:
        return None
    losses = np.array([trial.loss for trial in complete])
    top = theme.above(losses)
    lowest = [(n, loss) for n, loss in enumerate(search.best_so_far) if np.isfinite(loss)]
    figure = go.Figure(
        go.Scatter(
            mode="lines",
            x=[n for n, _ in lowest],
            y=[loss for _, loss in lowest],
            line={"shape": "hv", "color": theme.INK, "width": 1.5},
            name="lowest so far",
            hovertemplate="lowest up to trial %{x}: %{y:.4f}<extra></extra>",
        )
    )
    dot = {"color": theme.BLUE, "size": 7, "opacity": 0.7}
    figure.add_trace(_dots(search, complete, losses.tolist(), "complete", dot))
    for ended, symbol in (("pruned", "triangle-down-open"), ("failed", "x-thin-open")):
        found = [trial for trial in search.trials if trial.ended == ended]
        mark = {"color": theme.VERMILION, "size": 8, "symbol": symbol}
        if found:
            figure.add_trace(_dots(search, found, [top] * len(found), ended, mark))
    return figure.update_layout(
        template=theme.TEMPLATE,
        height=320,
        margin={"l": 60, "r": 20, "t": 12, "b": 44},
        xaxis={"title_text": "trial"},
        yaxis=theme.loss_axis(losses, "validation loss"),
        legend={"orientation": "h", "y": -0.24, "yanchor": "top", "x": 0},
    )


def draw_importances(search: Search) -> go.Figure | None:
    """Return a bar for each setting, the most important on top; None where that is not known."""
    if not search.importances:
        return None
    names = short_names(search.importances)
    shares = sorted(search.importances.items(), key=lambda item: -item[1])
    places = list(range(len(shares)))
    trace = go.Bar(
        orientation="h",
        x=[100 * share for _, share in shares],
        y=places,
        marker={"color": theme.BLUE},
        text=[format_share(share) for _, share in shares],
        textposition="outside",
        cliponaxis=False,
        hoverinfo="skip",
    )
    texts = [theme.escaped(cut(names[name], MAX_NAME)) for name, _ in shares]
    return go.Figure(trace).update_layout(
        template=theme.TEMPLATE,
        height=80 + 28 * len(shares),
        margin={"l": 60, "r": 64, "t": 12, "b": 44},
        xaxis={"title_text": "importance (%)", "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "showgrid": False, "ticks": "", "tickvals": places,
               "ticktext": texts},
    )  # fmt: skip


def _dots(
    search: Search, trials: Sequence[Trial], y: Sequence[float], name: str, marker: dict[str, Any]
) -> go.Scatter:
    names = short_names(search.trials[0].point)
    texts = [theme.hover_label(f"trial {t.number}, {name}", t.point, names) for t in trials]
    figure = "<br>validation loss %{y:.4f}" if name == "complete" else ""
    return go.Scatter(
        mode="markers",
        x=[trial.number for trial in trials],
        y=list(y),
        text=texts,
        name=name,
        marker=marker,
        hovertemplate=f"%{{text}}{figure}<extra></extra>",
    )
