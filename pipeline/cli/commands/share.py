"""Commands that hand runs on: as a file, and in MLflow."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline import files
from pipeline.cli.given import Given, resolve_record
from pipeline.cli.output import other_machine, published
from pipeline.errors import OK
from pipeline.text import say


def server(given: Given) -> int:
    """Serve a tracking server for a team until Ctrl-C."""
    from pipeline.tracking.server import ServerSettings, serve

    options = given.options
    return serve(
        ServerSettings(
            given.port(), options["host"], Path(options["folder"]).absolute(),
            tuple(options["origin"].split()), options["certificate"], options["key"],
        )
    )  # fmt: skip


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
    if path is not None and not (files.PROJECT / path).exists() and path not in TABLES:
        digest = record.head.lineage.data_digest[:12]
        say(f"{'Data':10}not in the zip: to reproduce the run, put its table (digest {digest})")
        say(f'{"":10}at {path}, or say where it is: ARGS="data.path=…"')
    return code


def sync(given: Given) -> int:
    """Publish every record that the store or server does not have."""
    from pipeline.sweeps.publishing import tags_of_members
    from pipeline.tracking import check_address
    from pipeline.tracking import sync as publish_missing

    tags = tags_of_members()
    tracking = given.tracking()
    done = publish_missing(files.RUNS, tracking, lambda head: tags.get(head.identity, {}))
    counts = {"published": done.published, "completed": done.completed}
    said = [f"{word}: {n}" for word, n in counts.items() if n]
    others = "every other record" if done.deleted else "every record"
    say(", ".join(said) or f"{others} is published already")
    if done.deleted:
        say(f"deleted in MLflow, and not published again: {', '.join(done.deleted[:3])}")
        store = f"MLFLOW_TRACKING_URI='{check_address(tracking).shown}'"
        say(f"to have one back: {store} .venv/bin/mlflow runs restore --run-id {done.deleted[0]}")
    return OK


def ui(given: Given) -> int:
    """Serve MLflow's page until Ctrl-C."""
    from pipeline.tracking.ui import serve

    return serve(given.port())
