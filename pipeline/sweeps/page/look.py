"""The one look of all figures of the page, and how data become what plotly.js takes."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nn.arrays import Array
from pipeline.redact import printable
from pipeline.sweeps.comparison import Value
from pipeline.sweeps.labels import cut, value_text

# Okabe and Ito 2008, told apart by colour-blind readers, without their yellow; then three more.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00",
    "#56B4E9", "#7B3294", "#8C564B", "#1B1F24", "#80A03A",
)  # fmt: skip
BLUE, PALE_BLUE, VERMILION = COLOURS[0], "#8FBFE0", COLOURS[1]
INK, GREY, LIGHT, PALE = "#1b1f24", "#8a929c", "#c3cad3", "#dfe3e8"
WIDE_SPAN = 20.0  # largest over smallest: from here on a logarithmic axis shows more
MOST_CHARACTERS = 80  # of a name or a value in the text beside a point

Tree = dict[str, Any]  # what plotly.js takes as JSON


@dataclass(frozen=True)
class Figure:
    """Traces and layout for plotly.js, the height in pixels, and what the reader must know.

    A trace with ``customdata`` gets its texts in the browser: each number is the position of a
    label of the page, so that a label which belongs to a thousand points is sent once.
    """

    data: list[Tree]
    layout: Tree
    height: int
    caption: str


def layout(**more: Any) -> Tree:
    """The layout of the house with what a figure adds to it."""
    return {
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": INK},
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
        "margin": {"l": 60, "r": 12, "t": 28, "b": 44},
        "hoverlabel": {"bgcolor": "#fff", "font": {"size": 12, "color": INK}, "align": "left"},
        "hovermode": "closest",
        **more,
    }


def axis(title: str, **more: Any) -> Tree:
    """An axis with fine lines."""
    return {
        "title": {"text": title, "standoff": 8},
        "gridcolor": PALE,
        "zeroline": False,
        "linecolor": GREY,
        "ticks": "outside",
        "tickformat": "~g",
        "tickcolor": PALE,
        "automargin": True,
        **more,
    }


def cost_axis(costs: Array, title: str = "valid cost (nats per row)") -> Tree:
    """An axis of costs, logarithmic where they differ by more than a factor of ``WIDE_SPAN``."""
    known = costs[np.isfinite(costs)]
    if spans(known):
        return axis(title, type="log", dtick="D2" if narrow(known) else 1)
    return axis(title, type="linear")


def spans(values: Array) -> bool:
    """Whether positive values differ by more than a factor of ``WIDE_SPAN``."""
    return bool(values.size and values.min() > 0 and values.max() > WIDE_SPAN * values.min())


def narrow(values: Array) -> bool:
    """Whether the decades are so few that 2 and 5 need ticks as well."""
    return bool(values.max() < 1e3 * values.min())


def packed(values: npt.ArrayLike) -> Tree:
    """Numbers as plotly.js reads them fastest; what is not finite becomes a gap.

    float32 keeps seven digits, more than a screen shows, in 5.3 characters a number.
    """
    array = np.asarray(values, dtype=np.float64)
    kept = np.where(np.abs(array) < np.finfo(np.float32).max, array, np.nan).astype("<f4")
    return {"dtype": "f4", "bdata": base64.b64encode(kept.tobytes()).decode("ascii")}


def rich(text: str) -> str:
    """Any text as plotly.js, which takes some markup, shows it letter by letter."""
    return html.escape(printable(text), quote=False)


def hover(head: str, params: Mapping[str, Value], names: Mapping[str, str]) -> str:
    """The text beside a point: a line on what it is, then a line per parameter."""
    lines = (f"{names[name]} = {value_text(params.get(name))}" for name in names)
    return "<br>".join([f"<b>{rich(head)}</b>", *(rich(cut(x, MOST_CHARACTERS)) for x in lines)])
