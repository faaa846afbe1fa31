"""Files that are private, durable and locked: 0600 in folders of 0700, whatever the umask is."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
LOCK_WAIT_S = 60.0  # creating a store takes about 2 s; a holder that is stopped must not hang us
LOCK_POLL_S = 0.02
STALE_S = 3600.0  # a file on its way into its place is there for milliseconds


def make_private(folder: Path) -> None:
    """Make ``folder`` and the parents that are missing, 0700 each; what exists stays as it is."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another process was faster
            path.mkdir(PRIVATE_FOLDER)
            path.chmod(PRIVATE_FOLDER)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet, through to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, PRIVATE_FILE)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def append(path: Path, content: bytes) -> None:
    """Add to the end of a file in one step, and make it where it is missing."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(path, flags, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, PRIVATE_FILE)
        file.write(content)


def replace(path: Path, content: bytes) -> None:
    """Put ``content`` where ``path`` is, in one atomic step; what a kill left on its way goes."""
    for litter in path.parent.glob(f".{path.name}.*"):
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            if time.time() - litter.stat().st_mtime > STALE_S:
                litter.unlink()
    partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        write_new(partial, content)
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """Hold the lock of ``path``: of a folder that exists, or of a file made for the purpose.

    The lock is flock's: it ends with the process that holds it, however that ends.

    Raises
    ------
    TimeoutError
        If another process holds it for longer than ``wait_s`` seconds.
    """
    deadline = time.monotonic() + wait_s
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"lock must be free within {wait_s:.0f} s; got it held at {path}")
        time.sleep(LOCK_POLL_S)
    try:
        yield
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock of ``path`` until it is closed; None if it is held."""
    if path.is_dir():
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    else:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        with contextlib.suppress(PermissionError):  # another user made it
            os.fchmod(descriptor, PRIVATE_FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def sync_file(path: Path) -> None:
    """Make the content of a file that something else wrote survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
