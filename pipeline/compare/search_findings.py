"""What a search has found by its own measure, in a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from pipeline.compare.labels import format_number, short_value
from pipeline.compare.trials import Search
from pipeline.text import counted


def search_sentences(search: Search | None, names: Mapping[str, str]) -> Iterator[str]:
    """Yield what the search has found by its own measure, and what that is not."""
    if search is None or search.best is None:
        return
    best, n = search.best, len(search.trials)
    ended = Counter(trial.ended for trial in search.trials)
    others = [f"{ended[how]} {how}" for how in ("pruned", "failed") if ended[how]]
    more = f" ({', '.join(others)})" if others else ""
    at = ", ".join(
        f"{names.get(key, key)}={short_value(value, 40)}" for key, value in best.point.items()
    )
    yield (
        f"Of {counted(n, 'trial')}{more}, trial {best.number} has the lowest validation loss, "
        f"{format_number(best.loss or 0.0)}: {at}. The lowest of many is optimistic; the test rows "
        "are not."
    )
