"""Who may ask MLflow's page: requests to its own address, from no page or its own.

MLflow by itself answers to any host whose name begins like a private address, and lets every page
of this machine write, whatever its port. So its app is served behind a guard, which no option and
no variable of the shell can widen.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

HOST = "127.0.0.1"
APP = "pipeline.guard:make_app"
PORT = "ONEURON_UI_PORT"  # the variable that tells the port to the process that serves

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

REFUSED: tuple[Message, ...] = (
    {"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]},
    {"type": "http.response.body", "body": b"host and origin must be those of the page itself"},
)


class Guard:
    """An ASGI app that hands on to ``app`` what is meant for ``port`` of this machine."""

    def __init__(self, app: App, port: int) -> None:
        self.app = app
        self.hosts = {host.encode() for host in hosts(port)}
        self.origins = {origin.encode() for origin in origins(port)}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Hand the request on, or refuse it."""
        if scope["type"] == "lifespan" or self._admits(scope["headers"]):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            for message in REFUSED:
                await send(message)

    def _admits(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        named = [(name.lower(), value) for name, value in headers]
        asked = {value for name, value in named if name == b"host"}
        asking = {value for name, value in named if name == b"origin"}
        return len(asked) == 1 and asked <= self.hosts and asking <= self.origins


def hosts(port: int) -> list[str]:
    """The names that a browser may ask at; it leaves out the port that is HTTP's own."""
    return [name if port == 80 else f"{name}:{port}" for name in (HOST, "localhost")]


def origins(port: int) -> list[str]:
    """The pages that may ask."""
    return [f"http://{host}" for host in hosts(port)]


def make_app() -> Guard:
    """What the server serves."""
    from mlflow.server.fastapi_app import app

    return Guard(app, int(os.environ[PORT]))


def main() -> None:
    """Run ``mlflow server`` at the given port with the given store, its app behind the guard."""
    port, store = int(sys.argv[1]), sys.argv[2]
    from mlflow import server
    from mlflow.cli import cli

    build: Callable[..., list[str]] = server._build_uvicorn_command

    def guarded(opts: str | None, host: str, port: str, workers: int, *_: object) -> list[str]:
        return build(opts, host, port, workers, APP, is_factory=True)

    server._build_uvicorn_command = guarded
    os.environ[PORT] = str(port)
    cli(["server", "--host", HOST, "--port", str(port), "--workers", "1",
         "--backend-store-uri", store, "--allowed-hosts", ",".join(hosts(port)),
         "--cors-allowed-origins", ",".join(origins(port))])  # fmt: skip


if __name__ == "__main__":
    main()
