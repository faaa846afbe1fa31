"""What a run was made of, and the identity that follows from it."""

from __future__ import annotations

from dataclasses import dataclass


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
    code_files: dict[str, str]  # sha256 of each source file that can affect a result
    git_commit: str | None
    git_dirty: bool | None
    git_diff: str | None  # against that commit: nn, pipeline, conf, pyproject.toml, the lock
    versions: dict[str, str]  # python, numpy, pandas, …
    platform: str
    blas: str  # library and kernel
    blas_threads: int
