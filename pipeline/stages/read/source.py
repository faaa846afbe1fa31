"""A path becomes bytes that are safe to parse: a regular file of a known kind, with a bound."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from pipeline import files
from pipeline.errors import DataError, reason_of

Kind = Literal["csv", "gzip", "parquet"]

CHUNK = 2**19  # bytes
MAGIC = {
    b"PK\x03\x04": "a zip archive (an Excel workbook is one): unpack it, or export it as CSV",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF-": "a PDF document",
    b"BZh91AY&SY": "a bzip2 file: unpack it, or use gzip",
    b"\xfd7zXZ\x00": "an xz file: unpack it, or use gzip",
    b"\x28\xb5\x2f\xfd": "a zstd file: unpack it, or use gzip",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"\x1f\x8b": "a gzip file in a gzip file: unpack it",
    b"SQLite format 3\x00": "an SQLite database: export the table as CSV",
    b"\x89HDF": "an HDF5 file: export the table as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word document: export it as CSV",
    b"ARROW1\x00": "an Arrow file: write it as parquet",
    b"PAR1\x15": "a parquet file without its end: is it cut off?",
    b"\xff\xfe": "UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
}
FILE_TYPES = {"d": "a folder", "p": "a pipe", "s": "a socket", "c": "a device", "b": "a device"}


@dataclass(frozen=True)
class Source:
    """A regular file, what it is, and its size, inode and times when it was first opened."""

    path: Path
    kind: Kind
    state: tuple[int, ...]

    @property
    def shown(self) -> str:
        """The path as messages name it."""
        return files.shown(self.path)

    def open(self) -> BinaryIO:
        """Open the bytes of the table, inflated."""
        if self.kind == "gzip":
            return cast("BinaryIO", gzip.open(self.path, "rb"))
        return self.path.open("rb")

    def chunks(self, max_bytes: int) -> Iterator[bytes]:
        """Yield the inflated bytes; DataError for more than ``max_bytes``, or damaged gzip."""
        n = 0
        try:
            with self.open() as file:
                while chunk := file.read(CHUNK):
                    if n == 0 and self.kind == "gzip":
                        refuse_magic(self.shown, chunk[:64])
                    n += len(chunk)
                    if n > max_bytes:
                        raise too_large(self.shown, "more when inflated", max_bytes)
                    if self.kind == "csv" and n > self.state[0]:
                        self.require_unchanged()  # it grows: do not run after its end
                    yield chunk
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            got = "one that ends early" if isinstance(error, EOFError) else error
            raise DataError(f"{self.shown} must be an intact gzip file; got {got}") from None
        except OSError as error:
            raise DataError(f"{self.shown} must be readable; got {reason_of(error)}") from None

    def require_unchanged(self) -> None:
        """Raise DataError unless the file is what was opened: what was checked is parsed."""
        try:
            now = _state(self.path.stat())
        except OSError:
            now = ()
        if now != self.state:
            raise DataError(f"{self.shown} must not change while it is read; it did: run again")


def open_source(path: Path, max_bytes: int) -> Source:
    """Return the source at ``path``.

    DataError for what is no regular file (before it is opened), too large, or of another kind.
    """
    name = files.shown(path)
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            kind = FILE_TYPES.get(stat.filemode(info.st_mode)[0], "something else")
            raise DataError(f"{name} must be a regular file; got {kind}")
        with path.open("rb") as file:
            head = file.read(64)
            file.seek(max(0, info.st_size - 4))
            tail = file.read(4)
    except OSError as error:
        raise DataError(f"{name} must be a file to read; got {_reason(path, error)}") from None
    except ValueError:
        raise DataError(
            f"path must hold no NUL and no half of a surrogate pair; got {name}"
        ) from None
    if info.st_size > max_bytes:
        raise too_large(name, f"{info.st_size} bytes", max_bytes)
    return Source(path, _kind(name, head, tail), _state(info))


def require_sha256(source: Source, sha256: str) -> None:
    """Raise DataError unless the bytes of the file have this sha256."""
    with source.path.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != sha256:
        raise DataError(
            f"{source.shown} must have the sha256 of data.sha256, {sha256}; got {got}: if it was "
            "not meant to change, delete it and run `make data`; if it was, set data.sha256=null"
        )


def refuse_magic(name: str, head: bytes) -> None:
    """Raise DataError if the first bytes are those of a kind of file that is not read."""
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            raise DataError(f"{name} must be csv, csv.gz or parquet; got {kind}")


def too_large(name: str, got: str, max_bytes: int) -> DataError:
    """Return the refusal of a file beyond ``data.max_bytes``."""
    return DataError(f"{name} must hold at most {max_bytes} bytes (data.max_bytes); got {got}")


def _kind(name: str, head: bytes, tail: bytes) -> Kind:
    if head[:4] == tail == b"PAR1":
        return "parquet"
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    refuse_magic(name, head)
    return "csv"


def _state(info: os.stat_result) -> tuple[int, ...]:
    return (info.st_size, info.st_dev, info.st_ino, info.st_mtime_ns, info.st_ctime_ns)


def _reason(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ELOOP) and path.is_symlink():
        return f"a link to {files.shown(path.readlink())}: {reason_of(error)}"
    return reason_of(error)
