"""Curves and steps are what statsmodels estimates, with its intervals."""

import numpy as np
import pytest
import statsmodels.api as sm
from builders import make_data, make_table
from scipy.interpolate import CubicSpline

from pipeline.config.schema import EncodeSettings
from pipeline.stages.encode import encode, fit_encoder
from pipeline.stages.explain import explain
from pipeline.stages.infer import infer

Z = 1.959963984540054


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    x, w = rng.gamma(3.0, size=800), rng.normal(size=800)
    y = (rng.random(800) < 1 / (1 + np.exp(-np.sin(x) - 0.5 * w))).astype(float)
    return x, w, y


def found(rows, **column):
    x, w, y = rows
    data = make_data({"x": {"kind": "numeric", **column}, "w": {"kind": "numeric"}})
    table = make_table({"x": x, "w": w}, y)
    encoder = fit_encoder(table, EncodeSettings(), data)
    examples = encode(encoder, table, "all")
    inference = infer(examples, encoder)
    theta = np.random.default_rng(0).normal(size=len(encoder.inputs) + 1)
    return encoder, explain(theta, encoder, inference, examples), theta


def test_a_curve_is_that_of_statsmodels_on_natural_splines(rows):
    """Its basis is SciPy's on the same knots; the effect is against the mean over the rows."""
    encoder, effects, _ = found(rows, spline=5)
    x, w, y = rows
    (curve,) = effects.curves
    block = encoder.blocks[0]
    knots = np.array(block.knots) * block.scale.deviation + block.scale.mean
    basis = CubicSpline(knots, np.eye(5), bc_type="natural")
    X = np.column_stack([basis(x), w])
    model = sm.Logit(y, X).fit(disp=0, tol=1e-14)
    contrast = np.column_stack(
        [basis(np.array(curve.x)) - basis(x).mean(axis=0), 0 * np.array(curve.x)]
    )
    half = Z * np.sqrt(np.sum(contrast @ model.cov_params() * contrast, axis=1))
    value = contrast @ model.params
    assert np.array(curve.log_odds) == pytest.approx(value, abs=1e-8)
    assert np.array(curve.low) == pytest.approx(value - half, abs=1e-7)
    assert np.array(curve.high) == pytest.approx(value + half, abs=1e-7)


def test_steps_are_the_effects_of_the_bins(rows):
    _, effects, _ = found(rows, bins=[1.5, 3.0])
    (curve,) = effects.curves
    of_bins = [e for e in effects.effects if e.attribute == "x"]
    for at, name in ((curve.log_odds, "log_odds"), (curve.weight, "weight")):
        expected = np.repeat([getattr(effect, name) for effect in of_bins], 2)
        assert np.array(at) == pytest.approx(expected, abs=1e-12)
    assert curve.x[2] == 1.5
    assert curve.x[1] < 1.5


def test_what_the_neuron_uses_is_drawn_beside_the_estimate(rows):
    encoder, effects, theta = found(rows, spline=4)
    (curve,) = effects.curves
    table = make_table({"x": curve.x, "w": np.zeros(len(curve.x))}, np.zeros(len(curve.x)))
    z = encode(encoder, table, "all").X[:, :3] @ theta[:3]
    assert np.array(curve.weight) == pytest.approx(z, abs=1e-12)


def test_a_straight_line_has_no_curve_but_an_odds_ratio_per_unit(rows):
    encoder, effects, _ = found(rows)
    assert effects.curves == ()
    x = effects.effects[0]
    model = sm.Logit(rows[2], sm.add_constant(np.column_stack(rows[:2]))).fit(disp=0, tol=1e-14)
    assert x.per_unit == pytest.approx(np.exp(model.params[1]), rel=1e-8)
    assert x.label == f"per deviation ({encoder.blocks[0].deviation:.4g})"
