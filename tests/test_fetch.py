"""A run in MLflow becomes its record again, though nothing is left of it in this project."""

import shutil
import sys

import pytest
from projects import reseal

from pipeline import command, paths
from pipeline.errors import ConfigError, TrackingError
from pipeline.record import RecordError
from pipeline.record import write as write_to
from pipeline.tracking import fetch, fetch_run, publish


def write(result, folder=None, **more):
    return write_to(result, folder or paths.RUNS, **more)


def test_a_run_is_found_by_its_id_its_identity_and_as_the_latest(settings, results, tmp_path):
    older = write(results(identity="aaaa" * 8), started_ms=1_700_000_000_000)
    latest = write(results(9, identity="abab" * 8), started_ms=1_700_000_001_000)
    failed = write(results(status="FAILED", identity="cccc" * 8), started_ms=1_700_000_002_000)
    ids = {record.identity: publish(record, settings).run_id for record in (older, latest, failed)}
    held = {record.identity: record.content("weights.npz") for record in (older, latest, failed)}
    shutil.rmtree(paths.RUNS)
    meant = {"latest": latest, "aaaa": older, "abab" * 8: latest, "cccc": failed}
    for word, record in [*meant.items(), *((ids[r.identity], r) for r in (older, failed))]:
        found = fetch_run(word, settings, tmp_path / "fetched" / word)
        assert found.identity == record.identity
        assert found.content("weights.npz") == held[record.identity]
    assert fetch_run("dddd", settings, tmp_path) is None
    with pytest.raises(ConfigError, match="RUN must name one run; got 'a', have aaaaaaaa"):
        fetch_run("a", settings, tmp_path)


def test_of_several_attempts_the_finished_one_counts(settings, result, failed_results, tmp_path):
    """Each attempt in a folder of its own: a later download must not lie over an earlier one."""
    failed = write(failed_results())
    publish(failed, settings)
    finished = write(result)
    publish(finished, settings)
    again = write(failed_results(), tmp_path / "elsewhere")
    publish(again, settings)
    shutil.rmtree(paths.RUNS)
    whole = fetch_run(finished.identity, settings, tmp_path / "one")
    assert (whole.status, whole.attempt) == ("FINISHED", finished.attempt)
    (found,), lost = fetch(settings, "", tmp_path / "two")
    assert (found.status, found.attempt, lost) == ("FINISHED", finished.attempt, [])
    assert found.theta.tobytes() == result.trained.theta.tobytes()


def test_the_youngest_of_failed_attempts_counts(settings, failed_results, tmp_path):
    for number in (1, 3, 2):
        record = write(
            failed_results(), tmp_path / str(number), started_ms=1_700_000_000_000 + number
        )
        publish(record, settings)
    (found,), _ = fetch(settings, "", tmp_path / "fetched")
    assert found.started_ms == 1_700_000_000_003


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda folder: reseal(folder, format=0), "record format must be 1; got 0"),
        (lambda folder: (folder / "weights.npz").unlink(), "weights.npz must be readable"),
        (lambda folder: (folder / "curve.csv").write_text("epoch\n"), "curve.csv must be"),
        (lambda folder: (folder / "result.json").unlink(), "result.json must be readable"),
    ],
)
def test_a_record_that_is_not_whole_in_the_store_is_told_as_such(
    settings, result, tmp_path, harm, told
):
    record = write(result)
    publish(record, settings)
    shutil.rmtree(paths.RUNS)
    (artifact,) = paths.ARTIFACTS.rglob("result.json")
    harm(artifact.parent)
    with pytest.raises(RecordError, match=told) as refusal:
        fetch_run(record.identity, settings, tmp_path)
    assert refusal.value.exit_code == 3
    assert fetch(settings, "", tmp_path) == ([], [str(refusal.value)])


def test_what_a_search_may_answer_has_an_end(settings, results, tmp_path, monkeypatch):
    """A server can go on for ever: with pages, or with records that fill the disk."""
    module = sys.modules["pipeline.tracking.fetch"]
    for letter in "abc":
        publish(write(results(identity=letter * 32)), settings)
    shutil.rmtree(paths.RUNS)
    assert len(fetch(settings, "", tmp_path)[0]) == 3
    with monkeypatch.context() as patch:
        patch.setattr(module, "MOST_BYTES", 5_000)
        with pytest.raises(
            ConfigError, match=r"FILTER must find at most .* of records that are not"
        ):
            fetch(settings, "", tmp_path)
    monkeypatch.setattr(module, "PAGE", 1)
    monkeypatch.setattr(module, "MOST_PAGES", 2)
    with pytest.raises(TrackingError, match="search must end within 2 runs; got more at sqlite"):
        fetch(settings, "", tmp_path)


def test_a_damaged_record_here_is_replaced_by_that_in_mlflow(settings, result, tmp_path):
    record = write(result)
    publish(record, settings)
    (record.path / "weights.npz").write_bytes(b"rubbish")
    found = command._meant(record.identity[:10], [], tmp_path)
    assert found.theta.tobytes() == result.trained.theta.tobytes()
    assert found.path != record.path


def test_a_word_that_names_nothing_makes_no_store(project, tmp_path):
    for word in ("latest", "abcd1234", "no hex"):
        with pytest.raises(ConfigError, match="RUN"):
            command._meant(word, [], tmp_path)
    assert not paths.STORE.exists()
