"""The whole on one screen: a table becomes a trained, certified, evaluated neuron. Start here.

``prepare`` does everything before training, which is the same for every run of a sweep that shares
data, split and encoding; ``learn`` does the rest. Equal configurations give equal bits. What they
find out (``stages.outcome``) is written down by ``record``, published by ``tracking`` and compared
by ``compare``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from nn import Examples
from pipeline.config.schema import RunConfig
from pipeline.errors import Failure, failure_of
from pipeline.stages.balance import Balanced, balance
from pipeline.stages.blocks import BlockRows, read_table
from pipeline.stages.blocks.checked import check_blocks
from pipeline.stages.blocks.judge import judge
from pipeline.stages.blocks.prepare import prepare_blocks
from pipeline.stages.certify import certify
from pipeline.stages.copies import Sampling, find_copies, independent_counts
from pipeline.stages.drift import distributions, find_drift
from pipeline.stages.encode import encode, find_unseen, fit_encoder
from pipeline.stages.evaluate import (
    Evaluation,
    RowLosses,
    evaluate,
    independent_losses,
    row_losses,
)
from pipeline.stages.explain import Effects, explain
from pipeline.stages.infer import infer
from pipeline.stages.optimism import Optimism, bootstrap_optimism
from pipeline.stages.outcome import Finished, Outcome, Prepared, Refused, Unfinished
from pipeline.stages.penalty import OUT_OF_FOLD, penalty_path
from pipeline.stages.read import Rows
from pipeline.stages.split import join, split_table
from pipeline.stages.surface import Surface, slice_surface
from pipeline.stages.threshold import choose_threshold
from pipeline.stages.train import Start, Trained, Watch, train
from pipeline.stages.validate import validate


def prepare(config: RunConfig, rows: Rows | BlockRows | None = None) -> Prepared | Refused:
    """Read the table (unless its ``rows`` are given), check it, split it and encode it.

    Raises
    ------
    DataError
        If the file cannot be read: without rows there is nothing to record.
    """
    rows = rows or read_table(config.data)
    validation = None
    try:
        contract = config.encode.completed(config.data)
        if isinstance(rows, BlockRows):
            validation = check_blocks(rows, contract)
            return prepare_blocks(config, rows, validation)
        validation = validate(rows, contract)
        table = validation.require()
        split = split_table(table, config.split)
        if config.train.rows == "train_and_valid":
            split = join(split)
        encoder = fit_encoder(split.train, config.encode, config.data)
        train, test = encode(encoder, split.train, "train"), encode(encoder, split.test, "test")
        sampling, valid = Sampling.of(split.train), split.valid
        count = independent_counts(train.count, sampling)
        known = distributions(split.train, count, config.data.target.name)
        copies = find_copies(train, test, Sampling.of(split.test))
        return Prepared(
            data_digest=rows.digest,
            validation=validation,
            dealing=split.dealing,
            held_out=split.held_out,
            train_share=split.train.share,
            encoder=encoder,
            unseen=find_unseen(encoder, table),
            train=train,
            valid=encode(encoder, valid, "valid") if valid else None,
            test=test,
            copies=copies,
            inference=infer(train, encoder, sampling),
            distributions=known,
            drift=find_drift(known, split.test, independent_counts(test.count, copies)),
            sampling=sampling,
            valid_group=valid.group if valid else None,
            table=split.train if config.train.l2 == "cv" else None,
        )
    except Exception as error:
        return Refused(rows.digest, validation, failure_of(error))


def learn(
    prepared: Prepared | Refused,
    config: RunConfig,
    watch: Watch = lambda _: False,
    start: Start | None = None,
) -> Outcome:
    """Train the neuron, certify it, evaluate it on the test rows, and explain it.

    Newton's method may begin at the optimum of another run; what is found is the same.
    """
    if isinstance(prepared, Refused):
        return Unfinished(config, prepared, prepared.failure)
    trained = certificate = None
    try:
        penalty, out_of_fold = None, None
        if prepared.examples and prepared.table is not None:
            penalty, out_of_fold = penalty_path(prepared.table, prepared.examples[0], config)
        settings = config.train.with_l2(penalty.chosen_l2 if penalty else config.train.l2)
        balanced = balance(prepared.train, config.train.class_weight)
        trained = train(
            balanced.rows, prepared.valid, prepared.encoder.inputs,
            config.optimiser, settings, config.seed, watch, start,
        )  # fmt: skip
        l2 = trained.l2
        certificate = certify(trained, balanced.rows, l2)
        trained = replace(trained, theta=balanced.correct(trained.theta))
        trained.require_finite(config.optimiser)
        if trained.ended == "stopped":
            failure = Failure("Stopped", "training was stopped; what it learned is kept", None, 1)
            return Unfinished(config, prepared, failure, "KILLED", trained, certificate)
        if prepared.blocks:
            found = _find_in_blocks(prepared, trained, config)
        else:
            found = _find(prepared, trained, balanced, config, out_of_fold)
        return Finished(config, prepared, trained, certificate, *found, penalty)
    except Exception as error:
        return Unfinished(config, prepared, failure_of(error), "FAILED", trained, certificate)


class Findings(NamedTuple):
    """What is found out about a trained neuron; see ``Finished``."""

    validation_losses: RowLosses | None
    test_losses: RowLosses
    evaluation: Evaluation
    optimism: Optimism | None
    effects: Effects
    surface: Surface | None


def _find(
    prepared: Prepared, trained: Trained, balanced: Balanced[Any], config: RunConfig,
    out_of_fold: Examples | None,
) -> Findings:  # fmt: skip
    assert prepared.examples  # noqa: S101
    train, valid, test = prepared.examples
    theta = trained.theta
    # Without validation rows folds of the training rows take their place.
    scorer, judged, group = theta, valid, prepared.valid_group
    if judged is None and prepared.table is not None:
        scorer, judged, group = OUT_OF_FOLD, out_of_fold, prepared.table.group
    threshold = choose_threshold(scorer, judged, config.evaluate.threshold)
    # Refits are of the objective in which each row counts as it is.
    refits = None if config.train.class_weight else config.evaluate.bootstrap
    return Findings(
        validation_losses=row_losses(scorer, judged, group) if judged else None,
        test_losses=independent_losses(theta, test, prepared.copies),
        evaluation=evaluate(
            theta, test, prepared.train_share, config.evaluate, prepared.copies, threshold,
            held_out=prepared.held_out,
        ),
        optimism=None if refits is None else bootstrap_optimism(
            theta, train, trained.l2, refits, config.seed, prepared.sampling
        ),
        effects=explain(theta, prepared.encoder, prepared.inference, test),
        surface=None if trained.path is None else slice_surface(
            trained.path, balanced.rows, trained.l2
        ),
    )  # fmt: skip


def _find_in_blocks(prepared: Prepared, trained: Trained, config: RunConfig) -> Findings:
    assert prepared.blocks  # noqa: S101
    train, valid, test = prepared.blocks
    judged = judge(
        trained.theta, valid, test, prepared.train_share, config.evaluate,
        held_out=prepared.held_out,
    )  # fmt: skip
    effects = explain(trained.theta, prepared.encoder, prepared.inference, test)
    path, l2 = trained.path, trained.l2
    surface = None if path is None else slice_surface(path, train.sample, l2)
    return Findings(*judged, optimism=None, effects=effects, surface=surface)
