"""A word becomes the record that it names, and a record the runs that it was published as."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from pipeline import files
from pipeline.errors import ConfigError
from pipeline.record.head import IDENTITY, Head, RecordError
from pipeline.record.read import Record, read, read_head
from pipeline.stages.train import Start

PUBLISHED = "published.json"  # beside the record, no part of it
MIN_PREFIX = 4  # characters of an identity


class PublishedRun(BaseModel):
    """A run in MLflow: its page where a server has one, the sweeps that it is tagged with."""

    run_id: str
    url: str | None = None
    sweeps: tuple[str, ...] = ()


class _Published(BaseModel):
    """``published.json``: the runs of one attempt by the address of their store."""

    attempt: str
    runs: dict[str, PublishedRun]


def heads(folder: Path | None = None, *, newest: int | None = None) -> list[Head]:
    """Return the head of every record in ``folder``, the oldest first, without damaged ones.

    ``newest``: of so many alone, those whose folders were written last.
    """
    folder = folder or files.RUNS
    paths = [p for p in folder.iterdir() if IDENTITY.fullmatch(p.name)] if folder.is_dir() else []
    if newest is not None and len(paths) > newest:
        paths = sorted(paths, key=_written_ns)[-newest:]
    found = []
    for path in paths:
        try:
            found.append(read_head(path))
        except RecordError:
            continue
    return sorted(found, key=lambda head: (head.started_ms, head.identity))


def start_on_record(identity: str) -> Start | None:
    """Return where the FINISHED run began that is on record: made again it must begin there."""
    try:
        record = read(files.RUNS / identity)
    except RecordError:
        return None
    return record.start if record.status == "FINISHED" else None


def find(run: str, folder: Path | None = None) -> Record:
    """Return the record that ``run`` names, verified.

    ``run`` is ``latest`` (the FINISHED run that started last), the first characters of an identity,
    or the id that the run has in MLflow. Raise ConfigError, which names candidates, if no record or
    more than one is meant; RecordError if the one that is meant is damaged.
    """
    folder = folder or files.RUNS
    known = heads(folder)
    finished = [head.identity for head in known if head.status == "FINISHED"]
    named = finished[-1:] if run == "latest" else _named(run.strip().lower(), known, folder)
    if len(named) == 1:
        return read(folder / named[0])
    if run == "latest":
        raise ConfigError(f"RUN=latest needs a FINISHED run; got {_listed(known)}: make run")
    shown = [head for head in known if head.identity in named] or known
    raise ConfigError(f"RUN must name one record, or be latest; got {run!r}, have {_listed(shown)}")


def published_runs(identity: str, folder: Path | None = None) -> dict[str, PublishedRun]:
    """Return the runs in MLflow of the record that stands there, by the address of their store."""
    path = (folder or files.RUNS) / identity
    try:
        return runs_of(path, read_head(path))
    except RecordError:
        return {}


def mark_published(record: Record, address: str, run_id: str, url: str | None = None) -> None:
    """Remember that the record stands in the store at ``address`` (free of secrets)."""
    known = runs_of(record.path, record.head).get(address)
    sweeps = known.sweeps if known else ()
    _mark(record, address, PublishedRun(run_id=run_id, url=url, sweeps=sweeps))


def mark_member(record: Record, address: str, sweep: str) -> None:
    """Remember that the record's run there is tagged as a member of the sweep."""
    with files.locked(record.path):
        run = runs_of(record.path, record.head).get(address)
        if run is not None and sweep not in run.sweeps:
            _mark(record, address, run.model_copy(update={"sweeps": (*run.sweeps, sweep)}))


def _written_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # it is replaced at this moment
        return 0


def _named(word: str, known: list[Head], folder: Path) -> list[str]:
    """Return the identities that the word means: by folder, so that a damaged record is named."""
    if len(word) < MIN_PREFIX:
        return []
    paths = folder.iterdir() if folder.is_dir() else ()
    names = [path.name for path in paths if path.name.startswith(word)]
    begun = [name for name in names if IDENTITY.fullmatch(name)]
    return begun or [
        head.identity
        for head in known
        if any(run.run_id == word for run in published_runs(head.identity, folder).values())
    ]


def runs_of(path: Path, head: Head) -> dict[str, PublishedRun]:
    """Return the runs in MLflow of that attempt; a file that is damaged is as good as none."""
    try:
        held = _Published.model_validate_json((path / PUBLISHED).read_bytes())
    except (OSError, ValueError):
        return {}
    return held.runs if held.attempt == head.attempt else {}


def _mark(record: Record, address: str, run: PublishedRun) -> None:
    runs = runs_of(record.path, record.head) | {address: run}
    held = _Published(attempt=record.head.attempt, runs=runs)
    files.replace(record.path / PUBLISHED, held.model_dump_json(indent=1).encode())


def _listed(known: list[Head]) -> str:
    names = [f"{head.identity[:12]} ({head.status})" for head in known[-5:][::-1]]
    return ", ".join(names) + (" and more" if len(known) > 5 else "") if names else "none"
