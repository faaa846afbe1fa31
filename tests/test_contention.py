"""Many writers at once, and a store that somebody holds: no run is lost, and none comes twice."""

import functools
import time
from collections import Counter

import pytest
from disks import held
from stored import rows

from pipeline import paths
from pipeline.record import write
from pipeline.record.contents import contents
from pipeline.tracking import open_store, publish
from pipeline.tracking.publish import publish_to

pytestmark = pytest.mark.slow

WRITERS, EACH = 8, 20


@pytest.fixture(autouse=True)
def _imported(result):
    """What children need, so that they need not import it."""
    import mlflow.store.tracking.sqlalchemy_store
    import mlflow.store.workspace_aware_mixin  # noqa: F401

    contents(result)


def test_eight_writers_of_twenty_runs_lose_none(
    settings, results, project, fork, exit_codes, capsys
):
    """B01: each in a process of its own, all at once, into one SQLite file."""
    open_store_in_a_child(settings, fork, exit_codes)
    start = time.time() + 1

    def publish_twenty(writer: int) -> None:
        store = open_store(settings)
        time.sleep(max(0.0, start - time.time()))
        took = []
        for number in range(EACH):
            record = write(results(identity=f"{writer:016x}{number:016x}"), paths.RUNS)
            begun = time.monotonic()
            publish_to(store, record)
            took.append(time.monotonic() - begun)
        (project / f"took-{writer}").write_text(" ".join(map(str, took)))

    children = [fork(functools.partial(publish_twenty, writer)) for writer in range(WRITERS)]
    assert exit_codes(children) == [0] * WRITERS
    assert Counter(rows("runs", "status")) == {("FINISHED",): WRITERS * EACH}
    assert len(set(rows("tags WHERE key = 'oneuron.identity'", "value"))) == WRITERS * EACH
    points = Counter(rows("metrics WHERE key = 'train/cost'", "run_uuid"))
    assert set(points.values()) == {5}
    took = sorted(float(t) for p in project.glob("took-*") for t in p.read_text().split())
    with capsys.disabled():
        print(
            f"\n{len(took)} publications by {WRITERS} writers: p95 {took[-len(took) // 20]:.2f} s"
        )


def open_store_in_a_child(settings, fork, exit_codes) -> None:
    assert exit_codes([fork(lambda: open_store(settings))]) == [0]


@pytest.mark.parametrize("how", ["reader", "writer"])
def test_who_holds_the_store_for_a_while_is_waited_for(how, settings, result, fork, exit_codes):
    """B02, B03: for 3 s."""
    record = write(result, paths.RUNS, started_ms=1_000_000)
    open_store_in_a_child(settings, fork, exit_codes)
    begun = time.monotonic()
    with held(paths.STORE, how, 3):
        assert exit_codes([fork(lambda: publish(record, settings))]) == [0]
        assert time.monotonic() - begun > 2  # the control: it had to wait
    assert rows("runs", "status") == [("FINISHED",)]
    assert len(rows("metrics WHERE key = 'train/cost'")) == 5
