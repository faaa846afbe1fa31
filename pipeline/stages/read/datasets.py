"""The tables that come with the project, written to ``data/`` when they are missing there."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from pipeline import files
from pipeline.stages.read import car


def breast_cancer() -> bytes:
    """Return the Wisconsin diagnostic breast cancer table as CSV: 569 rows of 30 numbers.

    W. N. Street, W. H. Wolberg, O. L. Mangasarian 1993; the copy that scikit-learn ships. UCI
    Machine Learning Repository, doi 10.24432/C5DW2B, CC BY 4.0.
    """
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    header = [*(name.replace(" ", "_") for name in bunch.feature_names), "diagnosis"]
    lines = [
        [*map(repr, values), str(bunch.target_names[label])]
        for values, label in zip(bunch.data.tolist(), bunch.target, strict=True)
    ]
    return "".join(",".join(line) + "\n" for line in [header, *lines]).encode()


TABLES: dict[str, Callable[[], bytes]] = {
    "data/car.data": car.content,
    "data/breast_cancer.csv": breast_cancer,
}


def write_if_missing(path: str | None) -> bool:
    """Return whether ``path`` names one of the TABLES that was not there and is now written.

    Written beside its place and linked into it: no reader sees half a file, and of several
    processes that start at once the first one's file stays, for the others may be reading it.
    """
    if path not in TABLES or (files.PROJECT / path).exists():
        return False
    target = files.PROJECT / path
    target.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=target.parent, prefix=".tmp.") as file:
        file.write(TABLES[path]())
        file.flush()
        with suppress(FileExistsError):
            os.link(file.name, target)
            return True
    return False


def remove_written() -> list[str]:
    """Remove the tables that would be written again byte for byte, and return their paths.

    One that was edited, or is a link, stays, as does whatever else is there. A folder that this
    leaves empty goes too.
    """
    removed = [path for path, made in TABLES.items() if _holds(files.PROJECT / path, made)]
    for path in removed:
        (files.PROJECT / path).unlink()
    for folder in {(files.PROJECT / path).parent for path in TABLES}:
        with suppress(OSError):  # something else is in it, or it is not there
            folder.rmdir()
    return removed


def _holds(path: Path, made: Callable[[], bytes]) -> bool:
    """Return whether a regular file holds what ``made`` returns."""
    if path.is_symlink() or not path.is_file():
        return False
    content = made()
    return path.stat().st_size == len(content) and path.read_bytes() == content
