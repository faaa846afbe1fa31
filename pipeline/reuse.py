"""A stage that is called again on the same inputs hands back what it made before.

Runs of a sweep often differ in training alone. Stages know nothing of it: ``run`` calls them
through a ``Call``, which is ``plainly`` in a single run and a ``Reuse`` in a sweep.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, ParamSpec, Protocol, TypeVar

from pipeline import paths
from pipeline.config import DataSettings
from pipeline.settings import Settings
from pipeline.stages.read import Rows

P = ParamSpec("P")
T = TypeVar("T")
KEPT = 4  # results of one stage; a grid goes through the choices of a stage one after the other


class Call(Protocol):
    """How a stage is called."""

    def __call__(self, stage: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``stage`` makes of the arguments."""
        ...


def plainly(stage: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call the stage."""
    return stage(*args, **kwargs)


class Reuse:
    """Calls a stage, or hands back what it made of the same inputs.

    Settings are the same where their values are, files where nobody wrote to them, tables where
    their digests are, and what a stage made is the same as itself: every entry holds its
    inputs, so that no other object can take their place in memory.
    """

    def __init__(self) -> None:
        self._made: dict[str, OrderedDict[Hashable, tuple[Any, Any]]] = {}
        self.reused: Counter[str] = Counter()  # calls of each stage that were saved

    def __call__(self, stage: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``stage`` makes of the arguments, made once."""
        made = self._made.setdefault(stage.__name__, OrderedDict())
        key = (*map(_key, args), *((name, _key(value)) for name, value in kwargs.items()))
        if key in made:
            self.reused[stage.__name__] += 1
            made.move_to_end(key)
            result: T = made[key][0]
            return result
        result = stage(*args, **kwargs)
        made[key] = (result, (args, kwargs))
        if len(made) > KEPT:
            made.popitem(last=False)
        return result


def _key(value: Any) -> Hashable:
    if isinstance(value, DataSettings):
        return "data", repr(value), _state(value)
    if isinstance(value, Settings):
        return type(value).__name__, repr(value)
    if isinstance(value, Rows):
        return "rows", value.digest
    if value is None or isinstance(value, str | int | float | bool):
        return type(value).__name__, value
    return "object", id(value)


def _state(data: DataSettings) -> Hashable:
    """What changes when somebody writes to the file."""
    try:
        status = (paths.PROJECT / data.path).stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
