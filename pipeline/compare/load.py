"""Records become the runs of a comparison, wherever they are: a sweep, or a search in MLflow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress

from pipeline.compare.comparison import Run, Value
from pipeline.record import Record, runs_of
from pipeline.text import flatten

PLACES = re.compile(r"data\.(path|valid|test|source(\..*)?)")
FILES = ("curve.csv", "validation_losses.npy")  # of a record, which its run is made of
SEEDS = ("seed", "split.seed", "split.fold")


def run_of(record: Record, overrides: tuple[str, ...] = (), log: str | None = None) -> Run:
    """Return the run that a record holds."""
    head = record.head
    published = [*runs_of(record.path, head).values()]
    held = record.validation_losses
    failure = record.failure
    return Run(
        identity=record.identity,
        status=record.status,
        settings=settings_of(record.config),
        metrics=head.metrics,
        curve=record.curve,
        losses=held.loss if held else None,
        count=held.count if held else None,
        group=held.group if held else None,
        other=held.other if held else None,
        data_digest=head.lineage.data_digest,
        overrides=overrides or head.overrides,
        run_id=published[0].run_id if published else None,
        url=next((run.url for run in published if run.url), None),
        ended=head.ended,
        pruned=failure is not None and failure.is_pruned,
        reason=f"{failure.kind}: {failure.message}" if failure else None,
        log=log,
        certificate=record.certificate,
    )


def unrecorded_run(overrides: tuple[str, ...], reason: str, log: str | None) -> Run:
    """Return a run that left no record, and why."""
    return Run("", "FAILED", {}, {}, {}, overrides=overrides, reason=reason, log=log)


def settings_of(config: Mapping[str, object]) -> dict[str, Value]:
    """Return the configuration by dotted names, without places; a list is its JSON text."""
    pairs = flatten(dict(config))
    return {name: _plain(value) for name, value in pairs if not PLACES.fullmatch(name)}


def known_params(run: Run, varying: Sequence[str]) -> dict[str, Value]:
    """Return the parameters that are known of a run: by its record, or by its overrides alone."""
    given = values_of(run.overrides) | dict(run.settings)
    return {name: given[name] for name in varying if name in given}


def values_of(overrides: Sequence[str]) -> dict[str, Value]:
    """Return what the words of a command line set."""
    words = (word.lstrip("+").partition("=") for word in overrides)
    return {name: _value(text) for name, _, text in words}


def _value(text: str) -> Value:
    """Return what a word means: a number, a word, true, false or null."""
    with suppress(ValueError):
        return _plain(json.loads(text))
    return text


def _plain(value: object) -> Value:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return json.dumps(value, ensure_ascii=False)
