"""SIGKILL before and after every I/O call of a run, then the same again: nothing is lost or twice.

Every call that changes a file is counted by the kernel, SQLite's own among them. Between two of
them the disk stays as it is, so that one kill between them is the one after the first and the one
before the second; by turns it is made as the one or the other.
"""

import functools
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import (
    make_environment,
    make_failed_record,
    make_finished,
    make_record,
    store_rows,
    store_state,
)
from kill_points import io_calls, kill_at

from pipeline import files
from pipeline.record import Record, mark_member, published_runs, read, write
from pipeline.record.contents import contents
from pipeline.tracking import close_orphans, open_store, publish
from pipeline.tracking.sqlite import check_store

pytestmark = pytest.mark.exhaustive

STARTED = 1_000_000
SWEEP = "5" * 12
STORE = "sqlite:///mlflow.db"
PARTS = 2  # of the enumeration, which processes share


def kill_between(fork: Callable, action: Callable, calls: list[str], place: int) -> None:
    """Kill the action after its first ``place`` calls, which is before the one that follows."""
    before = place == 0 or (place % 2 == 0 and place < len(calls))
    kill_at(fork, action, place + before, before=before)


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of all that is in the folder, temporary names without what makes them so."""
    return {
        re.sub(r"\.\d+\.[0-9a-f]{8}", ".#", str(path.relative_to(folder))): (
            path.stat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


def litter(folder: Path) -> list[str]:
    allowed = {".lock", ".made", ".mlflow.db.lock"}
    return [name for name in snapshot(folder) if "/." in f"/{name}" and name not in allowed]


def same_bits(record, calm) -> None:
    """Every file but ``result.json``, which tells the attempts apart."""
    assert dict(record.files) == dict(calm.files)
    own = {"attempt", "ended_ms", "seal"}
    assert record.head.model_dump(exclude=own) == calm.head.model_dump(exclude=own)


def test_a_kill_is_where_it_is_said_to_be(tmp_path, fork):
    """The control: a file that is written in two steps is found in each of its four states."""
    path = tmp_path / "file"

    def write_in_two_steps() -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.write(descriptor, b"a")
        path.stat()  # changes nothing, and is not counted
        os.write(descriptor, b"b")

    assert io_calls(fork, write_in_two_steps) == ["openat", "write", "write"]
    found = []
    for call in (1, 2, 3):
        for before in (True, False):
            path.unlink(missing_ok=True)
            kill_at(fork, write_in_two_steps, call, before=before)
            found.append(path.read_bytes() if path.exists() else None)
    assert found == [None, b"", b"", b"a", b"a", b"ab"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("standing", ["nothing", "a failed run", "a damaged record"])
def test_a_kill_at_any_io_call_of_a_commit_loses_nothing(standing, tmp_path, fork, capsys):
    """C01, C18: what stood there or what was made stands there, whole; and the same again."""
    contents(make_finished(), None)  # imports what it needs
    runs, calm = tmp_path / "runs", tmp_path / "calm"

    def prepare(folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        if standing == "a failed run":
            make_failed_record(folder)
        if standing == "a damaged record":
            record = make_record(0, folder, started_ms=STARTED)
            (record.path / "model.json").write_bytes(b"{")

    def commit(folder: Path = runs) -> Record:
        return make_record(0, folder, started_ms=STARTED)

    prepare(calm)
    calls = io_calls(fork, lambda: commit(calm))
    (identity,) = (path.name for path in calm.iterdir() if path.is_dir())
    expected = read(calm / identity)
    for place in range(len(calls) + 1):
        prepare(runs)
        kill_between(fork, commit, calls, place)
        record = commit()
        same_bits(record, expected)
        assert [path.name for path in runs.iterdir() if path.is_dir()] == [record.path.name]
        assert litter(runs) == []
    with capsys.disabled():
        print(f"\ncommit over {standing}: {len(calls) + 1} kill points")


@pytest.fixture
def published(settings, project, monkeypatch):
    """Makes the project anew with a record in it, and the action that publishes that."""
    import mlflow.store.db.utils
    import mlflow.store.tracking.sqlalchemy_store
    import mlflow.store.workspace_aware_mixin
    from sqlalchemy.orm import configure_mappers

    configure_mappers()
    # A constant, for which MLflow imports 67 files at each start.
    utils = mlflow.store.db.utils
    newest = functools.cache(utils._get_latest_schema_revision)
    monkeypatch.setattr(utils, "_get_latest_schema_revision", newest)
    record = write(make_finished(60), here=make_environment(), started_ms=STARTED)
    (record.path / "figures").mkdir(mode=0o700)
    files.write_new(record.path / "figures" / "a.png", b"png")
    fresh = project.with_name("fresh")
    shutil.copytree(project, fresh)

    def prepare() -> None:
        shutil.rmtree(project)
        shutil.copytree(fresh, project)

    def action() -> None:
        publish(record, settings, {"oneuron.sweep": SWEEP})
        mark_member(record, STORE, SWEEP)

    return record, prepare, action


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(PARTS))
def test_a_kill_at_any_io_call_of_a_publication_loses_nothing(
    part, published, settings, project, fork, exit_codes, capsys
):
    """C01, C02, C15: the next start ends what was begun; the same again makes it the calm state.

    What the next start does follows from what is on disk. So the disk is looked at before each
    call, to the last row, file and mode; the kill and the next start follow once for each state.
    """
    record, prepare, action = published
    frozen = project.with_name("frozen")

    def look() -> tuple[str, str]:
        """What the store holds, and what the files are."""
        shutil.rmtree(frozen, ignore_errors=True)
        shutil.copytree(project, frozen)
        check_store(frozen / files.STORE.name)  # it is whole, or SQLite makes it so
        held = store_state(frozen)
        del held["artifacts"]
        return digest(held), digest(on_disk(frozen))

    def again() -> None:
        close_orphans(open_store(settings), files.RUNS)
        assert ("RUNNING",) not in store_rows("runs", "status")
        action()

    prepare()
    before = files.STORE.stat().st_size
    found: list[tuple[str, str]] = []
    calls = io_calls(fork, action, lambda: found.append(look()))
    found.append(look())
    assert files.STORE.stat().st_size > before  # or no page was ever added to the file
    assert store_rows("runs", "status") == [("FINISHED",)]
    expected, expected_files = store_state(), on_disk(project)
    states = list(dict.fromkeys(found))
    for left in states[part::PARTS]:
        place = found.index(left)
        prepare()
        kill_between(fork, action, calls, place)
        assert look()[0] == left[0], place  # the order of files is the file system's
        assert exit_codes([fork(again)]) == [0], (place, calls[max(place - 1, 0) : place + 1])
        assert store_state() == expected, place
        assert on_disk(project) == expected_files, place
        assert store_rows("runs", "status") == [("FINISHED",)]
        assert published_runs(record.identity)[STORE].sweeps == (SWEEP,)
    with capsys.disabled():
        print(f"\npublication: {len(found)} kill points, {len(states)} states, part {part}")


def digest(tree: object) -> str:
    return hashlib.sha256(repr(tree).encode()).hexdigest()


def on_disk(project: Path) -> dict[str, tuple[int, bytes]]:
    """The project's files without the store and the names that are made up."""
    made_up = re.compile(r"(?<=mlartifacts/)[0-9a-f]{32}|(?<=/\.upload\.)\w+")
    found = {}
    for name, (mode, content) in snapshot(project).items():
        if not name.startswith("mlflow.db"):
            if name.endswith("published.json"):
                content = re.sub(rb"[0-9a-f]{32}", b"#", content)  # noqa: PLW2901
            found[made_up.sub("#", name)] = mode, content
    return found
