"""A run is made again from its record alone; is it the same, and if not, since when and why."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from pipeline import paths
from pipeline.errors import OK, ConfigError, DataError
from pipeline.lineage import other_machine
from pipeline.record import Record
from pipeline.redact import redact
from pipeline.reproduction.difference import Difference, difference
from pipeline.reproduction.trust import DIFF, require_trust
from pipeline.shipped import write_if_missing

SCRIPT = Path(__file__).with_name("retrain.py")
MOST = 8  # files that are named
DATA, THREADS = "data.path", "train.blas_threads"  # where and how it is made again, not what
# Variables of these names may bend a run: threads, kernels, vector instructions, paths, git's own.
BENDING = ("BLIS", "GIT_", "GOTO", "HYDRA", "KMP_", "MKL", "MLFLOW", "NPY_", "OMP_", "OPENBLAS",
           "PYTHON", "VECLIB")  # fmt: skip


@dataclass(frozen=True)
class Reproduction:
    """What became of the run. ``found`` is None where it could not be trained again."""

    found: Difference | None
    causes: tuple[str, ...]  # what is not as it was: data, code, library, threads, platform
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """0 where it is the same, to the bit or to 1e-12."""
        return OK if self.found is not None and self.found.close else DataError.exit_code


def clean_process(code: Path, tree: Mapping[str, Any], target: Path) -> dict[str, Any]:
    """What ``retrain`` answers in a process of its own, with the code of that folder."""
    question = json.dumps({"code": str(code), "config": tree, "target": str(target)})
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        cwd=code,
        env=_clean(os.environ),
        input=question,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        told = redact(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no word")
        return {"refused": "code", "message": f"it ended with {done.returncode}: {told[:300]}"}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def reproduce(
    record: Record,
    words: Sequence[str] = (),
    *,
    from_source: bool,
    trusted: bool = False,
    retrain: Callable[[Path, Mapping[str, Any], Path], dict[str, Any]] = clean_process,
) -> Reproduction:
    """Train the run again and compare weights and every point of the curve.

    Parameters
    ----------
    record
        Of the run.
    words
        ``data.path=…`` where the table has been moved, ``train.blas_threads=…`` to see what another
        number of threads does.
    from_source
        Whether the recorded commit and diff are checked out and run, not the code that stands here.
    trusted
        Whether they are run though they were not made here.
    retrain
        What trains, given the code, the configuration and where the arrays go.

    Raises
    ------
    ConfigError
        If the run did not end by itself, a word sets something else, or the recorded source is not
        to be had or not to be trusted.
    """
    if not record.arrays or record.status == "KILLED":
        raise ConfigError(
            f"RUN must name a run that trained to its end; got {record.identity[:12]}, "
            f"{record.status}"
        )
    tree = _changed(record.config, words)
    write_if_missing(tree["data"]["path"])
    tree["data"] |= {
        "path": str(paths.PROJECT / tree["data"]["path"]),
        "sha256": None,  # the digest on record is of every cell, and is compared afterwards
    }
    if from_source:
        _require_commit(record)
        require_trust(record, trusted=trusted)
    with TemporaryDirectory() as folder, _code(record, from_source, Path(folder)) as code:
        target = Path(folder) / "again.npz"
        begun = time.monotonic()
        answer = retrain(code, tree, target)
        seconds = time.monotonic() - begun
        if "refused" in answer:
            return Reproduction(None, _refusal(record, answer), seconds)
        with np.load(target, allow_pickle=False) as arrays:
            again = dict(arrays)
    found = causes(record.lineage, answer["lineage"], answer["blas_threads"])
    kept = record.best_epoch if record.best_epoch is not None else len(record.curve["epoch"]) - 1
    return Reproduction(difference(record.arrays, again, kept), tuple(found), seconds)


def told(record: Record, found: Reproduction) -> list[str]:
    """What became of the run, in words: what it is, and why."""
    because = [f"{'because' if i == 0 else '':10}{c}" for i, c in enumerate(found.causes)]
    if found.found is None:
        return [f"{'Unknown':10}it could not be trained again", *because]
    what = found.found
    n, points = len(record.theta), len(record.curve["epoch"])
    series = len(record.curve) - 1
    all_of_it = f"{n:,} parameters and {points:,} points of each of {series} series"
    if what.identical:
        because = [line.replace("because", "though ", 1) for line in because]
        return [f"{'Same':10}bit-identical: {all_of_it}, in {found.seconds:.1f} s", *because]
    if what.close:
        bits = f"{what.bits:,} values differ in their last bits, by {what.largest:.1g} at the most"
        return [f"{'Same':10}equal to 1e-12: {all_of_it}; {bits}", *because]
    causes_ = because or [
        f"{'because':10}unknown: all that is on record is as it was; a defect of ours, or of the "
        "machine"
    ]
    first = f"{'Differs':10}first at epoch {what.epoch}: {what.told}"
    return [first, f"{'':10}largest difference {what.largest:.3g}", *causes_]


def _changed(config: dict[str, Any], words: Sequence[str]) -> dict[str, Any]:
    for word in words:
        name, _, value = word.partition("=")
        if name == THREADS and re.fullmatch("[1-9][0-9]?", value):
            config["train"]["blas_threads"] = int(value)
        elif name == DATA and value:
            config["data"]["path"] = value
        else:
            raise ConfigError(
                f"reproduce must be told {DATA}=a file or {THREADS}=1 to 64, no more; got {word!r}"
            )
    return config


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what may bend a run."""
    return {name: value for name, value in environment.items() if not name.startswith(BENDING)}


@contextmanager
def _code(record: Record, from_source: bool, folder: Path) -> Iterator[Path]:
    """The folder whose code runs: this project, or the recorded source, checked out for a while."""
    if not from_source:
        yield paths.PROJECT
        return
    tree = folder / "source"
    try:
        commit = record.lineage["git_commit"]
        _git("worktree", "add", "--detach", "--quiet", str(tree), commit)
        if DIFF in record.files:
            diff = folder / DIFF
            diff.write_bytes(record.content(DIFF))
            _git("apply", "--binary", "--whitespace=nowarn", str(diff), folder=tree)
        yield tree
    finally:
        with suppress(ConfigError):  # it may not have come into being
            _git("worktree", "remove", "--force", str(tree))


def _require_commit(record: Record) -> None:
    """Refuse what git would take for another word than a commit."""
    commit = record.lineage["git_commit"] or ""
    if not re.fullmatch("[0-9a-f]{40}([0-9a-f]{24})?", commit):
        got = repr(commit[:80]) if commit else "none: it was made without git"
        raise ConfigError(f"FROM=source needs a commit on record; got {got}")


def _git(*words: str, folder: Path | None = None) -> None:
    # No hook of the person at work runs: it would take the checkout for one of theirs.
    command = ["git", "-C", str(folder or paths.PROJECT), "-c", f"core.hooksPath={os.devnull}"]
    try:
        subprocess.run(
            [*command, *words], env=_clean(os.environ), capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        told = " ".join(str(getattr(error, "stderr", "") or error).split())[:300]
        raise ConfigError(
            "FROM=source needs the commit on record in the project's git, and its diff to fit; got "
            f"{redact(told)}"
        ) from None


def _refusal(record: Record, answer: Mapping[str, Any]) -> tuple[str, ...]:
    """Why it could not be trained again; what else is not as it was, too."""
    told = f"{answer['refused']}: {redact(answer['message'].splitlines()[0])[:400]}"
    if "lineage" not in answer:
        digest = record.lineage["data_digest"][:12]
        hint = f'the digest of its data was {digest}; if they were moved: ARGS="{DATA}=…"'
        return (told, hint) if answer["refused"] == "data" else (told,)
    more = causes(record.lineage, answer["lineage"], record.lineage["blas_threads"])
    return (told, *(cause for cause in more if not cause.startswith("data")))


def causes(was: Mapping[str, Any], now: Mapping[str, Any], threads: int) -> Iterator[str]:
    """What is not as it was on record, in the order of the question to ask."""
    if now["data_digest"] != was["data_digest"]:
        yield f"data: digest {now['data_digest'][:12]}, it was {was['data_digest'][:12]}"
    old, new = was["code_files"], now["code_files"]
    files = sorted(name for name in old | new if old.get(name) != new.get(name))
    if files:
        more = f" and {len(files) - MOST:,} more" if len(files) > MOST else ""
        yield f"code: {', '.join(files[:MOST])}{more}"
    versions = [
        f"{name} {now['versions'].get(name, 'gone')}, it was {text}"
        for name, text in was["versions"].items()
        if now["versions"].get(name) != text
    ]
    if versions:
        yield f"library: {'; '.join(versions)}"
    if threads != was["blas_threads"]:
        yield f"threads: {threads}, it was {was['blas_threads']}"
    if machine := other_machine(was, now):
        yield f"platform: {machine}"
