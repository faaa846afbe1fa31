"""What became of a sweep: how its runs ended and compare, as text, a page and a run in MLflow."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline import files
from pipeline.compare.compare import compare
from pipeline.compare.comparison import Comparison, Run, Value
from pipeline.compare.load import FILES, SEEDS, run_of, unrecorded_run, values_of
from pipeline.config.schema import TrackingSettings
from pipeline.errors import OK, ConfigError, TrackingError, disk_error
from pipeline.record import RecordError, read
from pipeline.sweeps.child import RunReport
from pipeline.sweeps.manifest import Member, Sweep, find_sweep
from pipeline.sweeps.publishing import Publishing, axes_tag
from pipeline.sweeps.study import read_search
from pipeline.text import bounded, counted, say
from pipeline.tracking import Publisher, Summary, fetch

PAGE = "comparison.html"
MAX_LINES = 4  # of what is said of a failure


def format_failures(
    sweep: Sweep, reports: Mapping[int, RunReport], publishing: Publishing
) -> list[str]:
    """Return what is to be said of runs that failed, or were not published."""
    every = reports.values()
    failures = [(each, each.failure) for each in every if each.failure and each.failed]
    lines = []
    for report, failure in failures:
        lines.append(f"{report.status} {' '.join(sweep.members[report.number].overrides)}")
        more = f"{failure.kind}: {failure.message}".splitlines()[:MAX_LINES]
        if sweep.log(report.number).exists():
            more.append(f"log {files.shown(sweep.log(report.number))}")
        if published := publishing.published.get(str(report.identity)):
            more.append(f"MLflow {published.url or 'run ' + published.run_id}")
        lines += [f"    {line}" for line in more]
    messages = {failure.message for _, failure in failures}
    if len(failures) == len(sweep.members) > 1 and len(messages) == 1:
        lines.append("every run failed with the same error: look at what they have in common")
    if publishing.failed:
        why = next(iter(publishing.failed.values())).splitlines()[0]
        lines.append(f"{counted(len(publishing.failed), 'run')} not published: {why}")
        lines.append("their records are kept; publish them with: make sync")
    return lines


def compare_sweep(sweep: Sweep) -> Comparison:
    """Return what is known of the runs of the sweep; ConfigError if none of them has finished."""
    runs = [_load_run(sweep, member) for member in sweep.members]
    try:
        search = read_search(sweep.folder)
    except ConfigError as refusal:  # Optuna is missing: the runs compare without it
        say(f"no trial is shown: {refusal}")
        search = None
    return compare(sweep.name, runs, _axes(sweep), search)


def report_sweep(sweep: Sweep, publisher: Publisher | None) -> int:
    """Compare the runs of the sweep, say how and publish it; return 0, or 2 without any."""
    try:
        comparison = compare_sweep(sweep)
    except ConfigError as refusal:
        say(f"nothing to compare: {refusal}")
        return refusal.exit_code
    _show(comparison, sweep.folder / PAGE)
    if publisher is not None:
        _publish(sweep, comparison, publisher)
    return OK


def compare_again(word: str, query: str, tracking: TrackingSettings) -> int:
    """Compare the runs of a sweep, or those that a filter of MLflow finds."""
    if not query:
        sweep = find_sweep(word)
        with Publisher(tracking) as publisher:
            return report_sweep(sweep, publisher)
    with TemporaryDirectory() as folder:
        records, lost = fetch(tracking, query, Path(folder))
        runs = [run_of(record) for record in records]
    if lost:
        say(f"{counted(len(lost), 'run')} left out, neither here nor whole in the store:")
        say(bounded(lost, 1000))
    if not runs:
        raise ConfigError(
            f"FILTER must find runs; got none for {query!r}; settings go by names such as "
            "params.optimiser.name, and their values in quotes"
        )
    name = hashlib.sha256(query.encode()).hexdigest()[:12]
    _show(compare(f"filter {query}", runs), files.SWEEPS / f"filter-{name}" / PAGE)
    return OK


def _load_run(sweep: Sweep, member: Member) -> Run:
    log = sweep.log(member.number)
    shown = files.shown(log) if log.exists() else None
    reason = member.message
    if member.identity is not None:
        try:
            record = read(files.RUNS / member.identity, only=FILES)
            return run_of(record, member.overrides, shown)
        except RecordError:
            reason = reason or "it has left no record"
    return unrecorded_run(member.overrides, reason, shown)


def _axes(sweep: Sweep) -> dict[str, dict[str, Value]]:
    """Return the values of the axes, seeds left out, of each run by its identity."""
    axes = [axis for axis in sweep.axes if axis not in SEEDS]
    found = {}
    for member in sweep.members:
        values = values_of(member.overrides)
        found[str(member.identity)] = {axis: values[axis] for axis in axes if axis in values}
    return found


def _show(comparison: Comparison, target: Path) -> None:
    """Print the comparison and write its page; DiskError if that cannot be written."""
    from pipeline.compare.text_table import text_table

    say(text_table(comparison, shutil.get_terminal_size((100, 24)).columns))
    write_page(comparison, target)
    say(f"{'Page':10}{files.shown(target)}")


def write_page(comparison: Comparison, target: Path) -> None:
    """Write the page of the comparison; DiskError if it cannot be written."""
    from pipeline.compare.page import page

    content = page(comparison).encode()
    try:
        files.make_private(target.parent)
        files.replace(target, content)
    except OSError as error:
        raise disk_error(error, "the page") or error from None


def _publish(sweep: Sweep, comparison: Comparison, publisher: Publisher) -> None:
    metrics = {
        "sweep/finished": float(sum(len(c.runs) for c in comparison.candidates)),
        "sweep/unfinished": float(len(comparison.unfinished)),
    }
    if comparison.board is not None:
        metrics["sweep/tied"] = float(comparison.board.tied.sum())
    tags = {
        "oneuron.kind": "sweep",
        "oneuron.sweep": sweep.id,
        "oneuron.sweep_name": sweep.name,
        **axes_tag(sweep),
        "mlflow.note.content": "\n\n".join(comparison.sentences),
    }
    name, page = f"sweep {sweep.name}", sweep.folder / PAGE
    summary = Summary(f"sweep.{sweep.id}", name, sweep.started_ms, tags, metrics, page)
    try:
        published = publisher.summarise(summary)
    except TrackingError as refusal:
        say(f"the comparison was not published: {refusal}")
    else:
        say(f"{'MLflow':10}{published.url or 'run ' + published.run_id} holds the page as well")
        say(f"{'Next':10}{published.charts or 'make ui'} shows the runs as charts")
