"""A tracking server for a team, served by this process: PostgreSQL, logins, closed to strangers."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import (
    OK,
    ConfigError,
    PipelineError,
    TrackingError,
    leave_on_signals,
    reason_of,
)
from pipeline.serving.guard import HOST, guarded, run
from pipeline.text import one_line
from pipeline.tracking.address import check_address
from pipeline.tracking.postgres import cluster

STORE = "MLFLOW_BACKEND_STORE_URI"  # MLflow's own name for it; a password is not typed
ANY = "0.0.0.0"  # every interface of this machine  # noqa: S104
ORIGIN = re.compile(r"https?://[a-zA-Z0-9.-]+(:\d{1,5})?")


@dataclass(frozen=True)
class ServerSettings:
    """Where the server listens and keeps its files, and the addresses by which it is known.

    ``origins`` are those beside its own, of a proxy in front; ``certificate`` and ``key`` are
    files of TLS.
    """

    port: int
    host: str = HOST
    folder: Path = files.PROJECT / "server"
    origins: tuple[str, ...] = ()
    certificate: str = ""
    key: str = ""


def serve(settings: ServerSettings) -> int:
    """Serve until Ctrl-C; return the exit code of the command.

    Raise ConfigError if the settings or the database cannot be, TrackingError if the database does
    not answer, or if its own ends.
    """
    _check(settings)
    leave_on_signals()
    files.make_private(settings.folder)
    with ExitStack() as held, suppress(KeyboardInterrupt):
        held.enter_context(_alone(settings.folder))
        listening = held.enter_context(_listening(settings))
        store = held.enter_context(_database(settings.folder))
        origins = _origins(settings, listening.getsockname()[1])
        app = guarded(_app(store, settings.folder, origins), origins)
        run(app, listening, _started(settings.folder, origins), **_tls(settings))
    return OK


def _check(settings: ServerSettings) -> None:
    for origin in settings.origins:
        is_here = urlsplit(origin).hostname in (HOST, "localhost")
        if not ORIGIN.fullmatch(origin) or not (is_here or origin.startswith("https")):
            raise ConfigError(
                "origin of the server must be https://name or https://name:port, by which its "
                f"proxy is known; got {origin[:200]!r}"
            )
    if settings.host != HOST and not (settings.certificate or settings.origins):
        raise ConfigError(
            "server must encrypt what leaves this machine, passwords too; got host "
            f"{settings.host[:200]!r} alone: --certificate cert.pem --key key.pem, or --origin "
            "https://mlflow.example.org of a proxy that does (docs/server.md)"
        )
    if settings.certificate:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                settings.certificate, settings.key or None
            )
        except OSError as error:  # of TLS as well
            raise ConfigError(
                "certificate and key must be PEM files that belong together; got "
                f"{reason_of(error)}: --certificate cert.pem --key key.pem"
            ) from None


def _origins(settings: ServerSettings, port: int) -> list[str]:
    """Return the origins that are let in, that of its own address first."""
    scheme = "https" if settings.certificate else "http"
    names = dict.fromkeys((settings.host, HOST, "localhost"))
    own = [f"{scheme}://{name}:{port}" for name in names if name != ANY]
    return [*settings.origins, *own]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder against a second server."""
    try:
        with files.locked(folder, wait_s=0):
            yield
    except TimeoutError:
        raise ConfigError(
            f"folder of the server must be its own; got {files.shown(folder)}, in which another "
            "serves: end that one (Ctrl-C), or --folder another"
        ) from None


def _listening(settings: ServerSettings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port))
    except OSError as error:
        reason = reason_of(error).partition(" (while")[0]
        got = f"{settings.host[:200]}:{settings.port}, {reason}"
        raise ConfigError(
            f"address of the server must be free and of this machine; got {got}: --port 0 takes "
            "any that is free"
        ) from None


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    """Yield the address of the database that is named, or of one of its own."""
    named = os.environ.pop(STORE, "")
    if named:
        yield _named(named)
        return
    with cluster(folder / "postgres") as (uri, process):
        ending = Event()
        Thread(target=_end_with, args=(process, ending), daemon=True).start()
        try:
            yield uri
        finally:
            ending.set()


def _named(uri: str) -> str:
    import psycopg

    try:
        address = check_address(TrackingSettings(uri=uri, experiment="server"))
    except ConfigError as refusal:
        raise ConfigError(str(refusal).replace("tracking.uri", STORE)) from None
    if address.kind != "postgresql":
        raise ConfigError(
            f"{STORE} must be postgresql://user:password@host/database; got {address.shown}"
        )
    try:
        psycopg.connect(re.sub(r"\+\w+", "", address.uri, count=1), connect_timeout=5).close()
    except psycopg.Error as error:
        raise TrackingError(
            f"PostgreSQL must answer; got {one_line(error)} at {address.shown}: {STORE} names it"
        ) from None
    return address.uri


def _end_with(database: subprocess.Popen[bytes], ending: Event) -> None:
    """End the server if its database ends first: whoever watches over it starts both again."""
    database.wait()
    if not ending.is_set():
        os.kill(os.getpid(), signal.SIGTERM)


def _app(store: str, folder: Path, origins: list[str]) -> Any:
    from pipeline.tracking.server_app import mlflow_app

    try:
        return mlflow_app(store, folder, origins)
    except PipelineError:
        raise
    except Exception as error:  # of MLflow: a schema of another version, no rights in the database
        got = one_line(f"{type(error).__name__}: {error}")
        raise TrackingError(f"MLflow must open its database; got {got}") from None


def _tls(settings: ServerSettings) -> dict[str, str | None]:
    return {"ssl_certfile": settings.certificate or None, "ssl_keyfile": settings.key or None}


def _started(folder: Path, origins: list[str]) -> str:
    place = files.shown(folder)
    return (
        f"MLflow for a team: {origins[0]}\n"
        f"admin's password: {place}/admin_password; docs/server.md adds users\nCtrl-C ends it"
    )
