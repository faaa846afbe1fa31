"""Words of a search become its space, checked at its ends before anything runs."""

import numpy as np
import pytest

from pipeline.config.compose import parse_words
from pipeline.errors import ConfigError
from pipeline.sweeps.space import read_space

pytestmark = pytest.mark.exhaustive

RATE = "optimiser.learning_rate"
L2 = "train.l2=tag(log,interval(0.0001,0.1))"


def dimensions(*words):
    return {each.key: each for each in read_space(words).dimensions}


@pytest.mark.parametrize(("word", "shown"), [
    (L2, "0.0001 to 0.1, logarithmic"),
    ("train.l2=interval(0,0.5)", "0 to 0.5"),
    ("train.epochs=int(interval(10,90))", "10 to 90, whole numbers"),
    ("optimiser=adam,momentum", "adam, momentum"),
    *(pytest.param(*case, marks=pytest.mark.exhaustive) for case in (
    ("train.epochs=range(10,100,10)", "10 to 90 in steps of 10"),
    ("train.epochs=range(90,0,-10)", "10 to 90 in steps of 10"),
    ("train.epochs=tag(log,range(1,100))", "1 to 99 in steps of 1, logarithmic"),
    ("optimiser.decay=range(0.5,0.99,0.01)", "0.5 to 0.98 in steps of 0.01"),
    ("encode.crosses=[],[[buying,maint]]", "[], [[buying,maint]]"),
    ("encode=glob(*)", "bins, crosses, onehot, spline"),
    )),
])  # fmt: skip
def test_every_kind_of_axis_of_hydras_is_read(word, shown):
    words = [word, "optimiser=momentum"] if "optimiser=" not in word else [word]
    words = [*words, "train.l2=0.01"] if "l2" not in word else words
    (found,) = dimensions(*words).values()
    assert str(found) == shown


def test_a_value_reaches_the_configuration_to_the_last_bit():
    space = read_space([L2, "optimiser.decay=range(0.5,0.99,0.01)"])
    (override,), _ = parse_words(["a=range(0.5,0.99,0.01)"])
    written = [*override.sweep_iterator()]
    rng = np.random.default_rng(0)
    for value in 10 ** rng.uniform(-4, -1, 40):
        place = int(rng.integers(len(written)))
        point = {"train.l2": float(value), "optimiser.decay": 0.5 + 0.01 * place}
        (job,) = space.grid(point).jobs
        assert job.config.train.l2 == value
        assert job.config.optimiser.decay == written[place]  # as in a grid, to the last bit


def test_seeds_and_folds_are_repeats_and_no_dimensions():
    space = read_space([L2, "seed=range(3)", "split=folds", "split.fold=range(5)"])
    assert [each.key for each in space.dimensions] == ["train.l2"]
    assert space.repeats == {"seed": 3, "split.fold": 5}
    jobs = space.grid({"train.l2": 0.01}).jobs
    assert [(j.config.seed, j.config.split.fold) for j in jobs] == [
        (seed, fold) for seed in range(3) for fold in range(5)
    ]


@pytest.mark.parametrize(("words", "message"), [
    ([f"{RATE}=interval(0,1)"], rf"{RATE} must be greater than 0; got 0.0"),
    ([f"{RATE}=interval(0.1,1)", "optimiser=adam,newton"], f"{RATE} must .*optimiser=newton"),
    ([f"{RATE}=tag(log,interval(0,1))"], "must begin above 0 where it is logarithmic"),
    (["seed=range(3)"], "a search must have a setting to draw; got none"),
    *(pytest.param(*case, marks=pytest.mark.exhaustive) for case in (
    ([f"{RATE}=interval(1,0.1)"], "must rise from one finite number to another"),
    ([f"{RATE}=interval(1,inf)"], "must rise from one finite number to another"),
    ([f"{RATE}=tag(often,interval(0.1,1))"], "must have no tag but log"),
    (["optimiser=tag(log,choice(adam,momentum))"], "must have no tags"),
    (["train.epochs=tag(log,range(10,100,10))"], "must have steps of 1"),
    (["train.epochs=interval(10,100)"], "train.epochs must be .*got 10.0"),
    (["train.l2=0.1"], "a search must have a setting to draw; got none"),
    (["seed=interval(0,3)", L2], "seed must be a list or a range"),
    ([L2, "tracking.experiment=a,b"], "tracking.experiment must have one value"),
    ([L2, "sweep.zip=[[train.l2,seed]]"], "sweep.zip must be empty in a search"),
    ([L2, "data=car,breast_cancer"], "must measure all trials on the same validation rows"),
    ([L2, "split=none"], "must have validation rows"),
    ([L2, "split=stratified,none"], "must measure all trials on the same validation rows"),
    (["train.l3=interval(0,1)"], "train.l3 must be a known setting"),
    ([L2, "search=tpf"], "search must be one of none, random, tpe; got 'tpf'.*tpe"),
    ([L2, "search.trials=0"], "search.trials must"),
    )),
])  # fmt: skip
def test_what_cannot_be_searched_is_refused_by_its_name_before_the_first_run(words, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        read_space(words)


@pytest.mark.exhaustive
def test_many_ends_are_checked_in_part_and_each_axis_at_both_of_its_ends():
    """The control: of 2^9 corners one axis alone is wrong at one end."""
    names = ("buying", "maint", "doors", "persons", "lug_boot", "safety")
    words = [f"+data.columns.{name}.min_count=range(2,9)" for name in names]
    words += ["train.l2=interval(0,1)", "optimiser.decay=interval(0.1,0.9)"]
    assert len(read_space([*words, f"{RATE}=interval(0.1,1)"]).dimensions) == 9
    with pytest.raises(ConfigError, match=rf"{RATE} must be greater than 0; got 0.0"):
        read_space([*words, f"{RATE}=interval(0,1)"])


@pytest.mark.exhaustive
def test_the_id_follows_from_the_space_the_sampler_and_its_seed_and_not_from_the_trials():
    first = read_space([L2]).id
    assert read_space([L2, "search.trials=50", "search=tpe", "sweep.retry=2"]).id == first
    others = [
        [L2, "search=random"], [L2, "search.seed=1"], [L2, "seed=range(2)"],
        ["train.l2=interval(0.0001,0.1)"],
    ]  # fmt: skip
    assert len({first, *(read_space(words).id for words in others)}) == len(others) + 1
