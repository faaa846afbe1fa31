"""The whole on one screen: from a configuration to everything that a run finds out."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from pipeline.config import RunConfig
from pipeline.errors import DEFECT, PipelineError
from pipeline.lineage import Lineage, surroundings, trace
from pipeline.reuse import Call, plainly
from pipeline.stages.certify import Certificate, certify
from pipeline.stages.encode import Encoder, count_unseen, encode, fit_encoder
from pipeline.stages.evaluate import Evaluation, RowLosses, evaluate, row_losses
from pipeline.stages.explain import Effects, explain
from pipeline.stages.read import read_rows
from pipeline.stages.split import split_table
from pipeline.stages.surface import Surface, slice_surface
from pipeline.stages.train import Trained, Watch, train
from pipeline.stages.validate import Validation, validate

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
    unseen: dict[str, int] | None = None  # rows with a category that train lacks, by attribute
    encoder: Encoder | None = None
    trained: Trained | None = None
    certificate: Certificate | None = None
    valid_losses: RowLosses | None = None
    evaluation: Evaluation | None = None
    effects: Effects | None = None
    surface: Surface | None = None  # where train.keep_path is set


class Stopped(Exception):  # noqa: N818 (a request, not an error)
    """Training was asked to stop, by a signal."""


def run(config: RunConfig, watch: Watch = lambda _: False, call: Call = plainly) -> RunResult:
    """Everything that the run of ``config`` finds out; equal configurations give equal bits.

    ``call`` calls a stage; in a sweep it hands back what the stage made of the same inputs before.

    A run that is refused, diverges, is stopped or crashes is a result as well: its ``failure`` says
    why, and what was found out until then is there.

    Raises
    ------
    DataError
        If the file cannot be read: without rows there is nothing to record.
    """
    rows = call(read_rows, config.data)
    result = RunResult(config, trace(config, rows.digest, call(surroundings)))
    with _kept(result):
        result.validation = call(validate, rows, config.data)
        table = result.validation.require()

        split = call(split_table, table, config.split)
        result.n_train, result.n_valid, result.n_test = split.sizes

        result.encoder = encoder = call(fit_encoder, split.train, config.encode, config.data)
        result.unseen = call(count_unseen, encoder, table)
        train_examples = call(encode, encoder, split.train, "train")
        valid_examples = call(encode, encoder, split.valid, "valid") if split.valid else None
        test_examples = call(encode, encoder, split.test, "test")

        result.trained = call(
            train, train_examples, valid_examples, encoder.inputs,
            config.optimiser, config.train, config.seed, watch,
        )  # fmt: skip
        theta, l2 = result.trained.theta, config.train.l2
        result.certificate = certify(result.trained, train_examples, l2)
        result.trained.require(config.optimiser)
        if result.trained.ended == "stopped":
            raise Stopped

        result.valid_losses = row_losses(theta, valid_examples) if valid_examples else None
        result.evaluation = evaluate(
            theta, test_examples, split.train.share, config.evaluate, held_out=split.held_out
        )
        result.effects = explain(theta, encoder, train_examples, test_examples, l2)
        if result.trained.path is not None:
            result.surface = slice_surface(result.trained.path, train_examples, l2)
    return result


@contextmanager
def _kept(result: RunResult) -> Iterator[None]:
    """Turn what goes wrong inside into the failure of the result."""
    try:
        yield
    except Stopped:
        result.status = "KILLED"
    except PipelineError as error:
        result.status = "FAILED"
        kind = type(error).__name__
        result.failure = Failure(kind, str(error), None, error.exit_code)
    except Exception as error:  # a defect of ours: recorded, then told as such
        result.status = "FAILED"
        trace_ = traceback.format_exc()
        result.failure = Failure(type(error).__name__, str(error), trace_, DEFECT)
