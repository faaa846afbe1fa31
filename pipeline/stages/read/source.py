"""A path becomes bytes that are safe to parse: a regular file of a known kind, with a bound."""

from __future__ import annotations

import errno
import fnmatch
import gzip
import hashlib
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from pipeline import files
from pipeline.config.file_settings import is_utf8
from pipeline.errors import DataError, reason_of
from pipeline.stages.read.encodings import refuse_mark, transcoded
from pipeline.stages.read.file_kinds import Kind, kind_of, refuse_json, refuse_magic

CHUNK = 2**19  # bytes
FILE_TYPES = {"d": "a folder", "p": "a pipe", "s": "a socket", "c": "a device", "b": "a device"}


@dataclass(frozen=True)
class Source:
    """A regular file, what it is, and its size, inode and times when it was first opened."""

    path: Path  # or a pattern of several
    kind: Kind
    state: tuple[int, ...]  # of each file
    encoding: str = "utf-8"

    @property
    def shown(self) -> str:
        """The path as messages name it."""
        return files.shown(self.path)

    def open(self) -> BinaryIO:
        """Open the bytes of the table, inflated."""
        if self.kind == "gzip":
            return cast("BinaryIO", gzip.open(self.path, "rb"))
        return self.path.open("rb")

    def chunks(
        self, max_bytes: int, see: Callable[[bytes], object] = bytes.__len__
    ) -> Iterator[bytes]:
        """Yield the bytes, inflated and in UTF-8; ``see`` each chunk before it is in UTF-8.

        DataError for more than ``max_bytes``, damaged gzip, or bytes of another encoding.
        """
        inflated = self._inflated(max_bytes, see)
        if is_utf8(self.encoding):
            return inflated
        return transcoded(inflated, self.shown, self.encoding)

    def _inflated(self, max_bytes: int, see: Callable[[bytes], object]) -> Iterator[bytes]:
        n = 0
        try:
            with self.open() as file:
                while chunk := file.read(CHUNK):
                    see(chunk)
                    if n == 0:
                        self._refuse_other_kind(chunk[:64])
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

    def _refuse_other_kind(self, head: bytes) -> None:
        """Raise DataError if the inflated bytes are no CSV, or of another encoding."""
        if self.kind == "gzip":
            refuse_magic(self.shown, head)
            refuse_json(self.path, self.shown, head)
        refuse_mark(self.shown, head, self.encoding)

    def require_unchanged(self) -> None:
        """Raise DataError unless the file is what was opened: what was checked is parsed."""
        try:
            now = state_of(self.path)
        except OSError:
            now = ()
        if now != self.state:
            raise DataError(f"{self.shown} must not change while it is read; it did: run again")


def files_of(path: Path) -> list[Path]:
    """Return the files whose names a pattern fits, sorted; a path without a pattern is one file."""
    if not set(path.name) & set("*?[") or os.path.lexists(path):
        return [path]
    try:
        names = os.listdir(path.parent)  # noqa: PTH208 (its glob takes ** for folders)
    except (OSError, ValueError):
        names = []
    return [path.with_name(n) for n in sorted(fnmatch.filter(names, path.name)) if n[0] != "."]


def state_of(path: Path) -> tuple[int, ...]:
    """Return what changes when somebody writes to a file, or to one that a pattern fits."""
    return tuple(part for each in files_of(path) for part in _state(each.stat()))


def open_source(path: Path, max_bytes: int, encoding: str = "utf-8") -> Source:
    """Return the source at ``path``, which may be a pattern of parquet files.

    DataError for what is no regular file (before it is opened), too large, or of another kind.
    """
    paths = files_of(path)
    if paths == [path]:
        return open_file(path, max_bytes, encoding)
    name = files.shown(path)
    if not paths:
        raise DataError(
            f"{name} must fit the names of files; got none in {files.shown(path.parent)}"
        )
    parts = [open_file(each, max_bytes, encoding) for each in paths]
    for other in [part for part in parts if part.kind != "parquet"][:1]:
        raise DataError(
            f"{name} must fit files of parquet alone, since it is a pattern; got {other.shown}"
        )
    return Source(path, "parquet", tuple(of for part in parts for of in part.state))


def open_file(path: Path, max_bytes: int, encoding: str = "utf-8") -> Source:
    """Return the source of one file; DataError as ``open_source``."""
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
    return Source(path, kind_of(path, name, head, tail), _state(info), encoding)


def require_sha256(source: Source, sha256: str) -> None:
    """Raise DataError unless the bytes of the file have this sha256."""
    if files_of(source.path) != [source.path]:
        raise DataError(
            f"data.sha256 must be null where data.path is a pattern, as {source.shown}: "
            "data.sha256=null"
        )
    with source.path.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != sha256:
        raise DataError(
            f"{source.shown} must have the sha256 of data.sha256, {sha256}; got {got}: if it was "
            "not meant to change, delete it and run `make data`; if it was, set data.sha256=null"
        )


def too_large(name: str, got: str, max_bytes: int) -> DataError:
    """Return the refusal of a file beyond ``data.max_bytes``."""
    return DataError(f"{name} must hold at most {max_bytes} bytes (data.max_bytes); got {got}")


def _state(info: os.stat_result) -> tuple[int, ...]:
    return (info.st_size, info.st_dev, info.st_ino, info.st_mtime_ns, info.st_ctime_ns)


def _reason(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ELOOP) and path.is_symlink():
        return f"a link to {files.shown(path.readlink())}: {reason_of(error)}"
    return reason_of(error)
