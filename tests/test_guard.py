"""What stands before MLflow's page admits its own address, and no other page than its own."""

import asyncio

import pytest

from pipeline.guard import Guard, hosts, origins

OWN = ("host", "127.0.0.1:5000")


def answered(*headers: tuple[str, str], kind: str = "http", port: int = 5000) -> list[object]:
    """What comes back of a request with these headers: of the app, or of the guard."""
    sent: list[object] = []

    async def app(scope, receive, send) -> None:
        await send("the app")

    async def send(message) -> None:
        sent.append(message if isinstance(message, str) else message.get("status", "refused"))

    scope = {"type": kind, "headers": [(n.encode(), v.encode("latin-1")) for n, v in headers]}
    asyncio.run(Guard(app, port)(scope, None, send))
    return sent


@pytest.mark.parametrize(
    "headers",
    [
        [OWN],
        [("Host", "localhost:5000")],
        [OWN, ("origin", "http://127.0.0.1:5000")],
        [OWN, ("origin", "http://localhost:5000")],
    ],
)
def test_its_own_address_and_its_own_page_are_admitted(headers):
    assert answered(*headers) == ["the app"]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("host", "")],
        [("host", "127.0.0.1")],
        [("host", "127.0.0.1:5001")],
        [("host", "10.0.0.1:5000")],
        [("host", "10.evil.com")],
        [("host", "127.0.0.1:5000.evil.com")],
        [("host", "evil.com"), OWN],
        [OWN, ("host", "evil.com")],
        [OWN, ("origin", "null")],
        [OWN, ("origin", "")],
        [OWN, ("Origin", "http://localhost:1")],
        [OWN, ("origin", "https://localhost:5000")],
        [OWN, ("origin", "http://evil.com")],
        [OWN, ("origin", "http://localhost:5000"), ("origin", "http://evil.com")],
        [OWN, ("origin", "http://localhost:5000, http://evil.com")],
        [OWN, ("origin", "http://localhost:5000\u00ff")],
    ],
)
def test_any_other_is_refused(headers):
    assert answered(*headers) == [403, "refused"]
    assert answered(*headers, kind="websocket") == ["refused"]


def test_a_browser_leaves_out_the_port_that_is_http_own():
    assert hosts(80) == ["127.0.0.1", "localhost"]
    assert origins(80) == ["http://127.0.0.1", "http://localhost"]
    assert answered(("host", "localhost"), ("origin", "http://localhost"), port=80) == ["the app"]


def test_the_servers_own_start_and_end_are_handed_on():
    assert answered(kind="lifespan") == ["the app"]
