"""The theme of all figures of the page, and how texts and numbers reach plotly.js."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from nn.arrays import Array
from pipeline.compare.comparison import Value
from pipeline.compare.labels import format_value
from pipeline.text import cut, printable

# Okabe and Ito 2008, which colour-blind readers can distinguish, less yellow; then three more.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00",
    "#56B4E9", "#7B3294", "#8C564B", "#1B1F24", "#80A03A",
)  # fmt: skip
BLUE, PALE_BLUE, VERMILION = COLOURS[0], "#8FBFE0", COLOURS[1]
INK, GREY, LIGHT, PALE = "#1b1f24", "#8a929c", "#c3cad3", "#dfe3e8"
WIDE_SPAN = 20.0  # largest over smallest: from here on a logarithmic axis shows more
MAX_LINE = 80  # characters of a line beside a point
LINEAR: dict[str, Any] = {"type": "linear", "dtick": None}
LOG: dict[str, Any] = {"type": "log", "dtick": "D2"}  # ticks at 1, 2 and 5

_AXIS = {
    "gridcolor": PALE, "zeroline": False, "linecolor": GREY, "ticks": "outside",
    "tickcolor": PALE, "tickformat": "~g", "automargin": True, "title_standoff": 8,
}  # fmt: skip
TEMPLATE = go.layout.Template(
    layout=go.Layout(
        font={"family": "system-ui, sans-serif", "size": 12, "color": INK},
        paper_bgcolor="#fff",
        plot_bgcolor="#fff",
        hoverlabel={"bgcolor": "#fff", "font": {"size": 12, "color": INK}, "align": "left"},
        hovermode="closest",
        xaxis=_AXIS,
        yaxis=_AXIS,
    )
)


def loss_axis(losses: Array, title: str) -> dict[str, Any]:
    """Return an axis of losses, logarithmic where they differ by more than ``WIDE_SPAN``."""
    log = LOG | ({"dtick": 1} if is_wide(losses, 1e3) else {})
    return {"title_text": title, **(log if is_wide(losses) else LINEAR)}


def is_wide(values: Array, span: float = WIDE_SPAN) -> bool:
    """Return whether the finite values are positive and differ by more than a factor ``span``."""
    known = values[np.isfinite(values)]
    return bool(known.size and known.min() > 0 and known.max() > span * known.min())


def above(losses: Array) -> float:
    """Return a loss a little above all others: where runs without one are drawn."""
    low, high = float(np.nanmin(losses)), float(np.nanmax(losses))
    return high * 1.2 if is_wide(losses) else high + 0.08 * ((high - low) or abs(high))


def single(values: Array) -> Array:
    """Return the numbers in single precision: seven digits, more than a screen shows."""
    return np.asarray(values, np.float32)


def escaped(text: str) -> str:
    """Return the text so that plotly.js, which takes some markup, shows it letter by letter."""
    return html.escape(printable(text), quote=False)


def hover_label(head: str, params: Mapping[str, Value], names: Mapping[str, str]) -> str:
    """Return the text beside a point: a line on what it is, then a line per parameter."""
    lines = (f"{names[name]} = {format_value(params.get(name))}" for name in names)
    return "<br>".join([f"<b>{escaped(head)}</b>", *(escaped(cut(x, MAX_LINE)) for x in lines)])
