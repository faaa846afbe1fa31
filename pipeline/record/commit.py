"""A result becomes a record in one atomic step; what stands there and is whole is never lost."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from nn.arrays import Array
from pipeline import disk, paths
from pipeline.errors import PipelineError
from pipeline.lineage import other_machine
from pipeline.record.contents import arrays, contents, json_bytes, lineage_tree, scalars
from pipeline.record.origin import remember
from pipeline.record.reading import (
    FORMAT,
    RESULT,
    Record,
    RecordError,
    Repeat,
    check_identity,
    read,
    seal_of,
)
from pipeline.record.shape import check_free
from pipeline.redact import redact, redact_tree
from pipeline.run import RunResult

_LOCK = ".lock"
_PARTIAL = ".tmp."
_ASIDE = ".aside."  # in the name of what made way


class CommitError(PipelineError):
    """The record could not be written; nothing of it is left behind."""

    exit_code = 4


def write(
    result: RunResult,
    folder: Path = paths.RUNS,
    extra: Mapping[str, bytes] | None = None,
    *,
    overrides: Sequence[str] = (),
    experiment: str | None = None,
    started_ms: int | None = None,
) -> Record:
    """The record of ``result`` in ``folder/<identity>``.

    Where a FINISHED, intact record of that identity stands, it stays: it is returned with
    ``repeat`` saying whether this run, if FINISHED, gave the same bits. One with the same bits that
    lacks files of ``extra`` (a sweep draws no figures) makes way, as does anything else.

    Parameters
    ----------
    result
        What the run found out.
    folder
        Where the records are.
    extra
        More files by name, such as ``figures/curves.png``.
    overrides
        What was typed to get this run; ``tracking.*`` is left out.
    experiment
        Where the run is meant to be published; by default under the name of its data.
    started_ms
        When the run started, in milliseconds since 1970; by default now.

    Raises
    ------
    CommitError
        If the disk is full or does not let us write.
    RecordError
        If a name in ``extra`` leads out of the record.
    """
    target = folder / check_identity(result.lineage.identity)
    files = contents(result) | _checked(extra or {})
    try:
        disk.make_private(folder)
        _tidy(folder)
        standing = _standing(target, result)
        if standing is not None and not _lacks(standing, files):
            return standing
        head = _head(result, overrides, experiment, started_ms)
        with _partial_folder(folder, target.name) as partial:
            seal = _fill(partial, files, head)
            with disk.locked(folder / _LOCK):
                # Another process may have committed this identity meanwhile.
                standing = _standing(target, result)
                if standing is not None and not _lacks(standing, files):
                    return standing
                remember(folder, seal)
                return replace(_move(partial, target), repeat=standing.repeat if standing else None)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CommitError(
            f"record must be written to {redact(str(target))}; got {reason}: nothing was kept of "
            "this run; make room or leave to write, then repeat the command"
        ) from None


def adopt(found: Record, folder: Path = paths.RUNS) -> tuple[Record, bool]:
    """The record ``found`` elsewhere, put in ``folder`` in one step; whether it is new there.

    Raises
    ------
    CommitError
        If the disk does not let us write.
    RecordError
        If a whole record of that identity stands there, made on such a machine, with other bits.
    """
    target = folder / found.identity
    files = {name: found.content(name) for name in found.files}
    try:
        disk.make_private(folder)
        _tidy(folder)
        with _partial_folder(folder, target.name) as partial:
            _fill(partial, files, found.tree)
            with disk.locked(folder / _LOCK):
                standing = _whole(target)
                if standing is None or standing.status != "FINISHED":
                    return _move(partial, target), True
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CommitError(f"record must be written to {folder}; got {reason}") from None
    if found.status != "FINISHED":
        return standing, False
    repeat = _repeat(standing, found.arrays, found.lineage)
    if repeat.difference and not repeat.elsewhere:
        raise RecordError(
            f"run {found.identity[:12]} must have the bits of the one that stands here; got "
            f"{repeat.difference}: one of the two was altered"
        )
    return replace(standing, repeat=repeat), False


def _whole(target: Path) -> Record | None:
    try:
        return read(target)
    except RecordError:
        return None


def _head(
    result: RunResult, overrides: Sequence[str], experiment: str | None, started_ms: int | None
) -> dict[str, Any]:
    """``result.json`` without the digests of the files."""
    now = time.time_ns() // 1_000_000
    lineage = lineage_tree(result)
    del lineage["code_files"]
    trained = result.trained
    return {
        "format": FORMAT,
        "identity": result.lineage.identity,
        "attempt": secrets.token_hex(4),
        "status": result.status,
        "failure": redact_tree(asdict(result.failure)) if result.failure else None,
        "started_ms": started_ms if started_ms is not None else now,
        "ended_ms": max(now, started_ms or 0),
        "experiment": redact(experiment or result.config.data.name),
        "overrides": [redact(word) for word in overrides if not _is_tracking(word)],
        "best_epoch": trained.best_epoch if trained else None,
        "ended": trained.ended if trained else None,
        "metrics": scalars(result),
        "lineage": lineage,
    }


def _is_tracking(override: str) -> bool:
    name = override.lstrip("+~")
    return name.startswith(("tracking.", "tracking=", "tracking@"))


def _checked(extra: Mapping[str, bytes]) -> dict[str, bytes]:
    for name in extra:
        check_free(name)
    return dict(extra)


def _standing(target: Path, result: RunResult) -> Record | None:
    """The FINISHED, intact record that stands there, compared with ``result``; else None."""
    try:
        record = read(target)
    except RecordError:
        return None
    if record.status != "FINISHED":
        return None
    if result.status != "FINISHED" or result.trained is None:
        return record  # there is nothing to compare, and nothing better to keep
    repeat = _repeat(record, arrays(result.trained), lineage_tree(result))
    return replace(record, repeat=repeat)


def _lacks(standing: Record, files: Mapping[str, bytes]) -> bool:
    """Whether the same bits stand there with less beside them."""
    same = standing.repeat is not None and standing.repeat.identical
    return same and bool(files.keys() - standing.files.keys())


def _repeat(record: Record, again: Mapping[str, Array], lineage: Mapping[str, Any]) -> Repeat:
    difference = _difference(record.arrays, again)
    elsewhere = other_machine(record.lineage, lineage) if difference else ""
    return Repeat(not difference, difference, elsewhere)


def _difference(recorded: Mapping[str, Array], again: Mapping[str, Array]) -> str:
    """Where theta or a point of the curve is not the same to the last bit; "" where all are."""
    for name in sorted(recorded.keys() | again.keys(), key=lambda name: (name != "theta", name)):
        if name not in recorded or name not in again:
            return f"{name} is there only {'now' if name in again else 'on record'}"
        old, new = recorded[name], np.ascontiguousarray(again[name], np.float64)
        if old.shape != new.shape:
            return f"{name} has shape {new.shape}, {old.shape} on record"
        odd = np.flatnonzero(old.view(np.uint64).ravel() != new.view(np.uint64).ravel())
        if len(odd):
            i = int(odd[0])
            was, got = float(old.ravel()[i]), float(new.ravel()[i])
            return f"{name}[{i}] is {got!r}, {was!r} on record"
    return ""


@contextlib.contextmanager
def _partial_folder(folder: Path, identity: str) -> Iterator[Path]:
    """A folder to fill. Its lock says that we live; it is gone afterwards unless it was moved."""
    name = f"{_PARTIAL}{identity}.{os.getpid()}.{secrets.token_hex(4)}"
    with contextlib.ExitStack() as stack:
        with disk.locked(folder / _LOCK):
            partial = folder / name
            disk.make_private(partial)
            stack.enter_context(disk.locked(partial))
        stack.callback(shutil.rmtree, partial, ignore_errors=True)
        yield partial


def _tidy(folder: Path) -> None:
    """Remove what dead processes left, and put back what made way for a record that never came.

    Whose process lives, its folder is locked.
    """
    if not any(folder.glob(f"{_PARTIAL}*")):
        return
    with disk.locked(folder / _LOCK):
        for path in folder.glob(f"{_PARTIAL}*"):
            target = folder / path.name.removeprefix(_PARTIAL).partition(".")[0]
            if _ASIDE in path.name and not target.exists():
                path.rename(target)
                disk.sync_folder(folder)
            elif (lock := disk.try_lock(path)) is not None:
                shutil.rmtree(path, ignore_errors=True)
                if path.is_file():  # its owner was faster, and the lock made it anew
                    path.unlink()
                os.close(lock)


def _fill(partial: Path, files: Mapping[str, bytes], head: dict[str, Any]) -> str:
    """Write the record into the folder; its seal."""
    for name, content in files.items():
        path = partial / name
        disk.make_private(path.parent)
        disk.write_new(path, content)
    digests = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in sorted(files.items())
    }
    tree = {**head, "files": digests}
    seal = seal_of(tree)
    disk.write_new(partial / RESULT, json_bytes({**tree, "seal": seal}))
    for path in [partial, *(path for path in partial.rglob("*") if path.is_dir())]:
        disk.sync_folder(path)
    return seal


def _move(partial: Path, target: Path) -> Record:
    """Put the folder in its place. What stood there makes way, and goes when this one stands."""
    aside = None
    if target.is_symlink() or target.is_file():
        target.unlink()
    elif target.exists():
        aside = target.with_name(f"{_PARTIAL}{target.name}{_ASIDE}{secrets.token_hex(4)}")
        target.rename(aside)
    partial.rename(target)
    disk.sync_folder(target.parent)
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)
    return read(target)
