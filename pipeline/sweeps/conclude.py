"""A comparison is told: on the terminal, as a page, and as a run of its own in MLflow."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline import disk, paths
from pipeline.compose import configuration
from pipeline.errors import OK, ConfigError, TrackingError, bounded, disk_error
from pipeline.publisher import Publisher
from pipeline.redact import redact
from pipeline.sweeps.compare import compare
from pipeline.sweeps.comparison import Comparison
from pipeline.sweeps.gather import axes_of, known, runs_of
from pipeline.sweeps.labels import counted
from pipeline.sweeps.manifest import Sweep, find_sweep
from pipeline.tracking import Summary, check_address, fetch

PAGE = "comparison.html"


def conclude(sweep: Sweep, publisher: Publisher | None) -> Comparison | None:
    """Compare the runs of the sweep and tell it; None where there is nothing to compare."""
    try:
        comparison = compare(sweep.name, runs_of(sweep), axes_of(sweep))
    except ConfigError as refusal:
        print(f"nothing to compare: {refusal}")
        return None
    tell(comparison, sweep.folder / PAGE)
    if publisher is not None:
        _publish(sweep, comparison, publisher)
    return comparison


def compare_again(word: str, query: str, words: Sequence[str]) -> int:
    """Compare the runs of a sweep, or those that a filter of MLflow finds."""
    tracking = configuration(list(words)).tracking
    if not query:
        sweep = find_sweep(word)
        with Publisher(tracking) as publisher:
            comparison = conclude(sweep, publisher)
        return OK if comparison is not None else ConfigError.exit_code
    check_address(tracking)
    with TemporaryDirectory() as folder:
        records, lost = fetch(tracking, query, Path(folder))
        runs = known(records)
    if lost:
        print(f"{counted(len(lost), 'run')} left out, neither here nor whole in the store:")
        print(redact(bounded(lost, 1000)))
    if not runs:
        raise ConfigError(
            f"FILTER must find runs; got none for {query!r}; settings go by names such as "
            "params.optimiser.name, and their values in quotes"
        )
    comparison = compare(f"filter {query}", runs)
    name = hashlib.sha256(query.encode()).hexdigest()[:12]
    tell(comparison, paths.SWEEPS / f"filter-{name}" / PAGE)
    return OK


def tell(comparison: Comparison, target: Path) -> None:
    """Print the comparison and write its page.

    Raises
    ------
    DiskError
        If the page cannot be written.
    """
    from pipeline.sweeps.page import page
    from pipeline.sweeps.table import table

    print(redact(table(comparison, shutil.get_terminal_size((100, 24)).columns)), flush=True)
    content = page(comparison).encode()
    try:
        disk.make_private(target.parent)
        disk.replace(target, content)
    except OSError as error:
        raise disk_error(error, "the page") or error from None
    shown = str(target).removeprefix(f"{paths.PROJECT}/")
    print(f"{'Page':10}{shown}")


def _publish(sweep: Sweep, comparison: Comparison, publisher: Publisher) -> None:
    finished = sum(len(candidate.runs) for candidate in comparison.candidates)
    metrics = {
        "sweep/finished": float(finished),
        "sweep/unfinished": float(len(comparison.unfinished)),
    }
    if comparison.board is not None:
        metrics["sweep/tied"] = float(comparison.board.tied.sum())
    summary = Summary(
        key=f"sweep.{sweep.id}",
        name=f"sweep {sweep.name}",
        started_ms=sweep.started_ms,
        tags={
            "oneuron.kind": "sweep",
            "oneuron.sweep": sweep.id,
            "oneuron.sweep_name": sweep.name,
            "mlflow.note.content": "\n\n".join(comparison.sentences),
        },
        metrics=metrics,
        file=str(sweep.folder / PAGE),
    )
    try:
        published = publisher.summarise(summary)
    except TrackingError as refusal:
        print(redact(f"the comparison was not published: {refusal}"))
        return
    print(f"{'MLflow':10}{published.url or 'run ' + published.run_id} holds the page as well")
