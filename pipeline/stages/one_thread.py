"""BLAS held to one thread outside of training, so that no sum depends on how many it may take."""

from __future__ import annotations

from typing import TypeVar

import numpy  # noqa: F401  (whose library it is about)
from threadpoolctl import ThreadpoolController

T = TypeVar("T")
LIBRARIES = ThreadpoolController()  # looks through all that is loaded: once


def on_one_thread(stage: T) -> T:
    """Return ``stage`` with BLAS held to one thread meanwhile.

    Several threads add in another order, from some thousand rows on: where OPENBLAS_NUM_THREADS was
    set, the mean that standardises an input had another last bit, and so had every weight.
    """
    held: T = LIBRARIES.wrap(limits=1, user_api="blas")(stage)
    return held
