"""Commands that make one run, or make it again."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pipeline.cli.given import Given, resolve_record
from pipeline.console.tty import folded
from pipeline.errors import OK, ConfigError, leave_on_signals
from pipeline.text import redact_tree, say

if TYPE_CHECKING:
    from pipeline.record import Record


TUNED = ("optimiser=newton", "train.l2=cv", "train.rows=train_and_valid")


def run(given: Given) -> int:
    """Run and track one configuration, or with ``cfg`` print it."""
    from pipeline.config.compose import configuration

    job = configuration(given.words)
    if job.search.name != "none":
        raise ConfigError(
            f"search must be none in a single run; got {job.search.name!r}: make search ARGS=…"
        )
    if shown := given.options["cfg"]:
        import yaml

        if shown != "job":
            raise ConfigError(f"--cfg must be job; got {shown!r}")
        say(yaml.safe_dump(redact_tree(job.model_dump()), sort_keys=False))
        return OK
    from pipeline.cli.single import run_and_track

    return run_and_track(job, given.words)


def tune(given: Given) -> int:
    """Run with the penalty that folds choose, on all rows but the test rows."""
    typed = {word.lstrip("+~").partition("=")[0] for word in given.words}
    words = [word for word in TUNED if word.partition("=")[0] not in typed]
    return run(replace(given, words=words + given.words))


def reproduce(given: Given) -> int:
    """Train a run again from its record, and say whether it is the same."""
    from pipeline.record.reproduce import format_reproduction
    from pipeline.record.reproduce import reproduce as train_again

    source = given.options["from"]
    if source not in ("", "source"):
        raise ConfigError(f"FROM must be source, or not be given; got {source!r}")
    leave_on_signals()  # what was checked out is removed first
    changes = {key: v for key, v in given.values.items() if not key.startswith("tracking")}
    with TemporaryDirectory() as folder:
        record = resolve_record(given, Path(folder))
        say(folded(f"{'Run':10}{record.identity[:12]}, {_made(record)}"))
        found = train_again(
            record, changes, from_source=bool(source), trust=given.options["trust"] == "yes"
        )
    say(folded("\n".join(format_reproduction(record, found))))
    if not (found.is_same or source) and any(c.startswith("code:") for c in found.causes):
        say(f"{'Next':10}make reproduce RUN={record.identity[:12]} FROM=source runs its own code")
    return found.exit_code


def _made(record: Record) -> str:
    lineage, config = record.head.lineage, record.config
    day = time.strftime("%Y-%m-%d", time.gmtime(record.head.started_ms / 1000))
    commit = f", no commit: {lineage.git_missing or 'made without git'}"
    if lineage.git_commit:
        commit = f", commit {lineage.git_commit[:8]}"
    changed = " and uncommitted changes" if lineage.git_dirty else ""
    return f"{config['data']['name']}, seed {config['seed']}: made {day}{commit}{changed}"
