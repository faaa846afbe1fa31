"""Arrays to and from ``.npz`` bytes; a hostile file is refused before anything is allocated."""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO

import numpy as np
from numpy.lib import format as npy

from nn.arrays import Array
from pipeline.errors import DataError

MAX_BYTES = 256 * 2**20  # of all arrays together, inflated
MAX_ARRAYS = 64
# What reading a tree of another shape raises.
MISSHAPEN = (LookupError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\.npy")
_MAX_HEADER = 4096  # bytes; a header of ours has 128


class ArrayError(DataError):
    """A file of arrays cannot be trusted."""


def to_npz(arrays: Mapping[str, Array]) -> bytes:
    """The arrays as the bytes of an ``.npz`` without pickle; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980, whenever it is written
            with archive.open(entry, "w") as file:
                exact = np.ascontiguousarray(array, "<f8")
                npy.write_array(file, exact, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def from_npz(
    content: bytes, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, Array]:
    """Every array of an ``.npz``, read-only float64, all finite.

    The directory of the zip and the headers of the arrays are checked against each other before
    memory is asked for: an array holds exactly the bytes that its header promises.

    Parameters
    ----------
    content
        The file.
    shapes
        Where given, the arrays that must be there and their shapes.

    Raises
    ------
    ArrayError
        Naming the array and what is wrong with it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            headers = _checked_headers(archive)
            _check_shapes(headers, shapes)
            return {name: _array(archive, name, shape) for name, shape in headers.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ArrayError(f"arrays must be an intact zip file; got {error}") from None


def _checked_headers(archive: zipfile.ZipFile) -> dict[str, tuple[int, ...]]:
    entries = archive.infolist()
    if len(entries) > MAX_ARRAYS:
        raise ArrayError(f"arrays must be at most {MAX_ARRAYS}; got {len(entries)}")
    names = [entry.filename for entry in entries]
    for entry, name in zip(entries, names, strict=True):
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArrayError(f"array {name[:80]!r} must be stored or deflated; got another way")
        if not _NAME.fullmatch(name) or names.count(name) > 1:
            raise ArrayError(f"array names must be plain and different; got {name[:80]!r}")
    total = sum(entry.file_size for entry in entries)
    if total > MAX_BYTES:
        raise ArrayError(f"arrays must hold at most {MAX_BYTES} bytes; got {total}")
    return {entry.filename.removesuffix(".npy"): _header(archive, entry) for entry in entries}


def _header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[int, ...]:
    """The shape that the array's header gives, after everything else in it has been checked."""
    name = entry.filename
    with archive.open(entry) as file:
        head = io.BytesIO(file.read(_MAX_HEADER))
    shape, fortran, dtype = _parse_header(head, name)
    if dtype.hasobject or dtype.str != "<f8" or fortran:
        raise ArrayError(f"array {name} must hold float64 in C order; got dtype {dtype.str}")
    if min(shape, default=0) < 0 or head.tell() + 8 * math.prod(shape) != entry.file_size:
        raise ArrayError(
            f"array {name} must be as long as its header says; got shape {shape} "
            f"in {entry.file_size} bytes"
        )
    return shape


def _parse_header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    try:
        if npy.read_magic(file) != (1, 0):
            raise ValueError("another version of the format than 1.0")
        shape, fortran, dtype = npy.read_array_header_1_0(file, max_header_size=_MAX_HEADER)
    except (ValueError, TypeError, SyntaxError, OverflowError) as error:
        raise ArrayError(f"array {name} must have a header of NumPy's; got {error}") from None
    return shape, fortran, dtype


def _check_shapes(
    headers: dict[str, tuple[int, ...]], shapes: Mapping[str, tuple[int, ...]] | None
) -> None:
    if shapes is not None and headers != dict(shapes):
        odd = sorted(name for name, _ in headers.items() ^ shapes.items())
        raise ArrayError(
            f"arrays must be {dict(shapes)}; got {headers} (they differ in {', '.join(set(odd))})"
        )


def _array(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> Array:
    entry = archive.getinfo(f"{name}.npy")
    with archive.open(entry) as file:
        # With a length, zipfile inflates no more than that whatever the data hold; without one it
        # would inflate all there is. At the promised end it checks the CRC.
        content = file.read(entry.file_size)
    n = math.prod(shape)
    if len(content) != entry.file_size:
        raise ArrayError(f"array {name} must hold {entry.file_size} bytes; got {len(content)}")
    offset = len(content) - 8 * n
    array: Array = np.frombuffer(content, "<f8", count=n, offset=offset).reshape(shape)
    if not np.isfinite(array).all():
        raise ArrayError(f"array {name} must be finite; got NaN or infinity in it")
    return array
