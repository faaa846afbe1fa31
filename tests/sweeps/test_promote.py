"""The best of a sweep becomes champion through the gate, and a champion can be used."""

import csv
import shutil
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from builders import make_environment
from compare_builders import Page

from pipeline import files
from pipeline.cli.arguments import parse
from pipeline.cli.commands.use import predict
from pipeline.compare import refit
from pipeline.compare.promotion import GateError
from pipeline.config.compose import configuration
from pipeline.errors import ConfigError, DataError
from pipeline.record import find, write
from pipeline.run import learn, prepare
from pipeline.stages.predict import predict_file
from pipeline.stages.read import car
from pipeline.sweeps.manifest import Member, Sweep, write_sweep
from pipeline.sweeps.promote import promote, promote_run
from pipeline.sweeps.report import PAGE
from pipeline.tracking import Registry

pytestmark = pytest.mark.exhaustive

WEAK = "optimiser=gradient_descent optimiser.learning_rate=0.1 train.epochs=60"
STRONG = "encode=crosses train.epochs=200 evaluate.threshold={rate:0.2}"

Made = Callable[..., Sweep]


@pytest.fixture
def made(table, store_template) -> Made:
    """Makes sweeps, in a project folder with its table and a fresh store."""
    shutil.copy2(store_template, files.STORE)
    started = iter(range(9))

    def make(name: str, *grid: str) -> Sweep:
        members = []
        for number, text in enumerate(grid):
            config = configuration(text.split()).run_config()
            outcome = learn(prepare(config), config)
            record = write(outcome, here=make_environment(), overrides=text.split())
            members.append(Member(number, tuple(text.split()), record.identity))
        axes = sorted({word.partition("=")[0] for text in grid for word in text.split()})
        n = next(started)
        sweep = Sweep(f"{n:012x}", name, (), tuple(axes), n, tuple(members))
        write_sweep(sweep)
        return sweep

    return make


def challenge(sweep: str, *words: str) -> int:
    return promote(sweep, configuration(list(words)))


def champion():
    return Registry(configuration([]).tracking).champion("car")


def client():
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{files.STORE}", f"sqlite:///{files.STORE}")


def evidence(held) -> dict[str, str]:
    return dict(client().get_model_version(held.model, held.number).tags)


def uses() -> list[int]:
    """How many runs each part of test rows was used for, in the registry."""
    names = client().get_registered_model("car").tags
    return sorted(Counter(name.rpartition(".")[0] for name in names).values())


def page_words(sweep: Sweep) -> str:
    return Page((sweep.folder / PAGE).read_text()).words


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore:.*Any type hint")  # MLflow's own, of its own
def test_the_first_must_reach_the_floor_and_the_next_must_be_better_by_more_than_noise(
    made, capsys, tmp_path
):
    weak = made("weak", WEAK)
    with pytest.raises(GateError, match=r"promote.floor=0.5"):
        challenge("weak", "promote.floor=0.5")
    assert champion() is None
    assert uses() == [1]  # a refusal counts

    assert challenge("weak") == 0
    assert champion().identity == weak.members[0].identity
    capsys.readouterr()
    assert challenge("weak") == 0
    assert "version 1 already" in capsys.readouterr().out

    # The same neuron but for its seed is no better.
    again = made("again", f"{WEAK} seed=1")
    with pytest.raises(GateError, match=r"p below 0.05; got .* p = "):
        challenge("again")
    assert champion().number == "1"
    assert uses() == [2]
    assert "for 2 runs with this one" in capsys.readouterr().out
    assert "used these test rows for 2 runs so far" in page_words(again)

    # On another split the champion has seen test rows: it is trained again.
    strong = made("strong", f"{STRONG} split.seed=1", f"{STRONG} train.l2=0.3 split.seed=1")
    assert challenge("strong") == 0
    held = champion()
    assert (held.number, held.identity) == ("2", strong.members[0].identity)
    said = capsys.readouterr().out
    assert "nats, one-sided)" in said
    assert "champion: trained again by its own recipe" in said
    tags = evidence(held)
    assert (tags["oneuron.sweep"], tags["oneuron.sweep_name"]) == (strong.id, "strong")
    assert float(tags["oneuron.gate.p"].split()[0]) < 0.05
    assert tags["oneuron.gate.against"].startswith("version 1, run ")
    assert (tags["oneuron.gate.test_rows_uses"], uses()) == ("1", [1, 2])
    metrics = find(held.identity).head.metrics
    assert float(tags["oneuron.gate.log_loss"]) == pytest.approx(metrics["test/log_loss"], rel=1e-5)
    # There is no way back to the weak one.
    with pytest.raises(GateError):
        challenge("weak")
    assert champion().number == "2"
    assert uses() == [1, 2]  # a repetition does not count

    predicts_the_same_by_every_way(held, tmp_path)


def predicts_the_same_by_every_way(held, tmp_path):
    """`make predict RUN=champion`, with and without the record, and MLflow's own way in."""
    import mlflow

    lines = car.content().decode().splitlines()[::100]
    names = "buying,maint,doors,persons,lug_boot,safety"
    source = tmp_path / "new.csv"
    source.write_text("\n".join([names, *(line.rpartition(",")[0] for line in lines)]) + "\n")
    targets = [tmp_path / f"{name}.csv" for name in ("record", "alias", "downloaded")]

    def score(run, target):
        flags = ["--run", run, "--input", str(source), "--output", str(target)]
        return predict(parse("predict", flags))

    predict_file(find(held.identity).model, source, targets[0])
    assert score("champion", targets[1]) == 0
    shutil.rmtree(files.RUNS / held.identity)
    assert score("car@champion", targets[2]) == 0
    assert targets[0].read_bytes() == targets[1].read_bytes() == targets[2].read_bytes()
    assert not (files.RUNS / held.identity).exists()
    with pytest.raises(ConfigError, match="van@champion"):
        score("van@champion", tmp_path / "none.csv")

    folder = files.PROJECT / "mlartifacts"
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pyc")]
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.rglob("*"))

    mlflow.set_tracking_uri(f"sqlite:///{files.STORE}")
    mlflow.set_registry_uri(f"sqlite:///{files.STORE}")
    model = mlflow.pyfunc.load_model("models:/car@champion")
    rows = pd.read_csv(source)
    served = model.predict(rows)
    with targets[0].open(newline="") as file:
        expected = list(csv.DictReader(file))
    assert served["probability"].tolist() == [float(row["probability"]) for row in expected]
    assert served["decision"].tolist() == [int(row["decision"]) for row in expected]
    with pytest.raises(Exception, match="column safety"):
        model.predict(rows.assign(safety="hihg"))


def test_what_cannot_be_chosen_or_judged_is_refused_before_a_store_is_changed(made, table):
    made("unheld", "split=none train.epochs=5", "split=none train.epochs=6")
    with pytest.raises(ConfigError, match="validation rows"):
        challenge("unheld")
    made("named", f"{WEAK} seed=2")
    with pytest.raises(ConfigError, match=r"promote\.model must"):
        challenge("named", "promote.model=a/b")
    with pytest.raises(ConfigError, match="SWEEP must"):
        challenge("nonesuch")
    table.write_bytes(table.read_bytes().replace(b"low,unacc", b"low,acc", 1))
    with pytest.raises(DataError, match=r"sha256|data must"):
        challenge("named")
    assert champion() is None


def test_without_a_champion_the_cure_is_named(made, tmp_path):
    flags = ["--run", "champion", "--input", "a.csv", "--output", str(tmp_path / "b.csv")]
    with pytest.raises(ConfigError, match="make promote"):
        predict(parse("predict", flags))


def test_a_figure_that_the_record_does_not_give_again_is_refused(made, monkeypatch):
    """A negative control of the check that the test rows are those of the record."""
    made("named", f"{WEAK} seed=2")
    scored = refit.score_rows
    monkeypatch.setattr(
        refit, "score_rows", lambda theta, *rest: scored(np.nextafter(theta, 9) + 1e-9, *rest)
    )
    with pytest.raises(DataError, match="on record"):
        challenge("named")


def test_a_run_that_was_tuned_is_promoted_by_its_name(made):
    """It has no validation rows of its own: folds of those that trained it were it."""
    words = "optimiser=newton train.l2=cv train.rows=train_and_valid"
    (member,) = made("tuned", words).members
    record = find(member.identity)
    assert promote_run(record, configuration([])) == 0
    assert promote_run(record, configuration([])) == 0  # it is champion already
    (plain,) = made("plain", "split=none train.epochs=5").members
    with pytest.raises(ConfigError, match="held-out rows"):
        promote_run(find(plain.identity), configuration([]))
