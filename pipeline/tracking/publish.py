"""A record becomes a run in MLflow; doing it again, after whatever happened, adds nothing.

A run is searched by its key and made where there is none; what it lacks is logged; its files are
put; then the run is searched again. That one answer is the proof that the store holds what it was
sent, and shows whether somebody else published the same result meanwhile. FINISHED is said last.
Each step may be repeated: the time of a point is the start of the run plus its step, so that the
same point is the same row, and a file is put where it stands already.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import PipelineError, TrackingError
from pipeline.record import Record, mark_published
from pipeline.report.views import written_views
from pipeline.tracking.address import check_address
from pipeline.tracking.artifacts import put, sizes
from pipeline.tracking.names import MAX_TAG, safe_name, safe_value
from pipeline.tracking.projection import CLAIMED, KEY, OWNER, Projection, Summary, project
from pipeline.tracking.run_content import (
    is_complete,
    is_same_attempt,
    lacking,
    log,
    lost,
    require_content,
    require_series,
)
from pipeline.tracking.store import Store, asking, open_store, status_of

STALE_S = 600.0  # after its last claim a RUNNING run is nobody's: no publication takes as long


@dataclass(frozen=True)
class Published:
    """A run in MLflow. ``new`` and ``completed`` say whether it was made, or lacked something."""

    run_id: str
    url: str | None  # of the run's page, where a server stands behind the address
    new: bool
    completed: bool = False


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
        published = _Publication(store, wanted, owner(record.path.parent), record.path).publish()
        mark_published(record, store.address.shown, published.run_id, published.url)
    return published


def publish_summary(summary: Summary, store: Store) -> Published:
    """Publish the run of the summary; published again, it holds the newer figures and page.

    Raise TrackingError if the store fails.
    """
    folder = summary.file.parent
    with asking(store.address):
        publication = _Publication(store, summary.projection(), owner(folder), folder)
        return publication.renew()


def is_whole(store: Store, wanted: Projection, run: Any) -> bool:
    """Return whether the run that stands there lacks nothing of what is ``wanted``."""
    return is_complete(lacking(run, wanted)) and not _missing_files(store, wanted, run)


def projection_of(record: Record, tags: Mapping[str, str] | None = None) -> Projection:
    """Return what the run of the record is given, with its views and further ``tags``."""
    wanted = project(record, written_views(record))
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


def find_runs(store: Store, key: str) -> list[Any]:
    """Return the runs with that key, in the order in which they count."""
    query = f"tags.`{KEY}` = '{key}'"
    return sorted(store.client.search_runs([store.experiment_id], query), key=_rank)


def _rank(run: Any) -> tuple[bool, int, str]:
    """One that has ended counts first, then the one that was claimed first: all agree on it."""
    return run.info.status == "RUNNING", _claimed_ns(run), run.info.run_id


def _claimed_ns(run: Any) -> int:
    text = run.data.tags.get(CLAIMED, "")
    return int(text) if text.isdecimal() else 0


def _is_claimed(run: Any) -> bool:
    """Return whether somebody may be publishing the run right now, by their clock or ours."""
    return abs(time.time_ns() - _claimed_ns(run)) < STALE_S * 1e9


@dataclass(frozen=True)
class _Publication:
    """One projection on its way to a store, for one owner; ``beside`` holds uploads."""

    store: Store
    wanted: Projection
    owner: str
    beside: Path

    def publish(self) -> Published:
        found = self._runs()
        standing = next((run for run in found if run.info.status == self.wanted.status), None)
        if standing is not None:
            completed = not is_whole(self.store, self.wanted, standing)
            if completed:
                self._complete(standing)
            self._drop_redundant(found, standing)
            return self._published(standing, completed=completed)
        rival = next((run for run in found if not self._is_mine(run) and _is_claimed(run)), None)
        if rival is not None:  # who publishes the same result at this moment
            return self._published(rival)
        run = next(filter(self._is_mine, found), None) or self._create()
        return self._fill(run)

    def renew(self) -> Published:
        """Publish what changes: a run that stands already is given the newer content."""
        run = next(iter(self._runs()), None)
        published = self._fill(run or self._create())
        return replace(published, new=run is None)

    def _fill(self, run: Any) -> Published:
        """Give the run its content; end it, unless another counts before it."""
        wanted = self._claim(run)
        # A point that stands there is the same row; which of a series do, no search says.
        at_once = log(self.store, run, replace(lacking(run, wanted), points=wanted.points))
        put(wanted.files, run.info.artifact_uri, self.store.address, self.beside)
        found = self._runs()
        held = self._among(found, run)
        rivals = [
            each for each in found
            if not self._is_mine(each) and (each.info.status != "RUNNING" or _is_claimed(each))
        ]  # fmt: skip
        if rivals and _rank(rivals[0]) < _rank(held):
            self._drop(held)
            return self._published(rivals[0])
        self._require(held, wanted, series=not at_once or bool(run.data.metrics))
        self._end(held)
        if rivals:  # by clocks that differ, it may have been before us and not have seen us
            found = self._runs()
            first = next((each for each in found if each.info.status == self.wanted.status), held)
            if not self._is_mine(first):
                self._drop(held)
                return self._published(first)
        self._drop_redundant(found, held)
        return self._published(held, new=True)

    def _complete(self, run: Any) -> None:
        """Give a run that stands there what it lacks."""
        wanted, store, is_same = self.wanted, self.store, is_same_attempt(run, self.wanted)
        lack = lacking(run, wanted)
        log(store, run, replace(lack, points=wanted.points) if is_same else lack)
        put(_missing_files(store, wanted, run), run.info.artifact_uri, store.address, self.beside)
        self._require(self._among(self._runs(), run), wanted, series=is_same)

    def _require(self, run: Any, wanted: Projection, *, series: bool) -> None:
        """Raise TrackingError unless the run holds all of it: a reply of 200 is no row yet."""
        require_content(self.store, run, wanted)
        if series:
            require_series(self.store, run, wanted)
        for name, content in _missing_files(self.store, wanted, run).items():
            raise lost(self.store, f"another size than {len(content)} bytes of {name}")

    def _among(self, found: list[Any], run: Any) -> Any:
        for each in found:
            if each.info.run_id == run.info.run_id:
                return each
        raise lost(self.store, "no run")

    def _runs(self) -> list[Any]:
        ended = (
            "RUNNING",
            self.wanted.status,
        )  # one closed as KILLED is of an attempt that is gone
        found = find_runs(self.store, self.wanted.key)
        return [run for run in found if run.info.status in ended]

    def _create(self) -> Any:
        wanted = self._claim()
        run = self.store.client.create_run(
            self.store.experiment_id, wanted.started_ms, wanted.tags, wanted.name
        )
        if not run.info.run_id:
            raise lost(self.store, "no run")
        return run

    def _claim(self, run: Any = None) -> Projection:
        """Return the projection with its claim on the run: one that others may have seen stays."""
        claim = str(_claimed_ns(run) if run and _is_claimed(run) else time.time_ns())
        tags = {KEY: self.wanted.key, OWNER: self.owner, CLAIMED: claim}
        return replace(self.wanted, tags=self.wanted.tags | tags)

    def _end(self, run: Any) -> None:
        took = self.wanted.ended_ms - self.wanted.started_ms
        ended_ms = run.info.start_time + took
        info = self.store.client.end_run(run.info.run_id, self.wanted.status, ended_ms)
        if info.status != self.wanted.status:
            raise lost(self.store, f"another status than {self.wanted.status}")

    def _is_mine(self, run: Any) -> bool:
        """Whoever publishes holds the record's lock: no other process here is at the same run."""
        return bool(run.data.tags.get(OWNER) == self.owner)

    def _drop_redundant(self, found: list[Any], kept: Any) -> None:
        """Remove what else has this key: runs of this owner, and of others what they left.

        A run that another owner publishes, or has published, is theirs to remove.
        """
        from mlflow.exceptions import MlflowException

        for run in found:
            left = run.info.status == "RUNNING" and not _is_claimed(run)
            if run.info.run_id != kept.info.run_id and (self._is_mine(run) or left):
                with suppress(MlflowException):  # somebody else does so at this moment
                    self._drop(run)

    def _drop(self, run: Any) -> None:
        """Delete the run; who may not delete takes its key away and closes it."""
        from mlflow.exceptions import MlflowException

        client, run_id = self.store.client, run.info.run_id
        try:
            client.delete_run(run_id)
        except MlflowException as error:
            if status_of(error) != 403:
                raise
            client.set_tag(run_id, KEY, f"{self.wanted.key}.{run_id}")
            client.end_run(run_id, "KILLED", run.info.start_time)

    def _published(self, run: Any, *, new: bool = False, completed: bool = False) -> Published:
        run_id = run.info.run_id
        return Published(run_id, self.store.url(run_id), new, completed)


def _missing_files(store: Store, wanted: Projection, run: Any) -> dict[str, bytes]:
    """Return the files that the run lacks, or of which it holds another number of bytes."""
    same, held = (
        is_same_attempt(run, wanted),
        sizes(wanted.files, run.info.artifact_uri, store.address),
    )
    return {
        name: content
        for name, content in wanted.files.items()
        if (held.get(name) != len(content) if same else not held.get(name))
    }


def _remove_stale(folder: Path) -> None:
    """Remove what killed processes left beside the record's files; its lock is held."""
    for path in folder.glob(".*"):  # no file of a record has such a name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
