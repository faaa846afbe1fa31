"""Hydra's launchers make the runs, elsewhere or side by side: joblib, submitit (Slurm), others.

What a launcher is handed is the number of a task, which stands in a file; what it returns is not
looked at: each task leaves an outcome beside its file, and its record. A launcher that loses jobs
is started again for those that are left, as long as that gets any of them done, and at last for
each alone.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig

from pipeline import disk
from pipeline.errors import ConfigError, TrainingError
from pipeline.redact import redact
from pipeline.signals import StopRequest
from pipeline.sweeps.task import Outcome, Task
from pipeline.sweeps.worker import Worker

STOP = "stop"
POLL_S = 0.2

_workers: list[Worker] = []  # of a launcher's process, for all the tasks that it is handed


def launch(
    tasks: Sequence[Task],
    words: Sequence[str],
    folder: Path,
    stop: StopRequest,
    ended: Callable[[Outcome], bool],
) -> None:
    """Make the tasks by the launcher that ``words`` choose.

    ``ended`` is told of each outcome as it comes, and answers whether to go on.
    """
    disk.make_private(folder)
    for path in [*folder.glob("*.json"), folder / STOP]:
        path.unlink(missing_ok=True)
    for task in tasks:
        disk.write_new(_file(folder, task.number), task.to_json().encode())
    watcher = _Watcher(folder, [task.number for task in tasks], stop, ended)
    with watcher:
        errors = _launch_all(watcher, words, folder)
    if not watcher.stopping:
        for number in watcher.left():
            told = f"launcher must make the run; got {_told(errors.get(number))}"
            kind, code = "Launcher", TrainingError.exit_code
            ended(Outcome(number, "FAILED", None, kind, told, code))


def _launch_all(
    watcher: _Watcher, words: Sequence[str], folder: Path
) -> dict[int, Exception | None]:
    """Start the launcher until all is done or nothing helps; the errors of those started alone."""
    while (left := watcher.left()) and not watcher.stopping:
        _start(left, words, folder)
        if len(watcher.left()) == len(left):
            break  # one of them may have brought down the rest
    errors = {}
    for number in left:
        if not watcher.stopping and number in watcher.left():
            errors[number] = _start([number], words, folder)
    return errors


def _start(numbers: Sequence[int], words: Sequence[str], folder: Path) -> Exception | None:
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv[1:] = [
        "--multirun",
        f"+folder='{folder}'",
        f"+number={','.join(map(str, numbers))}",
        f"hydra.sweep.dir='{folder}'",
        "hydra.output_subdir=null",
        "hydra.job.chdir=false",
        "hydra/job_logging=none",
        "hydra/hydra_logging=none",
        *words,
    ]
    try:
        make()
    except ConfigError:
        raise
    except Exception as error:  # whatever a launcher raises: the outcomes tell what is done
        return error
    return None


@hydra.main(version_base="1.3", config_path=None)
def make(tree: DictConfig) -> None:
    """Make the task of that number and leave its outcome; called in a launcher's process."""
    folder, number = Path(tree.folder), int(tree.number)
    if (folder / STOP).exists() or _outcome_file(folder, number).exists():
        return
    task = Task.from_tree(json.loads(_file(folder, number).read_bytes()))
    if not _workers:
        _workers.append(Worker(folder / "worker.log"))
    outcome = _workers[0].run(task, StopRequest())
    disk.replace(_outcome_file(folder, number), outcome.to_json().encode())


class _Watcher:
    """Sees outcomes appear while a launcher has the main thread."""

    def __init__(
        self,
        folder: Path,
        numbers: Sequence[int],
        stop: StopRequest,
        ended: Callable[[Outcome], bool],
    ) -> None:
        self._folder = folder
        self._left = set(numbers)
        self._stop = stop
        self._ended = ended
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.stopping = False

    def left(self) -> list[int]:
        """The tasks without an outcome, as of now."""
        return sorted(n for n in self._left if not _outcome_file(self._folder, n).exists())

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._over.wait(POLL_S):
            self._look()

    def _look(self) -> None:
        for number in sorted(self._left):
            path = _outcome_file(self._folder, number)
            if path.exists():
                self._left.discard(number)
                if not self._ended(Outcome(**json.loads(path.read_bytes()))):
                    self._halt()
        if self._stop.signal is not None:
            self._halt()

    def _halt(self) -> None:
        self.stopping = True
        (self._folder / STOP).touch()


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:05}.json"


def _outcome_file(folder: Path, number: int) -> Path:
    return folder / f"{number:05}.outcome.json"


def _told(error: Exception | None) -> str:
    if error is None:
        return "no outcome of it"
    return redact(f"{type(error).__name__}: {' '.join(str(error).split())}"[:300])
