"""A proxy before a server that counts the requests and makes those that are chosen go wrong."""

import contextlib
import http.client
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

FORWARDED = ("content-type", "content-length", "accept-encoding", "authorization", "x-mlflow-tags")
Fault = Callable[["Handler"], bool]  # true: the request has been answered


@dataclass
class Proxy:
    """``seen`` are the requests, by name; ``fault`` may answer in the server's place."""

    server_port: int
    port: int = 0
    seen: list[str] = field(default_factory=list)
    fault: Fault | None = None
    delay_s: float = 0.0

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        self.fault = fault
        try:
            yield
        finally:
            self.fault = None


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection; HTTP/1.0, so that no reply is mixed up with another."""

    proxy: Proxy
    name = ""

    def do_GET(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.name = short_name(self.command, self.path)
        self.proxy.seen.append(self.name)
        time.sleep(self.proxy.delay_s)
        if self.proxy.fault is None or not self.proxy.fault(self):
            self.reply(*self.forward())

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 (names of http.server's)

    def forward(self) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.server_port, timeout=120)
        with contextlib.closing(connection):
            headers = {n: v for n, v in self.headers.items() if n.lower() in FORWARDED}
            connection.request(self.command, self.path, self.body, headers)
            answer = connection.getresponse()
            content = answer.read()
            self.encoding = answer.getheader("Content-Encoding", "")
            return answer.status, answer.getheader("Content-Type", "text/plain"), content

    def reply(self, status: int, kind: str = "application/json", content: bytes = b"{}") -> None:
        with contextlib.suppress(ConnectionError):  # who asked may have gone
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            if getattr(self, "encoding", ""):
                self.send_header("Content-Encoding", self.encoding)
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def short_name(method: str, path: str) -> str:
    """The request as "POST runs/create", "PUT model/record.zip" or "LIST artifacts"."""
    path = path.partition("?")[0]
    _, is_file, tail = path.partition("/mlflow-artifacts/artifacts")
    if is_file:
        return f"{method} {tail.partition('/artifacts/')[2]}" if tail else "LIST artifacts"
    return f"{method} {path.partition('/mlflow/')[2]}"


def lose_reply(handler: Handler) -> bool:
    """The server does as it was asked; its answer never comes."""
    handler.forward()
    handler.connection.close()
    return True


def lose_request(handler: Handler) -> bool:
    handler.connection.close()
    return True


def swallow(handler: Handler) -> bool:
    """200 {}, and nothing is stored."""
    handler.reply(200)
    return True


def status(code: int) -> Fault:
    def fault(handler: Handler) -> bool:
        handler.reply(code, "text/html", b"<html>no</html>")
        return True

    return fault


def drip(handler: Handler) -> bool:
    """A byte now and then: no limit of silence is ever reached."""
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n")
        for _ in range(600):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.5)
    return True


def only(name: str, fault: Fault, times: int = 1_000_000) -> Fault:
    """The fault at the first ``times`` requests whose name contains ``name``."""
    left = [times]

    def chosen(handler: Handler) -> bool:
        if name not in handler.name or left[0] <= 0:
            return False
        left[0] -= 1
        return fault(handler)

    return chosen


def at(number: int, fault: Fault) -> Fault:
    """The fault at the request of that number, from 1."""
    count = [0]

    def chosen(handler: Handler) -> bool:
        count[0] += 1
        return count[0] == number and fault(handler)

    return chosen


@contextlib.contextmanager
def proxied(server_port: int) -> Iterator[Proxy]:
    proxy = Proxy(server_port)
    handler = type("Bound", (Handler,), {"proxy": proxy})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        server.handle_error = lambda *_: None
        proxy.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
