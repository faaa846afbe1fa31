"""Figures on the training rows, less their optimism, are those on new rows."""

import builders
import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from nn import Examples, hessian, logits, mean_loss, newton, objective, sigmoid
from nn.loss import loss_slope
from pipeline.stages import optimism as module
from pipeline.stages.optimism import (
    FIGURES,
    areas,
    bootstrap_optimism,
    draw_counts,
    optima,
    optimism_of,
    sample_rows,
    work_of_refit,
)

TRUTH = np.array([1.0, -0.5, 0.0, 0.3, 0.2])


def world(rng: np.random.Generator, n: int) -> Examples:
    """Rows of a truth that one neuron can say, each once."""
    X = rng.normal(size=(n, len(TRUTH) - 1))
    y = (rng.random(n) < sigmoid(logits(TRUTH, X))).astype(float)
    return Examples(X, y, np.ones(n))


def few_kinds(rng: np.random.Generator, n: int) -> Examples:
    """``n`` rows of at most 16 kinds."""
    X = rng.integers(0, 2, (n, 3)).astype(float)
    y = (rng.random(n) < sigmoid(X @ [1.0, -1.0, 0.5])).astype(float)
    kinds, count = np.unique(np.column_stack([X, y]), axis=0, return_counts=True)
    return Examples(kinds[:, :3], kinds[:, 3], count.astype(float))


def harrell(X: np.ndarray, y: np.ndarray, rows: np.ndarray, l2: float) -> np.ndarray:
    """The optimism of loss and area in one sample of rows, written out, by scikit-learn alone."""
    own, whole = fitted(X[rows], y[rows], l2), np.arange(len(y))
    p, z = own.predict_proba(X)[:, 1], own.decision_function(X).round(9)
    losses = [sk.log_loss(y[part], p[part]) for part in (rows, whole)]
    areas = [sk.roc_auc_score(y[part], z[part]) for part in (rows, whole)]
    return np.array([losses[0] - losses[1], areas[0] - areas[1]])


def harrells_line(X: np.ndarray, y: np.ndarray, rows: np.ndarray, l2: float) -> np.ndarray:
    """The same of slope and intercept of the calibration."""
    z, whole = fitted(X[rows], y[rows], l2).decision_function(X)[:, None], np.arange(len(y))
    lines = [fitted(z[part], y[part], 0.0) for part in (rows, whole)]
    slopes, intercepts = (
        [line.coef_[0, 0] for line in lines],
        [line.intercept_[0] for line in lines],
    )
    return np.array([slopes[0] - slopes[1], intercepts[0] - intercepts[1]])


def fitted(X: np.ndarray, y: np.ndarray, l2: float) -> LogisticRegression:
    C = 1 / (l2 * len(y)) if l2 else np.inf
    return LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10, max_iter=1000).fit(X, y)


def taken_off(best: np.ndarray, rows: Examples, drawn: np.ndarray) -> np.ndarray:
    """What loss and area (k, 2) of ``best`` have more on the samples than on the rows."""
    z = logits(best, rows.X)
    losses = [mean_loss(z, rows.y, counts) for counts in (*drawn, rows.count)]
    found = areas(z, rows.y, np.vstack([drawn, rows.count]))
    return np.column_stack([losses, found])[:-1] - [losses[-1], found[-1]]


@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_the_optimism_of_a_sample_is_scikit_learns_on_its_rows_written_out(l2):
    rng = np.random.default_rng(0)
    rows = few_kinds(rng, 300)
    best = newton(np.zeros(4), rows, l2).theta
    X, y, _ = builders.written_out(rows)
    first = np.cumsum(rows.count.astype(int)) - 1  # a row of each kind
    drawn, _ = draw_counts(rows, 5, rng)
    samples = [first[np.repeat(np.arange(len(rows.y)), counts.astype(int))] for counts in drawn]
    means = [harrell(X, y, sample, l2) for sample in samples] - taken_off(best, rows, drawn)
    lines = [harrells_line(X, y, sample, l2) for sample in samples]
    found = optimism_of(best, rows, drawn, l2 or module.RIDGE)
    assert found == pytest.approx(np.hstack([means, lines]), abs=2e-6)  # the ridge moves it by less


def test_counted_rows_have_the_optimism_of_a_bootstrap_of_single_rows():
    """10,000 rows of 16 kinds: samples of kinds, and of rows; Kolmogorov and Smirnov's test.

    The control draws fewer rows.
    """
    rng, n, k = np.random.default_rng(1), 10_000, 100
    kinds = few_kinds(rng, n)
    rows = builders.written_out(kinds)
    best = newton(np.zeros(4), kinds, 0.001).theta
    counted = optimism_of(best, kinds, draw_counts(kinds, k, rng)[0], 0.001)
    by_row = [np.bincount(rng.integers(0, n, n), minlength=n) * 1.0 for _ in range(k)]
    single = np.vstack([optimism_of(best, rows, counts[None], 0.001) for counts in by_row])
    for i, name in enumerate(FIGURES):
        assert stats.ks_2samp(counted[:, i], single[:, i]).pvalue > 0.01, name
    fewer = rng.multinomial(n // 4, kinds.count / n, k) * 1.0
    control = optimism_of(best, kinds, fewer, 0.001)
    assert stats.ks_2samp(control[:, 0], single[:, 0]).pvalue < 1e-6


@pytest.mark.parametrize("l2", [1e-8, 1e-4, 0.1])
def test_refits_that_are_made_at_once_are_newtons_one_by_one(l2):
    for problem in builders.PROBLEMS[:12]:
        rows = problem.examples
        drawn, _ = draw_counts(rows, 4, np.random.default_rng(0))
        X = np.column_stack([rows.X, np.ones(len(rows.y))])[None]
        share = drawn / drawn.sum(axis=1, keepdims=True)
        for theta, counts in zip(optima(problem.start, X, rows.y, share, l2), drawn, strict=True):
            sample = rows._replace(count=counts)
            best = newton(np.zeros(len(theta)), sample, l2).objective
            assert objective(theta, sample, l2) == pytest.approx(best, abs=1e-11), problem


@pytest.mark.exhaustive
def test_harrells_figures_of_the_irises():
    """Versicolor or virginica, 100 flowers: his procedure as it stands, with other samples."""
    X, species = load_iris(return_X_y=True)
    X, y = X[50:] - X[50:].mean(axis=0), (species[50:] == 2).astype(float)
    l2 = 0.05
    found = bootstrap_optimism(np.zeros(5), Examples(X, y, np.ones(100)), l2, 200, 0)
    rng = np.random.default_rng(2)
    plain = np.array([harrell(X, y, rng.integers(0, 100, 100), l2) for _ in range(200)])
    model = fitted(X, y, l2)
    apparent = [
        sk.log_loss(y, model.predict_proba(X)[:, 1]),
        sk.roc_auc_score(y, model.decision_function(X)),
    ]
    for i, name in enumerate(FIGURES[:2]):
        figure, error = found.figures[name], plain[:, i].std() / np.sqrt(200)
        assert figure.apparent == pytest.approx(apparent[i], abs=1e-6)
        assert abs(figure.optimism - plain[:, i].mean()) < 3 * np.hypot(figure.error, error)
        assert figure.error < error  # which is what is taken off for
        assert figure.corrected == figure.apparent - figure.optimism


def test_what_is_taken_off_is_zero_on_average():
    rng = np.random.default_rng(3)
    rows = world(rng, 60)
    best = newton(np.zeros(5), rows, 0.01).theta
    off = taken_off(best, rows, draw_counts(rows, 2000, rng)[0])
    assert np.all(np.abs(off.mean(axis=0)) < 3 * off.std(axis=0) / np.sqrt(2000))


def bias_of(n_worlds: int, n: int, refits: int) -> tuple[float, float, float]:
    """Mean error of the apparent loss and of the corrected one, and its standard error."""
    rng, errors = np.random.default_rng(4), []
    new = world(rng, 20_000)
    for seed in range(n_worlds):
        rows = world(rng, n)
        theta = newton(np.zeros(5), rows, 0.01).theta
        loss = bootstrap_optimism(theta, rows, 0.01, refits, seed).figures["log_loss"]
        true = mean_loss(logits(theta, new.X), new.y, new.count)
        errors.append([loss.apparent - true, loss.corrected - true])
    apparent, corrected = np.mean(errors, axis=0)
    return apparent, corrected, np.std(errors, axis=0)[1] / np.sqrt(n_worlds)


def test_the_loss_less_its_optimism_is_that_on_new_rows():
    apparent, corrected, error = bias_of(n_worlds=40, n=60, refits=10)
    assert apparent < -3 * error
    assert abs(corrected) < 2 * error


@pytest.mark.exhaustive
def test_the_loss_less_its_optimism_is_that_on_new_rows_of_many_worlds():
    apparent, corrected, error = bias_of(n_worlds=2000, n=100, refits=50)
    assert apparent < -10 * error
    assert abs(corrected) < 0.15 * abs(apparent) + 2 * error


def takeuchi(rows: Examples, l2: float) -> float:
    """The optimism of the loss for many rows, ``-tr(H^-1 J) / n`` (Takeuchi 1976)."""
    theta = newton(np.zeros(rows.X.shape[1] + 1), rows, l2).theta
    slopes = loss_slope(logits(theta, rows.X), rows.y)
    scores = np.column_stack([rows.X, np.ones(len(rows.y))]) * slopes[:, None]
    J = np.cov(scores, rowvar=False, fweights=rows.count.astype(int), ddof=0)
    return -np.trace(np.linalg.solve(hessian(theta, rows, l2), J)) / rows.count.sum()


def test_many_rows_have_the_optimism_of_a_sample_times_their_share(monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 1000)
    rows = world(np.random.default_rng(5), 8000)
    found = bootstrap_optimism(np.zeros(5), rows, 0.01, 200, 0)
    loss = found.figures["log_loss"]
    assert found.n_rows == 1000
    assert loss.optimism == pytest.approx(takeuchi(rows, 0.01), rel=0.1, abs=3 * loss.error)
    assert loss.error < abs(loss.optimism) / 10
    theta = newton(np.zeros(5), rows, 0.01).theta
    assert loss.apparent == pytest.approx(mean_loss(logits(theta, rows.X), rows.y, rows.count))


@pytest.mark.exhaustive
def test_a_sample_of_many_rows_has_the_figures_of_them_all(monkeypatch):
    rows = world(np.random.default_rng(6), 40_000)
    sampled = bootstrap_optimism(np.zeros(5), rows, 0.01, 200, 0)
    monkeypatch.setattr(module, "MAX_ROWS", 40_000)
    whole = bootstrap_optimism(np.zeros(5), rows, 0.01, 200, 0)
    for name in FIGURES:
        one, two = sampled.figures[name], whole.figures[name]
        assert one.apparent == two.apparent
        assert abs(one.optimism - two.optimism) < 3 * np.hypot(one.error, two.error), name


def test_rows_are_sampled_by_their_counts():
    rows = Examples(np.arange(3.0)[:, None], np.array([0.0, 1.0, 1.0]), np.array([1.0, 0.0, 9.0]))
    (X, y, count), _ = sample_rows(rows, np.random.default_rng(0))
    assert X[:, 0].tolist() == [0.0, 2.0]
    assert y.tolist() == [0.0, 1.0]
    assert count == pytest.approx([module.MAX_ROWS / 10, module.MAX_ROWS * 0.9], rel=0.1)


def test_a_sample_of_one_class_is_drawn_again_and_counted():
    rng = np.random.default_rng(7)
    rows = world(rng, 30)._replace(y=np.eye(30)[4])
    found = bootstrap_optimism(np.zeros(5), rows, 0.1, 50, 0)
    assert 5 < found.one_class < 60  # a third of all that are drawn
    assert all(
        figure.optimism is not None for name, figure in found.figures.items() if name[0] > "c"
    )


def test_samples_without_a_finite_optimum_leave_only_the_area_known():
    """8 rows of which one overlaps: samples without it separate. With a penalty none does."""
    X = np.array([-3.0, -2.0, -1.0, 0.4, -0.4, 1.0, 2.0, 3.0])[:, None]
    rows = Examples(X, np.repeat([0.0, 1.0], 4), np.ones(8))
    found = bootstrap_optimism(np.zeros(2), rows, 0.0, 40, 0)
    assert 5 < found.separated < 40
    assert [name for name, f in found.figures.items() if f.corrected is not None] == ["roc_auc"]
    assert found.figures["log_loss"].apparent == pytest.approx(newton(np.zeros(2), rows).objective)
    penalised = bootstrap_optimism(np.zeros(2), rows, 0.1, 40, 0)
    assert penalised.separated == 0
    assert penalised.figures["log_loss"].corrected > penalised.figures["log_loss"].apparent


def test_a_category_that_a_sample_lacks_has_no_weight_from_the_rows_that_it_lacks():
    """The control is the weight of the optimum that the search starts from."""
    X = np.eye(4)[[0, 0, 1, 1, 2, 2]]
    X[:, 3] = 1.0
    y, count = np.tile([0.0, 1.0], 3), np.array([4.0, 1, 1, 4, 1, 9])
    best = newton(np.zeros(4), Examples(X[:, :3], y, count), module.RIDGE).theta
    (own,) = optima(best, X[None], y, np.array([[0.45, 0.15, 0.1, 0.3, 0, 0]]), module.RIDGE)
    assert abs(best[2]) > 0.5
    assert abs(own[2]) < 1e-5


def test_equal_seeds_give_equal_bits_and_the_start_does_not_matter():
    rows = world(np.random.default_rng(8), 100)
    one, two, other = (bootstrap_optimism(np.zeros(5), rows, 0.01, 10, seed) for seed in (0, 0, 1))
    assert one == two != other
    far = bootstrap_optimism(np.full(5, 0.5), rows, 0.01, 10, 0)
    for name in FIGURES:
        assert far.figures[name].corrected == pytest.approx(one.figures[name].corrected, abs=1e-6)


def test_many_inputs_get_fewer_refits_and_too_many_none(monkeypatch):
    rows = world(np.random.default_rng(9), 100)
    monkeypatch.setattr(module, "MAX_WORK", 30 * work_of_refit(100, 4))
    assert bootstrap_optimism(np.zeros(5), rows, 0.01, 200, 0).refits == 30
    monkeypatch.setattr(module, "MAX_WORK", 19 * work_of_refit(100, 4))
    assert bootstrap_optimism(np.zeros(5), rows, 0.01, 200, 0) is None


def test_numbers_that_overflow_end_no_run():
    rows = world(np.random.default_rng(10), 50)
    assert bootstrap_optimism(np.zeros(5), rows._replace(X=rows.X * 1e200), 0.0, 5, 0) is None
