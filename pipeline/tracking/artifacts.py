"""Where a store keeps the files of its runs: what a server says is never a path of this machine."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pipeline import disk
from pipeline.tracking.address import Address

OBJECT_STORES = ("s3", "gs", "wasbs", "abfss", "r2", "b2")
PROXIED = "mlflow-artifacts"  # the server hands the files on itself


def artifact_fault(uri: str, address: Address) -> str:
    """Why no run of the store may keep its files at ``uri``; "" if one may.

    A server keeps them itself or in an object store: any other address would have us read and write
    wherever it likes, on this machine or in the network behind it. Whoever owns a SQLite file owns
    the folders that it names. A database is shared, and names this project's own folder or none.
    """
    scheme, host, path = _parts(uri)
    if scheme in OBJECT_STORES:
        return ""
    if address.kind in ("http", "https"):
        server = urlsplit(address.uri).netloc.rpartition("@")[2]
        own = scheme == PROXIED and host in ("", server)
        return "" if own else _fault("by the server or in an object store", uri, address)
    if scheme not in ("", "file"):
        return _fault("in a folder or in an object store", uri, address)
    if address.path is None and not path.resolve().is_relative_to(_folder(address)):
        return _fault(f"below {address.artifacts} or in an object store", uri, address)
    return ""


def local_folder(uri: str, address: Address) -> Path | None:
    """The folder of this machine that holds a run's files; None where they are elsewhere."""
    scheme, _, path = _parts(uri)
    here = address.kind not in ("http", "https") and scheme in ("", "file")
    return path if here else None


def make_private(folder: Path) -> None:
    """Make what MLflow copied into the folder its owner's alone: it copies without the modes."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(disk.PRIVATE_FOLDER if path.is_dir() else disk.PRIVATE_FILE)


def _parts(uri: str) -> tuple[str, str, Path]:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "none", "", Path()
    return parts.scheme, parts.netloc, Path(url2pathname(parts.path))


def _folder(address: Address) -> Path:
    return address.artifacts.resolve() if address.artifacts else Path()


def _fault(where: str, uri: str, address: Address) -> str:
    return f"artifacts must be kept {where}; got {uri[:200]!r} at {address.shown}"
