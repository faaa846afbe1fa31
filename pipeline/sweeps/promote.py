"""The best of a sweep becomes champion, if it passes the gate."""

from __future__ import annotations

from dataclasses import replace

from pipeline.compare.promotion import challenge, chosen_run, promote_best
from pipeline.config.schema import Configuration
from pipeline.errors import OK, ConfigError
from pipeline.record import Record
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
    found = challenge(*chosen_run(comparison), settings)
    if found is None:
        return OK
    write_page(replace(comparison, test_uses=found.uses), sweep.folder / PAGE)
    origin = {"oneuron.sweep": sweep.id, "oneuron.sweep_name": sweep.name}
    return promote_best(found, settings, origin)


def promote_run(record: Record, settings: Configuration) -> int:
    """Make this very run the champion, if it passes the gate; errors are those of ``promote``."""
    if record.status != "FINISHED":
        got = f"{record.identity[:12]}, {record.status}"
        raise ConfigError(f"RUN must name a run that is FINISHED; got {got}")
    found = challenge(record, f"run {record.identity[:12]}, named by RUN", settings)
    return OK if found is None else promote_best(found, settings, {})
