"""A run of Newton's method begins at the optimum of the next stronger l2, and ends as one alone."""

import shutil

import pytest
from sweep_builders import grid_of, make_run

from pipeline import files
from pipeline.record import Record, heads, read
from pipeline.run import learn, prepare
from pipeline.sweeps.paths import Paths, place_on_path
from pipeline.sweeps.sweep import run_sweep

WORDS = ("optimiser=newton", "train.epochs=200", "evaluate.bootstrap=null")
L2 = "train.l2=0.01,0.1,0.0001,0.001"


def records() -> dict[float, Record]:
    """The record of each run by its l2, the strongest first."""
    found = [read(files.RUNS / head.identity) for head in heads()]
    return {r.config["train"]["l2"]: r for r in sorted(found, key=lambda r: -r.head.metrics["l2"])}


def starts() -> list[float | None]:
    return [record.start and record.start.l2 for record in records().values()]


@pytest.mark.usefixtures("table", "store")
@pytest.mark.exhaustive
def test_each_run_of_a_path_ends_with_the_bits_of_a_run_alone_and_says_where_it_began(capsys):
    assert run_sweep([*WORDS, L2]) == 0
    assert starts() == [None, 0.1, 0.01, 0.001]
    prepared = prepare(grid_of(*WORDS).jobs[0].config)
    for job in grid_of(*WORDS, L2).jobs:
        made, alone = records()[job.config.train.l2], learn(prepared, job.config)
        assert made.model.theta.tobytes() == alone.trained.theta.tobytes()
        assert made.evaluation.metrics == alone.evaluation.metrics
    assert run_sweep([*WORDS, L2, "sweep.resume=false"]) == 0  # from where each began
    assert "4 done, 0 failed" in capsys.readouterr().out
    assert starts() == [None, 0.1, 0.01, 0.001]


@pytest.mark.usefixtures("table", "store")
@pytest.mark.exhaustive
def test_a_run_on_record_starts_others_but_not_where_it_has_no_optimum():
    """Without a penalty the cars separate; with 2 epochs nobody arrives."""
    separate = "train.l2=0.02,0"
    assert run_sweep([*WORDS, separate, "encode=crosses"]) == 0
    assert starts() == [None, None]
    assert run_sweep([*WORDS, "train.l2=0.01", "encode=crosses"]) == 0
    assert starts() == [None, None, None]  # a sweep of its own
    assert run_sweep([*WORDS, "train.l2=0.02,0.015,0.03", "encode=crosses"]) == 0
    assert starts() == [None, None, 0.02, None, None]  # 0.03, 0.02, 0.015, 0.01, 0


@pytest.mark.exhaustive
def test_a_run_that_is_gone_damaged_or_no_optimum_starts_nobody(table):
    paths = Paths()
    (job,) = grid_of(*WORDS, "train.l2=0.001").jobs
    for l2 in (0.1, 0.01):
        (stronger,) = grid_of(*WORDS, f"train.l2={l2}").jobs
        paths.add(stronger, make_run(*WORDS, f"train.l2={l2}").identity)
    (killed,) = grid_of(*WORDS, "train.l2=0.002").jobs
    prune = make_run(*WORDS, "train.l2=0.002", prune=lambda epoch: "!" if epoch.number else "")
    paths.add(killed, prune.identity)
    assert paths.start(job).l2 == 0.01
    near = files.RUNS / paths.start(job).run
    (near / "model.json").write_bytes(b"{}")
    assert paths.start(job).l2 == 0.1
    shutil.rmtree(near)
    assert paths.start(job).l2 == 0.1


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("seed=1", 0.01),
        ("train.class_weight=balanced", 0.01),
        ("optimiser=momentum", None),
        ("train.patience=5", None),  # the epoch that is kept depends on the start
        ("train.keep_path=true", None),
        ("train.epochs=100", None),  # from zeros it may not arrive
        ("train.l2=0", None),
        ("train.l2=1e-9", None),
        ("train.l2=auto", None),
        ("train.l2=cv", None),
    ],
)
def test_only_a_run_that_finds_the_same_from_elsewhere_is_on_a_path(word, place):
    (job,) = grid_of(*WORDS, *(["train.l2=0.01"] if "l2" not in word else []), word).jobs
    assert place_on_path(job.config) == place
