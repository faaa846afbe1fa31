"""A folder becomes a Record: every file in it is the one that was committed, or it is refused.

Each file is read and hashed once. From then on it is a value in memory, and nothing that changes
on disk can get in between.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, TypeAdapter

from nn.arrays import Array
from pipeline.config.source_settings import place_of
from pipeline.errors import DataError, Failure, reason_of
from pipeline.record.arrays import parse_array, parse_curve
from pipeline.record.head import MISSHAPEN, RESULT, Head, RecordError, parse_head
from pipeline.record.identity import Identity
from pipeline.stages.certify import Certificate
from pipeline.stages.drift import Distribution
from pipeline.stages.evaluate import Evaluation, RowLosses
from pipeline.stages.explain import Effects
from pipeline.stages.optimism import Optimism
from pipeline.stages.outcome import Status
from pipeline.stages.penalty import PenaltyPath
from pipeline.stages.predict import Model, from_json
from pipeline.stages.split import Dealing
from pipeline.stages.surface import Surface
from pipeline.stages.train import Start
from pipeline.text import one_line

MAX_RESULT = 16 * 2**20  # bytes
MAX_BYTES = 2**30  # of all files together
COMPLETE = {"model.json", "curve.csv", "evaluation.json", "effects.json"}
NAMES, NUMBERS = TypeAdapter(list[str]), TypeAdapter(list[int])
FIGURES: TypeAdapter[dict[str, float | None]] = TypeAdapter(dict[str, float | None])
EFFECTS = TypeAdapter(Effects)
OPTIMISM = TypeAdapter(Optimism)
DISTRIBUTIONS = TypeAdapter(tuple[Distribution, ...])
DEALING = TypeAdapter(Dealing)


class _Start(BaseModel, allow_inf_nan=False):
    run: Identity
    l2: float
    theta: list[float]


Fetch = Callable[[str, int], bytes]  # of a file, by its name and size


@dataclass(frozen=True)
class Repeat:
    """What a run found where its record stood already: whether every bit is the same again.

    ``difference`` says where a bit differs: an error, unless ``elsewhere`` says in what the machine
    is another one, which may round otherwise, or ``start`` that training began elsewhere, and ended
    at the same neuron all the same.
    """

    identical: bool
    difference: str
    elsewhere: str = ""
    start: str = ""

    @property
    def is_error(self) -> bool:
        """Whether bits differ that must not."""
        return not (self.identical or self.elsewhere or self.start)


@dataclass(frozen=True)
class Record:
    """A run that was committed, verified: its head and the bytes of its files."""

    path: Path
    head: Head
    files: Mapping[str, bytes] = field(repr=False)
    repeat: Repeat | None = None  # set by write() where the record stood already
    source: str = ""  # where it came from, of one that was fetched or is being imported

    @property
    def identity(self) -> str:
        """What the run is: 32 hex digits that hash all that determines its result."""
        return self.head.identity

    @property
    def status(self) -> Status:
        """FINISHED only ever means complete."""
        return self.head.status

    @property
    def config(self) -> dict[str, Any]:
        """The configuration, resolved, as plain values; secrets are masked."""
        return self.head.config

    @property
    def failure(self) -> Failure | None:
        """Why the run did not finish."""
        return self.head.failure

    @property
    def certificate(self) -> Certificate | None:
        """How far the neuron is from the best one."""
        return self.head.certificate

    @cached_property
    def model(self) -> Model:
        """Contract, encoder, parameters and threshold: all that a prediction needs."""
        return from_json(self.text("model.json"))

    @cached_property
    def curve(self) -> dict[str, Array]:
        """Every series of the curve by its name; empty where training was not reached."""
        return parse_curve(self.files["curve.csv"]) if "curve.csv" in self.files else {}

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """``theta`` and every series of the curve; empty where training was not reached."""
        return {"theta": self.model.theta, **self.curve} if self.curve else {}

    @cached_property
    def evaluation(self) -> Evaluation:
        """The figures on the test rows."""
        return Evaluation.from_tree(self.json("evaluation.json"))

    @cached_property
    def effects(self) -> Effects:
        """What each input does to the odds, and how much each attribute matters."""
        return Effects.from_tree(self.json("effects.json"))

    @cached_property
    def optimism(self) -> Optimism | None:
        """Figures on the training rows less their optimism; None without any."""
        held = "optimism.json" in self.files
        return OPTIMISM.validate_json(self.files["optimism.json"]) if held else None

    @cached_property
    def surface(self) -> Surface | None:
        """The slice of the loss surface; None where the path was not kept."""
        held = "surface.json" in self.files
        return Surface.from_tree(self.json("surface.json")) if held else None

    @cached_property
    def start(self) -> Start | None:
        """The optimum of another run at which training began; None of most runs."""
        if "start.json" not in self.files:
            return None
        start = _Start.model_validate_json(self.files["start.json"])
        theta = np.array(start.theta)
        if theta.shape != self.model.theta.shape:
            rule = f"start.json must have {self.model.theta.size} weights"
            raise RecordError(f"{rule}; got {theta.size} in {self.path}")
        return Start(start.run, start.l2, theta)

    @property
    def start_text(self) -> str:
        """Where training began, in words."""
        start = self.start
        return f"the optimum of run {start.run[:12]} (l2 {start.l2:g})" if start else "zeros"

    @cached_property
    def penalty(self) -> PenaltyPath | None:
        """What folds say of each strength of the penalty; None where they did not choose it."""
        held = "penalty_path.json" in self.files
        return PenaltyPath.from_tree(self.json("penalty_path.json")) if held else None

    @cached_property
    def validation_losses(self) -> RowLosses | None:
        """Losses in nats of the distinct validation rows, or of buckets; None without any."""
        return self._losses("validation_losses.npy")

    @cached_property
    def test_losses(self) -> RowLosses | None:
        """Loss in nats of each distinct test row, and for how many independent rows it stands."""
        return self._losses("test_losses.npy")

    @cached_property
    def distributions(self) -> tuple[Distribution, ...]:
        """The distributions of train's columns; none of a record of an earlier version."""
        held = "distributions.json" in self.files
        return DISTRIBUTIONS.validate_json(self.files["distributions.json"]) if held else ()

    @cached_property
    def dealing(self) -> Dealing | None:
        """How the rows were dealt; None of a run that got no rows, or is older than this file."""
        held = "split.json" in self.files
        return DEALING.validate_json(self.files["split.json"]) if held else None

    def text(self, name: str) -> str:
        """Return a file of the record as text; raise RecordError if there is none of that name."""
        if name not in self.files:
            raise RecordError(f"record must hold {name}; got none of that name in {self.path}")
        return self.files[name].decode("utf-8")

    def json(self, name: str) -> Any:
        """Return a file of the record as plain values."""
        return json.loads(self.text(name))

    def _losses(self, name: str) -> RowLosses | None:
        held = name in self.files
        return RowLosses(*parse_array(self.files[name], rows=(2, 3, 4))) if held else None


def read(folder: Path, only: Container[str] | None = None) -> Record:
    """Return the record in ``folder``, verified; with ``only`` these files of it, if it has them.

    Raise RecordError if a file is missing, altered, or no plain file of that folder.
    """
    head = read_head(folder)
    return _verified(folder, head, lambda name, size: _read_file(folder, name, size), only)


def read_head(folder: Path) -> Head:
    """Return the head of the record in ``folder``; its files are not looked at.

    Raise RecordError if it is damaged, altered, of another format, or not of the folder's name.
    """
    return parse_head(_read_file(folder, RESULT, MAX_RESULT), folder.name, str(folder))


def verified(folder: Path, head: Head, fetch: Fetch, source: str = "") -> Record:
    """Return a record that comes from elsewhere, before anything of it is written anywhere.

    ``folder`` is where it may be placed later; ``head`` is from ``parse_head``, so that no other
    names than those of a record's files are asked for. ``fetch`` returns the bytes of a file, and
    of one that is too long no more than one byte too many. Raise RecordError if bytes are not those
    that were committed, or not of the shape of a record.
    """
    record = replace(_verified(folder, head, fetch), source=source)
    try:
        _parse_all(record)
    except (DataError, *MISSHAPEN) as error:
        got = f"a misshapen one ({one_line(error, 200)})"
        raise RecordError(f"record must be one of make run; got {got} in {folder}") from None
    return record


def _verified(folder: Path, head: Head, fetch: Fetch, only: Container[str] | None = None) -> Record:
    lacking = COMPLETE - head.files.keys() if head.status == "FINISHED" else ()
    if lacking:
        raise RecordError(f"a FINISHED record must hold {sorted(lacking)}; got none in {folder}")
    total = sum(entry.bytes for entry in head.files.values())
    if total > MAX_BYTES:
        raise RecordError(f"record must be at most {MAX_BYTES:,} bytes; got {total:,} in {folder}")
    files: dict[str, bytes] = {}
    for name, entry in head.files.items():
        if only is not None and name not in only:
            continue
        files[name] = fetch(name, entry.bytes)
        digest = hashlib.sha256(files[name]).hexdigest()
        if digest != entry.sha256:
            rule = f"{name} must have sha256 {entry.sha256[:12]}…"
            raise RecordError(f"{rule}; got {digest[:12]}…: it was altered, in {folder}")
    return Record(folder, head, files)


def _read_file(folder: Path, name: str, size: int) -> bytes:
    """Return the first ``size + 1`` bytes of a file; no link is followed, no pipe waited for."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(folder / name, flags), "rb") as file:
            return file.read(size + 1) or b""
    except OSError as error:
        raise RecordError(f"{name} must be readable; got {reason_of(error)} in {folder}") from None


def _parse_all(record: Record) -> None:
    """Raise an error if the configuration or a file cannot be what it is named."""
    config = record.config
    names = [config["data"]["name"], place_of(config["data"]), config["split"]["name"]]
    NAMES.validate_python([*names, config["optimiser"]["name"]], strict=True)
    NUMBERS.validate_python([config["seed"], config["train"]["epochs"]], strict=True)
    for name in record.files:
        if name.endswith(".json"):
            record.json(name)
    _ = record.arrays, record.validation_losses, record.surface, record.optimism, record.dealing
    _ = record.test_losses, record.distributions, record.penalty, record.start
    if record.status == "FINISHED":
        FIGURES.validate_python(record.evaluation.metrics | record.evaluation.baseline)
        EFFECTS.validate_json(record.files["effects.json"])
        _ = record.curve["objective"][-1]
