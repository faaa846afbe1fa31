"""What a worker of an engine does: one function on row groups, whose results go back as bytes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from pipeline.errors import EngineError
from pipeline.stages.one_thread import LIBRARIES
from pipeline.stages.read.packed import pack, read_task
from pipeline.stages.read.worker_code import code_digest

COMPUTING = ("numpy", "pandas", "pyarrow")  # with another version sums may round otherwise
PART = 2**20  # bytes of a result in one row: engines bound what a message holds


class Row(NamedTuple):
    """A part of the result of an item, as it is sent."""

    number: int  # of the item
    part: int
    parts: int
    content: bytes


# A worker of Sail is a thread among others of one process.
_running = threading.BoundedSemaphore(len(os.sched_getaffinity(0)))


class Planned(NamedTuple):
    """What workers must have: the code and the libraries of the machine that asks them."""

    code: str
    versions: dict[str, str]

    @classmethod
    def here(cls) -> Planned:
        """Return what there is here; the version "" of what is not installed."""
        return cls(code_digest(), {name: _version(name) for name in COMPUTING})

    def require(self) -> None:
        """Raise EngineError where this is not what there is here."""
        here = Planned.here()
        if here.code != self.code:
            raise EngineError(
                "workers must have the code of the machine that asks; got other code, which was "
                "imported before: start the workers again"
            )
        other = [name for name in COMPUTING if here.versions[name] != self.versions[name]]
        if other:
            got = ", ".join(f"{name} {here.versions[name] or 'missing'}" for name in other)
            cure = " ".join(f"{name}=={self.versions[name]}" for name in other)
            raise EngineError(
                "workers must have the libraries of the machine that asks; got "
                f"{got}: pip install {cure}, on each of them"
            )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def results(task: bytes, numbers: list[int]) -> Iterator[Row]:
    """Yield what the function of the task makes of its items of these numbers, in parts.

    An error is a result: it is packed, and ends the work.
    """
    function, items = read_task(task)
    LIBRARIES.limit(limits=1, user_api="blas")  # for as long as the process lives
    for number in numbers:
        try:
            with _running:
                content = b"1" + pack(function(items[number]))
        except Exception as error:
            content = b"0" + pack(error)
        yield from in_parts(number, content)
        if content.startswith(b"0"):
            return


def in_parts(number: int, content: bytes) -> Iterator[Row]:
    """Yield the content of a result as rows of at most a megabyte."""
    starts = range(0, len(content), PART)
    for i, start in enumerate(starts):
        yield Row(number, i, len(starts), content[start : start + PART])
