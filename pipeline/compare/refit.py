"""A champion that was trained on other rows is trained again on those of its challenger."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.compare.gate import Scored, score_buckets, score_rows
from pipeline.config.schema import RunConfig
from pipeline.errors import DataError, PipelineError
from pipeline.record import Record
from pipeline.run import learn, prepare
from pipeline.stages.balance import balance
from pipeline.stages.blocks.dealt import DealtBlocks
from pipeline.stages.copies import Sampling
from pipeline.stages.encode import encode, fit_encoder
from pipeline.stages.outcome import Finished
from pipeline.stages.penalty import OUT_OF_FOLD, penalty_path
from pipeline.stages.predict import Model
from pipeline.stages.split import Split, join
from pipeline.stages.threshold import choose_threshold
from pipeline.stages.train import train
from pipeline.text import one_line

PLACES = (
    "path",
    "source",
    "valid",
    "test",
    "sha256",
)  # of files: the digest says which rows they hold
MAX_NUMBERS = 2**28  # of the inputs of all distinct train rows: 2 GiB
FAVOURED = "it is compared as it is: it may know some of the test rows, which favours it"


def comparable_model(
    champion: Record, challenger: Record, split: Split | DealtBlocks
) -> tuple[Model, str]:
    """Return the champion's model to compare, and how it came about; "" if it is as it was.

    It is as it was where it was trained on the challenger's training rows. Elsewhere it has seen
    test rows, so its recipe (encoding, optimiser, training, seed) is trained again on the rows of
    ``split``, with the columns that it reads. Where that fails, or where the challenger is of that
    very recipe, it stays as it was, at the challenger's cost.

    Raises
    ------
    DataError
        If the challenger's table lacks a column of the champion.
    """
    _require_columns(champion, challenger)
    if _rows_of(champion) == _rows_of(challenger):
        return champion.model, ""
    try:
        config = _recipe(champion, challenger)
        if config == RunConfig.parse(challenger.config | {"seed": config.seed}):
            return champion.model, f"its recipe is the challenger's; {FAVOURED}"
        model = _trained(config, split) if isinstance(split, Split) else _trained_in_blocks(config)
    except (PipelineError, MemoryError) as error:
        why = one_line(str(error) or "out of memory", 200)
        return champion.model, f"it cannot be trained on these rows ({why}); {FAVOURED}"
    return model, "trained again by its own recipe on the challenger's training rows: it had others"


def score(model: Model, split: Split | DealtBlocks) -> Scored:
    """Return how the model does on the test rows."""
    if isinstance(split, DealtBlocks):
        return score_buckets(model.theta, split.part(2, model.encoder), model.threshold)
    group = Sampling.of(split.test).group
    test = encode(model.encoder, split.test, "test")
    return score_rows(
        model.theta, test, model.threshold, None if group is None else group.astype(np.float64)
    )


def _require_columns(champion: Record, challenger: Record) -> None:
    kinds = {name: column.kind for name, column in challenger.model.data.features.items()}
    columns = champion.model.data.features.items()
    lacking = [name for name, column in columns if kinds.get(name) != column.kind]
    if lacking:
        raise DataError(
            f"champion must read columns of the challenger's table; got {', '.join(lacking)}, "
            "which it does not have: give the new model a name with promote.model"
        )


def _rows_of(record: Record) -> tuple[Any, ...]:
    """Return what determines which rows are train and test rows."""
    data = {k: v for k, v in record.config["data"].items() if k not in PLACES}
    return record.head.lineage.data_digest, data, record.config["split"]


def _recipe(champion: Record, challenger: Record) -> RunConfig:
    """Return the champion's configuration with the challenger's table, on its own columns."""
    own, data = champion.model.data.features, challenger.config["data"]
    columns = {name: _column(tree, name in own) for name, tree in data["columns"].items()}
    return RunConfig.parse({
        **champion.config, "data": {**data, "columns": columns}, "split": challenger.config["split"]
    })  # fmt: skip


def _column(tree: dict[str, Any], is_own: bool) -> dict[str, Any]:
    """Return a column of the challenger's contract: what is no input may deal or weigh the rows."""
    if is_own or tree["kind"] in ("weight", "count", "group"):
        return tree
    return {**tree, "parts": []} if tree["kind"] == "date" else {"kind": "ignored"}


def _trained_in_blocks(config: RunConfig) -> Model:
    outcome = learn(prepare(config), config)
    if not isinstance(outcome, Finished):
        raise DataError(outcome.failure.message)
    encoder, threshold = outcome.prepared.encoder, outcome.evaluation.threshold
    return Model(config.data, encoder, outcome.trained.theta, threshold)


def _trained(config: RunConfig, split: Split) -> Model:
    split = join(split) if config.train.rows == "train_and_valid" else split
    encoder = fit_encoder(split.train, config.encode, config.data)
    numbers = len(split.train.y) * len(encoder.inputs)
    if numbers > MAX_NUMBERS:
        raise DataError(f"its inputs must be at most {MAX_NUMBERS:,} numbers; got {numbers:,}")
    rows = encode(encoder, split.train, "train")
    valid = encode(encoder, split.valid, "valid") if split.valid else None
    settings, out_of_fold = config.train, None
    if settings.l2 == "cv":
        path, out_of_fold = penalty_path(split.train, rows, config)
        settings = settings.with_l2(path.chosen_l2)
    balanced = balance(rows, settings.class_weight)
    trained = train(
        balanced.rows, valid, encoder.inputs, config.optimiser, settings, config.seed
    )  # fmt: skip
    trained.require_finite(config.optimiser)
    theta = balanced.correct(trained.theta)
    judge, judged = (theta, valid) if valid else (OUT_OF_FOLD, out_of_fold)
    threshold = choose_threshold(judge, judged, config.evaluate.threshold)
    return Model(config.data, encoder, theta, threshold.value)
