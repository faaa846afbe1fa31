"""A stage that is called again on the same inputs is not run again, and on others it is."""

import os

import numpy as np
import pytest

from pipeline import car, paths
from pipeline.compose import configuration
from pipeline.reuse import KEPT, Reuse, plainly
from pipeline.run import run


def test_equal_settings_are_the_same_input_and_other_ones_are_not():
    calls = []

    def stage(settings, number):
        calls.append(number)
        return [number]

    reuse = Reuse()
    train = [configuration([f"train.epochs={epochs}"]).train for epochs in (5, 5, 6)]
    assert reuse(stage, train[0], 1) is reuse(stage, train[1], 1)
    reuse(stage, train[2], 1)
    reuse(stage, train[0], 2)
    assert len(calls) == 3
    assert reuse.reused == {"stage": 1}


def test_other_arguments_that_are_equal_as_numbers_are_told_apart():
    reuse = Reuse()
    assert [reuse(type, value) for value in (1, True, 1.0)] == [int, bool, float]


def test_an_object_is_itself_alone_and_is_held_so_that_none_can_take_its_place():
    reuse = Reuse()
    results = [reuse(id, np.zeros(3)) for _ in range(KEPT)]
    assert len(set(results)) == KEPT


def test_the_least_recently_used_makes_way():
    made = []
    reuse = Reuse()
    for value in [*range(KEPT), 0, KEPT, 0, 1]:
        reuse(made.append, value)
    assert made == [*range(KEPT), KEPT, 1]


@pytest.fixture
def table(project):
    (project / "data").mkdir()
    path = project / "data" / "car.data"
    path.write_bytes(car.content())
    return path


def test_runs_that_share_stages_give_the_bits_of_runs_that_do_not(table):
    reuse = Reuse()
    for words in (["seed=1"], ["seed=2"], ["encode=crosses"], ["seed=1", "split.seed=3"]):
        config = configuration([*words, "train.epochs=20"]).run_config()
        shared, alone = run(config, call=reuse), run(config, call=plainly)
        assert shared.trained.theta.tobytes() == alone.trained.theta.tobytes()
        assert shared.lineage == alone.lineage
        assert shared.evaluation.metrics == alone.evaluation.metrics
    assert reuse.reused["read_rows"] == 3
    assert reuse.reused["split_table"] == 2  # not for split.seed=3
    assert "train" not in reuse.reused


def test_a_file_that_somebody_writes_to_is_read_again(table):
    reuse = Reuse()
    config = configuration(["train.epochs=2", "data.sha256=null"]).run_config()
    first = run(config, call=reuse).lineage.data_digest
    status = table.stat()
    edited = table.read_bytes().replace(b"vhigh,vhigh,2", b"vhigh,vhigh,3", 1)
    assert len(edited) == status.st_size
    table.write_bytes(edited)
    os.utime(table, ns=(status.st_atime_ns, status.st_mtime_ns))  # even with the old time
    assert run(config, call=reuse).lineage.data_digest != first
    assert table.parents[1] == paths.PROJECT
