"""A record leaves as one zip file, and another project takes it in: verified, or not at all."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline import disk, paths
from pipeline.errors import ConfigError, DataError, bounded
from pipeline.record import Record, adopt, read
from pipeline.record.reading import IDENTITY, RESULT, check_name
from pipeline.record.shape import MAX_BYTES, MAX_FILES, listed, require_shape
from pipeline.redact import printable
from pipeline.safe_arrays import MISSHAPEN
from pipeline.tracking.projection import project

EPOCH = (1980, 1, 1, 0, 0, 0)  # the same record is the same zip, to the byte
PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises on bytes that are no zip, besides OSErrors.
MALFORMED = (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError, ValueError,
             IndexError, OverflowError)  # fmt: skip


def export_record(record: Record, target: Path) -> int:
    """Write the record to ``target``, a zip; its size in bytes.

    Raises
    ------
    ConfigError
        If ``target`` is there already, is no zip by its name, or cannot be written.
    """
    if target.suffix.lower() != ".zip":
        raise ConfigError(f"OUTPUT must be a .zip file; got {target.name!r}")
    if target.exists() or target.is_symlink():
        raise ConfigError(f"OUTPUT must not be there yet; got {str(target)!r}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        head = (record.path / RESULT).read_bytes()
        for name, content in [(RESULT, head), *((n, record.content(n)) for n in record.files)]:
            entry = zipfile.ZipInfo(f"{record.identity}/{name}", EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | disk.PRIVATE_FILE) << 16
            archive.writestr(entry, content)
    try:
        disk.write_new(target, buffer.getvalue())
    except OSError as error:
        target.unlink(missing_ok=True)  # of a disk that was full
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"OUTPUT must be writable; got {reason} at {target}") from None
    return len(buffer.getvalue())


def import_record(source: Path, folder: Path = paths.RUNS) -> tuple[Record, bool]:
    """The record that ``source`` holds, put in ``folder``; whether it is new there.

    Raises
    ------
    DataError
        If the file is no export, is too large, what it holds is altered, or another run of that
        identity stands there. Nothing of it is left behind.
    """
    with TemporaryDirectory() as name:
        try:
            _require_file(source)
            held = _checked(_unpacked(source, Path(name)))
            return adopt(held, folder)
        except DataError as refusal:  # names in it come from the file
            text = str(refusal).replace(name, "INPUT")
            raise DataError(bounded([printable(text, keep="\n")])) from None


def _require_file(source: Path) -> None:
    """A pipe would hang, a device never end."""
    try:
        status = source.stat()
    except (OSError, ValueError) as error:
        reason = _told(error).lower()
        raise DataError(f"INPUT must be a zip of make export; got {reason} at {source}") from None
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"INPUT must be a regular file; got another thing at {source}")
    if status.st_size > MAX_BYTES:
        raise DataError(_too_large(f"{status.st_size:,} bytes"))


def _unpacked(source: Path, folder: Path) -> Path:
    """The files of the zip, in ``folder``; nothing is written that is no file of a record."""
    try:
        with zipfile.ZipFile(source) as archive:
            entries = archive.infolist()
            _check_entries(entries)
            for entry in entries:
                path = folder / entry.filename
                disk.make_private(path.parent)
                with archive.open(entry) as file:
                    # No more is inflated than it says, whatever it holds, and the CRC must fit.
                    content = file.read(entry.file_size)
                disk.write_new(path, content)
    except (OSError, *MALFORMED) as error:
        raise DataError(f"INPUT must be a whole zip of make export; got {_told(error)}") from None
    return folder / entries[0].filename.partition("/")[0]


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    total = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_FILES or total > MAX_BYTES:
        raise DataError(_too_large(f"{len(entries):,} files of {total:,} bytes"))
    tops = {entry.filename.partition("/")[0] for entry in entries}
    if len(tops) != 1 or not IDENTITY.fullmatch(tops.pop()):
        raise DataError("INPUT must hold one record, in a folder of its name; got something else")
    for entry in entries:
        check_name(entry.filename)
        kind = stat.S_IFMT(entry.external_attr >> 16)  # 0 where whoever made the zip has none
        if kind not in (0, stat.S_IFREG) or entry.compress_type not in PLAIN:
            raise DataError(
                f"INPUT must hold plain files; got another thing at {entry.filename[:80]!r}"
            )


def _checked(folder: Path) -> Record:
    """The record that was unpacked: every file as listed, none more, and whole enough to publish.

    Whoever writes zips by hand can seal them as well: a tree of any shape may come.
    """
    try:
        record = read(folder)
        listed(record.tree)
        there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        more = sorted(there - {RESULT, *record.files})
        if more:
            raise DataError(
                f"INPUT must hold the files of its record alone; got {more[0][:80]!r} too"
            )
        require_shape(record)
        project(record)
    except MISSHAPEN as error:
        raise DataError(f"INPUT must hold a record; got a misshapen one ({_told(error)})") from None
    return record


def _too_large(got: str) -> str:
    limit = f"{MAX_FILES:,} files and {MAX_BYTES / 2**30:.0f} GiB"
    return f"INPUT must hold at most {limit}; got {got}"


def _told(error: Exception) -> str:
    """The reason on a line: names in it come from the file."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())[:200]
