"""The whole on one screen: a table becomes a trained, certified, evaluated neuron. Start here.

``prepare`` does everything before training, which is the same for every run of a sweep that shares
data, split and encoding; ``learn`` does the rest. Equal configurations give equal bits. What they
find out (``stages.outcome``) is written down by ``record``, published by ``tracking`` and compared
by ``compare``.
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.config.schema import RunConfig
from pipeline.errors import Failure, failure_of
from pipeline.stages.balance import balance
from pipeline.stages.certify import certify
from pipeline.stages.copies import Sampling, find_copies, independent_counts
from pipeline.stages.drift import distributions, find_drift
from pipeline.stages.encode import encode, find_unseen, fit_encoder
from pipeline.stages.evaluate import evaluate, independent_losses, row_losses
from pipeline.stages.explain import explain
from pipeline.stages.infer import infer
from pipeline.stages.optimism import bootstrap_optimism
from pipeline.stages.outcome import Finished, Outcome, Prepared, Refused, Unfinished
from pipeline.stages.penalty import OUT_OF_FOLD, penalty_path
from pipeline.stages.read import Rows, read_rows
from pipeline.stages.split import join, split_table
from pipeline.stages.surface import slice_surface
from pipeline.stages.threshold import choose_threshold
from pipeline.stages.train import Start, Watch, train
from pipeline.stages.validate import validate


def prepare(config: RunConfig, rows: Rows | None = None) -> Prepared | Refused:
    """Read the table (unless its ``rows`` are given), check it, split it and encode it.

    Raises
    ------
    DataError
        If the file cannot be read: without rows there is nothing to record.
    """
    rows = rows or read_rows(config.data)
    validation = None
    try:
        validation = validate(rows, config.encode.completed(config.data))
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
        if prepared.table is not None:
            penalty, out_of_fold = penalty_path(prepared.table, prepared.train, config)
        settings = config.train.with_l2(penalty.chosen_l2 if penalty else config.train.l2)
        balanced = balance(prepared.train, config.train.class_weight)
        trained = train(
            balanced.rows, prepared.valid, prepared.encoder.inputs,
            config.optimiser, settings, config.seed, watch, start,
        )  # fmt: skip
        l2 = trained.l2
        certificate = certify(trained, balanced.rows, l2)
        trained = replace(trained, theta=balanced.correct(trained.theta))
        theta = trained.theta
        trained.require_finite(config.optimiser)
        if trained.ended == "stopped":
            failure = Failure("Stopped", "training was stopped; what it learned is kept", None, 1)
            return Unfinished(config, prepared, failure, "KILLED", trained, certificate)
        # Without validation rows folds of the training rows take their place.
        judge, judged, group = theta, prepared.valid, prepared.valid_group
        if judged is None and prepared.table is not None:
            judge, judged, group = OUT_OF_FOLD, out_of_fold, prepared.table.group
        threshold = choose_threshold(judge, judged, config.evaluate.threshold)
        # Refits are of the objective in which each row counts as it is.
        refits = None if config.train.class_weight else config.evaluate.bootstrap
        return Finished(
            config=config,
            prepared=prepared,
            trained=trained,
            certificate=certificate,
            validation_losses=row_losses(judge, judged, group) if judged else None,
            test_losses=independent_losses(theta, prepared.test, prepared.copies),
            evaluation=evaluate(
                theta, prepared.test, prepared.train_share, config.evaluate, prepared.copies,
                threshold, held_out=prepared.held_out,
            ),
            optimism=None if refits is None else bootstrap_optimism(
                theta, prepared.train, l2, refits, config.seed, prepared.sampling
            ),
            effects=explain(theta, prepared.encoder, prepared.inference, prepared.test),
            surface=None if trained.path is None else slice_surface(
                trained.path, balanced.rows, l2
            ),
            penalty=penalty,
        )  # fmt: skip
    except Exception as error:
        return Unfinished(config, prepared, failure_of(error), "FAILED", trained, certificate)
