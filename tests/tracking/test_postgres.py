"""Publishing to a server that keeps its runs in PostgreSQL: killed, restarted, held, raced."""

import contextlib
import functools
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import proxy as faults
import pytest
from builders import STORE_TABLES, make_environment, make_finished, make_record
from proxy import Proxy, proxied
from servers import Postgres, free_port, mlflow_server, needs_postgres, postgres

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import TrackingError
from pipeline.record import Record, write
from pipeline.tracking import Publisher, Synced, close_orphans, open_store, publish, sync
from pipeline.tracking.projection import CLAIMED
from pipeline.tracking.quiet import quiet_mlflow

pytestmark = [pytest.mark.exhaustive, needs_postgres]


@dataclass
class Server:
    database: Postgres
    folder: Path
    proxy: Proxy

    @property
    def settings(self) -> TrackingSettings:
        return TrackingSettings(uri=self.proxy.uri, experiment="tiny")

    @contextlib.contextmanager
    def connection(self) -> Iterator:
        import psycopg

        uri = self.database.uri.replace("+psycopg", "")
        with contextlib.closing(psycopg.connect(uri)) as connection:
            yield connection

    def rows(self, table: str, columns: str) -> list[tuple]:
        with self.connection() as connection:
            return sorted(connection.execute(f"SELECT {columns} FROM {table}").fetchall())

    def statuses(self) -> list[tuple[str]]:
        return self.rows("runs WHERE lifecycle_stage = 'active'", "status")

    def state(self) -> dict[str, list]:
        """As ``store_state``."""
        held = {table: self.rows(table, columns) for table, columns in STORE_TABLES.items()}
        held["tags"] = [(key, value) for key, value in held["tags"] if key != CLAIMED]
        held["artifacts"] = sorted(
            (
                re.sub("[0-9a-f]{32}", "#", path.relative_to(self.folder).as_posix()),
                path.read_bytes(),
            )
            for path in (self.folder / "artifacts").rglob("*")
            if path.is_file()
        )
        return held

    def clear(self) -> None:
        import shutil

        tables = ", ".join([*STORE_TABLES, "runs"])
        with self.connection() as connection:
            connection.execute(f"TRUNCATE {tables} CASCADE")
            connection.commit()
        shutil.rmtree(self.folder / "artifacts", ignore_errors=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with (
        postgres() as database,
        mlflow_server(folder, port := free_port(), database.uri),
        proxied(port) as proxy,
    ):
        yield Server(database, folder, proxy)


@pytest.fixture
def server(running, project) -> Server:
    with quiet_mlflow():
        import mlflow.store.tracking.rest_store  # noqa: F401 (the children need not)
    open_store(running.settings)
    running.clear()
    running.proxy.seen.clear()
    return running


def make_long_record() -> Record:
    return write(
        make_finished(60), here=make_environment(), started_ms=1_000_000, experiment="tiny"
    )


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_any_request_of_a_publication_loses_nothing(
    when, server, fork, exit_codes, capsys
):
    """C03, C04: before the server has the request, or after it has done as it was asked."""
    record = make_long_record()

    def action() -> None:
        publish(record, server.settings, {"oneuron.sweep": "5" * 12})

    def again() -> None:
        close_orphans(open_store(server.settings), files.RUNS)
        assert ("RUNNING",) not in server.statuses()
        action()

    assert exit_codes([fork(action)]) == [0]
    n_requests, expected = len(server.proxy.seen), server.state()
    assert server.statuses() == [("FINISHED",)]
    for number in range(1, n_requests + 1):
        server.clear()
        (record.path / "published.json").unlink(missing_ok=True)
        child: list[int] = []

        def kill(handler, child=child) -> bool:
            if when == "after":
                handler.forward()
            os.kill(child[0], signal.SIGKILL)
            return True

        with server.proxy.failing(faults.at(number, kill)):
            child.append(fork(lambda: (time.sleep(0.2), action())))
            assert exit_codes(child) == [-signal.SIGKILL], number
        assert exit_codes([fork(again)]) == [0], number
        assert server.state() == expected, number
    with capsys.disabled():
        print(f"\nserver and PostgreSQL, {when}: {n_requests} kill points")


def test_twenty_of_twenty_publications_at_once_make_one_run(server, tmp_path, fork, exit_codes):
    """J06: two clones, each with its own record of the result."""
    for number in range(20):
        clones = [make_record(number, tmp_path / f"{number}{clone}") for clone in "ab"]
        start = time.time() + 0.3

        def publish_at_once(record, start=start) -> None:
            store = open_store(server.settings)
            time.sleep(max(0.0, start - time.time()))
            from pipeline.tracking.publish import publish_to

            publish_to(store, record)

        children = [fork(functools.partial(publish_at_once, record)) for record in clones]
        assert exit_codes(children) == [0, 0], number
        assert server.statuses() == [("FINISHED",)] * (number + 1)


@pytest.mark.parametrize("down_s", [0, 3])
def test_a_database_that_restarts_in_mid_publication_is_published_to(down_s, server):
    """E13: at each request in turn; while it is down the server answers 500."""
    record = make_long_record()
    publish(record, server.settings)
    n_requests, expected = len(server.proxy.seen), server.state()
    with Publisher(server.settings) as publisher:
        for number in (3, 4, 6, n_requests):
            server.clear()
            (record.path / "published.json").unlink()

            def restart(handler) -> bool:
                server.database.stop()
                timer = threading.Timer(down_s, server.database.start)
                timer.start()
                if not down_s:
                    timer.join()
                return False

            with server.proxy.failing(faults.at(number, restart)):
                if down_s:
                    with contextlib.suppress(TrackingError):
                        publisher.publish(record)
                else:
                    assert publisher.publish(record).run_id
            for _ in range(100):
                with contextlib.suppress(Exception):
                    server.statuses()
                    break
                time.sleep(0.2)
            sync(files.RUNS, server.settings)
            assert server.state() == expected, number


def test_a_reader_of_postgres_is_not_waited_for(server):
    """B02: a transaction that reads every table, for as long as the publication takes."""
    with server.connection() as reader:
        reader.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
        for table in STORE_TABLES:
            reader.execute(f"SELECT * FROM {table}").fetchall()
        assert publish(make_long_record(), server.settings).new
    assert server.statuses() == [("FINISHED",)]


@pytest.mark.parametrize("seconds", [3, 20])
def test_a_writer_of_postgres_is_waited_for_or_the_record_is_kept(seconds, server):
    """B03: it holds every table against writers; what it holds too long sync brings."""
    record = make_long_record()
    publish(record, server.settings)
    expected = server.state()
    server.clear()
    (record.path / "published.json").unlink()
    release = threading.Event()

    def hold() -> None:
        with server.connection() as writer:
            writer.execute(f"LOCK TABLE {', '.join(STORE_TABLES)} IN EXCLUSIVE MODE")
            held.set()
            release.wait(seconds)

    held = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    begun = time.monotonic()
    try:
        publish(record, server.settings)
        assert seconds == 3
    except TrackingError:
        assert seconds == 20
    assert 2 < time.monotonic() - begun < 60
    release.set()
    thread.join()
    sync(files.RUNS, server.settings)
    assert sync(files.RUNS, server.settings) == Synced()
    assert server.statuses() == [("FINISHED",)]
    held_rows = server.state()
    for table in ("params", "metrics", "datasets", "inputs", "artifacts"):
        assert [*dict.fromkeys(held_rows[table])] == expected[table], table
