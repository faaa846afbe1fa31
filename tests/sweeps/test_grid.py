"""The words of a multirun become its jobs, or one refusal that names every wrong one."""

import itertools

import pytest

from pipeline.config.compose import configuration, parse_words
from pipeline.errors import ConfigError
from pipeline.sweeps import grid
from pipeline.sweeps.grid import MAX_JOBS, expand, ranges
from pipeline.sweeps.host import Host
from pipeline.sweeps.sweep import run_sweep, show_plan
from pipeline.text import MAX_MESSAGE


def overrides(*words: str) -> list[tuple[str, ...]]:
    return [job.overrides for job in expand(words).jobs]


def test_the_grid_is_every_combination_and_the_last_axis_goes_fastest():
    words = ["optimiser.learning_rate=0.1,0.3", "encode=onehot,crosses", "seed=range(3)"]
    expected = [
        (f"optimiser.learning_rate={rate}", f"encode={encode}", f"seed={seed}")
        for rate, encode, seed in itertools.product(["0.1", "0.3"], ["onehot", "crosses"], range(3))
    ]
    grid = expand(words)
    assert [job.overrides for job in grid.jobs] == expected
    assert [job.number for job in grid.jobs] == list(range(12))
    assert grid.axes == {"optimiser.learning_rate": 2, "encode": 2, "seed": 3}


@pytest.mark.parametrize(
    "word",
    ["seed=3,1,2", "seed=choice(3,1,2)", "seed=range(1,4)", "seed=shuffle(1,2,3)",
     "seed=sort(3,1,2)", "data=glob(*)"],
)  # fmt: skip
def test_a_job_is_what_hydras_own_composing_makes_of_its_overrides(word):
    for job in expand([word, "train.epochs=7"]).jobs:
        assert job.configuration == configuration(list(job.overrides))


@pytest.mark.exhaustive
def test_the_named_sweep_has_60_runs_and_a_word_replaces_its_axis():
    assert len(expand(["experiment=optimisers"]).jobs) == 60
    grid = expand(["experiment=optimisers", "seed=0,1", "encode=onehot"])
    assert grid.name == "optimisers"
    assert len(grid.jobs) == 12
    assert {job.configuration.seed for job in grid.jobs} == {0, 1}


def test_experiments_can_be_united_and_axes_can_go_in_step():
    assert overrides("experiment=article,crosses") == [
        ("experiment=article",), ("experiment=crosses",)
    ]  # fmt: skip
    grid = expand(
        ["optimiser.learning_rate=0.1,1", "train.epochs=50,5", "seed=0,1",
         "sweep.zip=[[optimiser.learning_rate,train.epochs]]"]
    )  # fmt: skip
    pairs = {
        (j.configuration.optimiser.learning_rate, j.configuration.train.epochs) for j in grid.jobs
    }
    assert (len(grid.jobs), pairs) == (4, {(0.1, 50), (1.0, 5)})


def test_a_refused_grid_makes_nothing(project):
    for start in (run_sweep, show_plan):
        with pytest.raises(ConfigError):
            start(["seed=0,1", "train.epohcs=5,6"])
    assert list(project.iterdir()) == []


def test_points_that_are_the_same_run_are_run_once():
    """D10."""
    grid = expand(["seed=0,0,1", "optimiser.learning_rate=0.1,1e-1"])
    assert (len(grid.jobs), grid.repeated) == (2, 4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["seed=range(0)"], "got none"),
        (["seed=0,1", "train.epohcs=5"], "did you mean train.epochs"),
        (["seed=0,1", "+typo=5"], "typo"),
        (["optimiser.learning_rate=interval(0,1)"], "without an end"),
        (["encode=onehot,crosess"], "crosess"),
        (["tracking=local,server"], "tracking must"),
        (["sweep.retry=0,1"], "sweep.retry must"),
        (["seed=range(2000)", "train.epochs=range(1,200)"], f"{MAX_JOBS:,} jobs; got 398,000"),
        (["seed=0,1", "train.epochs=5,6,7", "sweep.zip=[[seed,train.epochs]]"],
         "seed with 2, train.epochs with 3"),
        (["seed=0,1", "sweep.zip=[[seed,sede]]"], "sede with none"),
        (["seed=0,1", "sweep.zip=seed"], "got 'seed'"),
        (["seed=0,1", "nonsense"], "got 'nonsense'"),
        (["experiment=nonesuch", "seed=0,1"], "nonesuch"),
        (["optimiser.learning_rate=0.1,nan,-1,x", "seed=0,1"], "in 2 of 8 jobs"),
        (["seed=0,1", "hydra/launcher=nonesuch"], "nonesuch"),
        (["seed=0,1", "hydra.launcher.n_jobs=2"], "n_jobs"),  # it belongs to another launcher
    ],
)  # fmt: skip
def test_a_grid_that_cannot_be_is_refused(words, said):
    with pytest.raises(ConfigError) as refusal:
        expand(words)
    assert said in str(refusal.value)
    assert len(str(refusal.value)) <= MAX_MESSAGE


def test_one_wrong_value_in_one_axis_names_every_job_that_has_it_and_only_those():
    with pytest.raises(ConfigError) as refusal:
        expand(["optimiser.learning_rate=0.1,-1,0.3", "seed=range(4)"])
    said = str(refusal.value)
    assert said.count("\n") == 0
    assert "in 4 of 12 jobs, number 4-7; the first is optimiser.learning_rate=-1 seed=0" in said


def test_a_typo_is_named_with_the_nearest_setting_and_its_jobs():
    with pytest.raises(ConfigError) as refusal:
        expand(["optimiser.learning_rat=0.1", "seed=0,1"])
    assert str(refusal.value) == (
        "optimiser.learning_rat must be a known setting; got 0.1; did you mean "
        "optimiser.learning_rate? (in 2 of 2 jobs, number 0-1; the first is "
        "optimiser.learning_rat=0.1 seed=0)"
    )


def test_wrong_values_in_two_axes_are_both_told():
    with pytest.raises(ConfigError) as refusal:
        expand(["optimiser.learning_rate=0.1,abc", "train.epochs=5,0"])
    lines = str(refusal.value).splitlines()
    assert any("optimiser.learning_rate" in line and "number 2-3" in line for line in lines)
    assert any("train.epochs" in line and "number 1, 3" in line for line in lines)


def test_a_number_among_many_is_what_hydras_grammar_reads():
    numbers = ["0", "-1", "7", "10", "0.5", "-0.25", "1.5e-3", "1.0", "1e-3", "007", "1_0", "inf",
               "1.", ".5", "+3", "0x1", "1.5e300", "true", "null", "x"]  # fmt: skip
    words = [f"train.l2={number}" for number in numbers] + [f"data={n}" for n in ("1", "2")]
    found = grid._each_parsed(words)
    for word in words:
        (expected, faults), (overrides, said) = parse_words([word]), found[word]
        assert said == faults
        assert [(o, type(o.value())) for o in overrides] == [(o, type(o.value())) for o in expected]


@pytest.mark.exhaustive
def test_a_sample_of_many_points_is_what_hydra_composes_and_has_the_identity_of_a_single_run():
    words = ["optimiser=adam,newton", "train.l2=range(0.0,0.5,0.01)", "encode=onehot,crosses",
             "seed=range(9)"]  # fmt: skip
    jobs, host = expand(words).jobs, Host(writes=False)
    assert len(jobs) == 1800
    for job in jobs[::97]:
        alone = configuration(list(job.overrides))
        assert repr(job.configuration) == repr(alone)
        assert job.configuration == alone
        assert host.identity(job.configuration, "d" * 64) == host.trace(
            alone.run_config(), "d" * 64
        ).identity  # fmt: skip


def test_a_rule_between_two_axes_refuses_the_points_that_break_it_and_only_those():
    words = ["optimiser=adam,newton,momentum", "train.batch_size=null,32", "seed=range(3)"]
    with pytest.raises(ConfigError) as refusal:
        expand(words)
    assert "newton" in str(refusal.value)
    assert "in 3 of 18 jobs, number 9-11" in str(refusal.value)
    assert len(expand([words[0].replace(",newton", ""), *words[1:]]).jobs) == 12


def test_a_grid_that_is_wrong_throughout_is_refused_before_all_of_it_is_looked_at(monkeypatch):
    monkeypatch.setattr(grid, "MAX_FAULTY", 7)
    with pytest.raises(ConfigError, match="in 7 of the first 7 of 5000 jobs, number 0-6"):
        expand(["train.epohcs=5", "seed=range(5000)"])


def test_ranges_join_runs_of_numbers():
    assert ranges([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"
    assert ranges([]) == ""
