"""The guard of every server: its own hosts and origins pass, and nothing else."""

import asyncio
import contextlib
import http.client
import socket
import subprocess
import sys
import time

import pytest

from pipeline.serving.guard import HOST, guarded, listen, own_origins


def answer(headers: list[tuple[str, str]], kind: str = "http", origins=frozenset()) -> str:
    """What becomes of a request: "passed", its status, or how its WebSocket is closed."""
    sent = []

    async def app(scope, receive, send):
        sent.append({"type": "passed"})

    async def send(message):
        sent.append(message)

    encoded = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": kind, "headers": encoded}
    asyncio.run(guarded(app, {*own_origins(5000), *origins})(scope, None, send))
    return str(sent[0].get("status") or sent[0]["type"])


OWN = ("host", "127.0.0.1:5000")


@pytest.mark.parametrize(
    "headers",
    [
        [OWN],
        [("host", "LocalHost:5000")],
        [OWN, ("origin", "http://127.0.0.1:5000")],
        [OWN, ("origin", "http://localhost:5000")],
    ],
)
def test_its_own_pages_pass(headers):
    assert answer(headers) == "passed"
    assert answer(headers, "websocket") == "passed"


STRANGERS = [
    [],
    [("host", "10.evil.com")],
    [("host", "127.0.0.1:5001")],
    [("host", "127.0.0.1")],
    [("host", "127.0.0.1:5000@evil.com")],
    [OWN, ("host", "evil.com")],
    [("host", "evil.com"), OWN],
    [OWN, ("origin", "null")],
    [OWN, ("origin", "")],
    [OWN, ("origin", "http://localhost:8888")],
    [OWN, ("origin", "https://127.0.0.1:5000")],
    [OWN, ("origin", "http://127.0.0.1:5000"), ("origin", "http://evil.com")],
]


@pytest.mark.parametrize("headers", STRANGERS)
def test_every_other_host_or_origin_is_refused(headers):
    assert answer(headers) == "403"
    assert answer(headers, "websocket") == "websocket.close"


def test_an_origin_behind_a_proxy_is_its_own_where_it_is_named():
    named = {"https://mlflow.bank.example"}
    host = ("host", "mlflow.bank.example")
    assert answer([host]) == "403"  # the control
    assert answer([host], origins=named) == "passed"
    assert answer([host, ("origin", "https://mlflow.bank.example")], origins=named) == "passed"
    assert answer([host, ("origin", "http://mlflow.bank.example")], origins=named) == "403"


def test_the_start_of_an_app_passes():
    assert answer([], "lifespan") == "passed"


def test_another_port_is_taken_where_the_preferred_one_is():
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with listen(port) as other:
            assert other.getsockname()[1] != port
    with listen(port) as own:
        assert own.getsockname()[1] == port


def test_an_answer_does_not_wait_for_an_acknowledgement():
    """Over one connection, where the client delays its own by 40 ms: 50 answers in 2 s."""
    code = (
        "from pipeline.serving.guard import listen, run\n"
        "async def app(scope, receive, send):\n"
        "    if scope['type'] == 'http':\n"
        "        await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "        await send({'type': 'http.response.body', 'body': b'x'})\n"
        "listening = listen(0)\n"
        "run(app, listening, str(listening.getsockname()[1]))\n"
    )
    served = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    connection = http.client.HTTPConnection(HOST, int(served.stdout.readline()), timeout=60)
    waits = []
    with contextlib.closing(connection):
        for _ in range(30):
            start = time.monotonic()
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"x"
            waits.append(time.monotonic() - start)
    served.terminate()
    served.communicate()
    assert min(waits[5:]) < 0.03
