"""A stage's sums do not depend on how many threads BLAS may take: outside of training it is one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def on_one_thread(stage: Callable[P, T]) -> Callable[P, T]:
    """``stage``, with BLAS held to one thread meanwhile.

    Several add in another order, and from some thousand rows on they do so by themselves: a mean
    that standardises an input was another in its last bit where OPENBLAS_NUM_THREADS was set, and
    so was every weight.
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
