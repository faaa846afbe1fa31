"""A table becomes the inputs of the neuron, by an encoder that is learned from train alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.stages.validate import MISSING


@dataclass(frozen=True)
class OneHot:
    """A block of 0/1 inputs: one for each category of an attribute, or of attributes joined."""

    attributes: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]

    @property
    def name(self) -> str:
        """``safety``, or ``buying:maint`` for attributes that are joined."""
        return ":".join(self.attributes)

    @property
    def labels(self) -> tuple[str, ...]:
        """The categories as a person writes them: ``low``, or ``vhigh:low`` where joined."""
        return tuple(":".join(category) for category in self.categories)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs: ``safety=low``, ``buying:maint=vhigh:low``."""
        return tuple(f"{self.name}={label}" for label in self.labels)


@dataclass(frozen=True)
class Standard:
    """A number as ``(x - mean) / deviation`` of train, and whether an input says "missing"."""

    attribute: str
    mean: float
    deviation: float
    missing: bool

    @property
    def name(self) -> str:
        """The attribute."""
        return self.attribute

    @property
    def labels(self) -> tuple[str, ...]:
        """What the inputs of the block stand for."""
        return ("per deviation", MISSING) if self.missing else ("per deviation",)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs: ``radius``, and ``radius=missing`` where it may be missing."""
        return (self.attribute, f"{self.attribute}={MISSING}")[: len(self.labels)]


Block = OneHot | Standard


@dataclass(frozen=True)
class Encoder:
    """Blocks of inputs, side by side."""

    blocks: tuple[Block, ...]
    unseen: str  # refuse or zeros

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of all d inputs, in the order of the weights."""
        return tuple(name for block in self.blocks for name in block.inputs)

    def slices(self) -> list[slice]:
        """The columns of X that belong to each block."""
        ends = np.cumsum([len(block.inputs) for block in self.blocks]).tolist()
        return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
