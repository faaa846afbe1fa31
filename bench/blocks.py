"""``python -m bench.blocks [rows]``: numbers that do not repeat, trained block by block.

Beside a bare scan of the same columns by the same threads, DuckDB's sum of all of them, and
scikit-learn on as many rows as fit in memory. Each rival has a process of its own.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from pipeline.files import PROJECT

N_ROWS = 2_000_000
D = 20
GROUP = 122_880  # rows of a row group, as DuckDB writes them
FITS = 5_000_000  # rows that scikit-learn gets, at most
L2 = 1e-6
GOAL, MEMORY = 2.5, 1000  # times the scan, MB

TIMED = """
import json, sys, time
import numpy as np
def peak():
    with open("/proc/self/status") as status:  # ru_maxrss may be that of the parent
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
def tell(**figures):
    print(json.dumps(figures), flush=True)
path, n, d, l2 = sys.argv[1], *map(eval, sys.argv[2:5])
names = [f"x{j}" for j in range(d)]
"""
OURS = """
from pipeline.config.schema import RunConfig
from pipeline.run import learn, prepare
from pipeline.stages.blocks import read_table
target = {"name": "y", "positive": ["yes"], "negative": ["no"]}
data = {"name": "t", "path": path, "target": target, "max_bytes": 2**50}
data["columns"] = {name: {"kind": "numeric"} for name in names}
config = RunConfig.parse({
    "seed": 0, "data": data, "split": {"name": "stratified"}, "encode": {}, "evaluate": {},
    "optimiser": {"name": "newton"}, "train": {"epochs": 50, "l2": l2}})
begun = time.perf_counter()
outcome = learn(prepare(config), config)
seconds, passes = time.perf_counter() - begun, outcome.prepared.train.rows.passes
scan = []
for _ in range(3):
    begun = time.perf_counter()
    sum(outcome.prepared.train.rows.map(lambda piece: piece.batch.num_rows))
    scan.append(time.perf_counter() - begun)
    passes.pop()
tell(seconds=seconds, passes=passes, scan=sorted(scan)[1], peak=peak(),
     verdict=outcome.certificate.text, bound=outcome.certificate.bound,
     auc=outcome.evaluation.metrics["roc_auc"], epochs=len(outcome.trained.curve["epoch"]) - 1)
"""
DUCKDB = """
import duckdb
sums = ", ".join(f"sum({name})" for name in names)
duckdb.execute("SET enable_progress_bar = false")
begun = time.perf_counter()
duckdb.sql(f"SELECT {sums} FROM read_parquet('{path}')").fetchall()
tell(seconds=time.perf_counter() - begun, peak=peak())
"""
SKLEARN = """
import pyarrow.parquet as pq
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.preprocessing import StandardScaler
file, held, rows = pq.ParquetFile(path), [], 0
for i in range(file.metadata.num_row_groups):
    if rows < n:
        held.append(file.read_row_group(i).to_pandas())
        rows += len(held[-1])
import pandas as pd
table = pd.concat(held, ignore_index=True)[:n]
y = (table.pop("y") == "yes").to_numpy(float)
X = StandardScaler().fit_transform(table.to_numpy())
def objective(w, b):
    z = X @ w + b
    return float(np.mean(np.logaddexp(0, np.where(y == 1, -z, z))) + l2 / 2 * w @ w)
for name, model in (
    ("lbfgs", LogisticRegression(C=1 / (n * l2), tol=1e-8, max_iter=1000)),
    ("SGD", SGDClassifier(loss="log_loss", alpha=l2, random_state=0)),
):
    begun = time.perf_counter()
    model.fit(X, y)
    seconds = time.perf_counter() - begun
    tell(name=name, seconds=seconds, objective=objective(model.coef_[0], model.intercept_[0]),
         rows=n, passes=int(model.n_iter_ if name == "SGD" else model.n_iter_[0]), peak=peak())
from nn import Examples, newton
best = newton(np.zeros(d + 1), Examples(X, y, np.ones(n)), l2)
tell(name="optimum", objective=best.objective)
"""


def main(n_rows: int = N_ROWS) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        write_table(path, n_rows)
        print(f"{n_rows:,} rows of {D} numbers: {path.stat().st_size / 1e6:,.0f} MB of parquet")
        (ours,) = _python(OURS, path, n_rows)
        passes, scan = ours["passes"], ours["scan"]
        median = float(np.median(passes))
        ratio = median / scan
        print(
            f"  in blocks      {ours['seconds']:8.1f} s: {len(passes)} passes of {median:.2f} s "
            f"({min(passes):.2f} to {max(passes):.2f}), {ours['epochs']} of them steps; "
            f"{ours['peak']:,.0f} MB (goal {MEMORY}: {_met(ours['peak'] <= MEMORY)})"
        )
        print(f"                 {ours['verdict']}, proven to {ours['bound']:.1e} nats")
        print(f"  bare scan      {scan:8.2f} s by pyarrow; a pass is {ratio:.2f} times that "
              f"(goal {GOAL}: {_met(ratio <= GOAL)})")  # fmt: skip
        (theirs,) = _python(DUCKDB, path, n_rows)
        print(f"  DuckDB's sums  {theirs['seconds']:8.2f} s; {theirs['peak']:,.0f} MB")
        *fits, best = _python(SKLEARN, path, min(n_rows, FITS))
        for fit in fits:
            above = fit["objective"] - best["objective"]
            print(
                f"  scikit-learn   {fit['seconds']:8.1f} s: {fit['name']} on {fit['rows']:,} rows "
                f"in memory, {fit['passes']} passes, {above:.1e} nats above the optimum; "
                f"{fit['peak']:,.0f} MB"
            )


def write_table(path: Path, n_rows: int) -> None:
    """Write rows of normal numbers, and a target that depends on all of them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    weights = rng.normal(size=D) / np.sqrt(D) * 1.5
    names = [f"x{j}" for j in range(D)]
    schema = pa.schema([*((name, pa.float64()) for name in names), ("y", pa.string())])
    with pq.ParquetWriter(path, schema, use_dictionary=["y"]) as file:
        for first in range(0, n_rows, GROUP):
            X = rng.normal(size=(min(GROUP, n_rows - first), D))
            y = rng.random(len(X)) < 1 / (1 + np.exp(0.3 - X @ weights))
            cells = [*(X * np.arange(1, D + 1) + np.arange(D)).T, np.where(y, "yes", "no")]
            file.write_table(pa.table(cells, schema=schema), row_group_size=GROUP)


def _python(code: str, path: Path, n: int) -> list[dict]:
    """Return what the code tells."""
    command = [sys.executable, "-W", "ignore", "-c", TIMED + code, *map(str, (path, n, D, L2))]
    run = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def _met(is_met: bool) -> str:
    return "met" if is_met else "NOT met"


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
