"""Commands that set up a project: its tables and contracts."""

from __future__ import annotations

from pathlib import Path

from pipeline import files
from pipeline.cli.given import Given
from pipeline.errors import OK
from pipeline.text import counted, say


def data(given: Given) -> int:
    """Write the tables that come with the project, or remove those that can be written again."""
    from pipeline.stages.read.datasets import TABLES, remove_written, write_if_missing

    if given.options["remove"]:
        for path in remove_written():
            say(f"removed: {path}")
        return OK
    for path in TABLES:
        say(f"{'written' if write_if_missing(path) else 'there already'}: {path}")
    return OK


def contract(given: Given) -> int:
    """Draft the contract of a table, which a person then reads and edits."""
    from pipeline.draft import contract_path, draft_contract

    options = given.options
    source = Path(options["input"])
    path = contract_path(options["output"], source)
    draft = draft_contract(source, options["target"], options["positive"], path.stem)
    files.write_new(path, draft.text.encode())
    kinds = ", ".join(f"{n} {kind}" for kind, n in draft.kinds.items())
    say(f"{'Draft':10}{files.shown(path)} of {counted(draft.n_rows, 'row')}: {kinds}")
    for title, lines in (("Unsure", draft.unsure), ("Edit", draft.edits)):
        for line in lines:
            say(f"{title:10}{line}")
    say(f'{"Next":10}read and edit it, then: make run ARGS="data={path.stem}"')
    return OK
