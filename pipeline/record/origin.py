"""Which records were made here: a list that ``write`` alone adds to, of what seals each of them.

What is taken in or fetched is not in it, whatever it says of itself, nor is what was altered since.
"""

from __future__ import annotations

from pathlib import Path

from pipeline import disk
from pipeline.record.reading import Record, seal_of

MADE = ".made"  # in the folder of records, where no record can put a file


def remember(folder: Path, seal: str) -> None:
    """Add the seal of a record that is made in ``folder``."""
    disk.append(folder / MADE, f"\n{seal}".encode())  # the last line may have been torn by a kill


def made_here(record: Record, folder: Path) -> bool:
    """Whether the record, as it is, was made by this project in ``folder``."""
    try:
        known = (folder / MADE).read_bytes()
    except OSError:
        return False
    return seal_of(record.tree).encode() in known.splitlines()
