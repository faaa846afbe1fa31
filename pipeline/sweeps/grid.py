"""Words of a multirun become its jobs, every one of them checked before the first runs.

The syntax is Hydra's: ``key=a,b``, ``choice(…)``, ``range(…)``, ``glob(…)`` and the axes that an
experiment lists under ``hydra.sweeper.params``. Hydra would compose one job after another and
refuse the fifth when four have run.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from hydra.core.override_parser.types import Glob, Override
from omegaconf import DictConfig

from pipeline.config.compose import REFUSALS, is_group, parse_words, said
from pipeline.config.schema import Configuration, RunConfig
from pipeline.errors import ConfigError
from pipeline.files import CONF
from pipeline.sweeps.hydra_words import compose_hydra, is_for_hydra, launcher_words
from pipeline.sweeps.points import Points, parts_of
from pipeline.text import bounded

MAX_JOBS = 100_000
MAX_FAULTY = 1000  # points after which no more are looked at
COMMON = (
    "sweep",
    "tracking",
    "promote",
    "scorecard",
    "search",
)  # no part of a run: the same for all runs of a sweep
# A setting that is a plain number, which Hydra's grammar reads as Python does.
NUMBER = re.compile(
    r"(?P<key>[A-Za-z_][\w.]*)=(?P<value>-?(0|[1-9]\d*)(?P<point>\.\d+(e-?\d+)?)?)", re.ASCII
)
UNNAMED = "sweep"  # the name of a sweep that was given none


@dataclass(frozen=True)
class Job:
    """One run of a sweep: what was typed to get it, and the configuration that it is."""

    number: int  # from 0, in the order of the grid, the last axis fastest
    overrides: tuple[str, ...]
    configuration: Configuration

    @cached_property
    def config(self) -> RunConfig:
        """The part that determines the result."""
        return self.configuration.run_config()


@dataclass(frozen=True)
class Grid:
    """The jobs of a multirun, and the settings that all of them share."""

    name: str
    axes: Mapping[str, int]  # how many values each key that has several goes through
    jobs: tuple[Job, ...]
    repeated: int  # points that equal another one, and were left out
    launcher: tuple[str, ...]  # words for Hydra's launcher

    @property
    def has_launcher(self) -> bool:
        """Whether one of Hydra's launchers is to make the runs."""
        return bool(self.launcher)

    @property
    def settings(self) -> Configuration:
        """The settings of the sweep, of tracking and of promotion, which all jobs share."""
        return self.jobs[0].configuration


def expand(words: Sequence[str]) -> Grid:
    """Return the grid that the words of a multirun span.

    Raise ConfigError, which names every fault and the jobs that have it.
    """
    read = read_words(words)
    if read.sampler != "none":
        raise ConfigError(
            f"search must be none where every point of a grid is run; got {read.sampler!r}: "
            "make search ARGS=…"
        )
    axes = {override.get_key_element(): words_of(override) for override in read.overrides}
    check_axes(axes)
    points = list(_points(axes, _zipped(read.overrides)))
    jobs = jobs_of(points)
    check_common(jobs)
    several = {key: len(choices) for key, choices in axes.items() if len(choices) > 1}
    return Grid(read.name(jobs[0]), several, jobs, len(points) - len(jobs), read.launcher)


@dataclass(frozen=True)
class Words:
    """The words of a multirun as Hydra reads them, before they become points."""

    overrides: tuple[Override, ...]  # those that an experiment lists, then those that were typed
    launcher: tuple[str, ...]  # words for Hydra's launcher
    sampler: str  # the choice of the group search

    def name(self, job: Job) -> str:
        """Return the name as it was set, or that of the one experiment that was chosen."""
        named = [
            o
            for o in self.overrides
            if o.key_or_group == "experiment" and not o.is_sweep_override()
        ]
        experiment = named[-1].value() if named else None
        return job.configuration.sweep.name or str(experiment or UNNAMED)


def read_words(words: Sequence[str]) -> Words:
    """Return the overrides that the words are, with those that a chosen experiment lists."""
    for_hydra = [word for word in words if is_for_hydra(word)]
    typed = _parsed(word for word in words if word not in for_hydra)
    groups = [o.input_line or "" for o in typed if is_group(o) and not o.is_sweep_override()]
    hydra = compose_hydra(groups, for_hydra)
    overrides = (*_listed(typed, hydra), *typed)
    return Words(overrides, launcher_words(hydra), str(hydra.runtime.choices["search"]))


def _parsed(words: Iterator[str]) -> list[Override]:
    overrides, faults = parse_words(list(words))
    if faults:
        raise ConfigError(bounded(faults))
    return overrides


def _listed(typed: Sequence[Override], hydra: DictConfig) -> list[Override]:
    """Return what the chosen experiment sweeps over and the typed words do not set."""
    params = hydra.sweeper.params or {}
    set_already = {override.get_key_element() for override in typed}
    return _parsed(f"{key}={value}" for key, value in params.items() if key not in set_already)


def words_of(override: Override) -> list[str]:
    """Return a word of a single run for every value of the override."""
    key = override.get_key_element()
    value: object = override.value()
    if not override.is_sweep_override():
        return [override.input_line or ""]
    if isinstance(value, Glob):
        options = sorted(path.stem for path in (CONF / override.key_or_group).glob("*.yaml"))
        return [f"{key}={option}" for option in value.filter(options)]
    if not override.is_discrete_sweep():
        got = override.input_line
        raise ConfigError(
            f"{key} must be a list or a range of values; got {got!r}, without an end: make search "
            "draws from it"
        )
    return [f"{key}={text}" for text in override.sweep_string_iterator()]


def check_axes(axes: Mapping[str, Sequence[str]]) -> None:
    """Refuse an axis without a value, several values of what is common, and too many points."""
    faults = [
        f"{key} must have a value to sweep over; got none"
        for key, choices in axes.items()
        if not choices
    ]
    faults += [
        f"{key} must have one value in a sweep; got {len(choices)}"
        for key, choices in axes.items()
        if len(choices) > 1 and is_common(key)
    ]
    n = math.prod(map(len, axes.values()))
    if n > MAX_JOBS:
        faults.append(f"a sweep must have at most {MAX_JOBS:,} jobs; got {n:,}")
    if faults:
        raise ConfigError(bounded(faults))


def check_common(jobs: Sequence[Job]) -> None:
    """Refuse settings of the sweep that refer to what differs; a run may name its experiment."""
    faults = []
    first = jobs[0].configuration
    for name in COMMON:
        shared = first.tracking.experiment if name == "tracking" else None
        change = {"experiment": shared} if shared else {}
        parts = {id(part): part for job in jobs for part in [getattr(job.configuration, name)]}
        found = [part.model_copy(update=change) for part in parts.values()]
        other = next((each for each in found if each != found[0]), None)
        if other is not None:
            got = f"{found[0]} and {other}"
            faults.append(f"{name} must be the same for all runs of a sweep; got {got}")
    if faults:
        raise ConfigError(bounded(faults))


def _zipped(overrides: Sequence[Override]) -> list[list[str]]:
    """Return the groups of axes that go in step, by ``sweep.zip``."""
    found = [o.value() for o in overrides if o.get_key_element() == "sweep.zip"]
    groups: object = found[-1] if found else []
    if not isinstance(groups, list) or not all(isinstance(group, list) for group in groups):
        raise ConfigError(f"sweep.zip must be a list of lists of axes; got {groups!r}")
    return [[str(key) for key in group] for group in groups]


def _points(
    axes: Mapping[str, Sequence[str]], zipped: Sequence[Sequence[str]]
) -> Iterator[tuple[str, ...]]:
    """Yield the words of each point; axes that go in step are at the same position."""
    for group in zipped:
        sizes = {key: len(axes.get(key, ())) for key in group}
        if len(set(sizes.values())) != 1 or 0 in sizes.values():
            got = ", ".join(f"{key} with {n or 'none'}" for key, n in sizes.items())
            raise ConfigError(f"axes in sweep.zip must have equally many values; got {got}")
    for positions in itertools.product(*(range(len(choices)) for choices in axes.values())):
        at = dict(zip(axes, positions, strict=True))
        if all(len({at[key] for key in group}) == 1 for group in zipped):
            yield tuple(axes[key][position] for key, position in at.items())


def jobs_of(points: Sequence[tuple[str, ...]], composed: Points | None = None) -> tuple[Job, ...]:
    """Return each configuration once, as a job; refuse with every fault of every point."""
    composed = composed or Points()
    parsed = _each_parsed(dict.fromkeys(itertools.chain(*points)))
    jobs: dict[tuple[int, ...], Job] = {}
    faults: dict[str, list[int]] = {}
    faulty = number = 0
    for number, point in enumerate(points):
        lines = [fault for word in point for fault in parsed[word][1]]
        try:
            if not lines:
                configuration = composed.configuration([o for w in point for o in parsed[w][0]])
                overrides = tuple(word for word in point if not is_common(word))
                jobs.setdefault(parts_of(configuration), Job(len(jobs), overrides, configuration))
        except ConfigError as error:
            lines = str(error).splitlines()
        except REFUSALS as error:
            lines = [said(error)]
        for line in lines:
            faults.setdefault(line, []).append(number)
        faulty += bool(lines)
        if faulty == MAX_FAULTY:
            break
    if faults:
        looked = points[: number + 1]
        raise ConfigError(bounded([_fault(*item, looked, len(points)) for item in faults.items()]))
    return tuple(jobs.values())


def _each_parsed(words: Iterable[str]) -> dict[str, tuple[list[Override], list[str]]]:
    """Return the overrides of each word, and what is wrong with it.

    Hydra's grammar takes 0.3 ms for a word: of one setting's many numbers the first alone.
    """
    found: dict[str, tuple[list[Override], list[str]]] = {}
    alike: dict[tuple[str, bool], Override] = {}  # by key, and whether it is a whole number
    for word in words:
        number = NUMBER.fullmatch(word)
        kind = (number["key"], number["point"] is None) if number else ("", False)
        if number and kind in alike:
            value = int(number["value"]) if kind[1] else float(number["value"])
            found[word] = [replace(alike[kind], input_line=word, _value=value)], []
            continue
        found[word] = overrides, faults = parse_words([word])
        if number and not faults and not is_group(overrides[0]):
            alike[kind] = overrides[0]
    return found


def _fault(line: str, numbers: Sequence[int], points: Sequence[tuple[str, ...]], total: int) -> str:
    if len(points) == 1:
        return line
    first = " ".join(points[numbers[0]])
    looked = f"{len(points)}" if len(points) == total else f"the first {len(points)} of {total}"
    jobs = f"in {len(numbers)} of {looked} jobs, number {ranges(numbers)}"
    return f"{line} ({jobs}; the first is {first})"


def ranges(numbers: Sequence[int]) -> str:
    """Return the rising numbers, runs of them joined: 1-3, 7."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)


def is_common(word: str) -> bool:
    """Return whether the word sets what all runs of a sweep have in common."""
    return word.lstrip("+~").partition("=")[0].partition(".")[0] in COMMON
