"""MLflow in a process of its own, which imports it and opens the store while the neuron trains.

The record is on disk when it is published, so a folder's name is all that goes over, and the run's
identity in MLflow is all that comes back. Nothing that trains waits for a tracker, a crash of one
is not a crash of the other, and one that hangs costs ``PATIENCE_S``: of silence, not of work. Each
request that goes on or is done is reported over the pipe.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import PipelineError, TrackingError
from pipeline.record import Record, read
from pipeline.report.views import write_views
from pipeline.text import one_line
from pipeline.tracking.address import check_address, require_name
from pipeline.tracking.live import LiveRun, Partial
from pipeline.tracking.patience import LISTENERS
from pipeline.tracking.projection import Summary
from pipeline.tracking.publication import Published
from pipeline.tracking.publish import kept, publish_summary, publish_to
from pipeline.tracking.quiet import quiet_mlflow
from pipeline.tracking.store import Store, open_store
from pipeline.tracking.sync import close_orphans
from pipeline.tracking.view import link, write_view

PATIENCE_S = 15.0  # for a word of it; a store on this machine is waited for
AGAIN_S = 2.0
SAFE_PATH = "PYTHONSAFEPATH"
AT_ONCE = 8  # runs
SHOWN = ""  # the answer to a curve that was handed over
STARTING_S = 60.0  # for the first one: MLflow's import takes seconds, more where cores are busy


@dataclass(frozen=True)
class PublishRequest:
    """A record to be published, by its folder; ``draw``: with the figures and pages of it."""

    folder: Path
    tags: Mapping[str, str] = field(default_factory=dict)
    draw: bool = False
    experiment: str | None = None  # None: that of the settings


Requests = tuple[PublishRequest | Summary, ...]
Answers = list[Published | str]


class Publisher:
    """Publishes records to one store; to be used in a ``with`` statement."""

    def __init__(self, settings: TrackingSettings) -> None:
        self._settings = settings
        address = check_address(settings)
        require_name(address)
        self._patience = None if address.path else PATIENCE_S
        self._starting = None if address.path else STARTING_S
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, settings))
        with _safe_path():
            self._process.start()
        theirs.close()
        self._ended = ""  # why it is not asked any more
        self._is_showing = False

    def publish(
        self, record: Record, tags: Mapping[str, str] | None = None, *, draw: bool = False
    ) -> Published:
        """Publish ``record`` with these ``tags`` beside its own.

        Raise TrackingError if the store fails, does not answer in time or brings its process down.
        """
        request = PublishRequest(record.path, dict(tags or {}), draw)
        return self._one(request, f"\n{kept(record.path, self._settings)}")

    def publish_all(self, requests: Sequence[PublishRequest]) -> list[Published | TrackingError]:
        """Publish several records, to a server some at a time; return of each what came of it.

        Raise TrackingError if the process does not answer in time or is brought down.
        """
        answers = self._ask(tuple(requests))
        return [TrackingError(each) if isinstance(each, str) else each for each in answers]

    def show(self, partial: Partial) -> bool:
        """Hand over the curve so far; False if the process is busy. It is not waited for.

        Where it cannot be shown, publishing says why.
        """
        try:
            while self._connection.poll():
                self._is_showing &= self._connection.recv() != SHOWN
            if self._is_showing or self._ended:
                return False
            self._connection.send(partial)
        except (OSError, EOFError):
            return False
        self._is_showing = True
        return True

    def summarise(self, summary: Summary) -> Published:
        """Publish the run that holds the summary; errors as ``publish``."""
        return self._one(summary)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # it has answered, or nothing is wanted of it any more
        self._process.join()
        self._connection.close()

    def _one(self, request: PublishRequest | Summary, cure: str = "") -> Published:
        (answer,) = self._ask((request,), cure)
        if isinstance(answer, Published):
            return answer
        raise TrackingError(answer)

    def _ask(self, requests: Requests, cure: str = "") -> Answers:
        if self._ended:
            raise TrackingError(f"MLflow must answer; it did not for an earlier run{cure}")
        try:
            self._connection.send(requests)
            return self._answer()
        except (OSError, EOFError) as error:
            self._process.join(timeout=1)
            code = self._process.exitcode
            silent = isinstance(error, TimeoutError)
            self._ended = str(error) if silent else f"its process ended, exit code {code}"
            raise TrackingError(f"MLflow must answer; got {self._ended}{cure}") from None

    def _answer(self) -> Answers:
        """Return the answer, once it comes; TimeoutError after silence."""
        while self._connection.poll(self._starting or self._patience):
            self._starting = None
            word: Answers | str | None = self._connection.recv()
            if isinstance(word, list):
                return word
        self._process.kill()
        raise TimeoutError(f"silence for {self._patience:.0f} s")


def _serve(connection: Connection, settings: TrackingSettings) -> None:
    """Publish whatever is asked for, until whoever asks has gone."""
    os.setsid()  # Ctrl-C is for the run, which still has to be published
    os.dup2(2, 1)
    alone = threading.Lock()  # of those that publish at the same time

    def send(word: Answers | str | None) -> None:
        with alone:
            connection.send(word)

    with suppress(ImportError), quiet_mlflow():  # opening the store says so
        from mlflow import MlflowClient  # noqa: F401 (it takes seconds, of which no call is heard)
    LISTENERS.append(partial(send, None))
    worker = _Worker(settings)
    with suppress(EOFError, BrokenPipeError):
        with suppress(PipelineError):  # publishing says why
            close_orphans(worker.store(), files.RUNS)  # while the neuron trains
        while True:
            request = connection.recv()
            is_live = isinstance(request, Partial)
            send(worker.show(request) if is_live else worker.answers(request))


class _Worker:
    """Publishes to a store that is opened once, and again after a failure."""

    def __init__(self, settings: TrackingSettings) -> None:
        self._settings = settings
        self._store: Store | None = None
        self._others: dict[str, Store] = {}  # with another experiment
        self._live: LiveRun | None = LiveRun()

    def show(self, partial: Partial) -> str:
        """Show the curve so far; after a failure no more of it."""
        try:
            if self._live is not None:
                self._live.show(self.store(), partial)
        except Exception:  # of MLflow; publishing says why
            self._live = self._store = None
        return SHOWN

    def store(self) -> Store:
        if self._store is None or self._store.address.path:  # a file may be another by now
            self._store = None
            self._store = open_store(self._settings)
        return self._store

    def _store_with(self, experiment: str | None) -> Store:
        store = self.store()
        if experiment in (None, self._settings.experiment):
            return store
        if experiment not in self._others or store.address.path:
            settings = self._settings.model_copy(update={"experiment": experiment})
            self._others[experiment] = open_store(settings)
        return self._others[experiment]

    def answers(self, requests: Requests) -> Answers:
        """Return what came of each request; a server is asked for several at a time."""
        with suppress(PipelineError):  # each says why
            if len(requests) > 1 and self.store().address.path is None:
                with ThreadPoolExecutor(AT_ONCE) as threads:
                    return list(threads.map(self.answer, requests))
        return [self.answer(request) for request in requests]

    def answer(self, request: PublishRequest | Summary) -> Published | str:
        """Return what was published, or why it was not.

        What fails at a server that let us in is tried once more: its database may have restarted.
        """
        try:
            try:
                return self._publish(request)
            except TrackingError:
                if self._store is None or self._store.address.path:
                    raise
                time.sleep(AGAIN_S)
                return self._publish(request)
        except TrackingError as refusal:
            reason = str(refusal)
        except PipelineError as refusal:
            return str(refusal)
        except Exception as error:  # of MLflow
            failed = one_line(f"{type(error).__name__}: {error}")
            reason = f"MLflow must publish the run; got {failed}"
        self._store, self._others = None, {}
        if isinstance(request, PublishRequest):
            reason += f"\n{kept(request.folder, self._settings)}"
        return reason

    def _publish(self, request: PublishRequest | Summary) -> Published:
        if isinstance(request, Summary):
            return self._with_charts(publish_summary(request, self.store()))
        record = read(request.folder)
        if not request.draw:
            return publish_to(self._store_with(request.experiment), record, request.tags)
        write_views(record)
        if self._live is not None:
            self._live.become(self.store(), record)
        return self._with_charts(publish_to(self.store(), record, request.tags))

    def _with_charts(self, published: Published) -> Published:
        """Return it with the page of the experiment; on this machine `make ui` makes its view."""
        store = self.store()
        if store.address.path:
            return published
        charts = link(store.experiment_id, has_view=write_view(store))
        return replace(published, charts=store.page(charts))


@contextmanager
def _safe_path() -> Iterator[None]:
    """Have Python start processes that do not look for modules in the current folder first."""
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        del os.environ[SAFE_PATH]
        if before is not None:
            os.environ[SAFE_PATH] = before
