"""The rise of the loss without an attribute is exact, whatever the number of its values."""

import numpy as np
import pytest
from builders import make_data, make_table

from nn import Examples, logits, mean_loss
from pipeline.config.schema import EncodeSettings
from pipeline.stages import importance as importance_module
from pipeline.stages.encode import encode, fit_encoder
from pipeline.stages.importance import importance, quadrature

NUMERIC = {"kind": "numeric"}


def numbers(seed: int, scale: float, tail: float, n: int = 1500):
    """Two numbers of as many distinct values as rows, with counts, and a neuron of that scale."""
    rng = np.random.default_rng(seed)
    table = make_table({"x": rng.standard_t(tail, n), "w": rng.normal(size=n)}, [0, 1] * (n // 2))
    encoder = fit_encoder(table, EncodeSettings(), make_data(dict.fromkeys("xw", NUMERIC)))
    theta = scale * np.array([1.0, -0.7, 0.1])
    rows = encode(encoder, table, "all")
    y = (logits(theta, rows.X) + rng.logistic(size=n) > 0).astype(float)
    return encoder, Examples(rows.X, y, rng.integers(1, 5, n).astype(float)), theta


def every_pair(theta: np.ndarray, rows: Examples, place: slice) -> float:
    """Oracle: the attribute's value of every row in every row, one by one."""
    own = rows.X[:, place] @ theta[place]
    rest = logits(theta, rows.X) - own
    losses = [mean_loss(rest + value, rows.y, rows.count) for value in own]
    return float(np.average(losses, weights=rows.count))


@pytest.mark.parametrize("tail", [1.5, 30.0])
@pytest.mark.parametrize("scale", [1e-6, 1e-2, 1.0, 30.0, 1e4])
def test_the_ranking_of_numbers_is_exact_whatever_their_number(scale, tail):
    encoder, rows, theta = numbers(0, scale, tail)
    base = mean_loss(logits(theta, rows.X), rows.y, rows.count)
    got = {item.attribute: item.loss_rise for item in importance(theta, encoder, rows)}
    for name, place in zip("xw", encoder.slices(), strict=True):
        expected = every_pair(theta, rows, place) - base
        assert got[name] == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_a_quadrature_of_few_points_would_be_noticed(monkeypatch):
    """Negative control of the one above: 4 points for each unit of log-odds in place of 14."""
    encoder, rows, theta = numbers(0, 1.0, 30.0)
    exact = importance(theta, encoder, rows)
    monkeypatch.setattr(importance_module, "NODES", 4)
    assert importance(theta, encoder, rows)[0].loss_rise != pytest.approx(
        exact[0].loss_rise, rel=1e-9
    )


def test_a_quadrature_has_few_points_and_the_means_of_all():
    rng = np.random.default_rng(0)
    values, share = rng.normal(size=20_000) * 2, np.full(20_000, 1 / 20_000)
    points, shares = quadrature(values, share)
    assert len(points) < 300
    for function in (np.ones_like, np.sin, lambda v: np.logaddexp(0.0, v - 1), lambda v: v):
        assert shares @ function(points) == pytest.approx(share @ function(values), abs=1e-12)
