"""A table in blocks, checked, becomes its parts, dealt and encoded."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from pipeline.config.column_settings import Numeric
from pipeline.config.schema import RunConfig
from pipeline.config.split_settings import NoSplit
from pipeline.errors import ConfigError, DataError
from pipeline.stages.blocks.clusters import sample_counts
from pipeline.stages.blocks.deal import Deal, deal_buckets
from pipeline.stages.blocks.encoded import PartBlocks
from pipeline.stages.blocks.estimate import infer_blocks
from pipeline.stages.blocks.learned import Learned, learn_parts
from pipeline.stages.blocks.source import BlockRows
from pipeline.stages.copies import Copies
from pipeline.stages.drift import distributions, find_drift
from pipeline.stages.encode import Encoder, encode, fit_encoder, refuse_unseen, unseen_words
from pipeline.stages.outcome import Prepared
from pipeline.stages.split import Dealing, cure_of, take
from pipeline.stages.validate import Table, Validation

NAMES = ("train", "valid", "test")


def prepare_blocks(config: RunConfig, rows: BlockRows, validation: Validation) -> Prepared:
    """Return the parts of a table that keeps its contract, after another pass over it.

    Means, deviations and categories are of all train rows; bins and knots, distributions and drift
    are those of a sample.

    Raises
    ------
    DataError, ConfigError
        If a part would lack a class, or the rows cannot be dealt, encoded or trained like that.
    """
    if config.train.l2 == "cv":
        raise ConfigError(
            "train.l2 must be auto or a number where more than data.max_distinct="
            f"{config.data.max_distinct} rows differ; got cv: set train.l2=auto"
        )
    found, sample = rows.survey, validation.require()
    deal = deal_buckets(found.histogram, config.split)
    if config.train.rows == "train_and_valid":
        deal = deal.joined()
    part = deal.parts(sample, found.sample.dealt)
    of_train = take(sample, np.where(part == 0, sample.count, 0))
    learned = learn_parts(rows, deal, sample, _missing(config))
    dealing = _dealing(learned, deal, config)
    encoder = fit_encoder(of_train, config.encode, config.data, learned.known)
    if encoder.unseen == "refuse":
        for place in (1, 2):
            refuse_unseen(unseen_words(encoder, learned.words[place]), NAMES[place])
    held_out = not isinstance(config.split, NoSplit)
    parts = [
        _part(rows, deal, place, encoder, learned, sample, part)
        for place in ((0, 1, 2) if held_out else (0, 0, 0))
    ]
    train, valid, test = parts
    negative, positive = learned.sizes.weight[0].tolist()
    share = positive / (negative + positive)
    *columns, target = distributions(of_train, sample_counts(train), config.data.target.name)
    n = sum(target.count)
    known = *columns, replace(target, count=(n * (1 - share), n * share, 0.0))
    return Prepared(
        data_digest=rows.digest,
        validation=validation,
        dealing=dealing,
        held_out=held_out,
        train_share=share,
        encoder=encoder,
        unseen=unseen_words(encoder, _together(learned.words)),
        train=train,
        valid=valid if held_out and dealing.rows[1] else None,
        test=test,
        copies=Copies(np.zeros(0, bool)),
        inference=infer_blocks(train, encoder),
        distributions=known,
        drift=find_drift(known, test.sample_table, sample_counts(test)),
    )


def _together(words: tuple[dict[str, Counter[str]], ...]) -> dict[str, Counter[str]]:
    return {name: sum((of_part[name] for of_part in words), Counter()) for name in words[0]}


def _missing(config: RunConfig) -> dict[str, bool]:
    """Return the attributes that are numbers to the neuron, and whether one may be missing."""
    attributes = {n: config.encode.complete(c) for n, c in config.data.attributes.items()}
    return {
        name: column.missing == "input"
        for name, column in attributes.items()
        if isinstance(column, Numeric) and column.bins is None
    }


def _part(
    rows: BlockRows, deal: Deal, place: int, encoder: Encoder, learned: Learned, sample: Table,
    part: np.ndarray,
) -> PartBlocks:  # fmt: skip
    of_part = take(sample, np.where(part == place, sample.count, 0))
    weight, square = learned.sizes.weight[place].sum(), learned.sizes.square[place]
    scale = float(weight / square) if square else 1.0
    return PartBlocks(
        rows, deal, place, encoder, (scale, scale), encode(encoder, of_part, NAMES[place]), of_part
    )


def _dealing(learned: Learned, deal: Deal, config: RunConfig) -> Dealing:
    """Return how many rows the parts have; DataError if one lacks a class."""
    rows = learned.sizes.rows.astype(np.int64)
    n_train, n_valid, n_test = rows.sum(axis=1).tolist()
    wanted = {"train": 0, "valid": 1, "test": 2}
    split = config.split
    if isinstance(split, NoSplit):
        n_test = n_train
        wanted = {"train": 0}
    elif not n_valid and not config.has_valid:
        del wanted["valid"]
    lacking = [
        f"{name} must hold both classes; got 0 rows of class {label}, "
        f"{'positive' if label else 'negative'}: {cure_of(name, split)}"
        for name, place in wanted.items()
        for label in (0, 1)
        if not rows[place, label]
    ]
    if lacking:
        raise DataError("\n".join(lacking))
    return Dealing((n_train, n_valid, n_test), rule=deal.rule)
