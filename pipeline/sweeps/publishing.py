"""Records are published while the next runs are made; a store that fails costs no run."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.config import TrackingSettings
from pipeline.errors import PipelineError
from pipeline.publisher import Publisher
from pipeline.record import RecordError, mark_member, memberships, published_runs, read
from pipeline.redact import redact
from pipeline.tracking import Published, check_address

PAUSE_S = 15.0  # after a failure, before the store is asked again


@dataclass(frozen=True)
class Parcel:
    """A record to be published, and the tags that say which job of which sweep it is."""

    folder: Path
    sweep: str
    tags: dict[str, str]


class Publishing:
    """Publishes what is put into it, in a thread; to be used in a ``with`` statement.

    What fails is kept and tried again later, at the latest once when all is done. ``failed`` then
    says, by folder, what could not be published.
    """

    def __init__(self, settings: TrackingSettings) -> None:
        self._settings = settings
        self._shown = check_address(settings).shown
        self._queue: queue.Queue[Parcel | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._publisher: Publisher | None = None
        self._late: deque[Parcel] = deque()
        self._again_at = 0.0
        self.failed: dict[Path, str] = {}
        self.published: dict[Path, Published] = {}

    def put(self, parcel: Parcel) -> None:
        """Publish the record, if the store does not have it as this member of this sweep."""
        self._queue.put(parcel)

    def flush(self) -> None:
        """Wait until what was put has been tried."""
        self._queue.join()

    def finish(self) -> None:
        """Wait until all has been tried for the last time."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def publisher(self) -> Publisher | None:
        """Who publishes, for one who has more to publish afterwards; None: the store failed."""
        return None if self.failed else self._publisher

    def __enter__(self) -> Self:
        self._publisher = Publisher(self._settings)  # MLflow is imported while others work
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish()
        if self._publisher is not None:
            self._publisher.__exit__(kind, error, trace)

    def _work(self) -> None:
        while (parcel := self._queue.get()) is not None:
            self._late.append(parcel)
            if time.monotonic() >= self._again_at:
                self._try_all()
            self._queue.task_done()
        self._try_all()

    def _try_all(self) -> None:
        """Publish what waits, the first first, until one fails that is no fault of its own."""
        for _ in range(len(self._late)):
            parcel = self._late.popleft()
            try:
                self._publish(parcel)
                self.failed.pop(parcel.folder, None)
            except RecordError as error:  # its own fault
                self.failed[parcel.folder] = str(error)
            except (OSError, ValueError, LookupError) as error:  # or this thread would be missed
                told = f"run must be published; got {type(error).__name__}: {error}"
                self.failed[parcel.folder] = redact(told)
            except PipelineError as error:
                self._late.append(parcel)
                self.failed[parcel.folder] = str(error)
                self._close()
                self._again_at = time.monotonic() + PAUSE_S
                break
        for parcel in self._late:
            self.failed.setdefault(parcel.folder, "the store failed for another run before it")

    def _publish(self, parcel: Parcel) -> None:
        record = read(parcel.folder)
        known = published_runs(record).get(self._shown)
        if known is not None and parcel.sweep in memberships(record, self._shown):
            return
        if self._publisher is None:
            self._publisher = Publisher(self._settings)
        self.published[parcel.folder] = self._publisher.publish(record, parcel.tags)
        with suppress(OSError):  # it costs a tag that is set again
            mark_member(record, self._shown, parcel.sweep)

    def _close(self) -> None:
        """End the publisher: one that was silent would not be asked again."""
        if self._publisher is not None:
            self._publisher.__exit__(None, None, None)
            self._publisher = None
