"""A word becomes the record that it names, and a record the runs that it was published as."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import disk, paths
from pipeline.errors import ConfigError
from pipeline.record.reading import IDENTITY, Record, RecordError, read, read_unverified

PUBLISHED = "published.json"  # beside the record, no part of it
_MIN_PREFIX = 4  # characters of an identity


def records(folder: Path = paths.RUNS) -> Iterator[Record]:
    """Every record in ``folder``, the oldest first; damaged ones are left out, files unverified."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if IDENTITY.fullmatch(path.name):
            try:
                found.append(read_unverified(path))
            except RecordError:
                continue
    yield from sorted(found, key=lambda record: (record.started_ms, record.identity))


def find(run: str, folder: Path = paths.RUNS) -> Record:
    """The record that ``run`` names, verified.

    ``run`` is ``latest`` (the FINISHED run that started last), the first characters of an identity,
    or the id that the run has in MLflow.

    Raises
    ------
    ConfigError
        If no record or more than one is meant; the message names candidates.
    RecordError
        If the record that is meant is damaged.
    """
    known = list(records(folder))
    finished = [record for record in known if record.status == "FINISHED"]
    if run == "latest" and finished:
        return read(finished[-1].path)
    word = run.strip().lower()
    if len(word) >= _MIN_PREFIX:
        # By folder, so that a damaged record is told as such and not as missing.
        named = sorted(folder.glob(f"{word}*")) if IDENTITY.match(word.ljust(8, "0")) else []
        meant = named or [r.path for r in known if word in published_runs(r).values()]
        if len(meant) == 1:
            return read(meant[0])
        known = [record for record in known if record.path in meant] or known
    if run == "latest":
        raise ConfigError(f"RUN=latest needs a FINISHED run; got {_have(known)}: make run")
    raise ConfigError(f"RUN must name one record, or be latest; got {run!r}, have {_have(known)}")


def published_runs(record: Record) -> dict[str, str]:
    """The id of the record's run in MLflow, by the address of the store it was published to."""
    return {address: str(entry["run_id"]) for address, entry in _entries(record).items()}


def memberships(record: Record, address: str) -> tuple[str, ...]:
    """The sweeps that the record's run is known to belong to in the store at ``address``."""
    return tuple(map(str, _entries(record).get(address, {}).get("sweeps", ())))


def mark_published(record: Record, address: str, run_id: str, url: str | None = None) -> None:
    """Remember that the record stands in the store at ``address`` (free of secrets)."""
    sweeps = list(memberships(record, address))
    _mark(record, address, {"run_id": run_id, "url": url, "sweeps": sweeps})


def published_url(record: Record) -> str | None:
    """The page of the record's run, where it was published to a server."""
    return next((str(e["url"]) for e in _entries(record).values() if e.get("url")), None)


def mark_member(record: Record, address: str, sweep: str) -> None:
    """Remember that the record's run there is tagged as a member of the sweep."""
    with disk.locked(record.path):
        entry = _entries(record)[address]
        sweeps = dict.fromkeys([*entry.get("sweeps", []), sweep])
        _mark(record, address, {**entry, "sweeps": list(sweeps)})


def remove_litter(record: Record) -> None:
    """Remove what killed processes left beside the record's files; for who holds its lock."""
    for path in record.path.glob(".*"):  # no file of a record has such a name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _entries(record: Record) -> dict[str, dict[str, Any]]:
    try:
        tree = json.loads((record.path / PUBLISHED).read_bytes())
        known = tree["attempts"].get(record.attempt, {})
        return {str(a): dict(e) for a, e in known.items() if isinstance(e["run_id"], str)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _mark(record: Record, address: str, entry: dict[str, Any]) -> None:
    entries = _entries(record) | {address: entry}
    tree = json.dumps({"attempts": {record.attempt: entries}}, indent=1)
    disk.replace(record.path / PUBLISHED, tree.encode())


def _have(known: list[Record]) -> str:
    names = [f"{record.identity[:12]} ({record.status})" for record in known[-5:][::-1]]
    return f"{', '.join(names)}" + (" and more" if len(known) > 5 else "") if names else "none"
