"""The one table of commands: what make, ``python -m pipeline`` and ``oneuron`` know.

A command takes its flags and the settings that it names; every other word is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.cli.commands import many, setup, share, train, use
from pipeline.cli.given import Given

EVERY_SETTING = ("*",)
TRACKING = ("tracking",)
FILE_SETTINGS = tuple(  # the form of a file of rows to predict, where it is not that of the table
    f"data.{name}"
    for name in (
        "encoding", "delimiter", "quote", "comment", "skip_rows", "header", "names", "strip",
        "decimal", "thousands", "missing_values", "rest",
    )
)  # fmt: skip
CONNECT = "data.source.connect"


@dataclass(frozen=True)
class Option:
    """A flag with a value; make's variable has its name in capitals."""

    name: str
    help: str
    default: str = ""
    example: str = ""  # a value, for the message that it must be given; "": it need not be
    is_switch: bool = False
    is_word: bool = False  # typed without its name
    values: tuple[str, ...] = ()  # that it may have, or often has
    folder: str = ""  # of the project, whose names it may have

    @property
    def variable(self) -> str:
        """The variable of make: ON_BAD_ROW of --on-bad-row."""
        return self.name.upper().replace("-", "_")


@dataclass(frozen=True)
class Command:
    """What a person types, what it does, and the flags and settings that it takes."""

    name: str
    help: str
    handler: Callable[[Given], int]
    options: tuple[Option, ...] = ()
    settings: tuple[str, ...] = ()
    example: str = ""  # what may be typed after the flags that must be given
    is_watched: bool = True  # a line says what is done; not where it forks, or serves until Ctrl-C

    @property
    def needed(self) -> list[Option]:
        """The flags that must be given."""
        return [option for option in self.options if option.example]


RUN = Option(
    "run", "identity, id in MLflow, latest, champion or model@champion", "latest",
    values=("latest", "champion"), folder="runs",
)  # fmt: skip
SWEEP = Option(
    "sweep", "name, id (or its beginning), or latest", "latest",
    values=("latest",), folder="sweeps",
)  # fmt: skip
SHELLS = ("bash", "zsh", "fish")
CFG = Option("cfg", "job: print the configuration that would run", values=("job",))

GROUPS = {
    "One run": (
        Command(
            "run", "train, evaluate and track one neuron", train.run, (CFG,), EVERY_SETTING,
            "data=breast_cancer optimiser=newton",
        ),
        Command(
            "tune", "train on all but the test rows, folds choose the penalty", train.tune,
            (CFG,), EVERY_SETTING, "data=breast_cancer",
        ),
        Command(
            "reproduce", "train a run again and say whether it is the same", train.reproduce,
            (RUN, Option("from", "source: by the code on record", values=("source",)),
             Option("trust", "yes: run code that was not made on this machine", values=("yes",))),
            ("data.path", CONNECT, "data.valid", "data.test", "train.blas_threads", "tracking"),
            "--run latest --from source",
        ),
    ),
    "Many runs": (
        Command(
            "sweep", "a run for each point of a grid, and how they compare", many.sweep,
            (Option("plan", "show what would be run", is_switch=True),), EVERY_SETTING,
            "'seed=range(5)' optimiser=momentum,adam", is_watched=False,
        ),
        Command(
            "search", "draw points of a space one by one, run them, and compare", many.search,
            (Option("plan", "show the space, and how much is left", is_switch=True),),
            EVERY_SETTING, "'train.l2=interval(0,0.1)' 'seed=range(3)'",
            is_watched=False,
        ),
        Command(
            "compare", "compare runs", many.compare,
            (SWEEP, Option("filter", "of MLflow, as: params.seed = '0'")), TRACKING,
            "--sweep latest",
        ),
        Command(
            "promote", "make the best run champion if it passes the gate of conf/promote",
            many.promote, (SWEEP, Option("run", "this run, instead of the best of a sweep")),
            ("promote", "tracking"), "--sweep latest",
        ),
    ),
    "Use a run": (
        Command(
            "predict", "score new rows", use.predict,
            (RUN, Option("input", "csv, csv.gz or parquet", "", "new.csv"),
             Option("output", "CSV to write", "", "scored.csv"),
             Option("on-bad-row", "refuse the file, or skip the row and say why", "refuse",
                    values=("refuse", "skip"))),
            ("evaluate.threshold", *FILE_SETTINGS, "tracking"), "--run champion",
        ),
        Command(
            "serve", "answer requests, and show a form for one row", use.serve,
            (RUN, Option("port", "a free one is taken if it is not", "5001"),
             Option("on-bad-row", "refuse the request, or skip the row and say why", "refuse",
                    values=("refuse", "skip")),
             Option("hide-values", "no message holds a value that was sent", is_switch=True)),
            ("evaluate.threshold", *FILE_SETTINGS, "tracking"), "--run champion",
            is_watched=False,
        ),
        Command(
            "sql", "a run as a query that scores a table where it is", use.sql,
            (RUN, Option("dialect", "duckdb, postgres or sqlite", "duckdb",
                    values=("duckdb", "postgres", "sqlite")),
             Option("table", "whose rows the query scores", "rows"),
             Option("output", "file to write", "score.sql")),
            ("evaluate.threshold", "tracking"), "--dialect postgres --table shop.customers",
        ),
        Command(
            "evaluate", "figures and drift on a labelled file; exit code 6 if worse",
            use.evaluate,
            (RUN, Option("input", "csv, csv.gz or parquet, with the target", "", "labelled.csv"),
             Option("output", "JSON to write the figures to")),
            (*FILE_SETTINGS, *TRACKING), "--run champion",
        ),
        Command(
            "report", "draw the page of a run, as of a sweep, or draw it again", use.report,
            (RUN, Option("output", "page to write; without it, beside the record")), TRACKING,
            "--run latest --output page.html",
        ),
        Command(
            "scorecard", "write a run of words and bins as whole points", use.scorecard,
            (RUN, Option("output", "CSV to write", "scorecard.csv")), ("scorecard", "tracking"),
            "--output scorecard.csv",
        ),
    ),
    "Share runs": (
        Command(
            "ui", "look at the runs in MLflow, on this machine only", share.ui,
            (Option("port", "a free one is taken if it is not", "5000"),), is_watched=False,
        ),
        Command(
            "sync", "publish the runs that a store or server lacks", share.sync, (), TRACKING,
            "tracking=server tracking.uri=http://127.0.0.1:5000",
        ),
        Command(
            "server", "a tracking server for a team: PostgreSQL, logins (docs/server.md)",
            share.server,
            (Option("port", "0 for any that is free", "5000"),
             Option("host", "an interface of this machine", "127.0.0.1"),
             Option("folder", "for secrets, artifacts and the database", "server"),
             Option("origin", "https://name of a proxy in front, or several in quotes"),
             Option("certificate", "PEM file of TLS"), Option("key", "PEM file of TLS")),
            is_watched=False,
        ),
        Command(
            "export", "write a run to one file", share.export,
            (RUN, Option("output", "zip to write", "", "run.zip")), TRACKING,
        ),
        Command(
            "import", "take in a run that was exported elsewhere", share.import_,
            (Option("input", "zip that export has written", "", "run.zip"),), TRACKING,
        ),
    ),
    "Set up": (
        Command(
            "init", "lay down conf/ in this folder, where pip installed oneuron", setup.init,
        ),
        Command(
            "data", "write the tables that come with the project", setup.data,
            (Option("remove", "remove those that can be written again", is_switch=True),),
        ),
        Command(
            "contract", "draft the contract of a table, to read and edit", setup.contract,
            (Option("input", "csv, csv.gz or parquet", "", "table.csv"),
             Option("target", "the column to predict (without a header: its place)", "", "column"),
             Option("positive", "its value, or values with commas between them, that are class 1"),
             Option("output", "YAML to write, in conf/data")),
            example="--positive yes",
        ),
        Command(
            "completion", "print the script by which a shell completes oneuron",
            setup.completion,
            (Option("shell", "bash, zsh or fish", "bash", is_word=True, values=SHELLS),),
            example="zsh",
        ),
    ),
}  # fmt: skip
COMMANDS = tuple(command for group in GROUPS.values() for command in group)
BY_NAME = {command.name: command for command in COMMANDS}
