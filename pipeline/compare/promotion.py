"""The chosen run of a comparison becomes champion, if it passes the gate on the test rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline import files
from pipeline.compare.comparison import Comparison
from pipeline.compare.gate import Paired, Scored, floor_fault, noise_fault, paired
from pipeline.compare.labels import format_share
from pipeline.compare.leaderboard import format_choice
from pipeline.compare.refit import comparable_model, score
from pipeline.config.schema import Configuration, PromoteSettings, RunConfig
from pipeline.console.tty import folded
from pipeline.errors import OK, ConfigError, DataError, PipelineError
from pipeline.record import Record, read
from pipeline.stages.blocks.dealt import DealtBlocks, deal_blocks
from pipeline.stages.blocks.open import read_table
from pipeline.stages.blocks.source import BlockRows
from pipeline.stages.split import Split, split_table
from pipeline.stages.validate import validate
from pipeline.text import bounded, counted, cut, say
from pipeline.tracking import Registry, Version

MAX_PARAMS = 200  # characters of the chosen configuration
TOLERANCE = 1e-12  # nats per row: the log loss on record is to come out again


class GateError(PipelineError):
    """The gate is closed: the champion stays what it is."""

    exit_code = 4


@dataclass(frozen=True)
class ChampionScore:
    """The present champion on the same test rows."""

    held: Version
    scored: Scored
    how: str  # it was made comparable; "" if it was trained on the challenger's rows


@dataclass(frozen=True)
class Challenge:
    """What the gate looks at. ``champion`` is None where there is none yet."""

    model: str
    chosen: str  # the challenger's configuration, and why it was chosen
    record: Record  # of the challenger
    gate: PromoteSettings
    scored: Scored
    champion: ChampionScore | None
    uses: int  # runs that promotion has judged by these test rows, with this one

    @cached_property
    def test(self) -> Paired | None:
        """How much better the challenger is than the champion; None where there is none."""
        if self.champion is None:
            return None
        return paired(self.scored, self.champion.scored, self.gate.metric)

    @property
    def faults(self) -> list[str]:
        """Why the gate stays closed; none if it opens."""
        metric = self.gate.metric
        figure = self.record.head.metrics[f"test/baseline_{metric}"]
        baseline = figure if metric == "log_loss" else 1 - figure
        fault = floor_fault(self.scored.error(metric), baseline, self.gate)
        noise = noise_fault(self.test, self.gate) if self.test else ""
        return [text for text in (fault, noise) if text]


def challenge(record: Record, chosen: str, settings: Configuration) -> Challenge | None:
    """Return how the run does against the champion; None if it is the champion.

    ``chosen`` says why it is this one.

    The registry remembers that the test rows were used for this run, whatever becomes of it.

    Raises
    ------
    ConfigError, DataError, TrackingError
        If it has no test rows, if its data are gone or others, if the store fails.
    """
    if "test/log_loss" not in record.head.metrics:
        raise ConfigError("a champion must be tested on held-out rows; got runs with split=none")
    gate = settings.promote
    model = _model_name(gate, record)
    say(folded(f"{'Chosen':10}{chosen}"))
    registry = Registry(settings.tracking)
    held = registry.champion(model)
    if held is not None and held.identity == record.identity:
        say(f"{'Champion':10}it is {model} version {held.number} already")
        return None
    split = _split(record)
    scored = _scored(record, split)
    champion = _champion(held, record, split, registry) if held else None
    uses = registry.use_test_rows(model, _rows_key(record), record.identity)
    found = Challenge(model, chosen, record, gate, scored, champion, uses)
    say(folded("\n".join(_format_challenge(found))))
    return found


def promote_best(found: Challenge, settings: Configuration, origin: Mapping[str, str]) -> int:
    """Make the challenger the champion of the registry, if it passed the gate.

    ``origin`` are tags that say where the run comes from. Raise GateError if it did not pass: the
    alias stays where it is.
    """
    if found.faults:
        raise GateError(bounded([f"not promoted: {fault}" for fault in found.faults]))
    registry = Registry(settings.tracking)
    made = registry.register(found.model, found.record)
    registry.set_champion(made, {**origin, **_evidence(found)})
    say(f"{'Champion':10}{made.model} version {made.number}: run {made.identity[:12]}")
    say(f"{'Next':10}make predict RUN={made.model}@champion INPUT=new.csv OUTPUT=scored.csv")
    return OK


def chosen_run(comparison: Comparison) -> tuple[Record, str]:
    """Return the run of the lowest seed of the candidate that was chosen, and why it was."""
    if comparison.chosen is None:
        raise ConfigError("a champion must be chosen by validation rows; got runs without any")
    best = comparison.candidates[comparison.chosen].runs[0]
    return read(files.RUNS / best.identity), _format_chosen(comparison)


def _format_chosen(comparison: Comparison) -> str:
    """Return which candidate was chosen, and why."""
    chosen = comparison.candidates[comparison.chosen or 0]
    params = ", ".join(f"{name}={value}" for name, value in chosen.params.items())
    params = cut(params or "the one configuration", MAX_PARAMS)
    n = counted(len(comparison.candidates), "candidate")
    return f"{params}, of {n} {format_choice(comparison)}"


def _model_name(gate: PromoteSettings, record: Record) -> str:
    name = gate.model or str(record.config["data"]["name"])
    if set(name) & set("/:'\"`@%"):
        raise ConfigError(f"promote.model must hold no quote and none of / : @ %; got {name!r}")
    return name


def _split(record: Record) -> Split | DealtBlocks:
    """Return the parts of the run's table, after its data were found to be what they were."""
    config, digest = RunConfig.parse(record.config), record.head.lineage.data_digest
    rows = read_table(config.data)
    if rows.digest != digest:
        raise DataError(
            f"data must be those that the run was made of, digest {digest[:8]}; got "
            f"{rows.digest[:8]} in {config.data.place}: run the sweep again"
        )
    if isinstance(rows, BlockRows):
        return deal_blocks(rows, config)
    return split_table(validate(rows, config.encode.completed(config.data)).require(), config.split)


def _scored(record: Record, split: Split | DealtBlocks) -> Scored:
    """Return the challenger on its test rows, after these were found to be those on record."""
    scored = score(record.model, split)
    recorded, again = record.head.metrics["test/log_loss"], scored.error("log_loss")
    if abs(again - recorded) > TOLERANCE:
        raise DataError(f"test rows must give the log loss on record, {recorded}; got {again}")
    return scored


def _champion(
    held: Version, record: Record, split: Split | DealtBlocks, registry: Registry
) -> ChampionScore:
    with TemporaryDirectory() as folder:
        champion = registry.record(held, Path(folder))
        model, how = comparable_model(champion, record, split)
    return ChampionScore(held, score(model, split), how)


def _rows_key(record: Record) -> str:
    """Return what the test rows are known by: their table and how it is split."""
    split = record.config["split"]
    if split["name"] == "folds":  # the test rows are the same for every fold and seed
        split = {key: split[key] for key in ("name", "test", "copies")}
    text = json.dumps([record.head.lineage.data_digest, split], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _format_rows(record: Record) -> str:
    """Return how many test rows there are, and of how many train has seen the attributes."""
    n, n_seen = (record.json("evaluation.json")[name] for name in ("n_rows", "n_seen"))
    groups = record.dealing.groups if record.dealing else None
    of_groups = f" of {counted(groups[2], 'group')}" if groups else ""
    seen = "" if n_seen is None else f", {n_seen:,} with attributes that train has seen"
    return f"{n:,} rows{of_groups} held out{seen}"


def _format_challenge(found: Challenge) -> list[str]:
    """Return the figures of the gate as a table."""
    metrics, champion = found.record.head.metrics, found.champion
    low, high = metrics["test/accuracy_low"], metrics["test/accuracy_high"]
    table = [("challenger", *found.scored.figures, f"   {low:.4f} to {high:.4f} at 95 %")]
    if champion:
        table.append(("champion", *champion.scored.figures, f"   version {champion.held.number}"))
    loss, accuracy = metrics["test/baseline_log_loss"], metrics["test/baseline_accuracy"]
    table.append(("majority", loss, accuracy, ""))
    lines = [
        f"{'Test':10}{_format_rows(found.record)}",
        f"{'':10}{_format_uses(found)}",
        f"{'':10}{'':12}{'log loss':>10}{'accuracy':>10}",
        *(
            f"{'':10}{who:12}{loss:10.4f}{accuracy:10.4f}{more}"
            for who, loss, accuracy, more in table
        ),
    ]
    if champion and champion.how:
        lines.append(f"{'':10}champion: {champion.how}")
    if found.test:
        difference = found.test.difference
        by = f"{'better' if difference > 0 else 'worse'} by {abs(difference):.4g}"
        lines.append(f"{'Gate':10}{found.gate.metric} {by}, p = {_format_p(found.test)}")
    return lines


def _format_uses(found: Challenge) -> str:
    """Return how often the test rows were used, and what that does to the error of the gate."""
    if found.uses == 1:
        return "promotion uses them for the first time"
    error = format_share(min(found.uses * (1 - found.gate.confidence), 1.0))
    return (
        f"used by promotion for {found.uses:,} runs with this one: one that is no better passes "
        f"by chance in up to {error}"
    )


def _format_p(found: Paired) -> str:
    return f"{found.p:.3g} ({found.test}, one-sided)"


def _evidence(found: Challenge) -> dict[str, str]:
    """Return the tags of the version: why it was chosen, and the figures of the gate."""
    gate, champion = found.gate, found.champion
    loss, accuracy = found.scored.figures
    tags = {
        "chosen": found.chosen,
        "gate": f"{gate.metric}, floor {gate.floor:g}, confidence {gate.confidence:g}",
        "gate.log_loss": f"{loss:.6g}",
        "gate.accuracy": f"{accuracy:.6g}",
        "gate.test_rows_uses": f"{found.uses}",
    }
    if champion and found.test:
        tags["gate.against"] = f"version {champion.held.number}, run {champion.held.identity}"
        tags["gate.champion"] = champion.how or "as it is"
        tags["gate.difference"] = f"{found.test.difference:.6g}"
        tags["gate.p"] = _format_p(found.test)
    return {f"oneuron.{name}": text for name, text in tags.items()}
