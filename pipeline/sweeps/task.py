"""What is asked of a worker, and what it answers: plain values that go over a pipe or a file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from pipeline.config import RunConfig
from pipeline.run import Status


@dataclass(frozen=True)
class Task:
    """One run to be made, in a process of its own."""

    number: int
    config: RunConfig
    overrides: tuple[str, ...]
    experiment: str
    runs: Path  # where records are
    log: Path
    timeout_s: float | None = None
    memory_mb: int | None = None

    def to_json(self) -> str:
        """The task on one line."""
        tree = {**vars(self), "config": self.config.model_dump()}
        return json.dumps({**tree, "runs": str(self.runs), "log": str(self.log)})

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Self:
        """The task that was written as this tree."""
        plain = {"config": RunConfig.parse(tree["config"]), "overrides": tuple(tree["overrides"])}
        return cls(**{**tree, **plain, "runs": Path(tree["runs"]), "log": Path(tree["log"])})


@dataclass(frozen=True)
class Traced:
    """What the identity of a run follows from; without one, why the data are refused."""

    identity: str | None
    data_digest: str = ""
    code_files: dict[str, str] | None = None
    versions: dict[str, str] | None = None
    refusal: str = ""
    exit_code: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a run ended, as its committed record tells it; without one, ``identity`` is None."""

    number: int
    status: Status
    identity: str | None
    kind: str = ""  # of the failure: the name of the error or of the signal
    message: str = ""  # why it did not finish
    exit_code: int = 0
    seconds: float = 0.0
    reused: dict[str, int] | None = None  # stages whose results were there already

    def to_json(self) -> str:
        """The outcome on one line."""
        return json.dumps(asdict(self))
