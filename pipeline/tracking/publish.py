"""A record becomes a run in MLflow; doing it again, after whatever happened, adds nothing."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import PipelineError, TrackingError
from pipeline.record import Record, mark_published
from pipeline.report.views import written_views
from pipeline.tracking.address import check_address
from pipeline.tracking.names import MAX_TAG, safe_name, safe_value
from pipeline.tracking.projection import Projection, Summary, project
from pipeline.tracking.publication import Publication, Published
from pipeline.tracking.store import Store, asking, open_store


def publish(
    record: Record,
    settings: TrackingSettings,
    tags: Mapping[str, str] | None = None,
) -> Published:
    """Publish ``record``, and what was drawn from it, to the store of ``settings``.

    ``tags`` go beside the run's own. Raise ConfigError if no store can be at that address;
    TrackingError, which says how to publish the record later, if the store fails.
    """
    try:
        return publish_to(open_store(settings), record, tags)
    except TrackingError as error:
        raise TrackingError(f"{error}\n{kept(record.path, settings)}") from None


def publish_to(
    store: Store,
    record: Record,
    tags: Mapping[str, str] | None = None,
) -> Published:
    """Publish ``record`` to an open store, as ``publish``."""
    with asking(store.address), files.locked(record.path):
        _remove_stale(record.path)
        wanted = projection_of(record, tags)
        published = Publication(store, wanted, owner(record.path.parent), record.path).publish()
        mark_published(record, store.address.shown, published.run_id, published.url)
    return published


def publish_summary(summary: Summary, store: Store) -> Published:
    """Publish the run of the summary; published again, it holds the newer figures and page.

    Raise TrackingError if the store fails.
    """
    folder = summary.file.parent
    with asking(store.address):
        publication = Publication(store, summary.projection(), owner(folder), folder)
        return publication.renew()


def projection_of(record: Record, tags: Mapping[str, str] | None = None) -> Projection:
    """Return what the run of the record is given, with its views and further ``tags``."""
    wanted = project(record, written_views(record), tags)
    more = {safe_name(name): safe_value(v, MAX_TAG) for name, v in (tags or {}).items()}
    return replace(wanted, tags=wanted.tags | more)


def kept(folder: Path, settings: TrackingSettings) -> str:
    """Return where the record is, and the command that publishes it to the same store."""
    return f"the record is kept in {files.shown(folder)}; publish it with: {sync_command(settings)}"


def sync_command(settings: TrackingSettings) -> str:
    """Return ``make sync`` for that store, as it can be typed: a password is never in it."""
    if not settings.uri:
        return "make sync"
    with suppress(PipelineError):
        shown = check_address(settings).shown
        is_secret = shown != settings.uri.rstrip("/")
        if is_secret and not shown.startswith("http"):
            return "TRACKING_URI=… make sync ARGS='tracking.uri=$${oc.env:TRACKING_URI}'"
        login = "MLFLOW_TRACKING_USERNAME=… MLFLOW_TRACKING_PASSWORD=… " if is_secret else ""
        words = shlex.quote(f"tracking.uri={shown}") if " " in shown else f"tracking.uri={shown}"
        return f'{login}make sync ARGS="{words}"'
    return "make sync"


def owner(folder: Path) -> str:
    """Return who publishes from the folder of records, without saying where it is."""
    place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    return f"{socket.gethostname()} {place}"


def _remove_stale(folder: Path) -> None:
    """Remove what killed processes left beside the record's files; its lock is held."""
    for path in folder.glob(".*"):  # no file of a record has such a name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
