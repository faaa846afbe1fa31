"""The whole, from a file to figures: what must not matter does not, and what must does."""

import random
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.compose import configuration
from pipeline.errors import ConfigError, DataError
from pipeline.record.contents import metrics
from pipeline.record.identity import environment, trace
from pipeline.report.terminal import summarise
from pipeline.run import learn, prepare
from pipeline.stages.drift import find_drift
from pipeline.stages.outcome import Finished, Outcome, Refused, Unfinished
from pipeline.stages.penalty import auto_l2
from pipeline.stages.read import car, read_rows
from pipeline.stages.validate import validate

HERE = environment()
QUICK = ["train.epochs=40", "data.sha256=null"]


@pytest.fixture
def lines() -> list[str]:
    return car.content().decode().splitlines(keepends=True)


def run(words: list[str]) -> Outcome:
    config = configuration(words).run_config()
    return learn(prepare(config), config)


def launch(path: Path, lines: list[str], *words: str) -> Outcome:
    path.write_text("".join(lines))
    return run([f"data.path={path}", *QUICK, *words])


def identity_of(outcome: Outcome) -> str:
    return trace(outcome.config, outcome.prepared.data_digest, HERE).identity


def same_bits(one: Finished, two: Finished) -> bool:
    curves = zip(one.trained.curve.values(), two.trained.curve.values(), strict=True)
    return np.array_equal(one.trained.theta, two.trained.theta) and all(
        np.array_equal(a, b) for a, b in curves
    )


def test_the_order_of_the_rows_changes_no_bit_and_no_identity(tmp_path, lines):
    straight = launch(tmp_path / "a.csv", lines)
    random.Random(0).shuffle(lines)
    shuffled = launch(tmp_path / "b.csv", lines)
    assert identity_of(shuffled) == identity_of(straight)
    assert same_bits(straight, shuffled)
    assert straight.evaluation.metrics == shuffled.evaluation.metrics


def test_rows_that_are_all_different_are_the_same_dealt_together(tmp_path, lines):
    """Each is an entity of its own: what train says of effects stays profile likelihood."""
    found = launch(tmp_path / "a.csv", lines, "split.copies=together", "evaluate.bootstrap=20")
    assert found.prepared.sampling.is_simple
    assert found.optimism is not None


def test_one_changed_cell_is_another_run(tmp_path, lines):
    before = identity_of(launch(tmp_path / "a.csv", lines))
    lines[-1] = lines[-1].replace("low,low", "low,med", 1)
    assert identity_of(launch(tmp_path / "a.csv", lines)) != before


@pytest.mark.exhaustive
def test_a_table_written_three_times_gives_the_same_neuron_and_narrower_intervals(tmp_path, lines):
    """Weights are repeated rows, from the file to the figures."""
    words = ("split=none", "train.l2=0.001")  # auto would fall: more rows are believed more
    once = launch(tmp_path / "a.csv", lines, *words)
    thrice = launch(tmp_path / "b.csv", lines * 3, *words)
    assert thrice.prepared.sizes[0] == 3 * once.prepared.sizes[0]
    # 40 steps of sums over 1,728 rows, each of a few roundings.
    assert thrice.trained.theta == pytest.approx(once.trained.theta, rel=1e-12, abs=1e-12)
    for name, value in once.evaluation.metrics.items():
        if not name.endswith(("_low", "_high", "_chance")):
            assert thrice.evaluation.metrics[name] == pytest.approx(value, rel=1e-10)
    assert thrice.evaluation.metrics["accuracy_low"] > once.evaluation.metrics["accuracy_low"]
    for one, three in zip(once.effects.effects, thrice.effects.effects, strict=True):
        assert three.high - three.low < one.high - one.low


def test_a_result_holds_everything_once_it_is_finished(tmp_path, lines):
    result = launch(tmp_path / "a.csv", lines)
    assert isinstance(result, Finished)
    empty = [name for name, value in vars(result).items() if value is None]
    assert empty == ["surface", "penalty"]  # which are there where they are asked for


def test_a_file_that_cannot_be_read_is_refused_before_there_is_a_run(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv"):
        run([f"data.path={tmp_path}/nowhere.csv", *QUICK])


def test_a_refused_table_is_a_result_with_its_report(tmp_path, lines):
    lines[7] = "vhigh,vhigh,2,2,small,hihg,unacc\n"
    result = launch(tmp_path / "a.csv", lines)
    assert isinstance(result, Unfinished)
    assert isinstance(result.prepared, Refused)
    assert result.failure.exit_code == 3
    assert "line 8" in result.failure.message
    assert result.prepared.validation.violations[0].examples == (("hihg", 1),)
    assert result.trained is None


@pytest.mark.exhaustive
def test_minibatches_momentum_and_early_stopping_work_together(tmp_path, lines):
    words = ["train.batch_size=64", "train.patience=5", "optimiser=adam", "train.epochs=200"]
    result = launch(tmp_path / "a.csv", lines, *words)
    assert result.trained.ended == "patience"
    assert result.evaluation.metrics["accuracy"] > 0.9
    assert same_bits(result, launch(tmp_path / "a.csv", lines, *words))


def test_a_long_table_of_few_kinds_of_rows_is_as_good_as_its_kinds(tmp_path):
    """200,000 rows of 8 kinds: exact sizes, and the cost of their own entropy."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 4, 200_000)
    yes = rng.random(200_000) < np.array([0.1, 0.4, 0.6, 0.9])[kinds]
    path = tmp_path / "long.csv"
    path.write_text(
        "".join(f"k{k},{'yes' if y else 'no'}\n" for k, y in zip(kinds, yes, strict=True))
    )
    words = [
        f"data.path={path}", "data.sha256=null", "data.names=[kind,class]",
        "data.target={name: class, positive: [yes], negative: [no]}",
        "~data.columns", "+data.columns={kind: {kind: categorical}}", "train.l2=0",
    ]  # fmt: skip
    result = run(words)
    assert result.prepared.validation.n_distinct == 8
    assert sum(result.prepared.sizes) == 200_000
    shares = np.array([yes[kinds == k].mean() for k in range(4)])
    entropy = -(shares * np.log(shares) + (1 - shares) * np.log(1 - shares))
    expected = float(np.bincount(kinds) / 200_000 @ entropy)
    assert result.trained.curve["train_loss"][-1] == pytest.approx(expected, rel=0.01)


def numbers(path, X, y):
    """The words that run a table of numbers, the last column of which is the class."""
    lines = [",".join([*map(str, x), label]) for x, label in zip(X, y, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    names = [f"x{i}" for i in range(X.shape[1])]
    columns = ", ".join(f"{name}: {{kind: numeric}}" for name in names)
    return [
        f"data.path={path}", "data.sha256=null", f"data.names=[{','.join(names)},class]",
        "data.target={name: class, positive: [yes], negative: [no]}",
        "~data.columns", f"+data.columns={{{columns}}}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.exhaustive) for n in (1, 2))]
)
@pytest.mark.exhaustive
def test_a_neuron_that_is_worse_than_nothing_is_mended_by_the_penalty_that_is_advised(
    tmp_path, seed
):
    """40 numbers of which one matters, and 90 training rows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(150, 40)).round(3)
    y = np.where(2 * X[:, 0] + rng.logistic(size=150) > 0, "yes", "no")
    words = numbers(tmp_path / "wide.csv", X, y)
    before = run([*words, "train.epochs=1000", "train.l2=0.0001"])
    first = " ".join(summarise(before).split("\n\n")[0].split())
    assert first.startswith("WORSE THAN THE MAJORITY BASELINE")
    (advice,) = (word for word in first.split() if word.startswith("train.l2="))
    after = run([*words, "train.epochs=1000", advice])
    assert not after.evaluation.worse_than_baseline
    assert not summarise(after).startswith("WORSE")


def test_entities_measured_again_are_noticed_and_kept_together_by_the_word_that_is_advised(
    tmp_path,
):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 8)).round(3), rng.choice(["yes", "no"], 60)
    words = numbers(tmp_path / "visits.csv", np.tile(X, (9, 1)), np.tile(y, 9))
    text = summarise(run(words))
    assert "108 rows, all with attributes that train has seen" in text
    assert "split.copies=together" in text
    apart = run([*words, "split.copies=together"])
    text = summarise(apart)
    assert f"{apart.prepared.sizes[2]} rows, none with attributes that train has seen" in text
    assert "split.copies=together" not in text
    low, high = (apart.evaluation.metrics[f"accuracy_{end}"] for end in ("low", "high"))
    assert high - low > 0.3  # 12 entities, not 108 rows


def test_a_split_at_random_shows_no_drift(tmp_path, lines):
    """The control: only the cars of one price, as if rows were dealt in the order of the table."""
    outcome = launch(tmp_path / "a.csv", lines)
    known = outcome.prepared.distributions
    assert [d.column for d in known] == [*car.ATTRIBUTES, "class"]
    assert not [drift for drift in outcome.prepared.drift if drift.p_value <= 0.05]
    data = outcome.config.data
    table = validate(read_rows(data), data).require()
    cheap = table.count * (table.frame["buying"] == "low").to_numpy(float)
    assert [d.column for d in find_drift(known, table, cheap) if d.is_large] == ["buying"]


TUNED = ("optimiser=newton", "train.l2=cv", "train.rows=train_and_valid")


@pytest.mark.exhaustive
def test_train_and_valid_rows_train_and_the_test_rows_stay_what_they_are(tmp_path, lines):
    plain, tuned = (launch(tmp_path / "a.csv", lines, *words) for words in ((), TUNED))
    assert tuned.prepared.test.X.tobytes() == plain.prepared.test.X.tobytes()
    n_train, n_valid, n_test = plain.prepared.sizes
    assert tuned.prepared.sizes == (n_train + n_valid, 0, n_test)
    assert tuned.validation_losses.count.sum() == n_train + n_valid
    assert tuned.trained.l2 == tuned.penalty.chosen_l2
    assert tuned.certificate.verdict == "converged"
    parts = np.vstack([plain.prepared.train.X, plain.prepared.valid.X])
    assert (parts == tuned.prepared.train.X).all()  # words alone: nothing is learned of the rows


def test_the_encoder_is_learned_from_the_rows_that_train(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3)).round(3)
    words = numbers(tmp_path / "a.csv", X, np.where(X[:, 0] > 0, "yes", "no"))
    tuned = run([*words, "train.rows=train_and_valid", "train.l2=auto"])
    assert tuned.prepared.train.X.mean(axis=0) == pytest.approx([0, 0, 0], abs=1e-12)
    assert tuned.validation_losses is None
    assert tuned.trained.l2 == auto_l2(tuned.prepared.train)


@pytest.mark.exhaustive
def test_without_valid_rows_folds_choose_and_with_them_they_are_left_to_compare(tmp_path, lines):
    kept = launch(tmp_path / "a.csv", lines, "train.l2=cv")
    assert kept.validation_losses.count.sum() == kept.prepared.sizes[1]
    none = launch(tmp_path / "a.csv", lines, "train.l2=cv", "split.valid=0")
    assert none.validation_losses.count.sum() == none.prepared.sizes[0]


@pytest.mark.exhaustive
def test_on_noise_no_choice_of_the_penalty_does_harm(tmp_path):
    """30 numbers that say nothing, 90 rows; the negative control is the penalty of before."""
    excess = {"auto": [], "cv": [], "0.0001": []}
    for seed in range(2):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(150, 30)).round(3), rng.choice(["yes", "no"], 150)
        words = [*numbers(tmp_path / "noise.csv", X, y), "optimiser=newton", "split.test=0.4"]
        for l2, found in excess.items():
            figures = run([*words, "evaluate.bootstrap=null", f"train.l2={l2}"]).evaluation
            found.append(figures.metrics["log_loss"] - figures.baseline["log_loss"])
    assert np.mean(excess["cv"]) < 0.03
    assert np.mean(excess["auto"]) < 0.2
    assert np.mean(excess["0.0001"]) > 0.5


def test_with_balanced_classes_what_is_evaluated_is_corrected_and_what_is_certified_is_not(
    tmp_path, lines
):
    words = ("optimiser=newton", "train.l2=0.001", "train.class_weight=balanced")
    balanced = launch(tmp_path / "a.csv", lines, *words)
    assert balanced.certificate.verdict == "converged"
    assert balanced.certificate.gap == pytest.approx(0, abs=1e-12)
    assert balanced.optimism is None  # refits would be of another objective
    plain = launch(tmp_path / "a.csv", lines, *words[:2])
    losses = [made.evaluation.metrics["log_loss"] for made in (plain, balanced)]
    assert losses[1] == pytest.approx(losses[0], abs=0.02)
    assert metrics(balanced)["valid/best_loss"] == pytest.approx(
        np.average(balanced.validation_losses.loss, weights=balanced.validation_losses.count)
    )


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["train.rows=train_and_valid", "train.patience=5"], ["train.patience", "null"]),
        (["train.class_weight=balanced", "train.batch_size=9"], ["train.batch_size", "null"]),
        (["train.l2=-1"], ["train.l2", "auto, cv or a number", "-1"]),
        (["train.l2=true"], ["train.l2", "auto, cv or a number"]),
    ],
)
def test_settings_of_training_that_do_not_go_together_are_refused(words, parts):
    with pytest.raises(ConfigError) as refusal:
        configuration(words)
    for part in parts:
        assert part in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1
