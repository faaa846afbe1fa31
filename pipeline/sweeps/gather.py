"""Records become the runs of a comparison, wherever they are: a sweep, or a search in MLflow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import get_args

from pipeline import paths
from pipeline.record import Record, RecordError, published_runs, published_url, read
from pipeline.stages.certify import Verdict
from pipeline.sweeps.comparison import Run, Value
from pipeline.sweeps.manifest import Sweep
from pipeline.tracking import flatten

SEEDS = ("seed", "split.seed")


def runs_of(sweep: Sweep) -> list[Run]:
    """The runs of a sweep, in the order of its jobs; one that left no record has a reason."""
    return [_member(sweep, place) for place in range(len(sweep.members))]


def axes_of(sweep: Sweep) -> dict[str, dict[str, Value]]:
    """For each run the values of the axes of its sweep, seeds left out, by its identity."""
    axes = [axis for axis in sweep.axes if axis not in SEEDS]
    return {
        str(member.identity): {
            axis: value_of(text)
            for axis in axes
            for word in member.overrides
            for key, _, text in [word.lstrip("+").partition("=")]
            if key == axis
        }
        for member in sweep.members
    }


def run_of(record: Record, overrides: tuple[str, ...] = (), log: str | None = None) -> Run:
    """The run that a record tells of."""
    losses = record.valid_losses
    published = next(iter(published_runs(record).items()), (None, None))
    failure = record.failure
    verdict, separated_on = _certified(record)
    return Run(
        identity=record.identity,
        status=record.status,
        settings=settings_of(record.config),
        metrics=record.metrics,
        curve=record.curve,
        losses=losses.get("loss"),
        count=losses.get("count"),
        data_digest=str(record.lineage["data_digest"]),
        overrides=overrides or tuple(record.tree["overrides"]),
        run_id=published[1],
        url=published_url(record),
        ended=record.tree["ended"],
        reason=f"{failure.kind}: {failure.message}" if failure else None,
        log=log,
        verdict=verdict,
        separated_on=separated_on,
    )


def settings_of(config: Mapping[str, object]) -> dict[str, Value]:
    """The configuration by dotted names; a list is its JSON text. The path is no setting."""
    pairs = flatten(dict(config))
    return {name: _plain(value) for name, value in pairs if name != "data.path"}


def value_of(text: str) -> Value:
    """The value that a word of the command line means: a number, a word, true, false or null."""
    with suppress(ValueError):
        value = json.loads(text)
        return _plain(value)
    return text


def known(records: Iterable[Record]) -> list[Run]:
    """The runs of the records."""
    return [run_of(record) for record in records]


def _certified(record: Record) -> tuple[Verdict | None, tuple[str, ...]]:
    """Its verdict and what separates; None of a record from before there were certificates."""
    if "certificate.json" not in record.files:
        return None, ()
    held = record.json("certificate.json")
    if held["verdict"] not in get_args(Verdict):  # of a version to come
        return None, ()
    return held["verdict"], tuple(held["separated_on"])


def _plain(value: object) -> Value:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return json.dumps(value, ensure_ascii=False)


def _member(sweep: Sweep, place: int) -> Run:
    member = sweep.members[place]
    path = sweep.folder / "logs" / member.log
    log = str(path).removeprefix(f"{paths.PROJECT}/") if member.log and path.exists() else None
    try:
        if member.identity is not None:
            return run_of(read(paths.RUNS / member.identity), member.overrides, log)
        reason = member.message
    except RecordError:
        reason = member.message or "it has left no record"
    return Run("", "FAILED", {}, {}, {}, overrides=member.overrides, reason=reason, log=log)
