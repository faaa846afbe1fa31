"""What can end a command: refusals, failures and signals, and the exit code of each.

Messages have one form: *thing* must *rule*; got *value* [at *place*]; then the cure. They go to
stderr without a traceback, every violation in one message of at most 2 kB.
"""

from __future__ import annotations

import errno
import signal
import sys
import traceback
from dataclasses import dataclass
from types import FrameType

OK = 0
INTERNAL = 1  # an internal error: a traceback
PRUNED = "Pruned"  # the kind of a failure that is none: the run could not win, and was ended
WORSE = 6  # evaluate: the run does worse on another file than on its test rows, beyond chance
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class PipelineError(Exception):
    """A refusal: a message for the person at the terminal, and an exit code."""

    exit_code = INTERNAL


class ConfigError(PipelineError):
    """The command line or the configuration is wrong."""

    exit_code = 2


class DataError(PipelineError):
    """The data are refused."""

    exit_code = 3


class TrainingError(PipelineError):
    """The run failed while it trained."""

    exit_code = 4


class EngineError(PipelineError):
    """An engine that rows are on failed, or does not answer: another attempt may end otherwise."""

    exit_code = 4


class DiskError(PipelineError):
    """The disk is full, or may not be written to."""

    exit_code = 4


class TrackingError(PipelineError):
    """MLflow's store or server cannot be used; the record of the run is kept."""

    exit_code = 5


@dataclass(frozen=True)
class Failure:
    """Why a run did not finish. ``kind`` is the name of the error or of the signal."""

    kind: str
    message: str
    traceback: str | None  # of an internal error
    exit_code: int

    @property
    def is_pruned(self) -> bool:
        """Whether the run was ended on purpose, as it could not win."""
        return self.kind == PRUNED


def failure_of(error: Exception) -> Failure:
    """Return what is recorded of an exception: a refusal, or an internal error."""
    kind = type(error).__name__
    if isinstance(error, PipelineError):
        return Failure(kind, str(error), None, error.exit_code)
    return Failure(kind, str(error), "".join(traceback.format_exception(error)), INTERNAL)


# The disk is full, or does not let us write.
_UNWRITABLE = ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "ENOTDIR", "EIO")


def disk_error(error: OSError, what: str = "results") -> DiskError | None:
    """Return the refusal that an error of the disk is; None where it is another one."""
    if error.errno not in {getattr(errno, name) for name in _UNWRITABLE}:
        return None
    place = f" at {error.filename}" if error.filename else ""
    return DiskError(
        f"{what} must be written; got {reason_of(error)}{place}: make room or give permission, "
        "then repeat the command"
    )


def reason_of(error: Exception) -> str:
    """Return what went wrong in a few words, as the system names it."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def leave_on_signals() -> None:
    """Have SIGTERM and SIGHUP raise SystemExit with 128 + n: what is open is closed first."""
    for number in heeded(signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def heeded(*numbers: signal.Signals) -> list[signal.Signals]:
    """Return those of the signals that whoever began the process has not had ignored.

    nohup does so with SIGHUP, and a script with SIGINT for what it runs in the background.
    """
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


class StopRequest:
    """Whether, and by which signal, the process was asked to stop.

    The first SIGTERM, SIGHUP or Ctrl-C only sets a flag, which training reads after every epoch, so
    that what was learned is kept. The second one ends the process at once. Under nohup a run goes
    on after SIGHUP.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def listen(self) -> None:
        """Take the signals from now on."""
        for number in heeded(*SIGNALS):
            signal.signal(number, self._take)

    @property
    def exit_code(self) -> int:
        """128 + the number of the signal; 0 without one."""
        return 128 + self.signal if self.signal else 0

    @property
    def failure(self) -> Failure:
        """Why a run that was stopped did not finish."""
        name = self.signal.name if self.signal else "Stopped"
        return Failure(name, f"ended by {name}; what it had learned is kept", None, self.exit_code)

    def _take(self, number: int, _: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        for each in heeded(*SIGNALS):
            signal.signal(each, signal.SIG_DFL)
