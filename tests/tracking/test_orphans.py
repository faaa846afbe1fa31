"""A run that was left RUNNING is ended by the next start, unless somebody may still publish it."""

import os
import shutil
import signal

import pytest
from builders import make_failed_record, make_record, store_rows, store_state

from pipeline import files
from pipeline.tracking import close_orphans, open_store, publish
from pipeline.tracking.projection import OWNER

pytestmark = pytest.mark.exhaustive


@pytest.fixture
def orphan(settings):
    """A run that its publisher left RUNNING after everything else, and its record."""
    record = make_record()
    run_id = publish(record, settings).run_id
    store = open_store(settings)
    whole = store_state()
    store.client.update_run(run_id, status="RUNNING")
    return store, record, run_id, whole


def status(store, run_id) -> str:
    return store.client.get_run(run_id).info.status


def test_one_whose_record_is_here_is_published_to_its_end(orphan):
    """C15."""
    store, _, run_id, whole = orphan
    assert status(store, run_id) == "RUNNING"
    close_orphans(store, files.RUNS)
    assert store_state() == whole
    assert store_rows("runs", "status") == [("FINISHED",)]


def test_one_whose_record_has_gone_is_closed_as_killed(orphan):
    """C15."""
    store, record, run_id, _ = orphan
    shutil.rmtree(record.path)
    close_orphans(store, files.RUNS)
    assert status(store, run_id) == "KILLED"


def test_one_whose_record_made_way_for_another_attempt_is_closed_as_killed(
    settings,
):
    """C15: the attempt that is on record now is another run."""
    run_id = publish(make_failed_record(), settings).run_id
    store = open_store(settings)
    store.client.update_run(run_id, status="RUNNING")
    make_failed_record()
    close_orphans(store, files.RUNS)
    assert status(store, run_id) == "KILLED"


def test_one_of_a_living_process_is_left_alone_until_that_is_gone(orphan, fork):
    """C16: who publishes a record holds its lock."""
    store, record, run_id, whole = orphan
    ready, tell = os.pipe()

    def live() -> None:
        with files.locked(record.path):
            os.write(tell, b"!")
            signal.pause()

    child = fork(live)
    os.read(ready, 1)
    try:
        close_orphans(store, files.RUNS)
        assert status(store, run_id) == "RUNNING"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    close_orphans(store, files.RUNS)
    assert store_state() == whole


@pytest.mark.parametrize("record_here", [True, False])
@pytest.mark.parametrize("owner", ["another-host 0123456789ab", "of another folder", ""])
def test_one_that_is_published_from_elsewhere_is_left_alone(orphan, owner, record_here):
    """C16: from another machine or folder, or by somebody who does not say from where."""
    store, record, run_id, _ = orphan
    ours = store.client.get_run(run_id).data.tags[OWNER]
    elsewhere = owner.replace("of another folder", f"{ours.partition(' ')[0]} 0123456789ab")
    store.client.set_tag(run_id, OWNER, elsewhere)
    if not record_here:
        shutil.rmtree(record.path)
    close_orphans(store, files.RUNS)
    assert status(store, run_id) == "RUNNING"


def test_a_run_that_is_none_of_ours_is_left_alone(settings):
    """C16: somebody's notebook, in the same experiment."""
    store = open_store(settings)
    run = store.client.create_run(store.experiment_id)
    close_orphans(store, files.RUNS)
    assert status(store, run.info.run_id) == "RUNNING"
