"""Who makes a run: two sweeps that meet at one identity make it once."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pipeline import disk

NAME = ".claims"


class Claims:
    """Claims on identities. They end with the process that holds them, however that ends.

    A claim is a lock on one byte of one file, at a place that the identity gives; so nothing has
    to be tidied up. POSIX locks are not inherited by children, which is what is wanted.
    """

    def __init__(self, runs: Path) -> None:
        disk.make_private(runs)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(runs / NAME, flags, disk.PRIVATE_FILE)

    def take(self, identity: str) -> bool:
        """Claim the identity; False where another process has it."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(identity))
        except (BlockingIOError, PermissionError):
            return False
        return True

    def release(self, identity: str) -> None:
        """Let others have it."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place(identity))

    def close(self) -> None:
        """Let others have all of them."""
        os.close(self._file)


def _place(identity: str) -> int:
    return int(identity[:15], 16)  # below 2^60: what an offset may be
