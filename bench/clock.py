"""Times that can be compared on a busy machine: rivals take turns, and medians are shown."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Times:
    """Seconds of each rival, one value per round."""

    seconds: dict[str, list[float]]

    def median(self, name: str) -> float:
        """Median of a rival, in seconds."""
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, other: str) -> float:
        """Median over the rounds of ``name`` over ``other``: what slows a round slows both."""
        pairs = zip(self.seconds[name], self.seconds[other], strict=True)
        return statistics.median(a / b for a, b in pairs)


def side_by_side(rivals: Mapping[str, Callable[[], object]], rounds: int) -> Times:
    """Seconds of each rival in each of ``rounds``; a round before them warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for round_ in range(rounds + 1):
        for name, rival in rivals.items():
            start = time.perf_counter()
            rival()
            if round_ > 0:
                seconds[name].append(time.perf_counter() - start)
    return Times(seconds)
