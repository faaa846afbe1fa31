"""Commands that use a run: score, judge, and show it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pipeline import files
from pipeline.cli.given import Given, finished_record, resolve_record
from pipeline.cli.output import write_output
from pipeline.console.tty import folded
from pipeline.errors import OK, WORSE, ConfigError, DataError
from pipeline.text import bounded, canonical, counted, say

if TYPE_CHECKING:
    from pipeline.config.evaluate_settings import ThresholdRule
    from pipeline.record import Record
    from pipeline.stages.predict import Model


def predict(given: Given) -> int:
    """Score the rows of a file with the model of a run."""
    from pipeline.stages.encode import format_unseen
    from pipeline.stages.predict import predict_file

    skip = given.skips()
    record, model = _model(given)
    source, target = Path(given.options["input"]), Path(given.options["output"])
    done = predict_file(model, source, target, skip=skip)
    rows = counted(done.n_rows - done.n_skipped, "row")
    say(f"{rows} scored by run {record.identity[:12]}, {done.n_positive:,} of them positive")
    of_run = f" (the run's is {record.model.threshold})"
    instead = of_run if "evaluate.threshold" in given.values else ""
    say(f"decided at threshold {model.threshold}{instead}")
    say(f"written to {target}")
    for attribute, found in done.unseen.items():
        n = counted(sum(found.values()), "row")
        say(f"warning: {n} with a category of {attribute} that train lacks: {format_unseen(found)}")
    if not done.n_skipped:
        return OK
    skipped = f"{counted(done.n_skipped, 'row')} not scored; column reason says why:"
    say(bounded([skipped, *done.skipped]), error=True)
    return DataError.exit_code


def serve(given: Given) -> int:
    """Serve the model of a run on this machine until Ctrl-C."""
    from pipeline.report.form import form_page
    from pipeline.serving.app import serve_until_stopped
    from pipeline.serving.service import Service

    port, skip, hide_values = given.port(), given.skips(), bool(given.options["hide_values"])
    record, model = _model(given)
    service = Service(model, form_page(record, model), skip=skip, hide_values=hide_values)
    serve_until_stopped(service, port, f"run {record.identity[:12]} of {model.data.name}")
    return OK


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
    say(folded(format_monitored(found)))
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
    say(folded("\n".join(format_scorecard(card, settings, measured))))
    say(f"written to {target}")
    return OK


def sql(given: Given) -> int:
    """Write the query that scores the rows of a table in a database."""
    from pipeline.serving.sql import to_sql

    dialect, table = given.options["dialect"], given.options["table"]
    record, model = _model(given)
    query = to_sql(model, dialect, table)
    target = Path(given.options["output"])
    write_output(target, f"{query};\n".encode())
    say(f"run {record.identity[:12]} at threshold {model.threshold} as {dialect}: {target}")
    return OK


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


def _model(given: Given) -> tuple[Record, Model]:
    """Return the record that RUN means, and its model at the threshold and form that are given."""
    threshold = given.values.get("evaluate.threshold")
    if threshold is not None and not isinstance(threshold, float):
        raise ConfigError(
            f"evaluate.threshold must be a number to predict; got a rule, {_rule(threshold)}: "
            "a rule needs rows whose label is known; train with it (make run), and RUN has it"
        )
    record = finished_record(given)
    model = record.model
    model = replace(model, data=model.data.in_form(given.form()))
    return record, model if threshold is None else replace(model, threshold=threshold)


def _rule(threshold: ThresholdRule) -> str:
    """Return the rule as it is typed."""
    return canonical(threshold.model_dump()).replace('"', "")
