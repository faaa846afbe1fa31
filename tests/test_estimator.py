"""The neuron as an estimator of scikit-learn: the pipeline's bits, and the library's rules."""

import io
import os
import pickle
import re
import subprocess
import sys
from collections import Counter
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import yaml
from builders import PROJECT, written_out
from scipy.special import expit
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from nn import Examples
from pipeline.config.compose import configuration
from pipeline.estimator import OPTIMISERS, NeuronClassifier
from pipeline.run import learn, prepare
from pipeline.stages.outcome import Finished, Prepared
from pipeline.stages.read import car
from pipeline.stages.read.datasets import write_if_missing

CHECKS = 63
TABLES = {
    "words": ["data=car"],
    "crosses": ["data=car", "encode=crosses"],
    "numbers": ["data=breast_cancer"],
    "curves": ["data=breast_cancer", "encode=spline"],
}


@pytest.fixture(scope="module")
def tumours() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.fixture(scope="module")
def cars() -> tuple[pd.DataFrame, np.ndarray]:
    frame = pd.DataFrame(car.rows(), columns=[*car.ATTRIBUTES, "class"])
    return frame, np.where(frame.pop("class") == "unacc", "no", "yes")


# --- the same neuron as a run -------------------------------------------------------------------


LONG = ("crosses", "numbers")  # seconds to prepare


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[pytest.mark.exhaustive] if name in LONG else [])
        for name in TABLES
    ],
)
def prepared(request) -> Prepared:
    config = configuration(TABLES[request.param]).run_config()
    write_if_missing(config.data.path)
    found = prepare(config)
    assert isinstance(found, Prepared), found
    return found


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", OPTIMISERS)
def test_theta_is_that_of_a_run_to_the_bit(prepared, name):
    """So are the penalty and the certificate."""
    words = [f"optimiser={name}", "train.epochs=20", "seed=3", "evaluate.bootstrap=null"]
    run = learn(prepared, configuration(words).run_config())
    assert isinstance(run, Finished), run
    X, y, count = prepared.train
    neuron = NeuronClassifier(name, epochs=20, random_state=3).fit(X, y, sample_weight=count)
    assert neuron.theta_.tobytes() == run.trained.theta.tobytes()
    assert neuron.l2_ == run.trained.l2
    assert neuron.certificate_.metrics == run.certificate.metrics


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_batches_are_those_of_a_run_to_the_bit_and_another_seed_gives_others(prepared):
    words = ["optimiser=adam", "train.epochs=3", "train.batch_size=64", "evaluate.bootstrap=null"]
    run = learn(prepared, configuration(words).run_config())
    assert isinstance(run, Finished), run
    X, y, count = prepared.train
    same, other = (
        NeuronClassifier("adam", epochs=3, batch_size=64, random_state=seed).fit(X, y, count)
        for seed in (0, 1)
    )
    assert same.theta_.tobytes() == run.trained.theta.tobytes() != other.theta_.tobytes()


def test_optimisers_are_set_as_in_conf():
    for name, settings in OPTIMISERS.items():
        tree = yaml.safe_load((PROJECT / "conf" / "optimiser" / f"{name}.yaml").read_text())
        full = NeuronClassifier(name)._settings().optimiser.model_dump()
        assert full == tree | {"name": name}, settings


# --- the rules of scikit-learn ------------------------------------------------------------------


def test_every_check_of_scikit_learn_passes():
    """All 63; that of the array API asks for a variable of the environment."""
    found = Counter(
        (check["status"], check["check_name"] if check["status"] != "passed" else "")
        for check in check_estimator(NeuronClassifier(), on_skip=None)
    )
    assert found == {("passed", ""): CHECKS - 1, ("skipped", "check_array_api_input"): 1}


@pytest.mark.exhaustive
def test_every_check_passes_without_a_warning_with_the_array_api_too():
    code = (
        "from sklearn.utils.estimator_checks import check_estimator as c\n"
        "from pipeline.estimator import NeuronClassifier as N\n"
        "print(*(x['status'] for x in c(N())))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=PROJECT, text=True, check=False,
        capture_output=True, env={**os.environ, "SCIPY_ARRAY_API": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["passed"] * CHECKS


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", [name for name in OPTIMISERS if name != "newton"])
def test_every_check_passes_whatever_the_optimiser(name):
    found = check_estimator(NeuronClassifier(name), on_skip=None)
    assert Counter(check["status"] for check in found) == {"passed": CHECKS - 1, "skipped": 1}


@pytest.mark.exhaustive
def test_it_is_imported_without_mlflow_hydra_and_pandera():
    heavy = ("mlflow", "hydra", "omegaconf", "pandera", "duckdb", "matplotlib")
    code = f"import sys, pipeline.estimator; print(*({set(heavy)} & {{*sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=PROJECT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


# --- the same optimum as another library's ------------------------------------------------------


def test_weights_are_those_of_scikit_learn(tumours):
    X, y = tumours
    neuron = NeuronClassifier(l2=1 / len(y)).fit(X, y)
    other = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-13).fit(X, y)
    assert neuron.coef_ == pytest.approx(other.coef_, abs=1e-8)
    assert neuron.intercept_ == pytest.approx(other.intercept_, abs=1e-8)
    assert neuron.predict_proba(X) == pytest.approx(other.predict_proba(X), abs=1e-9)
    assert (neuron.predict(X) == other.predict(X)).all()


def test_a_weight_of_k_is_a_row_k_times(tumours):
    """To rounding: sums over other rows round otherwise."""
    X, y = tumours
    count = np.random.default_rng(0).integers(0, 4, len(y)).astype(float)
    long = written_out(Examples(X, y.astype(float), count))
    weighted = NeuronClassifier().fit(X, y, sample_weight=count)
    repeated = NeuronClassifier().fit(long.X, long.y)
    assert weighted.l2_ == repeated.l2_
    assert weighted.theta_ == pytest.approx(repeated.theta_, abs=1e-12)
    plain = NeuronClassifier(l2=weighted.l2_).fit(X, y)
    assert abs(plain.theta_ - weighted.theta_).max() > 1e-3  # the negative control


def test_a_probability_depends_on_its_row_alone_and_is_exact_in_both_tails():
    neuron = NeuronClassifier(l2=1e-3).fit([[-1.0], [1.0]] * 2, ["a", "b"] * 2)
    X = np.linspace(-700, 700, 1001)[:, None] / neuron.coef_
    p = neuron.predict_proba(X)
    z = X[:, 0] * neuron.coef_[0, 0] + neuron.intercept_[0]
    assert p == pytest.approx(expit(np.column_stack([-z, z])), rel=1e-12, abs=1e-307)
    assert 0 < p.min() < 1e-300
    assert np.vstack([neuron.predict_proba(x[None]) for x in X]).tobytes() == p.tobytes()


# --- what it is used in -------------------------------------------------------------------------


def test_it_works_in_a_pipeline_of_words_under_cross_validation(cars):
    frame, y = cars
    model = make_pipeline(OneHotEncoder(sparse_output=False), NeuronClassifier())
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(model, frame, y, cv=folds)
    assert scores.min() > 0.9
    shuffled = np.random.default_rng(0).permutation(y)  # the negative control
    assert cross_val_score(model, frame, shuffled, cv=folds).max() < 0.8


def test_sparse_inputs_are_refused(cars):
    frame, y = cars
    with pytest.raises(TypeError, match="dense"):
        make_pipeline(OneHotEncoder(), NeuronClassifier()).fit(frame, y)


def test_it_works_in_searches_calibration_and_thresholds(tumours):
    X, y = tumours
    grid = {"l2": np.array([1e-4, 1e3]), "optimiser": ["newton"], "epochs": np.array([50])}
    search = GridSearchCV(NeuronClassifier(), grid, cv=3, scoring="neg_log_loss").fit(X, y)
    assert search.best_params_["l2"] == 1e-4
    calibrated = CalibratedClassifierCV(NeuronClassifier(), cv=3).fit(X, y)
    tuned = TunedThresholdClassifierCV(NeuronClassifier(), cv=3).fit(X, y)
    assert min(calibrated.score(X, y), tuned.score(X, y)) > 0.95


def test_it_is_cloned_pickled_and_dumped(tumours):
    X, y = tumours
    neuron = NeuronClassifier({"name": "momentum", "nesterov": True}, epochs=5, random_state=1)
    with pytest.warns(ConvergenceWarning, match="stopped early"):
        neuron.fit(X, y)
    file = io.BytesIO()
    joblib.dump(neuron, file)
    file.seek(0)
    for copy in (pickle.loads(pickle.dumps(neuron)), joblib.load(file)):
        assert copy.predict_proba(X).tobytes() == neuron.predict_proba(X).tobytes()
        assert copy.certificate_ == neuron.certificate_
    assert clone(neuron).get_params() == neuron.get_params()
    assert not hasattr(clone(neuron), "theta_")


# --- warnings and refusals ----------------------------------------------------------------------


def test_names_of_columns_are_kept_and_named_where_classes_separate():
    frame = pd.DataFrame({"age": [1.0, 2.0, 3.0, 4.0], "none": 1.0})
    with pytest.warns(ConvergenceWarning, match="no finite optimum: the data separate on age"):
        neuron = NeuronClassifier(l2=0).fit(frame, [False, False, True, True])
    assert neuron.feature_names_in_.tolist() == ["age", "none"]
    assert neuron.predict(frame).tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"optimiser": "newtn"}, "optimiser must be one of .*; got 'newtn'"),
        ({"optimiser": None}, "optimiser must be one of"),
        ({"optimiser": {"name": "adam", "beta3": 1}}, "did you mean optimiser.beta2?"),
        ({"optimiser": "adam", "learning_rate": 0}, "learning_rate must be greater than 0; got 0"),
        ({"epochs": 0}, "epochs must be greater than or equal to 1; got 0"),
        ({"epochs": 2.5}, "epochs must be a valid integer; got 2.5"),
        ({"batch_size": -1, "epochs": 0}, "(?s)epochs .*batch_size must be"),
        ({"optimiser": {}}, "^optimiser must hold a name; got {}"),
        ({"l2": -1}, "^l2 must be auto or a number of 0 or more; got -1"),
        ({"l2": "cv"}, "^l2 must be a number or auto; got 'cv': use GridSearchCV"),
        ({"l2": float("nan")}, "^l2 must be"),
        ({"random_state": "a"}, "cannot be used to seed"),
        (
            {"optimiser": "gradient_descent", "learning_rate": 1e300},
            "got infinity at epoch 1: lower learning_rate",
        ),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(tumours, parameters: dict[str, Any], message):
    X, y = tumours
    with pytest.raises(ValueError, match=message):
        NeuronClassifier(**{"optimiser": "momentum"} | parameters).fit(X, y)


@pytest.mark.parametrize(
    ("y", "weight", "message"),
    [
        ([0, 0, 0, 0], None, "y must hold two classes"),
        ([0, 1, 2, 0], None, "Only binary classification is supported"),
        ([0, 1, 0, 1], [1, 0, 1, 0], "y must hold two classes with weight above 0"),
        ([0, 1, 0, 1], [1, -1, 1, 1], "Negative values"),
        ([0, 1, 0, 1], [1, np.nan, 1, 1], "NaN"),
        ([0, 1, 0, 1], [1, 1], "sample_weight"),
        ([0, 1, 0, 1], [1e308] * 4, "sample_weight must have a sum that is finite"),
    ],
)
def test_labels_and_weights_that_are_none_are_refused(y, weight, message):
    with pytest.raises(ValueError, match=message):
        NeuronClassifier().fit(np.arange(4.0)[:, None], y, sample_weight=weight)


def test_the_example_of_the_page_runs(capsys):
    page = (PROJECT / "docs" / "estimator.md").read_text()
    code, printed = re.findall(r"```(?:python|text)\n(.*?)```", page, re.DOTALL)
    exec(compile(code, "docs/estimator.md", "exec"), {})
    assert capsys.readouterr().out == printed
