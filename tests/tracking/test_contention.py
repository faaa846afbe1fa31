"""Many writers at once, and a store that somebody holds: no run is lost, and none comes twice."""

import functools
import resource
import signal
import time
from collections import Counter

import pytest
from builders import CONFIG, make_environment, make_finished, make_record, store_rows, store_state
from disks import held

from pipeline import files
from pipeline.errors import TrackingError
from pipeline.record import published_runs, write
from pipeline.record.contents import contents
from pipeline.tracking import open_store, publish
from pipeline.tracking.projection import MAX_POINTS
from pipeline.tracking.publish import publish_to
from pipeline.tracking.quiet import quiet_mlflow
from pipeline.tracking.sqlite import check_store, ensure_store

pytestmark = pytest.mark.exhaustive

WRITERS, EACH = 8, 20


@pytest.fixture(autouse=True)
def _imported():
    """What children need, so that they need not import it."""
    with quiet_mlflow():
        import mlflow.store.tracking.sqlalchemy_store
        import mlflow.store.workspace_aware_mixin  # noqa: F401
    contents(make_finished(), None)


@pytest.mark.exhaustive
def test_eight_writers_of_twenty_runs_lose_none(settings, project, fork, exit_codes, capsys):
    """B01: each in a process of its own, all at once, into one SQLite file."""
    open_store_in_a_child(settings, fork, exit_codes)
    start = time.time() + 1

    def publish_twenty(writer: int) -> None:
        store = open_store(settings)
        time.sleep(max(0.0, start - time.time()))
        took = []
        for number in range(EACH):
            record = make_record(writer * EACH + number)
            begun = time.monotonic()
            publish_to(store, record)
            took.append(time.monotonic() - begun)
        (project / f"took-{writer}").write_text(" ".join(map(str, took)))

    children = [fork(functools.partial(publish_twenty, writer)) for writer in range(WRITERS)]
    assert exit_codes(children) == [0] * WRITERS
    assert Counter(store_rows("runs", "status")) == {("FINISHED",): WRITERS * EACH}
    assert len(set(store_rows("tags WHERE key = 'oneuron.identity'", "value"))) == WRITERS * EACH
    points = Counter(store_rows("metrics WHERE key = 'train/loss'", "run_uuid"))
    assert set(points.values()) == {5}
    took = sorted(float(t) for p in project.glob("took-*") for t in p.read_text().split())
    with capsys.disabled():
        print(
            f"\n{len(took)} publications by {WRITERS} writers: p95 {took[-len(took) // 20]:.2f} s"
        )


def _long_record():
    columns = {f"c{i}": {"kind": "numeric"} for i in range(90)}
    config = {**CONFIG, "data": {**CONFIG["data"], "columns": columns}}
    outcome = make_finished(400, config=config)
    return write(outcome, here=make_environment(), started_ms=1_000_000)


def open_store_in_a_child(settings, fork, exit_codes) -> None:
    assert exit_codes([fork(lambda: open_store(settings))]) == [0]


@pytest.mark.parametrize("how", ["reader", "writer"])
@pytest.mark.exhaustive
def test_who_holds_the_store_for_a_while_is_waited_for(how, settings, fork, exit_codes):
    """B02, B03: for 3 s."""
    record = make_record(started_ms=1_000_000)
    open_store_in_a_child(settings, fork, exit_codes)
    begun = time.monotonic()
    with held(files.STORE, how, 3):
        assert exit_codes([fork(lambda: publish(record, settings))]) == [0]
        assert time.monotonic() - begun > 2  # the control: it had to wait
    assert store_rows("runs", "status") == [("FINISHED",)]
    assert len(store_rows("metrics WHERE key = 'train/loss'")) == 5


@pytest.mark.exhaustive
def test_six_processes_on_a_fresh_folder_make_one_store_twenty_times(project, fork, exit_codes):
    """A01: the one that has the lock makes it, the others find it."""
    for number in range(20):
        folder = project / str(number)
        folder.mkdir()
        start = time.time() + 0.1

        def ensure(folder=folder, start=start) -> None:
            time.sleep(max(0.0, start - time.time()))
            ensure_store(folder / "mlflow.db", folder / "mlartifacts")

        assert exit_codes([fork(ensure) for _ in range(6)]) == [0] * 6
        assert {path.name for path in folder.iterdir()} == {"mlflow.db", ".mlflow.db.lock"}
        check_store(folder / "mlflow.db")


@pytest.mark.parametrize("more", [0, 8192, 100_000])
@pytest.mark.exhaustive
def test_a_store_that_cannot_grow_keeps_the_record_and_is_whole(more, settings, fork, exit_codes):
    """B05: a limit on the size of files stands for the disk; with room the same is exact."""
    record = _long_record()
    open_store_in_a_child(settings, fork, exit_codes)
    limit = files.STORE.stat().st_size + more

    def publish_without_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        with pytest.raises(TrackingError, match=r"the record is kept in runs/\w+") as raised:
            publish(record, settings)
        assert raised.value.exit_code == 5
        assert published_runs(record.identity) == {}

    assert exit_codes([fork(publish_without_room)]) == [0]
    check_store(files.STORE)
    assert {status for (status,) in store_rows("runs", "status")} <= {"RUNNING"}
    assert exit_codes([fork(lambda: publish(record, settings))]) == [0]
    assert store_rows("runs", "status") == [("FINISHED",)]
    assert len(store_rows("metrics WHERE key = 'train/loss'")) == MAX_POINTS


def test_a_clock_that_steps_back_between_two_publications_doubles_nothing(
    settings, fork, exit_codes, monkeypatch
):
    """B08: interrupted with one time, made good with an earlier one."""
    record = make_record(started_ms=5_000_000)

    def at(seconds: float, action) -> int:
        def child() -> None:
            monkeypatch.setattr(time, "time", lambda: seconds)
            monkeypatch.setattr(time, "time_ns", lambda: int(seconds * 1e9))
            action()

        return exit_codes([fork(child)])[0]

    def half() -> None:
        store = open_store(settings)
        publish_to(store, record)
        run_id = published_runs(record.identity)["sqlite:///mlflow.db"].run_id
        store.client.update_run(run_id, status="RUNNING")
        (record.path / "published.json").unlink()

    assert at(9e8, half) == 0
    before = store_state()
    assert at(1e8, lambda: publish(record, settings)) == 0
    after = store_state()
    for table in ("metrics", "latest_metrics", "params", "tags", "artifacts"):
        assert after[table] == before[table]
    assert len(store_rows("runs")) == 1
