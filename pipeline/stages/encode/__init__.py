"""A table becomes the inputs of the neuron, by an encoder that is learned from train alone."""

from pipeline.stages.encode.encoder import (
    Block,
    Encoder,
    Known,
    encode,
    find_unseen,
    fit_encoder,
    format_unseen,
    refuse_unseen,
    unseen_words,
)
from pipeline.stages.encode.numbers import ABSENT, Spline, Standard
from pipeline.stages.encode.onehot import OneHot

__all__ = [
    "ABSENT", "Block", "Encoder", "Known", "OneHot", "Spline", "Standard", "encode", "find_unseen",
    "fit_encoder", "format_unseen", "refuse_unseen", "unseen_words",
]  # fmt: skip
