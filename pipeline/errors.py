"""What can go wrong that is not a defect of ours, and the exit code of each.

Messages have one form: *thing* must *rule*; got *value* [at *place*]. They go to stderr without a
traceback and hold at most 2 kB, every fault in them.
"""

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
