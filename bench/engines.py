"""``python -m bench.engines [ROWS]``: one table, counted in each engine that is here.

Each is asked in a process of its own, twice: the first time with its imports and its start. CPU
time and memory are those of the process and its children; to PostgreSQL's, CPU time of the server
is added. The digest is of every cell and count: where one differs, something else was counted.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
ECOSYSTEM = PROJECT / ".venv-ecosystem" / "bin" / "python"
ROWS = 3_000_000
COLUMNS = {
    "region": {"kind": "categorical"},
    "plan": {"kind": "categorical"},
    "visits": {"kind": "numeric"},
    "price": {"kind": "numeric"},
    "member": {"kind": "boolean"},
    "since": {"kind": "date", "parts": ["month"]},
}
# 4 x 3 x 6 x 4 x 2 x 3 values and two classes: 3,456 distinct rows.
TABLE = """
SELECT ['north', 'south', 'east', 'west'][1 + h % 4] AS region,
       ['a', 'b', 'c'][1 + (h // 4) % 3] AS plan, CAST((h // 12) % 6 AS INTEGER) AS visits,
       CAST(0.1 * ((h // 72) % 4) AS DOUBLE) AS price, (h // 288) % 2 = 0 AS member,
       DATE '2026-01-01' + CAST((h // 576) % 3 AS INTEGER) * 40 AS since,
       (h // 1728) % 3 = 0 AS bought
FROM (SELECT CAST(hash(range) // 16 AS BIGINT) AS h FROM range({n}))
"""


def main(n: int) -> None:
    """Make the table, have each engine count it, and print what it took."""
    with tempfile.TemporaryDirectory(prefix="oneuron-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        size = _make(folder, n)
        print(f"{n:,} rows x 7 columns, parquet of {size / 2**20:.1f} MB, {os.cpu_count()} cores\n")
        print(f"{'':24}first, s  second, s  CPU ns per row    MB  digest")
        for label, python, data in _places(folder):
            found = _ask(python, data)
            if "error" in found:
                print(f"{label:24}{found['error']}")
                continue
            first, second = found["seconds"]
            print(
                f"{label:24}{first:8.2f}  {second:9.2f}  {1e9 * found['cpu'][1] / n:14.0f}  "
                f"{found['mb']:4.0f}  {found['digest'][:12]}, {found['n_distinct']:,} distinct",
                flush=True,
            )


def _make(folder: Path, n: int) -> int:
    import duckdb

    parquet = folder / "table.parquet"
    with duckdb.connect(str(folder / "table.duckdb")) as db:
        db.execute("SET enable_progress_bar = false")
        db.execute(f"CREATE TABLE customers AS {TABLE.format(n=n)}")
        db.execute(f"COPY customers TO '{parquet}' (FORMAT parquet)")
        db.execute(f"COPY customers TO '{folder}/table.csv' (FORMAT csv)")
    folder.chmod(0o755)  # PostgreSQL is another user
    return parquet.stat().st_size


def _places(folder: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the name, the interpreter and the place of the table of each engine."""
    own, parquet = sys.executable, str(folder / "table.parquet")
    yield "parquet, no engine", own, {"path": parquet}
    yield "duckdb, its table", own, _source("duckdb", connect=f"{folder}/table.duckdb")
    yield "duckdb, parquet", own, _source("duckdb", path=parquet)
    yield "polars, parquet", own, _source("polars", path=parquet)
    yield "sail, parquet", own, _source("sail", path=parquet)
    with _postgres(folder) as served:
        if served:
            address, server = served
            place = _source("postgres", connect=address)
            yield "postgres, its table", own, place | {"server": server}
    if ECOSYSTEM.exists():
        yield (
            "spark on java, parquet",
            str(ECOSYSTEM),
            _source("spark", connect="local[*]", path=parquet),
        )


def _source(engine: str, **more: str) -> dict[str, Any]:
    what = {} if "path" in more else {"table": "customers"}
    return {"source": {"engine": engine, **what, **more}}


@contextmanager
def _postgres(folder: Path) -> Iterator[tuple[str, int] | None]:
    """Serve the table from PostgreSQL: its address and process; None where it is not installed."""
    from pipeline.errors import PipelineError
    from pipeline.tracking.postgres import cluster

    with tempfile.TemporaryDirectory(prefix="pg-", dir="/var/tmp") as name:
        try:
            with cluster(Path(name) / "pg") as (uri, process):
                address = uri.replace("+psycopg", "")
                _copy(address, folder / "table.csv")
                yield address, process.pid
        except PipelineError as refusal:
            print(f"{'postgres':24}{refusal}")
            yield None


def _copy(address: str, path: Path) -> None:
    import psycopg

    with psycopg.connect(address) as db, path.open("rb") as csv:
        db.execute(
            "CREATE TABLE customers (region text, plan text, visits integer, price float8, "
            "member boolean, since date, bought boolean)"
        )
        with db.cursor().copy("COPY customers FROM STDIN CSV HEADER") as copy:
            while chunk := csv.read(2**20):
                copy.write(chunk)


def _ask(python: str, place: dict[str, Any]) -> dict[str, Any]:
    """Return what a process of its own says of the table."""
    done = subprocess.run(
        [python, "-m", "bench.engines", "--count", json.dumps(place)],
        cwd=PROJECT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["?"])[-1]}
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def count(place: dict[str, Any]) -> None:
    """Count the table twice, and print seconds, megabytes and the digest as JSON."""
    from pipeline.config.contract import DataSettings
    from pipeline.stages.read import read_rows

    roots = {os.getpid(), place.pop("server", os.getpid())}
    target = {"name": "bought", "positive": ["true"]}
    data = DataSettings.parse({"name": "b", "target": target, "columns": COLUMNS, **place})
    seconds, cpu = [], []
    for _ in range(2):
        begun, spent = time.perf_counter(), _spent(roots)[0]
        rows = read_rows(data)
        seconds.append(time.perf_counter() - begun)
        cpu.append(_spent(roots)[0] - spent)
    found = {"seconds": seconds, "cpu": cpu, "mb": _spent({os.getpid()})[1], "digest": rows.digest}
    print(json.dumps(found | {"n_distinct": len(rows.count)}))


def _spent(roots: set[int]) -> tuple[float, float]:
    """Return CPU seconds, and the most memory in MB, of processes and those below them."""
    parents, seconds, most = {}, {}, {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
            ticks = status.with_name("stat").read_text().rpartition(")")[2].split()[11:15]
        except (OSError, ValueError):  # it has ended
            continue
        pid = int(status.parent.name)
        parents[pid] = int(fields["PPid"])
        seconds[pid] = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
        most[pid] = int(fields.get("VmHWM", "0 kB").split()[0]) / 1024
    family = {*roots}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(seconds[pid] for pid in family), sum(most[pid] for pid in family)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--count"]:
        count(json.loads(sys.argv[2]))
    else:
        main(int(sys.argv[1].replace("_", "")) if sys.argv[1:] else ROWS)
