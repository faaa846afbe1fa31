"""The shares of the variance become bars: parameters, pairs, the rest, the seeds."""

from __future__ import annotations

from pipeline.sweeps.comparison import Shares
from pipeline.sweeps.labels import cut, percent, short_names
from pipeline.sweeps.page.look import (
    BLUE,
    GREY,
    PALE,
    PALE_BLUE,
    Figure,
    axis,
    layout,
    rich,
)

MOST_BARS = 16
LONGEST = 34  # characters of the name of a bar

Bar = tuple[str, float, str]  # its whole name, its share, its colour


def draw(shares: Shares) -> Figure:
    """The largest share on top; pairs beyond ``MOST_BARS`` are added up in one bar."""
    bars = _bars(shares)
    three = "with three or more together, " if len(shares.main) > 2 else ""
    return Figure(
        [
            {
                "type": "bar",
                "orientation": "h",
                "x": [100 * share for _, share, _ in bars],
                "y": list(range(len(bars))),
                "marker": {"color": [colour for *_, colour in bars]},
                "text": [percent(share) for _, share, _ in bars],
                "textposition": "outside",
                "cliponaxis": False,
                "hovertext": [f"{rich(name)}: {percent(share)}" for name, share, _ in bars],
                "hovertemplate": "%{hovertext}<extra></extra>",
            }
        ],
        layout(
            xaxis=axis("share of the variance of the valid cost (%)", rangemode="tozero"),
            yaxis=axis(
                "", autorange="reversed", showgrid=False, ticks="",
                tickvals=list(range(len(bars))), ticktext=[rich(cut(n, LONGEST)) for n, *_ in bars],
            ),
            margin={"l": 60, "r": 64, "t": 12, "b": 44},
        ),
        height=80 + 28 * len(bars),
        caption=(
            "How much of the variance of the valid cost, over all runs of the full grid, goes with "
            "each parameter alone (dark), with a pair beyond what its two explain alone (light), "
            f"{three}and with the seeds (grey). The shares add up to 100 %. They are of these runs "
            "and rows: the sentences on top tell those that luck would not make."
        ),
    )  # fmt: skip


def _bars(shares: Shares) -> list[Bar]:
    names = short_names({*shares.main, *(name for pair in shares.pairs for name in pair)})
    main = [(names[name], share, BLUE) for name, share in shares.main.items()]
    pairs = [
        (f"{names[a]} × {names[b]}", share, PALE_BLUE) for (a, b), share in shares.pairs.items()
    ]
    rest = [("three or more together", shares.rest, PALE)] if len(main) > 2 else []
    last = [*rest, ("seeds", shares.seeds, GREY)]
    room = max(MOST_BARS - len(main), 1)
    return [*_ordered([*main, *_fewer(_ordered(pairs), room)]), *last]


def _fewer(pairs: list[Bar], most: int) -> list[Bar]:
    if len(pairs) <= most:
        return pairs
    others = pairs[most - 1 :]
    total = sum(share for _, share, _ in others)
    return [*pairs[: most - 1], (f"{len(others):,} other pairs", total, PALE_BLUE)]


def _ordered(bars: list[Bar]) -> list[Bar]:
    return sorted(bars, key=lambda bar: -bar[1])
