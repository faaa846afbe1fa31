"""A server: asked once, within seconds, whether it is there and whether it is MLflow."""

from __future__ import annotations

import os
import queue
import re
import socket
import ssl
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from urllib.parse import unquote, urlsplit, urlunsplit

from pipeline.errors import TrackingError
from pipeline.tracking.address import Address

CREDENTIALS = (
    "credentials refused (set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
    "or MLFLOW_TRACKING_TOKEN)"
)
PROBE_S = 5.0  # DNS included, which has no timeout of its own


def probe(address: Address) -> None:
    """Return if a tracking server answers at ``address`` within 5 s.

    Raises
    ------
    TrackingError
        If none does, if something else does, or if it wants other credentials.
    """
    ask = _ask_http if address.kind in ("http", "https") else _ask_database
    fault = _within(PROBE_S, lambda: ask(address))
    if fault:
        raise TrackingError(f"tracking server must answer; got {fault} at {address.shown}")


def _within(seconds: float, question: Callable[[], str]) -> str:
    """The answer of ``question``; it is asked in a thread that nobody waits for any longer."""
    answers: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda: answers.put(question()), daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        return f"silence for {seconds:.0f} s"


def _ask_database(address: Address) -> str:
    try:
        socket.create_connection((address.host, address.port), timeout=PROBE_S).close()
    except OSError as error:
        return _reason(error)
    return ""


def _ask_http(address: Address) -> str:
    """What answers in MLflow's stead; empty if MLflow does, and lets us in."""
    status, body = _get(address, "/health")
    known = status == 200 and body.strip() == "OK"
    if not known and status in (200, 404):  # a server behind a gateway may hide /health
        status, body = _get(address, "/version")
        known = status == 200 and re.fullmatch(r"\d+\.\d+[\w.]*", body.strip()) is not None
    if known:  # these two pages ask for no credentials
        status, body = _get(address, "/api/2.0/mlflow/experiments/search?max_results=1")
        known = status == 200
    return "" if known else _named(status, body)


def _named(status: int, body: str) -> str:
    if status == 0:
        return body
    if status in (401, 403):
        return f"{status}, {CREDENTIALS}"
    if status >= 500:
        return f"error {status}"
    return f"a page that is not an MLflow server's (status {status})"


def _get(address: Address, path: str) -> tuple[int, str]:
    """Status and the first bytes of the answer; status 0 and the reason where there is none."""
    parts = urlsplit(address.uri)
    netloc = parts.netloc.rpartition("@")[2]
    url = urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", "")) + path
    request = urllib.request.Request(url, headers=_authorisation(address))  # noqa: S310 (http(s), checked)
    try:
        with urllib.request.urlopen(request, timeout=PROBE_S, context=_tls()) as answer:  # noqa: S310
            return answer.status, answer.read(200).decode("latin-1")
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, ""
    except (OSError, ValueError, urllib.error.URLError) as error:
        return 0, _reason(error)
    except Exception as error:  # http.client's own: what answers does not speak HTTP
        return 0, f"{type(error).__name__} instead of HTTP"


def _authorisation(address: Address) -> dict[str, str]:
    """The header that MLflow itself would send."""
    parts = urlsplit(address.uri)
    user = os.environ.get("MLFLOW_TRACKING_USERNAME") or unquote(parts.username or "")
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD") or unquote(parts.password or "")
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if user:
        return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}
    return {"Authorization": f"Bearer {token}"} if token else {}


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context(
        cafile=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None
    )
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, socket.gaierror):
        return "a name that DNS does not know"
    if isinstance(cause, TimeoutError):
        return f"silence for {PROBE_S:.0f} s"
    return (getattr(cause, "strerror", None) or str(cause) or type(cause).__name__).lower()
