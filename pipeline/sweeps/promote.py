"""The best of a sweep becomes champion, if it passes the gate; if not, the figures say why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline import paths
from pipeline.compose import configuration
from pipeline.config import PromoteSettings, RunConfig
from pipeline.errors import OK, ConfigError, DataError, PipelineError, bounded
from pipeline.model import Model
from pipeline.predict import model_of
from pipeline.record import Record, read
from pipeline.stages.encode import encode
from pipeline.stages.read import read_rows
from pipeline.stages.split import split_table
from pipeline.stages.validate import Table, validate
from pipeline.sweeps.compare import compare
from pipeline.sweeps.comparison import Comparison, Run
from pipeline.sweeps.gate import Paired, Scored, floor_fault, noise_fault, paired, score_rows
from pipeline.sweeps.gather import axes_of, runs_of
from pipeline.sweeps.labels import configuration as spelled
from pipeline.sweeps.labels import counted, short_names
from pipeline.sweeps.manifest import Sweep, find_sweep
from pipeline.tracking import Registry, Version

LONGEST = 200  # characters of the chosen configuration
SERVED = paths.PROJECT / "pipeline" / "served.py"


class GateError(PipelineError):
    """The gate is closed: the champion stays what it is."""

    exit_code = 4


@dataclass(frozen=True)
class Defence:
    """The present champion on the same test rows, and how much better the challenger is."""

    held: Version
    scored: Scored
    found: Paired
    caution: str


@dataclass(frozen=True)
class Challenge:
    """What the gate looks at. ``defence`` is None where there is no champion yet."""

    challenger: Scored
    baseline: float
    defence: Defence | None = None


def promote(word: str, words: Sequence[str]) -> int:
    """Make the best of the sweep that ``word`` names the champion, if it passes the gate.

    Raises
    ------
    GateError
        If it does not; the alias stays where it is.
    ConfigError, DataError, TrackingError
        If there is nothing to choose, if its data are gone or others, if the store fails.
    """
    settings = configuration(list(words))
    sweep = find_sweep(word)
    comparison = compare(sweep.name, runs_of(sweep), axes_of(sweep))
    best = _chosen(comparison)
    record = read(paths.RUNS / best.identity)
    model = _model_name(settings.promote, record)
    print(f"{'Best':10}{_how(comparison)}")
    registry = Registry(settings.tracking)
    held = registry.champion(model)
    if held is not None and held.identity == record.identity:
        print(f"{'Champion':10}it is {model} version {held.number} already")
        return OK
    challenge = _challenge(record, held, registry, settings.promote)
    _tell(challenge, record, settings.promote)
    faults = _faults(challenge, settings.promote)
    if faults:
        raise GateError(bounded([f"not promoted: {fault}" for fault in faults]))
    made = registry.register(model, record, SERVED)
    registry.crown(made, _evidence(sweep, comparison, record, challenge, settings.promote))
    print(f"{'Champion':10}{model} version {made.number}: run {record.identity[:12]}")
    print(f"{'Next':10}make predict RUN={model}@champion INPUT=new.csv OUTPUT=scored.csv")
    return OK


def _chosen(comparison: Comparison) -> Run:
    """The run of the lowest seed of the candidate that was chosen."""
    if comparison.chosen is None:
        raise ConfigError("a champion must be chosen by validation rows; got runs without any")
    best = comparison.candidates[comparison.chosen].runs[0]
    if "test/log_loss" not in best.metrics:
        raise ConfigError("a champion must be tested on held-out rows; got runs with split=none")
    return best


def _model_name(gate: PromoteSettings, record: Record) -> str:
    name = gate.model or str(record.config["data"]["name"])
    if set(name) & set("/:'\"`@%"):
        raise ConfigError(f"promote.model must hold no quote and none of / : @ %; got {name!r}")
    return name


def _challenge(
    record: Record, held: Version | None, registry: Registry, gate: PromoteSettings
) -> Challenge:
    """Both neurons on the test rows of the challenger, which are dealt again."""
    test = _test_rows(record)
    challenger = _scored(model_of(record), test)
    recorded, again = record.metrics["test/log_loss"], challenger.figure("log_loss")
    if abs(again - recorded) > 1e-12:
        raise DataError(f"test rows must give the log loss on record, {recorded}; got {again}")
    baseline = record.metrics[f"test/baseline_{gate.metric}"]
    if held is None:
        return Challenge(challenger, baseline)
    with TemporaryDirectory() as folder:
        other = registry.record(held, Path(folder))
        champion = _scored(_fitting(other, record), test)
        caution = _caution(other, record)
    found = paired(challenger, champion, gate.metric)
    return Challenge(challenger, baseline, Defence(held, champion, found, caution))


def _test_rows(record: Record) -> Table:
    """The test rows of the run, after its data were found to be what they were."""
    config = RunConfig.parse(record.config)
    rows = read_rows(config.data)
    if rows.digest != record.lineage["data_digest"]:
        raise DataError(
            f"data must be those that the run was made of, digest "
            f"{record.lineage['data_digest'][:8]}; got {rows.digest[:8]} in {config.data.path}: "
            "run the sweep again"
        )
    return split_table(validate(rows, config.data).require(), config.split).test


def _scored(model: Model, test: Table) -> Scored:
    return score_rows(model.theta, encode(model.encoder, test, "test"), model.threshold)


def _fitting(champion: Record, challenger: Record) -> Model:
    """The champion's model, if it reads the columns of the challenger's table."""
    model, columns = model_of(champion), model_of(challenger).data.attributes
    kinds = {name: column.kind for name, column in columns.items()}
    odd = [name for name, column in model.data.attributes.items() if kinds.get(name) != column.kind]
    if odd:
        raise DataError(
            f"champion must read columns of the challenger's table; got {', '.join(odd)}, which it "
            "does not have: give the new model a name with promote.model"
        )
    return model


def _caution(champion: Record, challenger: Record) -> str:
    """What makes the comparison lean to the champion; "" if nothing does."""
    same_data = champion.lineage["data_digest"] == challenger.lineage["data_digest"]
    if same_data and champion.config["split"] == challenger.config["split"]:
        return ""
    what = "split otherwise" if same_data else "other data"
    return f"the champion was trained on {what} and may know some of these rows: it leans its way"


def _tell(challenge: Challenge, record: Record, gate: PromoteSettings) -> None:
    told = record.metrics
    low, high = told["test/accuracy_low"], told["test/accuracy_high"]
    print(f"{'Test':10}{told['rows/test']:,.0f} rows that took no part in training or choosing")
    print(f"{'':10}{'':12}{'log loss':>10}{'accuracy':>10}")
    _line("challenger", challenge.challenger, f"   {low:.4f} to {high:.4f} at 95 %")
    if challenge.defence is not None:
        _line("champion", challenge.defence.scored, f"   version {challenge.defence.held.number}")
    loss, accuracy = told["test/baseline_log_loss"], told["test/baseline_accuracy"]
    print(f"{'':10}{'majority':12}{loss:10.4f}{accuracy:10.4f}")
    if challenge.defence is not None:
        found = challenge.defence.found
        by = f"{'better' if found.difference > 0 else 'worse'} by {abs(found.difference):.4g}"
        print(f"{'Gate':10}{gate.metric} {by}, p = {found.p:.3g} ({found.test}, one-sided)")
        if challenge.defence.caution:
            print(f"{'':10}{challenge.defence.caution}")


def _line(name: str, scored: Scored, more: str) -> None:
    loss, accuracy = scored.figure("log_loss"), scored.figure("accuracy")
    print(f"{'':10}{name:12}{loss:10.4f}{accuracy:10.4f}{more}")


def _faults(challenge: Challenge, gate: PromoteSettings) -> list[str]:
    """Why the gate stays closed; none if it opens."""
    faults = [floor_fault(challenge.challenger.figure(gate.metric), challenge.baseline, gate)]
    if challenge.defence is not None:
        faults.append(noise_fault(challenge.defence.found, gate))
    return [fault for fault in faults if fault]


def _how(comparison: Comparison) -> str:
    """Which candidate was chosen, and why that one where several are tied."""
    names = short_names(comparison.varying)
    chosen = comparison.candidates[comparison.chosen or 0]
    said = spelled(chosen.params, names, LONGEST)
    tied = int(comparison.board.tied.sum()) if comparison.board else 1
    if tied == 1:
        return f"{said}, of {counted(len(comparison.candidates), 'candidate')}"
    return f"{said}, of {tied:,} tied the simplest: most l2, then fewest epochs, then lowest cost"


def _evidence(
    sweep: Sweep,
    comparison: Comparison,
    record: Record,
    challenge: Challenge,
    gate: PromoteSettings,
) -> dict[str, str]:
    """What the version carries: what it is, how it was chosen, and the figures of the gate."""
    tags = {
        "oneuron.sweep": sweep.id,
        "oneuron.sweep_name": sweep.name,
        "oneuron.chosen": _how(comparison),
        "oneuron.data_digest": str(record.lineage["data_digest"]),
        "oneuron.code_digest": str(record.lineage["code_digest"]),
        "oneuron.gate": f"{gate.metric}, floor {gate.floor:g}, confidence {gate.confidence:g}",
        **{
            f"oneuron.{name.replace('/', '.')}": f"{value:.6g}"
            for name, value in record.metrics.items()
            if name.startswith("test/") or name == "rows/test"
        },
    }
    if challenge.defence is not None:
        held, found = challenge.defence.held, challenge.defence.found
        tags["oneuron.gate.against"] = f"version {held.number}, run {held.identity}"
        tags["oneuron.gate.difference"] = f"{found.difference:.6g}"
        tags["oneuron.gate.p"] = f"{found.p:.6g} ({found.test}, one-sided)"
    return tags
