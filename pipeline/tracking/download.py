"""A run's record comes from the store: bounded, under names of our own, verified before it is used.

``result.json`` comes first and says what else there is. Of what the server lists nothing is asked,
and no name that it gives is a path before it was found to be a plain one.
"""

from __future__ import annotations

import errno
import re
import resource
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline import disk
from pipeline.errors import DataError, TrackingError, bounded
from pipeline.record import Record, RecordError, read
from pipeline.record.reading import MAX_RESULT, RESULT, check_identity, read_unverified
from pipeline.record.shape import listed, require_shape
from pipeline.redact import printable
from pipeline.safe_arrays import MISSHAPEN
from pipeline.tracking.projection import OWNER, project
from pipeline.tracking.store import Store, failures

RUN_ID = re.compile(r"[0-9A-Za-z][\w-]{0,255}", re.ASCII)
SMALL = 2**20  # bytes of a file that is fetched beside others
AT_ONCE = 8


def download(store: Store, run: Any, identity: str, folder: Path) -> Record:
    """The record of the run, verified, in a new folder within ``folder``.

    Raises
    ------
    RecordError
        If it is not whole there, of another shape, or not where such a store may have it. Nothing
        of it is left.
    """
    check_identity(identity)
    disk.make_private(folder)
    place = Path(tempfile.mkdtemp(dir=folder))
    target = place / identity
    whence = f"run {run.info.run_id} of {store.address.shown}"
    try:
        check_run_id(run.info.run_id)
        record = _fetched(store.client.repository(run.info.artifact_uri), target)
    except (DataError, TrackingError) as refusal:  # names in it come from the server
        shutil.rmtree(place)
        told = " ".join(str(refusal).replace(str(target), whence).split())
        raise RecordError(bounded([printable(told)])) from None
    except BaseException:
        shutil.rmtree(place)
        raise
    owner = printable(str(run.data.tags.get(OWNER, "nobody who is named"))[:100])
    return replace(record, source=f"published by {owner} at {store.address.shown}")


def check_run_id(run_id: str | None) -> str:
    """The id of a run, if it is one of MLflow's.

    Raises
    ------
    RecordError
        If it is anything else.
    """
    if not RUN_ID.fullmatch(run_id or ""):
        raise RecordError(f"run must have an id of MLflow's; got {(run_id or '')[:80]!r}")
    return str(run_id)


def _fetched(repository: Any, target: Path) -> Record:
    """The record, in ``target``, verified and whole enough to publish."""
    _fetch(repository, target, {RESULT: MAX_RESULT})
    try:
        sizes = listed(read_unverified(target).tree)
        _fetch(repository, target, sizes)
        record = read(target)
        require_shape(record)
        project(record)
    except MISSHAPEN as error:
        raise RecordError(f"record must be of our shape; got {error} in {target}") from None
    return record


def _fetch(repository: Any, target: Path, limits: dict[str, int]) -> None:
    """Fetch the files of these names, none of them longer than its limit."""
    small = [name for name, limit in limits.items() if limit <= SMALL]
    with _at_most(SMALL), ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda name: _fetch_one(repository, target, name, limits[name]), small))
    for name in limits.keys() - small:
        with _at_most(limits[name]):
            _fetch_one(repository, target, name, limits[name])


def _fetch_one(repository: Any, target: Path, name: str, limit: int) -> None:
    path = target / name
    try:
        disk.make_private(path.parent)
        # By its path alone: what reads whole folders goes by the names that the server lists.
        repository._download_file(name, str(path))
        more = path.stat().st_size > limit
    except failures() as error:
        more = getattr(error, "errno", None) == errno.EFBIG
        if not more:
            told = " ".join((getattr(error, "strerror", None) or str(error)).split())[:300]
            raise RecordError(f"{name} must be readable; got {told} in {target}") from None
    if more:
        most = "at most " if name == RESULT else ""
        raise RecordError(f"{name} must be {most}{limit} bytes long; got more in {target}")


@contextmanager
def _at_most(size: int) -> Iterator[None]:
    """Have the system let no file of this process grow beyond ``size`` bytes.

    Whatever MLflow reads from, it writes what comes to a file, for as long as something comes.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    held = [limit for limit in (soft, hard, size) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(held), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
