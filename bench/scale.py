"""``python -m bench.scale [rows [rounds [form …]]]``: a long table against DuckDB's count of it.

That is ``SELECT columns, count(*) FROM file GROUP BY ALL``. The rivals take turns, each in a
process of its own that has counted a short table before, so that no import is timed.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

import numpy as np

from bench.whole import copy_project
from pipeline.files import PROJECT
from pipeline.stages.read import car

N_ROWS = 3_000_000
N_ROUNDS = 3
BLOCK = 200_000  # rows that are made at once
NAMES = [*car.ATTRIBUTES, "class"]
SHORT = 10_000  # rows of the table before
MEMORY = 400  # MB, the goal
UNITS = {"seconds": (2, "s"), "cpu": (2, "CPU s"), "peak": (0, "MB")}
Took = dict[str, dict[str, float]]  # by rival, then by the names of UNITS

TIMED = """
import json, sys, time
def timed(name, job):
    begun, cpu = time.perf_counter(), time.process_time()
    job()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    with open("/proc/self/status") as status:  # ru_maxrss may be that of the parent
        peak = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
    print(json.dumps({"name": name, "seconds": seconds, "cpu": cpu, "peak": peak}), flush=True)
"""
DUCKDB = """
import duckdb
import pyarrow
db = duckdb.connect()
db.execute("SET enable_progress_bar = false")
columns, *tables = sys.argv[1:]
short, long = (f"SELECT {columns}, count(*) FROM {table} GROUP BY ALL" for table in tables)
db.sql(short).to_arrow_table()
timed("DuckDB", lambda: db.sql(long).to_arrow_table())
"""
OURS = """
from pipeline.config.compose import configuration
from pipeline.run import prepare
from pipeline.stages.read import read_rows
short, long, sha256, *words = sys.argv[1:]
prepare(configuration([*words, f"data.path={short}", "data.sha256=null"]).run_config())
config = configuration([*words, f"data.path={long}", f"data.sha256={sha256}"]).run_config()
timed("read_rows", lambda: read_rows(config.data))
timed("prepare", lambda: prepare(config))
"""


@dataclass(frozen=True)
class Form:
    """How a table is written, and what each rival has to know of it."""

    name: str
    words: tuple[str, ...] = ()
    columns: str = "*"
    reader: str = "read_csv('{}', all_varchar=true, header=false)"
    is_pinned: bool = False
    goal: float = 1.15


HEADER = ("data.names=null", "data.header=true")
IGNORED = "+data.columns.id={kind: ignored}"  # the number of the row
ID_FIRST = (f"data.names=[id,{','.join(NAMES)}]", IGNORED)
ID_LAST = (f"data.names=[{','.join(NAMES)},id]", IGNORED)
READ_HEADER = "read_csv('{}', all_varchar=true, header=true)"
FORMS = (
    Form("plain"),
    Form("pinned", is_pinned=True),
    Form("header", HEADER, reader=READ_HEADER),
    Form("quoted"),
    Form("id-first", ID_FIRST, "* EXCLUDE column0"),
    Form("id-last", ID_LAST, "* EXCLUDE column7"),
    Form("parquet", reader="read_parquet('{}')", goal=1.1),
)


def main(n_rows: int = N_ROWS, n_rounds: int = N_ROUNDS, *names: str) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        for form in [form for form in FORMS if not names or form.name in names]:
            short, long = (Path(folder) / f"{size}.{form.name}" for size in ("short", "long"))
            _write(form, short, SHORT)
            _write(form, long, n_rows)
            print(f"\n{n_rows:,} rows, {form.name}: {long.stat().st_size / 1e6:,.0f} MB")
            _report(form, [_round(form, short, long) for _ in range(n_rounds)])
            if form.name == "plain":
                _whole(Path(folder), long)
            long.unlink()


def _write(form: Form, path: Path, n: int) -> None:
    """Write n rows that are drawn from the cars."""
    if form.name == "parquet":
        import duckdb

        _write(FORMS[0], path.with_suffix(".csv"), n)
        with duckdb.connect() as db:
            csv = READ_HEADER.replace("header=true", f"header=false, names={NAMES}")
            db.execute(
                f"COPY (FROM {csv.format(path.with_suffix('.csv'))}) TO '{path}' (FORMAT parquet)"
            )
        path.with_suffix(".csv").unlink()
        return
    with path.open("wb") as file:
        if form.name == "header":
            file.write(",".join(NAMES).encode() + b"\n")
        file.writelines(_blocks(form, n))


def _blocks(form: Form, n: int) -> Iterator[bytes]:
    quote = '"' if form.name == "quoted" else ""
    lines = [",".join(f"{quote}{cell}{quote}" for cell in row) + "\n" for row in car.rows()]
    rng = np.random.default_rng(0)
    for first in range(0, n, BLOCK):
        drawn = rng.integers(0, len(lines), min(BLOCK, n - first))
        if form.name == "id-first":
            yield "".join(f"{first + i},{lines[k]}" for i, k in enumerate(drawn)).encode()
        elif form.name == "id-last":
            yield "".join(f"{lines[k][:-1]},{first + i}\n" for i, k in enumerate(drawn)).encode()
        else:
            yield "".join([lines[k] for k in drawn]).encode()


def _round(form: Form, short: Path, long: Path) -> Took:
    """Return what each rival took, by name."""
    sha256 = "null"
    if form.is_pinned:
        with long.open("rb") as file:
            sha256 = file_digest(file, "sha256").hexdigest()
    theirs = [form.reader.format(path) for path in (short, long)]
    printed = _python(DUCKDB, form.columns, *theirs)
    printed += _python(OURS, str(short), str(long), sha256, *form.words)
    return {line.pop("name"): line for line in map(json.loads, printed.splitlines())}


def _python(code: str, *words: str) -> str:
    """Return what the code prints."""
    command = [sys.executable, "-c", TIMED + code, *words]
    return subprocess.run(
        command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def _report(form: Form, rounds: list[Took]) -> None:
    for name in rounds[0]:
        median = {of: statistics.median(each[name][of] for each in rounds) for of in UNITS}
        line = _line(name, median)
        if name != "DuckDB":
            ratios = [
                statistics.median(each[name][of] / each["DuckDB"][of] for each in rounds)
                for of in ("seconds", "cpu")
            ]
            line += "   over DuckDB: {:.2f}, in CPU {:.2f}".format(*ratios)
            if name == "read_rows":  # what preparing takes beside is the same for every length
                is_met = max(ratios) <= form.goal and median["peak"] <= MEMORY
                line += f" (goal {form.goal}: {'met' if is_met else 'NOT met'})"
        print(line, flush=True)


def _line(name: str, took: dict[str, float]) -> str:
    return f"  {name:14}" + "".join(f"{took[of]:8.{d}f} {unit}" for of, (d, unit) in UNITS.items())


def _whole(folder: Path, table: Path) -> None:
    """Print what a whole run on the table takes, in a copy that makes its own store."""
    copy = folder / "oneuron"
    copy_project(copy)
    words = [sys.executable, "-m", "pipeline", f"data.path={table}", "data.sha256=null"]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    begun = time.perf_counter()
    run = subprocess.Popen(
        words, cwd=copy, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(run.pid, 0)  # the largest of its processes
    if status:
        raise RuntimeError(f"{words} must end with 0; got status {status}")
    took = {"seconds": time.perf_counter() - begun, "cpu": used.ru_utime + used.ru_stime}
    print(_line("the whole run", {**took, "peak": used.ru_maxrss / 1024}), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]), *sys.argv[3:])
