"""One run from its configuration to what is printed: prepared, learned, recorded, published."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from nn import Epoch
from pipeline import files
from pipeline.cli.output import other_machine, published, say_next
from pipeline.config.schema import Configuration, RunConfig
from pipeline.console.progress import count
from pipeline.errors import INTERNAL, OK, StopRequest
from pipeline.record import Record, start_on_record, write
from pipeline.record.git import source_warning
from pipeline.record.identity import Environment, environment, trace
from pipeline.report.terminal import summarise
from pipeline.report.views import write_views
from pipeline.run import learn, prepare
from pipeline.stages.outcome import Outcome, Refused
from pipeline.stages.read.datasets import write_if_missing
from pipeline.text import say
from pipeline.tracking import Published, Publisher
from pipeline.tracking.live import LiveCurve, Partial


def run_and_track(job: Configuration, words: Sequence[str]) -> int:
    """Make the run, commit its record, say what was found, and publish it; return the exit code."""
    gc.enable()
    stop = StopRequest()
    stop.listen()
    with Publisher(job.tracking) as publisher:
        publish = partial(publisher.publish, draw=True)
        return make_run(job, words, publish, stop, publisher.show)


def make_run(
    job: Configuration,
    words: Sequence[str],
    publish: Callable[[Record], Published],
    stop: StopRequest,
    show: Callable[[Partial], bool] = lambda _: False,
) -> int:
    """Make the run and do with its record what ``publish`` does; return the exit code.

    While it trains for long, ``show`` is handed its curve so far. A table that is
    refused is not published: no run was made of it. ``make sync`` does.
    """
    started_ms = time.time_ns() // 1_000_000
    config = job.run_config()
    if write_if_missing(config.data.path):
        say(f"written: {config.data.path}", error=True)
    default = f"{config.data.name} {config.optimiser.name}"
    live = LiveCurve(words, default, started_ms, show)
    here = environment()
    outcome = _learn(config, stop, live, here)
    record = write(
        outcome, here=here, overrides=words, experiment=job.tracking.experiment,
        started_ms=started_ms,
    )  # fmt: skip
    say(f"{summarise(outcome)}\n")
    say(f"{'Record':10}{files.shown(record.path)}")
    if warning := source_warning(record.head.lineage.git_missing):
        say(warning, error=True)
    code = _verdict(outcome, record)
    if isinstance(outcome.prepared, Refused):
        write_views(record)
        say_next(record)
        return code
    return published(record, job.tracking, publish) or code


def _learn(config: RunConfig, stop: StopRequest, live: LiveCurve, here: Environment) -> Outcome:
    prepared = prepare(config)

    def watch(epoch: Epoch) -> bool:
        count(epoch.number, config.train.epochs, lambda: _losses(epoch))
        live.watch(epoch)
        return stop.signal is not None

    identity = trace(config, prepared.data_digest, here).identity
    outcome = learn(prepared, config, watch, start_on_record(identity))
    return replace(outcome, failure=stop.failure) if outcome.status == "KILLED" else outcome


def _losses(epoch: Epoch) -> str:
    has_valid = epoch.valid_loss == epoch.valid_loss
    valid = f", validation {epoch.valid_loss:.4f}" if has_valid else ""
    return f"train loss {epoch.train_loss:.4f}{valid}"


def _verdict(outcome: Outcome, record: Record) -> int:
    """Say what the run proves about an earlier one, and why it did not finish if it did not."""
    name, repeat = record.identity[:12], record.repeat
    if repeat and repeat.identical:
        say(f"{'':10}bit-identical to run {name}: weights and every point")
    elif repeat and repeat.elsewhere:
        say(other_machine(record, repeat))
    elif repeat and repeat.start:
        say(f"{'':10}equal to run {name}, which stays: {repeat.start}")
    elif repeat:
        message = f"run {name} must give the same bits again; {repeat.difference}"
        say(f"NOT REPRODUCED: {message}", error=True)
        return INTERNAL
    if outcome.status == "FINISHED":
        return OK
    failure = outcome.failure
    kind = ""
    if failure.traceback:
        say(failure.traceback, error=True)
        kind = f"{failure.kind}: "
    say(f"run {outcome.status}: {kind}{failure.message}", error=True)
    return failure.exit_code
