"""Blocks on the workers of an engine: the bits of this machine's threads, whatever fails."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from operator import add, mul, truediv
from pathlib import Path
from threading import Timer

import numpy as np
import pytest
from blocks_tables import config_of, finished, make_rows, write_parquet
from servers import free_port, sail_server

from nn import examine
from pipeline.config.schema import RunConfig
from pipeline.config.source_settings import SourceSettings
from pipeline.errors import DataError, EngineError
from pipeline.run import prepare
from pipeline.stages.blocks.open import read_table
from pipeline.stages.read import workers
from pipeline.stages.read.workers import Workers


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with sail_server() as (address, _):
        yield address


def workers_at(address: str) -> Workers:
    return Workers(SourceSettings(engine="sail", connect=address, path="t.parquet"))


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> str:
    return write_parquet(tmp_path_factory.mktemp("t") / "t.parquet", make_rows(3000), 500)


def config_at(path: str, **source: str) -> RunConfig:
    config = config_of(path)
    there = SourceSettings.parse({"path": path, **source})
    data = config.data.model_copy(update={"path": None, "source": there})
    return config.model_copy(update={"data": data})


def test_passes_on_workers_have_the_bits_of_threads(address, path):
    """The first, which learns what the table holds, and one of training."""
    config = config_at(path, engine="sail", connect=address)
    there, here = read_table(config.data), read_table(config_of(path).data)
    assert isinstance(there.runner, Workers)
    assert there.digest == here.digest
    assert there.survey.sample.frame.equals(here.survey.sample.frame)
    train = prepare(config, here).train
    theta = np.linspace(-1, 1, train.d + 1)
    found = [
        examine(theta, replace(train, rows=replace(here, runner=runner)), 0.1, curvature=True)
        for runner in (there.runner, here.runner, one_after_the_other)
    ]
    bits = [[np.asarray(each).tobytes() for each in sums] for sums in found]
    assert bits[0] == bits[1] == bits[2]


def one_after_the_other(function, groups):
    return map(function, groups)


@pytest.mark.exhaustive
@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_run_has_the_same_bits_on_any_number_of_workers(path, n):
    settings = {
        "SAIL_MODE": "local-cluster", "SAIL_CLUSTER__WORKER_INITIAL_COUNT": str(n),
        "SAIL_CLUSTER__WORKER_MAX_COUNT": str(n), "SAIL_CLUSTER__WORKER_TASK_SLOTS": "2",
    }  # fmt: skip
    with sail_server(**settings) as (address, _):
        there = finished(config_at(path, engine="sail", connect=address))
    here = finished(config_of(path))
    assert here.prepared.data_digest == there.prepared.data_digest
    assert here.trained.theta.tobytes() == there.trained.theta.tobytes()
    assert here.certificate == there.certificate
    assert here.evaluation.metrics == there.evaluation.metrics


def test_results_come_in_order_and_large_ones_in_parts(address):
    run = workers_at(address)
    assert [*run(partial(add, 1), range(20))] == [*range(1, 21)]
    long = [*run(partial(mul, b"x" * 1000), [5000, 1])]
    assert list(map(len, long)) == [5_000_000, 1000]


def test_an_error_on_a_worker_is_the_error_here_and_the_next_pass_works(address):
    run = workers_at(address)
    with pytest.raises(RuntimeError, match="ZeroDivisionError: division by zero"):
        [*run(partial(truediv, 1), [1, 0])]
    assert [*run(partial(truediv, 1), [2, 4])] == [0.5, 0.25]


def said(kind: type[Exception], run: Workers, *task: object) -> str:
    """The one line that a pass ends with."""
    with pytest.raises(kind) as error:
        [*run(*task)]
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.exhaustive
def test_a_server_that_is_gone_is_one_line_and_the_next_attempt_works():
    port = free_port()
    run = workers_at(f"sc://127.0.0.1:{port}")
    assert "connection refused" in said(DataError, run, partial(add, 1), [1])
    with sail_server(port) as (_, number):
        assert [*run(partial(add, 1), [1])] == [2]
        os.kill(number, signal.SIGKILL)
        assert "has ended" in said(EngineError, run, partial(add, 1), [1])
    with sail_server(port) as (_, number):
        assert [*run(partial(add, 1), [1])] == [2]
        Timer(1, os.kill, [number, signal.SIGKILL]).start()
        assert "sail" in said(EngineError, run, time.sleep, [9, 9])
    with sail_server(port):
        assert [*run(partial(add, 1), [1])] == [2]


@pytest.mark.exhaustive
def test_a_silent_server_is_waited_for_no_longer_than_a_bound(address, monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE_S", 8.0)
    with sail_server() as (address, number):
        run = workers_at(address)
        assert [*run(time.sleep, [10])] == [None]  # the control: work that is long is no silence
        Timer(1, os.kill, [number, signal.SIGSTOP]).start()
        assert "got silence for 8 s" in said(EngineError, run, time.sleep, [3, 3])
        os.kill(number, signal.SIGCONT)
        assert [*run(partial(add, 1), [1])] == [2]


@pytest.mark.exhaustive
def test_a_table_that_changes_between_passes_is_refused(address, tmp_path):
    path = write_parquet(tmp_path / "t.parquet", make_rows(1000), 500)
    rows = read_table(config_at(path, engine="sail", connect=address).data)
    assert rows.digest
    write_parquet(tmp_path / "t.parquet", make_rows(1000, seed=1), 500)
    with pytest.raises(DataError, match="must not change"):
        [*rows.map(partial(getattr, name="number"))]


@pytest.mark.exhaustive
def test_a_process_that_ends_takes_its_session_with_it(address):
    code = (
        "import sys, os; from operator import neg; from test_workers import workers_at;"
        "from pipeline.stages.read import workers;"
        "print(*workers_at(sys.argv[1])(neg, [1]));"
        "(bridge,) = workers._bridges.values(); print(bridge._process.pid, flush=True);"
        "os.kill(os.getpid(), 9)"
    )
    places = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code, address], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": places},
    )  # fmt: skip
    first, number = done.stdout.split()
    assert first == "-1"
    for _ in range(100):
        if not Path(f"/proc/{number}").exists():
            return
        time.sleep(0.1)
    pytest.fail("the process of the session must end")
