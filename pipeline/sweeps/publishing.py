"""Records are published while the next runs are made; a store that fails costs no run."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import TrackingError
from pipeline.record import Record, RecordError, mark_member, published_runs, read
from pipeline.sweeps.manifest import Sweep, sweeps
from pipeline.tracking import AT_ONCE, Published, Publisher, PublishRequest, check_address
from pipeline.tracking.projection import AXES

PAUSE_S = 15.0  # after a failure, before the store is asked again
MAX_FAILURES = 2  # then it is the store that fails, and not one run


@dataclass(frozen=True)
class _Member:
    """A run on its way, as the job of a sweep."""

    identity: str
    sweep: Sweep
    number: int

    @property
    def tags(self) -> dict[str, str]:
        return sweep_tags(self.sweep, self.number)


class Publishing:
    """Publishes the runs of a sweep one after the other; to be used in a ``with`` statement.

    What fails is tried again later, at the latest once in ``finish``. ``failed`` says by identity
    why the rest was not published, ``published`` what they are in MLflow.
    """

    def __init__(
        self, settings: TrackingSettings, experiments: Mapping[int, str] | None = None
    ) -> None:
        self._settings = settings
        self._experiments = experiments or {}  # of runs by number, where they have several
        self._address = check_address(settings).shown
        self._publisher = Publisher(settings)  # imports MLflow while others work
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._waiting: deque[_Member] = deque()
        self._failures = 0  # one after the other
        self._again_at = 0.0
        self.failed: dict[str, str] = {}
        self.published: dict[str, Published] = {}

    def put(self, identity: str, sweep: Sweep, number: int) -> None:
        """Publish the record as that member of the sweep, if the store does not have it so."""
        self._waiting.append(_Member(identity, sweep, number))
        self._thread.submit(self._publish_waiting)

    def flush(self) -> None:
        """Wait until what was put has been tried."""
        self._thread.submit(self._publish_waiting).result()

    def finish(self) -> Publisher | None:
        """Try what is left for the last time; return who publishes, None if the store failed."""
        self._thread.submit(self._publish_waiting, wait=False).result()
        for member in self._waiting:
            self.failed.setdefault(member.identity, "the store failed for another run before it")
        return None if self.failed else self._publisher

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._publisher.__exit__()

    def _publish_waiting(self, *, wait: bool = True) -> None:
        if self._failures >= MAX_FAILURES:
            if wait and time.monotonic() < self._again_at:
                return
            self._publisher.__exit__()  # one that was silent would not be asked again
            self._publisher = Publisher(self._settings)
            self._failures = 0
        left = len(self._waiting)
        while left > 0 and self._failures < MAX_FAILURES:
            n = min(left, AT_ONCE if self.published and not self._failures else 1)
            self._try([self._waiting.popleft() for _ in range(n)])
            left -= n
        if self._failures >= MAX_FAILURES:
            self._again_at = time.monotonic() + PAUSE_S

    def _try(self, some: list[_Member]) -> None:
        """Publish several at once; one after the other they would wait for the same server."""
        records: dict[_Member, Record] = {}
        for member in some:
            try:
                if not _is_member(member.identity, self._address, member.sweep):
                    records[member] = read(files.RUNS / member.identity)
            except RecordError as error:  # its own fault, and it will not get better
                self.failed[member.identity] = str(error)
        try:
            requests = [
                PublishRequest(r.path, m.tags, experiment=self._experiments.get(m.number))
                for m, r in records.items()
            ]
            found = self._publisher.publish_all(requests) if requests else []
        except Exception as error:  # nobody looks at what a thread raises
            found = [TrackingError(str(error) or type(error).__name__)] * len(records)
        for (member, record), published in zip(records.items(), found, strict=True):
            self._note(member, record, published)

    def _note(self, member: _Member, record: Record, published: Published | TrackingError) -> None:
        if isinstance(published, TrackingError):
            self.failed[member.identity] = str(published)
            self._waiting.append(member)
            self._failures += 1
            return
        self.failed.pop(member.identity, None)
        self.published[member.identity] = published
        self._failures = 0
        with suppress(OSError):  # it costs a tag that is set again
            mark_member(record, self._address, member.sweep.id)


def sweep_tags(sweep: Sweep, number: int) -> dict[str, str]:
    """Return the tags of a run in MLflow that say which job of which sweep it is."""
    return axes_tag(sweep) | {
        "oneuron.sweep": sweep.id,
        "oneuron.sweep_name": sweep.name,
        "oneuron.job": str(number),
        f"oneuron.sweep.{sweep.id}": str(number),  # a run may be in several sweeps
    }


def tags_of_members() -> dict[str, dict[str, str]]:
    """Return the tags of every run that is in a sweep, by its identity."""
    tags: dict[str, dict[str, str]] = {}
    for sweep in sweeps():
        for member in sweep.members:
            tags.setdefault(member.identity or "", {}).update(sweep_tags(sweep, member.number))
    return tags


def _is_member(identity: str, address: str, sweep: Sweep) -> bool:
    run = published_runs(identity).get(address)
    return run is not None and sweep.id in run.sweeps


def axes_tag(sweep: Sweep) -> dict[str, str]:
    """Return the tag of the settings that have several values in the sweep, if any has."""
    return {AXES: " ".join(sweep.axes)} if sweep.axes else {}
