"""The model behind HTTP: MLflow's endpoints with the contract in front, and a form for one row."""

from __future__ import annotations

import asyncio
import json
import shlex
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Event
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from pipeline.config.column_settings import Numeric
from pipeline.errors import DataError, leave_on_signals, reason_of
from pipeline.serving.answer import answer
from pipeline.serving.compiled import compile_model
from pipeline.serving.forms import (
    CSV,
    JSON,
    PARQUET,
    Body,
    RequestError,
    csv_blocks,
    json_blocks,
    parquet_blocks,
)
from pipeline.serving.guard import HOST, guarded, listen, own_origins, run
from pipeline.serving.scorer import Scorer
from pipeline.stages.predict import Model
from pipeline.text import bounded, listed, quoted, say

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

MEMORY = 2**20  # bytes of a body beyond which it is in a temporary file
CHUNK = 2**16
LIMITS = {JSON: 100 * 2**20, CSV: 2**30, PARQUET: 2**30}  # bytes of a body
FORM_LIMIT = 2**20
SILENCE_S = 30.0  # of a client in the middle of its request
SMALL_AT_ONCE, LARGE_AT_ONCE = 4, 1  # requests that are scored at the same time
MESSAGE = 2000  # bytes of a refusal
TYPES = {JSON: JSON, CSV: CSV, PARQUET: PARQUET, "application/x-parquet": PARQUET}
UNROUTED = {
    404: ("ENDPOINT_NOT_FOUND", "path must be /, /ping, /health, /version or /invocations"),
    405: ("METHOD_NOT_ALLOWED", "method must be POST for /invocations, and GET for the others"),
}
ON_BAD_ROW = ("refuse", "skip")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with none, the form's own Origin would be null
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}


@dataclass(frozen=True)
class Filled:
    """What was typed into the form, by column, and what came of it.

    ``terms`` are what each attribute adds to the log-odds, the bias last.
    """

    cells: Mapping[str, str]
    faults: Mapping[str, str]
    probability: float | None = None
    decision: int | None = None
    terms: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Page:
    """The form: the page, the cells it opens with, and the files it links to with their types."""

    render: Callable[[Filled], str]
    cells: Mapping[str, str]
    files: Mapping[str, tuple[bytes, str]]


@dataclass(frozen=True)
class How:
    """What a request asks for besides its rows."""

    kind: str
    on_bad_row: str
    as_csv: bool
    limit: int


class Service:
    """A model, and how its requests are answered."""

    def __init__(
        self, model: Model, page: Page, *, skip: bool = False, hide_values: bool = False
    ) -> None:
        from anyio import CapacityLimiter

        self.data, self.page = model.data, page
        self.on_bad_row, self.hide_values = "skip" if skip else "refuse", hide_values
        self.scorer = Scorer(compile_model(model), hide_values=hide_values)
        self.small, self.large = CapacityLimiter(SMALL_AT_ONCE), CapacityLimiter(LARGE_AT_ONCE)

    def example(self, address: str) -> str:
        """Return a request to paste: the row that the form opens with."""
        cells = {name: self._as_json(name, cell) for name, cell in self.page.cells.items()}
        body = json.dumps({"dataframe_records": [cells]}, ensure_ascii=False)
        return f"curl {address}invocations -H 'Content-Type: {JSON}' -d {shlex.quote(body)}"

    def _as_json(self, name: str, cell: str) -> Any:
        is_number = isinstance(self.data.features[name], Numeric) and self.data.decimal == "."
        return json.loads(cell) if is_number and cell else cell

    async def invoke(self, request: Request) -> Response:
        """Answer ``/invocations``."""
        from anyio.to_thread import run_sync
        from starlette.responses import Response, StreamingResponse

        how = self._how(request)
        async with _received(request, how.limit, self.data.encoding) as body:
            limiter = self.small if body.content is not None else self.large
            stop = Event()
            try:
                out = await run_sync(
                    self.answer, body, how, stop, limiter=limiter, abandon_on_cancel=True
                )
            except asyncio.CancelledError:  # the server ends; so does the thread, at its next block
                stop.set()
                rule = "server must be running; got its end"
                raise RequestError(rule, 503, "TEMPORARILY_UNAVAILABLE") from None
        kind = f"{CSV}; charset=utf-8" if how.as_csv else JSON
        size = out.seek(0, 2)
        out.seek(0)
        if size <= MEMORY:
            with out:
                return Response(out.read(), media_type=kind)
        length = {"Content-Length": str(size)}
        return StreamingResponse(_chunks(out), media_type=kind, headers=length)

    def answer(self, body: Body, how: How, stop: Event) -> IO[bytes]:
        """Return the answer to a body; RequestError where it is refused."""
        on_bad_row = how.on_bad_row
        try:
            if how.kind == JSON:
                params, blocks = json_blocks(body, self.data)
                on_bad_row = _on_bad_row(params, "params", on_bad_row)
            else:
                read = csv_blocks if how.kind == CSV else parquet_blocks
                blocks = read(body, self.data)
            going_on = takewhile(lambda _: not stop.is_set(), blocks)
            return answer(
                going_on, self.scorer, skip=on_bad_row == "skip", hide_values=self.hide_values,
                as_csv=how.as_csv,
            )  # fmt: skip
        except DataError as error:
            raise RequestError(self._shown(str(error))) from None
        except UnicodeError:
            raise RequestError(f"request must be in {self.data.encoding}; got another") from None
        except MemoryError:
            raise RequestError("request must fit into memory", 413, "REQUEST_TOO_LARGE") from None

    def fill(self, cells: Mapping[str, str]) -> Filled:
        """Return what the model says to the cells of one row."""
        import pandas as pd

        names = self.data.features
        typed = {name: cells.get(name, "") for name in names}
        frame = pd.DataFrame({name: [cell] for name, cell in typed.items()}, dtype=object)
        faults: dict[str, str] = {}
        for fault in self.scorer.check(frame):
            faults.setdefault(fault.column, fault.rule)
        if faults:
            return Filled(typed, faults)
        scored, terms = self.scorer.score(frame).iloc[0], self.scorer.terms(frame).iloc[0]
        p, decision = float(scored.iloc[0]), int(scored.iloc[1])
        return Filled(typed, {}, p, decision, {str(k): float(v) for k, v in terms.items()})

    async def form(self, request: Request) -> Response:
        """Show the form, filled with what was posted, and what the model says to it."""
        from anyio.to_thread import run_sync
        from starlette.responses import HTMLResponse

        cells = self.page.cells
        if request.method == "POST":
            async with _received(request, FORM_LIMIT, "utf-8") as body:
                cells = _fields(body)
        filled = await run_sync(self.fill, cells, limiter=self.small)
        return HTMLResponse(self.page.render(filled), headers=HEADERS)

    def _how(self, request: Request) -> How:
        given = dict(request.query_params)
        if len(request.query_params.multi_items()) > len(given):
            raise RequestError("query must hold each parameter once")
        kind = _kind(request, self.data.encoding)
        on_bad_row = _on_bad_row(given, "query", self.on_bad_row)
        return How(kind, on_bad_row, CSV in request.headers.get("accept", ""), LIMITS[kind])

    def _shown(self, message: str) -> str:
        """Return what is wrong with a file, or where values are hidden the rule and the columns.

        What stands in the place of a header may be values.
        """
        if not self.hide_values:
            return message
        known = [*self.data.columns, self.data.target.name]
        lines = []
        for line in message.splitlines():
            rule, _, got = line.partition("; got")
            about = [name for name in known if quoted(name, 40) in got]
            lines.append(f"{rule}: {listed(about)}" if about else rule)
        return "\n".join(lines)


def serve_until_stopped(service: Service, port: int, name: str) -> None:
    """Serve at ``port``, or a free one, until Ctrl-C; say so with a link and a request to paste."""
    leave_on_signals()
    with listen(port) as listening, suppress(KeyboardInterrupt):
        own = listening.getsockname()[1]
        address = f"http://{HOST}:{own}/"
        started = f"{name}: {address}\n\n{service.example(address)}\n\nCtrl-C ends it"
        run(guarded(app(service), own_origins(own)), listening, started, ws="none")


def app(service: Service) -> Starlette:
    """Return the app: ``/ping``, ``/health``, ``/version`` and ``/invocations``, and the form."""
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import Response
    from starlette.routing import Route

    async def ping(_: Request) -> Response:
        return Response("\n", media_type=JSON)

    async def mlflow_version(_: Request) -> Response:
        return Response(version("mlflow"), media_type=JSON)

    async def linked(request: Request) -> Response:
        content, kind = service.page.files[request.url.path.lstrip("/")]
        return Response(content, media_type=kind, headers=HEADERS)

    async def refused(_: Request, error: RequestError) -> Response:
        return _refusal(error.status, error.code, str(error))

    async def unknown(_: Request, error: HTTPException) -> Response:
        code, message = UNROUTED.get(error.status_code, ("BAD_REQUEST", error.detail))
        return _refusal(error.status_code, code, message, error.headers)

    async def full(_: Request, error: OSError) -> Response:
        rule = f"disk must have room for the request and its answer; got {reason_of(error)}"
        return _refusal(507, "INSUFFICIENT_STORAGE", rule)

    async def failed(_: Request, error: Exception) -> Response:
        say(_trace(error, hide_values=service.hide_values), error=True)
        return _refusal(500, "INTERNAL_ERROR", "internal error; the server's terminal has more")

    handlers: Any = {
        RequestError: refused, HTTPException: unknown, OSError: full, Exception: failed,
    }  # fmt: skip
    return Starlette(
        routes=[
            Route("/ping", ping),
            Route("/health", ping),
            Route("/version", mlflow_version),
            Route("/invocations", service.invoke, methods=["POST"]),
            Route("/", service.form, methods=["GET", "POST"]),
            *(Route(f"/{name}", linked) for name in service.page.files),
        ],
        exception_handlers=handlers,
    )


def _refusal(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a refusal as MLflow's server words it, in at most 2 kB."""
    from starlette.responses import Response

    limit = MESSAGE
    while len(content := _error(code, bounded(message.splitlines(), limit))) > MESSAGE:
        limit = limit * 3 // 4
    return Response(content, status, {**(headers or {}), **HEADERS}, JSON)


def _error(code: str, message: str) -> bytes:
    return json.dumps({"error_code": code, "message": message}, ensure_ascii=False).encode(
        "utf-8", "backslashreplace"
    )


def _trace(error: Exception, *, hide_values: bool) -> str:
    """Return where an internal error came from, and its message unless that could hold values."""
    if not hide_values:
        return "".join(traceback.format_exception(error))
    return "".join([*traceback.format_tb(error.__traceback__), type(error).__name__])


def _kind(request: Request, encoding: str) -> str:
    """Return which form the body is in; RequestError where it is none that is known."""
    given = request.headers.get("content-type", "")
    kind, *params = [part.strip().lower() for part in given.split(";")]
    charset = [p.partition("=")[2].strip('"') for p in params if p.startswith("charset=")]
    codings = request.headers.get("content-encoding", "identity").lower()
    allowed = {"utf-8", "utf8", encoding.lower()}
    if kind not in TYPES:
        rule = f"Content-Type must be {', '.join(TYPES)}; got {quoted(kind)}"
    elif len(charset) < len(params) or not {*charset} <= allowed:
        rule = f"Content-Type must have charset=utf-8 or none; got {quoted('; '.join(params))}"
    elif codings != "identity":
        rule = f"Content-Encoding must be identity; got {quoted(codings)}"
    else:
        return TYPES[kind]
    raise RequestError(rule, 415, "UNSUPPORTED_MEDIA_TYPE")


def _on_bad_row(given: Mapping[str, Any], place: str, default: str) -> str:
    unknown = [name for name in given if name != "on_bad_row"]
    if unknown:
        raise RequestError(f"{place} must hold on_bad_row alone; got {listed(unknown)}")
    chosen = given.get("on_bad_row", default)
    if chosen not in ON_BAD_ROW:
        raise RequestError(f"on_bad_row must be refuse or skip; got {quoted(str(chosen))}")
    return str(chosen)


def _fields(body: Body) -> dict[str, str]:
    """Return the fields of a form that was posted."""
    with body.open() as file:
        content = file.read()
    try:
        text = content.decode("utf-8")
        return dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=10_000))
    except ValueError:  # UnicodeError is one
        raise RequestError("form must be urlencoded text in UTF-8") from None


@asynccontextmanager
async def _received(request: Request, limit: int, encoding: str) -> AsyncIterator[Body]:
    """Read the body, into a temporary file where it is large, before a thread looks at it.

    So no thread waits for a client. RequestError for more than ``limit`` bytes, or silence.
    """
    content, file = bytearray(), None
    try:
        async for chunk in _sent(request, limit):
            if file is None and len(content) + len(chunk) > MEMORY:
                file = NamedTemporaryFile(prefix="oneuron-")  # noqa: SIM115 (closed below)
                file.write(content)
                content.clear()
            (file.write if file else content.extend)(chunk)
        if file:
            file.flush()
            yield Body(Path(file.name), "csv", (), encoding)
        else:
            yield Body(Path(), "csv", (), encoding, bytes(content))
    finally:
        if file:
            file.close()


async def _sent(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the body as it arrives."""
    from starlette.requests import ClientDisconnect

    chunks, n = request.stream(), 0
    while max(n, int(request.headers.get("content-length", "0"))) <= limit:
        try:
            async with asyncio.timeout(SILENCE_S):
                chunk = await anext(chunks, None)
        except TimeoutError:
            rule = f"request must arrive without a pause of {SILENCE_S:g} s"
            raise RequestError(rule, 408, "REQUEST_TIMEOUT") from None
        except ClientDisconnect:
            raise RequestError("request must arrive whole; got its beginning") from None
        if chunk is None:
            return
        yield chunk
        n += len(chunk)
    raise RequestError(f"request must be at most {limit:,} bytes", 413, "REQUEST_TOO_LARGE")


async def _chunks(out: IO[bytes]) -> AsyncIterator[bytes]:
    """Yield an answer, and remove its file however that ends."""
    with out:
        while chunk := out.read(CHUNK):
            yield chunk
