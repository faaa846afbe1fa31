"""The regenerated car table is the published one."""

import hashlib

import pytest

from pipeline.stages.read import car
from pipeline.stages.read.datasets import write_if_missing


def test_the_file_is_the_published_one_byte_by_byte():
    content = car.content()
    assert (len(content), content.count(b"\n")) == (51_867, 1_728)
    assert hashlib.sha256(content).hexdigest() == (
        "b703a9ac69f11e64ce8c223c0a40de4d2e9d769f7fb20be5f8f2e8a619893d83"
    )


def test_the_classes_have_the_published_sizes():
    classes = [row[-1] for row in car.rows()]
    sizes = {name: classes.count(name) for name in set(classes)}
    assert sizes == {"unacc": 1210, "acc": 384, "good": 69, "vgood": 65}


def test_a_changed_decision_model_is_noticed(monkeypatch):
    monkeypatch.setattr(car, "TECH", ("000", "012", "022"))
    with pytest.raises(AssertionError, match="must have sha256"):
        car.content()


def test_cars_that_are_unsafe_or_seat_two_are_never_acceptable():
    for *attributes, verdict in car.rows():
        if attributes[5] == "low" or attributes[3] == "2":
            assert verdict == "unacc"


def test_several_processes_that_find_no_table_leave_the_first_ones_file_alone(project):
    """A file that another process is reading must not be replaced under it."""
    import threading

    written = []
    gate = threading.Barrier(8)

    def start() -> None:
        gate.wait()
        written.append(write_if_missing("data/car.data"))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(written) == [False] * 7 + [True]
    assert [path.name for path in (project / "data").iterdir()] == ["car.data"]
    assert (project / "data" / "car.data").read_bytes() == car.content()


def test_a_table_that_is_there_is_never_written_over(project):
    (project / "data").mkdir()
    (project / "data" / "car.data").write_bytes(b"mine")
    assert not write_if_missing("data/car.data")
    assert (project / "data" / "car.data").read_bytes() == b"mine"
