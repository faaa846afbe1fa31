"""What is said of a sweep when it has ended, and of runs that a filter of MLflow finds."""

import re
import shutil
from pathlib import Path

import pytest
from sweep_builders import StandInPublisher, make_run, use_project

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import ConfigError, DiskError
from pipeline.record import read
from pipeline.stages.read.datasets import write_if_missing
from pipeline.sweeps import report as module
from pipeline.sweeps.host import Host
from pipeline.sweeps.manifest import Member, Sweep, write_sweep
from pipeline.sweeps.report import compare_again
from pipeline.tracking import publish

pytestmark = pytest.mark.exhaustive

TRACKING = TrackingSettings(experiment="mixed")
EVERY = "tags.oneuron.attempt != ''"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, store_template):
    """Runs on two tables and without a split, published to one experiment of a store."""
    folder = tmp_path_factory.mktemp("mixed")
    with pytest.MonkeyPatch.context() as patch:
        use_project(patch, folder)
        shutil.copy2(store_template, files.STORE)
        write_if_missing("data/breast_cancer.csv")
        host = Host()
        cars = [make_run(f"seed={seed}", host=host) for seed in range(3)]
        others = [make_run(f"seed={seed}", "data=breast_cancer", host=host) for seed in range(2)]
        unsplit = [make_run("split=none", host=host)]
        for report in [*cars, *others, *unsplit]:
            publish(read(files.RUNS / report.identity), TRACKING)
        members = [Member(n, (f"seed={n}",), cars[n].identity) for n in range(3)]
        lost = Member(3, ("seed=3",), None, "data must be there")
        write_sweep(Sweep("0" * 12, "rates", (), ("seed",), 1, (*members, lost)))
        yield folder


def said(capsys) -> str:
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.exhaustive
def test_runs_on_other_rows_are_left_out_with_their_digests(mixed, capsys):
    """The largest group is compared."""
    assert compare_again("", EVERY, TRACKING) == 0
    out = said(capsys)
    assert "3 finished runs" in out
    other, here = (rf"{name} \(digest [0-9a-f]{{8}}\)" for name in ("breast_cancer", "car"))
    assert re.search(f"2 runs, measured on {other}.*; here {here}", out)
    assert "1 run, measured on no validation rows" in out
    (page,) = files.SWEEPS.glob("filter-*/comparison.html")
    assert page.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("query", ["params.seed = '99'", "hello"])
def test_a_filter_that_finds_no_run_or_is_none_is_refused(mixed, query):
    with pytest.raises(ConfigError, match="FILTER must"):
        compare_again("", query, TRACKING)


def test_a_sweep_is_compared_again_by_its_name_and_published(mixed, capsys, monkeypatch):
    publisher = StandInPublisher()
    monkeypatch.setattr(module, "Publisher", publisher)
    assert compare_again("rates", "", TRACKING) == 0
    out = said(capsys)
    assert "3 finished runs" in out
    assert "1 of 4 runs did not finish" in out
    (summary,) = publisher.summaries
    assert Path(summary.file).read_bytes().startswith(b"<!doctype html>")
    assert summary.metrics["sweep/unfinished"] == 1
    with pytest.raises(ConfigError, match="nonesuch"):
        compare_again("nonesuch", "", TRACKING)


def test_a_sweep_without_a_finished_run_has_nothing_to_compare(mixed, capsys, monkeypatch):
    monkeypatch.setattr(module, "Publisher", StandInPublisher())
    write_sweep(Sweep("1" * 12, "lost", (), (), 2, (Member(0, (), None, "no data"),)))
    assert compare_again("lost", "", TRACKING) == 2
    assert "nothing to compare" in said(capsys)


def test_a_page_that_cannot_be_written_is_told_after_the_table(mixed, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "replace", full)
    with pytest.raises(DiskError, match="no space left"):
        compare_again("", EVERY, TRACKING)
    assert "3 finished runs" in said(capsys)
