"""Curves give one neuron most of what boosted trees have over straight lines."""

import numpy as np
import pytest
from builders import make_data, make_table
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss

from nn import newton, predict_proba
from pipeline.config.compose import compose, configuration
from pipeline.config.schema import EncodeSettings
from pipeline.stages.encode import encode, fit_encoder

NAMES = ("u", "v", "w")
DATA = make_data({name: {"kind": "numeric"} for name in NAMES})


def drawn(seed, n):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    z = 2 * np.sin(2 * X[:, 0]) + X[:, 1] ** 2 - 1 + X[:, 2]
    return X, (rng.random(n) < 1 / (1 + np.exp(-z))).astype(float)


@pytest.mark.exhaustive
def test_loss_of_an_additive_truth_lies_nearer_to_the_trees_than_to_the_line():
    (X, y), (X_new, y_new) = drawn(0, 1500), drawn(1, 4000)
    losses = {}
    for name, shape in (("line", {}), ("spline", {"spline": 5}), ("bins", {"bins": 10})):
        parts = ((X, y), (X_new, y_new))
        tables = [make_table(dict(zip(NAMES, A.T, strict=True)), b) for A, b in parts]
        encoder = fit_encoder(tables[0], EncodeSettings.parse(shape), DATA)
        train, test = (encode(encoder, table, "all") for table in tables)
        theta = newton(np.zeros(train.X.shape[1] + 1), train, 0.001).theta
        losses[name] = log_loss(y_new, predict_proba(theta, test.X))
    trees = HistGradientBoostingClassifier(random_state=0).fit(X, y).predict_proba(X_new)[:, 1]
    half = (losses["line"] + log_loss(y_new, trees)) / 2
    assert losses["spline"] < losses["bins"] < half < losses["line"]


@pytest.mark.parametrize("encode", ["onehot", "bins", "spline"])
def test_every_run_of_the_sweep_is_a_configuration(encode):
    params = compose(["experiment=flexible"], with_hydra=True).hydra.sweeper.params
    assert encode in params.encode.split(",")
    for l2 in params["train.l2"].split(","):
        job = configuration(["experiment=flexible", f"encode={encode}", f"train.l2={l2}"])
        assert job.optimiser.name == "newton"
