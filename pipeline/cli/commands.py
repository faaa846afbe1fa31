"""What each command does, and what it prints; ``table`` lists them."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pipeline import files
from pipeline.cli.given import Given, finished_record, resolve_record
from pipeline.cli.output import other_machine, published, write_output
from pipeline.errors import OK, WORSE, ConfigError, DataError, leave_on_signals
from pipeline.text import bounded, canonical, counted, redact_tree, say

if TYPE_CHECKING:
    from pipeline.config.evaluate_settings import ThresholdRule
    from pipeline.record import Record


TUNED = ("optimiser=newton", "train.l2=cv", "train.rows=train_and_valid")


def run(given: Given) -> int:
    """Run and track one configuration, or with ``cfg`` print it."""
    from pipeline.config.compose import configuration

    job = configuration(given.words)
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


def sweep(given: Given) -> int:
    """Make every run of a grid that is not done yet, or with ``plan`` say which those are."""
    from pipeline.sweeps.sweep import run_sweep, show_plan

    words = given.words or ["experiment=optimisers"]
    return show_plan(words) if given.options["plan"] else run_sweep(words)


def compare(given: Given) -> int:
    """Compare the runs of a sweep, or those that a filter of MLflow finds."""
    from pipeline.sweeps.report import compare_again

    return compare_again(given.options["sweep"], given.options["filter"], given.tracking())


def promote(given: Given) -> int:
    """Make the best run of a sweep, or one run, the champion if it passes the gate."""
    from pipeline.config.compose import configuration
    from pipeline.sweeps.promote import promote as promote_best
    from pipeline.sweeps.promote import promote_run

    if given.options["run"]:
        with TemporaryDirectory() as folder:
            record = resolve_record(given, Path(folder))
            return promote_run(record, configuration(given.words))
    return promote_best(given.options["sweep"], configuration(given.words))


def predict(given: Given) -> int:
    """Score the rows of a file with the model of a run."""
    from pipeline.stages.encode import format_unseen
    from pipeline.stages.predict import predict_file

    threshold, on_bad_row = given.values.get("evaluate.threshold"), given.options["on_bad_row"]
    if on_bad_row not in ("refuse", "skip"):
        raise ConfigError(f"ON_BAD_ROW must be refuse or skip; got {on_bad_row!r}")
    if threshold is not None and not isinstance(threshold, float):
        raise ConfigError(
            f"evaluate.threshold must be a number to predict; got a rule, {_rule(threshold)}: "
            "a rule needs rows whose label is known; train with it (make run), and RUN has it"
        )
    record = finished_record(given)
    model = record.model
    model = replace(model, data=model.data.in_form(given.form()))
    chosen = model if threshold is None else replace(model, threshold=threshold)
    source, target = Path(given.options["input"]), Path(given.options["output"])
    done = predict_file(chosen, source, target, skip=on_bad_row == "skip")
    rows = counted(done.n_rows - done.n_skipped, "row")
    say(f"{rows} scored by run {record.identity[:12]}, {done.n_positive:,} of them positive")
    instead = "" if threshold is None else f" (the run's is {model.threshold})"
    say(f"decided at threshold {chosen.threshold}{instead}")
    say(f"written to {target}")
    for attribute, found in done.unseen.items():
        n = counted(sum(found.values()), "row")
        say(f"warning: {n} with a category of {attribute} that train lacks: {format_unseen(found)}")
    if not done.n_skipped:
        return OK
    skipped = f"{counted(done.n_skipped, 'row')} not scored; column reason says why:"
    say(bounded([skipped, *done.skipped]), error=True)
    return DataError.exit_code


def evaluate(given: Given) -> int:
    """Say how a run does on another labelled file, and whether that is worse than on test."""
    from pipeline.compare.monitor import monitor, to_json
    from pipeline.compare.monitor_report import format_monitored

    output = Path(given.options["output"]) if given.options["output"] else None
    if output and output.suffix != ".json":
        raise ConfigError(f"OUTPUT must end in .json; got {str(output)!r}")
    found = monitor(finished_record(given), Path(given.options["input"]), given.form())
    if output:
        write_output(output, to_json(found))
    say(format_monitored(found))
    return WORSE if found.is_worse else OK


def scorecard(given: Given) -> int:
    """Write the points of a run whose attributes are words and bins."""
    from pipeline.config.compose import configuration
    from pipeline.report.scorecard import format_scorecard, rise, test_rows, to_csv
    from pipeline.report.scorecard import scorecard as card_of

    settings, record = configuration(given.words).scorecard, finished_record(given)
    card, rows = card_of(record.model, settings), test_rows(record)
    measured = None if rows is None else rise(card, record.model, rows)
    target = Path(given.options["output"])
    write_output(target, to_csv(card))
    say("\n".join(format_scorecard(card, settings, measured)))
    say(f"written to {target}")
    return OK


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
        say(f"{'Run':10}{record.identity[:12]}, {_made(record)}")
        found = train_again(
            record, changes, from_source=bool(source), trust=given.options["trust"] == "yes"
        )
    say("\n".join(format_reproduction(record, found)))
    if not (found.is_same or source) and any(c.startswith("code:") for c in found.causes):
        say(f"{'Next':10}make reproduce RUN={record.identity[:12]} FROM=source runs its own code")
    return found.exit_code


def report(given: Given) -> int:
    """Draw the page of a run, beside its record or where it is wanted."""
    from pipeline.report.views import PAGE, views, write_views

    output = given.options["output"]
    with TemporaryDirectory() as folder:
        record = resolve_record(given, Path(folder))
    if output:
        write_output(Path(output), views(record)[PAGE])
    elif record.source:
        got = f"none for run {record.identity[:12]}, which is not here"
        raise ConfigError(f"OUTPUT must be given; got {got}: OUTPUT={PAGE}")
    else:
        write_views(record)
    say(f"{'Page':10}{output or files.shown(record.path / PAGE)}")
    return OK


def export(given: Given) -> int:
    """Write the record of a run to a zip."""
    from pipeline.record.transfer import export_record

    target = Path(given.options["output"])
    with TemporaryDirectory() as folder:
        record = resolve_record(given, Path(folder))
        size = export_record(record, target)
    say(f"run {record.identity[:12]} is in {target}, {size / 1000:,.0f} kB; in another project:")
    say(f"make import INPUT={target.name}")
    return OK


def import_(given: Given) -> int:
    """Take in the record that a zip holds, and publish it where it was meant to be."""
    from pipeline.record.transfer import import_record
    from pipeline.stages.read.datasets import TABLES
    from pipeline.tracking import Publisher

    tracking = given.tracking()
    record, new = import_record(Path(given.options["input"]))
    say(f"{'Record':10}{files.shown(record.path)}{'' if new else ', which was here already'}")
    if record.repeat and record.repeat.elsewhere:
        say(other_machine(record, record.repeat))
    if "tracking.experiment" not in given.values:
        tracking = tracking.model_copy(update={"experiment": record.head.experiment})
    with Publisher(tracking) as publisher:
        code = published(record, tracking, lambda r: publisher.publish(r, draw=True))
    path = record.config["data"]["path"]
    if not (files.PROJECT / path).exists() and path not in TABLES:
        digest = record.head.lineage.data_digest[:12]
        say(f"{'Data':10}not in the zip: to reproduce the run, put its table (digest {digest})")
        say(f'{"":10}at {path}, or say where it is: ARGS="data.path=…"')
    return code


def sync(given: Given) -> int:
    """Publish every record that the store or server does not have."""
    from pipeline.sweeps.publishing import complete_tags
    from pipeline.tracking import sync as publish_missing

    tracking = given.tracking()
    done = publish_missing(files.RUNS, tracking)
    complete_tags(tracking)
    say(f"published: {done}" if done else "every record is published already")
    return OK


def ui(given: Given) -> int:
    """Serve MLflow's page until Ctrl-C."""
    from pipeline.tracking.ui import serve

    port = given.options["port"]
    if not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"--port must be from 0 (any) to 65535; got {port!r}")
    return serve(int(port))


def contract(given: Given) -> int:
    """Draft the contract of a table, which a person then reads and edits."""
    from pipeline.draft import contract_path, draft_contract

    options = given.options
    source = Path(options["input"])
    path = contract_path(options["output"], source)
    draft = draft_contract(source, options["target"], options["positive"], path.stem)
    files.write_new(path, draft.text.encode())
    kinds = ", ".join(f"{n} {kind}" for kind, n in draft.kinds.items())
    say(f"{'Draft':10}{files.shown(path)} of {counted(draft.n_rows, 'row')}: {kinds}")
    for title, lines in (("Unsure", draft.unsure), ("Edit", draft.edits)):
        for line in lines:
            say(f"{title:10}{line}")
    say(f'{"Next":10}read and edit it, then: make run ARGS="data={path.stem}"')
    return OK


def data(given: Given) -> int:
    """Write the tables that come with the project, or remove those that can be written again."""
    from pipeline.stages.read.datasets import TABLES, remove_written, write_if_missing

    if given.options["remove"]:
        for path in remove_written():
            say(f"removed: {path}")
        return OK
    for path in TABLES:
        say(f"{'written' if write_if_missing(path) else 'there already'}: {path}")
    return OK


def _rule(threshold: ThresholdRule) -> str:
    """Return the rule as it is typed."""
    return canonical(threshold.model_dump()).replace('"', "")


def _made(record: Record) -> str:
    lineage, config = record.head.lineage, record.config
    day = time.strftime("%Y-%m-%d", time.gmtime(record.head.started_ms / 1000))
    commit = f", commit {lineage.git_commit[:8]}" if lineage.git_commit else ""
    changed = " and uncommitted changes" if lineage.git_dirty else ""
    return f"{config['data']['name']}, seed {config['seed']}: made {day}{commit}{changed}"
