"""A store that fails costs no run: what was not published is tried again, at last at the end."""

from dataclasses import replace

import pytest
from builders import CONFIG, make_environment, make_finished, store_rows

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.record import Record, published_runs, write
from pipeline.sweeps import publishing as module
from pipeline.sweeps.manifest import Member, Sweep, write_sweep
from pipeline.sweeps.publishing import Publishing, sweep_tags, tags_of_members
from pipeline.tracking import Synced, publish, sync

SWEEP = Sweep("0123456789ab", "rates", (), ("seed",), 1, ())


@pytest.fixture
def publishing(project, store):
    with Publishing(TrackingSettings(experiment="tiny")) as publishing:
        yield publishing


def recorded(n: int, **more: str) -> list[Record]:
    outcomes = [make_finished(config={**CONFIG, "seed": seed}) for seed in range(n)]
    return [write(outcome, here=make_environment(), **more) for outcome in outcomes]


def put(publishing: Publishing, n: int) -> list[str]:
    identities = [record.identity for record in recorded(n)]
    for number, identity in enumerate(identities):
        publishing.put(identity, SWEEP, number)
    return identities


def test_each_run_is_published_once_with_the_tags_of_its_sweep(store, publishing):
    identities = put(publishing, 2)
    assert publishing.finish() is store
    assert store.tags[identities[1]] == {
        "oneuron.axes": "seed",
        "oneuron.sweep": "0123456789ab",
        "oneuron.sweep_name": "rates",
        "oneuron.job": "1",
        "oneuron.sweep.0123456789ab": "1",
    }
    assert set(publishing.published) == set(identities)
    put(publishing, 2)
    publishing.put(identities[0], replace(SWEEP, id="ba9876543210"), 7)  # it is in another one too
    publishing.finish()
    assert store.asked == [*identities, identities[0]]


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_what_failed_is_tried_again(store, publishing, failures):
    store.failures = failures
    identities = put(publishing, 3)
    publishing.flush()
    assert publishing.finish() is store
    assert (set(store.tags), publishing.failed) == (set(identities), {})


def test_a_store_that_never_answers_is_named_and_asked_few_times(store, publishing):
    store.failures = 1000
    identities = put(publishing, 3)
    assert publishing.finish() is None
    assert set(publishing.failed) == set(identities)
    assert "silence" in publishing.failed[identities[0]]
    assert len(store.asked) <= 2 * (len(identities) + 1)


def test_a_store_that_failed_twice_is_left_alone_for_a_while_and_then_asked_anew(
    store, publishing, monkeypatch
):
    monkeypatch.setattr(module, "PAUSE_S", 1000.0)
    store.failures = 2
    put(publishing, 6)
    publishing.flush()
    assert (len(store.asked), store.started) == (2, 1)
    publishing.finish()
    assert (len(store.tags), store.started) == (6, 2)


def test_a_run_that_is_never_taken_keeps_no_other_from_being_published(store, publishing):
    first, *_ = recorded(1)
    store.refused = {first.identity}
    identities = put(publishing, 4)
    assert publishing.finish() is None
    assert set(store.tags) == set(identities[1:])
    assert set(publishing.failed) == {first.identity}


def test_a_record_that_is_damaged_is_named_and_not_sent(store, publishing):
    first, second = recorded(2)
    (first.path / "curve.csv").write_bytes(b"")
    for number, record in enumerate((first, second)):
        publishing.put(record.identity, SWEEP, number)
    assert publishing.finish() is None
    assert store.asked == [second.identity]
    assert "curve.csv" in publishing.failed[first.identity]


def test_sync_gives_runs_the_tags_of_their_sweeps(settings):
    """They were published without, after the sweep had ended; in the experiment of each."""
    first, second = recorded(2, experiment="other")
    members = [Member(0, (), first.identity), Member(1, (), second.identity), Member(2, (), None)]
    write_sweep(replace(SWEEP, members=tuple(members)))
    published = publish(first, settings.model_copy(update={"experiment": "other"}))

    def sync_tags() -> Synced:
        tags = tags_of_members()
        return sync(files.RUNS, settings, lambda head: tags.get(head.identity, {}))

    assert sync_tags() == Synced(published=1, completed=1)
    for number, record in enumerate((first, second)):
        run = published_runs(record.identity)["sqlite:///mlflow.db"].run_id
        tags = dict(store_rows(f"tags WHERE run_uuid = '{run}'", "key, value"))
        assert tags.items() >= sweep_tags(SWEEP, number).items()
    assert (published.run_id, "FINISHED") in store_rows("runs", "run_uuid, status")
    before = files.STORE.read_bytes()
    assert sync_tags() == Synced()
    assert files.STORE.read_bytes() == before
