"""Every finished run has a model that MLflow loads, serves and puts into containers."""

import ast
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from builders import PROJECT, make_failed_record
from contract_builders import CASES, Case, learned, rows, verdicts
from servers import free_port

from pipeline import files
from pipeline.config.compose import configuration
from pipeline.config.file_settings import BLANKS
from pipeline.errors import DataError
from pipeline.record import Record, write
from pipeline.run import learn, prepare
from pipeline.stages.predict import score, to_json
from pipeline.stages.read import car
from pipeline.tracking import publish
from pipeline.tracking.model_files import model_files

pytestmark = pytest.mark.exhaustive

BAD = "column safety must be one of low, med, high; got 'hihg' in row 1"
ENVIRONMENT = {
    **{n: text for n, text in os.environ.items() if not n.startswith(("MLFLOW_", "PYTHON"))},
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}  # fmt: skip
# No module of the project is there, whatever this environment has installed.
WITHOUT_PROJECT = "import sys; sys.modules['pipeline'] = sys.modules['nn'] = None\n"


@pytest.fixture(scope="module", autouse=True)
def mlflow_is_imported() -> None:
    """It warns of itself while it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc  # noqa: F401


@pytest.fixture(scope="module")
def record(tmp_path_factory) -> Record:
    folder = tmp_path_factory.mktemp("cars")
    (folder / "data").mkdir()
    (folder / "data" / "car.data").write_bytes(car.content())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "PROJECT", folder)
        config = configuration(["optimiser=newton", "train.epochs=5"])
        return write(learn(prepare(config), config), folder / "runs")


@pytest.fixture(scope="module")
def model(record, tmp_path_factory) -> Path:
    """The folder of the model, alone on a disk."""
    return laid_down(record, tmp_path_factory.mktemp("served") / "model")


def laid_down(record: Record, folder: Path) -> Path:
    folder.mkdir()
    for name, content in model_files(record).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def cars() -> pd.DataFrame:
    return pd.DataFrame(car.rows(), columns=[*car.ATTRIBUTES, "class"]).drop(columns="class")


def test_the_same_record_gives_the_same_bytes_whenever_and_wherever(record, tmp_path):
    first = model_files(record)
    code = (
        f"import sys; from pathlib import Path; from pipeline.record import read\n"
        f"from pipeline.tracking.model_files import model_files\n"
        f"found = model_files(read(Path({str(record.path)!r})))\n"
        f"sys.stdout.buffer.write(b'|'.join(found.values()))"
    )
    command = [sys.executable, "-c", code]
    env = {**ENVIRONMENT, "PYTHONHASHSEED": "7", "PYTHONPATH": str(PROJECT)}
    again = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=True)
    assert again.stdout == b"|".join(first.values())


def test_a_model_is_code_as_text_with_relative_paths_and_exact_requirements(record):
    found = model_files(record)
    assert set(found) == {"MLmodel", "model.py", "input_example.json", "python_env.yaml"}
    text = b"".join(found.values()).decode()
    assert str(record.path.parent) not in text
    assert str(PROJECT) not in text
    tree = yaml.safe_load(found["MLmodel"])
    assert tree["model_uuid"] == record.identity
    assert tree["flavors"]["python_function"]["model_code_path"] == "model.py"
    versions = record.head.lineage.versions
    required = yaml.safe_load(found["python_env.yaml"])
    assert required["python"] == versions["python"]
    assert {f"{name}=={versions[name]}" for name in ("mlflow", "numpy", "pandas")} <= {
        *required["dependencies"]
    }


def test_what_another_wrote_as_a_version_is_no_word_of_pip(record):
    evil = {"numpy": "2.0 --index-url http://evil", "python": "3.11\nbuild_dependencies: [x]"}
    lineage = record.head.lineage.model_copy(
        update={"versions": {**record.head.lineage.versions, **evil}}
    )
    head = record.head.model_copy(update={"lineage": lineage})
    text = b"".join(model_files(replace(record, head=head)).values()).decode()
    assert "evil" not in text
    assert "[x]" not in text


def test_a_model_that_no_run_wrote_is_refused(record):
    tree = json.loads(record.files["model.json"])
    tree["encoder"]["blocks"][0]["categories"] = [["a"], ["a"], ["b"], ["c"]]
    made = replace(record, files={**record.files, "model.json": json.dumps(tree).encode()})
    with pytest.raises(DataError, match="model must be as a run wrote it"):
        model_files(made)


def test_a_type_is_named_where_nothing_but_text_is_right(record):
    signature = json.loads(yaml.safe_load(model_files(record)["MLmodel"])["signature"]["inputs"])
    types = {each["name"]: each["type"] for each in signature}
    assert types == {
        "buying": "string", "maint": "string", "doors": "any", "persons": "any",
        "lug_boot": "string", "safety": "string",
    }  # fmt: skip


def test_the_example_is_a_row_of_no_table(record):
    """Privacy: what stands there is of the contract, or an average of many rows."""
    row = json.loads(model_files(record)["input_example.json"])
    assert row["columns"] == [*car.ATTRIBUTES]
    assert row["data"] == [[values[0] for values in car.ATTRIBUTES.values()]]


@pytest.mark.exhaustive
def test_a_model_is_loaded_where_the_project_cannot_be_imported(record, model, cars, tmp_path):
    moved = tmp_path / "elsewhere"
    model.rename(moved)
    try:
        code = WITHOUT_PROJECT + (
            "import mlflow.pyfunc\n"
            f"model = mlflow.pyfunc.load_model({str(moved)!r})\n"
            "import pandas as pd\n"
            "print(model.predict(pd.read_csv(sys.argv[1]))['probability'].tolist())\n"
            "print(model.predict(model.input_example).shape)\n"
        )
        source = tmp_path / "cars.csv"
        cars.to_csv(source, index=False)
        command = [sys.executable, "-I", "-W", "ignore", "-c", code, str(source)]
        done = subprocess.run(
            command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True
        )
    finally:
        moved.rename(model)
    found, shape = done.stdout.splitlines()
    expected = score(record.model, cars, np.arange(len(cars)), "the cars")[0]
    assert json.loads(found) == expected.tolist()
    assert shape == "(1, 2)"


def test_every_finished_run_has_a_model_and_no_other(record, settings, cars):
    import mlflow

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "RUNS", record.path.parent)
        published = publish(record, settings)
    mlflow.set_tracking_uri(f"sqlite:///{files.STORE}")
    loaded = mlflow.pyfunc.load_model(f"runs:/{published.run_id}/model")
    expected = score(record.model, cars, np.arange(len(cars)), "the cars")[0]
    assert loaded.predict(cars)["probability"].tolist() == expected.tolist()
    assert loaded.metadata.signature.inputs.input_names() == [*car.ATTRIBUTES]
    assert loaded.metadata.signature.outputs.input_names() == ["probability", "decision"]
    failed = publish(make_failed_record(), settings)
    with pytest.raises(mlflow.MlflowException):
        mlflow.pyfunc.load_model(f"runs:/{failed.run_id}/model")


# --- MLflow's forms --------------------------------------------------------------------------


def invoked(model, body: object, kind: str = "application/json") -> tuple[int, str]:
    """Status and body of the answer of MLflow's scoring server."""
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc.scoring_server import invocations

    content = body if isinstance(body, str | bytes) else json.dumps(body)
    try:
        answer = invocations(content, kind, model, model.metadata.get_input_schema())
    except MlflowException as error:
        return error.get_http_status_code(), error.serialize_as_json()
    return answer.status, answer.response


def request(frame: pd.DataFrame, form: str) -> tuple[str | bytes, str]:
    """The rows in a form that MLflow takes, and its type."""
    if form == "csv":
        return frame.to_csv(index=False), "text/csv"
    if form == "parquet":
        buffer = io.BytesIO()
        frame.to_parquet(buffer)
        return buffer.getvalue(), "application/vnd.apache.parquet"
    records = [
        {name: None if pd.isna(cell) else cell for name, cell in row.items()}
        for row in frame.to_dict("records")
    ]
    split = {"columns": [*frame], "data": [[*row.values()] for row in records]}
    columns = {name: [row[name] for row in records] for name in frame}
    body = {"dataframe_split": split, "inputs": columns}.get(form, records)
    return json.dumps({form: body}), "application/json"


FORMS = ["dataframe_split", "dataframe_records", "instances", "inputs", "csv", "parquet"]


@pytest.fixture(scope="module")
def loaded(model):
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(str(model))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_mlflow_gives_the_probability_or_names_row_column_value_and_rule(
    form, loaded, record, cars
):
    p = score(record.model, cars, np.arange(len(cars)), "the cars")[0][:3]
    status, text = invoked(loaded, *request(cars[:3], form))
    assert status == 200
    assert [row["probability"] for row in json.loads(text)["predictions"]] == p.tolist()
    bad = cars[:3].assign(safety=["low", "hihg", "low"])
    status, text = invoked(loaded, *request(bad, form))
    answer = json.loads(text)
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert answer["message"] == BAD
    assert "stack_trace" not in answer


@pytest.mark.parametrize("form", FORMS)
def test_categories_that_are_numbers_nulls_and_whole_numbers_are_what_a_file_would_hold(
    form, record, tmp_path
):
    """A null in a batch turns the others into 1.0 on their way."""
    import mlflow.pyfunc

    case = Case(
        {
            "code": {"kind": "categorical", "categories": ["1", "2"], "missing": "input"},
            "flag": {"kind": "boolean"},
            "age": {"kind": "numeric", "missing": "input"},
        },
        {"unseen": "refuse"},
        {},
    )
    own = learned(case)
    made = replace(record, files={**record.files, "model.json": to_json(own).encode()})
    loaded = mlflow.pyfunc.load_model(str(laid_down(made, tmp_path / "model")))
    batch = pd.DataFrame({
        "code": [1, None, 2, 1], "flag": [True, False, True, True], "age": [30, 41, None, 7],
    }, dtype=object)  # fmt: skip
    text = pd.DataFrame({
        "code": ["1", "", "2", "1"], "flag": ["true", "false", "true", "true"],
        "age": ["30", "41", "", "7"],
    }, dtype="str")  # fmt: skip
    expected = score(own, text, np.arange(4), "the batch")[0]
    status, answer = invoked(loaded, *request(batch, form))
    assert status == 200, answer
    assert [row["probability"] for row in json.loads(answer)["predictions"]] == expected.tolist()


def test_rows_that_are_skipped_have_a_reason_and_null(loaded, cars):
    bad = cars[:2].assign(safety=["low", "hihg"])
    body = {"dataframe_split": bad.to_dict("split"), "params": {"on_bad_row": "skip"}}
    status, text = invoked(loaded, body)
    good, skipped = json.loads(text, parse_constant=pytest.fail)["predictions"]
    assert (status, good["reason"]) == (200, None)
    assert good["probability"] > 0
    assert (skipped["probability"], skipped["decision"]) == (None, None)
    assert "hihg" in skipped["reason"]


@pytest.mark.parametrize("config", [{"hide_values": True}, None])
def test_a_switch_keeps_values_out_of_messages(config, model, cars, monkeypatch):
    import mlflow.pyfunc

    if config is None:  # MLflow's commands take it so
        monkeypatch.setenv("MLFLOW_PYFUNC_INFERENCE_CONFIG", '{"hide_values": true}')
    loaded = mlflow.pyfunc.load_model(str(model), model_config=config)
    bad = cars[:2].assign(safety=["low", "hihg"])
    for params in ({}, {"params": {"on_bad_row": "skip"}}):
        _, text = invoked(loaded, {"dataframe_split": bad.to_dict("split"), **params})
        assert "column safety must be one of" in text
        assert "hihg" not in text


@pytest.mark.parametrize("body", [
    {"dataframe_records": []}, {"dataframe_records": [{}]}, {"instances": [["low", "med"]]},
    {"inputs": [1, 2]}, {"inputs": "low"}, {"dataframe_records": [{"safety": "low", "x": 1}]},
], ids=str)  # fmt: skip
def test_what_has_no_such_columns_is_refused_by_their_names(body, loaded):
    status, text = invoked(loaded, body)
    assert status == 400
    assert "column buying must be there" in json.loads(text)["message"]


def test_a_message_of_many_faults_is_two_kilobytes(tmp_path, record):
    import mlflow.pyfunc

    own = learned(CASES["every kind"])
    made = replace(record, files={**record.files, "model.json": to_json(own).encode()})
    loaded = mlflow.pyfunc.load_model(str(laid_down(made, tmp_path / "model")))
    frame = rows(CASES["every kind"], 200, 0.9)
    status, text = invoked(loaded, {"dataframe_split": frame.to_dict("split")})
    assert status == 400
    assert len(text.encode()) <= 2048
    assert json.loads(text)["message"].count("column ") > 5


@pytest.mark.exhaustive
@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records", "inputs"])
@pytest.mark.parametrize("name", CASES)
def test_of_ten_thousand_requests_none_scores_a_bad_row(name, form, record, tmp_path):
    """Of one to three rows each; MLflow's `instances` takes values for those of other rows."""
    import mlflow.pyfunc

    own = learned(CASES[name])
    made = replace(record, files={**record.files, "model.json": to_json(own).encode()})
    loaded = mlflow.pyfunc.load_model(str(laid_down(made, tmp_path / "model")))
    frame = rows(CASES[name], 1000, 0.06, seed=len(form))
    read = frame.apply(lambda cells: cells.str.strip(BLANKS)) if own.data.strip else frame
    faults = verdicts(own, read)
    ends = np.cumsum(np.random.default_rng(7).integers(1, 4, 490)).tolist()
    for start, end in itertools.pairwise([0, *[e for e in ends if e <= len(frame)]]):
        part = frame.iloc[start:end]
        status, text = invoked(loaded, *request(part, form))
        of_part = {(column, rule) for row, column, rule in faults if start <= row < end}
        assert status == (400 if of_part else 200), text
        for column, _ in list(of_part)[:3]:
            assert f"column {column} must" in json.loads(text)["message"]


# --- MLflow's commands -------------------------------------------------------------------------


def posted(port: int, frame: pd.DataFrame, form: str) -> bytes:
    content, kind = request(frame, form)
    data = content.encode() if isinstance(content, str) else content
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", data, {"Content-Type": kind}
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return answer.read()


@pytest.mark.exhaustive
def test_mlflow_serves_the_model_alone(model, cars, tmp_path):
    port = free_port()
    command = ["mlflow", "models", "serve", "-m", str(model), "-p", str(port)]
    server = subprocess.Popen(
        [*command, "--env-manager", "local"], cwd=tmp_path, env=ENVIRONMENT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1).close()
                break
            except OSError:
                assert server.poll() is None
                signal.sigtimedwait([], 0.2)
        for form in FORMS:
            assert len(json.loads(posted(port, cars[:2], form))["predictions"]) == 2
        with pytest.raises(urllib.error.HTTPError) as refused:
            posted(port, cars[:2].assign(safety=["low", "hihg"]), "dataframe_split")
        assert refused.value.code == 400
        assert json.load(refused.value)["message"] == BAD
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.mark.exhaustive
def test_mlflow_writes_a_container_that_installs_what_the_model_names(model, record, tmp_path):
    """As far as it goes without docker: its context, and its call of pip, which here only notes."""
    command = ["mlflow", "models", "generate-dockerfile", "-m", str(model), "-d", "image"]
    subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, check=True, capture_output=True)
    dockerfile = (tmp_path / "image" / "Dockerfile").read_text()
    versions = record.head.lineage.versions
    assert f"FROM python:{versions['python']}-slim" in dockerfile
    assert "COPY model_dir/model /opt/ml/model" in dockerfile
    copied = tmp_path / "image" / "model_dir" / "model"
    assert {p.name for p in copied.iterdir()} >= {*model_files(record)}

    pip = tmp_path / "pip"
    pip.mkdir()
    (pip / "__main__.py").write_text("import sys; print(*sys.argv[1:])")
    code = (
        "from mlflow.models import container as C\n"
        f"C._install_model_dependencies_to_env({str(copied)!r}, 'local')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, check=True, text=True,
        capture_output=True, env={**ENVIRONMENT, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    pinned = {f"{name}=={versions[name]}" for name in ("mlflow", "numpy", "pandas", "pyarrow")}
    assert pinned <= {*done.stdout.split()}


# --- what a server says is never run -------------------------------------------------------------

RUNS_CODE = {"load_model", "eval", "exec", "pickle", "cloudpickle", "joblib", "unsafe_load"}


def test_no_command_runs_code_that_a_server_has():
    """H03."""
    used = {
        (path.name, name)
        for room in ("nn", "pipeline")
        for path in (PROJECT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in names_of(node)
    }
    assert ("registry.py", "get_model_version_by_alias") in used  # the control: names are found
    restricted = {("packed.py", "pickle")}  # its tests show what it refuses
    assert {each for each in used if each[1] in RUNS_CODE} == restricted
    assert not {each for each in used if each[1] in ("allow_pickle=True", "shell=True")}


def names_of(node: ast.AST) -> list[str]:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return [name]
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return [alias.name.partition(".")[0] for alias in names]
        case ast.keyword(arg=str(name), value=ast.Constant(value=value)):
            return [f"{name}={value}"]
    return []
