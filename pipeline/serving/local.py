"""A server on this machine alone: a free port, a guard that knows its own address, a clean end."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pipeline.errors import OK, leave_on_signals
from pipeline.text import say

HOST = "127.0.0.1"


def serve_here(make_app: Callable[[], Any], port: int, greet: Callable[[str], str]) -> int:
    """Serve an ASGI app at ``port``, or a free one, until Ctrl-C; return the exit code.

    ``greet`` makes the lines that are printed, from the address, once requests are answered.
    """
    leave_on_signals()
    with listen(port) as listening, suppress(KeyboardInterrupt):
        own = listening.getsockname()[1]
        _run(guarded(make_app(), own), listening, greet(f"http://{HOST}:{own}/"))
    return OK


def listen(port: int) -> socket.socket:
    """Return a socket that listens at ``port``, or at a free one where that is taken."""
    try:
        return socket.create_server((HOST, port))
    except OSError:
        return socket.create_server((HOST, 0))


def _run(app: Any, listening: socket.socket, greeting: str) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            say(f"{greeting}\nCtrl-C ends it")

    config = uvicorn.Config(
        app, log_level="critical", access_log=False, timeout_graceful_shutdown=1, ws="none"
    )
    Server(config).run([listening])


def guarded(app: Any, port: int) -> Any:
    """Return the app behind a guard that refuses every Host and Origin but its own address.

    So no page of another site can write here, nor read by a name that it points at this machine.
    """
    hosts = {f"{name}:{port}".encode() for name in (HOST, "localhost")}
    allowed = {b"host": hosts, b"origin": {b"http://" + host for host in hosts}}
    message = f"Host and Origin must be {HOST}:{port} or localhost:{port}; got another"
    refusal = json.dumps({"error_code": "PERMISSION_DENIED", "message": message}).encode()
    headers = [(b"content-type", b"application/json")]

    async def guard(scope: Any, receive: Any, send: Any) -> None:
        sent = scope.get("headers", ())
        has_host = any(name == b"host" for name, _ in sent)
        is_own = has_host and all(value in allowed.get(name, {value}) for name, value in sent)
        if scope["type"] == "lifespan" or is_own:
            await app(scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": refusal})

    return guard
