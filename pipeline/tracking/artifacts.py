"""Where a store keeps the files of its runs: what a server says is never a path of this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pipeline import files
from pipeline.errors import TrackingError
from pipeline.tracking.address import Address
from pipeline.tracking.patience import BYTES_PER_S, REQUEST_S, TRANSFER_S, within

OBJECT_STORES = ("s3", "gs", "wasbs", "abfss", "r2", "b2")
PROXIED = "mlflow-artifacts"  # the server hands the files on itself


def repository(uri: str, address: Address) -> Any:
    """Return what reads and writes the files of a run that keeps them at ``uri``.

    Raise TrackingError if no run of the store may keep its files there.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    place = _wrong_place(uri, address)
    if place:
        raise TrackingError(f"artifacts must be kept {place}; got {uri[:200]!r} at {address.shown}")
    return get_artifact_repository(uri, tracking_uri=address.uri)


def put(content: Mapping[str, bytes], uri: str, address: Address, beside: Path) -> None:
    """Put files where a run keeps its own: 0600 on this machine, else by MLflow.

    ``beside`` is a private folder for what is on its way; who locks it removes what a kill left.
    """
    if not content:
        return
    held, folder = repository(uri, address), local_folder(uri, address)
    if folder is not None:
        _write(content, folder)
        return
    limit_s = TRANSFER_S + sum(map(len, content.values())) / BYTES_PER_S
    with tempfile.TemporaryDirectory(prefix=".upload.", dir=beside) as name:
        _write(content, Path(name))
        within(limit_s, held.log_artifacts, name)


def sizes(names: Iterable[str], uri: str, address: Address) -> dict[str, int]:
    """Return the sizes of those of the files that a run holds: a request for each folder."""
    held, folder = repository(uri, address), local_folder(uri, address)
    if folder is not None:
        there = [name for name in names if (folder / name).is_file()]
        return {name: (folder / name).stat().st_size for name in there}
    folders = sorted({name.rpartition("/")[0] for name in names})
    listed = (
        file for path in folders for file in within(REQUEST_S, held.list_artifacts, path or None)
    )
    return {file.path: file.file_size or 0 for file in listed if not file.is_dir}


def local_folder(uri: str, address: Address) -> Path | None:
    """Return the folder of this machine that holds a run's files; None where it is elsewhere."""
    scheme, _, path = _parts(uri)
    here = address.kind not in ("http", "https") and scheme in ("", "file")
    return path if here else None


def _write(content: Mapping[str, bytes], folder: Path) -> None:
    for name, data in content.items():
        path = folder / name
        files.make_private(path.parent)
        path.touch(files.PRIVATE_FILE)
        path.write_bytes(data)


def _wrong_place(uri: str, address: Address) -> str:
    """Return where the files of a run must be that may not be at ``uri``; "" if they may be.

    A server keeps them itself or in an object store: any other address would have us read and write
    wherever it likes, on this machine or in the network behind it. Whoever owns a SQLite file owns
    the folders that it names. A database is shared, and names this project's own folder or none.
    """
    scheme, host, path = _parts(uri)
    if scheme in OBJECT_STORES:
        return ""
    if address.kind in ("http", "https"):
        server = urlsplit(address.uri).netloc.rpartition("@")[2]
        is_own = scheme == PROXIED and host in ("", server)
        return "" if is_own else "by the server or in an object store"
    if scheme not in ("", "file"):
        return "in a folder or in an object store"
    folder = address.artifacts
    if address.path is None and folder and not path.resolve().is_relative_to(folder.resolve()):
        return f"below {folder} or in an object store"
    return ""


def _parts(uri: str) -> tuple[str, str, Path]:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "none", "", Path()
    return parts.scheme, parts.netloc, Path(url2pathname(parts.path))
