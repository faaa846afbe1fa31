"""The trials of a search: drawn by Optuna, kept in a file that Optuna's own tools read.

What trial n is drawn by depends on the seed, on n and on the trials before it, so that a search
that was interrupted draws what it would have drawn. The file holds only trials that have ended,
each written in one transaction: a kill leaves none half-done. What it holds can be found again
from the records of the runs, but for the failures that a repetition would not repeat.
"""

from __future__ import annotations

import math
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import files
from pipeline.compare.trials import MIN_IMPORTANCES, Ended, Point, Scale, Search, Trial
from pipeline.config.schema import SearchSettings
from pipeline.errors import ConfigError, DiskError, reason_of
from pipeline.sweeps.space import Dimension, Space

FILE = "study.db"
NAME = "search"  # of the study in its file
STATES: dict[str, Ended] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
TREES, DEPTH = 16, 8  # of a forest: 1 s for 1,000 trials
WAIT_S = 30.0  # while another tool reads the file


class Study:
    """Draws points and keeps how their trials ended; ``path`` is the file."""

    def __init__(self, space: Space, path: Path) -> None:
        with quiet_optuna() as optuna:
            self._settings = space.settings.search
            self._distributions = {d.key: _distribution(optuna, d) for d in space.dimensions}
            self._path = path
            self._memory = optuna.create_study()
            self._drawn: Any = None  # the trial that runs, unless it is on file
            self._file = _open(optuna, path)
            held = self._file.get_trials() if self._file else []
            self._kept = [trial for trial in held if trial.state.is_finished()]
            if len(held) != len(self._kept):  # another tool has added some that are to be run
                self._file = None

    @property
    def n_kept(self) -> int:
        """How many trials are on file, of those that are still to be gone through."""
        return len(self._kept)

    def kept(self, number: int) -> Trial | None:
        """Return the trial of that number as it is on file."""
        return _trial(self._kept[number]) if number < len(self._kept) else None

    def draw(self, number: int) -> Point:
        """Return the point of the trial of that number, which is next: from the file, or drawn."""
        if number < len(self._kept):
            return dict(self._kept[number].params)
        with quiet_optuna() as optuna:
            self._memory.sampler = sampler(optuna, self._settings, number)
            self._drawn = self._memory.ask(self._distributions)
            return dict(self._drawn.params)

    def finish(self, trial: Trial) -> None:
        """Keep how the trial ended whose point was drawn last; DiskError if it cannot be."""
        with quiet_optuna() as optuna:
            if self._drawn is not None:
                self._tell(optuna, trial)
                self._append(optuna)
                return
            kept = self._kept[trial.number]
            was = _trial(kept)
            if was != trial:
                kept = self._frozen(optuna, trial)
                self._kept[trial.number] = kept
                if (was.ended, was.loss) != (trial.ended, trial.loss):
                    del self._kept[trial.number + 1 :]  # they would be drawn otherwise now
                self._write(optuna, self._kept)
            self._memory.add_trial(kept)

    def _tell(self, optuna: Any, trial: Trial) -> None:
        for key, value in _attributes(trial).items():
            self._drawn.set_user_attr(key, value)
        if trial.seen:
            self._drawn.report(trial.seen[1], trial.seen[0])
        self._memory.tell(self._drawn, trial.loss, state=_state(optuna, trial))
        self._drawn = None

    def _frozen(self, optuna: Any, trial: Trial) -> Any:
        return optuna.trial.create_trial(
            state=_state(optuna, trial),
            value=trial.loss,
            params=dict(trial.point),
            distributions=self._distributions,
            user_attrs=_attributes(trial),
            intermediate_values=dict([trial.seen] if trial.seen else []),
        )

    def _append(self, optuna: Any) -> None:
        every = self._memory.get_trials(deepcopy=False)
        if self._file is None:
            self._write(optuna, every)
        else:
            with _writing(self._path):
                self._file.add_trial(every[-1])

    def _write(self, optuna: Any, trials: list[Any]) -> None:
        """Write the file anew, in one atomic step."""
        partial = self._path.with_name(f".{FILE}.partial")
        with _writing(self._path):
            partial.unlink(missing_ok=True)
            study = optuna.create_study(study_name=NAME, storage=_storage(optuna, partial))
            study.add_trials(trials)
            partial.chmod(files.PRIVATE_FILE)
            partial.rename(self._path)
            files.sync(self._path.parent)
        self._file = _open(optuna, self._path)


def sampler(optuna: Any, settings: SearchSettings, number: int) -> Any:
    """Return what draws the trial of that number, with a seed of its own."""
    (seed,) = np.random.SeedSequence([settings.seed, number]).generate_state(1).tolist()
    if settings.name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)


def read_search(folder: Path) -> Search | None:
    """Return the search that has its file in the folder; None where there is none.

    ConfigError where Optuna is missing.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    with quiet_optuna() as optuna:
        study = _open(optuna, path)
        if study is None:
            return None
        ended = [trial for trial in study.get_trials() if trial.state.is_finished()]
        trials = tuple(map(_trial, ended))
        n = sum(trial.loss is not None for trial in trials)
        is_known = n >= MIN_IMPORTANCES and len(trials[0].point) > 1
        found = _importances(optuna, ended) if is_known else {}
        return Search(trials, dict(_scales(ended[0].distributions)), found)


def _importances(optuna: Any, trials: list[Any]) -> dict[str, float]:
    """Return shares of the variance by a forest that is grown on the trials (fANOVA).

    Optuna measures on a linear scale, whatever is drawn evenly on: so it is handed logarithms.
    Its default, PED-ANOVA, looks at the best tenth: of 30 trials at three.
    """
    study = optuna.create_study()
    study.add_trials([_on_even_scales(optuna, t) for t in trials if t.value is not None])
    how = {"n_trees": TREES, "max_depth": DEPTH, "seed": 0}
    evaluator = optuna.importance.FanovaImportanceEvaluator(**how)
    try:
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except RuntimeError:  # no tree has grown: the losses are equal
        return {}
    return {name: float(share) for name, share in found.items()}


def _on_even_scales(optuna: Any, trial: Any) -> Any:
    params, distributions = dict(trial.params), dict(trial.distributions)
    for name, scale in _scales(trial.distributions):
        if scale.kind == "log":
            params[name] = math.log(params[name])
            ends = math.log(scale.low), math.log(scale.high)
            distributions[name] = optuna.distributions.FloatDistribution(*ends)
    return optuna.trial.create_trial(value=trial.value, params=params, distributions=distributions)


def _scales(distributions: dict[str, Any]) -> Iterator[tuple[str, Scale]]:
    for key, each in distributions.items():
        if hasattr(each, "low"):
            yield key, Scale(each.low, each.high, "log" if each.log else "linear")


@contextmanager
def quiet_optuna() -> Iterator[Any]:
    """Give Optuna, which says nothing on the terminal; ConfigError where it is not installed."""
    try:
        import optuna
    except ModuleNotFoundError:
        command = "oneuron[search]" if files.IS_INSTALLED else "optuna>=5,<6"
        raise ConfigError(f"a search must have Optuna; got none: pip install '{command}'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield optuna


def _storage(optuna: Any, path: Path) -> Any:
    """Return Optuna's storage in SQLite; no connection stays open, for runs are forked."""
    from sqlalchemy.pool import NullPool

    def connect() -> sqlite3.Connection:  # an address would read % and ? of a path otherwise
        return sqlite3.connect(path, timeout=WAIT_S, check_same_thread=False)

    how = {"poolclass": NullPool, "creator": connect}
    return optuna.storages.RDBStorage("sqlite://", engine_kwargs=how)


def _open(optuna: Any, path: Path) -> Any:
    """Return the study on file; None where there is none. One that is damaged is moved aside."""
    from sqlalchemy.exc import DatabaseError, OperationalError

    if not path.exists():
        return None
    try:
        study = optuna.load_study(study_name=NAME, storage=_storage(optuna, path))
        study.get_trials()
    except OperationalError as error:
        raise DiskError(f"{files.shown(path)} must be readable; got {error.orig}") from None
    except (DatabaseError, KeyError, RuntimeError, ValueError):
        path.rename(path.with_suffix(".damaged"))
        return None
    return study


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DatabaseError

    try:
        yield
    except (StorageInternalError, DatabaseError, OSError) as error:
        cause = getattr(error.__cause__ or error, "orig", None) or error
        got = f"{reason_of(cause)}: make room or give permission, then repeat the command"
        raise DiskError(f"{files.shown(path)} must be written; got {got}") from None


def _distribution(optuna: Any, of: Dimension) -> Any:
    if of.is_choice:
        return optuna.distributions.CategoricalDistribution(of.texts)
    name = "IntDistribution" if of.is_int else "FloatDistribution"
    step = {"step": of.step} if of.step and not of.log else {}
    return getattr(optuna.distributions, name)(of.low, of.high, log=of.log, **step)


def _state(optuna: Any, trial: Trial) -> Any:
    name = next(name for name, ended in STATES.items() if ended == trial.ended)
    return optuna.trial.TrialState[name]


def _attributes(trial: Trial) -> dict[str, Any]:
    return {"runs": list(trial.runs), "reason": trial.reason}


def _trial(frozen: Any) -> Trial:
    """Return the trial that Optuna holds."""
    ended = STATES[frozen.state.name]
    return Trial(
        number=frozen.number,
        point=dict(frozen.params),
        ended=ended,
        loss=frozen.value if ended == "complete" else None,
        seen=next(iter(frozen.intermediate_values.items()), None),
        reason=str(frozen.user_attrs.get("reason", "")),
        runs=tuple(frozen.user_attrs.get("runs", ())),
    )
