"""The curves of all runs become one figure: the leaders in colour, the others behind in grey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nn.arrays import Array
from pipeline.sweeps.comparison import Candidate, Comparison, Value
from pipeline.sweeps.labels import configuration, short_names
from pipeline.sweeps.page.look import (
    COLOURS,
    LIGHT,
    Figure,
    Tree,
    axis,
    cost_axis,
    layout,
    packed,
    rich,
    spans,
)

COLOURED = len(COLOURS)
MOST_POINTS = 150  # of a curve; a screen shows no more
MOST_GREY = 60_000  # points of all grey curves together
LEGEND = 60  # characters
LONGEST = 200  # of what all leaders have in common
PIXELS = 7.2  # of a character, on average
PARTS = (("valid_cost", "solid"), ("train_cost", "dot"))

GAP = np.array([np.nan])

Curve = dict[str, Array]


def draw(comparison: Comparison) -> Figure | None:
    """Cost against epoch, the mean over the seeds of each candidate; None where nothing trained."""
    curves = [(i, mean_curve(candidate)) for i, candidate in enumerate(comparison.candidates)]
    curves = [(i, curve) for i, curve in curves if curve]
    if not curves:
        return None
    leaders, others = curves[:COLOURED], curves[COLOURED:]
    params = [comparison.candidates[i].params for i, _ in leaders]
    common, differing = _divided(params, short_names(comparison.varying))
    names = [_name(i, comparison.candidates[i].params, differing) for i, _ in leaders]
    costs = np.concatenate([c[part] for _, c in leaders for part, _ in PARTS if part in c])
    return Figure(
        _grey(others)
        + [
            trace
            for name, colour, (i, curve) in zip(names, COLOURS, leaders, strict=False)
            for trace in _leader(i, curve, name, colour)
        ],
        layout(
            xaxis=axis("epoch", type="linear"),
            yaxis=cost_axis(costs, "cost (nats per row)"),
            legend=_legend(max(len(name) for name in names)),
            margin={"l": 60, "r": 24, "t": 28, "b": 8},  # 24: half of the last label
        ),
        height=470 + 21 * len(leaders),
        caption=_caption(
            len(leaders),
            len(others),
            configuration(params[0], common, LONGEST) if common else "",
            log=spans(costs),
        ),
    )


def _caption(n_leaders: int, n_others: int, common: str, *, log: bool) -> str:
    alike = f", all with {common}" if common else ""
    behind = f" Grey: the valid cost of the other {n_others:,}." if n_others else ""
    how = " The axis of the cost is logarithmic." if log else ""
    return (
        f"Solid: cost on the validation rows; dotted: cost on the train rows; the first "
        f"{n_leaders:,} of the leaderboard in colour{alike}.{behind} Each curve is the mean over "
        f"the seeds, as far as all of them go, at up to {MOST_POINTS} of its epochs.{how} "
        f"Click in the legend to hide a candidate, twice to see it alone."
    )


def mean_curve(candidate: Candidate) -> Curve:
    """Costs by epoch, the mean over the runs that have a curve, as far as all of them go."""
    curves = [run.curve for run in candidate.runs if "epoch" in run.curve]
    n = min((len(curve["epoch"]) for curve in curves), default=0)
    if n == 0:
        return {}
    names = [part for part, _ in PARTS if all(part in curve for curve in curves)]
    kept = thinned(n, MOST_POINTS)
    means = {name: np.mean([curve[name][:n][kept] for curve in curves], axis=0) for name in names}
    return {"epoch": curves[0]["epoch"][:n][kept].astype(float), **means} if means else {}


def thinned(n: int, most: int) -> npt.NDArray[np.intp]:
    """Positions of at most ``most`` of ``n`` points: dense where a curve falls, at its start.

    Half of them lie evenly, half evenly by logarithm; the first and the last are among them.
    """
    if n <= most:
        return np.arange(n)
    even = np.linspace(0, n - 1, most - most // 2)
    dense = np.geomspace(1, n - 1, most // 2)
    return np.unique(np.rint(np.concatenate([even, dense])).astype(np.intp))


def _divided(
    leaders: Sequence[Mapping[str, Value]], names: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Names of the parameters in which several leaders all agree, and of the others."""
    agreed = {n for n in names if len(leaders) > 1 and len({repr(p.get(n)) for p in leaders}) == 1}
    common = {name: short for name, short in names.items() if name in agreed}
    return common, {name: short for name, short in names.items() if name not in agreed}


def _name(i: int, params: Mapping[str, Value], names: Mapping[str, str]) -> str:
    head = f"{i + 1}. "
    return head + configuration(params, names, LEGEND - len(head))


def _legend(longest: int) -> Tree:
    """Below the axes, in as many columns of the longest name as the window has room for."""
    below = {"orientation": "h", "y": -0.16, "yanchor": "top", "x": 0, "xanchor": "left"}
    return {**below, "entrywidth": PIXELS * longest, "entrywidthmode": "pixels"}


def _leader(i: int, curve: Curve, name: str, colour: str) -> list[Tree]:
    parts = [(part, dash) for part, dash in PARTS if part in curve]
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": rich(name),
            "legendgroup": str(i),
            "showlegend": shown == 0,
            "x": packed(curve["epoch"]),
            "y": packed(curve[part]),
            "customdata": [i] * len(curve["epoch"]),
            "line": {"color": colour, "width": 2 if dash == "solid" else 1.5, "dash": dash},
            "hovertemplate": "%{text}<br>"
            + f"{part.replace('_', ' ')} %{{y:.4f}} at epoch %{{x}}<extra></extra>",
        }
        for shown, (part, dash) in enumerate(parts)
    ]


def _grey(others: list[tuple[int, Curve]]) -> list[Tree]:
    """One trace for all of them, for a thousand would make the page slow; gaps part the curves."""
    drawn = [(i, curve) for i, curve in others if "valid_cost" in curve]
    if not drawn:
        return []
    most = max(MOST_GREY // len(drawn), 10)
    x: list[Array] = []
    y: list[Array] = []
    who: list[int] = []
    for i, curve in drawn:
        kept = thinned(len(curve["epoch"]), most)
        x += [curve["epoch"][kept], GAP]
        y += [curve["valid_cost"][kept], GAP]
        who += [i] * (len(kept) + 1)
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"the other {len(drawn):,}",
            "legendrank": 2000,  # after all others, which have 1000
            "x": packed(np.concatenate(x)),
            "y": packed(np.concatenate(y)),
            "customdata": who,
            "connectgaps": False,
            "line": {"color": LIGHT, "width": 1},
            "hovertemplate": "%{text}<br>valid cost %{y:.4f} at epoch %{x}<extra></extra>",
        }
    ]
