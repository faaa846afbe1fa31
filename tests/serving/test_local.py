"""A server of this machine answers its own pages alone."""

import asyncio
import json
import socket

import pytest

from pipeline.serving.local import HOST, guarded, listen


def test_another_port_is_taken_where_the_preferred_one_is():
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with listen(port) as other:
            assert other.getsockname()[1] != port
    with listen(port) as own:
        assert own.getsockname()[1] == port


async def _app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def asked(*headers):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "headers": [(n.encode(), v.encode()) for n, v in headers]}
    asyncio.run(guarded(_app, 5001)(scope, None, send))
    return sent


@pytest.mark.parametrize(
    "headers",
    [
        [("host", "127.0.0.1:5001")],
        [("host", "localhost:5001"), ("origin", "http://127.0.0.1:5001")],
    ],
)
def test_its_own_pages_are_answered(headers):
    assert asked(*headers)[0]["status"] == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("host", "10.evil.com:5001")],
        [("host", "127.0.0.1")],
        [("host", "127.0.0.1:5001"), ("origin", "http://evil.com")],
        [("host", "127.0.0.1:5001"), ("origin", "null")],
        [("host", "127.0.0.1:5001"), ("origin", "https://127.0.0.1:5001")],
        [
            ("host", "127.0.0.1:5001"),
            ("origin", "http://evil.com"),
            ("origin", "http://127.0.0.1:5001"),
        ],
    ],
)
def test_another_host_or_origin_is_refused(headers):
    start, body = asked(*headers)
    assert start["status"] == 403
    assert json.loads(body["body"])["error_code"] == "PERMISSION_DENIED"
