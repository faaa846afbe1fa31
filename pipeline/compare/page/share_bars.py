"""The shares of the variance become bars: parameters, pairs, the rest, the repeats."""

from __future__ import annotations

import plotly.graph_objects as go

from pipeline.compare.comparison import Shares
from pipeline.compare.labels import format_share, short_names
from pipeline.compare.page.theme import BLUE, GREY, PALE, PALE_BLUE, TEMPLATE, escaped
from pipeline.text import counted, cut

MAX_BARS = 16  # of parameters and pairs
MAX_NAME = 34  # characters

Bar = tuple[str, float, str]  # its whole name, its share, its colour


def draw_share_bars(shares: Shares) -> go.Figure:
    """Return the bars, the largest share on top; pairs beyond ``MAX_BARS`` share one bar."""
    bars = _bars(shares)
    places = list(range(len(bars)))
    trace = go.Bar(
        orientation="h",
        x=[100 * share for _, share, _ in bars],
        y=places,
        marker={"color": [colour for *_, colour in bars]},
        text=[format_share(share) for _, share, _ in bars],
        textposition="outside",
        cliponaxis=False,
        hovertext=[f"{escaped(name)}: {format_share(share)}" for name, share, _ in bars],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    return go.Figure(trace).update_layout(
        template=TEMPLATE,
        height=80 + 28 * len(bars),
        margin={"l": 60, "r": 64, "t": 12, "b": 44},
        xaxis={"title_text": "share of the variance (%)",
               "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "showgrid": False, "ticks": "", "tickvals": places,
               "ticktext": [escaped(cut(name, MAX_NAME)) for name, *_ in bars]},
    )  # fmt: skip


def _bars(shares: Shares) -> list[Bar]:
    names = short_names({*shares.main, *(name for pair in shares.pairs for name in pair)})
    main = [(names[name], share, BLUE) for name, share in shares.main.items()]
    pairs = [
        (f"{names[a]} × {names[b]}", share, PALE_BLUE) for (a, b), share in shares.pairs.items()
    ]
    rest = [("three or more together", shares.rest, PALE)] if len(main) > 2 else []
    shown = _ordered([*main, *_fewer(_ordered(pairs), max(MAX_BARS - len(main), 1))])
    return [*shown, *rest, ("repeats", shares.seeds, GREY)]


def _fewer(pairs: list[Bar], most: int) -> list[Bar]:
    if len(pairs) <= most:
        return pairs
    others = pairs[most - 1 :]
    total = sum(share for _, share, _ in others)
    return [*pairs[: most - 1], (counted(len(others), "other pair"), total, PALE_BLUE)]


def _ordered(bars: list[Bar]) -> list[Bar]:
    return sorted(bars, key=lambda bar: -bar[1])
