"""The one array type of the package, and the refusal of a shape that does not fit."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]


class ShapeError(ValueError):
    """An array does not have the shape that the Conventions give it."""


def require_shape(name: str, array: Array, shape: tuple[int, ...]) -> None:
    """Raise ShapeError, by name, unless ``array`` has exactly ``shape``: nothing is broadcast."""
    if array.shape != shape:
        raise ShapeError(f"{name} must have shape {shape}; got {array.shape}")
