"""An app served by this process to the pages of its own address alone, and gone with it."""

from __future__ import annotations

import signal
import socket
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from pipeline.errors import SIGNALS, heeded
from pipeline.text import say

HOST = "127.0.0.1"
JSON = [(b"content-type", b"application/json")]
REFUSAL = (
    b'{"error_code": "PERMISSION_DENIED", "message": "Host and Origin must be this server\'s own"}'
)


def listen(port: int) -> socket.socket:
    """Return a socket that listens on this machine at ``port``, or at a free one if it is taken."""
    try:
        listening = socket.create_server((HOST, port))
    except OSError:
        listening = socket.create_server((HOST, 0))
    # Made anew it knows its protocol, without which asyncio leaves small packets waiting for 40 ms.
    return socket.socket(fileno=listening.detach())


def run(app: Any, listening: socket.socket, started: str, **options: Any) -> None:
    """Serve ``app`` until Ctrl-C, guarded by the caller; say ``started`` once it answers.

    ``options`` are those of ``uvicorn.Config``.
    """
    import uvicorn

    ignored = {*SIGNALS} - {*heeded(*SIGNALS)}

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            for number in ignored:  # uvicorn has taken it, whoever began the process
                signal.signal(number, signal.SIG_IGN)
            await super().startup(sockets)
            say(started)

    # asyncio does this only where a socket names its protocol; without it an answer over an open
    # connection waits 40 ms for the client's acknowledgement of its headers.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    options = {"log_level": "critical", "timeout_graceful_shutdown": 1, **options}
    Server(uvicorn.Config(app, **options)).run([listening])


def own_origins(port: int) -> set[str]:
    """Return the origins of what is served on this machine at ``port``."""
    return {f"http://{name}:{port}" for name in (HOST, "localhost")}


def guarded(app: Any, origins: Collection[str]) -> Any:
    """Return the ASGI app behind a guard that lets in its own hosts and ``origins`` alone.

    Any other Host (of a stranger's name that points here) or Origin (of a stranger's page) gets a
    403, for a WebSocket as well. MLflow lets every page of this machine write, whatever origins it
    is set to allow, and takes hosts such as 10.evil.com for private addresses.
    """
    known = {origin.encode() for origin in origins}
    hosts = {urlsplit(origin).netloc.encode() for origin in origins}

    async def guard(scope: Any, receive: Any, send: Any) -> None:
        headers = scope.get("headers", ())
        host = [value for name, value in headers if name == b"host"]
        origin = {value for name, value in headers if name == b"origin"}
        is_own = len(host) == 1 and host[0].lower() in hosts and origin <= known
        if scope["type"] == "lifespan" or is_own:
            await app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # a 403 before it is accepted
        else:
            await send({"type": "http.response.start", "status": 403, "headers": JSON})
            await send({"type": "http.response.body", "body": REFUSAL})

    return guard
