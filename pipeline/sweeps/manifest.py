"""A sweep's folder, ``sweeps/<id>/``: which runs it is made of, their logs, the comparison.

The id follows from the name and the configurations, so the same command is the same sweep, and
its second start finds what the first has done. Whether a run is done is not written here: its
record decides.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import disk, paths
from pipeline.errors import ConfigError
from pipeline.redact import redact
from pipeline.sweeps.grid import Grid

MANIFEST = "sweep.json"
FORMAT = 1
LATEST = "latest"


@dataclass(frozen=True)
class Member:
    """One job of a sweep. ``identity`` is None where its data could not be read."""

    number: int
    overrides: tuple[str, ...]
    identity: str | None
    message: str = ""  # why the run did not finish, when it was last tried
    log: str = ""  # the name of its log in the sweep's folder


@dataclass(frozen=True)
class Sweep:
    """A sweep as it is remembered. ``axes`` are the keys that had several values."""

    id: str
    name: str
    words: tuple[str, ...]
    axes: tuple[str, ...]
    started_ms: int
    members: tuple[Member, ...] = field(default=())

    @property
    def folder(self) -> Path:
        """Where its logs and its comparison are."""
        return paths.SWEEPS / self.id


def sweep_id(grid: Grid) -> str:
    """12 hex digits that are equal for the same name and configurations."""
    parts = [grid.name, *(repr(job.configuration.run_config()) for job in grid.jobs)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def new_sweep(grid: Grid, words: Sequence[str], members: Sequence[Member]) -> Sweep:
    """The sweep that starts now."""
    told = tuple(redact(word) for word in words)
    now = time.time_ns() // 1_000_000
    return Sweep(sweep_id(grid), grid.name, told, tuple(grid.axes), now, tuple(members))


def write_sweep(sweep: Sweep) -> None:
    """Remember the sweep, in one atomic step."""
    disk.make_private(sweep.folder / "logs")
    members = [{**vars(member), "message": redact(member.message)} for member in sweep.members]
    tree = {"format": FORMAT, **vars(sweep), "members": members}
    disk.replace(sweep.folder / MANIFEST, (json.dumps(tree, indent=1) + "\n").encode())


def read_sweep(folder: Path) -> Sweep | None:
    """The sweep that is remembered in the folder; None where there is none that is whole."""
    try:
        tree: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        if tree.pop("format") != FORMAT:
            return None
        members = tuple(
            Member(**{**member, "overrides": tuple(member["overrides"])})
            for member in tree.pop("members")
        )
        lists: Mapping[str, Any] = {name: tuple(tree.pop(name)) for name in ("words", "axes")}
        return Sweep(**tree, **lists, members=members)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def sweeps() -> list[Sweep]:
    """Every sweep that is remembered, the one that started first first."""
    folders = paths.SWEEPS.iterdir() if paths.SWEEPS.is_dir() else ()
    found = [sweep for folder in folders if (sweep := read_sweep(folder)) is not None]
    return sorted(found, key=lambda sweep: (sweep.started_ms, sweep.id))


def find_sweep(word: str) -> Sweep:
    """The sweep that ``word`` names: latest, the beginning of an id, or a name (then the latest).

    Raises
    ------
    ConfigError
        If there is none; the message names those that there are.
    """
    known = sweeps()
    meant = [s for s in known if word in (LATEST, s.name)]
    meant = meant or [s for s in known if len(word) >= 4 and s.id.startswith(word)]
    if meant:
        return meant[-1]
    names = ", ".join(f"{s.name} ({s.id})" for s in known[-5:][::-1]) or "none: make sweep"
    raise ConfigError(f"SWEEP must name a sweep, or be latest; got {word!r}, have {names}")
