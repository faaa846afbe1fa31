"""MLflow's client, with the files of runs only where ``artifact_fault`` lets them be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from pipeline import disk
from pipeline.errors import TrackingError
from pipeline.tracking.address import Address
from pipeline.tracking.artifacts import artifact_fault, local_folder, make_private


class Client(MlflowClient):
    """MLflow's client for one address.

    MLflow asks the server where the files are each time that it needs to know. Here it is asked
    once for a run, and what it said is what was checked.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(tracking_uri=address.uri, registry_uri=address.uri)
        self._address = address
        self._asked: tuple[str, str] = ("", "")  # a run, and where its files are

    def repository(self, uri: str) -> Any:
        """What reads and writes the files there.

        Raises
        ------
        TrackingError
            If no run of the store may keep its files there.
        """
        if fault := artifact_fault(uri, self._address):
            raise TrackingError(fault)
        return get_artifact_repository(uri, tracking_uri=self._address.uri)

    def log_artifact(self, run_id: str, local_path: str, artifact_path: str | None = None) -> None:
        """Put a file where the run keeps its own."""
        with self._written(run_id) as repository:
            repository.log_artifact(local_path, artifact_path)

    def log_artifacts(self, run_id: str, local_dir: str, artifact_path: str | None = None) -> None:
        """Put the files of a folder where the run keeps its own."""
        with self._written(run_id) as repository:
            repository.log_artifacts(local_dir, artifact_path)

    def list_artifacts(self, run_id: str, path: str | None = None) -> Any:
        """What the store says that it holds."""
        return self.repository(self._place(run_id)).list_artifacts(path)

    @contextmanager
    def _written(self, run_id: str) -> Iterator[Any]:
        """What writes the files of the run; on this machine they are private afterwards."""
        uri = self._place(run_id)
        repository, folder = self.repository(uri), local_folder(uri, self._address)
        if folder is not None:
            disk.make_private(folder)
        yield repository
        if folder is not None:
            make_private(folder)

    def _place(self, run_id: str) -> str:
        if self._asked[0] != run_id:
            self._asked = (run_id, str(self.get_run(run_id).info.artifact_uri))
        return self._asked[1]
