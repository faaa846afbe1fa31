"""The one array type of the package: float64, of the shapes that the Conventions give."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
