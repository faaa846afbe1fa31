"""A record leaves as one zip file, and another project takes it in: verified, or not at all."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from pathlib import Path

from pipeline import files
from pipeline.errors import ConfigError, DataError, reason_of
from pipeline.record.head import RESULT, parse_head
from pipeline.record.read import MAX_BYTES, MAX_RESULT, Record, verified
from pipeline.record.write import adopt, result_bytes
from pipeline.text import bounded, one_line, printable, quoted

EPOCH = (1980, 1, 1, 0, 0, 0)  # the same record is the same zip, to the byte
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises on bytes that are no zip.
MALFORMED = (zipfile.BadZipFile, zlib.error, struct.error, OSError, RuntimeError, EOFError,
             ValueError, LookupError, OverflowError)  # fmt: skip


def export_record(record: Record, target: Path) -> int:
    """Write the record to ``target``, a zip; return its size in bytes.

    Raise ConfigError if ``target`` is there already, is no zip by its name, or cannot be written.
    """
    if target.suffix.lower() != ".zip":
        raise ConfigError(f"OUTPUT must be a .zip file; got {target.name!r}")
    if target.exists() or target.is_symlink():
        got = f"got {str(target)!r}: remove it, or name another"
        raise ConfigError(f"OUTPUT must not be there yet; {got}")
    content = zip_bytes(record)
    try:
        files.write_new(target, content)
    except OSError as error:
        target.unlink(missing_ok=True)  # of a disk that was full
        raise ConfigError(f"OUTPUT must be writable; got {reason_of(error)} at {target}") from None
    return len(content)


def zip_bytes(record: Record) -> bytes:
    """Return the record as one zip, which is the same to the byte whenever it is made."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in [(RESULT, result_bytes(record.head)), *sorted(record.files.items())]:
            entry = zipfile.ZipInfo(f"{record.identity}/{name}", EPOCH)
            entry.external_attr = (stat.S_IFREG | files.PRIVATE_FILE) << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def import_record(source: Path, folder: Path | None = None) -> tuple[Record, bool]:
    """Put the record that ``source`` holds in ``folder``; return it and whether it is new there.

    Raise DataError if the file is no export, is too large, what it holds is altered, or another run
    of that identity stands there. Nothing of it is left behind.
    """
    folder = folder or files.RUNS
    try:
        return adopt(read_zip(source, folder, f"imported from {source.name}"), folder)
    except DataError as refusal:  # names in it come from the file
        raise DataError(bounded([printable(str(refusal), keep="\n")])) from None


def read_zip(path: Path, folder: Path, source: str, place: str = "INPUT") -> Record:
    """Return the record that the zip at ``path`` holds, verified; it is not yet on disk.

    ``folder`` is where it may be placed later, ``source`` where it comes from, and ``place`` what
    the file is called. Raise DataError if it is no export, too large or altered.
    """
    try:
        status = path.stat()
        plain = stat.S_ISREG(status.st_mode)  # a pipe would hang
        if not plain or status.st_size > MAX_BYTES:
            got = f"{status.st_size:,} bytes" if plain else "another thing"
            raise DataError(f"{place} must be a file of at most {MAX_BYTES:,} bytes; got {got}")
        with zipfile.ZipFile(path) as archive:
            return _record(archive, folder, source, place)
    except MALFORMED as error:
        reason = one_line(reason_of(error), 200)
        raise DataError(f"{place} must be a whole zip of make export; got {reason}") from None


def _record(archive: zipfile.ZipFile, folder: Path, source: str, place: str) -> Record:
    entries = archive.infolist()
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)  # 0 where whoever made the zip has none
        if kind not in (0, stat.S_IFREG) or entry.compress_type not in PACKED:
            name = quoted(entry.filename)
            raise DataError(f"{place} must hold plain files; got another thing at {name}")
    names = sorted(entry.filename for entry in entries)
    identity = min(names, default="").partition("/")[0]

    def fetch(name: str, size: int) -> bytes:
        """Inflate no more than that, whatever the zip holds; its CRC must fit."""
        with archive.open(f"{identity}/{name}") as file:
            return file.read(size + 1)

    result = fetch(RESULT, MAX_RESULT)
    if len(result) > MAX_RESULT:
        raise DataError(f"{RESULT} must be at most {MAX_RESULT:,} bytes; got more in {place}")
    head = parse_head(result, identity, place)
    listed = sorted(f"{identity}/{name}" for name in (RESULT, *head.files))
    if names != listed:
        got = ", ".join(map(quoted, set(names) ^ set(listed))) or "a name twice"
        raise DataError(f"{place} must hold each file of its record and no other; got {got}")
    return verified(folder / head.identity, head, fetch, source)
