"""Words of a search become its space: what is drawn, and what every point is repeated on.

The syntax is Hydra's: ``interval(0.01,1)``, ``tag(log,interval(…))``, ``int(interval(1,9))``,
``range(…)`` and lists. Seeds and folds that have several values are repeats, not dimensions.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Sweep

from pipeline.compare.load import SEEDS
from pipeline.compare.trials import Drawn, Point
from pipeline.config.schema import Configuration, RunConfig
from pipeline.errors import ConfigError
from pipeline.sweeps.grid import (
    Grid,
    Job,
    Words,
    check_axes,
    check_common,
    is_common,
    jobs_of,
    read_words,
    words_of,
)
from pipeline.sweeps.points import Points, text_of
from pipeline.text import bounded, cut

DEFAULT = "tpe"  # the sampler of make search
LOG = "log"  # the tag of what is drawn evenly on a logarithmic scale
MAX_CORNERS = 256  # that are composed and checked before the first run


@dataclass(frozen=True)
class Dimension:
    """A setting that is drawn: from an interval, from a range, or from values without order."""

    key: str
    low: float = 0
    high: float = 0
    log: bool = False
    step: float = 0  # of a range
    texts: tuple[str, ...] = ()  # every value of a range, rising, or of a choice

    @property
    def is_choice(self) -> bool:
        """Whether the values have no order."""
        return bool(self.texts) and not self.step

    @property
    def is_int(self) -> bool:
        """Whether whole numbers are drawn."""
        return not self.is_choice and all(isinstance(x, int) for x in (self.low, self.high))

    @property
    def corners(self) -> list[str]:
        """The words of its ends, or of each of its values where they have no order."""
        ends = [self.low, self.high] if not self.is_choice else self.texts
        return [self.word(value) for value in ends]

    def word(self, value: Drawn) -> str:
        """Return the word that sets the value, to the last bit."""
        if isinstance(value, str):
            return f"{self.key}={value}"
        text = self.texts[round((value - self.low) / self.step)] if self.step else repr(value)
        return f"{self.key}={text}"

    def __str__(self) -> str:
        if self.is_choice:
            return ", ".join(self.texts)
        steps = f" in steps of {self.step:g}" if self.step else ""
        whole = ", whole numbers" if self.is_int and not self.step else ""
        return f"{self.low:g} to {self.high:g}{steps}{whole}{', logarithmic' if self.log else ''}"


@dataclass(frozen=True)
class Space:
    """What a search draws from, and what all of its runs have in common."""

    name: str
    dimensions: tuple[Dimension, ...]
    axes: Mapping[str, Sequence[str]]  # the words of each key; those of dimensions are drawn
    launcher: tuple[str, ...]
    corner: tuple[Job, ...]  # of the first corner, every repeat
    composed: Points = field(default_factory=Points)

    @property
    def settings(self) -> Configuration:
        """The settings of the search, of the sweep and of tracking."""
        return self.corner[0].configuration

    @property
    def repeats(self) -> dict[str, int]:
        """How many values each seed and fold goes through."""
        return {key: len(words) for key, words in self.axes.items() if len(words) > 1}

    def format_repeats(self) -> str:
        """Return what each point is repeated on: seed=0,1,2."""
        values = {key: [word.partition("=")[2] for word in self.axes[key]] for key in self.repeats}
        return ", ".join(f"{key}={cut(','.join(each), 40)}" for key, each in values.items())

    @property
    def n_repeats(self) -> int:
        """On how many seeds and folds each point is run."""
        return len(self.corner)

    @property
    def id(self) -> str:
        """12 hex digits that are equal for the same space, sampler and seed."""
        search = self.settings.search.model_dump(exclude={"trials"})
        parts = [self.name, search, *map(repr, self.dimensions)]
        parts += [text_of(job.config) for job in self.corner]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]

    @property
    def first(self) -> Grid:
        """The runs of the first corner, and what all have in common."""
        axes = dict.fromkeys(each.key for each in self.dimensions)
        return Grid(
            self.name, dict.fromkeys([*axes, *self.repeats], 0), self.corner, 0, self.launcher
        )

    def grid(self, point: Point) -> Grid:
        """Return the runs of a point; ConfigError where it is none that can be run."""
        at = {each.key: [each.word(point[each.key])] for each in self.dimensions}
        return replace(self.first, jobs=jobs_of(_crossed({**self.axes, **at}), self.composed))


def read_space(words: Sequence[str]) -> Space:
    """Return the space that the words span; ConfigError, which names every fault of its corners."""
    read = read_words([*words])
    dimensions, axes = _parted(read)
    check_axes(axes)
    if axes.get("sweep.zip", ["sweep.zip=[]"]) != ["sweep.zip=[]"]:
        raise ConfigError(f"sweep.zip must be empty in a search; got {axes['sweep.zip'][0]}")
    if not dimensions:
        raise ConfigError(
            "a search must have a setting to draw; got none: as "
            "\"optimiser.learning_rate=tag(log,interval(0.01,1))\""
        )  # fmt: skip
    drawn = {each.key: each.corners for each in dimensions}
    composed = Points()
    jobs = jobs_of(list(dict.fromkeys(_corners(axes, drawn))), composed)
    check_common(jobs)
    _check_rows([job.config for job in jobs])
    first = {key: [words[0]] for key, words in drawn.items()}
    corner = jobs_of(_crossed({**axes, **first}), composed)
    return Space(read.name(jobs[0]), dimensions, axes, read.launcher, corner, composed)


def _parted(read: Words) -> tuple[tuple[Dimension, ...], dict[str, list[str]]]:
    """Return what is drawn, and the words of every key, of which dimensions have none yet."""
    axes: dict[str, list[str]] = {}
    found: dict[str, Dimension | None] = {}
    faults = []
    for override in read.overrides:
        key = override.get_key_element()
        try:
            found[key] = _dimension(key, override)
        except ConfigError as refusal:
            faults.append(str(refusal))
            continue
        axes[key] = [f"{key}="] if found[key] else words_of(override)
    if faults:
        raise ConfigError(bounded(faults))
    if read.sampler == "none":
        axes["search"] = [f"search={DEFAULT}"]
    return tuple(each for each in found.values() if each), axes


def _dimension(key: str, override: Override) -> Dimension | None:
    """Return what the override draws from; None where it is one value, or repeats."""
    if not override.is_sweep_override():
        return None
    value: object = override.value()
    is_repeat = key in SEEDS
    if isinstance(value, IntervalSweep) and not is_repeat:
        low, high = (0.0 if end is None else end for end in (value.start, value.end))
        if not -math.inf < low < high < math.inf:
            raise _fault(override, "must rise from one finite number to another")
        return Dimension(key, low, high, _is_log(override, value, low))
    words = words_of(override)
    if is_repeat or is_common(key) or len(set(words)) < 2:
        return None
    texts = tuple(dict.fromkeys(word.partition("=")[2] for word in words))
    if isinstance(value, RangeSweep):
        return _range(override, value, texts)
    if isinstance(value, Sweep) and value.tags:
        raise _fault(override, "must have no tags, as a list has no order")
    return Dimension(key, texts=texts)


def _range(override: Override, value: RangeSweep, texts: tuple[str, ...]) -> Dimension:
    texts = texts[::-1] if value.step < 0 else texts
    low, high = (json.loads(texts[place]) for place in (0, -1))
    log = _is_log(override, value, low)
    if log and abs(value.step) != 1:
        raise _fault(override, "must have steps of 1 where it is logarithmic")
    return Dimension(override.get_key_element(), low, high, log, abs(value.step), texts)


def _is_log(override: Override, value: Sweep, low: float) -> bool:
    if value.tags - {LOG}:
        raise _fault(override, f"must have no tag but {LOG}")
    if value.tags and low <= 0:
        raise _fault(override, "must begin above 0 where it is logarithmic")
    return bool(value.tags)


def _fault(override: Override, rule: str) -> ConfigError:
    return ConfigError(f"{override.get_key_element()} {rule}; got {override.input_line!r}")


def _corners(
    axes: Mapping[str, Sequence[str]], drawn: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, ...]]:
    """Yield points at the ends of all dimensions, some where there are many, then every repeat."""
    first = {key: words[:1] for key, words in axes.items()}
    if math.prod(map(len, drawn.values())) <= MAX_CORNERS:
        yield from _crossed({**first, **drawn})
    else:
        generator = random.Random(0)  # noqa: S311 (of what is checked)
        start = {key: words[:1] for key, words in drawn.items()}
        for key, words in drawn.items():
            yield from _crossed({**first, **start, key: words})
        for _ in range(MAX_CORNERS):
            at = {key: [generator.choice(words)] for key, words in drawn.items()}
            yield from _crossed({**first, **at})
    yield from _crossed({**axes, **{key: words[:1] for key, words in drawn.items()}})


def _crossed(axes: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    return list(itertools.product(*axes.values()))


def _check_rows(configs: Sequence[RunConfig]) -> None:
    """Refuse trials that would be measured on different rows, or on none."""
    found = list(dict.fromkeys(_rows_of(config) for config in configs))
    if len(found) > 1:
        raise ConfigError(
            "a search must measure all trials on the same validation rows; got "
            f"{' and '.join(found[:2])}: one search for each"
        )
    if not all(config.has_valid for config in configs):
        raise ConfigError(
            "a search must have validation rows to measure trials on; got none: split=stratified, "
            "or split=folds, and train.rows=train"
        )


def _rows_of(config: RunConfig) -> str:
    split = config.split.model_dump(exclude={"seed", "fold"})
    words = [f"split.{key}={value}" for key, value in split.items()]
    return " ".join([f"data={config.data.name} ({config.data.path})", *words])
