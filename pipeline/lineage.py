"""What a run was made of, and the identity that follows from it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.config import RunConfig
from pipeline.paths import PROJECT
from pipeline.source import code_files

# What a diff is taken of: enough to run the code again. Not conf/tracking: it may hold addresses.
DIFFED = ("nn", "pipeline", "conf", "pyproject.toml", "requirements.lock")
LIBRARIES = ("numpy", "scipy", "pandas", "pandera", "duckdb", "scikit-learn", "hydra-core",
             "mlflow")  # fmt: skip


@dataclass(frozen=True)
class Lineage:
    """Everything a run was made of.

    ``identity`` (32 hex digits) hashes what determines the result: the parsed RunConfig without
    the path of its data, the digest of the data and of the code, the version of numpy and the
    number of BLAS threads. The rest is told for the reader of the record.
    """

    identity: str
    data_digest: str  # sha256 of every cell and count, free of the order of the rows
    code_digest: str  # sha256 over code_files
    code_files: dict[str, str]  # digest of each source file that can change a result
    git_commit: str | None
    git_dirty: bool | None
    git_diff: str | None  # against that commit, of DIFFED
    versions: dict[str, str]
    platform: str
    blas: str  # library, version and kernel
    blas_threads: int


@dataclass(frozen=True)
class Surroundings:
    """What every run of one process is made of; the fields are those of ``Lineage``."""

    code_digest: str
    code_files: dict[str, str]
    git_commit: str | None
    git_dirty: bool | None
    git_diff: str | None
    versions: dict[str, str]
    platform: str
    blas: str


def surroundings(project: Path = PROJECT) -> Surroundings:
    """The code, the libraries and the machine of this process."""
    with ThreadPoolExecutor(1) as pool:  # git takes as long as we do
        asked = pool.submit(_git, project)
        files = code_files(project)
        commit, diff = asked.result()
    return Surroundings(
        code_digest=_sha256(files),
        code_files=files,
        git_commit=commit,
        git_dirty=None if diff is None else bool(diff),
        git_diff=diff or None,
        versions={"python": platform.python_version(), **{n: version(n) for n in LIBRARIES}},
        platform=f"{sys.platform}-{platform.machine()}",
        blas=_blas(),
    )


def trace(config: RunConfig, data_digest: str, around: Surroundings) -> Lineage:
    """The lineage of a run of ``config`` on data with that digest by the code that is running."""
    return Lineage(
        identity=identity(config, data_digest, around.code_digest),
        data_digest=data_digest,
        blas_threads=config.train.blas_threads,
        **{field.name: getattr(around, field.name) for field in fields(around)},
    )


def identity(config: RunConfig, data_digest: str, code_digest: str) -> str:
    """32 hex digits that are equal exactly where results must be equal to the bit."""
    tree = config.model_dump()
    del tree["data"]["path"]  # the digest says which data; a file may be moved
    parts = {
        "config": tree,
        "data": data_digest,
        "code": code_digest,
        "numpy": version("numpy"),
        "blas_threads": config.train.blas_threads,
    }
    return _sha256(parts)[:32]


def _sha256(tree: Any) -> str:
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _git(project: Path) -> tuple[str | None, str | None]:
    """The commit checked out and the diff against it, untracked files included; None without git.

    The diff goes through a private index, so that the one of the person at work stays as it is.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "GIT_INDEX_FILE": str(Path(folder) / "index")}

        def git(*words: str) -> str:
            command = ["git", "-C", str(project), *words]
            done = subprocess.run(command, env=environment, capture_output=True, check=True)
            return done.stdout.decode("utf-8", "replace")

        try:
            if Path(git("rev-parse", "--show-toplevel").strip()) != project:
                return None, None
            commit = git("rev-parse", "HEAD").strip()
            git("read-tree", "HEAD")
            there = [name for name in DIFFED if (project / name).exists()]
            git("add", "--all", "--", *there, ":!conf/tracking")
            return commit, git("diff", "--cached", "--binary", "HEAD")
        except (OSError, subprocess.CalledProcessError):
            return None, None


def _blas() -> str:
    from threadpoolctl import threadpool_info

    # SciPy may have loaded its own as well, which never trains.
    found = [
        lib for lib in threadpool_info()
        if lib.get("user_api") == "blas" and "scipy.libs" not in lib.get("filepath", "")
    ]  # fmt: skip
    return ", ".join(
        f"{lib['internal_api']} {lib.get('version')} {lib.get('architecture', '')}".strip()
        for lib in found
    )
