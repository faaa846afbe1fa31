"""A disk that fills up or is read-only, to which root is bound as well; a store that is held."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


class Disk:
    """A file system in memory, mounted at ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def remount(self, options: str) -> None:
        command = ["mount", "-o", f"remount,{options}", str(self.folder)]
        subprocess.run(command, check=True, capture_output=True)


@contextlib.contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Disk]:
    """Mount one with these options, such as ``size=4m``; only root may, others skip the test."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount a disk")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, leave: int = 0) -> Path:
    """A file that leaves so many bytes free."""
    path = folder / "filled"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)) == 4096:
            pass
    with path.open("rb+") as file:
        file.truncate(max(path.stat().st_size - leave, 0))
    return path


HOLD = """
import sqlite3, sys, time
store, begin, seconds = sys.argv[1:]
connection = sqlite3.connect(store, isolation_level=None)
connection.execute(begin)
connection.execute("SELECT * FROM experiments").fetchall()
reading = connection.execute("SELECT name FROM sqlite_master")
reading.fetchone()
print("held", flush=True)
time.sleep(float(seconds))
"""


@contextlib.contextmanager
def held(store: Path, how: str, seconds: float) -> Iterator[None]:
    """The store, held by a process for so long: by a reader, or a writer that has it to himself."""
    begin = {"reader": "BEGIN", "writer": "BEGIN EXCLUSIVE"}[how]
    command = [sys.executable, "-c", HOLD, str(store), begin, str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
    assert holder.returncode == 0
