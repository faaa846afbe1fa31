"""Paths of the penalty: a run of Newton's method begins at the optimum of the next stronger l2.

The optimum that it ends at is the same, as ``nn.optimum.settle`` has it; the steps are fewer.
"""

from __future__ import annotations

from collections import defaultdict

from nn.optimum import MAX_STEPS
from pipeline import files
from pipeline.config.schema import RunConfig
from pipeline.config.train_settings import Newton
from pipeline.record import RecordError, read
from pipeline.stages.train import Start
from pipeline.sweeps.grid import Job
from pipeline.sweeps.points import text_of

WEAKEST = 1e-8  # l2: of less, rounding decides where the optimum is


class Paths:
    """The runs of a sweep at whose optimum others may begin."""

    def __init__(self) -> None:
        self._ends: dict[str, dict[float, str]] = defaultdict(dict)  # identities by l2

    def add(self, job: Job, identity: str) -> None:
        """Let others begin at the optimum of this run, if it FINISHED there."""
        if (l2 := place_on_path(job.config)) is not None:
            self._ends[_path(job.config)][l2] = identity

    def start(self, job: Job) -> Start | None:
        """Return the optimum of the next stronger penalty that is on record, if there is one.

        A run without an optimum, as of data that separate, starts none.
        """
        l2 = place_on_path(job.config)
        ends = {} if l2 is None else self._ends[_path(job.config)]
        for stronger in sorted(other for other in ends if l2 is not None and other > l2):
            try:
                record = read(files.RUNS / ends[stronger])
            except RecordError:
                continue
            if (record.status, record.head.ended) == ("FINISHED", "optimum"):
                return Start(record.identity, stronger, record.model.theta)
        return None


def place_on_path(config: RunConfig) -> float | None:
    """Return the l2 of a run that may begin elsewhere and find the same; None of others."""
    train = config.train
    arrives = train.patience is None and train.epochs >= MAX_STEPS  # from zeros as well
    is_path = isinstance(config.optimiser, Newton) and arrives and not train.keep_path
    if not is_path or isinstance(train.l2, str) or train.l2 < WEAKEST:
        return None
    return train.l2


def _path(config: RunConfig) -> str:
    """Return what runs of one path have in common: everything but l2."""
    return text_of(config.model_copy(update={"train": config.train.with_l2("auto")}))
