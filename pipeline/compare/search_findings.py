"""What a search has found by its own measure, and where its space should be wider, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pipeline.compare.comparison import Comparison, Value, is_number
from pipeline.compare.labels import format_number, short_value
from pipeline.compare.trials import Ended
from pipeline.text import counted

EDGE = 0.05  # of a scale: its end
ENDS: dict[Ended, str] = {"pruned": "pruned, by a heuristic", "failed": "failed"}


def search_sentences(comparison: Comparison) -> Iterator[str]:
    """Yield which trial is the best, and that the lowest loss of many is optimistic."""
    search = comparison.search
    if search is None or search.best is None:
        return
    best, ended = search.best, Counter(trial.ended for trial in search.trials)
    others = [f"{ended[how]} {words}" for how, words in ENDS.items() if ended[how]]
    more = f" ({'; '.join(others)})" if others else ""
    yield (
        f"Of {counted(len(search.trials), 'trial')}{more} number {best.number} has the lowest mean "
        f"validation loss, {format_number(best.loss or 0.0)}: the lowest of many, and so "
        "optimistic; figures on the test rows are not."
    )


def edge_sentences(
    comparison: Comparison, leading: Sequence[Mapping[str, Value]], names: Mapping[str, str]
) -> Iterator[str]:
    """Yield the numbers whose best value, and most of those tied with it, are at an end."""
    for name, scale in comparison.search.scales.items() if comparison.search else ():
        places = [scale.place(value) for point in leading if is_number(value := point.get(name))]
        if not places or name not in names:
            continue
        ends = [round(place) for place in places if not EDGE <= place <= 1 - EDGE]
        end = round(places[0])
        if not EDGE <= places[0] <= 1 - EDGE and 2 * ends.count(end) > len(places):
            best = f"The best {names[name]}, {short_value(leading[0].get(name))}"
            limit = short_value(scale.high if end else scale.low)
            yield f"{best}, is at the end of its scale, {limit}: widen it."
