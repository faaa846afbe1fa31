"""A model of every kind of column, and requests to the app that serves it, without a socket."""

import asyncio
import io
import json
import weakref
from typing import Any

import numpy as np
import pandas as pd

from pipeline.config.contract import DataSettings
from pipeline.config.schema import EncodeSettings
from pipeline.serving.app import app as make_app
from pipeline.serving.service import Page, Service
from pipeline.stages.encode import fit_encoder
from pipeline.stages.predict import Model, contract_for_new_rows
from pipeline.stages.validate import Table
from pipeline.stages.validate.convert import convert
from pipeline.stages.validate.values import column_values

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"kind": "ignored"},
    "colour": {"kind": "categorical"},
    "code": {"kind": "categorical", "categories": ["1", "2", "3"]},
    "size": {"kind": "categorical", "categories": ["s", "m", "l"], "missing": "input"},
    "x": {"kind": "numeric", "minimum": 0, "maximum": 100, "spline": 3},
    "w": {"kind": "numeric", "missing": "input", "bins": [1.0, 2.0]},
    "ok": {"kind": "boolean"},
    "flag": {"kind": "boolean", "missing": "input"},
    "day": {"kind": "date", "parts": ["month", "weekday"]},
    "seen": {"kind": "date", "format": "%d.%m.%Y", "parts": ["days"], "missing": "input"},
    "who": {"kind": "group"},
}
NO_PAGE = Page(lambda _: "", {}, {})
GOOD: dict[str, str] = {
    "colour": "red", "code": "1", "size": "s", "x": "1.5", "w": "0.5", "ok": "true",
    "flag": "no", "day": "2024-02-29", "seen": "31.12.2023",
}  # fmt: skip


def make_contract(columns: dict[str, dict[str, Any]] | None = None, **form: Any) -> DataSettings:
    target = {"name": "class", "positive": ["yes"]}
    tree = {"name": "t", "path": "t.csv", "target": target, "columns": columns or COLUMNS}
    return DataSettings.parse(tree | form)


def make_model(
    data: DataSettings | None = None, n: int = 300, unseen: str = "refuse", **encode: Any
) -> Model:
    """A model with weights at random, whose encoder has seen every good value."""
    data = data or make_contract()
    rng = np.random.default_rng(0)
    days = pd.date_range("2023-01-01", periods=n)
    cells = {
        "colour": np.array(["red", "blue", "Ünïcode"])[np.arange(n) % 3],
        "code": np.array(["1", "2", "3"])[np.arange(n) % 3],
        "size": np.array(["s", "m", "l", ""])[np.arange(n) % 4],
        "x": rng.uniform(0, 100, n).round(3).astype(str),
        "w": np.where(np.arange(n) % 5, rng.uniform(0, 3, n).round(2).astype(str), ""),
        "ok": np.array(["true", "no"])[np.arange(n) % 2],
        "flag": np.array(["yes", "f", ""])[np.arange(n) % 3],
        "day": days.strftime("%Y-%m-%d"),
        "seen": np.where(np.arange(n) % 7, days.strftime("%d.%m.%Y"), ""),
    }
    frame = pd.DataFrame({name: cells[name] for name in data.features}, dtype="str")
    rows = convert(frame, column_values(frame, data), data)
    table = Table(rows, np.arange(n) % 2.0, np.ones(n, np.int64))
    encoder = fit_encoder(table, EncodeSettings(unseen=unseen, **encode), data)
    theta = rng.normal(size=len(encoder.inputs) + 1)
    return Model(contract_for_new_rows(data, encoder), encoder, theta, 0.5)


class Client:
    """Requests to the app, one after the other, in one event loop."""

    def __init__(self, model: Model | None = None, *, app: Any = None, **how: bool) -> None:
        self.model = model or make_model()
        self.runner = asyncio.Runner()
        weakref.finalize(self, self.runner.close)
        self.app = app or make_app(Service(self.model, NO_PAGE, **how))

    def ask(
        self, body: Any = b"", path: str = "/invocations", kind: str | None = JSON,
        method: str = "POST", is_whole: bool = True, **headers: str,
    ) -> tuple[int, dict[str, str], bytes]:  # fmt: skip
        """Status, headers and body of the answer; what is no bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-length": str(len(content)), **({"content-type": kind} if kind else {})}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        path, _, query = path.partition("?")
        scope = {
            "type": "http", "http_version": "1.1", "method": method, "path": path,
            "raw_path": path.encode(), "query_string": query.encode(), "scheme": "http",
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in sent.items()],
            "server": ("127.0.0.1", 5001), "client": ("127.0.0.1", 1), "root_path": "",
        }  # fmt: skip
        return self.runner.run(self._asked(scope, content, is_whole))

    async def _asked(self, scope: Any, content: bytes, is_whole: bool) -> tuple[int, Any, bytes]:
        parts = [content[at : at + 2**16] for at in range(0, max(len(content), 1), 2**16)]
        answer: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if not parts:
                await asyncio.sleep(3600)  # the client waits for its answer
            return {
                "type": "http.request",
                "body": parts.pop(0),
                "more_body": bool(parts) or not is_whole,
            }

        async def send(message: dict[str, Any]) -> None:
            answer.append(message)

        await self.app(scope, receive, send)
        headers = {k.decode(): v.decode() for k, v in answer[0]["headers"]}
        body = b"".join(part.get("body", b"") for part in answer[1:])
        return answer[0]["status"], headers, body

    def predictions(self, body: Any, **how: Any) -> list[dict[str, Any]]:
        status, _, answer = self.ask(body, **how)
        assert status == 200, answer
        return json.loads(answer)["predictions"]

    def refusal(self, body: Any, status: int = 400, **how: Any) -> str:
        """The message of an answer that refuses, which keeps every promise of one."""
        got, headers, answer = self.ask(body, **how)
        assert got == status, (got, answer)
        return refusal_of(headers, answer)


def refusal_of(headers: dict[str, str], answer: bytes) -> str:
    assert len(answer) <= 2048
    assert headers["content-type"] == JSON
    assert headers["x-content-type-options"] == "nosniff"
    tree = json.loads(answer)
    assert [*tree] == ["error_code", "message"]
    assert "Traceback" not in tree["message"]
    assert "/tmp" not in tree["message"]
    assert tree["message"]
    return tree["message"]


def in_csv(rows: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    frame = pd.DataFrame(rows)
    return frame.to_csv(index=False, sep=delimiter).encode()


def in_parquet(frame: pd.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.to_parquet(out)
    return out.getvalue()
