"""BLAS held to one thread outside of training, so that no sum depends on how many it may take."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def on_one_thread(stage: Callable[P, T]) -> Callable[P, T]:
    """Return ``stage`` with BLAS held to one thread meanwhile.

    Several threads add in another order, from some thousand rows on: where OPENBLAS_NUM_THREADS was
    set, the mean that standardises an input had another last bit, and so had every weight.
    """

    @functools.wraps(stage)
    def held(*args: P.args, **kwargs: P.kwargs) -> T:
        with _libraries().limit(limits=1, user_api="blas"):
            return stage(*args, **kwargs)

    return held


@functools.cache
def _libraries() -> Any:
    import numpy  # noqa: F401  (whose library it is about)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()  # looks through all that is loaded: once
