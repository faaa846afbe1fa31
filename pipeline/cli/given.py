"""What was typed, and the run that it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.config.schema import TrackingSettings
    from pipeline.record import Record


@dataclass(frozen=True)
class Given:
    """What was typed: flags by name, the overrides, and what those set by key."""

    options: Mapping[str, Any]
    words: list[str]
    values: Mapping[str, Any]

    def tracking(self) -> TrackingSettings:
        """Return where runs are published; ConfigError if no store can be there."""
        from pipeline.config.compose import configuration
        from pipeline.tracking import check_address

        words = [word for word in self.words if word.lstrip("+~").startswith("tracking")]
        settings = configuration(words).tracking
        check_address(settings)
        return settings

    def port(self) -> int:
        """Return the port to serve at; 0: any that is free."""
        port = self.options["port"]
        if not port.isdecimal() or int(port) > 65535:
            raise ConfigError(f"--port must be from 0 (any) to 65535; got {port!r}")
        return int(port)

    def skips(self) -> bool:
        """Return whether rows that break the contract are skipped, instead of refusing all."""
        on_bad_row = self.options["on_bad_row"]
        if on_bad_row not in ("refuse", "skip"):
            raise ConfigError(f"ON_BAD_ROW must be refuse or skip; got {on_bad_row!r}")
        return bool(on_bad_row == "skip")

    def form(self) -> dict[str, Any]:
        """Return the settings of the form of a file, by name."""
        values = self.values.items()
        return {key.removeprefix("data."): v for key, v in values if key.startswith("data.")}


def finished_record(given: Given) -> Record:
    """Return the record that RUN means; ConfigError where its neuron was never evaluated."""
    with TemporaryDirectory() as folder:
        record = resolve_record(given, Path(folder))
    if record.status != "FINISHED":
        got = f"{record.identity[:12]}, {record.status}"
        raise ConfigError(f"RUN must name a run that is FINISHED; got {got}")
    return record


def resolve_record(given: Given, folder: Path) -> Record:
    """Return the record that RUN means: here, or else in MLflow, whose registry knows champions."""
    from pipeline.record import RecordError, find

    name = given.options["run"]
    if name == "champion" or name.endswith("@champion"):
        from pipeline.tracking import champion_record

        return champion_record(name, given.tracking(), folder)
    try:
        return find(name)
    except (ConfigError, RecordError) as refusal:
        tracking = given.tracking()
        is_id = 4 <= len(name) <= 64 and set(name.lower()) <= set("0123456789abcdef")
        if name != "latest" and not is_id:
            raise
        if tracking.uri is None and not files.STORE.exists():  # nor is one to be made for this
            raise
        from pipeline.tracking import fetch_run

        found = fetch_run(name.lower(), tracking, folder)
        if found is None:
            raise refusal from None
        return found
