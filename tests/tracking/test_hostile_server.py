"""A server that lies writes nowhere but where a command throws away what it has read.

The server is MLflow's own; what no honest client could put into it is put in behind its back. Every
attack is tried on every command that reads from a server.
"""

import contextlib
import dataclasses
import hashlib
import io
import itertools
import json
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from builders import PROJECT, copy_project, launch
from servers import free_port, mlflow_server

from pipeline import files
from pipeline.cli.arguments import parse
from pipeline.cli.table import BY_NAME
from pipeline.config.compose import configuration
from pipeline.config.schema import TrackingSettings
from pipeline.errors import PipelineError, TrackingError
from pipeline.record import Record, write
from pipeline.record.head import seal_of
from pipeline.run import learn, prepare
from pipeline.stages.read import car
from pipeline.sweeps.manifest import Member, Sweep, write_sweep
from pipeline.tracking import publish
from pipeline.tracking.projection import ATTEMPT, KEY

pytestmark = pytest.mark.exhaustive

IDENTITY = "oneuron.identity"
OWNED = b"raise SystemExit('owned')\n"


@dataclasses.dataclass
class Server:
    """A server, its files behind it, and two records: of the run that lies, and of a rival."""

    folder: Path
    uri: str
    stolen: Record
    rival: Record
    numbers: Iterator[int] = dataclasses.field(default_factory=itertools.count)

    @property
    def words(self) -> list[str]:
        return ["tracking=server", f"tracking.uri={self.uri}"]

    @property
    def settings(self) -> TrackingSettings:
        return TrackingSettings(uri=self.uri, experiment="car")

    @property
    def client(self):
        from mlflow import MlflowClient

        return MlflowClient(self.uri, self.uri)

    def behind(self, *statements: str) -> None:
        """Change the database as its owner can."""
        with contextlib.closing(sqlite3.connect(self.folder / "mlflow.db", timeout=20)) as file:
            for statement in statements:
                file.execute(statement)
            file.commit()


@pytest.fixture(scope="module")
def server(store_template, tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    shutil.copy2(store_template, folder / "mlflow.db")
    table = folder / "car.data"
    table.write_bytes(car.content())
    made = []
    for seed in (0, 1):
        words = [f"seed={seed}", "train.epochs=12"]
        config = configuration([*words, f"data.path={table}"]).run_config()
        made.append(write(learn(prepare(config), config), folder / "records", overrides=words))
    port = free_port()
    with mlflow_server(folder, port):
        served = Server(folder, f"http://127.0.0.1:{port}", *made)
        publish(served.stolen, served.settings)
        served.behind("UPDATE runs SET lifecycle_stage = 'deleted'")  # the experiment remains
        yield served


@dataclasses.dataclass
class Lie:
    """What the server says of a run: its tags, the tag of its model's version, its artifacts.

    ``files`` are those in the zip of the record; ``archive`` is what stands there in its place.
    """

    run_id: str
    files: dict[str, bytes]
    identity: str  # of the tags of the run
    version: str  # of the tag of the version
    within: str  # the folder in the zip
    after: list[str] = dataclasses.field(default_factory=list)  # done to the database
    names: dict[str, str] = dataclasses.field(default_factory=dict)  # in the zip, where others
    archive: bytes | None = None
    beside: dict[str, bytes] = dataclasses.field(default_factory=dict)  # other artifacts

    @property
    def artifacts(self) -> dict[str, bytes]:
        content = zipped(self) if self.archive is None else self.archive
        return {"model/record.zip": content, **self.beside} if content else self.beside

    def reseal(self, **changes: object) -> None:
        tree = json.loads(self.files["result.json"]) | changes
        del tree["seal"]
        self.files["result.json"] = json.dumps({**tree, "seal": seal_of(tree)}).encode()

    def list_also(self, name: str, content: bytes) -> None:
        tree = json.loads(self.files["result.json"])
        digest = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        self.reseal(files={**tree["files"], name: digest})
        self.files |= {name: content} if "/" not in name else {}


def zipped(lie: Lie) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in lie.files.items():
            archive.writestr(lie.names.get(name, f"{lie.within}/{name}"), content)
    return buffer.getvalue()


Attack = Callable[[Lie, Path], object]


def absolute_identity(lie: Lie, canary: Path) -> None:
    lie.identity = lie.version = str(canary / "pipeline")


def climbing_identity(lie: Lie, canary: Path) -> None:
    lie.version = "../" * 30 + str(canary / "pipeline")[1:]
    lie.identity = str(canary / "pipeline" / "x")


def identity_with_a_tail(lie: Lie, canary: Path) -> None:
    lie.identity = lie.version = f"{lie.identity}/../../x\n"


def name_that_climbs(lie: Lie, canary: Path) -> None:
    lie.list_also("../../pipeline/__init__.py", OWNED)


def absolute_name(lie: Lie, canary: Path) -> None:
    lie.list_also(str(canary / "pipeline" / "__init__.py"), OWNED)


def name_of_our_own(lie: Lie, canary: Path) -> None:
    lie.list_also("published.json", b"{}")


def another_record(lie: Lie, canary: Path) -> None:
    lie.reseal(identity="f" * 32)


def altered(lie: Lie, canary: Path) -> None:
    lie.files["model.json"] = lie.files["model.json"].replace(b"0.", b"1.", 1)


def oversized(lie: Lie, canary: Path) -> None:
    lie.files["model.json"] += bytes(50_000_000)


def oversized_head(lie: Lie, canary: Path) -> None:
    lie.files["result.json"] += b" " * 20_000_000


def more_than_can_be(lie: Lie, canary: Path) -> None:
    lie.reseal(files={str(number): {"sha256": "0" * 64, "bytes": 1} for number in range(2000)})


def larger_than_can_be(lie: Lie, canary: Path) -> None:
    listed = json.loads(lie.files["result.json"])["files"]
    lie.reseal(files=listed | {"curve.csv": {"sha256": "0" * 64, "bytes": 10**12}})


def misshapen(lie: Lie, canary: Path) -> None:
    lie.reseal(files={"model.json": 3}, lineage="none")


def missing(lie: Lie, canary: Path) -> None:
    del lie.files["model.json"]


def no_zip_at_all(lie: Lie, canary: Path) -> None:
    lie.archive = b""


def page_for_a_zip(lie: Lie, canary: Path) -> None:
    lie.archive = b"<html>please log in</html>"


def truncated_zip(lie: Lie, canary: Path) -> None:
    lie.archive = zipped(lie)[:-100]


def folder_for_a_zip(lie: Lie, canary: Path) -> None:
    lie.archive, lie.beside = b"", {"model/record.zip/__init__.py": OWNED}


def entry_that_climbs(lie: Lie, canary: Path) -> None:
    lie.names["model.json"] = "../" * 30 + f"{str(canary)[1:]}/pipeline/__init__.py"


def entry_of_another_folder(lie: Lie, canary: Path) -> None:
    lie.names["model.json"] = f"{'f' * 32}/model.json"


def zip_of_another_run(lie: Lie, canary: Path) -> None:
    lie.within = "e" * 32
    lie.reseal(identity=lie.within, lineage=resealed_lineage(lie))


def resealed_lineage(lie: Lie) -> dict[str, object]:
    return json.loads(lie.files["result.json"])["lineage"] | {"identity": lie.within}


def bomb(lie: Lie, canary: Path) -> None:
    """A few kB that would be a GB; listed as what it says it is."""
    lie.files["model.json"] = bytes(2**20)
    listed = json.loads(lie.files["result.json"])["files"]
    lie.reseal(files=listed | {"model.json": {"sha256": "0" * 64, "bytes": 2**20}})


def local_artifacts(lie: Lie, canary: Path) -> None:
    """An honest record, but the server tells the client to read it from the client's own disk."""
    place = canary / "theirs"
    for name, content in lie.artifacts.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    lie.after += [f"UPDATE runs SET artifact_uri = 'file://{place}' WHERE run_uuid = '{{run}}'"]


def plain_artifacts(lie: Lie, canary: Path) -> None:
    local_artifacts(lie, canary)
    lie.after[0] = lie.after[0].replace("file://", "")


def run_id_for_a_path(lie: Lie, canary: Path) -> None:
    lie.run_id = str(canary / "pipeline")
    lie.after += [
        f"UPDATE {table} SET run_uuid = '{lie.run_id}' WHERE run_uuid = '{{run}}'"
        for table in ("runs", "tags", "params", "metrics", "latest_metrics")
    ] + [f"UPDATE model_versions SET run_id = '{lie.run_id}' WHERE run_id = '{{run}}'"]


# What the refusal of each attack names.
ATTACKS: dict[Attack, str] = {
    absolute_identity: "identity must be 32 hex digits; got '/",
    climbing_identity: "identity must be 32 hex digits; got '",
    identity_with_a_tail: "identity must be 32 hex digits; got '",
    name_that_climbs: "files.../../pipeline",
    absolute_name: "result.json must be of a record; got another files./",
    name_of_our_own: "files.published.json",
    another_record: "result.json must be as it was written",
    altered: "model.json must have sha256 ",
    oversized: "model.json must have sha256 ",
    oversized_head: "result.json must be at most",
    more_than_can_be: "files",
    larger_than_can_be: "record must be at most",
    misshapen: "result.json must be",
    missing: "record.zip of run",
    no_zip_at_all: "model/record.zip must be readable",
    page_for_a_zip: "must be a whole zip of make export",
    truncated_zip: "must be a whole zip of make export",
    folder_for_a_zip: "model/record.zip must be readable",
    entry_that_climbs: "record.zip of run",
    entry_of_another_folder: "must hold each file of its record and no other",
    zip_of_another_run: "record must be that of run",
    bomb: "model.json must have sha256 ",
    local_artifacts: "artifacts must be kept by the server or in an object store; got 'file:///",
    plain_artifacts: "artifacts must be kept by the server or in an object store; got '/",
    run_id_for_a_path: "run must have an id of MLflow's; got '/",
}


@pytest.fixture
def plant(server, tmp_path) -> Iterator[Callable[..., Lie]]:
    """Puts a run that lies on the server, and its model as champion; afterwards it is gone."""
    canary = tmp_path / "canary"
    shutil.copytree(PROJECT / "pipeline", canary / "pipeline")

    def plant(attack: Attack) -> Lie:
        record, client = server.stolen, server.client
        held = {**record.files, "result.json": (record.path / "result.json").read_bytes()}
        lie = Lie("", held, record.identity, record.identity, record.identity)
        attack(lie, canary)
        if lie.identity != record.identity:  # then every file of the run would land there
            lie.beside |= {"__init__.py": OWNED}
        experiment = client.get_experiment_by_name("car").experiment_id
        tags = {KEY: lie.identity, ATTEMPT: record.head.attempt, IDENTITY: record.identity}
        planted = client.create_run(experiment, tags=tags)
        run_id = planted.info.run_id
        root = server.folder / "artifacts" / experiment / run_id / "artifacts"
        for name, content in lie.artifacts.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        client.set_terminated(run_id)
        make_champion(client, planted, lie.version)
        server.behind(*(statement.format(run=run_id) for statement in lie.after))
        lie.run_id = lie.run_id or run_id
        return lie

    yield plant
    server.behind("UPDATE runs SET lifecycle_stage = 'deleted'")


def make_champion(client, planted, identity: str) -> None:
    from mlflow.exceptions import MlflowException

    with contextlib.suppress(MlflowException):
        client.create_registered_model("car")
    made = client.create_model_version(
        "car", f"{planted.info.artifact_uri}/model", planted.info.run_id, {IDENTITY: identity}
    )
    client.set_registered_model_alias("car", "champion", made.version)


@dataclasses.dataclass
class Reader:
    """A project of somebody who reads from the server."""

    server: Server
    place: Path

    def predict(self, lie: Lie) -> int:
        return self._predict(self._run(lie))

    def predict_champion(self, lie: Lie) -> int:
        return self._predict("champion")

    def compare(self, lie: Lie) -> int:
        return self._call("compare", f"--filter=attributes.run_id = '{lie.run_id}'")

    def promote(self, lie: Lie) -> int:
        return self._call("promote", "--sweep=rival")

    def reproduce(self, lie: Lie) -> int:
        return self._call("reproduce", f"--run={self._run(lie)}")

    def export(self, lie: Lie) -> int:
        output = self.place / "out.zip"
        return self._call("export", f"--run={self._run(lie)}", f"--output={output}")

    def _call(self, name: str, *words: str) -> int:
        return BY_NAME[name].handler(parse(name, [*words, *self.server.words]))

    def _run(self, lie: Lie) -> str:
        """The id of the run; that of a path is no word for RUN, but the identity is."""
        return lie.run_id if lie.run_id.isalnum() else self.server.stolen.identity

    def _predict(self, run: str) -> int:
        rows = car.content().decode().splitlines()[::100]
        source = self.place / "new.csv"
        source.write_text("buying,maint,doors,persons,lug_boot,safety,class\n" + "\n".join(rows))
        output = self.place / "out.csv"
        return self._call("predict", f"--run={run}", f"--input={source}", f"--output={output}")


COMMANDS = ["predict", "predict_champion", "compare", "promote", "reproduce", "export"]


@pytest.fixture
def reader(server, project, tmp_path, monkeypatch) -> Reader:
    rival = server.rival
    shutil.copytree(rival.path, project / "runs" / rival.identity)
    write_sweep(Sweep("0" * 12, "rival", (), (), 1, (Member(0, (), rival.identity),)))
    (tmp_path / "temp").mkdir()
    (tmp_path / "place").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    return Reader(server, tmp_path / "place")


def hashed(*folders: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for folder in folders
        for path in [folder, *folder.rglob("*")]
        if "__pycache__" not in path.parts
    }


def outcome(reader: Reader, name: str, lie: Lie, capsys) -> tuple[int, str]:
    """The exit code, and what was told of a refusal; a traceback is none."""
    try:
        code, told = getattr(reader, name)(lie), ""
    except PipelineError as refusal:
        code, told = refusal.exit_code, str(refusal)
    return code, told + capsys.readouterr().out


def pairs() -> Iterator[object]:
    """Every attack on every command; `make test` takes one command for each attack, by turns."""
    for i, attack in enumerate(ATTACKS):
        for j, name in enumerate(COMMANDS):
            marks = () if i % len(COMMANDS) == j else (pytest.mark.exhaustive,)
            yield pytest.param(attack, name, id=f"{attack.__name__}-{name}", marks=marks)


@pytest.mark.parametrize(("attack", "name"), list(pairs()))
def test_a_server_that_lies_is_refused_and_nothing_is_written(
    attack, name, server, plant, reader, tmp_path, capsys
):
    lie = plant(attack)
    before = hashed(tmp_path / "canary", files.PROJECT)
    code, told = outcome(reader, name, lie, capsys)
    assert hashed(tmp_path / "canary", files.PROJECT) == before
    assert list((tmp_path / "temp").iterdir()) == []
    assert {path.name for path in (tmp_path / "place").iterdir()} <= {"new.csv"}
    assert {path.name for path in tmp_path.iterdir()} == {"canary", "place", "project", "temp"}
    assert ATTACKS[attack] in told
    assert code == (2 if name == "compare" else 3)
    (line,) = [line for line in told.splitlines() if ATTACKS[attack] in line]
    assert len(line) <= 700


@pytest.mark.parametrize("name", COMMANDS)
def test_an_honest_run_is_read(name, server, plant, reader, tmp_path, capsys):
    """The negative control: the same run with nothing changed, and more beside it than it lists."""

    def honest(lie: Lie, canary: Path) -> None:
        lie.beside["unlisted"] = bytes(50_000_000)

    code, told = outcome(reader, name, plant(honest), capsys)
    assert (code, "must" in told) == (4 if name == "promote" else 0, name == "promote")
    if name == "promote":
        assert "log_loss must be better than the champion's by more than noise" in told
    assert list((tmp_path / "temp").iterdir()) == []


def test_the_product_is_not_replaced_by_its_champion(server, plant, tmp_path):
    """Its ``__init__.py`` came from the server, and the next command ran it."""
    copied = copy_project(tmp_path / "copied")
    (copied / "new.csv").write_text("buying,maint,doors,persons,lug_boot,safety\n")

    def champion(lie: Lie, canary: Path) -> None:
        lie.version = str(copied / "pipeline")
        lie.beside["__init__.py"] = OWNED

    plant(champion)
    before = hashed(copied)
    words = ["--run", "champion", "--input", "new.csv", "--output", "out.csv"]
    code, out, err = launch(copied, "predict", *words, *server.words)
    assert hashed(copied) == before
    assert launch(copied, "--help")[0] == 0
    assert (code, out) == (3, "")
    assert err.startswith(f"identity must be 32 hex digits; got '{str(copied)[:60]}")
    assert err.count("\n") == 1


def test_a_server_does_not_say_where_on_this_machine_files_go(server, tmp_path):
    """What is published goes to the server or to an object store, wherever else it points."""
    from pipeline.tracking import Summary, open_store
    from pipeline.tracking.publish import publish_summary

    place = tmp_path / "place"
    place.mkdir()
    settings = TrackingSettings(uri=server.uri, experiment=f"planted in {tmp_path.name}")
    server.client.create_experiment(settings.experiment)
    server.behind(
        f"UPDATE experiments SET artifact_location = 'file://{place}' "
        f"WHERE name = '{settings.experiment}'"
    )
    (tmp_path / "page.html").write_text("page")
    summary = Summary("sweep.1", "sweep", 1, {}, {}, tmp_path / "page.html")
    for act in (
        lambda: publish(server.rival, settings),
        lambda: publish_summary(summary, open_store(settings)),
    ):
        with pytest.raises(TrackingError, match="artifacts must be kept by the server or in an"):
            act()
        assert list(place.iterdir()) == []
