"""A file takes its place in one step, and what a kill left on the way does not stay for ever."""

import os
import stat
import time

import pytest
from kill_points import io_calls, kill_at

from pipeline import files


def test_a_file_is_the_old_one_or_the_new_one_wherever_its_writer_is_killed(tmp_path, fork):
    """C18."""
    path = tmp_path / "sweep.json"
    calls = io_calls(fork, lambda: files.replace(path, b"old"))
    assert calls.count("fsync") == 2  # of the file, then of its name
    found = set()
    for call in range(1, len(calls) + 1):
        path.write_bytes(b"old")
        kill_at(fork, lambda: files.replace(path, b"new"), call, before=False)
        found.add(path.read_bytes())
    assert found == {b"old", b"new"}


def test_what_a_kill_left_is_removed_later_and_what_is_on_its_way_is_not(tmp_path):
    """C18."""
    path = tmp_path / "sweep.json"
    stale, fresh, other = (
        tmp_path / name
        for name in (".sweep.json.1.0123abcd", ".sweep.json.2.0123abcd", ".other.json.1.0123abcd")
    )
    for partial in (stale, fresh, other):
        partial.write_bytes(b"half")
    long_ago = time.time() - files.STALE_S - 1
    for partial in (stale, other):
        os.utime(partial, (long_ago, long_ago))
    files.replace(path, b"new")
    assert sorted(tmp_path.iterdir()) == sorted([path, fresh, other])


def test_a_file_that_exists_is_not_written_over_and_can_be_added_to(tmp_path):
    """H05: private, whatever the umask is."""
    path = tmp_path / "list"
    before = os.umask(0o777)
    try:
        for line in (b"one\n", b"two\n"):
            files.append(path, line)
        with pytest.raises(FileExistsError):
            files.write_new(path, b"new")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"one\ntwo\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_lock_is_held_by_one_and_is_free_when_that_one_has_ended(tmp_path, fork, exit_codes):
    for path in (tmp_path, tmp_path / "lock"):
        with files.locked(path):
            assert files.try_lock(path) is None
            with pytest.raises(TimeoutError), files.locked(path, wait_s=0.0):
                pytest.fail("it is held")
        assert exit_codes([fork(lambda path=path: files.try_lock(path))]) == [0]
        free = files.try_lock(path)
        assert free is not None
        os.close(free)
