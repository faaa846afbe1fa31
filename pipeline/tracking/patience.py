"""No call of a remote store takes for ever, and whoever waits for it hears that it goes on."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

REQUEST_S = 15.0  # MLflow's own limits are of silence: a byte now and then would hold it for ever
TRANSFER_S = 60.0
BYTES_PER_S = 50_000  # of files, beyond that
BEAT_S = 1.0
# Each is called while a call is waited for and after it.
LISTENERS: list[Callable[[], object]] = []


def within(limit_s: float, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what the call returns; TimeoutError if it takes longer than ``limit_s`` seconds.

    The call is made in a thread, which nobody waits for any longer than that.
    """
    answers: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue()

    def answer() -> None:
        try:
            answers.put((call(*args, **kwargs), None))
        except BaseException as error:
            answers.put((None, error))

    threading.Thread(target=answer, daemon=True).start()
    deadline = time.monotonic() + limit_s
    while True:
        try:
            value, error = answers.get(timeout=min(BEAT_S, limit_s))
        except queue.Empty:
            if time.monotonic() > deadline:
                message = f"no whole answer within {limit_s:.0f} s"
                raise TimeoutError(message) from None
            _go_on()
            continue
        _go_on()
        if error is not None:
            raise error
        return value


def _go_on() -> None:
    for listener in LISTENERS:
        listener()


class Bounded:
    """Something of MLflow's, each of whose methods has to return ``within`` the limit."""

    def __init__(self, target: Any, limit_s: float = REQUEST_S) -> None:
        self._target, self._limit_s = target, limit_s

    def __getattr__(self, name: str) -> Any:
        return partial(within, self._limit_s, getattr(self._target, name))
