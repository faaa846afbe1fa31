"""MLflow's registry: versions of a model, and the alias ``champion`` that one of them holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.schema import TrackingSettings
from pipeline.errors import ConfigError, TrackingError
from pipeline.record import Record
from pipeline.record.read import MAX_BYTES
from pipeline.tracking.fetch import at_most, download, record_here, require_run_id
from pipeline.tracking.model_files import FOLDER
from pipeline.tracking.names import MAX_TAG, safe_name, safe_value
from pipeline.tracking.publish import publish_to
from pipeline.tracking.store import asking, open_store

CHAMPION = "champion"
IDENTITY_TAG = "oneuron.identity"
TEST_ROWS_TAG = "oneuron.test_rows"  # and which rows, and the run that was judged by them


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
        self._settings = settings
        self._store = open_store(settings, make=False)

    def champion(self, model: str) -> Version | None:
        """Return the version that holds the alias; None where none does."""
        return self.champions(f"name = '{model}'").get(model)

    def champions(self, query: str | None = None) -> dict[str, Version]:
        """Return the champion of every model that has one, by the name of the model."""
        with asking(self._store.address):
            client = self._store.client
            models = client.search_registered_models(query)
            names = [model.name for model in models if CHAMPION in model.aliases]
            held = (client.get_model_version_by_alias(name, CHAMPION) for name in names)
            return {each.name: _version(each) for each in held}

    def record(self, held: Version, folder: Path) -> Record:
        """Return the record of the version's run: this project's, or downloaded to ``folder``.

        Raise RecordError if it is damaged, or the version names no record.
        """
        here = record_here(held.identity)
        if here is not None and here.status == "FINISHED":
            return here
        require_run_id(held.run_id)
        with asking(self._store.address), at_most(MAX_BYTES):
            run = self._store.client.get_run(held.run_id)
            return download(self._store, run, held.identity, folder)

    def register(self, model: str, record: Record) -> Version:
        """Return the version that holds the run's neuron; made where it is missing."""
        published = publish_to(open_store(self._settings), record)
        with asking(self._store.address):
            client = self._store.client
            self._require_model(model)
            for held in client.search_model_versions(f"name = '{model}'"):
                if held.name == model and held.tags.get(IDENTITY_TAG) == record.identity:
                    return _version(held)
            run = client.get_run(published.run_id)
            made = client.create_model_version(
                model, f"{run.info.artifact_uri}/{FOLDER}", run_id=published.run_id,
                tags={IDENTITY_TAG: record.identity},
            )  # fmt: skip
            return _version(made)

    def set_champion(self, held: Version, evidence: Mapping[str, str]) -> None:
        """Write the evidence to the version as tags, then give it the alias."""
        with asking(self._store.address):
            client = self._store.client
            for name, text in evidence.items():
                value = safe_value(text, MAX_TAG)
                client.set_model_version_tag(held.model, held.number, safe_name(name), value)
            client.set_registered_model_alias(held.model, CHAMPION, held.number)

    def use_test_rows(self, model: str, rows: str, identity: str) -> int:
        """Remember that a run was judged by the test ``rows``; return how many runs were so far.

        Each is a tag of the model, so that refusals count, a repetition does not, and two processes
        lose nothing.
        """
        with asking(self._store.address):
            self._require_model(model)
            used = f"{TEST_ROWS_TAG}.{rows}."
            self._store.client.set_registered_model_tag(model, used + identity, "used")
            tags = self._store.client.get_registered_model(model).tags
            return sum(name.startswith(used) for name in tags)

    def _require_model(self, model: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._store.client.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def champion_record(word: str, settings: TrackingSettings, folder: Path) -> Record:
    """Return the record that ``champion`` or ``model@champion`` means.

    Raise ConfigError if there is no champion, or several and none is named; TrackingError if the
    registry cannot be asked.
    """
    model, _, _ = word.rpartition("@")
    registry = Registry(settings)
    known = registry.champions()
    meant = [held for name, held in known.items() if model in ("", name)]
    if len(meant) == 1:
        return registry.record(meant[0], folder)
    names = ", ".join(f"{name}@{CHAMPION}" for name in known) or "none: make promote"
    raise ConfigError(f"RUN must name one champion; got {word!r}, have {names}")


def _version(held: Any) -> Version:
    identity = held.tags.get(IDENTITY_TAG, "")
    if not identity:
        raise TrackingError(
            f"version {held.version} of {held.name} must be one that make promote registered; got "
            f"no tag {IDENTITY_TAG}"
        )
    return Version(held.name, str(held.version), held.run_id, identity)
