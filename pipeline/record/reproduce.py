"""A run is made again from its record alone; is it the same, and if not, since when and why."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from pipeline import files
from pipeline.errors import OK, ConfigError, DataError
from pipeline.record.difference import Difference, difference
from pipeline.record.git import GitError, git, prefix
from pipeline.record.identity import other_machine
from pipeline.record.read import Record
from pipeline.record.trust import DIFF, require_trust
from pipeline.stages.read.datasets import write_if_missing
from pipeline.text import one_line, redact

SCRIPT = Path(__file__).with_name("retrain.py")
MAX_NAMED = 8  # files
# Variables of these names may bend a run: threads, kernels, vector instructions, paths, git's own.
# What bends a run. Not the kernel that is set for OpenBLAS: it is a part of the machine.
KERNEL = "OPENBLAS_CORETYPE"
BENDING = ("BLIS", "GIT_", "GOTO", "HYDRA", "KMP_", "MKL", "MLFLOW", "NPY_", "OMP_", "OPENBLAS",
           "PYTHON", "VECLIB")  # fmt: skip


@dataclass(frozen=True)
class Reproduction:
    """What became of the run. ``found`` is None where it could not be trained again."""

    found: Difference | None
    causes: tuple[str, ...]  # what is not as it was: data, code, library, threads, platform
    seconds: float = 0.0

    @property
    def is_same(self) -> bool:
        """Whether every bit is the same."""
        return self.found is not None and self.found.identical

    @property
    def exit_code(self) -> int:
        """0 where it is the same, to the bit or to 1e-12."""
        return OK if self.found is not None and self.found.close else DataError.exit_code


def clean_process(code: Path, tree: dict[str, Any]) -> dict[str, Any]:
    """Return what ``retrain.py`` answers in a process of its own, with the code of that folder."""
    question = json.dumps({"code": str(code), "config": tree})
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], cwd=code, env=_clean_environment(), input=question,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2] or "nothing was printed"
        message = f"it ended with {done.returncode}: {one_line(redact(last))}"
        return {"refused": "code", "message": message}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def reproduce(
    record: Record,
    changes: Mapping[str, Any] | None = None,
    *,
    from_source: bool,
    trust: bool = False,
    retrain: Callable[[Path, dict[str, Any]], dict[str, Any]] = clean_process,
) -> Reproduction:
    """Train the run again and compare weights and every point of the curve.

    ``changes`` sets ``data.path``, where the table has been moved, or ``train.blas_threads``; of a
    table in an engine ``data.source.connect``. With
    ``from_source`` the recorded commit and diff are checked out and run, not the code that stands
    here; what was not made here runs with ``trust`` alone. ``retrain`` is given the code and the
    configuration. Raise ConfigError if the run did not end by itself, or if the recorded source is
    not to be had or not trusted.
    """
    head = record.head
    if not record.arrays or head.status == "KILLED":
        got = f"{head.identity[:12]}, {head.status}"
        raise ConfigError(f"RUN must name a run that trained to its end; got {got}")
    tree = _changed(record.config, changes or {})
    if record.start is not None:  # the same bits need the same start
        tree["start"] = record.json("start.json")
    with _source(record, trust=trust) if from_source else nullcontext(files.CODE) as code:
        begun = time.monotonic()
        answer = retrain(code, tree)
        seconds = time.monotonic() - begun
    if "refused" in answer:
        return Reproduction(None, _refusal(record, answer), seconds)
    again = {name: np.array(values, np.float64) for name, values in answer["arrays"].items()}
    kept = len(record.curve["epoch"]) - 1 if head.best_epoch is None else head.best_epoch
    found = difference(record.arrays, again, kept)
    return Reproduction(found, tuple(causes(head.lineage.model_dump(), answer["lineage"])), seconds)


def format_reproduction(record: Record, found: Reproduction) -> list[str]:
    """Return what became of the run as lines for people: what it is, and why."""
    what = found.found
    if what is None:
        return [f"{'Unknown':10}it could not be trained again", *_lines("because", found.causes)]
    n, points, series = len(record.model.theta), len(record.curve["epoch"]), len(record.curve) - 1
    compared = f"{n:,} parameters and {points:,} points of {series} series"
    if what.identical:
        same = f"{'Same':10}bit-identical: {compared}, in {found.seconds:.1f} s"
        return [same, *_lines("though", found.causes)]
    if what.close:
        bits = f"{what.bits:,} values differ in their last bits, by {what.largest:.1g} at the most"
        same = f"{'Same':10}equal to 1e-12: {compared}; {bits}"
        return [same, *_lines("because", found.causes)]
    unknown = "unknown: all on record is as it was; an internal error, or one of the machine"
    return [
        f"{'Differs':10}first at epoch {what.epoch}: {what.where}",
        f"{'':10}largest difference {what.largest:.3g}",
        *_lines("because", found.causes or (unknown,)),
    ]


def causes(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield what of a lineage is not as it was on record, in the order of the question to ask."""
    if now["data_digest"] != was["data_digest"]:
        yield f"data: digest {now['data_digest'][:12]}, it was {was['data_digest'][:12]}"
    old, new = was["code_files"], now["code_files"]
    changed = sorted(name for name in old | new if old.get(name) != new.get(name))
    if changed:
        more = f" and {len(changed) - MAX_NAMED:,} more" if len(changed) > MAX_NAMED else ""
        yield f"code: {', '.join(changed[:MAX_NAMED])}{more}"
    old, new = was["versions"], now["versions"]
    other = [name for name in old if old[name] != new.get(name)]
    if other:
        versions = (f"{name} {new.get(name, 'gone')}, it was {old[name]}" for name in other)
        yield f"library: {'; '.join(versions)}"
    if now["blas_threads"] != was["blas_threads"]:
        yield f"threads: {now['blas_threads']}, it was {was['blas_threads']}"
    if machine := other_machine(was, now):
        yield f"platform: {machine}"


def _lines(word: str, causes: tuple[str, ...]) -> list[str]:
    return [f"{'' if i else word:10}{cause}" for i, cause in enumerate(causes)]


def _refusal(record: Record, answer: dict[str, Any]) -> tuple[str, ...]:
    """Return why it could not be trained again, and what else is not as it was."""
    message = one_line(redact(answer["message"].splitlines()[0]), 400)
    reason = f"{answer['refused']}: {message}"
    was = record.head.lineage
    if "lineage" in answer:
        more = causes(was.model_dump(), answer["lineage"])
        return (reason, *(cause for cause in more if not cause.startswith("data")))
    hint = f"the digest of its data was {was.data_digest[:12]}; if they were moved: "
    key = "data.source.connect" if record.config["data"].get("source") else "data.path"
    return (reason, f'{hint}ARGS="{key}=…"') if answer["refused"] == "data" else (reason,)


def _from_here(name: str, value: str | None) -> str | None:
    """Return a setting of a source, with the whole path where it is one of the project."""
    if value is None or "://" in value:
        return value
    is_path = name == "path" or (name == "connect" and (files.PROJECT / value).is_file())
    return str(files.PROJECT / value) if is_path else value


def _changed(config: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with another place of its table or number of threads."""
    tree = copy.deepcopy(config)
    if "data.path" in changes:
        tree["data"]["source"] = None
    for key, value in changes.items():
        *groups, name = key.split(".")
        of: Any = tree
        for group in groups:
            of = of.get(group)
        if of is None:
            raise ConfigError(f"{key} must be of a run on a table in an engine; got a file")
        of[name] = value
    data = tree["data"]
    write_if_missing(data["path"])
    held = {name: data.get(name) for name in ("path", "valid", "test")}
    data |= {name: str(files.PROJECT / path) for name, path in held.items() if path is not None}
    if data.get("source"):
        data["source"] = {name: _from_here(name, of) for name, of in data["source"].items()}
    data["sha256"] = None  # the digest on record is of every cell, and is compared afterwards
    return tree


@contextmanager
def _source(record: Record, *, trust: bool) -> Iterator[Path]:
    """Yield a checkout of the recorded commit with the recorded changes, which goes afterwards."""
    lineage = record.head.lineage
    if not lineage.git_commit:
        why = lineage.git_missing or "it was made without git"
        raise ConfigError(f"FROM=source needs a commit on record; got none: {why}")
    require_trust(record, trust=trust)
    with TemporaryDirectory() as folder:
        tree, diff = Path(folder) / "source", Path(folder) / DIFF
        try:
            within = prefix(files.CODE)  # a larger repository: no more of it than the project
            _git(files.CODE, "worktree", "add", "--detach", "--quiet", "--no-checkout",
                 str(tree), lineage.git_commit)  # fmt: skip
            _git(tree, "checkout", "--quiet", lineage.git_commit, "--", within or ".")
            if DIFF in record.files:
                diff.write_bytes(record.files[DIFF])
                _git(tree / within, "apply", "--binary", "--whitespace=nowarn", str(diff))
            yield tree / within
        except GitError as error:
            rule = (
                "FROM=source needs the commit on record in the project's git, and its diff to fit"
            )
            raise ConfigError(f"{rule}; got {error}") from None
        finally:
            with suppress(GitError):  # it may not have come into being
                git(files.CODE, "worktree", "remove", "--force", str(tree))


def _git(folder: Path, *words: str) -> None:
    # As on record: the diff is of what is committed, with its ends of lines.
    git(folder, "-c", "core.autocrlf=false", "-c", "apply.ignoreWhitespace=no", *words)


def _clean_environment() -> dict[str, str]:
    """Return this process's environment without what may bend a run."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(BENDING)}
    return kept | {name: os.environ[name] for name in (KERNEL,) if name in os.environ}
