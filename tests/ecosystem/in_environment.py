"""What the libraries around scikit-learn make of a neuron; run in .venv-ecosystem, by name."""

import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from pipeline.estimator import NeuronClassifier

warnings.filterwarnings("error", module=r"pipeline|nn")


def tumours():
    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def shap_values_are_weights_times_distances_from_the_mean():
    import shap

    X, y = tumours()
    neuron = NeuronClassifier().fit(X[:, :8], y)
    X = X[:, :8]
    exact = neuron.coef_ * (X - X.mean(axis=0))
    base = float(neuron.intercept_[0] + neuron.coef_[0] @ X.mean(axis=0))
    background = shap.maskers.Independent(X, max_samples=len(X))
    linear = shap.LinearExplainer(neuron, background)(X)
    np.testing.assert_allclose(linear.values, exact, atol=1e-12)
    np.testing.assert_allclose(linear.base_values, base, atol=1e-12)
    np.testing.assert_allclose(
        linear.values.sum(axis=1) + base, neuron.decision_function(X), atol=1e-11
    )
    by_calls = shap.Explainer(neuron.decision_function, background, algorithm="exact")(X[:20])
    np.testing.assert_allclose(by_calls.values, exact[:20], atol=1e-10)


def fairlearn_narrows_the_gap_between_groups():
    from fairlearn.metrics import MetricFrame, demographic_parity_difference, selection_rate
    from fairlearn.reductions import DemographicParity, ExponentiatedGradient

    rng = np.random.default_rng(0)
    group = rng.integers(0, 2, 600)
    X = np.column_stack([rng.normal(size=600) + group, rng.normal(size=600)])
    y = (X[:, 0] + rng.logistic(size=600) > 0.5).astype(int)
    plain = NeuronClassifier().fit(X, y).predict(X)
    fair = ExponentiatedGradient(NeuronClassifier(), DemographicParity(), eps=0.02, max_iter=20)
    fair.fit(X, y, sensitive_features=group)
    decided = fair.predict(X, random_state=0)
    gaps = [demographic_parity_difference(y, p, sensitive_features=group) for p in (plain, decided)]
    assert gaps[0] > 0.2 > 2 * gaps[1], gaps
    metrics = {"accuracy": accuracy_score, "rate": selection_rate}
    frame = MetricFrame(metrics=metrics, y_true=y, y_pred=plain, sensitive_features=group)
    for each in (0, 1):
        rows = group == each
        assert frame.by_group.loc[each, "accuracy"] == np.mean(plain[rows] == y[rows])
        assert frame.by_group.loc[each, "rate"] == plain[rows].mean()


def skore_reports_what_scikit_learn_measures():
    from skore import CrossValidationReport, EstimatorReport

    X, y = tumours()
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    parts = {"X_train": X_train, "y_train": y_train, "X_test": X_test, "y_test": y_test}
    report = EstimatorReport(NeuronClassifier(), **parts, pos_label=1)
    p = NeuronClassifier().fit(X_train, y_train).predict_proba(X_test)
    assert report.metrics.accuracy() == accuracy_score(y_test, p[:, 1] >= 0.5)
    assert report.metrics.roc_auc() == roc_auc_score(y_test, p[:, 1])
    np.testing.assert_allclose(report.metrics.log_loss(), log_loss(y_test, p), rtol=1e-12)
    assert len(report.metrics.summarize().frame())
    folds = CrossValidationReport(NeuronClassifier(), X, y, splitter=3)
    accuracies = [each.metrics.accuracy() for each in folds.reports_]
    assert len(accuracies) == 3
    assert min(accuracies) > 0.9


def spark_scores_rows_as_the_pipeline(model, table):
    """``model`` is MLflow's folder; ``table`` a CSV of text with the probability as it must be."""
    import mlflow.pyfunc
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import col

    warnings.resetwarnings()  # of Spark and MLflow
    spark = (
        SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    )
    try:
        rows = spark.read.csv(table, header=True, inferSchema=False).fillna("")
        names = [name for name in rows.columns if name != "probability"]
        score = mlflow.pyfunc.spark_udf(
            spark, model, result_type="probability double, decision long", env_manager="local"
        )
        scored = rows.select("probability", score(*map(col, names)).alias("found")).collect()
        found = np.array([row["found"]["probability"] for row in scored])
        np.testing.assert_allclose(found, [float(r["probability"]) for r in scored], atol=4e-15)
        assert all(r["found"]["decision"] == (p >= 0.5) for r, p in zip(scored, found, strict=True))
        assert len(scored) > 100
    finally:
        spark.stop()


def spark_on_java_gives_the_run_of_the_file(parquet, changed):
    """The table of every kind of cell; ``changed`` is another in one cell."""
    from builders import CONFIG
    from engines import CONTRACT

    from pipeline.config.schema import RunConfig
    from pipeline.errors import DataError
    from pipeline.run import learn, prepare
    from pipeline.stages.read import read_rows

    def config(**where):
        tree = CONFIG | {"data": CONTRACT | where, "optimiser": {"name": "newton"}}
        return RunConfig.parse(tree | {"evaluate": {"threshold": 0.5, "bootstrap": None}})

    def spark(**where):
        return config(source={"engine": "spark", "connect": "local[1]", **where})

    file, other = config(path=parquet), spark(path=parquet)
    expected, found = prepare(file), prepare(other)
    assert found.data_digest == expected.data_digest
    theta = learn(expected, file).trained.theta
    assert np.array_equal(learn(found, other).trained.theta, theta)
    assert len(theta) > 30
    assert read_rows(spark(path=changed).data).digest != expected.data_digest
    query = {"query": f"SELECT * FROM parquet.`{parquet}`"}
    assert read_rows(spark(**query).data).digest == expected.data_digest
    for where, message in (
        ({"table": "nix"}, "must name a table that is there; got 'nix'"),
        ({"query": "SELECT * FROM nix"}, "TABLE_OR_VIEW_NOT_FOUND"),
        ({"path": f"{parquet}.nix"}, "PATH_NOT_FOUND"),
    ):
        said = ""
        try:
            read_rows(spark(**where).data)
        except DataError as refusal:
            said = str(refusal)
        assert message in said, where
        assert "\n" not in said


def spark_workers_have_the_bits_of_threads(path):
    """On 1, 2 and 4 workers of Spark; one that is lost is one line, and the next pass works."""
    import os
    from dataclasses import replace

    from blocks_tables import config_of

    from nn import examine
    from pipeline.config.source_settings import SourceSettings
    from pipeline.errors import DataError, EngineError
    from pipeline.run import prepare
    from pipeline.stages.blocks.open import read_table
    from pipeline.stages.read.workers import Workers

    def there(n):
        return Workers(SourceSettings(engine="spark", connect=f"local[{n}]", path=path))

    def bits(runner):
        of_runner = replace(train, rows=replace(rows, runner=runner))
        sums = examine(theta, of_runner, 0.1, curvature=True)
        return [np.asarray(each).tobytes() for each in sums]

    rows = read_table(config_of(path).data)
    train = prepare(config_of(path), rows).train
    theta = np.linspace(-1, 1, train.d + 1)
    here = bits(rows.runner)
    for n in (1, 2, 4):
        assert bits(there(n)) == here, n
    assert replace(rows, runner=there(4)).digest == rows.digest
    said = refusal_of(EngineError, lambda: list(there(4)(os._exit, [7, 7])))
    assert "workers of spark must do their work" in said
    assert len(said) < 500
    assert bits(there(2)) == here
    with Path(path).open("ab") as file:
        file.write(b"x")
    assert "must not change" in refusal_of(DataError, lambda: bits(there(2)))


def refusal_of(kind, act):
    try:
        act()
    except kind as error:
        return str(error)
    raise AssertionError(f"{kind.__name__} must be raised")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
