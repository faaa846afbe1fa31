"""Several publishers of one result agree on one run, and what is left over of others goes."""

import functools
import shutil
import time

import pytest
from builders import make_environment, make_finished, make_record, store_rows, store_state

from pipeline import files
from pipeline.record import Record, published_runs, write
from pipeline.tracking import Synced, close_orphans, open_store, publish, sync
from pipeline.tracking.projection import ATTEMPT, CLAIMED, KEY, OWNER
from pipeline.tracking.publish import publish_to
from pipeline.tracking.quiet import quiet_mlflow

pytestmark = pytest.mark.exhaustive

NOW, LONG_AGO = 0, 3600
OTHER = "another-host 0123456789ab"


@pytest.fixture
def record(project) -> Record:
    return make_record(started_ms=1_000_000)


def rival(settings, record, *, seconds_ago: float, owner: str = OTHER, status: str = "RUNNING"):
    """A run of the same result that somebody else claimed."""
    store = open_store(settings)
    claimed = str(time.time_ns() - int(seconds_ago * 1e9))
    tags = {KEY: record.identity, OWNER: owner, CLAIMED: claimed, ATTEMPT: "0" * 8}
    run = store.client.create_run(store.experiment_id, 5, tags)
    if status != "RUNNING":
        store.client.end_run(run.info.run_id, status, 6)
    return run.info.run_id


def statuses() -> list[tuple[str, str]]:
    return store_rows("runs", "status, lifecycle_stage")


def test_who_finds_another_at_it_leaves_the_run_to_them(settings, record):
    """C16: a living process of another machine is not disturbed, and not waited for."""
    theirs = rival(settings, record, seconds_ago=1)
    published = publish(record, settings)
    assert (published.run_id, published.new) == (theirs, False)
    assert statuses() == [("RUNNING", "active")]


def test_what_another_machine_left_long_ago_gives_way(settings, record):
    """A publication takes seconds: after an hour nobody is at it any more."""
    theirs = rival(settings, record, seconds_ago=LONG_AGO)
    published = publish(record, settings)
    assert published.new
    assert published.run_id != theirs
    assert statuses() == [("FINISHED", "active"), ("RUNNING", "deleted")]


def test_a_finished_run_of_another_clone_is_the_run(settings, record, tmp_path):
    theirs = publish(make_record(0, tmp_path / "runs"), settings)
    ours = publish(record, settings)
    assert (ours.run_id, ours.new, ours.completed) == (theirs.run_id, False, False)
    assert sync(files.RUNS, settings) == Synced()
    assert statuses() == [("FINISHED", "active")]


def test_a_run_that_this_folder_left_beside_the_finished_one_goes(settings, record):
    """J08: the ghost of a request whose reply was lost."""
    finished = publish(record, settings).run_id
    ours = open_store(settings).client.get_run(finished).data.tags[OWNER]
    rival(settings, record, seconds_ago=NOW, owner=ours)
    rival(settings, record, seconds_ago=NOW)  # the control: that of somebody else stays
    publish(record, settings)
    assert statuses() == [("FINISHED", "active"), ("RUNNING", "active"), ("RUNNING", "deleted")]


class Meanwhile:
    """A client that lets somebody else act just before a run is searched for the last time."""

    def __init__(self, client, act):
        self.client, self.act, self.searches = client, act, 0

    def __getattr__(self, name):
        if name == "search_runs":
            self.searches += 1
            if self.searches == 2:
                self.act()
        return getattr(self.client, name)


@pytest.mark.parametrize(
    ("seconds_ago", "status", "wins"),
    [(60, "RUNNING", False), (-60, "RUNNING", True), (-60, "FINISHED", False),
     (LONG_AGO, "RUNNING", True), (60, "FINISHED", False)],
)  # fmt: skip
def test_of_two_at_once_the_finished_one_counts_and_then_the_earlier(
    seconds_ago, status, wins, settings, record
):
    """J06: both know the rule; whoever does not count removes its own run alone."""
    act = functools.partial(rival, settings, record, seconds_ago=seconds_ago, status=status)
    store = open_store(settings)
    object.__setattr__(store, "client", Meanwhile(store.client, act))
    assert publish_to(store, record).new is wins
    counted = [(s, stage) for s, stage in statuses() if s == "FINISHED"]
    assert counted == ([("FINISHED", "active")] if wins or status == "FINISHED" else [])
    ours = store_rows(
        "runs JOIN tags ON runs.run_uuid = tags.run_uuid "
        f"WHERE tags.key = '{OWNER}' AND tags.value != '{OTHER}'", "lifecycle_stage"
    )  # fmt: skip
    assert ours == [("active" if wins else "deleted",)]


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.exhaustive)])
def test_two_clones_that_publish_at_the_same_instant_make_one_run(
    times, settings, tmp_path, fork, exit_codes
):
    """J06: on a file of SQLite."""
    with quiet_mlflow():
        import mlflow.store.tracking.sqlalchemy_store
        import mlflow.store.workspace_aware_mixin  # noqa: F401
    for number in range(times):
        race(settings, tmp_path / str(number), number, fork, exit_codes)
    assert store_rows("runs WHERE lifecycle_stage = 'active'", "status") == [("FINISHED",)] * times


def race(settings, folder, seed, fork, exit_codes) -> None:
    clones = [make_record(seed, folder / clone) for clone in "ab"]
    start = time.time() + 0.3

    def publish_at_once(record) -> None:
        store = open_store(settings)
        time.sleep(max(0.0, start - time.time()))
        run = publish_to(store, record).run_id
        assert store.client.get_run(run).info.lifecycle_stage == "active"

    children = [fork(functools.partial(publish_at_once, record)) for record in clones]
    assert exit_codes(children) == [0, 0]


@pytest.mark.exhaustive
def test_sync_completes_a_run_that_lacks_anything(settings, record):
    """J07: whatever is gone from a run that FINISHED comes back, to the last row and byte."""
    record = write(make_finished(60), here=make_environment(), started_ms=1_000_000)
    run_id = publish(record, settings).run_id
    before = store_state()
    client = open_store(settings).client
    for harm in (
        lambda: behind("DELETE FROM params WHERE key = 'seed'"),
        lambda: behind("DELETE FROM params"),
        lambda: behind("DELETE FROM tags WHERE key LIKE 'oneuron.v%'"),
        lambda: client.set_tag(run_id, "oneuron.seed", "7"),
        lambda: behind("DELETE FROM metrics", "DELETE FROM latest_metrics"),
        lambda: behind("DELETE FROM inputs", "DELETE FROM input_tags"),
        lambda: shutil.rmtree(files.ARTIFACTS),
        lambda: next(files.ARTIFACTS.rglob("record.zip")).write_bytes(b"short"),
        lambda: client.update_run(run_id, status="RUNNING"),
    ):
        harm()
        assert store_state() != before  # the control
        done = sync(files.RUNS, settings)
        assert done.published + done.completed == 1
        assert store_state() == before
        assert sync(files.RUNS, settings) == Synced()


def behind(*statements: str) -> None:
    import contextlib
    import sqlite3

    with contextlib.closing(sqlite3.connect(files.STORE)) as store, store:
        for statement in statements:
            store.execute(statement)


def test_a_run_of_an_experiment_that_was_renamed_is_found(settings, record):
    run_id = publish(record, settings).run_id
    client = open_store(settings).client
    client.rename_experiment("1", "another name")
    behind("DELETE FROM params")
    assert sync(files.RUNS, settings) == Synced(completed=1)
    assert store_rows("runs", "run_uuid") == [(run_id,)]
    assert store_rows("experiments", "name") == [("Default",), ("another name",)]
    assert published_runs(record.identity)["sqlite:///mlflow.db"].run_id == run_id


def test_an_experiment_that_was_deleted_is_named_with_the_command_that_restores_it(
    settings, record
):
    publish(record, settings)
    store = open_store(settings)
    store.client.delete_experiment(store.experiment_id)
    with pytest.raises(Exception, match="experiments restore --experiment-id 1"):
        sync(files.RUNS, settings)
    close_orphans(store, files.RUNS)
    assert statuses() == [("FINISHED", "deleted")]
