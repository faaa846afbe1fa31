"""A file takes its place in one step, and what a kill left on the way does not stay for ever."""

import os
import time

from kill_points import io_calls, kill_at

from pipeline import disk


def test_a_file_is_the_old_one_or_the_new_one_wherever_its_writer_is_killed(tmp_path, fork):
    """C18."""
    path = tmp_path / "sweep.json"
    calls = io_calls(fork, lambda: disk.replace(path, b"old"))
    assert calls.count("fsync") == 2  # of the file, then of its name
    found = set()
    for call in range(1, len(calls) + 1):
        path.write_bytes(b"old")
        kill_at(fork, lambda: disk.replace(path, b"new"), call, before=False)
        found.add(path.read_bytes())
    assert found == {b"old", b"new"}


def test_what_a_kill_left_is_removed_later_and_what_is_on_its_way_is_not(tmp_path):
    """C18."""
    path = tmp_path / "sweep.json"
    stale, fresh, other = (
        tmp_path / name
        for name in (".sweep.json.1.0123abcd", ".sweep.json.2.0123abcd", ".other.json.1.0123abcd")
    )
    for litter in (stale, fresh, other):
        litter.write_bytes(b"half")
    long_ago = time.time() - disk.STALE_S - 1
    for litter in (stale, other):
        os.utime(litter, (long_ago, long_ago))
    disk.replace(path, b"new")
    assert sorted(tmp_path.iterdir()) == sorted([path, fresh, other])
