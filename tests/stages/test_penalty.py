"""The strength of the penalty that the training rows call for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from builders import CONFIG
from scipy.stats import sem
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from nn import Examples, binary_cross_entropy, mean_loss, newton, objective, row_logits
from pipeline.config.schema import RunConfig
from pipeline.config.split_settings import TimeSplit
from pipeline.config.train_settings import Newton, TrainSettings
from pipeline.errors import DataError
from pipeline.stages.encode import encode, fit_encoder
from pipeline.stages.penalty import OUT_OF_FOLD, PATH, auto_l2, folds_of, optima, penalty_path
from pipeline.stages.train import train
from pipeline.stages.validate.convert import Table

NEWTON = Newton(name="newton")
LOGISTIC_VARIANCE = np.random.default_rng(0).logistic(size=1_000_000).var()


def rows(n, d, rng, *, signal=0.0):
    X = rng.normal(size=(n, d)) * rng.uniform(0.1, 5, d) + rng.normal(size=d)
    y = (signal * X[:, 0] + rng.logistic(size=n) > 0).astype(float)
    return Examples(X, y, rng.integers(1, 4, n).astype(float))


@pytest.mark.parametrize("d", [1, 7, 60])
def test_before_any_row_is_seen_logits_vary_as_the_logistic_distribution_however_many_inputs(d):
    rng = np.random.default_rng(d)
    examples = rows(200, d, rng)
    X = np.repeat(examples.X, examples.count.astype(int), axis=0)
    weights = rng.normal(0, 1 / np.sqrt(len(X) * auto_l2(examples)), (d, 20_000))
    logits = (X - X.mean(axis=0)) @ weights
    assert logits.var() == pytest.approx(LOGISTIC_VARIANCE, rel=0.1)  # two digits, and chance


def test_the_penalty_falls_with_the_number_of_rows_and_counts_are_rows():
    examples = rows(100, 5, np.random.default_rng(0))
    many = examples._replace(count=examples.count * 1000)
    assert auto_l2(many) == pytest.approx(auto_l2(examples) / 1000, rel=1e-12)
    written = Examples(*(np.repeat(a, examples.count.astype(int), axis=0) for a in examples))
    assert auto_l2(written._replace(count=np.ones(len(written.y)))) == auto_l2(examples)


def test_inputs_that_do_not_vary_need_no_penalty():
    assert auto_l2(Examples(np.ones((4, 2)), np.array([0.0, 1, 1, 0]), np.ones(4))) == 0


def test_the_number_that_is_shown_gives_the_same_bits():
    examples = rows(50, 60, np.random.default_rng(1))
    chosen = train(examples, None, ("x",) * 60, NEWTON, TrainSettings(epochs=50, l2="auto"), 0)
    shown = float(f"{chosen.l2:g}")
    given = train(examples, None, ("x",) * 60, NEWTON, TrainSettings(epochs=50, l2=shown), 0)
    assert given.theta.tobytes() == chosen.theta.tobytes()


@pytest.mark.exhaustive
def test_sixty_inputs_of_noise_do_little_harm_and_less_than_scikit_learns_default():
    """80 rows; the baseline is half. The negative control is C = 1."""
    harm, harm_of_c1 = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(2080, 60)), rng.integers(0, 2, 2080).astype(float)
        some, others = (
            Examples(X[s], y[s], np.ones(len(y[s]))) for s in (slice(80), slice(80, None))
        )
        theta = newton(np.zeros(61), some, auto_l2(some)).theta
        harm.append(mean_loss(row_logits(theta, others.X), others.y, others.count) - np.log(2))
        z = LogisticRegression().fit(some.X, some.y).decision_function(others.X)
        harm_of_c1.append(mean_loss(z, others.y, others.count) - np.log(2))
    assert np.mean(harm) < 0.15
    assert np.mean(harm_of_c1) > 0.5


# --- chosen by folds ------------------------------------------------------------------------------

COLUMNS = {
    "word": {"kind": "categorical"},
    "x": {"kind": "numeric"},
    "gap": {"kind": "numeric", "missing": "input"},
}


def a_table(n=150, seed=0, group=None) -> Table:
    """Rows that occur up to three times, with a word that is rare and a number that may lack."""
    rng = np.random.default_rng(seed)
    x, gap = rng.normal(3, 2, n), np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n))
    word = rng.choice(["a", "b", "rare"], n, p=[0.6, 0.38, 0.02])
    y = (x - 3 + (word == "a") + rng.logistic(size=n) > 0).astype(float)
    frame = pd.DataFrame({"word": word, "x": x, "gap": gap})
    return Table(frame, y, rng.integers(1, 4, n), group=group)


def settings(seed=0, split=None, **train) -> RunConfig:
    tree = {
        **CONFIG,
        "seed": seed,
        "split": split or CONFIG["split"],
        "data": {**CONFIG["data"], "columns": COLUMNS},
        "train": {"epochs": 50, "l2": "cv", **train},
    }
    return RunConfig.parse(tree)


def path_of(table, config):
    examples = encode(fit_encoder(table, config.encode, config.data), table, "train")
    return penalty_path(table, examples, config)


def by_scikit_learn(table: Table, held: np.ndarray, l2: float) -> np.ndarray:
    """The logits of the rows of a fold by a pipeline that was fitted to the others."""
    frame = table.frame.assign(lacks=table.frame["gap"].isna().astype(float))
    count = table.count - held
    train, valid = np.flatnonzero(count), np.flatnonzero(held)
    long = np.repeat(train, count[train])  # scalers and penalties that know of no counts
    columns = ColumnTransformer([
        ("words", OneHotEncoder(handle_unknown="ignore"), ["word"]),
        ("numbers", make_pipeline(StandardScaler(), SimpleImputer()), ["x", "gap"]),
        ("lacks", "passthrough", ["lacks"]),
    ])  # fmt: skip
    n = table.count.sum()
    model = LogisticRegression(C=1 / (n * l2), tol=1e-10, max_iter=10_000)
    fitted = make_pipeline(columns, model).fit(frame.iloc[long], table.y[long])
    return fitted.decision_function(frame.iloc[valid])


def test_the_loss_out_of_fold_is_scikit_learns_with_all_that_is_learned_learned_in_the_fold():
    table, config = a_table(), settings()
    path, found = path_of(table, config)
    logits = np.zeros(len(table.y))
    for i, held in enumerate(folds_of(table, config)):
        rows = np.flatnonzero(held)
        own = by_scikit_learn(table, held, path.chosen_l2)
        logits[rows] += own * held[rows] / table.count[rows]
        loss = np.average(binary_cross_entropy(own, table.y[rows]), weights=held[rows])
        assert path.fold_loss[path.chosen, i] == pytest.approx(loss, rel=1e-5)
    assert row_logits(OUT_OF_FOLD, found.X) == pytest.approx(logits, abs=1e-4)
    assert path.loss[path.chosen] == pytest.approx(mean_loss(logits, found.y, found.count), 1e-5)


def test_chosen_is_the_strongest_within_one_standard_error_of_the_lowest_of_rows_written_out():
    table, config = a_table(n=400), settings()
    path, _ = path_of(table, config)
    places = {path.chosen - 1: False, path.chosen: True, int(path.loss.argmin()): True}
    logits = {i: np.zeros(len(table.y)) for i in places}
    for held in folds_of(table, config):
        rows = np.flatnonzero(held)
        for i, of_strength in logits.items():
            own = by_scikit_learn(table, held, path.l2[i])
            of_strength[rows] += own * held[rows] / table.count[rows]
    long = {i: np.repeat(binary_cross_entropy(z, table.y), table.count) for i, z in logits.items()}
    best = long.pop(int(path.loss.argmin()))
    for i, losses in long.items():
        apart, is_within = losses - best, places[i]
        assert (apart.mean() <= sem(apart)) == is_within
        assert path.error[i] == pytest.approx(sem(apart), rel=1e-3)
    assert path.chosen < path.loss.argmin()


@pytest.mark.parametrize(
    "signal", [0.0, *(pytest.param(s, marks=pytest.mark.exhaustive) for s in (3.0, 1e3))]
)  # the last one separates
def test_on_the_path_every_optimum_is_scikit_learns(signal):
    some = rows(120, 8, np.random.default_rng(5), signal=signal)
    path = auto_l2(some) * PATH
    n = some.count.sum()
    for l2, theta in zip(path, optima(some, path), strict=True):
        model = LogisticRegression(C=1 / (n * l2), tol=1e-12, max_iter=10_000)
        model.fit(some.X, some.y, sample_weight=some.count)
        own = objective(np.append(model.coef_[0], model.intercept_[0]), some, l2)
        assert objective(theta, some, l2) == pytest.approx(own, abs=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_every_copy_of_a_row_is_in_one_fold_and_each_fold_has_its_share_of_each_class(seed):
    table = a_table(seed=seed)
    folds = np.array([*folds_of(table, settings(seed=seed))])
    assert (folds.sum(axis=0) == table.count).all()
    for label in (0.0, 1.0):
        sizes = (folds * (table.y == label)).sum(axis=1)
        assert max(sizes) - min(sizes) <= 1
    again, other = (np.array([*folds_of(table, settings(seed=s))]) for s in (seed, seed + 1))
    assert (again == folds).all()
    assert (other != folds).any()


def test_a_group_is_in_one_fold_and_counts_as_one_in_the_standard_error():
    group = np.random.default_rng(0).integers(0, 30, 150)
    table, config = a_table(group=group), settings()
    folds = np.array([*folds_of(table, settings(seed=0))])
    assert all(len({*np.flatnonzero(folds[:, group == g].any(axis=1))}) == 1 for g in range(30))
    path, _ = path_of(table, config)
    apart, _ = path_of(a_table(), config)
    assert path.l2[0] == apart.l2[0]
    assert path.error[0] != pytest.approx(apart.error[0], rel=0.01)


def test_where_the_split_goes_by_time_folds_are_blocks_in_time():
    moments = np.datetime64("2020-01-01") + np.random.default_rng(1).permutation(150)
    table = replace(a_table(), dates={"day": moments})
    by_time = settings().model_copy(update={"split": TimeSplit(name="time")})
    for config, is_block in ((by_time, True), (settings(), False)):
        for held in folds_of(table, config):
            of_fold, others = moments[held > 0], moments[held == 0]
            inside = (others > of_fold.min()) & (others < of_fold.max())
            assert inside.any() != is_block


def test_folds_that_leave_one_class_are_refused_with_the_setting_that_helps():
    table = a_table(n=30, group=np.arange(30) % 2)
    table = Table(table.frame, (table.group == 1).astype(float), table.count, group=table.group)
    with pytest.raises(DataError, match=r"both classes.*train\.l2=auto"):
        path_of(table, settings())


def test_the_choice_is_made_again_bit_for_bit():
    (one, found), (two, again) = (path_of(a_table(), settings()) for _ in range(2))
    assert found.X.tobytes() == again.X.tobytes()
    assert one.chosen == two.chosen
    assert (one.loss == two.loss).all()


def test_on_noise_the_strongest_penalty_is_chosen():
    rng = np.random.default_rng(0)
    table = a_table(n=300)
    noise = Table(table.frame, rng.integers(0, 2, 300).astype(float), table.count)
    path, _ = path_of(noise, settings())
    assert path.l2[path.chosen] >= 10 * path.l2[8]  # the rule's
    assert path.loss[path.chosen] < np.log(2) + 0.01


def test_a_single_row_of_a_class_does_not_end_the_choice():
    table = a_table(n=60)
    y = np.zeros(60)
    y[3] = 1
    with pytest.raises(DataError, match="both classes"):  # it is in some fold
        path_of(Table(table.frame, y, np.ones(60, np.int64)), settings())
    y[7] = 1
    path, _ = path_of(Table(table.frame, y, np.ones(60, np.int64)), settings())
    assert np.isfinite(path.loss).all()
