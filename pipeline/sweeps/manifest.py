"""A sweep's folder, ``sweeps/<id>/``: which runs it is made of, their logs, the comparison.

The id follows from the name and the configurations, so the same command is the same sweep, and
its second start finds what the first has done. Whether a run is done is not written here: its
record decides.
"""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, StringConstraints, TypeAdapter
from pydantic.dataclasses import dataclass

from pipeline import files
from pipeline.config.schema import Configuration, RunConfig
from pipeline.errors import ConfigError
from pipeline.sweeps.grid import Grid
from pipeline.text import redactor, remembered

MANIFEST = "sweep.json"
LATEST = "latest"
MIN_PREFIX = 4  # characters of an id


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Member:
    """One job of a sweep. ``identity`` is None where its data could not be read."""

    number: int
    overrides: tuple[str, ...]
    identity: str | None
    message: str = ""  # why they could not


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Sweep:
    """A sweep as it is remembered. ``axes`` are the keys that had several values."""

    id: Annotated[str, StringConstraints(pattern="^[0-9a-f]{12}$")]
    name: str
    words: tuple[str, ...]
    axes: tuple[str, ...]
    started_ms: int
    members: tuple[Member, ...]
    format: Literal[2] = 2

    @property
    def folder(self) -> Path:
        """Where its logs and its comparison are."""
        return files.SWEEPS / self.id

    def log(self, number: int) -> Path:
        """Return where the run of that number prints."""
        return self.folder / "logs" / f"{number:05}.log"


def sweep_id(grid: Grid) -> str:
    """Return 12 hex digits that are equal for the same name and configurations."""
    digest = hashlib.sha256(f"[{json.dumps(grid.name)}".encode())  # of a list as JSON
    for job in grid.jobs:
        digest.update(f", {_run_json(job.configuration)}".encode())
    digest.update(b"]")
    return digest.hexdigest()[:12]


def _run_json(configuration: Configuration) -> str:
    """Return the JSON of ``repr(configuration.run_config())``, that of each part from memory."""
    parts = (f"{name}={_json_of(getattr(configuration, name))}" for name in RunConfig.model_fields)
    return f'"{RunConfig.__name__}({", ".join(parts)})"'


@remembered
def _json_of(part: Any) -> str:
    return json.dumps(repr(part))[1:-1]


def new_sweep(
    grid: Grid, words: Sequence[str], members: Iterable[Member], number: str | None = None
) -> Sweep:
    """Return the sweep that starts now, without secrets; its id is ``number`` if that is given."""
    mask = functools.cache(redactor())  # a word is that of many members

    def masked(texts: Iterable[str]) -> tuple[str, ...]:
        return tuple(map(mask, texts))

    now, name = time.time_ns() // 1_000_000, number or sweep_id(grid)
    kept = (Member(m.number, masked(m.overrides), m.identity, mask(m.message)) for m in members)
    return Sweep(name, mask(grid.name), masked(words), masked(grid.axes), now, tuple(kept))


def write_sweep(sweep: Sweep) -> None:
    """Remember the sweep, in one atomic step."""
    files.make_private(sweep.folder / "logs")
    text = json.dumps(TypeAdapter(Sweep).dump_python(sweep), separators=(",", ":"))
    files.replace(sweep.folder / MANIFEST, f"{text}\n".encode())


def read_sweep(folder: Path) -> Sweep | None:
    """Return the sweep that is remembered in the folder; None where there is none that is whole."""
    try:
        return TypeAdapter(Sweep).validate_python(json.loads((folder / MANIFEST).read_bytes()))
    except (OSError, ValueError):
        return None


def sweeps() -> list[Sweep]:
    """Return every sweep that is remembered, the one that started first first."""
    folders = files.SWEEPS.iterdir() if files.SWEEPS.is_dir() else ()
    found = [sweep for folder in folders if (sweep := read_sweep(folder)) is not None]
    return sorted(found, key=lambda sweep: (sweep.started_ms, sweep.id))


def find_sweep(word: str) -> Sweep:
    """Return the sweep that ``word`` names: latest, the beginning of an id, or a name.

    Of several with that name it is the one that started last. Raise ConfigError, which names those
    that there are, if there is none.
    """
    known = sweeps()
    named = [sweep for sweep in known if word in (LATEST, sweep.name)]
    if not named and len(word) >= MIN_PREFIX:
        named = [sweep for sweep in known if sweep.id.startswith(word)]
    if named:
        return named[-1]
    names = ", ".join(f"{s.name} ({s.id})" for s in known[-5:][::-1]) or "none: make sweep"
    raise ConfigError(f"SWEEP must name a sweep, or be latest; got {word!r}, have {names}")
