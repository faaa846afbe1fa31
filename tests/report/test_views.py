"""Figures and pages are drawn from a record and stand beside it; they are no part of it."""

import stat
from dataclasses import replace

import builders
import pytest

from pipeline.record import read, write
from pipeline.report.views import views, write_views

FIGURES = {
    "curves", "effects", "importance", "confusion", "roc", "precision_recall", "decision_curve",
    "gain", "calibration",
}  # fmt: skip
SECRET = "hunter2-Tr0ub4dor"


@pytest.mark.exhaustive
def test_views_stand_beside_the_record_private_and_leave_it_whole(tmp_path):
    record = write(builders.make_finished(), tmp_path, here=builders.make_environment())
    write_views(record)
    drawn = views(record)
    assert set(drawn) == {f"figures/{name}.png" for name in FIGURES} | {"report.html"}
    for name, content in drawn.items():
        path = record.path / name
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert read(record.path).files == record.files


def test_a_table_that_was_refused_has_its_page_and_no_figure(tmp_path):
    record = write(builders.make_refused(), tmp_path, here=builders.make_environment())
    assert list(views(record)) == ["report.html"]


def test_the_page_holds_no_secret(tmp_path, monkeypatch):
    """H04: a value that the environment holds as a secret, in a warning about the table."""
    validation = builders.make_validation(warnings=(f"{SECRET} seen twice",))
    refused = replace(builders.make_refused().prepared, validation=validation)
    record = write(
        builders.make_refused(prepared=refused), tmp_path, here=builders.make_environment()
    )
    assert SECRET.encode() in views(record)["report.html"]  # the control: it is no secret yet
    monkeypatch.setenv("API_TOKEN", SECRET)
    assert SECRET.encode() not in views(record)["report.html"]
    assert b"*** seen twice" in views(record)["report.html"]
