"""Results of a worker as bytes that are safe to take: data of known kinds, and no code.

What comes from an engine may be hostile. It is read as a pickle of which nothing can be called but
what makes numbers, texts, arrays, tables, this package's tuples and errors.
"""

from __future__ import annotations

import functools
import importlib
import io
import pickle  # nosec: what is taken from elsewhere is restricted, see ``_Unpacker``
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    import pandas as pd

ROOMS = ("nn.", "pipeline.stages.")
MAKERS = {  # of NumPy's arrays and scalars
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
}
ERRORS = (MemoryError, OSError, ValueError, ArithmeticError, LookupError, TypeError, RuntimeError)


class Unreadable(Exception):  # noqa: N818
    """The bytes hold something else than the result of a function of this package."""


def pack(value: object) -> bytes:
    """Return the bytes of a result."""
    file = io.BytesIO()
    _Packer(file, protocol=5).dump(value)
    return file.getvalue()


def unpack(content: bytes) -> Any:
    """Return the result that the bytes hold.

    Raises
    ------
    Unreadable
        If they would call anything else, or are damaged.
    """
    try:
        return _Unpacker(io.BytesIO(content)).load()
    except Exception as error:  # bytes of any kind raise errors of any kind
        raise Unreadable(f"a result that cannot be read: {error}") from None


def write_task(function: Callable[[Any], object], items: Sequence[object]) -> bytes:
    """Return what a worker is to do: the function goes by its name, and its arguments by value."""
    return zlib.compress(pickle.dumps((function, tuple(items)), protocol=5), 1)


@functools.lru_cache(maxsize=2)  # workers are asked for many items of a task
def read_task(content: bytes) -> tuple[Callable[[Any], object], tuple[Any, ...]]:
    """Return what is to be done; on a worker alone, which runs whatever it is sent."""
    task: tuple[Callable[[Any], object], tuple[Any, ...]] = pickle.loads(  # noqa: S301
        zlib.decompress(content)
    )
    return task


class _Packer(pickle.Pickler):
    """Writes tables as columns: how pandas pickles them differs between its versions."""

    def reducer_override(self, value: object) -> Any:
        import pandas as pd

        if isinstance(value, pd.DataFrame):
            columns = [
                (str(name), str(column.dtype), column.tolist()) for name, column in value.items()
            ]
            return make_table, (columns,)
        if isinstance(value, Exception) and not isinstance(value, PipelineError):
            return make_error, (type(value).__name__, str(value))
        return NotImplemented


class _Unpacker(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in MAKERS:
            return getattr(importlib.import_module(module), name)
        if (module, name) == (Counter.__module__, Counter.__name__):
            return Counter
        if module == __name__ and name in (make_table.__name__, make_error.__name__):
            return globals()[name]
        if module.startswith(ROOMS) or module == PipelineError.__module__:
            found = getattr(importlib.import_module(module), name, None)
            if isinstance(found, type) and _is_plain(found):
                return found
        raise pickle.UnpicklingError(f"a result must hold data alone; got {module}.{name}")


def _is_plain(found: type) -> bool:
    """Return whether it holds fields, or is a refusal: making one runs no other code."""
    is_tuple = issubclass(found, tuple) and hasattr(found, "_fields")
    return is_tuple or is_dataclass(found) or issubclass(found, PipelineError)


def make_table(columns: list[tuple[str, str, list[Any]]]) -> pd.DataFrame:
    """Return a table of these columns, each with its name, type and values."""
    import pandas as pd

    return pd.DataFrame({name: pd.Series(of, dtype=kind) for name, kind, of in columns})


def make_error(kind: str, message: str) -> Exception:
    """Return an error of that kind, or the nearest one that is known."""
    known = {each.__name__: each for each in ERRORS}
    found = known.get(kind)
    return found(message) if found else RuntimeError(f"{kind}: {message}")
