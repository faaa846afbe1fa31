"""What comes after a run is the same of a table in blocks: evaluate, promote, compare."""

from dataclasses import asdict, replace

import pytest
from blocks_tables import config_of, make_rows, write_parquet
from builders import make_environment

from nn import examine
from pipeline.compare.compare import compare
from pipeline.compare.gate import paired
from pipeline.compare.load import run_of
from pipeline.compare.monitor import monitor, to_json
from pipeline.compare.promotion import _split
from pipeline.compare.refit import comparable_model, score
from pipeline.errors import DataError
from pipeline.record import read, write
from pipeline.report.scorecard import test_rows as rows_of_test
from pipeline.report.terminal import summarise
from pipeline.report.views import views
from pipeline.run import learn, prepare
from pipeline.stages.blocks.dealt import DealtBlocks

pytestmark = pytest.mark.exhaustive

N = 3000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blocks")
    write_parquet(folder / "t.parquet", make_rows(N), 1500)
    write_parquet(folder / "new.parquet", make_rows(2000, seed=1), 1500)
    return folder


def made(folder, **changes):
    """The outcome and the record of a run."""
    config = config_of(str(folder / "t.parquet"), **changes)
    outcome = learn(prepare(config), config)
    assert outcome.status == "FINISHED", outcome.failure.traceback
    return outcome, write(outcome, folder / "runs", here=make_environment())


@pytest.fixture(scope="module")
def run(folder):
    return made(folder)


@pytest.fixture(scope="module")
def worse(folder):
    """A run that the penalty holds back."""
    return made(folder, train={"epochs": 50, "l2": 0.3})[1]


def test_record_page_and_summary_of_a_run_in_blocks_are_whole(run) -> None:
    outcome, record = run
    again = read(record.path)
    assert again.evaluation.n_seen is None
    assert again.evaluation.metrics["roc_auc_error"] == 0
    assert again.validation_losses.other is not None
    assert again.effects.sample == outcome.prepared.test.sample.count.sum()
    assert sum(again.distributions[-1].count) > 0
    page = views(again)["report.html"].decode()
    for text in ("The table is read in blocks", "a sample of", "Wald tests"):
        assert text in page
    summary = summarise(outcome)
    for text in ("not looked up among those of train", "ROC AUC is exact to", "optimism is not"):
        assert text in " ".join(summary.split())


def test_a_file_in_blocks_is_evaluated_as_one_in_memory(folder, run) -> None:
    _, record = run
    held, streamed = (
        monitor(_of_size(record, bound), folder / "new.parquet") for bound in (None, 0)
    )
    assert streamed.figures.n_seen is None
    assert streamed.figures.confusion == held.figures.confusion
    for name, value in held.figures.metrics.items():
        assert streamed.figures.metrics[name] == pytest.approx(value, abs=1e-8), name
    assert asdict(streamed.calibration) == pytest.approx(asdict(held.calibration), abs=1e-9)
    assert streamed.rise.rise == pytest.approx(held.rise.rise, abs=1e-12)
    assert streamed.rise.p_value == pytest.approx(held.rise.p_value, abs=0.02)
    assert [d.column for d in streamed.drift] == [d.column for d in held.drift]
    assert streamed.unseen == held.unseen == {}
    assert b"roc_auc_error" in to_json(streamed)


def _of_size(record, max_distinct):
    """The record, as if its model held so many distinct rows in memory."""
    data = record.model.data.model_copy(update={"max_distinct": max_distinct})
    changed = replace(record)
    changed.__dict__["model"] = replace(record.model, data=data)
    return changed


def test_a_file_in_blocks_that_breaks_the_contract_is_refused_by_name(folder, run) -> None:
    rows = make_rows(3000, seed=2)
    rows["whole"] = rows["whole"] - 30
    write_parquet(folder / "bad.parquet", rows)
    with pytest.raises(DataError, match="column whole must be"):
        monitor(_of_size(run[1], 0), folder / "bad.parquet")


def test_a_challenger_in_blocks_meets_the_log_loss_on_record_and_its_rival(run, worse) -> None:
    _, record = run
    split = _split(record)
    assert isinstance(split, DealtBlocks)
    scored = score(record.model, split)
    assert scored.error("log_loss") == pytest.approx(
        record.head.metrics["test/log_loss"], abs=1e-12
    )
    assert scored.error("accuracy") == pytest.approx(1 - record.head.metrics["test/accuracy"])
    rival, how = comparable_model(worse, record, split)
    assert how == ""
    found = paired(scored, score(rival, split), "log_loss")
    assert found.difference > 0
    assert found.p < 0.01
    assert "buckets of rows" in found.test


@pytest.mark.exhaustive
def test_a_champion_of_other_rows_is_trained_again_in_blocks(folder, run, worse) -> None:
    _, record = run
    other = {"split": {"name": "stratified", "seed": 5}, "train": {"epochs": 50, "l2": 0.3}}
    _, other = made(folder, **other)
    model, how = comparable_model(other, record, _split(record))
    assert how.startswith("trained again")
    assert model.theta == pytest.approx(worse.model.theta, abs=1e-9)


@pytest.mark.exhaustive
def test_runs_of_a_grid_in_blocks_are_compared(folder, run) -> None:
    _, record = run
    _, other = made(folder, train={"epochs": 50, "l2": 0.3})
    board = compare("two", [run_of(record), run_of(other)]).board
    assert board.mean[0] == pytest.approx(
        record.validation_losses.loss
        @ record.validation_losses.count
        / record.validation_losses.count.sum()
    )
    assert board.tied.tolist() == [True, False]


@pytest.mark.exhaustive
def test_the_test_rows_of_a_scorecard_come_in_blocks(run) -> None:
    _, record = run
    rows = rows_of_test(record)
    loss = examine(record.model.theta, rows).loss
    assert loss == pytest.approx(record.head.metrics["test/log_loss"], rel=1e-12)
