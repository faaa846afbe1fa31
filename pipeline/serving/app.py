"""The model behind HTTP: MLflow's endpoints with the contract in front, and a form for one row."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from threading import Event
from typing import IO, TYPE_CHECKING, Any

from pipeline.errors import leave_on_signals, reason_of
from pipeline.serving.guard import HOST, guarded, listen, own_origins, run
from pipeline.serving.receive import MEMORY, asked, form_fields, received
from pipeline.serving.rows import CSV, JSON, RequestError
from pipeline.serving.service import Service
from pipeline.text import bounded, say

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

CHUNK = 2**16  # bytes of an answer
FORM_LIMIT = 2**20  # bytes of a form that was filled
SMALL_AT_ONCE, LARGE_AT_ONCE = 4, 1  # requests that are scored at the same time
MESSAGE = 2000  # bytes of a refusal
UNROUTED = {
    404: ("ENDPOINT_NOT_FOUND", "path must be /, /ping, /health, /version or /invocations"),
    405: ("METHOD_NOT_ALLOWED", "method must be POST for /invocations, and GET for the others"),
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with none, the form's own Origin would be null
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}


def serve_until_stopped(service: Service, port: int, name: str) -> None:
    """Serve at ``port``, or a free one, until Ctrl-C; say so with a link and a request to paste."""
    leave_on_signals()
    with listen(port) as listening, suppress(KeyboardInterrupt):
        own = listening.getsockname()[1]
        address = f"http://{HOST}:{own}/"
        started = f"{name}: {address}\n\n{service.example(address)}\n\nCtrl-C ends it"
        run(guarded(app(service), own_origins(own)), listening, started, ws="none")


class Endpoints:
    """The endpoints of a service, each of which answers a request."""

    def __init__(self, service: Service) -> None:
        from anyio import CapacityLimiter

        self.service = service
        self.small, self.large = CapacityLimiter(SMALL_AT_ONCE), CapacityLimiter(LARGE_AT_ONCE)

    async def invocations(self, request: Request) -> Response:
        """Answer rows."""
        from anyio.to_thread import run_sync
        from starlette.responses import Response, StreamingResponse

        encoding = self.service.data.encoding
        how = asked(request, self.service.on_bad_row, encoding)
        async with received(request, how.limit, encoding) as body, _stopped(request) as stop:
            limiter = self.small if body.content is not None else self.large
            out = await run_sync(
                self.service.answer, body, how, stop, limiter=limiter, abandon_on_cancel=True
            )
        kind = f"{CSV}; charset=utf-8" if how.as_csv else JSON
        size = out.seek(0, 2)
        out.seek(0)
        if size <= MEMORY:
            with out:
                return Response(out.read(), media_type=kind)
        length = {"Content-Length": str(size)}
        return StreamingResponse(_chunks(out), media_type=kind, headers=length)

    async def form(self, request: Request) -> Response:
        """Show the form, filled with what was posted, and what the model says to it."""
        from anyio.to_thread import run_sync
        from starlette.responses import HTMLResponse

        page = self.service.page
        cells = page.cells
        if request.method == "POST":
            async with received(request, FORM_LIMIT, "utf-8") as body:
                cells = form_fields(body)
        filled = await run_sync(self.service.fill, cells, limiter=self.small)
        return HTMLResponse(page.render(filled), headers=HEADERS)

    async def linked(self, request: Request) -> Response:
        """Answer a file that the form links to."""
        from starlette.responses import Response

        content, kind = self.service.page.files[request.url.path.lstrip("/")]
        return Response(content, media_type=kind, headers=HEADERS)

    async def ping(self, _: Request) -> Response:
        """Say that it answers."""
        from starlette.responses import Response

        return Response("\n", media_type=JSON)

    async def version(self, _: Request) -> Response:
        """Name the version of MLflow, as its scoring server does."""
        from starlette.responses import Response

        return Response(version("mlflow"), media_type=JSON)


def app(service: Service) -> Starlette:
    """Return the app: ``/ping``, ``/health``, ``/version`` and ``/invocations``, and the form."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    ends = Endpoints(service)
    return Starlette(
        routes=[
            Route("/ping", ends.ping),
            Route("/health", ends.ping),
            Route("/version", ends.version),
            Route("/invocations", ends.invocations, methods=["POST"]),
            Route("/", ends.form, methods=["GET", "POST"]),
            *(Route(f"/{name}", ends.linked) for name in service.page.files),
        ],
        exception_handlers=_handlers(hide_values=service.hide_values),
    )


def _handlers(*, hide_values: bool) -> Any:
    """Return what answers in the place of an error, by its type."""
    from starlette.exceptions import HTTPException

    async def refused(_: Request, error: RequestError) -> Response:
        return _refusal(error.status, error.code, str(error))

    async def unrouted(_: Request, error: HTTPException) -> Response:
        code, message = UNROUTED.get(error.status_code, ("BAD_REQUEST", error.detail))
        return _refusal(error.status_code, code, message, error.headers)

    async def full(_: Request, error: OSError) -> Response:
        rule = f"disk must have room for the request and its answer; got {reason_of(error)}"
        return _refusal(507, "INSUFFICIENT_STORAGE", rule)

    async def failed(_: Request, error: Exception) -> Response:
        say(_trace(error, hide_values=hide_values), error=True)
        return _refusal(500, "INTERNAL_ERROR", "internal error; the server's terminal has more")

    return {RequestError: refused, HTTPException: unrouted, OSError: full, Exception: failed}


@asynccontextmanager
async def _stopped(request: Request) -> AsyncIterator[Event]:
    """Yield what is set when nobody waits for the answer any more: the client or the server ends.

    Then the thread that scores ends too, at its next block.
    """
    stop = Event()

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        stop.set()

    gone = asyncio.create_task(watch())
    try:
        yield stop
    except asyncio.CancelledError:
        stop.set()
        rule = "server must be running; got its end"
        raise RequestError(rule, 503, "TEMPORARILY_UNAVAILABLE") from None
    finally:
        gone.cancel()


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


async def _chunks(out: IO[bytes]) -> AsyncIterator[bytes]:
    """Yield an answer, and remove its file however that ends."""
    with out:
        while chunk := out.read(CHUNK):
            yield chunk
