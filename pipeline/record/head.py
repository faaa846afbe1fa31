"""``result.json``, the head of a record: all that is known of a run but its files, and its seal."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, ValidationError

from pipeline.errors import DataError, Failure
from pipeline.record.identity import Digest, Identity, Lineage
from pipeline.stages.certify import Certificate
from pipeline.stages.outcome import Status
from pipeline.text import one_line

RESULT = "result.json"
FORMAT = 2
MAX_TIME = 2**43  # in ms since 1970: the year 2248
IDENTITY = re.compile("[0-9a-f]{32}")
# What reading a tree of another shape raises.
MISSHAPEN = (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError)

# Every file that a record can have: whatever a server or a zip says, no other name becomes a path.
FileName = Literal[
    "config.yaml", "curve.csv", "distributions.json", "effects.csv", "effects.json",
    "evaluation.json", "model.json", "optimism.json", "penalty_path.json", "source.diff",
    "split.json", "start.json", "surface.json", "test_losses.npy", "validation.json",
    "validation_losses.npy",
]  # fmt: skip
Natural = Annotated[int, Field(ge=0, lt=MAX_TIME)]


class RecordError(DataError):
    """A record is damaged or is none."""


class FileEntry(BaseModel, frozen=True, extra="forbid"):
    """What a file of the record is known by."""

    sha256: Digest
    bytes: Natural


class Head(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """All that is known of a run but its files, and the digests of those."""

    format: Literal[2]
    identity: Identity
    attempt: Annotated[str, StringConstraints(pattern="^[0-9a-f]{8}$")]
    status: Status
    failure: Failure | None
    started_ms: Natural
    ended_ms: Natural
    experiment: str
    overrides: tuple[str, ...]
    best_epoch: Natural | None
    ended: str | None
    certificate: Certificate | None
    metrics: dict[str, float]
    config: dict[str, Any]
    lineage: Lineage
    files: dict[FileName, FileEntry]
    seal: Digest


def parse_head(content: bytes, identity: str, place: str) -> Head:
    """Return the head of the run of that ``identity``, whoever wrote it.

    Raise RecordError, which names ``place``, if it is of another format or shape, of another run,
    or not as it was sealed.
    """
    try:
        tree = json.loads(content)
        if tree["format"] != FORMAT:
            raise RecordError(_other_format(tree, place))
        head = Head.model_validate(tree)
        sealed = seal_of(head.model_dump(exclude={"seal"}))  # not of what had to be converted
    except ValidationError as error:
        where = one_line(".".join(map(str, error.errors()[0]["loc"])), 100)
        message = f"{RESULT} must be of a record; got another {where} in {place}"
        raise RecordError(message) from None
    except MISSHAPEN:
        raise RecordError(f"{RESULT} must be whole; got something else in {place}") from None
    if head.seal != sealed or not head.identity == head.lineage.identity == identity:
        raise RecordError(f"{RESULT} must be as it was written; got it altered in {place}")
    return head


def seal_of(tree: dict[str, Any]) -> str:
    """Return the sha256 of the tree: it reveals a slip of the disk or of an editor, no forger."""
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _other_format(tree: dict[str, Any], place: str) -> str:
    """Return that another version of this project made the record, and which one can read it."""
    found = one_line(tree["format"], 40)
    message = f"record format must be {FORMAT}; got {found} in {place}: made by another version"
    commit = re.search('"git_commit": "([0-9a-f]{40})"', json.dumps(tree.get("lineage")))
    return f"{message}; commit {commit[1]} reads it" if commit else message
