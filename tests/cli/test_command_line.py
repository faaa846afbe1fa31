"""The commands as a person types them, in a copy of the project and processes of their own."""

import csv
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import copy_project, launch, start

from pipeline.files import PROJECT
from pipeline.stages.read import car

QUICK = "train.epochs=30"
ENDLESS = "train.epochs=1000000"
PATIENCE_S = 100  # on a machine that is busy with other tests


@pytest.fixture(scope="module")
def copied(tmp_path_factory, store_template) -> Path:
    """A copy of the project with a fresh store, under a name with a space and a letter of Greek."""
    folder = tmp_path_factory.mktemp("with a space and λ") / "project"
    copy_project(folder, store_template)
    (folder / "data" / "car.data").unlink()
    return folder


@pytest.fixture(scope="module")
def first(copied) -> tuple[int, str, str]:
    """The first run in that copy."""
    return launch(copied, QUICK)


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_under_way(process: subprocess.Popen[str]) -> bool:
    """Whether the run has started its publisher, and so listens to signals."""
    return bool(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())


def records(folder: Path) -> set[Path]:
    return set((folder / "runs").glob("*/result.json"))


def test_a_first_run_in_a_fresh_folder_makes_its_table_and_its_record(first, copied):
    """F12: under a path with spaces and letters that are not ASCII."""
    code, out, err = first
    assert (code, err) == (0, "written: data/car.data\n")
    assert (copied / "data" / "car.data").read_bytes() == car.content()
    assert re.search(r"Next +open runs/[0-9a-f]{32}/report\.html, or make ui\n", out)


def test_results_are_their_owners_alone(first, copied):
    """H05: no file that a run makes can be read by others, whatever the umask."""
    made = [*(copied / "runs").rglob("*"), *(copied / "mlartifacts").rglob("*")]
    assert len(made) > 15
    for path in made:
        assert path.stat().st_mode & 0o077 == 0, path


def test_nothing_of_hydra_is_left_behind(first, copied):
    assert {path.name for path in copied.iterdir()} <= {
        "nn", "pipeline", "conf", "data", "runs", "mlflow.db", "mlartifacts", ".mlflow.db.lock",
        "README.md",
    }  # fmt: skip


@pytest.mark.exhaustive
def test_another_process_in_another_folder_gives_equal_bits(first, copied, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", QUICK],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(copied)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "bit-identical to run" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["train.epocs=5"], 2, "did you mean train.epochs?"),
        (["-m", "seed=1,x"], 2, "got 'x' (in 1 of 2 jobs, number 1"),
        (["data.path=nowhere.csv", "data.sha256=null"], 3, "nowhere.csv"),
        (["predict", "--run", "ffffffff", "--input", "a.csv", "--output", "b.csv"], 2, "RUN must"),
    ],
)
def test_a_refusal_is_short_and_has_its_exit_code_and_no_traceback(copied, words, code, said):
    got, out, err = launch(copied, *words)
    assert got == code
    assert said in err
    assert "Traceback" not in err + out
    assert len(err) <= 2000


@pytest.mark.parametrize("words", [["--help"], ["--cfg", "job"]])
def test_help_is_given_without_a_run(copied, words):
    before = records(copied)
    code, out, err = launch(copied, *words)
    assert (code, err) == (0, "")
    assert "key=value" in out or "seed" in out
    assert records(copied) == before


@pytest.mark.parametrize("name", ["SIGTERM", pytest.param("SIGINT", marks=pytest.mark.exhaustive)])
def test_a_signal_from_outside_leaves_a_killed_run(first, copied, name):
    """C05, C07: the exit code of the process is 128 + n."""
    number = signal.Signals[name]
    before = records(copied)
    process = start(copied, ENDLESS, f"seed={int(number)}")
    wait_until(lambda: is_under_way(process))
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + number, err
    assert f"run KILLED: ended by {name}" in err
    (new,) = records(copied) - before
    assert '"status": "KILLED"' in new.read_text()


@pytest.mark.exhaustive
def test_a_second_signal_ends_the_process_at_once(first, copied):
    """C07: the first one leaves it publishing to a server that never answers."""
    before = records(copied)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"tracking.uri=http://127.0.0.1:{silent.getsockname()[1]}"
        process = start(copied, ENDLESS, "seed=99", "tracking=server", uri)
        wait_until(lambda: is_under_way(process))
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: records(copied) - before)
        time.sleep(0.5)
        assert process.poll() is None  # the control: it would go on
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=5)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.exhaustive
def test_secrets_reach_no_file_and_no_message(first, copied):
    """H04: planted in the environment, an override, an address and an exception."""
    secret = "hunter2swordfish"
    code, out, err = launch(
        copied, QUICK, "seed=77", "tracking=server",
        f"tracking.uri=http://me:{secret}@127.0.0.1:9",
        MLFLOW_TRACKING_PASSWORD=secret, MY_TOKEN=secret,
    )  # fmt: skip
    assert code == 5
    assert "make sync" in err
    nowhere = f"data.path=/nowhere/{secret}.csv"
    code, more, errors = launch(copied, QUICK, nowhere, "data.sha256=null", MY_TOKEN=secret)
    assert code == 3
    assert secret not in out + err + more + errors
    searched = [path for path in copied.rglob("*") if path.is_file()]
    assert len(searched) > 100
    assert not [path for path in searched if secret.encode() in path.read_bytes()]


def test_a_prediction_is_the_models_on_rows_in_their_order(first, copied, tmp_path):
    rows = car.rows()[::-37]
    (tmp_path / "new.csv").write_text("".join(",".join(row[:6]) + "\n" for row in rows))
    words = ["--input", str(tmp_path / "new.csv"), "--output", str(tmp_path / "o.csv")]
    assert launch(copied, "predict", *words)[::2] == (0, "")
    with (tmp_path / "o.csv").open() as file:
        scored = list(csv.DictReader(file))
    assert [tuple(row.values())[:6] for row in scored] == [row[:6] for row in rows]
    assert {row["decision"] for row in scored} == {"0", "1"}
    for row in scored:
        assert (float(row["probability"]) >= 0.5) == (row["decision"] == "1")


def test_a_prediction_refuses_a_row_by_line_column_and_rule_and_writes_nothing(
    first, copied, tmp_path
):
    (tmp_path / "new.csv").write_text("high,high,2,4,big,low\nhigh,high,2,4,big,lowww\n")
    words = ["--input", str(tmp_path / "new.csv"), "--output", str(tmp_path / "o.csv")]
    code, _, err = launch(copied, "predict", *words)
    assert code == 3
    assert "column safety" in err
    assert "lowww" in err
    assert re.search(r"lines? 2", err)
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.exhaustive
def test_the_readmes_table_of_ones_own_works_as_it_is_written(tmp_path, store_template):
    """README, "Your own table": the YAML is taken from there word by word."""
    project = copy_project(tmp_path / "project", store_template)
    text = (PROJECT / "README.md").read_text()
    yaml = re.search(r"conf/data/loans.yaml.*?```yaml\n(.*?)```", text, re.DOTALL).group(1)
    assert len(yaml.splitlines()) <= 11
    (project / "conf" / "data" / "loans.yaml").write_text(yaml)
    lines = ["customer;purpose;housing;income;age;applied;defaulted"]
    for i in range(400):
        housing = ("own", "rent", "free", "")[i % 4]
        income = "" if i % 9 == 0 else str(1000 + 37 * (i % 61))
        risky = (i * 7 + (i % 4 == 1) * 300 - (i % 61) * 9) % 400 < 120
        row = [f"c{i}", ("car", "home", "tour")[i % 3], housing, income, str(18 + i % 60)]
        row.append(f"{1 + i % 28:02}.{1 + i % 12:02}.2024")
        lines.append(";".join([*row, "yes" if risky else "no"]))
    (project / "data").mkdir(exist_ok=True)
    (project / "data" / "loans.csv").write_text("\n".join(lines) + "\n")
    code, out, err = launch(project, "data=loans")
    assert (code, err) == (0, "")
    assert "400 rows" in out
    assert "missing values" in out
    (tmp_path / "new.csv").write_text("\n".join(lines[:5]) + "\n")
    words = ["--input", str(tmp_path / "new.csv"), "--output", str(tmp_path / "o.csv")]
    assert launch(project, "predict", *words)[::2] == (0, "")
    with (tmp_path / "o.csv").open() as file:
        assert [row["customer"] for row in csv.DictReader(file)] == ["c0", "c1", "c2", "c3"]


def test_the_readme_shows_what_make_run_prints(first, copied):
    """Every line of its block, in order; "…" stands for lines and characters left out."""
    code, out, _ = launch(copied, "evaluate.bootstrap=200")
    assert code == 0
    text = (PROJECT / "README.md").read_text()
    block = re.search(r"```text\n(One neuron on.*?)```", text, re.DOTALL).group(1)
    shown = [line for line in block.splitlines() if line.strip() not in ("", "…")]
    told = iter(out.splitlines())
    for line in shown:
        # Identities differ with the code, and the last digits of a norm near 0 with the processor.
        known = re.split(r"(?<=gradient norm )|(?<=runs/)|(?<=run )", line)[0]
        assert any(other.startswith(known) for other in told), line
    assert len(shown) > 20


@pytest.mark.exhaustive
def test_a_drafted_contract_runs_as_it_is_and_is_not_overwritten(copied):
    """From a file elsewhere to a run, without an edit."""
    folder = copied.parent
    rows = [f"{20 + i % 50},{'abc'[i % 3]},{'yes' if i * 7 % 10 < 3 else 'no'}" for i in range(300)]
    (folder / "two words.csv").write_text("age,kind,answer\n" + "\n".join(rows) + "\n")
    words = ["contract", "--input", str(folder / "two words.csv"), "--target", "answer"]
    code, out, err = launch(copied, *words)
    assert (code, err) == (0, "")
    assert "conf/data/two_words.yaml of 300 rows: 1 numeric, 1 categorical" in out
    assert 'make run ARGS="data=two_words"' in out
    draft = (copied / "conf" / "data" / "two_words.yaml").read_bytes()
    code, _, err = launch(copied, *words)
    assert code == 2
    assert "OUTPUT=conf/data/two_words_2.yaml" in err
    assert (copied / "conf" / "data" / "two_words.yaml").read_bytes() == draft
    assert launch(copied, "data=two_words", "train.epochs=2")[0] == 0
