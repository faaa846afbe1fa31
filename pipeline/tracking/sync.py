"""A folder of records and a store are made to agree: what lacks there is published or completed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import PipelineError, TrackingError
from pipeline.record import Head, RecordError, heads, published_runs, read
from pipeline.record.head import IDENTITY
from pipeline.text import bounded
from pipeline.tracking.live import is_abandoned
from pipeline.tracking.projection import ATTEMPT, KEY, OWNER
from pipeline.tracking.publication import is_whole
from pipeline.tracking.publish import owner, projection_of, publish_to
from pipeline.tracking.store import Store, asking, deleted, open_store

PAGE = 250  # runs that a search answers at once, within a second or two
AT_ONCE = 8  # requests
DELETED = "deleted"
Tags = Callable[[Head], Mapping[str, str]]


@dataclass
class Synced:
    """What ``sync`` did. ``deleted``: runs that somebody deleted in MLflow, which stay deleted."""

    published: int = 0
    completed: int = 0
    deleted: list[str] = field(default_factory=list)


def sync(folder: Path, settings: TrackingSettings, tags: Tags = lambda _: {}) -> Synced:
    """Publish each record in ``folder`` that the store of ``settings`` lacks, complete the others.

    Each record goes to the experiment that it was meant for, or where its run has been found.
    ``tags`` returns what its run is tagged with beside its own. One that fails does not stop the
    rest. Raise ConfigError or TrackingError if the store cannot be opened, or, after the rest was
    published, if a record failed.
    """
    work = _Sync(folder, settings, tags, open_store(settings, make=False))
    known = heads(folder)
    work.find(known)
    with ThreadPoolExecutor(1 if work.store.address.path else AT_ONCE) as threads:
        whole = list(threads.map(work.stands_whole, known))
    failed = []
    for head, is_whole_there in zip(known, whole, strict=True):
        try:
            if not is_whole_there:
                work.publish(head)
        except PipelineError as error:
            failed.append(f"record {head.identity[:12]} was not published: {error}")
    close_orphans(work.store, folder)
    if failed:
        raise TrackingError(bounded([*failed, f"published beside them: {work.done.published}"]))
    return work.done


def close_orphans(store: Store, folder: Path) -> None:
    """Finish or close what a killed process left RUNNING; runs of a living one are left alone.

    In the store's experiment, or in all where it has none. The process that publishes a record
    holds its lock, and FINISHED is said last. So a RUNNING run whose record is here and free is
    published to its end. What another machine publishes, or another folder of this one, is left:
    whether its process lives is not to be seen from here.
    """
    with asking(store.address):
        client, places = store.client, [store.experiment_id]
        if not store.experiment_id:
            places = [each.experiment_id for each in client.search_experiments()]
        query = f"attributes.status = 'RUNNING' AND tags.`{OWNER}` = '{owner(folder)}'"
        found = client.search_runs(places, query)
        here = {head.attempt: head for head in heads(folder)} if found else {}
        for run in found:
            run_id, attempt = run.info.run_id, run.data.tags.get(ATTEMPT)
            if attempt is None or not _is_unlocked(folder, run):
                continue
            if attempt in here:
                place = replace(store, experiment_id=run.info.experiment_id)
                publish_to(place, read(folder / here[attempt].identity))
            elif client.get_run(run_id).info.status == "RUNNING":
                client.end_run(run_id, "KILLED", run.info.start_time)


@dataclass
class _Sync:
    """The records of one folder, and the runs that they were published as in one store."""

    folder: Path
    settings: TrackingSettings
    tags: Tags
    store: Store  # of no experiment
    opened: dict[str, Store] = field(default_factory=dict)  # by the name of the experiment
    runs: dict[str, Any] = field(default_factory=dict)  # by identity
    experiments: dict[str, Any] = field(default_factory=dict)  # by id
    done: Synced = field(default_factory=Synced)

    def find(self, known: list[Head]) -> None:
        """Find the runs that the records were published as, deleted ones too, in few requests.

        By their ids, so that an experiment may have another name by now.
        """
        from mlflow.entities import ViewType

        address, client, both = self.store.address, self.store.client, ViewType.ALL
        held = {
            h.identity: published_runs(h.identity, self.folder).get(address.shown) for h in known
        }
        ids = {identity: run.run_id for identity, run in held.items() if run is not None}
        names, by_id = list(ids.values()), {}
        with asking(address):
            if ids:
                found = client.search_experiments(both)
                self.experiments = {each.experiment_id: each for each in found}
            for start in range(0, len(names), PAGE):
                some = ", ".join(f"'{name}'" for name in names[start : start + PAGE])
                query = f"attributes.run_id IN ({some})"
                for run in client.search_runs([*self.experiments], query, both, max_results=PAGE):
                    by_id[run.info.run_id] = run
        self.runs = {identity: by_id[id_] for identity, id_ in ids.items() if id_ in by_id}

    def stands_whole(self, head: Head) -> bool:
        """Return whether the run stands there and lacks nothing; it is asked of many at a time."""
        run = self.runs.get(head.identity)
        if run is None or run.info.status != head.status or run.info.lifecycle_stage == DELETED:
            return False
        try:
            wanted = projection_of(read(self.folder / head.identity), self.tags(head))
            with asking(self.store.address):
                return is_whole(self.store, wanted, run)
        except RecordError:
            return True  # it stands, and nothing is left here to compare it with
        except PipelineError:
            return False  # publishing says why

    def publish(self, head: Head) -> None:
        """Publish the record, or complete its run; not one that somebody deleted on purpose."""
        run = self.runs.get(head.identity)
        if run is not None and run.info.lifecycle_stage == DELETED:
            experiment = self.experiments[run.info.experiment_id]
            if experiment.lifecycle_stage == DELETED:
                raise deleted(experiment, self.store.address)
            self.done.deleted.append(run.info.run_id)
            return
        record = read(self.folder / head.identity)
        published = publish_to(self._place(head.experiment, run), record, self.tags(head))
        self.done.published += published.new
        self.done.completed += published.completed

    def _place(self, name: str, run: Any) -> Store:
        """Return the store in the experiment of that name; of a run that stands, where it does."""
        if run is not None:
            return replace(self.store, experiment_id=run.info.experiment_id)
        if name not in self.opened:
            self.opened[name] = open_store(self.settings.model_copy(update={"experiment": name}))
        return self.opened[name]


def _is_unlocked(folder: Path, run: Any) -> bool:
    """Return whether no process here publishes the run: its record is free, or has gone."""
    key = str(run.data.tags.get(KEY, ""))
    identity = key.partition(".")[0]
    if not IDENTITY.fullmatch(identity):
        return is_abandoned(folder, key)  # or no run of a record, whatever its tags say
    path = folder / identity
    if not path.is_dir():
        return True
    lock = files.try_lock(path)
    if lock is None:
        return False
    os.close(lock)
    return True
