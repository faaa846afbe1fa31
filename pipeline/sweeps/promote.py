"""The best of a sweep becomes champion, if it passes the gate."""

from __future__ import annotations

from dataclasses import replace

from pipeline.compare.promotion import challenge, promote_best
from pipeline.config.schema import Configuration
from pipeline.errors import OK
from pipeline.sweeps.manifest import find_sweep
from pipeline.sweeps.report import PAGE, compare_sweep, write_page


def promote(word: str, settings: Configuration) -> int:
    """Make the best run of the sweep that ``word`` names the champion, if it passes the gate.

    The page of the sweep says how often its test rows have been used since.

    Raises
    ------
    GateError
        If it does not pass.
    ConfigError, DataError, TrackingError
        If ``word`` names no sweep, or as ``challenge`` raises them.
    """
    sweep = find_sweep(word)
    comparison = compare_sweep(sweep)
    found = challenge(comparison, settings)
    if found is None:
        return OK
    write_page(replace(comparison, test_uses=found.uses), sweep.folder / PAGE)
    origin = {"oneuron.sweep": sweep.id, "oneuron.sweep_name": sweep.name}
    return promote_best(found, settings, origin)
