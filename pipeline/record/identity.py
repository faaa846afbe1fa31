"""What a run is made of, and the identity that follows from it (``docs/identity.md``)."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from pipeline.config.contract import DataSettings
from pipeline.config.schema import RunConfig
from pipeline.config.strict import Settings
from pipeline.files import CODE
from pipeline.record.git import read_source
from pipeline.text import remembered

# The rooms whose code makes a result, and what in them does not count: what is read from a file is
# hashed cell by cell and what is composed value by value.
RESULT_ROOMS = ("nn", "pipeline/config", "pipeline/stages", "pipeline/run.py")
NOT_COUNTED = re.compile(
    r"pipeline/stages/read/|pipeline/config/compose\.py"
    r"|(.*/)?(\.|__pycache__/)|.*(\.md|\.rst|~)$"  # hidden, compiled, prose, a copy of an editor
)
# They compute: another version may split, convert, train or evaluate otherwise.
COMPUTING = ("numpy", "scipy", "pandas", "pandera", "pyarrow")
# They are recorded only: what they made is hashed, or they come after the result.
RECORDED = ("duckdb", "hydra-core", "mlflow")
MACHINE = ("platform", "blas", "arithmetic")  # on which the rounding depends
# How the file is read. It makes the cells, which the digest of the data has, or refuses the file.
READING = (
    "path", "source", "valid", "test", "sha256", "delimiter", "names", "max_bytes", "max_distinct",
)  # fmt: skip
WORDING = re.compile(r"[a-z,;:.)%] [a-z({]", re.IGNORECASE)  # a text of two words or more
# Here a text decides, and so wherever else it stands in the module.
DECIDING = (ast.Compare, ast.Subscript, ast.MatchValue, ast.AnnAssign, ast.arguments)

Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Identity = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]
Commit = Annotated[str, StringConstraints(pattern="^[0-9a-f]{40,64}$")]


class Environment(BaseModel, frozen=True, extra="forbid"):
    """The code, the libraries and the machine of a process."""

    code_digest: Digest  # over code_files
    code_files: dict[str, str]  # digest of each file of the result rooms
    git_commit: Commit | None
    git_dirty: bool | None
    git_diff: str | None = Field(None, exclude=True)  # since that commit; a file of its own
    # Why there is no commit; left out where there is one: the seal of older records has it not.
    git_missing: str | None = Field(None, exclude_if=lambda reason: reason is None)
    versions: dict[str, str]
    platform: str
    blas: str  # library, version and kernel
    arithmetic: str  # what exp and log are made of: C library and vector instructions


class Lineage(Environment, frozen=True):
    """Everything a run was made of."""

    identity: Identity
    data_digest: Digest  # of every cell and count, free of the order of the rows
    blas_threads: int


def environment(project: Path = CODE) -> Environment:
    """Return the code, the libraries and the machine of this process."""
    files = code_files(project)
    source = read_source(project)
    versions = {name: version(name) for name in (*COMPUTING, *RECORDED)}
    return Environment(
        code_digest=_sha256(files),
        code_files=files,
        git_commit=source.commit,
        git_dirty=None if source.diff is None else bool(source.diff),
        git_diff=source.diff or None,
        git_missing=source.missing,
        versions={"python": platform.python_version(), **versions},
        platform=f"{sys.platform}-{platform.machine()}",
        blas=_blas(),
        arithmetic=_arithmetic(),
    )


def trace(config: RunConfig, data_digest: str, here: Environment) -> Lineage:
    """Return the lineage of a run of ``config``, on data with that digest, in an environment.

    Its identity is equal exactly where one machine must give the same bits. Another kind of machine
    (platform, BLAS kernel, vector instructions) rounds otherwise; it is on record and no part of
    the identity: a run that is moved, or made on another node, is the same run.
    """
    return Lineage(
        identity=identity_of(config, data_digest, here),
        data_digest=data_digest,
        blas_threads=config.train.blas_threads,
        **here.model_dump(),
    )


def identity_of(config: RunConfig, data_digest: str, here: Environment) -> str:
    """Return the identity alone, as ``trace``; what runs of a sweep have in common is dumped once.

    It is the beginning of the sha256 of the JSON of all parts, with sorted keys.
    """
    names = sorted(RunConfig.model_fields)
    parts = ",".join(f'"{name}":{_settings_json(getattr(config, name))}' for name in names)
    head = f'"code":"{here.code_digest}","config":{{{parts}}},"data":"{data_digest}"'
    text = f"{{{head},{_libraries_json(here)[1:]}"
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


@remembered
def _libraries_json(here: Environment) -> str:
    # 3.11 of 3.11.7: sum() of floats rounds otherwise from 3.12 on; later digits mend faults.
    python = ".".join(here.versions["python"].split(".")[:2])
    return _json({"libraries": {n: here.versions[n] for n in COMPUTING}, "python": python})


@remembered
def _settings_json(part: Any) -> str:
    """Return the JSON of a group of settings, or of one at the top, without what is not counted."""
    left_out = set(READING) if isinstance(part, DataSettings) else None
    return _json(part.model_dump(exclude=left_out) if isinstance(part, Settings) else part)


def other_machine(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return in what the machine of one lineage differs from that of another; "" if it does not."""
    different = [name for name in MACHINE if was[name] != now[name]]
    return "; ".join(f"{now[n] or 'none'}, it was {was[n] or 'none'}" for n in different)


def code_files(project: Path = CODE) -> dict[str, str]:
    """Return the digest of each file of the result rooms, by its path in the project.

    What is no module counts byte by byte: a stage may read it, or it is a compiled module that
    takes the place of another.
    """
    rooms = [project / room for room in RESULT_ROOMS]
    paths = [path for room in rooms for path in (room, *room.rglob("*")) if path.is_file()]
    names = sorted(path.relative_to(project).as_posix() for path in paths)
    counted = [name for name in names if not NOT_COUNTED.match(name)]
    return {name: code_digest((project / name).read_bytes(), name) for name in counted}


@functools.cache  # parsing is most of the work, and a process that makes many runs asks often
def code_digest(content: bytes, name: str = "module.py") -> str:
    """Return the sha256 of what a module does, or of the bytes of another file.

    Comments, layout, docstrings and wording do not count: rewording a message makes no run of a
    sweep again. It is the same for each Python from 3.11 to 3.13.
    """
    if name.endswith(".py"):
        with suppress(SyntaxError, ValueError):  # no module yet: nothing can import it
            tree = ast.parse(content)
            content = repr(_meaning(tree, _decisive_texts(tree))).encode()
    return hashlib.sha256(content).hexdigest()


def _decisive_texts(tree: ast.Module) -> set[object]:
    """Return what the module compares, looks up, or lists as values or defaults."""
    nodes = list(ast.walk(tree))
    keys = [key for node in nodes if isinstance(node, ast.Dict) for key in node.keys if key]
    decide = [*keys, *(node for node in nodes if isinstance(node, DECIDING))]
    leaves = [leaf for node in decide for leaf in ast.walk(node)]
    return {leaf.value for leaf in leaves if isinstance(leaf, ast.Constant)}


def _meaning(node: Any, decisive: set[object]) -> Any:
    """Return a part of a syntax tree as plain values, with nothing for docstrings and wording."""
    if isinstance(node, list):
        return [_meaning(each, decisive) for each in node if not _is_docstring(each)]
    if not isinstance(node, ast.AST):
        return node
    if _is_wording(node, decisive):
        return "wording"
    names = [name for name in node._fields if name != "type_params"]  # since 3.12
    return [type(node).__name__, *(_meaning(getattr(node, name), decisive) for name in names)]


def _is_docstring(node: Any) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _is_wording(node: Any, decisive: set[object]) -> bool:
    """Return whether the node is a text of two words or more, with or without values in it."""
    if isinstance(node, ast.JoinedStr):
        return any(_is_wording(part, decisive) for part in node.values)
    text = node.value if isinstance(node, ast.Constant) else None
    return isinstance(text, str) and text not in decisive and bool(WORDING.search(text))


def _sha256(tree: Any) -> str:
    return hashlib.sha256(_json(tree).encode("ascii")).hexdigest()


def _json(tree: Any) -> str:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"))


def _blas() -> str:
    """Return name, version and kernel of the library that NumPy multiplies with."""
    import numpy  # noqa: F401  (or its library is not loaded yet)
    from threadpoolctl import threadpool_info

    # SciPy may have loaded its own as well, which never trains.
    found = [lib for lib in threadpool_info() if "scipy.libs" not in lib["filepath"]]
    words = [(lib["internal_api"], lib.get("version"), lib.get("architecture", ""))
             for lib in found if lib["user_api"] == "blas"]  # fmt: skip
    return ", ".join(" ".join(map(str, each)).strip() for each in words)


def _arithmetic() -> str:
    """Return the C library, and the widest vector instructions that NumPy found and uses."""
    import numpy as np

    name = "CS_GNU_LIBC_VERSION"  # Linux alone has it
    libc = os.confstr(name) if name in getattr(os, "confstr_names", ()) else None
    build: Any = np.show_config(mode="dicts")
    vectors = build.get("SIMD Extensions", {})
    widest = [*vectors.get("baseline", []), *vectors.get("found", [])][-1:]
    return ", ".join(filter(None, [libc, *widest]))
