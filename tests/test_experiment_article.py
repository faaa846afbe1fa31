"""``experiment=article`` is the article's recipe, through every stage up to the trained neuron."""

import numpy as np
import pytest

from nn import Examples
from pipeline.config.compose import configuration
from pipeline.config.schema import RunConfig
from pipeline.stages.encode import encode, fit_encoder
from pipeline.stages.read.datasets import write_if_missing
from pipeline.stages.read.rows import read_rows
from pipeline.stages.split import split_table
from pipeline.stages.train import train
from pipeline.stages.validate.validation import validate


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return configuration(["experiment=article"]).run_config()


@pytest.fixture(scope="module")
def examples(config: RunConfig) -> tuple[Examples, tuple[str, ...]]:
    write_if_missing(config.data.path)
    table = validate(read_rows(config.data), config.data).require()
    part = split_table(table, config.split).train
    encoder = fit_encoder(part, config.encode, config.data)
    return encode(encoder, part, "train"), encoder.inputs


def test_it_takes_all_rows_21_inputs_rate_a_tenth_and_500_epochs(
    config: RunConfig, examples: tuple[Examples, tuple[str, ...]]
) -> None:
    rows, inputs = examples
    assert rows.X.shape == (1728, 21)
    assert len(inputs) == 21
    assert rows.count.sum() == 1728
    assert rows.y.sum() == 518
    assert config.optimiser.model_dump() == {"name": "gradient_descent", "learning_rate": 0.1}
    assert (config.train.epochs, config.train.batch_size, config.train.l2) == (500, None, 0.0)


def test_its_loss_and_accuracy_lie_where_the_recipe_puts_them(
    config: RunConfig, examples: tuple[Examples, tuple[str, ...]]
) -> None:
    rows, inputs = examples
    for seed in range(20):
        trained = train(rows, None, inputs, config.optimiser, config.train, seed)
        assert len(trained.curve["epoch"]) == 501
        assert np.all(np.diff(trained.curve["train_loss"]) < 0)
        # To the three decimals in which the range is stated; of 1,000 starts 6 % lie outside it.
        assert 0.222 <= round(trained.curve["train_loss"][-1], 3) <= 0.233
        assert 0.947 <= round(trained.curve["train_accuracy"][-1], 3) <= 0.956
