"""The chosen run of a comparison becomes champion, if it passes the gate on the test rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline import files
from pipeline.compare.comparison import Comparison, Run
from pipeline.compare.gate import Paired, Scored, floor_fault, noise_fault, paired, score_rows
from pipeline.compare.leaderboard import format_choice
from pipeline.config.schema import Configuration, PromoteSettings, RunConfig
from pipeline.errors import OK, ConfigError, DataError, PipelineError
from pipeline.record import Record, read
from pipeline.stages.encode import encode
from pipeline.stages.predict import Model
from pipeline.stages.read import read_rows
from pipeline.stages.split import split_table
from pipeline.stages.validate import Table, validate
from pipeline.text import bounded, counted, cut, say
from pipeline.tracking import Registry, Version

MAX_PARAMS = 200  # characters of the chosen configuration
TOLERANCE = 1e-12  # nats per row: the log loss on record is to come out again


class GateError(PipelineError):
    """The gate is closed: the champion stays what it is."""

    exit_code = 4


@dataclass(frozen=True)
class ChampionScore:
    """The present champion on the same test rows, and how much better the challenger is."""

    held: Version
    scored: Scored
    found: Paired
    caution: str  # what makes the comparison lean to the champion; "" if nothing does


@dataclass(frozen=True)
class Challenge:
    """What the gate looks at. ``champion`` is None where there is none yet."""

    record: Record  # of the challenger
    gate: PromoteSettings
    scored: Scored
    champion: ChampionScore | None

    @property
    def faults(self) -> list[str]:
        """Why the gate stays closed; none if it opens."""
        metric = self.gate.metric
        baseline = self.record.head.metrics[f"test/baseline_{metric}"]
        faults = [floor_fault(self.scored.figure(metric), baseline, self.gate)]
        if self.champion is not None:
            faults.append(noise_fault(self.champion.found, self.gate))
        return [fault for fault in faults if fault]


def promote_best(comparison: Comparison, settings: Configuration, origin: Mapping[str, str]) -> int:
    """Make the chosen run the champion of the registry, if it passes the gate.

    ``origin`` are tags that say where the run comes from.

    Raises
    ------
    GateError
        If it does not; the alias stays where it is.
    ConfigError, DataError, TrackingError
        If there is nothing to choose, if its data are gone or others, if the store fails.
    """
    record = read(files.RUNS / _chosen(comparison).identity)
    model = _model_name(settings.promote, record)
    say(f"{'Chosen':10}{_format_chosen(comparison)}")
    registry = Registry(settings.tracking)
    held = registry.champion(model)
    if held is not None and held.identity == record.identity:
        say(f"{'Champion':10}it is {model} version {held.number} already")
        return OK
    challenge = _challenge(record, held, registry, settings.promote)
    say("\n".join(_format_challenge(challenge)))
    if challenge.faults:
        raise GateError(bounded([f"not promoted: {fault}" for fault in challenge.faults]))
    made = registry.register(model, record)
    chosen = {"oneuron.chosen": _format_chosen(comparison)}
    registry.set_champion(made, {**origin, **chosen, **_evidence(challenge)})
    say(f"{'Champion':10}{model} version {made.number}: run {record.identity[:12]}")
    say(f"{'Next':10}make predict RUN={model}@champion INPUT=new.csv OUTPUT=scored.csv")
    return OK


def _chosen(comparison: Comparison) -> Run:
    """Return the run of the lowest seed of the candidate that was chosen."""
    if comparison.chosen is None:
        raise ConfigError("a champion must be chosen by validation rows; got runs without any")
    best = comparison.candidates[comparison.chosen].runs[0]
    if "test/log_loss" not in best.metrics:
        raise ConfigError("a champion must be tested on held-out rows; got runs with split=none")
    return best


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


def _challenge(
    record: Record, held: Version | None, registry: Registry, gate: PromoteSettings
) -> Challenge:
    """Return both neurons on the test rows of the challenger, which are dealt again."""
    test = _test_rows(record)
    scored = _scored(record.model, test)
    recorded, again = record.head.metrics["test/log_loss"], scored.figure("log_loss")
    if abs(again - recorded) > TOLERANCE:
        raise DataError(f"test rows must give the log loss on record, {recorded}; got {again}")
    if held is None:
        return Challenge(record, gate, scored, None)
    with TemporaryDirectory() as folder:
        other = registry.record(held, Path(folder))
        champion = _scored(_fitting(other, record), test)
    found = paired(scored, champion, gate.metric)
    score = ChampionScore(held, champion, found, _caution(other, record))
    return Challenge(record, gate, scored, score)


def _test_rows(record: Record) -> Table:
    """Return the test rows of the run, after its data were found to be what they were."""
    config, digest = RunConfig.parse(record.config), record.head.lineage.data_digest
    rows = read_rows(config.data)
    if rows.digest != digest:
        raise DataError(
            f"data must be those that the run was made of, digest {digest[:8]}; got "
            f"{rows.digest[:8]} in {config.data.path}: run the sweep again"
        )
    return split_table(validate(rows, config.data).require(), config.split).test


def _scored(model: Model, test: Table) -> Scored:
    return score_rows(model.theta, encode(model.encoder, test, "test"), model.threshold)


def _fitting(champion: Record, challenger: Record) -> Model:
    """Return the champion's model, if it reads the columns of the challenger's table."""
    model, columns = champion.model, challenger.model.data.attributes
    kinds = {name: column.kind for name, column in columns.items()}
    lacking = [n for n, column in model.data.attributes.items() if kinds.get(n) != column.kind]
    if lacking:
        raise DataError(
            f"champion must read columns of the challenger's table; got {', '.join(lacking)}, "
            "which it does not have: give the new model a name with promote.model"
        )
    return model


def _caution(champion: Record, challenger: Record) -> str:
    same_data = champion.head.lineage.data_digest == challenger.head.lineage.data_digest
    if same_data and champion.config["split"] == challenger.config["split"]:
        return ""
    what = "another split" if same_data else "other data"
    return f"the champion was trained on {what} and may know some of these rows: it is favoured"


def _format_challenge(challenge: Challenge) -> list[str]:
    """Return the figures of the gate as a table."""
    metrics, champion = challenge.record.head.metrics, challenge.champion
    low, high = metrics["test/accuracy_low"], metrics["test/accuracy_high"]
    rows = metrics["rows/test"]
    lines = [
        f"{'Test':10}{rows:,.0f} rows that took no part in training or choosing",
        f"{'':10}{'':12}{'log loss':>10}{'accuracy':>10}",
        _figures("challenger", challenge.scored) + f"   {low:.4f} to {high:.4f} at 95 %",
    ]
    if champion:
        lines.append(_figures("champion", champion.scored) + f"   version {champion.held.number}")
    loss, accuracy = metrics["test/baseline_log_loss"], metrics["test/baseline_accuracy"]
    lines.append(f"{'':10}{'majority':12}{loss:10.4f}{accuracy:10.4f}")
    if champion:
        found = champion.found
        by = f"{'better' if found.difference > 0 else 'worse'} by {abs(found.difference):.4g}"
        test = f"p = {found.p:.3g} ({found.test}, one-sided)"
        lines.append(f"{'Gate':10}{challenge.gate.metric} {by}, {test}")
    if champion and champion.caution:
        lines.append(f"{'':10}{champion.caution}")
    return lines


def _figures(name: str, scored: Scored) -> str:
    loss, accuracy = scored.figure("log_loss"), scored.figure("accuracy")
    return f"{'':10}{name:12}{loss:10.4f}{accuracy:10.4f}"


def _evidence(challenge: Challenge) -> dict[str, str]:
    """Return the tags of the version: what it is, and the figures of the gate."""
    gate, head = challenge.gate, challenge.record.head
    tags = {
        "oneuron.data_digest": head.lineage.data_digest,
        "oneuron.code_digest": head.lineage.code_digest,
        "oneuron.gate": f"{gate.metric}, floor {gate.floor:g}, confidence {gate.confidence:g}",
    }
    for name, value in head.metrics.items():
        if name.startswith("test/") or name == "rows/test":
            tags[f"oneuron.{name.replace('/', '.')}"] = f"{value:.6g}"
    if challenge.champion is not None:
        held, found = challenge.champion.held, challenge.champion.found
        tags["oneuron.gate.against"] = f"version {held.number}, run {held.identity}"
        tags["oneuron.gate.difference"] = f"{found.difference:.6g}"
        tags["oneuron.gate.p"] = f"{found.p:.6g} ({found.test}, one-sided)"
    return tags
