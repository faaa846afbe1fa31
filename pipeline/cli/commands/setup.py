"""Commands that set up a project: its tables and contracts."""

from __future__ import annotations

from pathlib import Path

from pipeline import files
from pipeline.cli.given import Given
from pipeline.errors import OK, ConfigError
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


def init(_: Given) -> int:
    """Lay down ``conf/`` in the current folder, to start from; what is there stays as it is."""
    if not files.IS_INSTALLED:
        got = f"a checkout, whose conf/ is in {files.PROJECT}"
        raise ConfigError(f"init must be of a package that pip installed; got {got}: use that")
    folder, n_kept, n_written = Path.cwd() / "conf", 0, 0
    for source in sorted(files.TEMPLATE.rglob("*.yaml")):
        name = source.relative_to(files.TEMPLATE)
        files.make_private((folder / name).parent)
        try:
            files.write_new(folder / name, source.read_bytes())
            n_written += 1
        except FileExistsError:
            n_kept += 1
    kept = f"; {n_kept} were there already and stay as they are" if n_kept else ""
    say(f"written: {counted(n_written, 'file')} in conf/{kept}")
    say(f"{'Next':10}oneuron run, and oneuron --help")
    return OK


def completion(given: Given) -> int:
    """Print the script by which a shell completes commands, flags, settings and names."""
    from pipeline.cli.completion import script

    say(script(given.options["shell"]))
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
