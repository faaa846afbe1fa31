"""The best of a sweep becomes champion through the gate, and a champion can be used."""

import csv
import shutil

import numpy as np
import pandas as pd
import pytest

from pipeline import car, command, paths
from pipeline.compose import configuration
from pipeline.errors import ConfigError, DataError
from pipeline.predict import model_of, predict_file
from pipeline.record import find, write
from pipeline.run import run
from pipeline.sweeps.manifest import Member, Sweep, write_sweep
from pipeline.sweeps.promote import GateError, promote
from pipeline.tracking import Registry

WEAK = "optimiser=gradient_descent optimiser.learning_rate=0.1 train.epochs=60"
STRONG = "encode=crosses train.epochs=200"


@pytest.fixture
def made(settings):
    """Makes sweeps, in a project folder with its table and a fresh store, and takes tracking."""
    (paths.PROJECT / "data").mkdir()
    (paths.PROJECT / "data" / "car.data").write_bytes(car.content())

    def make(name: str, *grid: str) -> Sweep:
        members = []
        for number, words in enumerate(grid):
            config = configuration(words.split()).run_config()
            record = write(run(config), paths.RUNS, overrides=words.split())
            members.append(Member(number, tuple(words.split()), record.identity))
        axes = sorted({word.partition("=")[0] for words in grid for word in words.split()})
        started = len(list(paths.SWEEPS.glob("*"))) if paths.SWEEPS.exists() else 0
        digits = f"{started:012x}"
        sweep = Sweep(digits, name, (), tuple(axes), started, tuple(members))
        write_sweep(sweep)
        return sweep

    return make


def champion():
    return Registry(configuration([]).tracking).champion("car")


@pytest.mark.slow
def test_the_first_must_clear_the_floor_and_the_next_must_be_better_by_more_than_noise(
    made, capsys, tmp_path
):
    weak = made("weak", WEAK)
    with pytest.raises(GateError, match=r"not promoted: log_loss must be .* promote.floor=0.5 or"):
        promote("weak", ["promote.floor=0.5"])
    assert champion() is None

    assert promote("weak", []) == 0
    assert champion().identity == weak.members[0].identity
    capsys.readouterr()
    assert promote("weak", []) == 0
    assert "it is car version 1 already" in capsys.readouterr().out

    # The same neuron but for its seed is no better.
    made("again", f"{WEAK} seed=1")
    with pytest.raises(
        GateError, match=r"champion's by more than noise, p below 0.05; got .* p = "
    ):
        promote("again", [])
    assert champion().number == "1"

    strong = made("strong", STRONG, f"{STRONG} train.l2=0.3")
    assert promote("strong", []) == 0
    held = champion()
    assert (held.number, held.identity) == ("2", strong.members[0].identity)
    told = capsys.readouterr().out
    assert "paired t-test, one-sided" in told
    tags = evidence(held)
    assert tags["oneuron.sweep_name"] == "strong"
    assert float(tags["oneuron.gate.p"].split()[0]) < 0.05
    assert tags["oneuron.gate.against"].startswith("version 1, run ")
    record = find(held.identity, paths.RUNS)
    assert float(tags["oneuron.test.log_loss"]) == pytest.approx(
        record.metrics["test/log_loss"], rel=1e-5
    )
    # Back to the weak one the way is shut.
    with pytest.raises(GateError):
        promote("weak", [])
    assert champion().number == "2"

    same_by_every_way(held, tmp_path)


def evidence(held) -> dict[str, str]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{paths.STORE}", f"sqlite:///{paths.STORE}")
    return dict(client.get_model_version(held.model, held.number).tags)


def same_by_every_way(held, tmp_path):
    """`make predict RUN=champion`, with and without the record, and MLflow's own way in."""
    import mlflow

    lines = car.content().decode().splitlines()[::100]
    names = "buying,maint,doors,persons,lug_boot,safety"
    source = tmp_path / "new.csv"
    source.write_text("\n".join([names, *(line.rpartition(",")[0] for line in lines)]) + "\n")
    targets = [tmp_path / f"{name}.csv" for name in ("record", "alias", "downloaded", "served")]
    predict_file(model_of(find(held.identity, paths.RUNS)), source, targets[0])
    assert command.score("champion", source, targets[1]) == 0
    shutil.rmtree(paths.RUNS / held.identity)
    assert command.score("car@champion", source, targets[2]) == 0
    assert targets[0].read_bytes() == targets[1].read_bytes() == targets[2].read_bytes()
    assert not (paths.RUNS / held.identity).exists()

    folder = paths.PROJECT / "mlartifacts"
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pyc")]
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.rglob("*"))

    mlflow.set_tracking_uri(f"sqlite:///{paths.STORE}")
    mlflow.set_registry_uri(f"sqlite:///{paths.STORE}")
    model = mlflow.pyfunc.load_model("models:/car@champion")
    rows = pd.read_csv(source)
    served = model.predict(rows)
    with targets[0].open(newline="") as file:
        expected = list(csv.DictReader(file))
    assert served["probability"].tolist() == [float(row["probability"]) for row in expected]
    assert served["decision"].tolist() == [int(row["decision"]) for row in expected]
    with pytest.raises(Exception, match="column safety must be"):
        model.predict(rows.assign(safety="hihg"))

    with pytest.raises(ConfigError, match=r"RUN must name one champion; got 'van@champion', have"):
        command.score("van@champion", source, targets[3])


def test_what_cannot_be_chosen_or_judged_is_refused_before_a_store_is_changed(made):
    made("unheld", "split=none train.epochs=5", "split=none train.epochs=6")
    with pytest.raises(ConfigError, match="chosen by validation rows; got runs without any"):
        promote("unheld", [])
    made("named", f"{WEAK} seed=2")
    with pytest.raises(ConfigError, match=r"promote.model must hold no quote"):
        promote("named", ["promote.model=a/b"])
    with pytest.raises(ConfigError, match="SWEEP must name a sweep"):
        promote("nonesuch", [])
    path = paths.PROJECT / "data" / "car.data"
    path.write_bytes(path.read_bytes().replace(b"low,unacc", b"low,acc", 1))
    with pytest.raises(DataError, match=r"sha256|data must be those that the run was made of"):
        promote("named", [])
    assert champion() is None


def test_without_a_champion_the_cure_is_named(settings, tmp_path):
    with pytest.raises(ConfigError, match="got 'champion', have none: make promote"):
        command.score("champion", tmp_path / "a.csv", tmp_path / "b.csv")


def test_a_figure_that_the_record_does_not_give_again_is_refused(made, monkeypatch):
    """A negative control of the check that the test rows are those of the record."""
    from pipeline.sweeps import promote as module

    made("named", f"{WEAK} seed=2")
    scored = module.score_rows
    monkeypatch.setattr(
        module, "score_rows", lambda theta, *rest: scored(np.nextafter(theta, 9) + 1e-9, *rest)
    )
    with pytest.raises(DataError, match="test rows must give the log loss on record"):
        promote("named", [])
