"""The commands: run and publish, score a file, publish what was missed; what they print."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from nn import Epoch
from pipeline import paths
from pipeline.config import Configuration, TrackingSettings
from pipeline.errors import DEFECT, OK, ConfigError, TrackingError
from pipeline.progress import Progress
from pipeline.publisher import Publisher
from pipeline.record import Record, RecordError, Repeat, find, write
from pipeline.redact import redact
from pipeline.run import Failure, RunResult, run
from pipeline.shipped import TABLES, write_if_missing
from pipeline.signals import StopRequest
from pipeline.stages.train import Watch
from pipeline.summary import summarise
from pipeline.tracking import (
    Published,
    champion_record,
    check_address,
    fetch_run,
    is_champion,
    sync,
)


def run_one(configuration: Configuration, overrides: list[str]) -> int:
    """Run and track one configuration; the exit code of the command."""
    stop = StopRequest()
    stop.listen()
    with Publisher(configuration.tracking) as publisher:
        return run_and_track(configuration, overrides, publisher.publish, stop)


def run_and_track(
    configuration: Configuration,
    overrides: Sequence[str],
    publish: Callable[[Record], Published],
    stop: StopRequest,
) -> int:
    """Run, commit the record, publish it and say what was found; the exit code of the command."""
    started_ms = time.time_ns() // 1_000_000
    config = configuration.run_config()
    if write_if_missing(config.data.path):
        print(f"written: {config.data.path}", file=sys.stderr)
    with Progress(config.train.epochs) as progress:
        result = run(config, _watch(progress, stop))
    if result.status == "KILLED" and stop.signal:
        told = f"ended by {stop.signal.name}; what it had learned is kept"
        result.failure = Failure(stop.signal.name, told, None, stop.exit_code)
    record = write(
        result,
        paths.RUNS,
        extra=_figures(result),
        overrides=overrides,
        experiment=configuration.tracking.experiment,
        started_ms=started_ms,
    )
    print(redact(summarise(result)), end="\n\n")
    print(f"{'Record':10}{_shown(record)}", flush=True)
    code = _verdict(result, record)
    return _published(record, configuration.tracking, publish) or code


def score(
    name: str,
    source: Path,
    target: Path,
    words: Sequence[str] = (),
    threshold: float | None = None,
) -> int:
    """Score the rows of a file with the model of the run that is meant; None: at its threshold."""
    from pipeline.predict import model_of, predict_file

    with TemporaryDirectory() as folder:
        record = _meant(name, words, Path(folder))
        model = model_of(record)
    at = model if threshold is None else replace(model, threshold=threshold)
    done = predict_file(at, source, target)
    rows = "1 row" if done.n_rows == 1 else f"{done.n_rows:,} rows"
    print(f"{rows} scored by run {record.identity[:12]}, {done.n_positive:,} of them positive")
    if threshold is not None:
        print(f"decided at threshold {threshold} (the run's is {model.threshold})")
    print(f"written to {target}")
    for attribute, n in done.unseen.items():
        print(f"warning: {n:,} rows have a category of {attribute} that train did not: zeros")
    return OK


def _meant(name: str, words: Sequence[str], folder: Path) -> Record:
    """The record that ``name`` means: here, or else in MLflow, whose registry knows champions."""
    from pipeline.compose import configuration

    if is_champion(name):
        return champion_record(name, configuration(list(words)).tracking, folder)
    try:
        return find(name, paths.RUNS)
    except (ConfigError, RecordError) as refusal:
        tracking = configuration(list(words)).tracking
        if name != "latest" and not re.fullmatch("[0-9a-fA-F]{4,64}", name):
            raise
        if tracking.uri is None and not paths.STORE.exists():  # nor is one to be made for this
            raise
        found = fetch_run(name.lower(), tracking, folder)
        if found is None:
            raise refusal from None
        return found


def make_again(
    name: str,
    words: Sequence[str],
    changes: Sequence[str] = (),
    *,
    from_source: bool,
    trusted: bool = False,
) -> int:
    """Make the run that is meant again, with ``changes``, and say whether it is the same."""
    from pipeline.reproduction.reproduce import reproduce, told
    from pipeline.reproduction.trust import whose

    for number in (signal.SIGTERM, signal.SIGHUP):  # what was checked out is removed first
        signal.signal(number, _leave)
    with TemporaryDirectory() as folder:
        record = _meant(name, words, Path(folder))
        print(f"{'Run':10}{record.identity[:12]}, {_made(record)}", flush=True)
        if from_source and trusted and (owner := whose(record)):
            print(f"{'Trusted':10}its code was not made here: {owner}", flush=True)
        found = reproduce(record, changes, from_source=from_source, trusted=trusted)
        lines = told(record, found)
    print("\n".join(lines))
    same = found.found is not None and found.found.identical
    if not (same or from_source) and any(cause.startswith("code:") for cause in found.causes):
        print(f"{'Next':10}make reproduce RUN={record.identity[:12]} FROM=source runs its own code")
    return found.exit_code


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


def _made(record: Record) -> str:
    tree, config = record.tree["lineage"], record.config
    day = time.strftime("%Y-%m-%d", time.gmtime(record.started_ms / 1000))
    commit = f", commit {tree['git_commit'][:8]}" if tree["git_commit"] else ""
    changed = " and uncommitted changes" if tree["git_dirty"] else ""
    return f"{config['data']['name']}, seed {config['seed']}: made {day}{commit}{changed}"


def export(name: str, target: Path, words: Sequence[str]) -> int:
    """Write the record of the run that is meant to a zip."""
    from pipeline.reproduction.bundle import export_record

    with TemporaryDirectory() as folder:
        record = _meant(name, words, Path(folder))
        size = export_record(record, target)
    print(f"run {record.identity[:12]} is in {target}, {size / 1000:,.0f} kB; in another project:")
    print(f"make import INPUT={target.name}")
    return OK


def take_in(source: Path, tracking: TrackingSettings, words: Sequence[str] = ()) -> int:
    """Take in the record that a zip holds, and publish it: where it was, if not told otherwise."""
    from pipeline.reproduction.bundle import import_record

    check_address(tracking)
    record, new = import_record(source, paths.RUNS)
    print(f"{'Record':10}{_shown(record)}{'' if new else ', which was here already'}", flush=True)
    if record.repeat and record.repeat.elsewhere:
        print(_other_machine(record, record.repeat))
    if not any(word.startswith("tracking.experiment=") for word in words):
        tracking = tracking.model_copy(update={"experiment": record.tree["experiment"]})
    with Publisher(tracking) as publisher:
        code = _published(record, tracking, publisher.publish)
    data = record.config["data"]
    if not (paths.PROJECT / data["path"]).exists() and data["path"] not in TABLES:
        digest = record.lineage["data_digest"][:12]
        print(f"{'Data':10}not in the zip: to reproduce the run, put its table (digest {digest})")
        print(f'{"":10}at {data["path"]}, or say where it is: ARGS="data.path=…"')
    return code


def publish_missing(tracking: TrackingSettings) -> int:
    """Publish every record that the store or server does not have."""
    check_address(tracking)
    published = sync(paths.RUNS, tracking)
    print(f"published: {len(published)}" if published else "every record is published already")
    return OK


def _watch(progress: Progress, stop: StopRequest) -> Watch:
    def watch(epoch: Epoch) -> bool:
        progress.show(epoch)
        return stop.signal is not None

    return watch


def _figures(result: RunResult) -> dict[str, bytes]:
    from pipeline.plots import figures

    return figures(result)


def _verdict(result: RunResult, record: Record) -> int:
    """Say what the run proves about an earlier one, and why it did not finish if it did not."""
    if record.repeat and record.repeat.identical:
        print(f"{'':10}bit-identical to run {record.identity[:12]}: weights and every point")
    elif record.repeat and record.repeat.elsewhere:
        print(_other_machine(record, record.repeat))
    elif record.repeat:
        print(
            f"NOT REPRODUCED: run {record.identity[:12]} must give the same bits again; "
            f"{record.repeat.difference}",
            file=sys.stderr,
        )
        return DEFECT
    if result.failure is None:
        return OK
    if result.failure.traceback:
        print(redact(result.failure.traceback), file=sys.stderr)
    kind = f"{result.failure.kind}: " if result.failure.traceback else ""
    print(redact(f"run {result.status}: {kind}{result.failure.message}"), file=sys.stderr)
    return result.failure.exit_code


def _other_machine(record: Record, repeat: Repeat) -> str:
    return (
        f"{'':10}other bits than those of run {record.identity[:12]}, which stays; the machine is\n"
        f"{'':10}another: {repeat.elsewhere}\n"
        f"{'':10}make reproduce RUN={record.identity[:12]} says how far they are apart"
    )


def _published(
    record: Record, tracking: TrackingSettings, publish: Callable[[Record], Published]
) -> int:
    """Publish the record; 0, or the exit code of a store that cannot be used."""
    try:
        published = publish(record)
    except TrackingError as refusal:
        print(redact(str(refusal)), file=sys.stderr)
        return refusal.exit_code
    print(f"{'MLflow':10}run {published.run_id} of experiment {tracking.experiment}")
    print(f"{'Next':10}make ui")
    return OK


def _shown(record: Record) -> str:
    path = record.path
    return str(path.relative_to(paths.PROJECT) if path.is_relative_to(paths.PROJECT) else path)
