"""The certificates of repeats become one word that hides none of them."""

from itertools import permutations

import comparisons as made
import pytest
from conftest import make_result

from pipeline.record import read, write
from pipeline.stages.certify import Certificate
from pipeline.sweeps.gather import run_of
from pipeline.sweeps.training import training


def run(verdict, gap=None, ended="epochs", separated_on=(), bound=None):
    figures = {"certificate/gap": gap, "certificate/bound": bound}
    metrics = {name: value for name, value in figures.items() if value is not None}
    return made.run({}, verdict=verdict, metrics=metrics, ended=ended, separated_on=separated_on)


CONVERGED, EARLY = run("converged", 2e-9), run("stopped early", 0.13)
APART = run("no finite optimum", 0.02, separated_on=("persons=2", "safety=low"))
UNKNOWN, UNCERTAIN = run(None), run("not certified", bound=0.5)


@pytest.mark.parametrize(
    ("runs", "words", "short"),
    [
        ([CONVERGED, CONVERGED], "converged", "converged"),
        ([CONVERGED, EARLY, run("stopped early", 0.07)], "stopped early, 0.13 above",
         "stopped +0.13"),
        ([CONVERGED, UNKNOWN], "unknown", "unknown"),
        ([UNKNOWN, EARLY], "stopped early, 0.13 above", "stopped +0.13"),
        ([UNCERTAIN, CONVERGED], "not certified", "not certified"),
        ([EARLY, APART], "no finite optimum", "no finite optimum"),
        ([run("stopped early", 0.04, "patience"), CONVERGED], "stopped by patience, 0.04 above",
         "patience +0.04"),
        ([run("stopped early", 1.234e-5)], "stopped early, 1.2e-05 above", "stopped +1.2e-05"),
        ([run("stopped early")], "stopped early", "stopped"),
        ([], "unknown", "unknown"),
    ],
)  # fmt: skip
def test_the_worst_of_the_repeats_is_told_whatever_their_order(runs, words, short):
    found = {(training(order).words, training(order).short) for order in permutations(runs)}
    assert found == {(words, short)}


@pytest.mark.parametrize(
    ("runs", "detail"),
    [
        ([CONVERGED, EARLY], "1 of 2 runs; at most 0.13 nats per row above the optimum"),
        ([APART], "the train rows separate on persons=2, safety=low; at most 0.02 nats per row "
         "above the infimum"),
        ([UNCERTAIN], "at most 0.5 nats per row above the best possible"),
        ([UNKNOWN, UNKNOWN], "2 of 2 runs; its record has no certificate"),
        ([run("converged", -1e-17)], "at most 0 nats per row above the optimum"),
        ([run("no finite optimum", 0.1, separated_on=(*"abcdefgh", "x" * 99))],
         "the train rows separate on a, b, c, d, e, f and 3 more; at most 0.1 nats per row above "
         "the infimum"),
    ],
)  # fmt: skip
def test_what_stands_behind_the_word_is_told(runs, detail):
    assert training(runs).detail == detail


def test_an_input_that_commands_a_terminal_or_fills_it_is_told_in_short():
    evil = run("no finite optimum", 0.1, separated_on=("\x1b[2J" + "x" * 99,))
    assert "\\x1b[2Jxxx" in training([evil]).detail
    assert len(training([evil]).detail) < 130


@pytest.mark.parametrize(
    "held",
    [
        Certificate("converged", 2e-9, 3e-9, 0.15, 1e-6, 1e-11),
        Certificate("stopped early", 0.13, 0.2, 0.15, 0.1, 1e-11),
        Certificate("no finite optimum", 0.02, 0.1, 0.09, 0.1, 1e-11, ("persons=2", "safety=low")),
        Certificate("not certified", None, 0.5, None, 0.1, 1e-11),
    ],
    ids=lambda held: held.verdict,
)
def test_a_record_tells_the_verdict_that_it_was_written_with(held, tmp_path):
    found = run_of(write(make_result(certificate=held), tmp_path))
    assert (found.verdict, found.separated_on) == (held.verdict, held.separated_on)
    assert training([found]).ending == held.verdict
    if held.gap is not None:
        assert training([found]).gap == held.gap


def test_a_record_without_a_certificate_is_unknown_and_no_traceback(tmp_path):
    record = write(make_result(certificate=None), tmp_path)
    assert "certificate.json" not in record.files
    assert training([run_of(read(record.path))]).words == "unknown"


def test_a_verdict_of_a_version_to_come_is_unknown(tmp_path):
    later = Certificate("better than possible", 0.0)
    assert run_of(write(make_result(certificate=later), tmp_path)).verdict is None
