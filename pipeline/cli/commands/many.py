"""Commands about many runs: sweeps, comparisons and the champion."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.cli.given import Given, resolve_record


def sweep(given: Given) -> int:
    """Make every run of a grid that is not done yet, or with ``plan`` say which those are."""
    if any(re.match("search=(?!none$)", word) for word in given.words):
        return search(given)
    from pipeline.sweeps.sweep import run_sweep, show_plan

    words = given.words or ["experiment=optimisers"]
    return show_plan(words) if given.options["plan"] else run_sweep(words)


def search(given: Given) -> int:
    """Make the trials of a search that are left, or with ``plan`` say what it draws from."""
    from pipeline.sweeps.search import run_search, show_space

    words = given.words or ["experiment=rates"]
    return show_space(words) if given.options["plan"] else run_search(words)


def compare(given: Given) -> int:
    """Compare the runs of a sweep, or those that a filter of MLflow finds."""
    from pipeline.sweeps.report import compare_again

    return compare_again(given.options["sweep"], given.options["filter"], given.tracking())


def promote(given: Given) -> int:
    """Make the best run of a sweep, or one run, the champion if it passes the gate."""
    from pipeline.config.compose import configuration
    from pipeline.sweeps.promote import promote as promote_best
    from pipeline.sweeps.promote import promote_run

    if given.options["run"]:
        with TemporaryDirectory() as folder:
            record = resolve_record(given, Path(folder))
            return promote_run(record, configuration(given.words))
    return promote_best(given.options["sweep"], configuration(given.words))
