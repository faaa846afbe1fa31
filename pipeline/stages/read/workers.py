"""Functions of row groups, called on the workers of Spark or Sail; their results in order."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pipeline import files
from pipeline.config.source_settings import SourceSettings
from pipeline.errors import EngineError
from pipeline.stages.read.bridge import ALIVE, DONE
from pipeline.stages.read.packed import Unreadable, unpack, write_task
from pipeline.stages.read.worker import Row

A = TypeVar("A")
T = TypeVar("T")
START = "import sys; from pipeline.stages.read import bridge; bridge.serve(int(sys.argv[1]))"
AT_ONCE = 256  # items that one query of the engine is about
STARTING_S = 180.0  # for a session: Java takes its time
PATIENCE_S = 60.0  # for any word of the engine, while it works

_bridges: dict[tuple[int, SourceSettings], Bridge] = {}


def has_workers(source: SourceSettings) -> bool:
    """Return whether workers read the files: those of Spark, or of Sail at an address.

    Sail in this process has no more cores than this process. The files must be seen from here, as a
    file or by a pattern: their row groups are shared out.
    """
    is_cluster = source.engine == "spark" or (source.engine == "sail" and bool(source.connect))
    path = source.path or "://"
    return is_cluster and "://" not in path and not (files.PROJECT / path).is_dir()


@dataclass(frozen=True)
class Workers:
    """The workers of an engine. It can be pickled: a process has one connection to each engine."""

    source: SourceSettings

    def __call__(self, function: Callable[[A], T], items: Sequence[A]) -> Iterator[T]:
        """Yield what ``function`` makes of each item, in their order.

        Raises
        ------
        EngineError
            If the engine fails, or is silent, or its workers are not like this machine.
        Exception
            What the function raises.
        """
        for start in range(0, len(items), AT_ONCE):
            some = items[start : start + AT_ONCE]
            yield from self._bridge().results(write_task(function, some), len(some))

    def _bridge(self) -> Bridge:
        key = os.getpid(), self.source
        if key not in _bridges or not _bridges[key].is_open:
            _bridges[key] = Bridge(self.source)
        return _bridges[key]


class Bridge:
    """The process that holds a session with the engine."""

    def __init__(self, source: SourceSettings) -> None:
        self._source = source
        self._connection, theirs = multiprocessing.Pipe()
        # By no means of multiprocessing: those run the main module again, whatever it is.
        self._process = subprocess.Popen(
            [sys.executable, "-c", START, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        theirs.close()
        self._connection.send(source)
        self._patience = STARTING_S
        self.is_open = True
        atexit.register(self.close)

    def results(self, task: bytes, n: int) -> Iterator[Any]:
        """Yield the results of the items of a task, 0 to n - 1, in their order."""
        done = False
        try:
            yield from self._in_order(task, n)
            done = True
        except (OSError, EOFError, Unreadable) as error:
            said = str(error) or "the end of its process"
            raise EngineError(f"engine {self._source.engine} must answer; got {said}") from None
        finally:
            if not done:  # what was asked for is not wanted any more, or its answer is not whole
                self.close()

    def close(self) -> None:
        """End the process, and with it the session."""
        self.is_open = False
        atexit.unregister(self.close)
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def _in_order(self, task: bytes, n: int) -> Iterator[Any]:
        self._connection.send((task, n))
        parts: dict[int, dict[int, bytes]] = {}
        waiting: dict[int, Any] = {}
        following = 0
        for row in self._rows():
            held = parts.setdefault(row.number, {})
            held[row.part] = row.content
            if len(held) == row.parts:
                waiting[row.number] = _result(parts.pop(row.number), row.parts)
            while following in waiting:
                yield waiting.pop(following)
                following += 1
        if following < n:
            raise EOFError(f"{following} of {n} results")

    def _rows(self) -> Iterator[Row]:
        """Yield rows as they come; TimeoutError after silence."""
        while self._connection.poll(self._patience):
            word = self._connection.recv()
            if isinstance(word, Exception):
                raise word
            self._patience = PATIENCE_S
            if word == DONE:
                return
            if word != ALIVE:
                yield word
        raise TimeoutError(f"silence for {self._patience:.0f} s")


def _result(parts: dict[int, bytes], n: int) -> Any:
    """Return what the parts hold; raise it where it is an error."""
    content = b"".join(parts[i] for i in range(n))
    found = unpack(content[1:])
    if content[:1] == b"0":
        raise found
    return found
