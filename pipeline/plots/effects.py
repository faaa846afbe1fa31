"""Effects become a forest plot: log-odds with their intervals, and odds ratios."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from pipeline.plots import style
from pipeline.stages.explain import Effect, Effects

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_EFFECTS = 60
PITCH = 0.185  # inches from row to row
ROOM = 0.45  # of a row, above each attribute
SORTED_FROM = 9  # categories; fewer are in the order of the contract, which may be a scale


class Row(NamedTuple):
    """A row of the forest plot: an effect, or the heading of an attribute."""

    text: str
    effect: Effect | None = None
    is_number: bool = False
    place: float = 0.0  # in rows, from the top


def draw(effects: Effects, positive: str, caption: style.Caption) -> Figure:
    """Log-odds of the positive class with 95 % bars below, odds ratios above."""
    shown = sorted(effects.effects, key=lambda e: -abs(e.log_odds))[:MOST_EFFECTS]
    rows = list(_placed(_rows(effects, set(map(id, shown)))))
    left = style.label_width([row.text for row in rows])
    bottom = rows[-1].place + 0.6
    height = PITCH * (bottom + 0.6)
    title = f"Effects: what each input does to the odds of {positive}"
    figure = style.sheet(height + 1.8, title, caption)
    panel = style.axes(figure, left, 0.8, style.WIDTH - left - 0.3, height)
    panel.set_ylim(bottom, -0.6)
    _scale(panel, shown)
    _draw_effects(panel, [row for row in rows if row.effect is not None])
    with_categories = any(row.effect is None for row in rows)
    for row in rows:
        is_attribute = row.effect is None or row.is_number
        style.label_row(panel, row.place, row.text, bold=is_attribute and with_categories)
    _write_notes(figure, rows, len(effects.effects) - len(shown))
    return figure


def _rows(effects: Effects, shown: set[int]) -> Iterator[Row]:
    """The rows from top to bottom: attributes by their importance, each with its inputs."""
    for importance in effects.ranking:
        group = [e for e in effects.effects if e.attribute == importance.attribute]
        visible = [e for e in group if id(e) in shown]
        if len(group) == 1 and visible:
            yield Row(style.label(importance.attribute), visible[0], is_number=True)
        elif visible:
            yield Row(style.label(importance.attribute))
            if len(group) >= SORTED_FROM:
                visible.sort(key=lambda e: -e.log_odds)
            yield from (Row(style.label(e.label), e) for e in visible)


def _placed(rows: Iterator[Row]) -> Iterator[Row]:
    """The rows at their places: a little room between attributes, but none between numbers."""
    place, above = 0.0, None
    for row in rows:
        if above is not None:
            begins = row.effect is None or (row.is_number and not above.is_number)
            place += 1 + ROOM * begins
        above = row
        yield row._replace(place=place)


def _scale(panel: Axes, shown: list[Effect]) -> None:
    """Log-odds below, odds ratios above; bars far beyond every point run out of the panel."""
    widest = max(abs(e.log_odds) for e in shown)
    ends = [abs(end) for e in shown for end in (e.low, e.high) if end is not None]
    limit = 1.06 * max(0.02, widest, min(max(ends, default=0.0), 1.6 * widest))
    panel.set_xlim(-limit, limit)
    panel.locator_params(axis="x", nbins=7, steps=[1, 2, 5, 10])
    panel.set_yticks([])
    panel.spines["left"].set_visible(False)
    panel.axvline(0, color=style.GREY, linewidth=0.8)
    panel.grid(axis="x", color=style.PALE, linewidth=0.6)
    panel.set_axisbelow(True)
    odds = panel.twiny()
    odds.set_xlim(-limit, limit)
    ticks = _odds_ticks(limit)
    odds.set_xticks(list(ticks), list(ticks.values()))
    odds.set_xlabel("odds ratio")
    odds.spines["top"].set_visible(True)
    odds.spines["left"].set_visible(False)


def _odds_ticks(limit: float) -> dict[float, str]:
    """Where the odds ratios stand that are round, at most seven, and how they are written."""
    decades = limit / math.log(10)
    if decades >= 1.5:
        step = math.ceil(decades / 3)
        exponents = range(-int(decades // step) * step, int(decades) + 1, step)
        return {k * math.log(10): style.power_of_ten(k) for k in exponents}
    steps = ((2, 5, 10, 20), (1.5, 2), (1.1, 1.2), (1.01, 1.02))
    above = next([r for r in s if math.log(r) <= limit] for s in steps if math.log(s[0]) <= limit)
    both = [1 / r for r in reversed(above)] + [1.0, *above]
    return {math.log(r): f"{r:.3g}" for r in both}


def _draw_effects(panel: Axes, rows: list[Row]) -> None:
    """Dots with bars: blue where the interval leaves out 0, hollow where there is none."""
    limit = panel.get_xlim()[1]
    for _, effect, _, place in rows:
        if effect is None:
            continue
        colour, face = style.GREY, "white"
        if effect.low is not None and effect.high is not None:
            colour = face = style.BLUE if effect.low > 0 or effect.high < 0 else style.GREY
            ends = [max(effect.low, -limit), min(effect.high, limit)]
            panel.plot(ends, [place, place], color=colour, linewidth=1.4)
            _point_beyond(panel, effect.low, effect.high, place, colour)
        panel.plot([effect.log_odds], [place], "o", color=colour, markerfacecolor=face)


def _point_beyond(panel: Axes, low: float, high: float, place: float, colour: str) -> None:
    """Arrow heads where a bar runs out of the panel."""
    limit = panel.get_xlim()[1]
    for beyond, end, marker in ((low < -limit, -limit, "<"), (high > limit, limit, ">")):
        if beyond:
            panel.plot([end], [place], marker, color=colour, markersize=4, clip_on=False)


def _write_notes(figure: Figure, rows: list[Row], n_left_out: int) -> None:
    """Say what the horizontal axis measures and how the dots are to be read."""
    drawn = [row for row in rows if row.effect is not None]
    only_numbers = all(row.is_number for row in drawn)
    per = "per standard deviation" if only_numbers else "from the mean of the attribute"
    figure.axes[0].set_xlabel(f"effect (log-odds, {per})")
    notes = ["bars: 95 % intervals, blue where they leave out 0"]
    if any(row.effect is not None and row.effect.low is None for row in drawn):
        notes.append("hollow: not bounded by the data")
    if not only_numbers and any(row.is_number for row in drawn):
        notes.append("numbers: per standard deviation")
    if n_left_out:
        notes.append(f"{n_left_out} weaker inputs left out")
    style.footnote(figure, "; ".join(notes))
