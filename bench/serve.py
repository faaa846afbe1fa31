"""``python -m bench.serve``: how fast a served model answers, beside a stub in MLflow's server.

Both servers are processes of their own; requests take turns, so that what slows one slows both.
"""

import contextlib
import http.client
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

REQUESTS, ROWS = 300, 1_000_000
GOAL, ROWS_PER_S = 1.5, 100_000
STUB = """
import sys, socket, uvicorn, mlflow, pandas as pd
from mlflow.pyfunc import scoring_server

class Stub(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return pd.DataFrame({"probability": [0.5] * len(model_input)})

mlflow.pyfunc.save_model(sys.argv[1], python_model=Stub(), pip_requirements=[])
app = scoring_server.init(mlflow.pyfunc.load_model(sys.argv[1]))
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(f"http://127.0.0.1:{port}/", flush=True)

Server(uvicorn.Config(app, port=port, log_level="critical")).run()
"""
JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        ran = subprocess.run(
            [sys.executable, "-m", "pipeline"], check=True, capture_output=True, text=True
        )
        run = re.findall(r"^Record +runs/(\w{12})", ran.stdout, re.MULTILINE)[0]  # the cars
        words = ("-m", "pipeline", "serve", "--run", run, "--port", "0")
        own, printed = stack.enter_context(_server(*words))
        stub, _ = stack.enter_context(_server("-c", STUB, f"{folder}/stub"))
        row = json.loads(re.findall(r"-d '(.*)'", printed)[0])["dataframe_records"][0]
        _one_row(row, {"oneuron": own, "a stub in MLflow's server": stub})
        _million([*row], [*map(str, row.values())], own, Path(folder))


@contextlib.contextmanager
def _server(*words: str) -> Iterator[tuple[http.client.HTTPConnection, str]]:
    """A connection to a server that prints its address, and what it has printed."""
    process = subprocess.Popen(
        [sys.executable, "-u", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        printed = ""
        while not (found := re.search(r"http://([\d.]+):(\d+)/(?s:.*)\n", printed)) or (
            words[0] == "-m" and "Ctrl-C" not in printed
        ):
            line = process.stdout.readline()
            if not line:
                raise SystemExit("a server must start; got its end")
            printed += line
        yield http.client.HTTPConnection(found[1], int(found[2]), timeout=600), printed
    finally:
        process.terminate()
        process.wait()


def _ask(to: http.client.HTTPConnection, body: bytes, kind: str, accept: str = JSON) -> bytes:
    to.request("POST", "/invocations", body, {"Content-Type": kind, "Accept": accept})
    answer = to.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise SystemExit(f"request must be answered; got {answer.status}: {content[:300]}")
    return content


def _one_row(row: dict[str, object], servers: dict[str, http.client.HTTPConnection]) -> None:
    body = json.dumps({"dataframe_records": [row]}).encode()
    seconds: dict[str, list[float]] = {name: [] for name in servers}
    for i in range(REQUESTS + 20):
        for name, server in servers.items():
            start = time.perf_counter()
            _ask(server, body, JSON)
            if i >= 20:
                seconds[name].append(time.perf_counter() - start)
    print(f"One row as JSON, {REQUESTS} requests in turns over one connection each")
    for name, times in seconds.items():
        p95 = statistics.quantiles(times, n=20)[-1]
        print(
            f"  {name:28}{1e3 * statistics.median(times):8.2f} ms   95 % below {1e3 * p95:.2f} ms"
        )
    own, stub = seconds.values()
    ratio = statistics.median(a / b for a, b in zip(own, stub, strict=True))
    print(f"  ratio {ratio:.2f} (goal {GOAL}: {'met' if ratio <= GOAL else 'NOT met'})")


def _million(
    names: list[str], cells: list[str], server: http.client.HTTPConnection, folder: Path
) -> None:
    import pandas as pd

    draw = random.Random(0)
    print(f"\n{ROWS:,} rows of {len(names)} columns, the answer as CSV")
    frame = pd.DataFrame({name: [cell] * ROWS for name, cell in zip(names, cells, strict=True)})
    frame = frame.sample(frac=1, random_state=draw.randrange(2**31))
    rows = {"columns": names, "data": frame.to_numpy().tolist()}
    frame.to_parquet(folder / "rows.parquet")
    bodies = {
        CSV: frame.to_csv(index=False).encode(),
        PARQUET: (folder / "rows.parquet").read_bytes(),
        JSON: json.dumps({"dataframe_split": rows}).encode(),
    }
    for kind, body in bodies.items():
        server.close()  # the server has, meanwhile
        start = time.perf_counter()
        _ask(server, body, kind, CSV)
        per_s = ROWS / (time.perf_counter() - start)
        goal = f" (goal {ROWS_PER_S:,}: {'met' if per_s >= ROWS_PER_S else 'NOT met'})"
        print(f"  {kind:32}{len(body) / 1e6:6.1f} MB {per_s:10,.0f} rows/s{goal * (kind != JSON)}")


if __name__ == "__main__":
    main()
