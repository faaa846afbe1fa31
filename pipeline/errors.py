"""What can go wrong that is not a defect of ours, and the exit code of each.

Messages have one form: *thing* must *rule*; got *value* [at *place*]. They go to stderr without a
traceback and hold at most 2 kB, every fault in them.
"""

import errno

OK = 0
DEFECT = 1
MAX_MESSAGE = 2000  # characters; the whole is in the report of the run


class PipelineError(Exception):
    """A refusal: a message for the person at the terminal, and an exit code."""

    exit_code = DEFECT


class ConfigError(PipelineError):
    """The command line or the configuration is wrong."""

    exit_code = 2


class DataError(PipelineError):
    """The data are refused."""

    exit_code = 3


class TrainingError(PipelineError):
    """The run failed while it trained."""

    exit_code = 4


class TrackingError(PipelineError):
    """MLflow's store or server cannot be used; the record of the run is kept."""

    exit_code = 5


# Of a disk that is full, or does not let us write.
_UNWRITABLE = ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "ENOTDIR", "EIO")


class DiskError(PipelineError):
    """The disk is full, or does not let us write."""

    exit_code = 4


def disk_error(error: OSError, what: str = "results") -> DiskError | None:
    """What is told of an error of the disk; None where it is another one."""
    if error.errno not in {getattr(errno, name) for name in _UNWRITABLE}:
        return None
    reason = (error.strerror or str(error)).lower()
    place = f" at {error.filename}" if error.filename else ""
    return DiskError(
        f"{what} must be written; got {reason}{place}: make room or leave to write, then repeat "
        "the command"
    )


def bounded(lines: list[str], limit: int = MAX_MESSAGE) -> str:
    """The lines as one text of at most ``limit`` characters, saying how many were left out."""
    text = ""
    for i, line in enumerate(lines):
        more = f"… and {len(lines) - i} more"
        cut = line if len(line) <= 400 else line[:399] + "…"
        if len(text) + len(cut) + len(more) + 2 > limit:
            return text + more
        text += cut + "\n"
    return text.rstrip("\n")
