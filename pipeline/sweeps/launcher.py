"""Hydra's launchers make the runs, elsewhere or side by side: joblib, submitit (Slurm), others.

What a launcher is handed is the number of a job, which stands in a file; what it returns is not
looked at: each job leaves a report beside its file, and its record. A launcher that loses jobs
is started again for those that are left, as long as that gets any of them done, and at last for
each alone. The folder of the sweep must be on storage that every node sees.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import hydra
from omegaconf import DictConfig
from pydantic import TypeAdapter

from pipeline import files
from pipeline.config.schema import Configuration
from pipeline.errors import ConfigError, StopRequest
from pipeline.record.identity import Environment, environment, trace
from pipeline.record.reproduce import causes
from pipeline.sweeps.child import RunReport, run_failure
from pipeline.sweeps.grid import Job
from pipeline.sweeps.host import Host
from pipeline.sweeps.manifest import Sweep
from pipeline.text import one_line, redact

STOP = "stop"  # where this file stands no other job begins
LOG = "launcher.log"
HERE = "environment.json"  # the code and the libraries that the runs are planned with
NO_DATA = "0" * 64
CODE = """\
from pipeline.sweeps import child, launcher
child.end_with_parent()
launcher.make()"""
# What a launcher says of an error, its own or one of a node; of several the last is the cause.
ERROR = re.compile(
    r"^(?:\(.*?\) )?(?:[\w.]*\.)?(\w+(?:Error|Exception|Interrupt)\b.*)$", re.MULTILINE
)
COLOUR = re.compile(r"\x1b\[[\d;]*m")
LOG_END = 100_000  # bytes of the log that are looked at
MAX_LOST = 3  # jobs in a row that the launcher loses though it is handed nothing else
AT_ONCE = 10_000  # jobs of one start: a word of a command may have 128 kB
POLL_S = 0.2
BUSY_POLL_S = 0.5  # another process makes the run


def launch(
    jobs: Sequence[Job], sweep: Sweep, words: Sequence[str], stop: StopRequest
) -> Iterator[RunReport]:
    """Yield how each job ended that the launcher which ``words`` choose has made."""
    folder = sweep.folder / "launcher"
    files.make_private(folder)
    for path in [*folder.glob("*.json"), folder / STOP]:
        path.unlink(missing_ok=True)
    files.write_new(folder / HERE, environment().model_dump_json().encode())
    for job in jobs:
        files.write_new(_file(folder, job.number), _job_json(job, sweep.log(job.number)))
    left, before = {job.number for job in jobs}, None
    while left and left != before and stop.signal is None:
        before = set(left)
        for numbers in _batches(before):
            yield from _start(numbers, left, words, folder, stop)
    lost = 0
    for number in sorted(left):  # one of them may have brought down the rest
        if lost < MAX_LOST and stop.signal is None:
            yield from _start({number}, left, words, folder, stop)
        if number in left and stop.signal is None:
            lost += 1
            yield RunReport(number, "FAILED", None, run_failure("Launcher", _lost(folder / LOG)))
        else:
            lost = 0


def _batches(numbers: set[int]) -> list[set[int]]:
    """Return the numbers in order, as many together as one word of a command may name."""
    ordered = sorted(numbers)
    return [set(ordered[i : i + AT_ONCE]) for i in range(0, len(ordered), AT_ONCE)]


def _lost(log: Path) -> str:
    """Return that a report is missing, and the last error that the launcher's log names."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_END))
        text = COLOUR.sub("", file.read().decode(errors="replace"))
    found = ERROR.findall(text)
    why = f" ({one_line(redact(found[-1]), 300)})" if found else ""
    return f"launcher must make the run; got no report{why}, see {files.shown(log)}"


def _start(
    numbers: set[int], left: set[int], words: Sequence[str], folder: Path, stop: StopRequest
) -> Iterator[RunReport]:
    """Start the launcher; yield reports, and take their numbers from what is left."""
    if stop.signal is not None:
        return
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, *_arguments(numbers, words, folder)],
            cwd=files.PROJECT,
            env={**os.environ, "HYDRA_FULL_ERROR": "1"},
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C lets those that have begun come to their end
        )
    try:
        while process.poll() is None and stop.signal is None:
            time.sleep(POLL_S)
            yield from _reports(numbers, left, folder)
    finally:
        if process.poll() is None:
            (folder / STOP).touch()
        process.wait()
    yield from _reports(numbers, left, folder)


def _reports(numbers: set[int], left: set[int], folder: Path) -> Iterator[RunReport]:
    for number in sorted(numbers & left):
        path = _report_file(folder, number)
        if path.exists():
            left.discard(number)
            yield TypeAdapter(RunReport).validate_python(json.loads(path.read_bytes()))


def _arguments(numbers: set[int], words: Sequence[str], folder: Path) -> list[str]:
    return [
        "--multirun",
        f"--config-dir={files.CONF}",  # where a launcher of the project's own may be
        f"+folder='{folder}'",
        f"+number={','.join(map(str, sorted(numbers)))}",
        f"hydra.sweep.dir='{folder}'",
        "hydra.output_subdir=null",
        "hydra.job.chdir=false",
        "hydra/job_logging=none",
        "hydra/hydra_logging=none",
        *words,
    ]


@hydra.main(version_base="1.3", config_path=None)
def make(tree: DictConfig) -> None:
    """Make the job of that number and leave its report; called in a launcher's process."""
    folder, number = Path(tree.folder), int(tree.number)
    if not _file(folder, number).exists():
        got = f"none at {files.shown(folder)} on node {platform.node()}"
        raise ConfigError(f"folder of a sweep must be on storage that every node sees; got {got}")
    if (folder / STOP).exists() or _report_file(folder, number).exists():
        return
    tree = json.loads(_file(folder, number).read_bytes())
    configuration = Configuration.parse(tree["configuration"])
    job = Job(number, tuple(tree["overrides"]), configuration)
    _check_node(job, Environment.model_validate_json((folder / HERE).read_bytes()))
    while (report := host().run(job, Path(tree["log"]), StopRequest())) is None:
        time.sleep(BUSY_POLL_S)
    files.replace(_report_file(folder, number), json.dumps(asdict(report)).encode())


def _check_node(job: Job, planned: Environment) -> None:
    """Refuse a node whose code or libraries would make another run of the job."""
    was, now = (trace(job.config, NO_DATA, each) for each in (planned, environment()))
    if was.identity != now.identity:
        got = "; ".join(causes(was.model_dump(), now.model_dump()))
        rule = "must have the code and the libraries that the sweep began with"
        raise ConfigError(f"node {platform.node()} {rule}; got {got}")


@functools.cache
def host() -> Host:
    """Return the host of a launcher's process, for all the jobs that it is handed."""
    return Host()


def _job_json(job: Job, log: Path) -> bytes:
    configuration = job.configuration.model_dump()
    tree = {"overrides": job.overrides, "configuration": configuration, "log": str(log)}
    return json.dumps(tree).encode()


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:05}.json"


def _report_file(folder: Path, number: int) -> Path:
    return folder / f"{number:05}.report.json"
