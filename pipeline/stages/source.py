"""A path becomes bytes that are safe to parse: a regular file, of a known kind, bounded, UTF-8."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from pipeline import paths
from pipeline.errors import DataError

Kind = Literal["csv", "gzip", "parquet"]

MAX_FIELD = 10**6  # bytes of one cell
MAGIC = {
    b"PK\x03\x04": "a zip archive (an Excel workbook is one): unpack it, or export it as CSV",
    b"PK\x05\x06": "an empty zip archive",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
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
    b"\x7fELF": "a program",
    b"PAR1\x15": "a parquet file without its end: is it cut off?",
    b"\xff\xfe": "UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
}


@dataclass(frozen=True)
class Source:
    """A regular file, what it is, and what it was when it was first looked at."""

    path: Path
    kind: Kind
    state: tuple[int, ...]

    @property
    def shown(self) -> str:
        """The path as messages name it."""
        return shown(self.path)

    @property
    def size(self) -> int:
        """Bytes of the file when it was first looked at."""
        return self.state[2]

    def open(self) -> BinaryIO:
        """The bytes of the table, inflated."""
        if self.kind == "gzip":
            return cast("BinaryIO", gzip.open(self.path, "rb"))
        return self.path.open("rb")

    def require_unchanged(self) -> None:
        """Raise DataError if the file is not the one that was looked at.

        Size, inode and times of change: what was hashed and checked is what was parsed.
        """
        try:
            now = _state(self.path.stat())
        except OSError:
            now = ()
        if now != self.state:
            raise DataError(f"{self.shown} must not change while it is read; it did: run again")


def shown(path: Path) -> str:
    """The path as messages name it: from the project folder where it is inside."""
    text = str(path.relative_to(paths.PROJECT) if path.is_relative_to(paths.PROJECT) else path)
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= 200 else "…" + text[-199:]


def look(path: Path, max_bytes: int) -> Source:
    """The source at ``path``, which is refused unless it is a file of a kind that can be read.

    Raises
    ------
    DataError
        For what is not a regular file (before it is opened), too large, or of another kind.
    """
    name = shown(path)
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            raise DataError(f"{name} must be a regular file; got {_sort(info.st_mode)}")
        with path.open("rb") as file:
            head = file.read(64)
            file.seek(max(0, info.st_size - 4))
            tail = file.read(4)
    except OSError as error:
        raise DataError(_unopened(path, error)) from None
    except ValueError:
        rule = "must be the path of a file; got a NUL character or half a surrogate pair in it"
        raise DataError(f"{name} {rule}") from None
    if info.st_size > max_bytes:
        raise DataError(too_large(name, f"{info.st_size} bytes", max_bytes))
    kind: Kind = "csv"
    if head[:4] == tail == b"PAR1":
        kind = "parquet"
    elif head[:2] == b"\x1f\x8b":
        kind = "gzip"
    else:
        refuse_magic(name, head)
    return Source(path, kind, _state(info))


def require_pin(source: Source, sha256: str) -> None:
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
    for magic, what in MAGIC.items():
        if head.startswith(magic):
            raise DataError(f"{name} must be csv, csv.gz or parquet; got {what}")


def too_long(name: str, line: int) -> str:
    """The refusal of a cell that no table has, and that would fill memory and messages."""
    return f"{name} must hold cells of at most {MAX_FIELD} bytes; got a longer one at line {line}"


def too_large(name: str, got: str, max_bytes: int) -> str:
    """The refusal of a file beyond ``data.max_bytes``."""
    return f"{name} must hold at most {max_bytes} bytes (data.max_bytes); got {got}"


def _state(info: os.stat_result) -> tuple[int, ...]:
    return (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


def _sort(mode: int) -> str:
    for test, name in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if test(mode):
            return name
    return "something else"


def _unopened(path: Path, error: OSError) -> str:
    name = shown(path)
    match error.errno:
        case errno.ENOENT if path.is_symlink():
            return f"{name} must exist; got a link to {shown(path.readlink())}, which does not"
        case errno.ENOENT | errno.ENOTDIR:
            return f"{name} must exist; got no such file"
        case errno.ELOOP:
            return f"{name} must exist; got a link that leads back to itself"
        case errno.EACCES | errno.EPERM:
            return f"{name} must be readable; got no permission to read it"
    return f"{name} must be readable; got {error.strerror}"
