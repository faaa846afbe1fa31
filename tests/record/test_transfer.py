"""A run is handed on as one file and taken in whole, or not at all."""

import contextlib
import io
import json
import os
import random
import shutil
import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import (
    copy_project,
    launch,
    make_environment,
    make_finished,
    make_refused,
    make_stopped,
    make_trained,
    seal_of,
    store_rows,
)

from pipeline import files
from pipeline.config.compose import configuration
from pipeline.errors import ConfigError, DataError
from pipeline.record import Record, read, transfer
from pipeline.record import write as write_record
from pipeline.record.transfer import export_record, import_record
from pipeline.record.trust import MADE
from pipeline.record.write import LOCK
from pipeline.run import learn, prepare
from pipeline.stages.read.datasets import write_if_missing


def write(outcome, folder: Path, **here) -> Record:
    return write_record(outcome, folder, here=make_environment(**here))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory) -> Record:
    return write(make_finished(), tmp_path_factory.mktemp("theirs"))


@pytest.fixture(scope="module")
def exported(theirs, tmp_path_factory) -> bytes:
    target = tmp_path_factory.mktemp("exported") / "run.zip"
    export_record(theirs, target)
    return target.read_bytes()


@pytest.fixture
def zipped(project, exported) -> Path:
    (project / "run.zip").write_bytes(exported)
    return project / "run.zip"


@pytest.fixture(scope="module")
def held(exported) -> dict[str, bytes]:
    """What the zip holds, by name."""
    with zipfile.ZipFile(io.BytesIO(exported)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rezip(content: dict[str, bytes], **attributes: object) -> bytes:
    """A zip that was made by hand, with attributes of the entries that are not usual."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            for attribute, value in attributes.items():
                setattr(entry, attribute, value)
            archive.writestr(entry, data)
    return buffer.getvalue()


def on_disk(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (LOCK, MADE)
    }


def refused(source: Path | bytes) -> str:
    """The refusal: short, without control characters, and nothing is left behind."""
    if isinstance(source, bytes):
        (files.PROJECT / "hostile.zip").write_bytes(source)
        source = files.PROJECT / "hostile.zip"
    before = on_disk(files.PROJECT)
    with pytest.raises(DataError) as refusal:
        import_record(source)
    text = str(refusal.value)
    assert refusal.value.exit_code == 3
    assert len(text.encode()) <= 2000
    assert all(char.isprintable() or char == "\n" for char in text)
    assert on_disk(files.PROJECT) == before
    return text


def test_what_comes_out_is_what_went_in_to_the_byte(theirs, zipped):
    record, new = import_record(zipped)
    assert new
    assert (record.path, record.source) == (files.RUNS / theirs.identity, "imported from run.zip")
    assert read(record.path).head == theirs.head
    assert on_disk(record.path) == on_disk(theirs.path)
    for path in [record.path, *record.path.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_it_is_a_plain_private_zip_of_one_folder(project, theirs):
    (theirs.path / "published.json").write_text("{}")  # where it was published is not handed on
    export_record(theirs, project / "run.zip")
    (theirs.path / "published.json").unlink()
    with zipfile.ZipFile(project / "run.zip") as archive:
        assert archive.testzip() is None
        assert {*archive.namelist()} == {
            f"{theirs.identity}/{name}" for name in ("result.json", *theirs.files)
        }
    assert stat.S_IMODE((project / "run.zip").stat().st_mode) == 0o600


def test_the_same_record_is_the_same_file_whenever_it_is_exported(zipped, exported, project):
    record, _ = import_record(zipped)
    os.utime(record.path / "model.json", (1, 1))
    export_record(read(record.path), project / "again.zip")
    assert (project / "again.zip").read_bytes() == exported


@pytest.mark.parametrize("made", [make_refused(), make_stopped()], ids=["FAILED", "KILLED"])
def test_runs_that_did_not_finish_go_as_well(made, project, tmp_path):
    export_record(write(made, tmp_path / "theirs"), project / "run.zip")
    record, new = import_record(project / "run.zip")
    assert (record.status, record.failure, new) == (made.status, made.failure, True)


def test_taken_in_twice_it_is_there_once(zipped):
    first, new = import_record(zipped)
    before = on_disk(files.RUNS)
    again, new_again = import_record(zipped)
    assert (new, new_again) == (True, False)
    assert again.identity == first.identity
    assert on_disk(files.RUNS) == before


def test_a_finished_run_replaces_a_failed_one_and_never_the_other_way(zipped, project, tmp_path):
    write(make_refused(), files.RUNS)
    record, new = import_record(zipped)
    assert (record.status, new) == ("FINISHED", True)
    export_record(write(make_refused(), tmp_path / "failed"), project / "failed.zip")
    record, new = import_record(project / "failed.zip")
    assert (record.status, new) == ("FINISHED", False)


def moved():
    """The same run with another last bit."""
    theta = make_trained().theta.copy()
    theta[0] = np.nextafter(theta[0], 9)
    return make_finished(trained=make_trained(theta=theta))


def test_other_bits_of_such_a_machine_are_refused(zipped):
    """One of the two was altered; the one that stands here stays."""
    write(moved(), files.RUNS)
    assert "theta[0] is " in refused(zipped)


def test_other_bits_of_another_machine_are_no_fault(zipped):
    existing = write(moved(), files.RUNS, platform="linux-aarch64")
    record, new = import_record(zipped)
    assert (new, record.path) == (False, existing.path)
    assert record.model.theta.tobytes() == existing.model.theta.tobytes()
    assert record.repeat.elsewhere == "linux-x86_64, it was linux-aarch64"


@pytest.mark.parametrize("name", ["run", "run.tar", "run.zip.txt", ""])
def test_an_export_is_called_zip(name, theirs, tmp_path):
    with pytest.raises(ConfigError, match=r"\.zip file"):
        export_record(theirs, tmp_path / name)


def test_an_export_writes_over_nothing(theirs, tmp_path):
    (tmp_path / "there.zip").write_text("there")
    (tmp_path / "link.zip").symlink_to(tmp_path / "nowhere")
    for name in ("there.zip", "link.zip", "no/run.zip"):
        with pytest.raises(ConfigError, match="OUTPUT must") as refusal:
            export_record(theirs, tmp_path / name)
        assert refusal.value.exit_code == 2
    assert (tmp_path / "there.zip").read_text() == "there"
    assert not (tmp_path / "nowhere").exists()


# --- hostile zips ---------------------------------------------------------------------------------

Harm = Callable[[dict[str, bytes]], dict[str, bytes]]


def top(held: dict[str, bytes]) -> str:
    return next(iter(held)).partition("/")[0]


def fake(name: str) -> Harm:
    """One more entry, at this name; ID stands for the identity."""
    return lambda held: {**held, name.replace("ID", top(held)): b"owned"}


def without(name: str) -> Harm:
    return lambda held: {n: data for n, data in held.items() if not n.endswith(f"/{name}")}


def altered(name: str) -> Harm:
    def alter(held: dict[str, bytes]) -> dict[str, bytes]:
        data = bytearray(held[f"{top(held)}/{name}"])
        data[len(data) // 2] ^= 1
        return {**held, f"{top(held)}/{name}": bytes(data)}

    return alter


def listed(name: str) -> Harm:
    """A file that the head lists too, sealed as it is."""

    def harm(held: dict[str, bytes]) -> dict[str, bytes]:
        result = f"{top(held)}/result.json"
        tree = json.loads(held[result])
        del tree["seal"]
        tree["files"][name] = {"sha256": "0" * 64, "bytes": 0}
        sealed = json.dumps({**tree, "seal": seal_of(tree)}).encode()
        return {**held, result: sealed, f"{top(held)}/{name}": b""}

    return harm


EXTRA = ["../evil", "/etc/evil", "ID/../../evil", "ID//evil", "ID/./evil", "ID/a\\..\\evil",
         "ID/C:evil", "ID/\x1b[31mevil", "ID/", "evil", "", ".", f"{'f' * 32}/result.json",
         "ID/evil.txt", "ID/.hidden", "ID/published.json", "ID/.made", ".made",
         "ID/model.json/evil", "ID/" + "x" * 300, "ID/result.json/"]  # fmt: skip
HARMS: dict[str, Harm] = {
    **{f"with {name[:40]!r}": fake(name) for name in EXTRA},
    **{f"listing {name[:40]!r}": listed(name) for name in ("../evil", "/evil", "evil", "a/evil")},
    **{f"without {name}": without(name) for name in ("model.json", "curve.csv", "result.json")},
    **{f"{name} altered": altered(name) for name in ("model.json", "curve.csv", "result.json")},
    "empty": lambda held: {},
    "in no folder": lambda held: {n.partition("/")[2]: data for n, data in held.items()},
    "in another folder": lambda held: {
        f"{'f' * 32}/{n.partition('/')[2]}": data for n, data in held.items()
    },
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_a_zip_that_holds_another_thing_than_a_whole_record_is_refused(
    harm, held, project, tmp_path
):
    refused(rezip(harm(held)))
    assert not [*tmp_path.rglob("*evil*")]


def test_an_honest_zip_made_by_hand_is_taken(held, project):
    """The negative control of all the refusals."""
    (project / "run.zip").write_bytes(rezip(held, compress_type=zipfile.ZIP_STORED))
    assert import_record(project / "run.zip")[1]


@pytest.mark.parametrize(
    "attributes",
    [
        {"external_attr": (stat.S_IFLNK | 0o777) << 16},
        {"external_attr": (stat.S_IFIFO | 0o600) << 16},
        {"external_attr": (stat.S_IFDIR | 0o700) << 16},
        {"compress_type": zipfile.ZIP_BZIP2},
        {"compress_type": zipfile.ZIP_LZMA},
    ],
)
def test_a_link_or_another_way_of_packing_is_refused(attributes, held, project):
    assert "plain files" in refused(rezip(held, **attributes))


def test_the_same_name_twice_is_refused(zipped, held):
    """Two readers would see two different records."""
    name = next(name for name in held if name.endswith("model.json"))
    for content in (held[name], b"evil"):
        with zipfile.ZipFile(zipped, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(name, content)
        refused(zipped)


def test_an_encrypted_file_is_refused(exported, project):
    content = bytearray(exported)
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag in the directory
    refused(bytes(content))


def test_a_file_that_is_too_large_is_not_even_opened(zipped, monkeypatch):
    monkeypatch.setattr(transfer, "MAX_BYTES", 1000)
    assert "at most 1,000 bytes" in refused(zipped)


@pytest.mark.parametrize("name", ["result.json", "model.json"])
@pytest.mark.parametrize("declared", [None, 1000])
def test_a_bomb_is_not_inflated(name, declared, held, project):
    """100 MB of zeros in 100 kB, honest about its size or declared as 1,000 bytes."""
    full = f"{top(held)}/{name}"
    content = bytearray(rezip({**held, full: bytes(100_000_000)}))
    if declared is not None:
        local = content.index(full.encode()) - 30 + 22
        directory = content.rindex(full.encode()) - 46 + 24
        for place in (local, directory):
            assert struct.unpack_from("<I", content, place) == (100_000_000,)
            struct.pack_into("<I", content, place, declared)
    assert len(content) < 200_000
    (project / "hostile.zip").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            import_record(project / "hostile.zip")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40_000_000  # a head may have 16 MB
    assert not files.RUNS.exists()


def test_what_is_no_regular_file_is_refused_at_once(project):
    os.mkfifo(project / "pipe.zip")
    (project / "loop.zip").symlink_to(project / "loop.zip")
    (project / "folder.zip").mkdir()
    sources = [project / name for name in ("pipe.zip", "folder.zip", "loop.zip", "gone.zip")]
    for source in [*sources, Path("/dev/zero"), Path("\x00")]:
        with pytest.raises(DataError, match=r"^INPUT must be"):
            import_record(source)


@pytest.mark.parametrize("content", [b"", b"PK", b"a,b\n1,2\n", bytes(1000), b"PK\x05\x06" * 99])
def test_what_is_no_zip_is_refused(content, project):
    assert refused(content).startswith("INPUT must be a whole zip of make export; got ")


def test_a_file_that_is_cut_anywhere_is_refused(exported, project):
    for length in sorted(random.Random(0).sample(range(len(exported)), 40)):
        refused(exported[:length])


def test_a_byte_that_is_another_is_noticed_or_means_nothing(exported, theirs, project):
    """What is taken in is what was exported; else it is refused, and never with a traceback."""
    honest, rng, taken = on_disk(theirs.path), random.Random(0), 0
    for number in range(200):
        spoilt = bytearray(exported)
        spoilt[rng.randrange(len(exported))] ^= 1 << rng.randrange(8)
        (project / "run.zip").write_bytes(spoilt)
        folder = project / str(number)
        with contextlib.suppress(DataError):
            import_record(project / "run.zip", folder)
        if folder.exists():
            taken += 1
            assert on_disk(folder / theirs.identity) == honest
    assert 0 < taken < 100  # a date, a comment: most bytes mean something


def test_an_altered_record_is_not_exported(theirs, tmp_path):
    """What is exported was verified when it was read."""
    record = replace(theirs, path=tmp_path / theirs.identity)
    record.path.mkdir()
    with pytest.raises(DataError, match=r"result\.json"):
        export_record(read(record.path), tmp_path / "run.zip")
    assert not (tmp_path / "run.zip").exists()


# --- as a person does it --------------------------------------------------------------------------


@pytest.mark.exhaustive
def test_an_exported_run_is_published_where_it_was_and_mlflow_alone_is_enough_to_reproduce_it(
    tmp_path, store_template
):
    """In another folder, with a store of its own; then its folder of records is gone."""
    config = configuration(["train.epochs=12", "seed=3", "encode=crosses"]).run_config()
    write_if_missing(config.data.path)
    outcome = learn(prepare(config), config)
    record = write_record(outcome, tmp_path / "here", experiment="elsewhere")
    export_record(record, tmp_path / "run.zip")
    there = copy_project(tmp_path / "there", store_template)
    code, _, err = launch(there, "import", "--input", str(tmp_path / "run.zip"))
    assert code == 0, err
    store = there / "mlflow.db"
    assert store_rows("runs", "status", store) == [("FINISHED",)]
    assert ("elsewhere",) in store_rows("experiments", "name", store)
    (archive,) = (there / "mlartifacts").rglob("record.zip")
    assert archive.read_bytes() == (tmp_path / "run.zip").read_bytes()
    shutil.rmtree(there / "runs")
    code, out, err = launch(there, "reproduce")
    assert code == 0, out + err
    assert f"Run       {record.identity[:12]}, car, seed 3: made 20" in out
    assert "bit-identical: 56 parameters and 13 points of 5 series" in out
    assert not (there / "runs").exists()
