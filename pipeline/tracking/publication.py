"""One projection on its way to a store, and whoever publishes the same result at that moment.

A run is searched by its key and made where there is none; what it lacks is logged; its files are
put; then the run is searched again. That one answer is the proof that the store holds what it was
sent, and shows who else is at it. Of several the one counts that has ended, or else that was
claimed first: all agree on that, and each removes its own run if another counts. FINISHED is said
last. Each step may be repeated: the time of a point is the start of the run plus its step, so that
the same point is the same row, and a file is put where it stands already.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.tracking.artifacts import put, sizes
from pipeline.tracking.model_files import FOLDER
from pipeline.tracking.projection import ARCHIVE, CLAIMED, KEY, OWNER, Projection
from pipeline.tracking.run_content import (
    is_complete,
    is_same_attempt,
    lacking,
    log,
    lost,
    require_content,
    require_series,
)
from pipeline.tracking.store import Store, status_of

STALE_S = 600.0  # after its last claim a RUNNING run is nobody's: no publication takes as long


@dataclass(frozen=True)
class Published:
    """A run in MLflow. ``new`` and ``completed`` say whether it was made, or lacked something."""

    run_id: str
    url: str | None  # of the run's page, where a server stands behind the address
    new: bool
    completed: bool = False
    charts: str | None = None  # the page of the experiment, where a server stands behind it


def is_whole(store: Store, wanted: Projection, run: Any) -> bool:
    """Return whether the run that stands there lacks nothing of what is ``wanted``."""
    return is_complete(lacking(run, wanted)) and not _missing_files(store, wanted, run)


@dataclass(frozen=True)
class Publication:
    """One projection on its way to a store, for one owner; ``beside`` holds uploads."""

    store: Store
    wanted: Projection
    owner: str
    beside: Path

    def publish(self) -> Published:
        """Publish what stays as it is: a run that stands already is completed."""
        found = self._runs()
        existing = next((run for run in found if run.info.status == self.wanted.status), None)
        if existing is not None:
            completed = not is_whole(self.store, self.wanted, existing)
            if completed:
                self._complete(existing)
            self._drop_redundant(found, existing)
            return self._published(existing, completed=completed)
        rival = next((run for run in found if not self._is_mine(run) and _is_claimed(run)), None)
        if rival is not None:  # who publishes the same result at this moment
            return self._published(rival)
        left = (run for run in found if self._is_mine(run) and is_same_attempt(run, self.wanted))
        return self._fill(next(left, None) or self._create())

    def renew(self) -> Published:
        """Publish what changes: a run that stands already is given the newer content."""
        run = next(iter(self._runs()), None)
        published = self._after(run)._fill(run or self._create())
        return replace(published, new=run is None)

    def _after(self, run: Any) -> Publication:
        """Return it with steps, which are seconds, from the start of a run that stands already."""
        wanted = self.wanted
        later = (wanted.started_ms - run.info.start_time) // 1000 if run else 0
        points = tuple(point._replace(step=point.step + max(later, 0)) for point in wanted.points)
        return replace(self, wanted=replace(wanted, points=points))

    def _fill(self, run: Any) -> Published:
        """Give the run its content; end it, unless another counts before it."""
        wanted = self._claim(run)
        # A point that stands there is the same row; which of a series do, no search says.
        lack = lacking(run, wanted, by_value=True)
        at_once = log(self.store, run, replace(lack, points=wanted.points))
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
        """Return the runs that count; one closed as KILLED is of a record that is gone."""
        counted = ("RUNNING", self.wanted.status)
        found = find_runs(self.store, self.wanted.key)
        return [run for run in found if run.info.status in counted]

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


def find_runs(store: Store, key: str) -> list[Any]:
    """Return the runs with that key, in the order in which they count."""
    query = f"tags.`{KEY}` = '{key}'"
    return sorted(store.client.search_runs([store.experiment_id], query), key=_rank)


def _rank(run: Any) -> tuple[bool, int, str]:
    """One that has ended counts first, then the one that was claimed first: all agree on it."""
    return run.info.status == "RUNNING", _claimed_ns(run), run.info.run_id


def _claimed_ns(run: Any) -> int:
    text = run.data.tags.get(CLAIMED, "")
    return int(text) if text.isdecimal() and len(text) < 20 else 0


def _is_claimed(run: Any) -> bool:
    """Return whether somebody may be publishing the run now, if the clocks agree to that time."""
    return abs(time.time_ns() - _claimed_ns(run)) < STALE_S * 1e9


def _missing_files(store: Store, wanted: Projection, run: Any) -> dict[str, bytes]:
    """Return the files that the run lacks, or of which it holds another number of bytes.

    The code of the model of a run that has ended may be that of another version of this package.
    """
    ended = run.info.status == wanted.status

    def exact(name: str) -> bool:
        return not (ended and name.startswith(f"{FOLDER}/")) or name.endswith(ARCHIVE)

    same = is_same_attempt(run, wanted)
    held = sizes(wanted.files, run.info.artifact_uri, store.address)
    return {
        name: content
        for name, content in wanted.files.items()
        if (held.get(name) != len(content) if same and exact(name) else not held.get(name))
    }
