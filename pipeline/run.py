"""The whole on one screen: from a configuration to everything that a run finds out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.config import RunConfig
from pipeline.lineage import Lineage
from pipeline.stages.encode import Encoder
from pipeline.stages.evaluate import Evaluation
from pipeline.stages.explain import Effects
from pipeline.stages.train import Trained
from pipeline.stages.validate import Validation

Status = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True)
class Failure:
    """Why a run did not finish. ``kind`` is the name of the error or of the signal."""

    kind: str
    message: str
    traceback: str | None  # of a defect of ours
    exit_code: int


@dataclass
class RunResult:
    """What a run found out, filled stage by stage; all of it where ``status`` is FINISHED."""

    config: RunConfig
    lineage: Lineage
    status: Status = "FINISHED"
    failure: Failure | None = None
    validation: Validation | None = None
    n_train: int = 0  # rows, by count
    n_valid: int = 0
    n_test: int = 0
    encoder: Encoder | None = None
    trained: Trained | None = None
    evaluation: Evaluation | None = None
    effects: Effects | None = None
