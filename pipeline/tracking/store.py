"""An address becomes an open store with its experiment."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from pipeline import disk, paths
from pipeline.config import TrackingSettings
from pipeline.errors import PipelineError, TrackingError
from pipeline.redact import printable, redact
from pipeline.tracking.address import Address, check_address
from pipeline.tracking.names import escaped
from pipeline.tracking.quiet import quiet_mlflow
from pipeline.tracking.server import CREDENTIALS, probe
from pipeline.tracking.sqlite import ensure_store, latest_run

# Without it a run's page opens in the mode for traces.
TRAINING = "workflowType=machine_learning"


@dataclass(frozen=True)
class Store:
    """An open store. ``client`` is MLflow's; the rest says where its runs are."""

    client: Any
    address: Address
    experiment_id: str

    def url(self, run_id: str) -> str | None:
        """The page of a run; None where no server stands behind the address."""
        if self.address.kind not in ("http", "https"):
            return None
        return f"{self.address.shown}/#/experiments/{self.experiment_id}/runs/{run_id}?{TRAINING}"


def open_store(settings: TrackingSettings) -> Store:
    """The store of ``settings``, and in it the experiment, made where it is missing.

    Raises
    ------
    ConfigError
        If no store can be at that address.
    TrackingError
        If the store is absent, silent, damaged or of another version: within a second for a file,
        within 15 for a server.
    """
    address = check_address(settings)
    if address.path is not None and address.artifacts is not None:
        ensure_store(address.path, address.artifacts)
    else:
        probe(address)
    try:
        with quiet_mlflow():
            from pipeline.tracking.client import Client

            client = Client(address)
            return Store(
                client, address, _experiment(client, escaped(settings.experiment), address)
            )
    except PipelineError:
        raise
    except failures() as error:
        raise refusal(error, address) from None


def store_address() -> str:
    """The address of the project's own store, as MLflow's commands take it."""
    return f"sqlite:///{paths.STORE}"


def youngest_run() -> tuple[str, str]:
    """The ids of the youngest run in the project's own store and of its experiment.

    Raises
    ------
    TrackingError
        If there is no run in it.
    """
    found = latest_run(paths.STORE)
    if found is None:
        raise TrackingError("store must hold a run; got none: make run")
    return found


def failures() -> tuple[type[Exception], ...]:
    """What MLflow and the libraries under it raise where a store or a server fails."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    # Those of requests are OSErrors; a driver may be missing.
    return (MlflowException, SQLAlchemyError, OSError, ImportError)


def refusal(error: Exception, address: Address) -> TrackingError:
    """What a failure of the store says on one line, without secrets."""
    text = printable(redact(" ".join(str(error).partition("[SQL:")[0].split())))
    status = getattr(error, "get_http_status_code", lambda: 0)()
    if status in (401, 403):
        text = f"{status}, {CREDENTIALS}"
    return TrackingError(f"store must do as asked; got {text[:300]} at {address.shown}")


def _experiment(client: Any, name: str, address: Address) -> str:
    """The id of the experiment. Made at once by several processes, it is one experiment."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        experiment = _create_experiment(client, name, address)
    if not experiment.experiment_id:
        raise TrackingError(f"store must name its experiments; got none at {address.shown}")
    if experiment.lifecycle_stage != "active":
        number = experiment.experiment_id
        raise TrackingError(
            f"experiment must not be deleted; got {name!r} deleted in {address.shown}: restore it "
            f"with: MLFLOW_TRACKING_URI='{redact(address.uri)}' .venv/bin/mlflow experiments "
            f"restore --experiment-id {shlex.quote(str(number)[:80])}"
        )
    return str(experiment.experiment_id)


def _create_experiment(client: Any, name: str, address: Address) -> Any:
    from mlflow.exceptions import MlflowException

    # Absolute, because MLflow would record one relative to wherever the command was started.
    location = address.artifacts.as_uri() if address.artifacts else None
    if address.artifacts:
        disk.make_private(address.artifacts)
    try:
        client.create_experiment(name, artifact_location=location)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.get_experiment_by_name(name)
