"""Sweeps as a person starts them: in a copy of the project, in processes of their own."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

from projects import STRICT

from pipeline import car
from pipeline.paths import PROJECT

QUICK = "train.epochs=5"


def copy_project(folder: Path, store: Path | None) -> Path:
    """The project in ``folder``, with its table and a fresh store where one is given."""
    for name in ("nn", "pipeline", "conf"):
        shutil.copytree(PROJECT / name, folder / name)  # compiled files too: they save seconds
    if store is not None:
        shutil.copy2(store, folder / "mlflow.db")
    (folder / "data").mkdir()
    (folder / "data" / "car.data").write_bytes(car.content())
    return folder


def sabotage(folder: Path, acts: dict[int, str]) -> None:
    path = folder / "pipeline" / "stages" / "train.py"
    lines = [f"    if seed == {seed}:\n        {act}\n" for seed, act in acts.items()]
    source = path.read_text()
    place = source.index("    start_rng, batch_rng")
    imports = "    import os, signal, sys, time\n"
    path.write_text(source[:place] + imports + "".join(lines) + source[place:])


def start(
    folder: Path, *words: str, command: tuple[str, ...] = (), **more
) -> subprocess.Popen[str]:
    odd = ("MLFLOW", "HYDRA", "PYTHONDONTWRITEBYTECODE")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(odd)}
    environment = {**kept, "PYTHONPATH": str(folder), **STRICT, **more.pop("env", {})}
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *(command or ("-m", QUICK)), *words],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        **more,
    )  # fmt: skip


def launch(folder: Path, *words: str, **more) -> tuple[int, str, str]:
    process = start(folder, *words, **more)
    out, err = process.communicate(timeout=250)
    return process.returncode, out, err


def seeds_done(folder: Path) -> set[int]:
    return {tree["seed"] for tree in configs(folder, "FINISHED")}


def configs(folder: Path, status: str) -> list[dict]:
    return [
        json.loads((path.parent / "config.json").read_bytes())
        for path in (folder / "runs").glob("*/result.json")
        if json.loads(path.read_bytes())["status"] == status
    ]


def weights(folder: Path) -> dict[str, bytes]:
    return {p.parent.name: p.read_bytes() for p in (folder / "runs").glob("*/weights.npz")}


def statuses(folder: Path) -> list[tuple[str, str, str]]:
    """(kind, identity, status) of every run in MLflow."""
    with sqlite3.connect(folder / "mlflow.db") as store:
        return store.execute(
            "select coalesce(k.value, ''), coalesce(t.value, ''), r.status from runs r "
            "left join tags t on t.run_uuid = r.run_uuid and t.key = 'oneuron.identity' "
            "left join tags k on k.run_uuid = r.run_uuid and k.key = 'oneuron.kind'"
        ).fetchall()


def points(folder: Path) -> list[tuple]:
    with sqlite3.connect(folder / "mlflow.db") as store:
        return store.execute(
            "select t.value, m.key, m.step, m.value from metrics m join tags t on "
            "t.run_uuid = m.run_uuid and t.key = 'oneuron.identity' order by 1, 2, 3, 4"
        ).fetchall()
