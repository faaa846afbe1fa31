"""A finished run on another labelled file: its figures there, what drifted, and the verdict."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics

from pipeline.cli.arguments import parse
from pipeline.cli.table import BY_NAME
from pipeline.compare.monitor import monitor
from pipeline.compare.monitor_report import format_monitored
from pipeline.config.schema import RunConfig
from pipeline.errors import OK, WORSE, ConfigError, DataError
from pipeline.record import write
from pipeline.record.read import Record
from pipeline.run import learn, prepare
from pipeline.stages.predict import predict_file

pytestmark = pytest.mark.exhaustive

COLUMNS = {
    "age": {"kind": "numeric", "minimum": 0, "maximum": 120, "missing": "input"},
    "city": {"kind": "categorical"},
    "note": {"kind": "ignored"},
}


def people(seed, n=600, *, older=0.0, slope=1.0, cities=("Bonn", "Kiel", "Ulm")):
    """Rows of one population; ``older`` years shift an input, ``slope`` changes what it means."""
    rng = np.random.default_rng(seed)
    age = np.round(np.clip(rng.normal(45 + older, 12, n), 0, 110), 1)
    city = rng.choice(cities, n)
    z = slope * (0.12 * (age - 45) + np.where(city == "Kiel", 1.0, -0.5))
    left = np.where(rng.random(n) < 1 / (1 + np.exp(-z)), "yes", "no")
    return pd.DataFrame({"age": age, "city": city, "note": "", "left": left})


def settings(path, **changes):
    tree = {
        "seed": 0,
        "data": {
            "name": "people", "path": str(path), "columns": COLUMNS,
            "target": {"name": "left", "positive": ["yes"], "negative": ["no"]},
        },
        "split": {"name": "stratified"},
        "encode": {"unseen": "zeros"},
        "optimiser": {"name": "newton"},
        "train": {"epochs": 50, "l2": 0.001},
        "evaluate": {"bootstrap": None},
    }  # fmt: skip
    return RunConfig.parse(tree | changes)


def run(folder, **changes) -> Record:
    people(0, 1500).to_csv(folder / "people.csv", index=False)
    config = settings(folder / "people.csv", **changes)
    return write(learn(prepare(config), config), folder / "runs")


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return run(tmp_path_factory.mktemp("people"))


@pytest.fixture
def look(record, tmp_path):
    """What is found out about a table as another labelled file."""

    def monitored(frame, name="new.csv"):
        frame.to_csv(tmp_path / name, index=False)
        return monitor(record, tmp_path / name)

    return monitored


def test_the_figures_are_those_of_scikit_learn_on_the_predictions(record, look, tmp_path):
    found = look(people(1))
    predict_file(record.model, tmp_path / "new.csv", tmp_path / "scored.csv")
    scored = pd.read_csv(tmp_path / "scored.csv")
    y, p = scored["left"] == "yes", scored["probability"]
    figures = found.figures.metrics
    assert figures["log_loss"] == pytest.approx(metrics.log_loss(y, p), rel=1e-12)
    assert figures["roc_auc"] == pytest.approx(metrics.roc_auc_score(y, p), rel=1e-12)
    assert figures["accuracy"] == metrics.accuracy_score(y, scored["decision"])
    assert found.calibration.predicted == pytest.approx(p.mean(), rel=1e-12)
    assert found.calibration.expected_loss == pytest.approx(
        stats.bernoulli(p).entropy().mean(), rel=1e-12
    )
    assert found.calibration.share == y.mean()
    assert found.calibration.share_low < found.calibration.share < found.calibration.share_high
    assert found.rise.rise == pytest.approx(
        figures["log_loss"] - record.evaluation.metrics["log_loss"], rel=1e-9
    )


def test_rows_of_the_same_population_are_no_worse_and_have_not_drifted(look):
    found = look(people(12))
    assert not found.is_worse
    assert [drift.column for drift in found.drift if drift.p_value <= 0.05] == []
    assert "not worse than on test" in format_monitored(found).splitlines()[-1]


def test_a_world_that_has_changed_is_worse_without_any_drift_of_an_input(look):
    found = look(people(3, slope=-1.0))
    assert found.is_worse
    assert {drift.column for drift in found.drift if drift.is_large} == set()
    assert "WORSE" in format_monitored(found).splitlines()[-1]


def test_a_column_that_has_drifted_is_named_before_the_others(look):
    found = look(people(4, older=20, cities=("Bonn", "Kiel", "Ulm", "Köln")))
    assert found.drift[0].column == "age"
    assert found.drift[0].is_large
    report = format_monitored(found)
    assert "age " in report
    assert "city has categories that train did not: Köln" in report
    assert [*found.unseen] == ["city"]
    assert [*found.unseen["city"]] == ["Köln"]


def test_no_line_is_longer_than_a_terminal_and_nothing_in_it_is_obeyed(look):
    found = look(people(5, older=30, cities=("Bonn", "Kiel", "x\u202ey" * 40)))
    for line in format_monitored(replace(found, source="new.csv")).splitlines():
        assert len(line) <= 100
        assert line.isprintable()


def test_a_column_that_is_empty_in_the_file_has_drifted_to_missing(look):
    found = look(people(6).assign(age=""))
    assert (found.drift[0].column, found.drift[0].bin) == ("age", "missing")


def test_what_only_training_asks_of_a_table_is_not_asked(look):
    """Few rows, and rows that contradict each other."""
    few = pd.DataFrame({"age": [40.0] * 4, "city": "Bonn", "note": "", "left": ["yes", "no"] * 2})
    found = look(few)
    assert found.figures.n_rows == 4
    assert not found.is_worse


def test_the_table_of_the_run_itself_is_recognised(record, look):
    assert look(people(0, 1500)).is_training_table
    assert not look(people(1)).is_training_table


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda t: t.assign(left="no"), ["both classes", "0 positive"]),
        (lambda t: t.drop(columns="left"), ["left"]),
        (lambda t: t[:0], ["rows"]),
        (lambda t: t[:1], ["both classes"]),
        (lambda t: t.assign(left="maybe"), ["left", "'maybe'"]),
        (lambda t: t.assign(left=""), ["left", "missing"]),
        (lambda t: t.assign(age="old", city=""), ["'old'", "city", "missing"]),
        (lambda t: t.assign(age=999), ["'999'", "120"]),
        (lambda t: t.rename(columns={"age": "years"}), ["age"]),
    ],
)
def test_a_file_that_breaks_the_contract_is_refused_with_every_violation(look, change, parts):
    with pytest.raises(DataError) as refusal:
        look(change(people(7)))
    assert refusal.value.exit_code == 3
    for part in parts:
        assert part in str(refusal.value)
    assert "sha256" not in str(refusal.value)


def test_a_category_that_train_lacks_is_refused_where_the_run_says_so(tmp_path):
    record = run(tmp_path, encode={"unseen": "refuse"})
    people(8, cities=("Bonn", "Köln")).to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(DataError, match="Köln"):
        monitor(record, tmp_path / "new.csv")


def test_gzip_and_parquet_give_the_same_figures(record, look, tmp_path):
    frame = people(9)
    found = look(frame)
    zipped, parquet = tmp_path / "new.csv.gz", tmp_path / "new.parquet"
    zipped.write_bytes(gzip.compress((tmp_path / "new.csv").read_bytes()))
    frame.to_parquet(parquet)
    for path in (zipped, parquet):
        assert monitor(record, path).rise == found.rise


def test_entities_are_counted_once_where_the_run_says_so(tmp_path):
    """Each row ten times is no more certain than once."""
    record = run(tmp_path, split={"name": "stratified", "copies": "together"})
    once = people(10, 300)
    once.to_csv(tmp_path / "once.csv", index=False)
    pd.concat([once] * 10).to_csv(tmp_path / "often.csv", index=False)
    found = [monitor(record, tmp_path / f"{name}.csv") for name in ("once", "often")]
    assert found[1].rise.noticeable == pytest.approx(found[0].rise.noticeable, rel=0.05)
    assert found[1].calibration.share_low == pytest.approx(found[0].calibration.share_low, rel=1e-2)


def test_rows_of_weight_zero_have_no_part_in_any_figure(tmp_path):
    """Alone in a bin of calibration, they once were a share of nothing."""
    people(0, 900).assign(w=1.5).to_csv(tmp_path / "people.csv", index=False)
    config = settings(tmp_path / "people.csv")
    columns = config.data.model_dump()["columns"] | {"w": {"kind": "weight"}}
    config = RunConfig.parse(
        config.model_dump() | {"data": config.data.model_dump() | {"columns": columns}}
    )
    record = write(learn(prepare(config), config), tmp_path / "runs")
    kept, old = people(1, 300).assign(w=2), people(2, 50, older=60).assign(w=0)
    kept.to_csv(tmp_path / "kept.csv", index=False)
    pd.concat([kept, old]).to_csv(tmp_path / "new.csv", index=False)
    without, found = (monitor(record, tmp_path / f"{name}.csv") for name in ("kept", "new"))
    assert found.figures.metrics == without.figures.metrics
    assert found.calibration == without.calibration
    assert found.drift == without.drift
    kept.assign(w=(kept["left"] == "yes").astype(int)).to_csv(tmp_path / "one.csv", index=False)
    with pytest.raises(DataError, match="weight above 0 must hold both classes; got one in one"):
        monitor(record, tmp_path / "one.csv")


def test_a_run_that_held_nothing_out_is_not_judged(tmp_path):
    record = run(tmp_path, split={"name": "none"})
    people(3, slope=-1.0).to_csv(tmp_path / "new.csv", index=False)
    found = monitor(record, tmp_path / "new.csv")
    assert not found.is_worse
    assert "held no rows out" in format_monitored(found)


def test_a_record_of_an_earlier_version_is_refused_with_the_cure(record, tmp_path):
    files = {
        n: c for n, c in record.files.items() if n not in ("test_losses.npy", "distributions.json")
    }
    with pytest.raises(ConfigError, match="train it again"):
        monitor(Record(record.path, record.head, files), tmp_path / "new.csv")


def test_the_exit_code_is_6_where_it_is_worse_and_nothing_is_written(project, capsys):
    record = run(project)
    before = sorted(path for path in (project / "runs").rglob("*"))
    for slope, code in ((1.0, OK), (-1.0, WORSE)):
        people(3, slope=slope).to_csv(project / "new.csv", index=False)
        words = ["--input", str(project / "new.csv"), "--output", str(project / "figures.json")]
        assert BY_NAME["evaluate"].handler(parse("evaluate", words)) == code
        assert record.identity[:12] in capsys.readouterr().out
        tree = json.loads((project / "figures.json").read_text())
        assert tree["is_worse"] == (code == WORSE)
        assert {"log_loss", "roc_auc_low"} <= {*tree["figures"]["metrics"]}
    assert sorted(path for path in (project / "runs").rglob("*")) == before


@pytest.mark.parametrize("name", ["figures.csv", "nowhere/figures.json"])
def test_an_output_that_cannot_be_written_is_refused(project, name):
    run(project)
    people(3).to_csv(project / "new.csv", index=False)
    words = ["--input", str(project / "new.csv"), "--output", str(project / name)]
    with pytest.raises(ConfigError, match="OUTPUT"):
        BY_NAME["evaluate"].handler(parse("evaluate", words))
