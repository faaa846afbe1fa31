"""What each input and each attribute does becomes a forest plot and a bar chart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from pipeline.report.figures import style
from pipeline.stages.explain import Effects
from pipeline.stages.infer import Effect

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS = 60  # effects or attributes in a figure
SORTED_FROM = 9  # categories; fewer are in the order of the contract, which may be a scale
LARGEST = 300.0  # log-odds that are written as odds; the exponential of 710 overflows


class Row(NamedTuple):
    """A row of the forest plot: an effect, or the heading of an attribute."""

    text: str
    effect: Effect | None = None
    is_attribute: bool = False


def draw_effects(effects: Effects, positive: str, caption: style.Caption) -> Figure:
    """Return log-odds of the positive class with 95 % bars, and the odds ratios above."""
    strongest = sorted(effects.effects, key=lambda e: -max(map(abs, _places(e)), default=0.0))
    left_out, strongest = len(strongest[MOST_ROWS:]), strongest[:MOST_ROWS]
    rows = list(_rows(effects, {id(effect) for effect in strongest}))
    has_headings = any(row.effect is None for row in rows)
    caption = caption.with_notes(_notes(rows, effects.method, left_out))
    figure = style.sheet(f"Effects on the odds of {positive}", caption, 0.19 * len(rows) + 1.5)
    figure.subplots_adjust(top=1 - 0.85 / figure.get_figheight())  # another axis above
    bold = [row.is_attribute and has_headings for row in rows]
    panel = style.rows(figure, [row.text for row in rows], bold)
    limit = _limit(strongest)
    _draw_bars(panel, rows, limit)
    panel.set(xlim=(-limit, limit), xlabel="effect (log-odds)")
    panel.locator_params(axis="x", nbins=7)
    _add_odds(panel, limit)
    return figure


def draw_importance(effects: Effects, caption: style.Caption) -> Figure:
    """Return how much the loss rises, in nats per row, when each attribute is permuted."""
    shown = effects.ranking[:MOST_ROWS]
    left_out = len(effects.ranking) - len(shown)
    notes = [f"{left_out:,} less important left out"] if left_out else []
    notes += [f"of a sample of {effects.sample:,} rows"] if effects.sample else []
    caption = caption.with_notes(notes)
    title = "Importance: rise of the loss when an attribute is permuted"
    figure = style.sheet(title, caption, 0.24 * len(shown) + 1.1)
    panel = style.rows(figure, [style.label(i.attribute) for i in shown], [False] * len(shown))
    rises = [item.loss_rise for item in shown]
    colours = [style.BLUE if rise > 0 else style.GREY for rise in rises]
    bars = panel.barh(range(len(shown)), rises, height=0.7, color=colours)
    # Three digits of the longest bar, and as many decimals for all.
    longest = max(map(abs, rises)) or 1.0
    decimals = min(6, max(0, 2 - math.floor(math.log10(longest))))
    panel.bar_label(bars, fmt=f"{{:,.{decimals}f}}", padding=3, size=style.SMALL)
    panel.margins(x=0.15)
    panel.locator_params(axis="x", nbins=6)
    panel.set_xlabel("rise of the loss (nats per row)")
    return figure


def _rows(effects: Effects, shown: set[int]) -> Iterator[Row]:
    """Yield the rows from the top: attributes by importance, each with its inputs."""
    for item in effects.ranking:
        group = [e for e in effects.effects if e.attribute == item.attribute]
        visible = [e for e in group if id(e) in shown]
        if len(group) == 1 and visible:
            yield Row(style.label(item.attribute), visible[0], is_attribute=True)
        elif visible:
            yield Row(style.label(item.attribute), is_attribute=True)
            if len(group) >= SORTED_FROM:
                visible.sort(key=lambda e: -max(_places(e), default=0.0))
            yield from (Row(style.label(e.label), e) for e in visible)


def _places(effect: Effect) -> list[float]:
    """Return where an effect has a mark: its estimate, and what the neuron uses."""
    return [value for value in (effect.log_odds, effect.weight) if value is not None]


def _notes(rows: list[Row], method: str, left_out: int) -> Iterator[str]:
    """Yield how the rows are to be read."""
    if any(row.effect and row.effect.log_odds is not None for row in rows):
        yield "dots: estimate, bars: its 95 % interval, blue where it leaves out 0"
    yield "ticks: what the neuron uses"
    yield method
    if any(not row.is_attribute for row in rows):
        yield "categories: against the mean of their attribute"
    if any(row.effect and row.is_attribute for row in rows):
        yield "numbers: per standard deviation"
    if left_out:
        yield f"{left_out:,} weaker inputs left out"


def _limit(shown: list[Effect]) -> float:
    """Return where the axis ends: bars far beyond every point run out of the panel."""
    widest = max((abs(place) for e in shown for place in _places(e)), default=0.0)
    ends = [abs(end) for e in shown for end in (e.low, e.high) if end is not None]
    return 1.06 * max(0.02, widest, min(max(ends, default=0.0), 1.6 * widest))


def _draw_bars(panel: Axes, rows: list[Row], limit: float) -> None:
    """Draw dots with bars, a tick for the neuron, and a note where there is no estimate."""
    for place, (_, effect, _) in enumerate(rows):
        if effect is None:
            continue
        if effect.weight is not None:
            panel.plot([effect.weight], [place], "|", color=style.INK, markersize=9)
        if effect.note:
            panel.text(0.02 * limit, place, effect.note, size=style.SMALL, va="center")
        if effect.low is not None and effect.high is not None:
            _draw_bar(panel, place, effect.low, effect.high, limit)
        if effect.log_odds is not None:
            colour = style.BLUE if _leaves_out_zero(effect) else style.GREY
            face = colour if effect.low is not None else "white"
            panel.plot([effect.log_odds], [place], "o", color=colour, markerfacecolor=face)


def _draw_bar(panel: Axes, place: int, low: float, high: float, limit: float) -> None:
    """Draw an interval, with an arrow head where it runs out of the panel."""
    colour = style.BLUE if low > 0 or high < 0 else style.GREY
    panel.plot([max(low, -limit), min(high, limit)], [place, place], color=colour)
    if low < -limit:
        panel.plot([-limit], [place], "<", color=colour, clip_on=False)
    if high > limit:
        panel.plot([limit], [place], ">", color=colour, clip_on=False)


def _leaves_out_zero(effect: Effect) -> bool:
    return effect.low is not None and effect.high is not None and effect.low * effect.high > 0


def _add_odds(panel: Axes, limit: float) -> None:
    """Add the axis of odds ratios above, with ticks where they are round."""
    odds = panel.twiny()
    odds.grid(visible=False)
    odds.spines[["left", "bottom"]].set_visible(False)
    odds.spines["top"].set_visible(True)
    ticks = _odds_ticks(limit)
    odds.set(xlim=(-limit, limit), xlabel="odds ratio")
    odds.set_xticks([math.log(ratio) for ratio in ticks], [f"{ratio:,g}" for ratio in ticks])


def _odds_ticks(limit: float) -> list[float]:
    """Return round odds ratios whose logarithms lie within the limit."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    if limit > LARGEST:
        return [1.0]
    low, high = math.exp(-limit), math.exp(limit)
    even = MaxNLocator(8, steps=[1, 2, 5, 10])  # of these steps 1 is a multiple
    decades = LogLocator(subs=(1, 2, 5) if limit < 3 else (1,), numticks=7)
    ticks = (even if limit < 1 else decades).tick_values(low, high)
    return [float(ratio) for ratio in ticks if low <= ratio <= high]
