"""Points of a grid are the configurations that Hydra composes, however they were made."""

import pytest

from pipeline.config.compose import compose, parse, parse_words
from pipeline.errors import ConfigError
from pipeline.sweeps.points import Points, text_of

SAMPLE = [
    [],
    ["seed=7"],
    ["seed=7", "train.epochs=3", "train.l2=0.1"],
    ["optimiser=adam", "optimiser.learning_rate=1e-1", "seed=0"],
    ["optimiser=adam", "optimiser.learning_rate=1", "seed=0"],
    ["encode=crosses", "data=breast_cancer", "encode.crosses=[]"],
    ["data.name=other"],  # tracking.experiment refers to it
    ["tracking.experiment=exp-${seed}", "seed=3"],
    ["tracking=server", "tracking.uri=http://127.0.0.1:1"],
    ["train.l2=cv", "train.rows=train_and_valid"],
    ["evaluate.threshold={recall: 0.9}", "train.patience=null"],
    ["sweep.name='a b'", "~experiment"],
    ["experiment=crosses", "data.columns.safety.categories=[low,med,high]"],
]


def by_hydra(words):
    return parse(compose(words))


def overrides(words):
    found, faults = parse_words(words)
    assert not faults
    return found


@pytest.mark.exhaustive
def test_every_point_is_what_hydra_composes():
    """In one go, so that parts are taken from points before."""
    points = Points()
    for words in [*SAMPLE, *reversed(SAMPLE)]:
        found = points.configuration(overrides(words))
        assert repr(found) == repr(by_hydra(words)), words
        assert text_of(found) == repr(found)
        assert text_of(found.run_config()) == repr(found.run_config())


@pytest.mark.parametrize(
    "words", [["seed=-1"], ["train.epochs=x"], ["train.nonsense=1"], ["trian.epochs=1"],
              ["optimiser=newton", "train.batch_size=5"], ["tracking=server"]],
)  # fmt: skip
def test_a_fault_is_said_as_of_a_single_run(words):
    points = Points()
    points.configuration([])
    with pytest.raises(ConfigError) as found:
        points.configuration(overrides(words))
    with pytest.raises(ConfigError) as expected:
        by_hydra(words) if "non" not in words[0] and "tri" not in words[0] else parse(
            compose([f"+{word}" for word in words])
        )
    assert str(found.value) == str(expected.value)


def test_points_share_what_is_equal():
    points = Points()
    first, second = (points.configuration(overrides([f"seed={seed}"])) for seed in (1, 2))
    assert first.data is second.data
    assert first.seed != second.seed
