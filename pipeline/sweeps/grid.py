"""Words of a multirun become its jobs, every one of them checked before the first runs.

The syntax is Hydra's: ``key=a,b``, ``choice(…)``, ``range(…)``, ``glob(…)`` and the axes that an
experiment lists under ``hydra.sweeper.params``. Hydra would compose one job after another and
refuse the fifth when four have run.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from omegaconf import OmegaConf

from pipeline.compose import (
    REFUSALS,
    Composer,
    compose,
    is_group,
    option_fault,
    parse,
    parse_words,
    said,
)
from pipeline.config import Configuration
from pipeline.errors import ConfigError, bounded
from pipeline.paths import CONF

MOST = 10_000  # jobs
# No part of a run, so the same for all runs of a sweep.
COMMON = ("sweep", "tracking", "promote")
UNNAMED = "sweep"  # what a sweep goes by that has no name


@dataclass(frozen=True)
class Job:
    """One run of a sweep: what was typed to get it, and the configuration that it is."""

    number: int  # from 0, in the order of the grid, the last axis fastest
    overrides: tuple[str, ...]
    configuration: Configuration


@dataclass(frozen=True)
class Grid:
    """The jobs of a multirun. ``launcher`` holds the words for Hydra's launcher."""

    name: str
    axes: dict[str, tuple[str, ...]]  # what each key with several values goes through
    jobs: tuple[Job, ...]
    repeated: int  # points that are another one again, and were left out
    launcher: tuple[str, ...]


def expand(words: Sequence[str]) -> Grid:
    """The grid that the words of a multirun span.

    Raises
    ------
    ConfigError
        Naming every fault and the jobs that have it.
    """
    launcher = tuple(word for word in words if word.lstrip("+~").startswith(("hydra/", "hydra.")))
    overrides, faults = parse_words([word for word in words if word not in launcher])
    if faults:
        raise ConfigError(bounded(faults))
    overrides = _with_params(overrides, launcher)
    axes = {o.get_key_element(): _choices(o) for o in overrides}
    _check_axes(overrides, axes)
    points = list(_points(axes, _zipped(overrides)))
    jobs, repeated = _jobs(points)
    swept = {o.get_key_element() for o in overrides if o.is_sweep_override()}
    several = {key: tuple(axes[key]) for key in axes if key in swept and len(axes[key]) > 1}
    return Grid(_name(jobs[0], overrides), several, jobs, repeated, launcher)


def _with_params(overrides: list[Override], launcher: Sequence[str]) -> list[Override]:
    """The overrides, and before them what the chosen experiment sweeps over and they do not."""
    single = [o.input_line or "" for o in overrides if is_group(o) and not o.is_sweep_override()]
    params = [word for word in launcher if word.lstrip("+").startswith("hydra.sweeper.params.")]
    try:
        tree = compose([*single, *params], with_hydra=True)
    except REFUSALS as error:
        raise ConfigError(said(error)) from None
    found = OmegaConf.select(tree, "hydra.sweeper.params") or {}
    listed, faults = parse_words([f"{key}={value}" for key, value in found.items()])
    if faults:
        raise ConfigError(bounded(faults))
    typed = {o.get_key_element() for o in overrides}
    return [o for o in listed if o.get_key_element() not in typed] + overrides


def _choices(override: Override) -> list[str]:
    """Every value of the override, as it would be typed."""
    if not override.is_sweep_override():
        return [(override.input_line or "").split("=", 1)[1]] if not override.is_delete() else [""]
    value: object = override.value()
    if isinstance(value, Glob):
        folder = CONF / override.key_or_group
        return [str(name) for name in value.filter(sorted(p.stem for p in folder.glob("*.yaml")))]
    if not override.is_discrete_sweep():
        raise ConfigError(
            f"{override.get_key_element()} must be a list or a range of values; got "
            f"{override.input_line!r}, which has no end"
        )
    return list(override.sweep_string_iterator())


def _check_axes(overrides: Sequence[Override], axes: dict[str, list[str]]) -> None:
    faults = [
        f"{key} must have a value to sweep over; got none from {_typed(overrides, key)!r}"
        for key, choices in axes.items()
        if not choices
    ]
    faults += [
        f"{key} must have one value in a sweep; got {len(choices)}"
        for key, choices in axes.items()
        if len(choices) > 1 and key.partition(".")[0] in COMMON
    ]
    n = math.prod(len(choices) for choices in axes.values())
    if n > MOST:
        faults.append(f"a sweep must have at most {MOST:,} jobs; got {n:,}")
    if faults:
        raise ConfigError(bounded(faults))


def _typed(overrides: Sequence[Override], key: str) -> str:
    return next(o.input_line or "" for o in overrides if o.get_key_element() == key)


def _zipped(overrides: Sequence[Override]) -> list[list[str]]:
    """The groups of axes that go in step, by ``sweep.zip``."""
    words = [o.value() for o in overrides if o.get_key_element() == "sweep.zip"]
    found: object = words[-1] if words else []
    if not isinstance(found, list) or not all(isinstance(group, list) for group in found):
        raise ConfigError(f"sweep.zip must be a list of lists of axes; got {found!r}")
    return [[str(key) for key in group] for group in found]


def _points(
    axes: dict[str, list[str]], zipped: Sequence[Sequence[str]]
) -> Iterator[tuple[str, ...]]:
    """The overrides of each point of the grid; axes that go in step are at the same position."""
    for group in zipped:
        sizes = {key: len(axes.get(key, ())) for key in group}
        if len(set(sizes.values())) != 1 or 0 in sizes.values():
            told = ", ".join(f"{key} with {n or 'none'}" for key, n in sizes.items())
            raise ConfigError(f"axes in sweep.zip must have equally many values; got {told}")
    keys = list(axes)
    for position in itertools.product(*(range(len(axes[key])) for key in keys)):
        at = dict(zip(keys, position, strict=True))
        if all(len({at[key] for key in group}) == 1 for group in zipped):
            yield tuple(
                f"{key}={axes[key][i]}" if not key.startswith("~") else key for key, i in at.items()
            )


def _jobs(points: Sequence[tuple[str, ...]]) -> tuple[tuple[Job, ...], int]:
    composer, parser = Composer(), OverridesParser.create()
    jobs: dict[str, Job] = {}
    faults: dict[str, list[int]] = {}
    for number, point in enumerate(points):
        try:
            overrides = parser.parse_overrides(list(point))
            _check_options(overrides)
            configuration = parse(composer.tree(overrides))
        except ConfigError as error:
            for line in str(error).splitlines():
                faults.setdefault(line, []).append(number)
            continue
        except REFUSALS as error:
            faults.setdefault(said(error), []).append(number)
            continue
        told = tuple(word for word in point if word.partition(".")[0] not in COMMON)
        jobs.setdefault(repr(configuration), Job(len(jobs), told, configuration))
    if faults:
        raise ConfigError(bounded([_fault(*item, points) for item in faults.items()]))
    return tuple(jobs.values()), len(points) - len(jobs)


def _check_options(overrides: Sequence[Override]) -> None:
    faults = [fault for override in overrides if (fault := option_fault(override))]
    if faults:
        raise ConfigError("\n".join(faults))


def _fault(line: str, numbers: list[int], points: Sequence[tuple[str, ...]]) -> str:
    if len(points) == 1:
        return line
    first = " ".join(points[numbers[0]])
    where = f"in {len(numbers)} of {len(points)} jobs: number {ranges(numbers)}"
    example = f" (the first is {first})" if len(numbers) > 1 else f" ({first})"
    return (f"{line} I" + where[1:] if line.endswith("?") else f"{line}, {where}") + example


def ranges(numbers: Sequence[int]) -> str:
    """The rising numbers, runs of them joined: 1-3, 7."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)


def _name(job: Job, overrides: Sequence[Override]) -> str:
    if job.configuration.sweep.name:
        return job.configuration.sweep.name
    named = [o for o in overrides if o.get_key_element() == "experiment"]
    single = [o for o in named if not o.is_sweep_override() and o.value()]
    return str(single[-1].value()) if single else UNNAMED
