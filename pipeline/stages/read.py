"""A file becomes its distinct rows, as text, each with its count; nothing is guessed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.config import DataSettings

if TYPE_CHECKING:
    import pandas as pd

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Distinct rows of a file, sorted, so that their order depends on nothing else.

    ``frame`` holds text, never null: the columns of the contract that are not ignored, in its
    order, then the target; an absent cell is "". ``count`` (n,) says how often each row occurs.
    """

    frame: pd.DataFrame
    count: Counts
    path: Path

    @property
    def digest(self) -> str:
        """sha256 of every cell and count, the same for every order of the rows of the file."""
        raise NotImplementedError


def read_rows(data: DataSettings) -> Rows:
    """The distinct rows of ``data.path`` with their counts."""
    raise NotImplementedError
