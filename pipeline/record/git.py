"""What git knows of the project, whatever its user has set for git; or why it knows nothing."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline import files
from pipeline.text import one_line, printable, redact

# A diff is taken of what is needed to run the code again. Not conf/tracking: it may hold addresses.
DIFFED = ("nn", "pipeline", "conf", "pyproject.toml", "requirements.lock")
# Of the plumbing, which heeds few settings, and none that would keep the diff from being applied.
PLAIN_DIFF = (
    "diff-index", "--cached", "--patch", "--binary", "--full-index", "--relative", "--no-renames",
    "--no-color", "--no-ext-diff", "--no-textconv", "--submodule=short",
    "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
# No hook and no monitor of the person at work runs, and no warning becomes a failure.
PLAIN = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false",
         "-c", "core.safecrlf=false")  # fmt: skip
# Within a hook git's own variables would lead to another repository. Settings may be needed:
# that a folder of another owner is safe.
KEPT = ("GIT_CONFIG", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")
NO_REPOSITORY = "not a git repository"
INSTALLED = "the package is installed, and no checkout"


class GitError(Exception):
    """Git has refused, or is not there."""


@dataclass(frozen=True)
class Source:
    """The commit of the project, and what differs from it; without one, why."""

    commit: str | None
    diff: str | None
    missing: str | None = None


def read_source(project: Path) -> Source:
    """Return the commit and the diff against it, untracked files included.

    The diff goes through an index and objects of its own: the user's stay as they are, even where
    nothing may be written.
    """
    if files.IS_INSTALLED:
        return Source(None, None, INSTALLED)
    try:
        with TemporaryDirectory() as folder:
            return _read(project, Path(folder))
    except (GitError, OSError) as error:
        return Source(None, None, _reason(error, project))


def source_warning(missing: str | None) -> str:
    """Return what is to be said where there is a repository that could not be read; "" if not."""
    if missing in (None, NO_REPOSITORY, INSTALLED):
        return ""
    return f"warning: commit must be on record; got none: {missing}"


def git(folder: Path, *words: str, **variables: str) -> str:
    """Return what git prints; GitError with its reason if it fails."""
    names = {name: text for name, text in os.environ.items() if _is_kept(name)}
    command = ["git", "-C", str(folder), *PLAIN, *words]
    try:
        done = subprocess.run(
            command, env={**names, "LC_ALL": "C", **variables}, stdin=subprocess.DEVNULL,
            capture_output=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise GitError("git is not installed") from None
    if done.returncode:
        text = done.stderr.decode("utf-8", "replace")
        raise GitError(printable(one_line(redact(text))) or f"exit code {done.returncode}")
    return done.stdout.decode("utf-8", "surrogateescape")


def prefix(project: Path) -> str:
    """Return the project's folder within its repository: "" or one that ends in a slash."""
    return git(project, "rev-parse", "--show-prefix").removesuffix("\n")


def _read(project: Path, folder: Path) -> Source:
    objects = git(project, "rev-parse", "--git-path", "objects").removesuffix("\n")
    own = {
        "GIT_INDEX_FILE": str(folder / "index"),
        "GIT_OBJECT_DIRECTORY": str(folder),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{_escaped(str(project / objects))}"',
    }
    commit = git(project, "rev-parse", "--quiet", "--verify", "HEAD").strip()
    if not git(project, "ls-tree", "--name-only", "HEAD", "--", *DIFFED[:2]):
        raise GitError(f"{project} is not in the repository that it is below")
    git(project, "read-tree", "HEAD", **own)
    there = [name for name in DIFFED if (project / name).exists()]
    git(project, "add", "--all", "--", *there, ":!conf/tracking", **own)
    return Source(commit, git(project, *PLAIN_DIFF, "HEAD", "--", *DIFFED, **own))


def _escaped(path: str) -> str:
    """Return a path as git reads it between quotes: it may hold a colon."""
    return path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _reason(error: Exception, project: Path) -> str:
    text = str(error)
    if NO_REPOSITORY in text or ("not installed" in text and not (project / ".git").exists()):
        return NO_REPOSITORY
    return text


def _is_kept(name: str) -> bool:
    return not name.startswith("GIT_") or name.startswith(KEPT)
