"""A record leaves as one zip file, and another project takes it in: verified, or not at all."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from pipeline import disk, paths
from pipeline.errors import ConfigError, DataError
from pipeline.record import Record, adopt, read
from pipeline.record.reading import IDENTITY, RESULT, check_name

MAX_FILES = 1000
MAX_BYTES = 2**30  # of all files, inflated
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same record is the same zip, to the byte


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
        raise ConfigError(f"OUTPUT must be writable; got {error.strerror} at {target}") from None
    return len(buffer.getvalue())


def import_record(source: Path, folder: Path = paths.RUNS) -> tuple[Record, bool]:
    """The record that ``source`` holds, put in ``folder``; whether it was new there.

    Raises
    ------
    DataError
        If the file is no export, is too large, or what it holds is altered.
    ConfigError
        If another run of that identity stands there.
    """
    with TemporaryDirectory() as name:
        try:
            held = _unpacked(source, Path(name))
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
            told = getattr(error, "strerror", None) or str(error)
            raise DataError(f"INPUT must be a whole zip of make export; got {told}") from None
        return adopt(read(held), folder)


def _unpacked(source: Path, folder: Path) -> Path:
    """The files of the zip, in ``folder``; nothing is written that is not a file of a record."""
    with zipfile.ZipFile(source) as archive:
        entries = archive.infolist()
        tops = {PurePosixPath(entry.filename).parts[0] for entry in entries if entry.filename}
        if len(tops) != 1 or not IDENTITY.fullmatch(top := tops.pop()):
            raise DataError("INPUT must hold one record; got something else")
        if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_BYTES:
            raise DataError(
                f"INPUT must hold at most {MAX_FILES:,} files and {MAX_BYTES / 2**30:.0f} GiB; "
                f"got {len(entries):,} files"
            )
        for entry in entries:
            check_name(entry.filename)
            path = folder / entry.filename
            disk.make_private(path.parent)
            with archive.open(entry) as file:
                content = file.read(entry.file_size + 1)
            if len(content) != entry.file_size:
                raise DataError(f"{entry.filename} must be as long as it says; got more")
            disk.write_new(path, content)
    _require_only_listed(folder / top, entries)
    return folder / top


def _require_only_listed(folder: Path, entries: list[zipfile.ZipInfo]) -> None:
    try:
        tree: dict[str, Any] = json.loads((folder / RESULT).read_bytes())
        listed = {f"{folder.name}/{name}" for name in (RESULT, *tree["files"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"INPUT must hold {RESULT}; got a zip without it") from None
    more = sorted({entry.filename for entry in entries} - listed)
    if more:
        raise DataError(f"INPUT must hold the files of its record alone; got {more[0]!r} too")
