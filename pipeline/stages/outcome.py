"""What a run finds out, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from nn import Examples
from pipeline.config.schema import RunConfig
from pipeline.errors import Failure
from pipeline.stages.blocks.keyed import KeyedBlocks
from pipeline.stages.certify import Certificate
from pipeline.stages.copies import INDEPENDENT, Copies, Sampling
from pipeline.stages.drift import Distribution, Drift
from pipeline.stages.encode import Encoder
from pipeline.stages.evaluate import Evaluation, RowLosses
from pipeline.stages.explain import Effects
from pipeline.stages.infer import Inference
from pipeline.stages.optimism import Optimism
from pipeline.stages.penalty import PenaltyPath
from pipeline.stages.split import Dealing
from pipeline.stages.surface import Surface
from pipeline.stages.train import Trained
from pipeline.stages.validate import Table, Validation

Status = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True)
class Prepared:
    """Everything before training."""

    data_digest: str
    validation: Validation
    dealing: Dealing
    held_out: bool  # False where train and test are the same rows
    train_share: float  # of positive rows
    encoder: Encoder
    unseen: dict[str, dict[str, int]]  # categories that train lacks, and their rows
    train: Examples | KeyedBlocks
    valid: Examples | KeyedBlocks | None
    test: Examples | KeyedBlocks
    copies: Copies
    inference: Inference  # of the train rows, whatever is trained on them
    distributions: tuple[Distribution, ...]  # of train's columns, for other files to differ from
    drift: tuple[Drift, ...]  # from train to test, as a split by time may show
    sampling: Sampling = INDEPENDENT  # of the train rows
    valid_group: npt.NDArray[np.int64] | None = None  # of the validation rows
    table: Table | None = None  # the train rows, where folds are dealt of them

    @property
    def examples(self) -> tuple[Examples, Examples | None, Examples] | None:
        """Train, valid and test where they are held in memory; None where they are in blocks."""
        train, valid, test = self.train, self.valid, self.test
        if isinstance(train, Examples) and isinstance(test, Examples):
            return train, valid if isinstance(valid, Examples) else None, test
        return None

    @property
    def blocks(self) -> tuple[KeyedBlocks, KeyedBlocks | None, KeyedBlocks] | None:
        """Train, valid and test where they are in blocks; None where they are held in memory."""
        train, valid, test = self.train, self.valid, self.test
        if isinstance(train, Examples) or isinstance(test, Examples):
            return None
        return train, None if isinstance(valid, Examples) else valid, test

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Rows of train, valid and test, by count."""
        return self.dealing.rows


@dataclass(frozen=True)
class Refused:
    """Data that break their contract or cannot be split or encoded, and why."""

    data_digest: str
    validation: Validation | None
    failure: Failure


@dataclass(frozen=True)
class Finished:
    """Everything that a run finds out."""

    config: RunConfig
    prepared: Prepared
    trained: Trained
    certificate: Certificate
    validation_losses: RowLosses | None  # None without validation rows
    test_losses: RowLosses
    evaluation: Evaluation
    optimism: Optimism | None  # None where it is not asked for, or takes too long
    effects: Effects
    surface: Surface | None  # where train.keep_path is set
    penalty: PenaltyPath | None = None  # where train.l2 is cv
    status: Literal["FINISHED"] = "FINISHED"


@dataclass(frozen=True)
class Unfinished:
    """A run that was refused, diverged, stopped or crashed, and what it found out until then."""

    config: RunConfig
    prepared: Prepared | Refused
    failure: Failure
    status: Literal["FAILED", "KILLED"] = "FAILED"
    trained: Trained | None = None
    certificate: Certificate | None = None


Outcome = Finished | Unfinished
