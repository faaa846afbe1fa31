"""Where things are, and files that are private, durable and locked.

Places are relative to the project folder: the checkout, wherever a command is started from; where
the package is installed, the folder that ``oneuron init`` was called in, of the current one and
those around it the nearest. Files are 0600 in folders of 0700, whatever the umask is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.text import printable

MARK = "conf/config.yaml"  # what makes a folder a project
CODE = Path(__file__).resolve().parent.parent  # of the checkout, or where packages are installed
IS_INSTALLED = not (CODE / MARK).is_file()
PROGRAM = "oneuron" if IS_INSTALLED else "make"  # what a person types a command after
TEMPLATE = CODE / "pipeline" / "conf"  # what ``oneuron init`` lays down; in the wheel alone


def find_project() -> Path:
    """Return the project folder; where none is found the current one, which init makes one."""
    if not IS_INSTALLED:
        return CODE
    try:
        here = Path.cwd()
    except FileNotFoundError:  # it was removed meanwhile
        here = Path("/")
    return next((each for each in (here, *here.parents) if (each / MARK).is_file()), here)


def require_project() -> None:
    """Raise ConfigError where the current folder is in no project."""
    if not (PROJECT / MARK).is_file():
        got = f"none in {printable(str(PROJECT))} and above"
        raise ConfigError(f"folder must be in a project, with {MARK}; got {got}: oneuron init")


def conf() -> Path:
    """Return the folder of the configuration: the project's, or without one what init lays down."""
    return CONF if CONF.is_dir() else TEMPLATE


PROJECT = find_project()
CONF = PROJECT / "conf"
RUNS = PROJECT / "runs"
SWEEPS = PROJECT / "sweeps"
STORE = PROJECT / "mlflow.db"
ARTIFACTS = PROJECT / "mlartifacts"

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
LOCK_WAIT_S = 60.0  # creating a store takes about 2 s; a holder that is stopped must not hang us
LOCK_POLL_S = 0.02
STALE_S = 3600.0  # a temporary file is there for milliseconds


def shown(path: Path) -> str:
    """Return the path as people read it: relative to the project folder where it is inside."""
    text = str(path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path)
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= 200 else "…" + text[-199:]


def make_private(folder: Path) -> None:
    """Make ``folder`` and the parents that are missing, 0700 each; what exists stays as it is."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another process was faster
            path.mkdir(PRIVATE_FOLDER)
            path.chmod(PRIVATE_FOLDER)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet, through to the disk."""
    _write(path, content, os.O_EXCL)


def append(path: Path, content: bytes) -> None:
    """Add to a file, or make it, through to the disk."""
    _write(path, content, os.O_APPEND)


def replace(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Put ``content``, or its parts, where ``path`` is, in one atomic step.

    Stale temporary files of it go.
    """
    for stale in path.parent.glob(f".{path.name}.*"):
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            if time.time() - stale.stat().st_mtime > STALE_S:
                stale.unlink()
    partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        parts = iter([content] if isinstance(content, bytes) else content)
        write_new(partial, next(parts, b""))
        for part in parts:
            append(partial, part)
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make the content of a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """Hold the lock of ``path``: of a folder that exists, or of a file made for the purpose.

    The lock is flock's: it ends with the process that holds it, however that ends. Raise
    TimeoutError if another process holds it for longer than ``wait_s`` seconds.
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
    """Return a descriptor that holds the lock of ``path`` until closed; None if it is held."""
    if path.is_dir():
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    else:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        with contextlib.suppress(PermissionError):  # another user made it
            os.fchmod(descriptor, PRIVATE_FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if not isinstance(error, BlockingIOError):
            raise
        return None
    return descriptor


def _write(path: Path, content: bytes, flag: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flag
    descriptor = os.open(path, flags, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, PRIVATE_FILE)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
