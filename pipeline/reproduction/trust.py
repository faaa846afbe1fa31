"""Code of another runs only where it is trusted, after it was told whose it is and what it does."""

from __future__ import annotations

from pathlib import Path

from pipeline import disk, paths
from pipeline.errors import ConfigError
from pipeline.record import Record, made_here

DIFF = "source.diff"
UNKNOWN = "taken in, altered, or made before that was remembered"


def whose(record: Record) -> str:
    """By whom the code on record was published, as far as it is known; "" where it is our own."""
    return "" if made_here(record, paths.RUNS) else record.source or UNKNOWN


def require_trust(record: Record, *, trusted: bool) -> None:
    """Refuse to run the code on record, unless it was made here or is trusted.

    Raises
    ------
    ConfigError
        Saying whose it is, the commit, and where its changes can be read. Also if it is trusted
        but is not the code that could be read before.
    """
    owner = whose(record)
    if not owner:
        return
    place, news = _readable(record)
    if trusted and not news:
        return
    shown = place.relative_to(paths.PROJECT) if place.is_relative_to(paths.PROJECT) else place
    what, them = "without changes", "it"
    if DIFF in record.files:
        others = ", others than before" if news else ""
        what, them = f"with changes{others}, read them in {shown}", "them"
    raise ConfigError(
        "FROM=source must run code that was made on this machine, or that you trust; got run "
        f"{record.identity[:12]}, {owner}: commit {record.lineage['git_commit'][:12]} {what}; "
        f"to run {them}: add TRUST=yes"
    )


def _readable(record: Record) -> tuple[Path, bool]:
    """The file that tells the changes, and whether it told others before.

    A server may tell one thing to the one who reads and another to the one who trusts.
    """
    if record.path.is_relative_to(paths.RUNS):
        return record.path / DIFF, False
    place = paths.RUNS / f"source-{record.identity[:12]}.diff"
    diff = record.content(DIFF) if DIFF in record.files else b""
    content = f"commit {record.lineage['git_commit']}\n\n".encode() + diff
    before = place.read_bytes() if place.is_file() else None
    if before != content:
        disk.make_private(place.parent)
        disk.replace(place, content)
    return place, before not in (None, content)
