"""An address becomes an open store with its experiment, or a refusal on one line within seconds."""

from __future__ import annotations

import re
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import TrackingError, reason_of
from pipeline.text import one_line, printable, redact
from pipeline.tracking.address import Address, check_address, require_name
from pipeline.tracking.patience import REQUEST_S, Bounded, within
from pipeline.tracking.quiet import quiet_mlflow
from pipeline.tracking.sqlite import ensure_store, follow_project

PROBE_S = 5.0
# What an answer that is no MLflow server's says, and what the message says of it.
REASONS = (
    ("NameResolutionError", "a name that DNS does not know"),
    ("gaierror", "a name that DNS does not know"),
    ("Connection refused", "connection refused"),
    ("timed out", "silence"),
    ("no whole answer", "no whole answer in time"),
    ("RemoteDisconnected", "a connection that ended without an answer"),
    ("JSON", "a page that is not an MLflow server's"),
)
STATUS = re.compile(r"error code (\d{3})|too many (\d{3}) error|^(\d{3}) (?:Client|Server) Error")
NOT_MLFLOW = (404, 405, 501)  # of whoever does not know the question
CURES = {
    401: "credentials refused (set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
    "MLFLOW_TRACKING_TOKEN)",
    403: "this user may not do that (whoever administers the server gives the permission: READ to "
    "compare and predict, EDIT of the experiment to publish; or set MLFLOW_TRACKING_USERNAME and "
    "MLFLOW_TRACKING_PASSWORD of another)",
    413: "a request that is too large (raise the limit of the proxy before the server: "
    "client_max_body_size of nginx)",
}
# Without it a run's page opens in the mode for traces.
TRAINING = "workflowType=machine_learning"


@dataclass(frozen=True)
class Store:
    """An open store. ``client`` is MLflow's; the rest says where its runs are."""

    client: Any
    address: Address
    experiment_id: str

    def url(self, run_id: str) -> str | None:
        """Return the page of a run; None where no server stands behind the address."""
        return self.page(f"#/experiments/{self.experiment_id}/runs/{run_id}?{TRAINING}")

    def page(self, link: str) -> str | None:
        """Return the address of a page of the server; None where there is none."""
        is_server = self.address.kind in ("http", "https")
        return f"{self.address.shown}/{link}" if is_server else None


def open_store(settings: TrackingSettings, *, make: bool = True) -> Store:
    """Open the store of ``settings``, and in it the experiment, made where it is missing.

    Without ``make`` nothing is made on a server, and the experiment has no id.
    Raise ConfigError if no store can be at that address; TrackingError if it is absent, silent,
    damaged or of another version: within a second for a file, within 15 for a server.
    """
    address = check_address(settings)
    name = printable(settings.experiment)
    if address.path is not None and address.artifacts is not None:
        ensure_store(address.path, address.artifacts)
        with asking(address):
            client = _client(address)
            number = _experiment(client, name, address) if make else ""
        follow_project(address.path, address.artifacts)  # of a schema that MLflow has not refused
        return Store(client, address, number)
    require_name(address)
    with asking(address):
        if address.kind in ("http", "https"):
            client = Bounded(_client(address))
            probe(client, address)
        else:
            probe(None, address)  # a client of a database connects at once, and waits
            client = Bounded(within(REQUEST_S, _client, address))
        return Store(client, address, _experiment(client, name, address) if make else "")


def _client(address: Address) -> Any:
    """Return MLflow's client, which also says what the store answers when a run is ended."""
    from mlflow import MlflowClient
    from mlflow.entities import RunStatus

    class Client(MlflowClient):
        def end_run(self, run_id: str, status: str, end_ms: int) -> Any:
            store, code = self._tracking_client.store, RunStatus.from_string(status)
            return store.update_run_info(run_id, code, end_ms, None)

    return Client(tracking_uri=address.uri, registry_uri=address.uri)


def probe(client: Any, address: Address) -> None:
    """Return if a server answers at ``address`` within 5 s, and lets us in.

    Raise TrackingError if none does, or if something else answers.
    """
    try:
        if address.kind in ("http", "https"):
            within(PROBE_S, client.search_experiments, max_results=1)
        else:
            place = (address.host, address.port)
            within(PROBE_S, socket.create_connection, place, PROBE_S).close()
    except Exception as error:  # whatever answers instead, requests and MLflow raise of it
        fault = _known(error) or printable(one_line(redact(reason_of(error)), 200))
        if status_of(error) in NOT_MLFLOW:
            fault = f"a page that is not an MLflow server's (status {status_of(error)})"
        message = f"tracking server must answer; got {fault} at {address.shown}"
        raise TrackingError(message) from None


@contextmanager
def asking(address: Address) -> Iterator[None]:
    """Use MLflow in here: what it or the store raises becomes a TrackingError."""
    try:
        with quiet_mlflow():
            yield
    except failures() as error:
        raise refusal(error, address) from None


def failures() -> tuple[type[Exception], ...]:
    """Return what MLflow and the libraries under it raise where a store or a server fails."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    # Those of requests are OSErrors; a driver may be missing.
    return (MlflowException, SQLAlchemyError, OSError, ImportError)


def refusal(error: Exception, address: Address) -> TrackingError:
    """Return what a failure of the store says on one line, without secrets."""
    text = printable(redact(one_line(str(error).partition("[SQL:")[0])))
    if "out-of-date database schema" in text:
        return TrackingError(_other_schema(address))
    fault = _known(error) or text
    return TrackingError(f"store must do as asked; got {fault} at {address.shown}")


def status_of(error: Exception) -> int:
    """Return the status of the reply that the error is made of; 0 where there was none."""
    found = STATUS.search(str(error))
    if found:
        return int(next(filter(None, found.groups())))
    return int(getattr(error, "get_http_status_code", lambda: 0)())


def _known(error: Exception) -> str:
    """Return what a failure is whose cause is known, with its cure; "" of any other."""
    text, status = f"{type(error).__name__}: {error}", status_of(error)
    if status in CURES:
        return f"{status}, {CURES[status]}"
    known = next((meaning for sign, meaning in REASONS if sign in text), "")
    return known or (f"error {status}" if STATUS.search(str(error)) and status >= 500 else "")


def _other_schema(address: Address) -> str:
    store, uri = shlex.quote(str(address.path)), shlex.quote(redact(address.uri))
    backup = f"cp {store} {store}.backup && " if address.path else ""
    return (
        f"store must have the schema of this MLflow; got another one at {address.shown}: if it is "
        f"older: {backup}.venv/bin/mlflow db upgrade {uri}; if a newer MLflow made it, upgrade the "
        "package or choose another tracking.uri"
    )


def _experiment(client: Any, name: str, address: Address) -> str:
    """Return the id of the experiment. Made at once by several processes, it is one experiment."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        experiment = _create_experiment(client, name, address)
    if experiment is None or not experiment.experiment_id:
        raise TrackingError(f"store must name its experiments; got none at {address.shown}")
    if experiment.lifecycle_stage != "active":
        raise deleted(experiment, address)
    return str(experiment.experiment_id)


def deleted(experiment: Any, address: Address) -> TrackingError:
    """Return that an experiment was deleted, and how to have it back."""
    number = shlex.quote(str(experiment.experiment_id)[:80])
    return TrackingError(
        f"experiment must not be deleted; got {experiment.name[:80]!r} deleted in {address.shown}: "
        f"restore it with: MLFLOW_TRACKING_URI='{redact(address.uri)}' .venv/bin/mlflow "
        f"experiments restore --experiment-id {number}"
    )


def _create_experiment(client: Any, name: str, address: Address) -> Any:
    from mlflow.exceptions import MlflowException

    # Absolute, because MLflow would record one relative to wherever the command was started.
    location = address.artifacts.as_uri() if address.artifacts else None
    if address.artifacts:
        files.make_private(address.artifacts)
    try:
        client.create_experiment(name, artifact_location=location)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.get_experiment_by_name(name)
