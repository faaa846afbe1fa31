"""What comes from elsewhere is of the shape of a record, or is refused before it is used.

Whoever writes a record by hand can seal it as well: a tree of any shape may come.
"""

from __future__ import annotations

import math
import re
from typing import Any

from pipeline.record.reading import RESULT, Record, RecordError, check_name
from pipeline.record.search import PUBLISHED
from pipeline.run import Failure

MAX_FILES = 1000
MAX_BYTES = 2**30  # of all files together
MAX_TIME = 2**43  # in ms since 1970: the year 2248


def listed(tree: dict[str, Any]) -> dict[str, int]:
    """The size of each file that ``result.json`` lists, by its name: a name that is safe to use.

    Raises
    ------
    RecordError
        If a name may lead elsewhere, or more is listed than a record can hold.
    """
    files = tree.get("files")
    if not isinstance(files, dict):
        raise RecordError(f"{RESULT} must list the files of the record; got no list")
    sizes = {name: _size(name, entry) for name, entry in files.items()}
    if len(sizes) > MAX_FILES or sum(sizes.values()) > MAX_BYTES:
        n = f"{len(sizes):,} file{'s' * (len(sizes) > 1)}"
        raise RecordError(
            f"record must hold at most {MAX_FILES:,} files and {MAX_BYTES / 2**30:.0f} GiB; "
            f"got {n} of {sum(sizes.values()):,} bytes"
        )
    return sizes


def check_free(name: str) -> None:
    """Refuse a name that leads out of the record, or is one of its own."""
    check_name(name)
    if name in (RESULT, PUBLISHED) or name.startswith("."):
        raise RecordError(f"file names must not be the record's own; got {name!r}")


def require_shape(record: Record) -> None:
    """Raise ValueError, or what else is in MISSHAPEN, if the trees of the record are not ours."""
    _require_head(record)
    _require_lineage(record.lineage)
    _require_config(record.config)
    _require_arrays(record)
    if "certificate.json" in record.files:
        held = record.json("certificate.json")
        _require(isinstance(held["text"], str), "a certificate must be text")
        _require(_words([held["verdict"], *held["separated_on"]]), "a certificate must be words")


def _size(name: str, entry: Any) -> int:
    check_free(name)
    size = entry.get("bytes") if isinstance(entry, dict) else None
    digest = entry.get("sha256") if isinstance(entry, dict) else None
    whole = isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest)
    if not whole or type(size) is not int or size < 0:
        raise RecordError(
            f"record must list its files with sha256 and size; got {name[:80]!r} otherwise"
        )
    return size


def _require_head(record: Record) -> None:
    tree = record.tree
    times = [tree["started_ms"], tree["ended_ms"]]
    _require(all(_natural(time) for time in times), "times must be milliseconds since 1970")
    statuses = ("FINISHED", "FAILED", "KILLED")
    _require(record.status in statuses, "status must be FINISHED, FAILED or KILLED")
    best = record.best_epoch
    _require(best is None or _natural(best), "best_epoch must be a number or null")
    figures = tree["metrics"].values()
    finite = all(isinstance(value, float) and math.isfinite(value) for value in figures)
    _require(finite, "metrics must be finite numbers by name")
    words = [tree["experiment"], tree["attempt"], *tree["overrides"]]
    _require(_words(words), "names must be text")
    _require(tree["ended"] is None or isinstance(tree["ended"], str), "ended must be text or null")
    lineage = {name: each for name, each in record.lineage.items() if name != "code_files"}
    _require(tree["lineage"] == lineage, "lineage must be the same wherever it is told")
    if tree["failure"]:
        failure = Failure(**tree["failure"])
        _require(_words([failure.kind, failure.message]), "a failure must be told in text")


def _require_lineage(lineage: dict[str, Any]) -> None:
    _require(re.fullmatch("[0-9a-f]{64}", lineage["data_digest"]), "data_digest must be a sha256")
    texts = [lineage["platform"], lineage["blas"], lineage["code_digest"]]
    texts += [*lineage["code_files"].values(), *lineage["versions"].values()]
    _require(_words(texts), "lineage must be text")
    commit = lineage["git_commit"]
    _require(commit is None or isinstance(commit, str), "git_commit must be text or null")
    _require(_natural(lineage["blas_threads"]), "blas_threads must be a number")


def _require_config(config: dict[str, Any]) -> None:
    data = config["data"]
    _require(_words([data["path"], data["name"]]), "names must be text")
    _require(_natural(config["seed"]), "seed must be a number")
    for part in ("split", "train", "optimiser"):
        _require(isinstance(config[part], dict), f"{part} must be a group of settings")


def _require_arrays(record: Record) -> None:
    names = record.arrays.keys()
    if record.status == "FINISHED":
        _require({"theta", "epoch"} <= names, "a run that FINISHED must have weights and a curve")
    _require(all(a.ndim == 1 for a in record.arrays.values()), "arrays must be lists of numbers")
    _require(len({len(a) for a in record.curve.values()}) <= 1, "a curve must have equal series")
    losses = record.valid_losses
    if losses:
        shapes = {losses[name].shape for name in ("loss", "count")}
        _require(len(shapes) == 1 and len(shapes.pop()) == 1, "losses must be a list with counts")


def _natural(value: Any) -> bool:
    return type(value) is int and 0 <= value < MAX_TIME


def _words(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _require(kept: object, rule: str) -> None:
    if not kept:
        raise ValueError(rule)
