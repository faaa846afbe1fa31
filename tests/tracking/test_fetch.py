"""A run in MLflow becomes its record again, though nothing is left of it in this project."""

import json
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from builders import make_failed_record, make_record

from pipeline import files
from pipeline.cli.given import Given, resolve_record
from pipeline.errors import ConfigError, TrackingError
from pipeline.record import RecordError
from pipeline.record.head import seal_of
from pipeline.tracking import fetch, fetch_run, publish

pytestmark = pytest.mark.exhaustive


def resolve(word: str, folder: Path):
    return resolve_record(Given({"run": word}, [], {}), folder)


def test_a_run_is_found_by_its_id_its_identity_and_as_the_latest(settings, tmp_path):
    older = make_record(0, started_ms=1_700_000_000_000)
    latest = make_record(1, started_ms=1_700_000_001_000)
    ids = {record.identity: publish(record, settings).run_id for record in (older, latest)}
    shutil.rmtree(files.RUNS)
    words = {"latest": latest, older.identity[:8]: older, latest.identity: latest}
    for word, record in [*words.items(), *((ids[r.identity], r) for r in (older, latest))]:
        found = fetch_run(word, settings, tmp_path)
        assert found.identity == record.identity
        assert dict(found.files) == dict(record.files)
        assert "published by" in found.source
    assert fetch_run("dddd", settings, tmp_path) is None
    with pytest.raises(ConfigError, match="RUN"):
        fetch_run("", settings, tmp_path)
    assert list(tmp_path.glob("tmp*")) == []  # nothing of what came is left


def test_of_several_attempts_the_finished_one_counts(settings, tmp_path):
    failed = make_failed_record(tmp_path / "a")
    publish(failed, settings)
    finished = make_record()
    publish(finished, settings)
    publish(make_failed_record(tmp_path / "b"), settings)
    assert failed.identity == finished.identity
    shutil.rmtree(files.RUNS)
    whole = fetch_run(finished.identity, settings, tmp_path)
    assert (whole.status, whole.head.attempt) == ("FINISHED", finished.head.attempt)
    (found,), lost = fetch(settings, "", tmp_path)
    assert (found.status, found.head.attempt, lost) == ("FINISHED", finished.head.attempt, [])
    assert found.model.theta.tobytes() == finished.model.theta.tobytes()


def test_the_youngest_of_failed_attempts_counts(settings, tmp_path):
    made = [make_failed_record(tmp_path / str(number)) for number in range(3)]
    for record in made:
        publish(record, settings)
    (found,), _ = fetch(settings, "", tmp_path)
    assert found.head.started_ms == max(record.head.started_ms for record in made)


def test_what_a_search_may_answer_has_an_end(settings, tmp_path, monkeypatch):
    """A server can go on for ever: with pages, or with records that fill the memory."""
    for seed in range(3):
        publish(make_record(seed), settings)
    shutil.rmtree(files.RUNS)
    assert len(fetch(settings, "", tmp_path)[0]) == 3
    module = sys.modules["pipeline.tracking.fetch"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "MAX_BYTES", 5_000)
        with pytest.raises(ConfigError, match="FILTER must find at most"):
            fetch(settings, "", tmp_path)
    monkeypatch.setattr(module, "PAGE", 1)
    monkeypatch.setattr(module, "MAX_PAGES", 2)
    with pytest.raises(TrackingError, match="search must end within 2 runs"):
        fetch(settings, "", tmp_path)


def rezip(archive: Path, change) -> None:
    """Change the files in the zip of a record, by their names."""
    with zipfile.ZipFile(archive) as old:
        held = {name.partition("/")[2]: old.read(name) for name in old.namelist()}
        identity = old.namelist()[0].partition("/")[0]
    change(held)
    with zipfile.ZipFile(archive, "w") as new:
        for name, content in held.items():
            new.writestr(f"{identity}/{name}", content)


def reseal(held: dict[str, bytes], **changes: object) -> None:
    tree = json.loads(held["result.json"]) | changes
    del tree["seal"]
    held["result.json"] = json.dumps({**tree, "seal": seal_of(tree)}).encode()


def test_a_run_without_its_zip_or_with_that_of_another_run_is_refused(settings, tmp_path):
    first, second = (make_record(seed) for seed in range(2))
    for record in (first, second):
        publish(record, settings)
    shutil.rmtree(files.RUNS)
    archives = sorted(files.ARTIFACTS.rglob("record.zip"), key=lambda path: path.stat().st_mtime)
    shutil.copyfile(archives[1], archives[0])
    archives[1].unlink()
    with pytest.raises(RecordError, match=f"must be that of run {first.identity[:12]}"):
        fetch_run(first.identity, settings, tmp_path)
    with pytest.raises(RecordError, match=r"model/record\.zip must be readable"):
        fetch_run(second.identity, settings, tmp_path)


@pytest.mark.parametrize(
    ("harm", "name"),
    [
        (lambda files: reseal(files, format=0), "format"),
        (lambda files: files.pop("model.json"), "model.json"),
        (lambda files: files.update({"curve.csv": b"epoch\n"}), "curve.csv"),
        (lambda files: files.pop("result.json"), "result.json"),
        (lambda files: files.clear(), "result.json"),
    ],
)
def test_a_record_that_is_not_whole_in_the_store_is_refused_by_name(settings, tmp_path, harm, name):
    record = make_record()
    publish(record, settings)
    shutil.rmtree(files.RUNS)
    (archive,) = files.ARTIFACTS.rglob("record.zip")
    rezip(archive, harm)
    with pytest.raises(RecordError, match=name) as refusal:
        fetch_run(record.identity, settings, tmp_path)
    assert refusal.value.exit_code == 3
    records, (reason,) = fetch(settings, "", tmp_path)
    assert records == []
    assert name in reason


def test_a_damaged_record_here_is_replaced_by_that_in_mlflow(settings, tmp_path):
    record = make_record()
    publish(record, settings)
    (record.path / "model.json").write_bytes(b"rubbish")
    found = resolve(record.identity[:10], tmp_path)
    assert found.model.theta.tobytes() == record.model.theta.tobytes()
    assert found.path != record.path


def test_a_word_that_names_nothing_makes_no_store(project, tmp_path):
    for word in ("latest", "abcd1234", "no hex"):
        with pytest.raises(ConfigError, match="RUN"):
            resolve(word, tmp_path)
    assert not files.STORE.exists()
