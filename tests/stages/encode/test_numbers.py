"""Numbers become inputs of unit size, whatever their unit; curves are natural splines."""

from fractions import Fraction

import numpy as np
import pytest
from builders import make_data, make_table
from scipy.interpolate import CubicSpline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from pipeline.config.schema import EncodeSettings
from pipeline.stages.encode import Spline, Standard, encode, fit_encoder
from pipeline.stages.encode.natural import cardinal

NUMBER = make_data({"x": {"kind": "numeric"}})
MISSING = make_data({"x": {"kind": "numeric", "missing": "input"}})


def inputs(train, later=None, data=NUMBER, **settings):
    table = make_table({"x": train}, np.arange(len(train)) % 2)
    encoder = fit_encoder(table, EncodeSettings(**settings), data)
    new = table if later is None else make_table({"x": later}, np.zeros(len(later)))
    return encode(encoder, new, "all").X


def exact_inputs(x):
    """Standardised in rational arithmetic, but for one square root."""
    values = [Fraction(float(v)) for v in x]
    mean = sum(values) / len(values)
    square = sum((v - mean) ** 2 for v in values) / len(values)
    unit = Fraction(10) ** int(np.floor(np.log10(float(max(abs(v - mean) for v in values)))))
    root = Fraction(float(square / unit**2) ** 0.5) * unit
    return np.array([float((v - mean) / root) for v in values])


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1e-13, 1.0, 1e12, 1e99])
def test_inputs_do_not_depend_on_the_unit_of_a_column(unit):
    x = np.array([1.0, 2.0, 2.0, 5.0])
    expected = StandardScaler().fit_transform(x[:, None])
    assert inputs(x * unit) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("centre", "step"), [(1.7e9, 1.0), (1.7e18, 256.0), (-9e15, 2.0)])
def test_time_stamps_in_a_narrow_window_are_standardised_as_exactly_as_small_numbers(centre, step):
    x = centre + step * np.array([0, 1, 1, 2, 2, 2, 7] * 50)
    assert inputs(x)[:, 0] == pytest.approx(exact_inputs(x), abs=1e-12)
    naive = (x - x.mean()) / x.std()
    assert step == 1.0 or np.abs(naive - exact_inputs(x)).max() > 1e-9  # what it guards against


@pytest.mark.parametrize("value", [0.0, 123456789012345678901.0, 1e-300, 0.1 + 0.2])
def test_a_constant_column_adds_nothing_to_any_row_seen_or_not(value):
    assert not inputs([value] * 3, [value, value + 1e25, -1.0]).any()


def test_only_equal_values_are_a_constant():
    assert np.ptp(inputs([1e-13, 2e-13])) == pytest.approx(2.0)
    assert np.ptp(inputs([1.0, np.nextafter(1.0, 2.0)])) == pytest.approx(2.0)


def test_a_number_far_outside_of_train_gives_a_finite_logit():
    assert np.isfinite(inputs([0.0, 1e-300], [1e100, -1e100])).all()


def test_the_cardinal_splines_are_scipys_natural_ones_and_straight_beyond_the_ends():
    knots = np.array([-2.0, -0.5, 0.1, 1.0, 3.0])
    z = np.linspace(-2, 3, 101)
    expected = CubicSpline(knots, np.eye(5), bc_type="natural")(z)
    assert cardinal(knots, z) == pytest.approx(expected, abs=1e-13)
    beyond = cardinal(knots, np.array([-5.0, -4.0, -3.0, 4.0, 5.0, 6.0]))
    for three in (beyond[:3], beyond[3:]):
        assert three[0] + three[2] == pytest.approx(2 * three[1], abs=1e-12)
    assert beyond.sum(axis=1) == pytest.approx(np.ones(6))


@pytest.mark.parametrize("n", [3, 4, 7])
def test_curves_span_scikit_learns_splines_with_natural_ends(n):
    """Its splines, restricted to no second derivative at the ends, on the same knots."""
    x = np.random.default_rng(n).gamma(2.0, size=300)
    table = make_table({"x": x}, np.arange(300) % 2)
    encoder = fit_encoder(table, EncodeSettings(spline=n), NUMBER)
    (block,) = encoder.blocks
    assert isinstance(block, Spline)
    knots = np.array(block.knots) * block.scale.deviation + block.scale.mean
    splines = SplineTransformer(knots=knots[:, None], degree=3).fit(x[:, None])
    h = 1e-4 * np.ptp(knots)
    ends = np.array([knots[0], knots[-1] - 3 * h])[:, None]
    B = [splines.transform(ends + i * h) for i in (0, 1, 2, 3)]
    at_start = 2 * B[0][0] - 5 * B[1][0] + 4 * B[2][0] - B[3][0]
    at_end = 2 * B[3][1] - 5 * B[2][1] + 4 * B[1][1] - B[0][1]
    natural = np.linalg.svd(np.array([at_start, at_end]) / h**2)[2][2:].T
    inside = np.linspace(knots[0], knots[-1], 200)
    theirs = splines.transform(inside[:, None]) @ natural
    ours = encode(encoder, make_table({"x": inside}, np.zeros(200)), "all").X
    both = np.column_stack([np.ones(200), ours])
    assert both.shape[1] == n
    rest = theirs - both @ np.linalg.lstsq(both, theirs)[0]
    assert np.abs(rest).max() < 1e-6
    assert np.linalg.matrix_rank(both) == n


def test_over_train_curves_are_centred_uncorrelated_and_smaller_the_more_they_turn():
    x = np.random.default_rng(1).exponential(size=400)
    X = inputs(x, spline=6)
    assert X.mean(axis=0) == pytest.approx(np.zeros(5), abs=1e-12)
    assert pytest.approx(np.diag([1, 1 / 4, 1 / 9, 1 / 16, 1 / 25]), abs=1e-10) == X.T @ X / 400
    turns = [np.sum(np.abs(np.diff(np.sign(np.diff(c[np.argsort(x)])))) > 0) for c in X.T]
    assert turns == sorted(turns)
    assert turns[0] == 0 < turns[-1]


def test_the_line_of_a_spline_is_the_standardised_number_itself():
    x = np.random.default_rng(2).normal(size=50)
    assert np.array_equal(inputs(x, spline=4)[:, :1], inputs(x))


@pytest.mark.parametrize("x", [[0.0, 1.0] * 5, [3.0] * 9 + [4.0]])
def test_two_values_have_no_curve_but_a_line(x):
    table = make_table({"x": x}, np.arange(10) % 2)
    (block,) = fit_encoder(table, EncodeSettings(spline=5), NUMBER).blocks
    assert isinstance(block, Standard)


def test_two_knots_keep_a_column_straight_where_all_others_are_curves():
    data = make_data({"x": {"kind": "numeric", "spline": 2}})
    assert inputs(np.arange(9.0), data=data, spline=5).shape == (9, 1)


def test_a_missing_number_has_an_input_of_its_own_beside_the_curves():
    X = inputs([0.0, 1.0, np.nan, 3.0, 4.0, 9.0], data=MISSING, spline=4)
    assert X[2].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert not X[[0, 1, 3, 4, 5], -1].any()


def test_counts_weigh_as_rows_written_out_do():
    short = make_table({"x": [1.0, 2.0, 4.0, 8.0]}, [0, 1, 0, 1], [5, 1, 7, 2])
    x = np.repeat([1.0, 2.0, 4.0, 8.0], [5, 1, 7, 2])
    encoder = fit_encoder(short, EncodeSettings(spline=4), NUMBER)
    rows = np.repeat(np.arange(4), [5, 1, 7, 2])
    assert encode(encoder, short, "all").X[rows] == pytest.approx(inputs(x, spline=4), abs=1e-12)
