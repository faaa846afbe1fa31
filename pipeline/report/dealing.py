"""How the rows were dealt to train, valid and test, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.stages.split import Dealing
from pipeline.text import counted


def format_dealing(dealing: Dealing, config: Mapping[str, Any]) -> Iterator[str]:
    """Yield how the rows were dealt, and what is wrong with it, given the configuration."""
    n_train, n_valid, n_test = dealing.rows
    split = config["split"]
    if split["name"] == "none":
        yield f"NONE: all {n_train:,} rows both train and test the neuron"
        return
    how = _how(dealing, split, config["data"])
    validate = f"{n_valid:,}" if n_valid else "none"
    yield f"{n_train:,} rows train, {validate} validate, {n_test:,} test; {how}"
    if dealing.rule:
        yield f"dealt {dealing.rule}"
    if dealing.groups is not None:
        train, valid, test = dealing.groups
        yield f"they are of {counted(train, 'group')}, {valid:,} and {test:,}"
    if dealing.shared:
        yield (
            f"warning: {counted(dealing.shared, 'group')} of test are in train as well: figures do "
            f"not hold for new groups{_cure(split)}"
        )


def _how(dealing: Dealing, split: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """Return by what the rows were dealt."""
    match split["name"]:
        case "folds":
            k, n = split["fold"] + 1, split["folds"]
            return f"fold {k} of {n} validates, split seed {split['seed']}"
        case "group":
            return f"whole groups, split seed {split['seed']}"
        case "time":
            cuts = (f"{part} from {cut}" for part, cut in dealing.cuts.items())
            return f"by time, {', '.join(cuts)}"
        case "files":
            names = (f"{part} is {data[part]}" for part in ("valid", "test") if data[part])
            return f"files, {', '.join(names)}"
    return f"stratified, split seed {split['seed']}"


def _cure(split: Mapping[str, Any]) -> str:
    return ": use split=group" if split["name"] == "stratified" else ""
