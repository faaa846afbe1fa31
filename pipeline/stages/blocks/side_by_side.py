"""Work shared among threads, its results in order: NumPy and Arrow let go of Python's lock."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from pipeline.stages.one_thread import LIBRARIES

A = TypeVar("A")
T = TypeVar("T")
WAITING = 1  # for each thread: what it takes on next


def n_threads() -> int:
    """Return how many threads there are: ONEURON_THREADS, or as many as cores may be used."""
    given = os.environ.get("ONEURON_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else len(os.sched_getaffinity(0))


def side_by_side(function: Callable[[A], T], items: Sequence[A]) -> Iterator[T]:
    """Yield what ``function`` makes of each item, in their order; an error as it is raised there.

    BLAS has one thread in each. Whoever stops asking stops the work.
    """
    pool = ThreadPoolExecutor(n_threads(), thread_name_prefix="block")
    rest = iter(items)
    running: deque[Future[T]] = deque()
    with LIBRARIES.limit(limits=1, user_api="blas"):
        try:
            for item in rest:
                running.append(pool.submit(function, item))
                if len(running) > (1 + WAITING) * n_threads():
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
