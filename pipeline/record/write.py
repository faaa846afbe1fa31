"""An outcome becomes a record in one atomic step; what stands there and is whole is never lost."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import DiskError, reason_of
from pipeline.record.contents import config_tree, contents, json_bytes, metrics, plain
from pipeline.record.difference import difference
from pipeline.record.head import FORMAT, IDENTITY, RESULT, Head, RecordError, seal_of
from pipeline.record.identity import Environment, environment, other_machine, trace
from pipeline.record.read import Record, Repeat, read
from pipeline.record.trust import remember
from pipeline.stages.outcome import Outcome
from pipeline.text import redact, redact_tree

LOCK = ".lock"  # beside the records
# What is being written, and what it replaces, is in a folder of its own under the lock alone: the
# records may be many, and nobody has to look through them for what a kill left.
PARTIAL, ASIDE = ".tmp", ".aside"
SAME_OPTIMUM = 1e-10  # of a weight, relative where it is above 1


def write(
    outcome: Outcome,
    folder: Path | None = None,
    *,
    here: Environment | None = None,
    overrides: Sequence[str] = (),
    experiment: str | None = None,
    started_ms: int | None = None,
) -> Record:
    """Write the record of ``outcome`` to ``folder/<identity>``, and return it as it was written.

    Where a FINISHED, intact record of that identity stands, it stays: it is returned with
    ``repeat`` saying whether this run, if FINISHED, gave the same bits. Anything else is replaced.
    Raise DiskError if the disk is full or may not be written to.

    ``here`` is the environment that made it, by default this process. Of ``overrides``, what was
    typed, ``tracking.*`` is left out. ``experiment`` is where the run is meant to be published, by
    default the name of its data; ``started_ms`` are milliseconds since 1970, by default now.
    """
    here = here or environment()
    lineage = trace(outcome.config, outcome.prepared.data_digest, here)
    now = time.time_ns() // 1_000_000
    trained, certificate = outcome.trained, outcome.certificate
    tree = {
        "format": FORMAT,
        "identity": lineage.identity,
        "attempt": secrets.token_hex(4),
        "status": outcome.status,
        "failure": redact_tree(asdict(outcome.failure)) if outcome.status != "FINISHED" else None,
        "started_ms": started_ms if started_ms is not None else now,
        "ended_ms": max(now, started_ms or 0),
        "experiment": redact(experiment or outcome.config.data.name),
        "overrides": [redact(word) for word in overrides if not _is_tracking(word)],
        "best_epoch": trained.best_epoch if trained else None,
        "ended": trained.ended if trained else None,
        "certificate": asdict(certificate) if certificate else None,
        "metrics": metrics(outcome),
        "config": config_tree(outcome.config),
        "lineage": redact_tree(lineage.model_dump()),
    }
    content = contents(outcome, here.git_diff)
    path = (folder or files.RUNS) / lineage.identity
    return _commit(Record(path, _sealed(tree, content), content), is_made_here=True)


def adopt(found: Record, folder: Path | None = None) -> tuple[Record, bool]:
    """Put a verified record made elsewhere in ``folder``; return it and whether it is new there.

    Raise RecordError if a whole record of that identity stands there, made on such a machine, with
    other bits; DiskError if the disk may not be written to.
    """
    path = (folder or files.RUNS) / found.identity
    record = _commit(replace(found, path=path), is_made_here=False)
    repeat = record.repeat
    if repeat is not None and repeat.is_error:
        raise RecordError(
            f"run {found.identity[:12]} must have the bits of the one that stands here; got "
            f"{repeat.difference}: one of the two was altered"
        )
    return record, repeat is None and record.head.attempt == found.head.attempt


def result_bytes(head: Head) -> bytes:
    """Return ``result.json`` as it is written."""
    return json_bytes(head.model_dump())


def _sealed(tree: dict[str, Any], content: Mapping[str, bytes]) -> Head:
    """Return the head with the digests of the files, and its seal."""
    entries = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in sorted(content.items())
    }
    head = Head.model_validate({**plain(tree), "files": entries, "seal": "0" * 64})
    return head.model_copy(update={"seal": seal_of(head.model_dump(exclude={"seal"}))})


def _is_tracking(override: str) -> bool:
    return override.lstrip("+~").startswith(("tracking.", "tracking=", "tracking@"))


def _commit(made: Record, *, is_made_here: bool) -> Record:
    """Put the record in its place in one step, unless a finished one stands there."""
    folder = made.path.parent
    try:
        files.make_private(folder)
        with files.locked(folder / LOCK):
            _tidy(folder)
            existing = _existing(made)
            if existing is None:
                if is_made_here:
                    remember(made)
                _place(made)
            return existing or made
    except OSError as error:
        raise DiskError(
            f"record must be written to {made.path}; got {reason_of(error)}: nothing was kept of "
            "this run; make room or give permission, then repeat the command"
        ) from None


def _existing(made: Record) -> Record | None:
    """Return the FINISHED, intact record that stands there, compared with this one; else None."""
    try:
        record = read(made.path)
    except RecordError:
        return None
    if record.status != "FINISHED":
        return None
    if made.status != "FINISHED":
        return record  # there is nothing to compare, and nothing better to keep
    found = difference(record.arrays, made.arrays, made.head.best_epoch or 0)
    was, now = record.head.lineage.model_dump(), made.head.lineage.model_dump()
    elsewhere = "" if found.identical else other_machine(was, now)
    start = "" if found.identical else _other_start(record, made)
    return replace(record, repeat=Repeat(found.identical, found.where, elsewhere, start))


def _other_start(record: Record, made: Record) -> str:
    """Return how close the neurons are of two trainings that began elsewhere; "" if they did not.

    "" also where they are not close: other starts are no reason for another optimum.
    """
    if record.start_text == made.start_text:
        return ""
    was, now = ({"theta": each.model.theta} for each in (record, made))
    found = difference(was, now, 0)
    if found.largest > SAME_OPTIMUM:
        return ""
    weights = "the same bits" if found.identical else f"the same weights to {found.largest:.1g}"
    return f"{weights}, from {made.start_text}; it was made from {record.start_text}"


def _place(made: Record) -> None:
    """Write the files beside their place, then move them there; what stood there goes last."""
    partial = made.path.parent / PARTIAL / made.identity
    aside = partial.with_name(f"{made.identity}{ASIDE}")
    try:
        files.make_private(partial)
        for name, content in [*made.files.items(), (RESULT, result_bytes(made.head))]:
            files.write_new(partial / name, content)
        files.sync(partial)
        if made.path.is_symlink() or made.path.is_file():
            made.path.unlink()
        elif made.path.exists():
            made.path.rename(aside)
        partial.rename(made.path)
        files.sync(made.path.parent)
        shutil.rmtree(aside, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):  # what was to be replaced may still be there
            partial.parent.rmdir()


def _tidy(folder: Path) -> None:
    """Remove what a process left that died; put back what was to be replaced and was not."""
    for path in (folder / PARTIAL).glob("*"):
        target = folder / path.name.removesuffix(ASIDE)
        if path.name.endswith(ASIDE) and IDENTITY.fullmatch(target.name) and not target.exists():
            path.rename(target)
            files.sync(folder)
        else:
            shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):  # it is not there
        (folder / PARTIAL).rmdir()
