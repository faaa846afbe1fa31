"""What a run was made of, and the identity that follows from it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
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
# Whatever the person at work has set for their own eyes, the diff can be applied.
PLAINLY = ("--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/")
# They compute: another version may split, convert, train or evaluate otherwise.
COMPUTING = ("numpy", "scipy", "pandas", "pandera", "scikit-learn")
# Of these nothing but what they made counts, and all of that is hashed: the cells that were read,
# the configuration that was composed. Or they come after the result.
TOLD = ("duckdb", "hydra-core", "mlflow")
MACHINE = ("platform", "blas", "arithmetic")  # on which the rounding depends
# How the file is read. It makes the cells, which the digest of the data has, or refuses the file.
READING = ("path", "sha256", "delimiter", "names", "max_bytes")


@dataclass(frozen=True)
class Lineage:
    """Everything a run was made of.

    ``identity`` (32 hex digits) hashes what determines the result: the parsed RunConfig without how
    its file is read, the digests of the data and of the code, the versions of what computes. The
    rest is told for the reader of the record; docs/identity.md has the reasons.
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
    arithmetic: str = ""  # what exp and log are made of: C library and vector instructions


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
    arithmetic: str


def surroundings(project: Path = PROJECT) -> Surroundings:
    """The code, the libraries and the machine of this process."""
    with ThreadPoolExecutor(1) as pool:  # git takes as long as we do
        asked = pool.submit(_git, project)
        files = code_files(project)
        commit, diff = asked.result()
    if more := [name for name in files if name.partition("/")[0] not in DIFFED]:
        commit, diff = _git(project, more)
    return Surroundings(
        code_digest=_sha256(files),
        code_files=files,
        git_commit=commit,
        git_dirty=None if diff is None else bool(diff),
        git_diff=diff or None,
        versions={"python": platform.python_version(), **_versions(*COMPUTING, *TOLD)},
        platform=f"{sys.platform}-{platform.machine()}",
        blas=_blas(),
        arithmetic=_arithmetic(),
    )


def trace(config: RunConfig, data_digest: str, around: Surroundings) -> Lineage:
    """The lineage of a run of ``config`` on data with that digest by the code that is running."""
    return Lineage(
        identity=identity(config, data_digest, around.code_digest, around.versions),
        data_digest=data_digest,
        blas_threads=config.train.blas_threads,
        **{field.name: getattr(around, field.name) for field in fields(around)},
    )


def identity(
    config: RunConfig, data_digest: str, code_digest: str, versions: Mapping[str, str]
) -> str:
    """32 hex digits that are equal exactly where one machine must give the same bits.

    Another kind of machine (platform, BLAS kernel, vector instructions) rounds otherwise; it is on
    record and no part of this: a run that is moved, or made on another node, is the same run.
    """
    tree = config.model_dump()
    for name in READING:
        del tree["data"][name]
    parts = {
        "config": tree,
        "data": data_digest,
        "code": code_digest,
        # 3.11 of 3.11.7: sum() of floats rounds otherwise from 3.12 on; later digits mend faults.
        "python": ".".join(versions["python"].split(".")[:2]),
        "libraries": {name: versions[name] for name in COMPUTING},
    }
    return _sha256(parts)[:32]


def other_machine(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """In what the machine of one lineage is not that of another; "" where it is of one kind.

    What an older record does not tell of is not asked.
    """
    odd = [
        f"{now[name] or 'none'}, it was {was[name] or 'none'}"
        for name in MACHINE
        if name in was and name in now and was[name] != now[name]
    ]
    return "; ".join(odd)


def _versions(*names: str) -> dict[str, str]:
    return {name: version(name) for name in names}


def _sha256(tree: Any) -> str:
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _git(project: Path, more: Iterable[str] = ()) -> tuple[str | None, str | None]:
    """The commit checked out and the diff against it, untracked files included; None without git.

    The diff goes through a private index, so that the one of the person at work stays as it is.
    """
    with tempfile.TemporaryDirectory() as folder:
        # Within a hook git's own variables would lead to another repository.
        kept = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
        environment = {**kept, "GIT_INDEX_FILE": str(Path(folder) / "index")}

        def git(*words: str) -> str:
            command = ["git", "-C", str(project), *words]
            done = subprocess.run(command, env=environment, capture_output=True, check=True)
            return done.stdout.decode("utf-8", "replace")

        try:
            if Path(git("rev-parse", "--show-toplevel").strip()) != project:
                return None, None
            commit = git("rev-parse", "HEAD").strip()
            git("read-tree", "HEAD")
            there = [name for name in (*DIFFED, *more) if (project / name).exists()]
            git("add", "--all", "--", *there, ":!conf/tracking")
            return commit, git("diff", *PLAINLY, "--cached", "--binary", "HEAD")
        except (OSError, subprocess.CalledProcessError):
            return None, None


def _blas() -> str:
    import numpy  # noqa: F401  (or its library is not loaded yet)
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


def _arithmetic() -> str:
    """The C library, and the widest vector instructions that NumPy found and uses."""
    import numpy as np

    name = "CS_GNU_LIBC_VERSION"  # Linux alone has it
    libc = os.confstr(name) if name in getattr(os, "confstr_names", ()) else None
    build: Any = np.show_config(mode="dicts")
    vectors = build.get("SIMD Extensions", {})
    widest = [*vectors.get("baseline", []), *vectors.get("found", [])][-1:]
    return ", ".join(filter(None, [libc, *widest]))
