"""SIGTERM, SIGHUP and Ctrl-C as a request to stop: what was learned so far is kept.

The first signal only sets a flag, which training reads after every epoch, so that nothing is torn
in the middle. The second one ends the process at once, as if we were not here.
"""

from __future__ import annotations

import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))


class StopRequest:
    """Whether, and by which signal, the process was asked to stop."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def listen(self) -> None:
        """Take the signals from now on."""
        for number in SIGNALS:
            signal.signal(number, self._take)

    @property
    def exit_code(self) -> int:
        """128 + the number of the signal."""
        return 128 + self.signal if self.signal else 0

    def _take(self, number: int, _: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
