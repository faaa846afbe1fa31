"""Code that was not made here runs only where it is trusted, after it was said whose it is.

``runs/.made`` lists the seal of each record that ``write`` made here. Nothing else adds to it: what
was imported, fetched or altered since is not in it, whatever it says of itself.
"""

from __future__ import annotations

from pathlib import Path

from pipeline import files
from pipeline.errors import ConfigError
from pipeline.record.read import Record

MADE = ".made"
DIFF = "source.diff"


def remember(record: Record) -> None:
    """Add the record to the list of those that were made in its folder."""
    line = f"\n{record.head.seal}"  # a kill may have torn the last line
    files.append(record.path.parent / MADE, line.encode())


def made_here(record: Record, folder: Path | None = None) -> bool:
    """Return whether the record, as it is, was made in ``folder``, by default ``runs/``."""
    try:
        known = ((folder or files.RUNS) / MADE).read_bytes()
    except OSError:
        return False
    return record.head.seal.encode() in known.splitlines()


def require_trust(record: Record, *, trust: bool) -> None:
    """Raise ConfigError unless the code on record was made here or is trusted.

    The message says whose it is, the commit, and where its changes can be read. It is raised for
    trusted code too if that is not the code that could be read before: a server may hand out one
    thing to be read and another to be run.
    """
    if made_here(record):
        return
    place, other = _readable(record)
    if trust and not other:
        return
    diff = f"with changes, read them in {files.shown(place)}" if DIFF in record.files else "alone"
    raise ConfigError(
        "code of FROM=source must be made on this machine, or be trusted; got that of run "
        f"{record.identity[:12]}, {record.source or 'imported, or altered since it was made'}: "
        f"commit {record.head.lineage.git_commit} {diff}{' (others than before)' if other else ''}"
        "; to run it: add TRUST=yes"
    )


def _readable(record: Record) -> tuple[Path, bool]:
    """Return the file that holds the changes, and whether it held others before."""
    if record.path.parent == files.RUNS:
        return record.path / DIFF, False
    path = files.RUNS / f"source-{record.identity[:12]}.diff"
    commit = f"commit {record.head.lineage.git_commit}\n\n"
    content = commit.encode() + record.files.get(DIFF, b"")
    before = path.read_bytes() if path.is_file() else content
    files.make_private(path.parent)
    files.replace(path, content)
    return path, before != content
