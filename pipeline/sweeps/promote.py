"""The best of a sweep becomes champion, if it passes the gate."""

from __future__ import annotations

from pipeline.compare.promotion import promote_best
from pipeline.config.schema import Configuration
from pipeline.sweeps.manifest import find_sweep
from pipeline.sweeps.report import compare_sweep


def promote(word: str, settings: Configuration) -> int:
    """Make the best run of the sweep that ``word`` names the champion; errors as ``promote_best``.

    Raises
    ------
    ConfigError
        If ``word`` names no sweep.
    """
    sweep = find_sweep(word)
    origin = {"oneuron.sweep": sweep.id, "oneuron.sweep_name": sweep.name}
    return promote_best(compare_sweep(sweep), settings, origin)
