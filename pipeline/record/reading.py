"""A folder becomes a Record: every file in it is the file that was committed, or it is refused."""

from __future__ import annotations

import hashlib
import json
import re
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from nn.arrays import Array
from pipeline.errors import DataError
from pipeline.run import Failure, Status
from pipeline.safe_arrays import from_npz

RESULT = "result.json"
FORMAT = 1
MAX_RESULT = 16 * 2**20  # bytes
IDENTITY = re.compile(r"[0-9a-f]{8,64}")


class RecordError(DataError):
    """A record is damaged or is none."""


@dataclass(frozen=True)
class Repeat:
    """What a run found where its record stood already: whether every bit is the same again.

    ``difference`` is a fault, unless ``elsewhere`` says in what the machine is another one: that
    may round otherwise.
    """

    identical: bool
    difference: str  # the first array that differs, and where; "" where none does
    elsewhere: str = ""


@dataclass(frozen=True)
class Record:
    """A run that was committed. What is not in here is read, and verified, from its files."""

    path: Path
    tree: dict[str, Any]  # result.json
    repeat: Repeat | None = None  # set by write() where the record stood already
    source: str = ""  # by whom and where it was published, of one that was fetched

    @property
    def identity(self) -> str:
        """What the run is: 32 hex digits that hash all that determines its result."""
        return str(self.tree["identity"])

    @property
    def attempt(self) -> str:
        """Which of the runs of that identity was recorded."""
        return str(self.tree["attempt"])

    @property
    def status(self) -> Status:
        """FINISHED only ever means complete."""
        status: Status = self.tree["status"]
        return status

    @property
    def failure(self) -> Failure | None:
        """Why the run did not finish."""
        return Failure(**self.tree["failure"]) if self.tree["failure"] else None

    @property
    def started_ms(self) -> int:
        """When the run started, in milliseconds since 1970; the time of every published point."""
        return int(self.tree["started_ms"])

    @property
    def ended_ms(self) -> int:
        """When the run was recorded, in milliseconds since 1970."""
        return int(self.tree["ended_ms"])

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose neuron was kept."""
        best: int | None = self.tree["best_epoch"]
        return best

    @property
    def metrics(self) -> dict[str, float]:
        """Every single figure of the run by its name in MLflow."""
        return dict(self.tree["metrics"])

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """sha256 and size in bytes of every file but ``result.json``."""
        return dict(self.tree["files"])

    @property
    def config(self) -> dict[str, Any]:
        """The configuration, resolved, as plain values; secrets are masked."""
        return dict(self.json("config.json"))

    @property
    def lineage(self) -> dict[str, Any]:
        """What the run was made of."""
        return dict(self.json("lineage.json"))

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """``theta`` and every series of the curve; empty where training was not reached."""
        return from_npz(self.content("weights.npz")) if "weights.npz" in self.files else {}

    @property
    def theta(self) -> Array:
        """The parameters (d + 1,): the weights, then the bias."""
        return self.arrays["theta"]

    @property
    def curve(self) -> dict[str, Array]:
        """Every series of the curve by its name."""
        return {name: array for name, array in self.arrays.items() if name != "theta"}

    @property
    def valid_losses(self) -> dict[str, Array]:
        """``loss`` in nats and ``count`` of each distinct validation row; empty without any."""
        return from_npz(self.content("valid.npz")) if "valid.npz" in self.files else {}

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the weights."""
        return tuple(self.json("weights.json")["names"][:-1])

    def content(self, name: str) -> bytes:
        """The bytes of a file of the record, as they were committed.

        Raises
        ------
        RecordError
            If the file is missing, altered, or not a plain file inside the record.
        """
        if name not in self.files:
            raise RecordError(f"record must hold {name}; got none of that name in {self.path}")
        content = _plain_file(self.path, name, self.files[name]["bytes"])
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.files[name]["sha256"]:
            raise RecordError(
                f"{name} must have sha256 {self.files[name]['sha256'][:12]}…; "
                f"got {digest[:12]}…: it was altered, in {self.path}"
            )
        return content

    def text(self, name: str) -> str:
        """A file of the record as text."""
        return self.content(name).decode("utf-8")

    def json(self, name: str) -> Any:
        """A file of the record as plain values."""
        return json.loads(self.content(name))


def read(folder: Path) -> Record:
    """The record in ``folder``, with every file in it verified.

    Raises
    ------
    RecordError
        If a file is missing, altered, or not a plain file inside the folder.
    """
    record = read_unverified(folder)
    for name in record.files:
        record.content(name)
    return record


def read_unverified(folder: Path) -> Record:
    """The record in ``folder`` by its ``result.json`` alone; each file is verified when used."""
    try:
        tree = json.loads(_plain_file(folder, RESULT, None))
        made, seal = tree["format"], tree.pop("seal", None)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RecordError(f"{RESULT} must be whole; got another thing in {folder}") from None
    if made != FORMAT:
        raise RecordError(_other_format(tree, folder))
    if seal != seal_of(tree) or tree.get("identity") != folder.name:
        raise RecordError(f"{RESULT} must be as it was written; got it altered in {folder}")
    return Record(folder, tree)


def _other_format(tree: dict[str, Any], folder: Path) -> str:
    """That the record was made by another version of this project, and which one can read it."""
    found = str(tree["format"])[:40]
    told = f"record format must be {FORMAT}; got {found} in {folder}: made by another version"
    lineage = tree.get("lineage")
    commit = str(lineage.get("git_commit"))[:40] if isinstance(lineage, dict) else ""
    return f"{told}; commit {commit} reads it" if re.fullmatch("[0-9a-f]{40}", commit) else told


def seal_of(tree: dict[str, Any]) -> str:
    """sha256 of the tree: a slip of the disk or of an editor is noticed, a forger is not."""
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check_identity(identity: str) -> str:
    """The identity, which is the name of a folder; RecordError if it is anything else: a path."""
    if not IDENTITY.fullmatch(identity):
        raise RecordError(f"identity must be 8 to 64 hex digits; got {identity[:80]!r}")
    return identity


def check_name(name: str) -> None:
    """Refuse a file name that is absolute, leads out of its folder or has several spellings."""
    path = PurePosixPath(name)
    if (
        not name
        or path.is_absolute()
        or path.as_posix() != name
        or not path.parts
        or ".." in path.parts
        or re.search(r"[\\\x00-\x1f:]", name)
    ):
        raise RecordError(f"file names must be plain and stay inside the record; got {name[:80]!r}")


def _plain_file(folder: Path, name: str, size: int | None) -> bytes:
    """The bytes of a regular file that no link leads to, of the size that is expected."""
    check_name(name)
    path = folder
    try:
        for part in PurePosixPath(name).parts:
            path /= part
            if path.is_symlink():
                raise RecordError(f"files must stay inside the record; got a link at {path}")
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise RecordError(f"files of a record must be regular files; got another at {path}")
        if status.st_size != size if size is not None else status.st_size > MAX_RESULT:
            raise RecordError(
                f"{name} must be {size if size is not None else f'at most {MAX_RESULT}'} bytes "
                f"long; got {status.st_size} in {folder}"
            )
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RecordError(f"{name} must be readable; got {reason} in {folder}") from None
