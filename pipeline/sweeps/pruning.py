"""Runs of a search that are behind those of earlier trials are ended by Optuna's median pruner.

This is a heuristic: a run that learns slowly and would have won in the end is ended as well. The
proven bounds are those of ``train`` objectives (docs/sweeps.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nn import Epoch
from pipeline.errors import StopRequest
from pipeline.record import Record
from pipeline.stages.train import Start
from pipeline.sweeps.child import Prune, RunReport, never
from pipeline.sweeps.grid import Job
from pipeline.sweeps.host import Host
from pipeline.sweeps.study import quiet_optuna

MIN_TRIALS = 5  # complete ones, before any run is pruned
WARM_UP = 20  # epochs that every run may make


class MedianPruning:
    """What earlier trials had reached at each checkpoint, of each repeat for itself.

    A fold that is easy is compared with the same fold alone.
    """

    def __init__(self, n_repeats: int) -> None:
        with quiet_optuna() as optuna:
            pruner = optuna.pruners.MedianPruner(MIN_TRIALS, WARM_UP - 1, n_min_trials=MIN_TRIALS)
            self._studies = [optuna.create_study(pruner=pruner) for _ in range(n_repeats)]

    def add(self, repeat: int, record: Record) -> None:
        """Add a run of a trial that is complete."""
        losses = dict(
            zip(*(record.curve[n].tolist() for n in ("epoch", "valid_loss")), strict=True)
        )
        seen = {int(epoch): loss for epoch, loss in losses.items() if is_checkpoint(int(epoch))}
        with quiet_optuna() as optuna:
            value = record.head.metrics["valid/best_loss"]
            trial = optuna.trial.create_trial(value=value, intermediate_values=seen)
            self._studies[repeat].add_trial(trial)

    def watch(self, repeat: int, epochs: int) -> Prune:
        """Return what is asked after each of the epochs of a run, in a process of its own."""
        study, trials = self._studies[repeat], list[Any]()

        def prune(epoch: Epoch) -> str:
            if not is_checkpoint(epoch.number) or epoch.number >= epochs:
                return ""
            with quiet_optuna():
                trial = trials[0] if trials else study.ask()
                trials[:] = [trial]
                trial.report(epoch.valid_loss, epoch.number)
                if not trial.should_prune():
                    return ""
            return (
                f"validation loss {epoch.valid_loss:.4f} at epoch {epoch.number} is behind the "
                f"median of {len(study.trials) - 1} earlier trials"
            )

        return prune


def is_checkpoint(epoch: int) -> bool:
    """Return whether runs are compared after it: after 20, 30, … 90, 100, 200, … epochs."""
    return epoch >= WARM_UP and epoch % 10 ** (len(str(epoch)) - 1) == 0


class PruningHost(Host):
    """Makes runs of which those that are behind are pruned; ``repeats`` are theirs by number."""

    def __init__(self, n_repeats: int) -> None:
        super().__init__()
        self.pruning = MedianPruning(n_repeats)
        self.repeats: Mapping[int, int] = {}

    def run(
        self, job: Job, log: Path, stop: StopRequest, prune: Prune = never,
        start: Start | None = None,
    ) -> RunReport | None:  # fmt: skip
        """Make the run as every host does."""
        prune = self.pruning.watch(self.repeats[job.number], job.config.train.epochs)
        return super().run(job, log, stop, prune, start)
