"""The honest way to the article's 100 %: the same single neuron, given the table's own concepts."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from nn import examine
from pipeline.config.compose import configuration
from pipeline.stages.encode import encode, fit_encoder
from pipeline.stages.read import car
from pipeline.stages.read.rows import read_rows
from pipeline.stages.split import take
from pipeline.stages.train import train
from pipeline.stages.validate import Table, validate


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Table:
    path = tmp_path_factory.mktemp("data") / "car.data"
    path.write_bytes(car.content())
    data = configuration([f"data.path={path}"]).data
    return validate(read_rows(data), data).require()


def fold_accuracies(table: Table, experiment: list[str]) -> list[float]:
    """Accuracy on each of five folds of a neuron trained on the other four."""
    config = configuration(experiment)
    found = []
    folds = StratifiedKFold(5, shuffle=True, random_state=0).split(table.y, table.y)
    for inside, outside in folds:
        marks = np.zeros(len(table.y), np.int64)
        marks[inside] = 1
        train_part, test_part = take(table, marks), take(table, 1 - marks)
        assert len(test_part.y) == len(outside)
        encoder = fit_encoder(train_part, config.encode, config.data)
        examples, unseen = encode(encoder, train_part, "train"), encode(encoder, test_part, "test")
        trained = train(examples, None, encoder.inputs, config.optimiser, config.train, config.seed)
        found.append(examine(trained.theta, unseen).accuracy)
    return found


def test_single_attributes_stop_near_95_percent(table):
    assert 0.935 <= np.mean(fold_accuracies(table, [])) <= 0.965


def test_their_combinations_reach_about_100_percent_on_cars_never_seen(table):
    found = fold_accuracies(table, ["experiment=crosses"])
    assert np.mean(found) >= 0.997
    assert min(found) >= 0.99


def test_wrong_combinations_do_not(table):
    """Negative control: as many inputs, joined along other lines than the table's."""
    wrong = ["experiment=crosses", "encode.crosses=[[buying,persons],[doors,maint,lug_boot]]"]
    assert np.mean(fold_accuracies(table, wrong)) < 0.97
