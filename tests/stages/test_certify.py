"""Every verdict is the right one, every number of a certificate known in another way."""

import numpy as np
import pytest
from builders import PROBLEMS, one_hot_cars, scipy_objective
from sklearn.linear_model import LogisticRegression

from nn import Examples, examine, gradient, newton
from pipeline.config.train_settings import GradientDescent, TrainSettings
from pipeline.stages import certify as module
from pipeline.stages.certify import (
    GRADIENT_ERROR,
    Certificate,
    certificate,
    certify,
    gradient_check,
)
from pipeline.stages.read import car
from pipeline.stages.separation import direction, separated_rows
from pipeline.stages.train import Trained, train

CAR_INPUTS = [f"{name}={value}" for name, values in car.ATTRIBUTES.items() for value in values]


@pytest.fixture(name="one_hot_cars", scope="module")
def one_hot_cars_fixture() -> Examples:
    return one_hot_cars()


def line(x, y, count=None) -> Examples:
    """Rows of one number."""
    x, y = np.array(x, np.float64), np.array(y, np.float64)
    return Examples(x[:, None], y, np.ones(len(y)) if count is None else np.array(count, float))


def certified(examples: Examples, l2=0.0, theta=None) -> Certificate:
    d = examples.X.shape[1]
    theta = np.zeros(d + 1) if theta is None else theta
    return certificate(theta, examples, [f"x{j}" for j in range(d)], l2)


# --- verdicts ---------------------------------------------------------------------------------


def test_at_the_optimum_a_neuron_has_converged() -> None:
    for rows in PROBLEMS[::10]:
        best = newton(rows.start, rows.examples, rows.l2)
        found = certified(rows.examples, rows.l2, best.theta)
        assert found.verdict == "converged"
        assert 0 <= found.gap < 1e-12
        assert found.text.startswith("converged: ")


def test_a_neuron_on_its_way_was_stopped_early_by_what_it_lacks() -> None:
    for rows in PROBLEMS[::10]:
        found = certified(rows.examples, rows.l2, rows.start)
        lacks = scipy_objective(rows.start, rows.examples, rows.l2) - found.optimum
        assert found.verdict == ("stopped early" if lacks >= 1e-6 else "converged")
        assert found.gap == pytest.approx(lacks, abs=1e-12)
        assert found.bound >= found.gap
    assert found.text == f"stopped early, {lacks:.2g} nats per row above the optimum"


def test_the_cars_separate_on_two_persons_and_low_safety(one_hot_cars) -> None:
    """Quasi-separable: those cars are never acceptable, all others are undecided."""
    theta = np.random.default_rng(0).uniform(-0.5, 0.5, 22)
    found = certificate(theta, one_hot_cars, CAR_INPUTS, 0.0)
    assert found.verdict == "no finite optimum"
    assert set(found.separated_on) == {"persons=2", "safety=low"}
    assert found.optimum == pytest.approx(0.098194, abs=1e-6)
    assert "the data separate on persons=2, safety=low" in found.text


def test_the_infimum_of_the_cars_is_the_loss_of_the_others_alone(one_hot_cars) -> None:
    """By scikit-learn, on the 768 cars that are neither for two nor of low safety."""
    X, y, _ = one_hot_cars
    kept = (X[:, CAR_INPUTS.index("persons=2")] + X[:, CAR_INPUTS.index("safety=low")]) == 0
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    model.fit(X[kept], y[kept])
    rest = Examples(X[kept], y[kept], np.ones(kept.sum()))
    expected = scipy_objective(np.append(model.coef_[0], model.intercept_), rest, 0.0) * kept.mean()
    found = certificate(np.zeros(22), one_hot_cars, CAR_INPUTS, 0.0)
    assert kept.sum() == 768
    assert found.optimum == pytest.approx(expected, abs=1e-9)


def test_with_a_penalty_the_cars_have_an_optimum(one_hot_cars) -> None:
    found = certificate(np.zeros(22), one_hot_cars, CAR_INPUTS, 1e-4)
    assert found.verdict == "stopped early"
    assert found.separated_on == ()


def test_classes_that_a_threshold_tells_apart_have_no_optimum() -> None:
    found = certified(line([1, 2, 3, 4], [0, 0, 1, 1]))
    assert found.verdict == "no finite optimum"
    assert found.separated_on == ("x0",)
    assert found.optimum == 0.0
    assert found.gap == pytest.approx(np.log(2), rel=1e-14)


def test_classes_that_meet_in_one_value_are_quasi_separable() -> None:
    """At 2 there are 3 rows of class 0 and 1 of class 1: the infimum is the entropy of those."""
    rows = line([1, 2, 2, 3], [0, 0, 1, 1], [5, 3, 1, 7])
    found = certified(rows)
    entropy = -(3 * np.log(0.75) + np.log(0.25)) / 16
    assert found.verdict == "no finite optimum"
    assert found.optimum == pytest.approx(entropy, abs=1e-14)


def test_classes_that_overlap_have_an_optimum() -> None:
    found = certified(line([1, 2, 3, 4], [0, 1, 0, 1]))
    assert found.verdict == "stopped early"
    assert found.separated_on == ()


def test_a_row_that_does_not_count_separates_nothing_and_hinders_nothing() -> None:
    apart = certified(line([1, 2, 9, 3, 4], [0, 0, 0, 1, 1], [1, 1, 0, 1, 1]))
    assert apart.verdict == "no finite optimum"
    overlap = certified(line([1, 2, 3, 4, 9], [0, 1, 0, 1, 0], [1, 1, 1, 1, 0]))
    assert overlap.verdict == "stopped early"


def test_one_hot_inputs_and_a_bias_alone_do_not_separate() -> None:
    """Collinear columns leave a flat direction, which is no way for the loss to fall."""
    X = np.eye(3)[[0, 0, 1, 1, 2, 2]]
    rows = Examples(X, np.array([0.0, 1, 0, 1, 0, 1]), np.ones(6))
    found = certified(rows, theta=np.array([0.3, 0.1, -0.2, 0.0]))
    assert found.verdict == "stopped early"
    assert found.optimum == pytest.approx(np.log(2), rel=1e-14)


@pytest.mark.parametrize("seed", range(60))
def test_one_number_separates_exactly_where_its_classes_do_not_interleave(seed) -> None:
    """By hand: with one number, sorted. Hidden among numbers that are turned into each other."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 12, 9).astype(float)
    y = (x + rng.integers(-1, 2, 9) > 5.5).astype(float)
    y[:2] = 0.0, 1.0
    low, high = x[y == 0], x[y == 1]
    separates = np.ptp(x) > 0 and (low.max() <= high.min() or high.max() <= low.min())
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    X = np.column_stack([x, np.zeros(9), np.full(9, 2.0)]) @ turned
    found = certified(Examples(X, y, np.ones(9)))
    assert (found.verdict == "no finite optimum") == separates, (x, y)


def test_the_larger_programme_finds_the_same_rows_as_the_short_way(one_hot_cars) -> None:
    X = one_hot_cars.X
    apart = (X[:, CAR_INPUTS.index("persons=2")] + X[:, CAR_INPUTS.index("safety=low")]) > 0
    signed = np.column_stack([X, np.ones(len(X))]) * (2 * one_hot_cars.y - 1)[:, None]
    assert np.array_equal(separated_rows(signed), apart)
    found = np.flatnonzero(direction(signed, apart)[:-1])
    assert [CAR_INPUTS[j] for j in found] == ["persons=2", "safety=low"]
    assert direction(signed, ~apart) is None


def test_training_that_diverged_is_called_so() -> None:
    rows = PROBLEMS[0]
    wild = GradientDescent(name="gradient_descent", learning_rate=1e308)
    settings = TrainSettings(epochs=5)
    inputs = tuple(f"x{j}" for j in range(rows.examples.X.shape[1]))
    diverged = train(rows.examples, None, inputs, wild, settings, 0, lambda _: False)
    found = certify(diverged, rows.examples, settings.l2)
    assert found == Certificate("diverged")
    assert found.text == "diverged"
    assert found.metrics == {}


def test_a_table_too_large_for_newton_has_a_bound_and_no_gap(monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_WORK", 1.0)
    rows = PROBLEMS[0]
    found = certified(rows.examples, rows.l2, rows.start)
    gap = (
        scipy_objective(rows.start, rows.examples, rows.l2)
        - newton(rows.start, rows.examples, rows.l2).objective
    )
    assert (found.verdict, found.gap, found.optimum) == ("not certified", None, None)
    assert found.bound >= gap
    assert "at most" in found.text


def test_without_a_penalty_a_large_table_is_certified_only_by_its_curvature(monkeypatch) -> None:
    """A linear programme would take too long: whether there is an optimum is then not known."""
    monkeypatch.setattr(module, "MAX_CELLS", 3)
    assert certified(line([1, 2, 3, 4], [0, 1, 0, 1])).verdict == "stopped early"
    found = certified(line([1, 2, 3, 4], [0, 0, 1, 1]))
    assert (found.verdict, found.gap, found.optimum) == ("not certified", None, None)
    assert found.bound == pytest.approx(np.log(2))


EXTREMES = {
    "inputs of 1e150": (1e150, 1.0),
    "inputs of 1e-200": (1e-200, 1.0),
    "parameters of 1e150": (1.0, 1e150),
    "parameters of 1e-300": (1.0, 1e-300),
    "inputs and parameters of 1e100": (1e100, 1e100),
}


@pytest.mark.parametrize("l2", [0.0, 0.1])
@pytest.mark.parametrize("name", EXTREMES)
def test_no_number_is_so_extreme_that_certifying_costs_a_run(name, l2) -> None:
    """Warnings are errors here; what is not known is None, and what is known is a number."""
    by_inputs, by_parameters = EXTREMES[name]
    for rows in PROBLEMS[:30]:
        X, y, count = rows.examples
        inputs = tuple(f"x{j}" for j in range(X.shape[1]))
        curve = {"epoch": np.zeros(1)}
        trained = Trained(rows.start * by_parameters, inputs, curve, 0, "epochs")
        found = certify(trained, Examples(X * by_inputs, y, count), l2)
        assert found.text
        assert all(np.isfinite(list(found.metrics.values())))
        if found.gap is not None:
            assert found.bound >= found.gap >= -1e-12 * max(1.0, abs(found.optimum))


def test_many_separating_inputs_are_counted() -> None:
    names = tuple(f"x{j}" for j in range(9))
    found = Certificate("no finite optimum", 0.5, 0.5, 0.0, 0.1, 0.0, names)
    assert "separate on x0, x1, x2, x3, x4, x5 and 3 more;" in found.text


# --- numbers ----------------------------------------------------------------------------------


def test_the_norm_is_that_of_the_gradient() -> None:
    for rows in PROBLEMS[::40]:
        slope = gradient(rows.start, rows.examples, rows.l2)
        found = certified(rows.examples, rows.l2, rows.start)
        assert found.gradient_norm == np.linalg.norm(slope)


def test_the_numbers_are_named_as_in_mlflow() -> None:
    rows = PROBLEMS[0]
    assert set(certified(rows.examples, rows.l2, rows.start).metrics) == {
        f"certificate/{name}"
        for name in ("gap", "bound", "optimum", "gradient_norm", "gradient_check")
    }


def test_an_honest_gradient_passes_its_check() -> None:
    worst = max(gradient_check(p.start, p.examples, p.l2) for p in PROBLEMS)
    assert worst < 1e-8  # the five-point rule at h = 1e-3, on numbers up to about 40


@pytest.mark.parametrize(("unit", "l2"), [(1e8, 0.0), (1e12, 0.1), (1.0, 1e8), (1.0, 1e300)])
def test_large_inputs_and_penalties_are_no_error_of_the_gradient(unit, l2) -> None:
    for rows in PROBLEMS[::10]:
        scaled = rows.examples._replace(X=rows.examples.X * unit)
        theta = np.append(rows.start[:-1] / unit / max(l2, 1.0), rows.start[-1])
        assert gradient_check(theta, scaled, l2) < GRADIENT_ERROR


def wide(n_inputs: int) -> tuple[np.ndarray, Examples]:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, n_inputs))
    y = (X[:, 0] + rng.logistic(size=60) > 0).astype(np.float64)
    return rng.normal(size=n_inputs + 1), Examples(X, y, np.ones(60))


@pytest.mark.parametrize("n_inputs", [1, 2, 5, 24, 80])
@pytest.mark.parametrize("fault", ["all", "weight", "bias"])
def test_an_error_of_a_millionth_in_the_gradient_is_caught(monkeypatch, n_inputs, fault) -> None:
    """Of all components, of the largest weight's, of the bias'; few parameters and many."""
    theta, rows = wide(n_inputs)
    honest = gradient_check(theta, rows, 0.1)
    assert honest < 1e-9

    def planted(*arguments):
        found = examine(*arguments)
        slope = found.gradient.copy()
        place = {"all": slice(None), "weight": np.abs(slope[:-1]).argmax(), "bias": -1}[fault]
        slope[place] += 1e-6 * np.abs(slope).max()
        return found._replace(gradient=slope)

    monkeypatch.setattr(module, "examine", planted)
    assert 2e-7 < gradient_check(theta, rows, 0.1) < 1e-3


def test_certifying_changes_neither_neuron_nor_rows() -> None:
    rows = PROBLEMS[2]
    before = [a.copy() for a in (*rows.examples, rows.start)]
    certified(rows.examples, rows.l2, rows.start)
    certified(rows.examples, 0.0, rows.start)
    for old, new in zip(before, (*rows.examples, rows.start), strict=True):
        assert np.array_equal(old, new)
