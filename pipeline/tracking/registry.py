"""MLflow's registry: versions of a model, and the alias ``champion`` that one of them holds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.config import TrackingSettings
from pipeline.errors import ConfigError, TrackingError
from pipeline.record import Record
from pipeline.record.reading import check_identity
from pipeline.redact import printable
from pipeline.tracking.download import check_run_id, download
from pipeline.tracking.fetch import record_here
from pipeline.tracking.names import MAX_TAG, safe_name, safe_value
from pipeline.tracking.publish import publish_to
from pipeline.tracking.quiet import quiet_mlflow
from pipeline.tracking.store import failures, open_store, refusal

CHAMPION = "champion"
FOLDER = "model"  # of the run's artifacts
IDENTITY = "oneuron.identity"
# What a prediction imports; MLflow installs it where the model is served.
REQUIREMENTS = ("mlflow", "numpy", "pandas", "pandera", "pydantic", "duckdb", "scipy",
                "scikit-learn", "threadpoolctl")  # fmt: skip


@dataclass(frozen=True)
class Version:
    """A version of a registered model. ``identity`` is that of the run whose neuron it holds."""

    model: str
    number: str
    run_id: str
    identity: str


class Registry:
    """The registry behind one address."""

    def __init__(self, settings: TrackingSettings) -> None:
        self._store = open_store(settings)

    def champion(self, model: str) -> Version | None:
        """The version that holds the alias; None where none does."""
        with self._asked():
            return next((v for v in self._champions(f"name = '{model}'") if v.model == model), None)

    def champions(self) -> list[Version]:
        """The champion of every model that has one."""
        with self._asked():
            return self._champions("")

    def record(self, held: Version, folder: Path) -> Record:
        """The record of the version's run: this project's, or downloaded to ``folder``, verified.

        Raises
        ------
        RecordError
            If it is damaged, or the version names no record.
        """
        here = record_here(paths.RUNS / check_identity(held.identity))
        if here is not None and here.status == "FINISHED":
            return here
        with self._asked():
            run = self._store.client.get_run(check_run_id(held.run_id))
            return download(self._store, run, held.identity, folder)

    def register(self, model: str, record: Record, served: Path) -> Version:
        """The version that holds the run's neuron; made where it is missing.

        ``served`` is the script that MLflow runs to serve it.
        """
        published = publish_to(self._store, record)
        with self._asked():
            self._require_model(model)
            for held in self._store.client.search_model_versions(f"name = '{model}'"):
                if held.name == model and held.tags.get(IDENTITY) == record.identity:
                    return _version(held)
            source = self._upload(published.run_id, record, served)
            made = self._store.client.create_model_version(
                model, source, run_id=published.run_id, tags={IDENTITY: record.identity}
            )
            return _version(made)

    def crown(self, held: Version, evidence: Mapping[str, str]) -> None:
        """Write the evidence to the version as tags, then give it the alias."""
        with self._asked():
            client = self._store.client
            for name, text in evidence.items():
                value = safe_value(text, MAX_TAG)
                client.set_model_version_tag(held.model, held.number, safe_name(name), value)
            client.set_registered_model_alias(held.model, CHAMPION, held.number)

    def _champions(self, query: str) -> list[Version]:
        client = self._store.client
        models = client.search_registered_models(filter_string=query or None)
        return [
            _version(client.get_model_version_by_alias(model.name, CHAMPION))
            for model in models
            if CHAMPION in model.aliases
        ]

    def _require_model(self, model: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._store.client.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _upload(self, run_id: str, record: Record, served: Path) -> str:
        """Put the model, as MLflow loads it, among the artifacts of the run; its address."""
        run = self._store.client.get_run(run_id)
        with tempfile.TemporaryDirectory() as name:
            _save(Path(name) / FOLDER, record, served)
            self._store.client.log_artifacts(run_id, str(Path(name) / FOLDER), FOLDER)
        return f"{run.info.artifact_uri}/{FOLDER}"

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            with quiet_mlflow():
                yield
        except failures() as error:
            raise refusal(error, self._store.address) from None


def champion_record(word: str, settings: TrackingSettings, folder: Path) -> Record:
    """The record that ``champion`` or ``model@champion`` means.

    Raises
    ------
    ConfigError
        If there is no champion, or several and none is named.
    TrackingError
        If the registry cannot be asked.
    """
    model, _, _ = word.rpartition("@")
    registry = Registry(settings)
    known = registry.champions()
    meant = [held for held in known if held.model == model] if model else known
    if len(meant) == 1:
        return registry.record(meant[0], folder)
    names = ", ".join(f"{held.model}@{CHAMPION}" for held in known) or "none: make promote"
    raise ConfigError(f"RUN must name one champion; got {word!r}, have {printable(names)[:400]}")


def is_champion(word: str) -> bool:
    """Whether the word means a champion of the registry, and not a record."""
    return word == CHAMPION or word.endswith(f"@{CHAMPION}")


def _version(held: Any) -> Version:
    identity = held.tags.get(IDENTITY, "")
    if not identity:
        raise TrackingError(
            f"version {held.version} of {held.name} must be one that make promote registered; got "
            f"no tag {IDENTITY}"
        )
    return Version(held.name, str(held.version), held.run_id, identity)


def _save(target: Path, record: Record, served: Path) -> None:
    """Write the model as MLflow loads it: code as text, requirements listed, nothing pickled."""
    import mlflow.pyfunc

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.json"
        path.write_bytes(record.content("model.json"))
        mlflow.pyfunc.save_model(
            target,
            python_model=str(served),
            artifacts={"model": str(path)},
            code_paths=[str(served.parents[1] / package) for package in ("nn", "pipeline")],
            pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
        )
