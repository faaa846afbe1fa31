"""A run is handed on as one file and taken in whole, or not at all."""

import contextlib
import dataclasses
import hashlib
import json
import os
import random
import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from projects import copy_project, launch, make_record, reseal

from pipeline import command, paths
from pipeline.config import TrackingSettings
from pipeline.errors import ConfigError, DataError
from pipeline.record import Record
from pipeline.record import write as write_to
from pipeline.reproduction import bundle
from pipeline.reproduction.bundle import export_record, import_record


def write(result, folder: Path | None = None) -> Record:
    return write_to(result, folder or paths.RUNS)


@pytest.fixture
def zipped(result, tmp_path) -> Path:
    target = tmp_path / "run.zip"
    export_record(write(result, tmp_path / "theirs"), target)
    return target


def entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rezip(path: Path, content: dict[str, bytes], **attributes: object) -> None:
    """Write a zip by hand, with attributes of the entries that are not usual."""
    path.unlink(missing_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            for attribute, value in attributes.items():
                setattr(entry, attribute, value)
            archive.writestr(entry, data)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (".lock", ".made")
    }


def refused(path: Path, told: str | None = None) -> str:
    """The refusal: short, without control characters, and nothing is left behind."""
    before = files(paths.RUNS) if paths.RUNS.exists() else None
    with pytest.raises(DataError, match=told) as refusal:
        import_record(path, paths.RUNS)
    text = str(refusal.value)
    assert refusal.value.exit_code == 3
    assert len(text.encode()) <= 2000
    assert all(char.isprintable() or char == "\n" for char in text)
    assert (files(paths.RUNS) if paths.RUNS.exists() else None) == before
    return text


def test_what_comes_out_is_what_went_in_to_the_byte(project, result, zipped, tmp_path):
    record, new = import_record(zipped, paths.RUNS)
    assert new
    assert record.path == paths.RUNS / result.lineage.identity
    assert files(record.path) == files(tmp_path / "theirs" / result.lineage.identity)
    for path in [record.path, *record.path.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_it_is_a_plain_private_zip_of_one_folder(result, zipped):
    held = entries(zipped)
    assert {name.partition("/")[0] for name in held} == {result.lineage.identity}
    assert f"{result.lineage.identity}/result.json" in held
    assert not any("published" in name for name in held)  # where it was published is not told
    assert stat.S_IMODE(zipped.stat().st_mode) == 0o600


def test_the_same_record_is_the_same_file_whenever_it_is_exported(project, zipped, tmp_path):
    record, _ = import_record(zipped, paths.RUNS)
    os.utime(record.path / "weights.npz", (1, 1))
    export_record(record, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == zipped.read_bytes()


@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
def test_runs_that_did_not_finish_go_as_well(project, results, failed_results, tmp_path, status):
    made = {"FAILED": failed_results, "KILLED": lambda: results(status="KILLED")}[status]()
    export_record(write(made, tmp_path / "theirs"), tmp_path / "run.zip")
    record, new = import_record(tmp_path / "run.zip", paths.RUNS)
    assert (record.status, new) == (status, True)
    assert record.failure == made.failure


def test_taken_in_twice_it_is_there_once(project, zipped):
    first, new = import_record(zipped, paths.RUNS)
    before = files(paths.RUNS)
    again, new_again = import_record(zipped, paths.RUNS)
    assert (new, new_again) == (True, False)
    assert again.identity == first.identity
    assert files(paths.RUNS) == before


def test_a_finished_run_takes_the_place_of_a_failed_one_and_never_the_other_way(
    project, result, failed_results, zipped, tmp_path
):
    write(failed_results())
    record, new = import_record(zipped, paths.RUNS)
    assert (record.status, new) == ("FINISHED", True)
    export_record(write(failed_results(), tmp_path / "failed"), tmp_path / "failed.zip")
    record, new = import_record(tmp_path / "failed.zip", paths.RUNS)
    assert (record.status, new) == ("FINISHED", False)


def moved(result, **lineage: object):
    theta = result.trained.theta.copy()
    theta[0] = np.nextafter(theta[0], 9)
    trained = dataclasses.replace(result.trained, theta=theta)
    about = dataclasses.replace(result.lineage, **lineage)
    return dataclasses.replace(result, trained=trained, lineage=about)


def test_other_bits_of_such_a_machine_are_refused(project, result, zipped):
    """One of the two was altered; the one that stands here stays."""
    write(moved(result))
    assert "must have the bits of the one that stands here; got theta[0]" in refused(zipped)


def test_other_bits_of_another_machine_are_no_fault(project, result, zipped, capsys):
    standing = write(moved(result, platform="linux-aarch64"))
    record, new = import_record(zipped, paths.RUNS)
    assert not new
    assert record.path == standing.path
    assert record.theta.tobytes() == standing.theta.tobytes()
    assert record.repeat.elsewhere == "linux-x86_64, it was linux-aarch64"


@pytest.mark.parametrize("name", ["run", "run.tar", "run.zip.txt", ""])
def test_an_export_is_called_zip(result, tmp_path, name):
    with pytest.raises(ConfigError, match=r"OUTPUT must be a \.zip file"):
        export_record(write(result, tmp_path / "theirs"), tmp_path / name)


def test_an_export_writes_over_nothing(result, tmp_path):
    record = write(result, tmp_path / "theirs")
    (tmp_path / "there.zip").write_text("mine")
    (tmp_path / "link.zip").symlink_to(tmp_path / "nowhere")
    for name in ("there.zip", "link.zip"):
        with pytest.raises(ConfigError, match="OUTPUT must not be there yet") as refusal:
            export_record(record, tmp_path / name)
        assert refusal.value.exit_code == 2
    assert (tmp_path / "there.zip").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(ConfigError, match="OUTPUT must be writable; got no such file"):
        export_record(record, tmp_path / "no" / "run.zip")


def test_an_altered_record_is_not_exported(result, tmp_path):
    record = write(result, tmp_path / "theirs")
    (record.path / "curve.csv").write_text("epoch\n")
    with pytest.raises(DataError, match=r"curve\.csv must be"):
        export_record(record, tmp_path / "run.zip")
    assert not (tmp_path / "run.zip").exists()


# Hostile zips.


def fake(name: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    """One more entry, at this name; ID stands for the identity."""
    return lambda held: {**held, name.replace("ID", next(iter(held)).partition("/")[0]): b"owned"}


def without(name: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda held: {n: data for n, data in held.items() if not n.endswith(f"/{name}")}


def altered(name: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def alter(held: dict[str, bytes]) -> dict[str, bytes]:
        (full,) = (n for n in held if n.endswith(f"/{name}"))
        data = bytearray(held[full])
        data[len(data) // 2] ^= 1
        return {**held, full: bytes(data)}

    return alter


ONE = "INPUT must hold one record"
PLAIN = "file names must be plain"


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (fake("../evil"), ONE),
        (fake("/etc/evil"), ONE),
        (fake("ID/../../evil"), PLAIN),
        (fake("ID//evil"), PLAIN),
        (fake("ID/./evil"), PLAIN),
        (fake("ID/a\\..\\evil"), PLAIN),
        (fake("ID/C:evil"), PLAIN),
        (fake("ID/\x1b[31mevil"), PLAIN),
        (fake("ID/"), PLAIN),
        (fake("evil"), ONE),
        (fake(""), ONE),
        (fake("."), ONE),
        (fake("ffffffffffffffff/result.json"), ONE),
        (fake("ID/evil.txt"), "files of its record alone; got 'evil.txt' too"),
        (fake("ID/.hidden"), "files of its record alone"),
        (fake("ID/published.json"), "files of its record alone"),
        (fake("ID/weights.npz/evil"), "whole zip"),
        (fake("ID/" + "x" * 300), "whole zip"),
        (without("weights.npz"), r"weights\.npz must be readable; got no such file .* in INPUT/"),
        (without("result.json"), r"result\.json must be readable; got no such file"),
        (altered("weights.npz"), r"weights\.npz must have sha256"),
        (altered("curve.csv"), r"curve\.csv must have sha256"),
        (altered("config.json"), r"config\.json must have sha256"),
        (altered("result.json"), r"result\.json must be"),
        (lambda held: {}, ONE),
    ],
)
def test_a_zip_that_holds_another_thing_than_a_whole_record_is_refused(
    project, zipped, tmp_path, harm, told
):
    rezip(zipped, harm(entries(zipped)))
    refused(zipped, told)
    assert not list(tmp_path.rglob("*evil*"))


def test_an_honest_zip_made_by_hand_is_taken(project, zipped):
    """The negative control of all the refusals."""
    rezip(zipped, entries(zipped))
    assert import_record(zipped, paths.RUNS)[1]


def test_a_link_is_refused(project, zipped):
    rezip(zipped, entries(zipped), external_attr=(stat.S_IFLNK | 0o777) << 16)
    refused(zipped, "INPUT must hold plain files")


@pytest.mark.parametrize("way", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_another_way_of_packing_is_refused(project, zipped, way):
    rezip(zipped, entries(zipped), compress_type=way)
    refused(zipped, "INPUT must hold plain files")


def test_the_same_name_twice_is_refused(project, zipped):
    with zipfile.ZipFile(zipped, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(archive.namelist()[0], b"evil")
    refused(zipped, "whole zip")


def test_more_than_a_record_can_be_is_refused_by_what_it_declares(project, zipped, monkeypatch):
    monkeypatch.setattr(bundle, "MAX_BYTES", 1_000_000)
    (name, *_) = entries(zipped)
    rezip(zipped, {**entries(zipped), name.replace("result.json", "zeros"): bytes(1_000_000)})
    assert zipped.stat().st_size < 100_000
    refused(zipped, "INPUT must hold at most 1,000 files")
    monkeypatch.setattr(bundle, "MAX_FILES", 3)
    refused(zipped, "INPUT must hold at most 3 files")


def test_more_than_it_declares_is_not_inflated(project, zipped):
    """A bomb that says of itself that it is small: 100 MB of zeros, declared as 1,000 bytes."""
    (name, *_) = entries(zipped)
    bomb = name.replace("result.json", "zeros")
    rezip(zipped, {**entries(zipped), bomb: bytes(100_000_000)})
    content = bytearray(zipped.read_bytes())
    with zipfile.ZipFile(zipped) as archive:
        here = archive.getinfo(bomb).header_offset + 22
    there = content.rindex(bomb.encode()) - 46 + 24  # in the directory at the end
    for place in (here, there):
        assert struct.unpack_from("<I", content, place) == (100_000_000,)
        struct.pack_into("<I", content, place, 1000)
    zipped.write_bytes(content)
    peak = tracked_peak(lambda: refused(zipped, "whole zip .* CRC"))
    assert peak < 20_000_000


def tracked_peak(function: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_what_is_no_regular_file_is_refused_at_once(project, tmp_path):
    os.mkfifo(tmp_path / "pipe.zip")
    (tmp_path / "loop.zip").symlink_to(tmp_path / "loop.zip")
    (tmp_path / "folder.zip").mkdir()
    refused(tmp_path / "pipe.zip", "INPUT must be a regular file")
    refused(tmp_path / "folder.zip", "INPUT must be a regular file")
    refused(Path("/dev/zero"), "INPUT must be a regular file")
    refused(tmp_path / "loop.zip", "too many levels of symbolic links")
    refused(tmp_path / "gone.zip", "no such file or directory")
    refused(Path("\x00"), "INPUT must be a zip")
    for content in (b"", b"PK", b"a,b\n1,2\n", bytes(1000)):
        (tmp_path / "other.zip").write_bytes(content)
        refused(tmp_path / "other.zip", "INPUT must be a whole zip of make export")


def test_a_file_that_is_cut_anywhere_is_refused(project, zipped):
    content = zipped.read_bytes()
    for length in sorted(random.Random(0).sample(range(len(content)), 60)):
        zipped.write_bytes(content[:length])
        refused(zipped, "INPUT must be a whole zip")


def test_a_byte_that_is_another_is_noticed_or_means_nothing(project, zipped, tmp_path):
    """What is taken in is what was exported; else it is refused, and never with a traceback."""
    content, honest = zipped.read_bytes(), files(tmp_path / "theirs")
    rng = random.Random(0)
    taken = 0
    for number in range(200):
        place = rng.randrange(len(content))
        spoilt = bytearray(content)
        spoilt[place] ^= 1 << rng.randrange(8)
        zipped.write_bytes(bytes(spoilt))
        folder = tmp_path / "mine" / str(number)
        with contextlib.suppress(DataError):
            import_record(zipped, folder)
        if folder.exists():
            taken += 1
            assert files(folder) == honest
    assert taken < 100  # a date, a comment: most bytes mean something


@pytest.mark.parametrize(
    "changes",
    [
        {"files": []},
        {"files": {"weights.npz": None}},
        {"files": {"weights.npz": {"sha256": 1, "bytes": "many"}}},
        {"files": {"x" * 100_000: {"sha256": "", "bytes": 1}}},
        {"files": {"../../evil": {"sha256": "", "bytes": 1}}},
        {"started_ms": "now"},
        {"started_ms": 10**30},
        {"ended_ms": -1},
        {"status": "<b>FINE</b>"},
        {"experiment": None},
        {"overrides": 3},
        {"overrides": [1]},
        {"metrics": [["a", 1]]},
        {"metrics": {"a": "high"}},
        {"best_epoch": {}},
        {"failure": {"kind": "X"}},
        {"attempt": 7},
        {"format": 2},
        {"format": [[]]},
        {"identity": "../evil"},
        {"lineage": None, "format": 0},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_a_sealed_tree_of_another_shape_is_refused_without_a_traceback(
    project, zipped, tmp_path, changes
):
    """Whoever writes zips by hand can seal them as well."""
    reseal_zip(zipped, tmp_path, changes)
    refused(zipped)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b"[]"),
        ("config.json", b"[" * 100_000),
        ("config.json", b'{"data": {"path": 3, "name": "x"}}'),
        ("lineage.json", b"{}"),
        ("lineage.json", b'{"data_digest": "no"}'),
        ("weights.npz", b"PK"),
        ("weights.json", b"\xff"),
    ],
)
def test_a_listed_file_of_another_shape_is_refused_without_a_traceback(
    project, zipped, tmp_path, name, content
):
    (top,) = {full.partition("/")[0] for full in entries(zipped)}
    tree = json.loads(entries(zipped)[f"{top}/result.json"])
    digest = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    reseal_zip(zipped, tmp_path, {"files": tree["files"] | {name: digest}}, {name: content})
    if name == "weights.json":  # nobody has to read it for publishing: bytes as any other
        return
    refused(zipped)


def reseal_zip(
    path: Path, tmp_path: Path, changes: dict, others: dict[str, bytes] | None = None
) -> None:
    held = entries(path)
    (top,) = {name.partition("/")[0] for name in held}
    folder = tmp_path / "sealed"
    folder.mkdir()
    (folder / "result.json").write_bytes(held[f"{top}/result.json"])
    reseal(folder, **changes)
    more = {f"{top}/{name}": content for name, content in (others or {}).items()}
    rezip(path, {**held, f"{top}/result.json": (folder / "result.json").read_bytes(), **more})


# As a person does it.


def test_a_run_that_is_taken_in_is_a_run_in_mlflow_where_it_was(settings, result, zipped, capsys):
    from mlflow import MlflowClient

    tracking = TrackingSettings(uri=f"sqlite:///{paths.STORE}", experiment="car")
    assert command.take_in(zipped, tracking) == 0
    said = capsys.readouterr().out
    assert "Record    runs/" in said
    assert "of experiment tiny" in said
    assert "put its table (digest dddddddddddd)\n          at data/tiny.csv" in said
    client = MlflowClient(f"sqlite:///{paths.STORE}")
    (experiment,) = (e for e in client.search_experiments() if e.name == "tiny")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    identity = result.lineage.identity
    assert run.data.tags["oneuron.identity"] == identity
    artifact = Path(client.download_artifacts(run.info.run_id, "weights.npz"))
    assert artifact.read_bytes() == (paths.RUNS / identity / "weights.npz").read_bytes()
    assert command.take_in(zipped, tracking) == 0
    assert "which was here already" in capsys.readouterr().out
    assert len(client.search_runs([experiment.experiment_id])) == 1


@pytest.mark.slow
def test_an_exported_run_reproduces_in_another_folder_with_a_store_of_its_own(
    tmp_path, store_template
):
    here = copy_project(tmp_path / "here")
    make_record(here, "train.epochs=12", "seed=3", "encode=crosses")
    code, out, err = launch(here, "export", "--output", "run.zip")
    assert code == 0, err
    there = copy_project(tmp_path / "there", store_template)
    code, out, err = launch(there, "import", "--input", str(here / "run.zip"))
    assert code == 0, err
    assert "MLflow    run " in out
    (page,) = (there / "mlartifacts").rglob("validation.html")
    assert b"<html" in page.read_bytes()[:200].lower()
    code, out, err = launch(there, "reproduce")
    assert code == 0, out + err
    assert "bit-identical: 56 parameters and 13 points of each of 5 series" in out
    bad = tmp_path / "bad.zip"
    bad.write_bytes((here / "run.zip").read_bytes()[:-30])
    before = files(there / "runs")
    code, out, err = launch(there, "import", "--input", str(bad))
    assert (code, out) == (3, "")
    assert "Traceback" not in err
    assert files(there / "runs") == before
