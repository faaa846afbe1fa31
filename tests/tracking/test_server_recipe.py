"""The tracking server of a team: who is not let in, what each role may do, and what is lost."""

import base64
import contextlib
import hashlib
import http.client
import io
import json
import re
import shutil
import signal
import socket
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from servers import TeamServer, free_port, needs_postgres, team_server

from pipeline.config.compose import configuration
from pipeline.config.schema import TrackingSettings
from pipeline.errors import PipelineError, TrackingError
from pipeline.record import Record, read, write
from pipeline.record.head import seal_of
from pipeline.run import learn, prepare
from pipeline.stages.read import car
from pipeline.tracking import Registry, champion_record, fetch, fetch_run, publish
from pipeline.tracking.projection import ATTEMPT, KEY, archive_path
from pipeline.tracking.quiet import quiet_mlflow
from pipeline.tracking.server import ServerSettings, serve

pytestmark = [pytest.mark.exhaustive, needs_postgres]
API = "/api/2.0/mlflow"
READ_ONLY, WRITER, OWNER = "reader", "editor", "owner"


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that PostgreSQL's own user finds; pytest's are closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="oneuron-server-"))
    folder.chmod(0o711)
    yield folder / "server"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def team(place) -> Iterator[TeamServer]:
    """A server with three users: one made the experiment "car", one may edit it, one only read."""
    with team_server(place) as server:
        for user in (READ_ONLY, WRITER, OWNER):
            server.add_user(user)
        status, made = server.ask("POST", f"{API}/experiments/create", OWNER, {"name": "car"})
        assert status == 200, made
        server.grant(WRITER, "EDIT", "experiment", json.loads(made)["experiment_id"])
        yield server


def experiment_of(server: TeamServer, name: str = "car") -> str:
    path = f"{API}/experiments/get-by-name?experiment_name={name}"
    return json.loads(server.ask("GET", path, "admin")[1])["experiment"]["experiment_id"]


def new_run(server: TeamServer, user: str, experiment: str) -> str:
    status, made = server.ask("POST", f"{API}/runs/create", user, {"experiment_id": experiment})
    assert status == 200, made
    return json.loads(made)["run"]["info"]["run_id"]


# --- strangers -------------------------------------------------------------------------------


def routes() -> set[tuple[str, str]]:
    """Every method and path that MLflow's app and its basic-auth know, from their own tables."""
    with quiet_mlflow():
        from mlflow.server import app as flask_app
        from mlflow.server.auth import routes as of_auth
        from mlflow.server.fastapi_app import app

    rules = flask_app.url_map.iter_rules()
    known = {(method, rule.rule) for rule in rules for method in rule.methods}
    for value in vars(of_auth).values():
        if isinstance(value, str) and value.startswith("/"):
            known |= {(method, value) for method in ("GET", "POST", "PATCH", "DELETE")}
    for part in app.routes:
        inner = getattr(part, "original_router", None)
        for route in inner.routes if inner else ():
            known |= {(method, route.path) for method in route.methods}
    asked = {(method, re.sub(r"[<{][^>}]*[>}]", "x", path) or "/") for method, path in known}
    return {each for each in asked if each[0] not in ("HEAD", "OPTIONS")}


def test_no_route_answers_without_credentials_but_health(team):
    known = routes()
    assert len(known) > 500  # the control: the tables were found
    paths = {path for _, path in known}
    assert {"/graphql", "/get-artifact", "/signup", "/v1/traces"} <= paths
    assert any(path.endswith("/mlflow-artifacts/artifacts/x") for path in paths)
    answers = asked_at_once(team, known)
    assert {path for (_, path), status in answers.items() if status != 401} == {"/health"}
    assert team.ask("OPTIONS", f"{API}/runs/create")[0] == 401


def asked_at_once(server: TeamServer, known: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The status of each, over one connection."""
    connection = http.client.HTTPConnection(urlsplit(server.uri).netloc, timeout=60)
    answers = {}
    with contextlib.closing(connection):
        for method, path in sorted(known):
            connection.request(method, path)
            with connection.getresponse() as answer:
                answer.read()
                answers[(method, path)] = answer.status
    return answers


@pytest.mark.parametrize(
    "header",
    [
        "Basic", "Basic !", "Basic YWRtaW4=", "Basic YWRtaW46", "Bearer x",
        "Basic YWRtaW46cGFzc3dvcmQxMjM0",  # admin:password1234, MLflow's default once
        "Basic YWRtaW46AHgAAAAAAAAAAAAA", "Basic w7w6w7w=",
    ],
)  # fmt: skip
def test_a_wrong_password_is_refused(team, header):
    for path in ("/", "/api/3.0/mlflow/server-info", f"{API}/experiments/search?max_results=1"):
        assert team.ask("GET", path, Authorization=header)[0] == 401


@pytest.mark.parametrize(
    "host", ["10.evil.com", "192.168.evil.com", "evil.com", "127.0.0.1", "[::1]"]
)
def test_another_host_gets_nothing(team, host):
    """H08: not even from whoever has a password, nor from what needs none."""
    for path in ("/health", f"{API}/experiments/search?max_results=1"):
        assert team.ask("GET", path, "admin", Host=host)[0] == 403
        assert team.ask("GET", path, "admin")[0] == 200  # the control


@pytest.mark.parametrize(
    "origin", ["https://evil.com", "http://localhost:1", "http://127.0.0.1", "null"]
)
def test_a_page_from_elsewhere_writes_nothing(team, origin):
    path, body = f"{API}/experiments/create", {"name": f"by {origin}"}
    for prefix in ("/api", "/ajax-api"):
        assert team.ask("POST", path.replace("/api", prefix), OWNER, body, Origin=origin)[0] == 403
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade |= {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    assert team.ask("GET", "/", OWNER, Origin=origin, **upgrade)[0] == 403
    assert team.ask("POST", path, OWNER, body, Origin=team.uri)[0] == 200  # the control


@pytest.mark.parametrize(
    "path",
    [
        "/ajax-api/3.0/mlflow/assistant/config", "/ajax-api/3.0/jobs/search", "/v1/traces",
        "/gateway/mlflow/v1/models", "/ajax-api/2.0/mlflow/gateway-proxy",
        "/ajax-api/3.0/mlflow/scorer/invoke", "/api/2.0/mlflow/webhooks",
        "/ajax-api/2.0/mlflow/runs/create-promptlab-run", "/ajax-api/3.0/mlflow/mcp-servers",
        "//ajax-api/3.0/jobs/search", "/static-files/../ajax-api/3.0/jobs/search",
        "/api/2.0/mlflow/runs/../webhooks", "/ajax-api/3.0/mlflow/ui-telemetry",
    ],
)  # fmt: skip
def test_what_runs_things_or_calls_other_hosts_is_not_served_to_anybody(team, path):
    for method in ("GET", "POST"):
        status, text = team.ask(method, path, "admin", {} if method == "POST" else None)
        assert (status, text) == (404, "not served here") or ".." in path
        assert status in (404, 405)


# --- roles -----------------------------------------------------------------------------------


def test_a_reader_reads_and_writes_nothing(team):
    experiment = experiment_of(team)
    run = new_run(team, WRITER, experiment)
    writes = {
        "runs/create": {"experiment_id": experiment},
        "runs/set-tag": {"run_id": run, "key": "a", "value": "b"},
        "runs/log-batch": {"run_id": run, "params": [{"key": "a", "value": "b"}]},
        "runs/update": {"run_id": run, "status": "FINISHED"},
        "runs/delete": {"run_id": run},
        "experiments/delete": {"experiment_id": experiment},
        "experiments/set-experiment-tag": {"experiment_id": experiment, "key": "a", "value": "b"},
        "users/create": {"username": "other", "password": "a long password"},
    }
    for path, body in writes.items():
        assert team.ask("POST", f"{API}/{path}", READ_ONLY, body)[0] == 403, path
    admin = {"username": READ_ONLY, "is_admin": True}
    assert team.ask("PATCH", f"{API}/users/update-admin", READ_ONLY, admin)[0] == 403
    kept = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/x"
    assert team.ask("PUT", kept, READ_ONLY, b"x")[0] == 403
    uploaded = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path=x"
    assert team.ask("POST", uploaded, READ_ONLY, b"x")[0] == 403
    assert team.ask("GET", f"{API}/runs/get?run_id={run}", READ_ONLY)[0] == 200
    assert team.ask("POST", f"{API}/runs/set-tag", WRITER, writes["runs/set-tag"])[0] == 200
    assert team.ask("PUT", kept, WRITER, b"x")[0] == 200  # the controls


def test_an_experiment_that_is_denied_is_not_read_in_any_way(team):
    made = team.ask("POST", f"{API}/experiments/create", OWNER, {"name": "denied"})[1]
    experiment = json.loads(made)["experiment_id"]
    run = new_run(team, OWNER, experiment)
    kept = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/x"
    assert team.ask("PUT", kept, OWNER, b"known only here")[0] == 200
    ways = ways_to_read(experiment, run)
    assert all(run in team.ask(*way)[1] or "known only" in team.ask(*way)[1] for way in ways)
    team.grant(READ_ONLY, "DENY", "experiment", experiment)
    for way in ways:
        status, text = team.ask(*way)
        assert "known only" not in text
        assert status in (403, 404) or run not in text, way


def ways_to_read(experiment: str, run: str) -> list[tuple[object, ...]]:
    graphql = {
        "operationName": "q", "variables": {"data": {"runId": run}},
        "query": "query q($data: MlflowGetRunInput!) "
        "{ mlflowGetRun(input: $data) { run { info { runUuid } } } }",
    }  # fmt: skip
    return [
        ("GET", f"{API}/runs/get?run_id={run}", READ_ONLY),
        ("POST", f"{API}/runs/search", READ_ONLY, {"experiment_ids": [experiment]}),
        ("POST", "/graphql", READ_ONLY, graphql),
        ("GET", f"/get-artifact?run_uuid={run}&path=x", READ_ONLY),
        ("GET", f"{API}/artifacts/list?run_id={run}", READ_ONLY),
        (
            "GET",
            f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/x",
            READ_ONLY,
        ),
    ]


# --- a user who attacks ----------------------------------------------------------------------

OUTSIDE = [
    "file:///etc",
    "/etc",
    "mlflow-artifacts:/0",
    "s3://x/y",
    "http://127.0.0.1:1/x",
    "ftp://x/y",
]


@pytest.mark.parametrize("location", OUTSIDE)
@pytest.mark.parametrize("key", ["artifact_location", "artifactLocation"])
def test_no_experiment_has_its_artifacts_elsewhere(team, location, key):
    """MLflow itself takes file:///etc, and then reads from there to whoever asks."""
    body = {"name": f"at {location} {key}", key: location}
    for path in (f"{API}/experiments/create", "/ajax-api/2.0/mlflow/experiments/create"):
        assert team.ask("POST", path, OWNER, body)[0] == 400


def test_no_model_has_its_source_elsewhere(team):
    assert team.ask("POST", f"{API}/registered-models/create", OWNER, {"name": "m"})[0] == 200
    experiment = experiment_of(team)
    own, other = new_run(team, OWNER, experiment), new_run(team, WRITER, experiment)
    foreign = f"mlflow-artifacts:/{experiment}/{other}/artifacts/model"
    for source in [*OUTSIDE, foreign, f"{foreign}/../../../..", "dbfs:/x", "models:/../x"]:
        for run in ({}, {"run_id": own}):
            body = {"name": "m", "source": source} | run
            status, told = team.ask("POST", f"{API}/model-versions/create", OWNER, body)
            assert status == 400, (source, told)
    body = {"name": "m", "source": foreign, "run_id": other}
    assert team.ask("POST", f"{API}/model-versions/create", OWNER, body)[0] == 200  # the control


@pytest.mark.parametrize(
    "name",
    [
        "../../x", "/etc/x", "..%2f..%2fx", "%2e%2e/%2e%2e/x", "..%252f..%252fx", "..\\x",
        "../../../../secret_key",
    ],
)  # fmt: skip
def test_no_artifact_leaves_the_folder_of_its_run(team, name):
    experiment = experiment_of(team)
    run = new_run(team, WRITER, experiment)
    own = team.folder / "artifacts" / experiment / run
    before = files_beside(own, team.folder)
    at = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/{name}"
    team.ask("PUT", at, WRITER, b"x")
    query = f"run_uuid={run}&path={name}"
    team.ask("POST", f"/ajax-api/2.0/mlflow/upload-artifact?{query}", WRITER, b"x")
    assert files_beside(own, team.folder) == before
    secret = (team.folder / "secret_key").read_text()
    assert secret not in team.ask("GET", f"/get-artifact?{query}", WRITER)[1]
    assert secret not in team.ask("GET", at, WRITER)[1]


def files_beside(own: Path, folder: Path) -> set[Path]:
    places = (folder / "artifacts", folder.parent)
    return {
        path
        for place in places
        for path in place.glob("*" if place == folder.parent else "**/*")
        if own not in (path, *path.parents) and path not in own.parents
    }


# --- runs of this project --------------------------------------------------------------------


@pytest.fixture(scope="module")
def record(tmp_path_factory) -> Record:
    folder = tmp_path_factory.mktemp("record")
    (folder / "car.data").write_bytes(car.content())
    words = ["train.epochs=12", f"data.path={folder / 'car.data'}"]
    config = configuration(words).run_config()
    return write(learn(prepare(config), config), folder / "records", overrides=words)


Login = Callable[[str], TrackingSettings]


@pytest.fixture
def log_in(team, project, monkeypatch) -> Login:
    """Become a user of the server; the project folder is empty."""

    def log_in(user: str, experiment: str = "car") -> TrackingSettings:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", team.password_of(user))
        return TrackingSettings(uri=team.uri, experiment=experiment)

    return log_in


def test_what_an_editor_publishes_and_promotes_a_reader_predicts_with(log_in, record, tmp_path):
    editor = log_in(WRITER)
    assert publish(record, editor).new
    registry = Registry(editor)
    registry.set_champion(registry.register("car", record), {})
    reader = log_in(READ_ONLY)
    for found in (
        champion_record("champion", reader, tmp_path), fetch_run("latest", reader, tmp_path),
        fetch_run(record.identity[:12], reader, tmp_path),
    ):  # fmt: skip
        assert found.files["model.json"] == record.files["model.json"]
        assert found.source  # it is from the server


def test_what_a_reader_would_publish_is_refused_and_kept(log_in, record, team):
    made = team.ask("POST", f"{API}/experiments/create", OWNER, {"name": "of the owner"})[1]
    experiment = json.loads(made)["experiment_id"]
    with pytest.raises(TrackingError, match=r"403[\s\S]*make sync"):
        publish(record, log_in(READ_ONLY, "of the owner"))
    assert runs_in(team, experiment) == []
    registry = Registry(log_in(READ_ONLY))
    held = registry.champion("car")
    with pytest.raises(TrackingError, match="403"):
        registry.set_champion(held, {})


def test_a_run_that_claims_an_identity_elsewhere_does_not_stand_for_it(log_in, record, tmp_path):
    """Anybody may make an experiment, and publish there what says that it is another's run."""
    assert fetch_run(record.identity, log_in(OWNER), tmp_path) is not None  # published before
    forged = forge(record, tmp_path / "forged")
    publish(forged, log_in(OWNER, "forged"))
    query = f"tags.`oneuron.identity` = '{record.identity}'"
    for experiment, wanted in (("car", record), ("forged", forged)):  # the second is the control
        reader = log_in(READ_ONLY, experiment)
        found = fetch_run(record.identity[:12], reader, tmp_path)
        (compared,), lost = fetch(reader, query, tmp_path)
        assert found.files["model.json"] == compared.files["model.json"]
        assert found.files["model.json"] == wanted.files["model.json"]
        assert lost == []
    assert forged.files["model.json"] != record.files["model.json"]


def forge(record: Record, folder: Path) -> Record:
    """The record with another model under its identity, sealed as anybody can seal it."""
    shutil.copytree(record.path, folder / record.identity)
    path = folder / record.identity / "model.json"
    model = json.loads(path.read_text())
    content = path.read_bytes().replace(b"0.", b"1.", 1)
    assert model.keys() == json.loads(content).keys()
    path.write_bytes(content)
    head = path.with_name("result.json")
    tree = json.loads(head.read_text()) | {"attempt": "f" * 8}
    digest = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    tree |= {"files": {**tree["files"], "model.json": digest}}
    del tree["seal"]
    head.write_text(json.dumps({**tree, "seal": seal_of(tree)}))
    return read(folder / record.identity)


@pytest.mark.parametrize(
    ("identity", "names", "rule"),
    [
        ("/etc/x", [], "identity must be 32 hex digits; got '/etc/x'"),
        ("../../x", [], "identity must be 32 hex digits"),
        ("a" * 32, [], "must be readable"),
        ("a" * 32, ["../../x", "/tmp/x", "pipeline/__init__.py"], "model/record.zip of run"),
        ("a" * 32, [f"{'a' * 32}/result.json"], "result.json must be"),
    ],
)
def test_a_run_of_an_editor_that_lies_is_refused_and_writes_nothing(
    log_in, team, tmp_path, project, identity, names, rule
):
    experiment = experiment_of(team)
    run = new_run(team, WRITER, experiment)
    for key, value in ((KEY, identity), (ATTEMPT, "f" * 8), ("oneuron.identity", identity)):
        body = {"run_id": run, "key": key, "value": value}
        assert team.ask("POST", f"{API}/runs/set-tag", WRITER, body)[0] == 200
    if names:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name in names:
                archive.writestr(name, "raise SystemExit('owned')")
        at = f"{experiment}/{run}/artifacts/{archive_path('FINISHED')}"
        path = f"/api/2.0/mlflow-artifacts/artifacts/{at}"
        assert team.ask("PUT", path, WRITER, packed.getvalue())[0] == 200
    body = {"run_id": run, "status": "FINISHED"}
    assert team.ask("POST", f"{API}/runs/update", WRITER, body)[0] == 200
    before = set(tmp_path.rglob("*"))
    found, lost = fetch(log_in(READ_ONLY), f"attributes.run_id = '{run}'", tmp_path)
    assert found == []
    assert rule in lost[0]
    assert "\n" not in lost[0]
    assert set(tmp_path.rglob("*")) == before
    body = {"run_id": run}
    assert team.ask("POST", f"{API}/runs/delete", WRITER, body)[0] in (200, 403)


def runs_in(server: TeamServer, experiment: str) -> list[str]:
    body = {"experiment_ids": [experiment]}
    found = json.loads(server.ask("POST", f"{API}/runs/search", "admin", body)[1])
    return sorted(run["info"]["run_id"] for run in found.get("runs", []))


def test_the_way_to_add_users_is_as_the_page_says(team, monkeypatch, log_in):
    log_in("admin")
    page = (Path(__file__).parents[2] / "docs" / "server.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    with quiet_mlflow():
        exec(code.replace("http://127.0.0.1:5000", team.uri))
    password = "anna:at least 12 characters"
    header = f"Basic {base64.b64encode(password.encode()).decode()}"
    body = {"experiment_id": experiment_of(team)}
    assert team.ask("POST", f"{API}/runs/create", "", body, Authorization=header)[0] == 200


# --- the files of the server -----------------------------------------------------------------


def test_secrets_are_the_servers_alone(team):
    names = ("admin_password", "secret_key", "basic_auth.ini", "postgres.log")
    assert [(team.folder / name).stat().st_mode & 0o777 for name in names] == [0o600] * 4
    assert (team.folder / "postgres").stat().st_mode & 0o777 == 0o700
    assert team.folder.stat().st_mode & 0o066 == 0
    assert len(team.password_of("admin")) >= 32


def test_a_second_server_in_the_folder_is_refused(team, refused):
    code, told = refused(folder=team.folder)
    assert code == 2
    assert "in which another serves: end that one (Ctrl-C), or --folder another" in told


@pytest.fixture
def refused(tmp_path, monkeypatch) -> Iterator[Callable[..., tuple[int, str]]]:
    """Gives the exit code and the message, on one line, of a server that does not start."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]

    def refused(store: str = "", **settings: object) -> tuple[int, str]:
        monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", store)
        with pytest.raises(PipelineError) as refusal:
            serve(ServerSettings(**{"port": 0, "folder": tmp_path / "server", **settings}))
        assert "\n" not in str(refusal.value)
        return refusal.value.exit_code, str(refusal.value)

    yield refused
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"host": "0.0.0.0"}, "server must encrypt what leaves this machine"),
        ({"origins": ("http://mlflow.example.org",)}, "origin of the server must be https://name"),
        ({"origins": ("https://a.example/x",)}, "origin of the server must be https://name"),
        ({"certificate": "none.pem"}, "certificate and key must be PEM files"),
    ],
)
def test_what_cannot_be_served_is_refused(refused, tmp_path, settings, rule):
    code, told = refused(**settings)
    assert code == 2
    assert told.startswith(rule)
    assert not (tmp_path / "server").exists()


def test_a_port_that_is_taken_is_named(refused):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, told = refused(port=port)
    assert code == 2
    assert f"got 127.0.0.1:{port}, address already in use: --port 0 takes any" in told


def test_a_database_that_is_away_is_named_without_its_password(refused):
    code, told = refused(f"postgresql://me:hunter22@127.0.0.1:{free_port()}/mlflow")
    assert code == 5
    assert told.startswith("PostgreSQL must answer; got ")
    assert "hunter22" not in told


@pytest.mark.parametrize("address", ["sqlite:///m.db", "http://127.0.0.1:1", "none", "oracle://x"])
def test_another_database_is_refused_by_the_name_of_its_setting(refused, address):
    code, told = refused(address)
    assert code == 2
    assert told.startswith("MLFLOW_BACKEND_STORE_URI must ")


def test_a_folder_too_long_for_a_socket_and_a_lack_of_postgresql_are_named(
    refused, place, tmp_path, monkeypatch
):
    code, told = refused(folder=tmp_path / ("x" * 90))
    assert (code, "must have a shorter path, for PostgreSQL's socket" in told) == (2, True)
    monkeypatch.setattr("pipeline.tracking.postgres.INSTALLED", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    code, told = refused(folder=place / "none")
    assert code == 2
    assert "apt-get install postgresql, or name a server of yours" in told
