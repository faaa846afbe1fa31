"""The certificates of repeats become one verdict that hides none of them."""

from itertools import permutations

import compare_builders as made
import pytest
from builders import make_environment, make_finished

from pipeline.compare.convergence import convergence, ending, gap, too_early, worst
from pipeline.compare.load import run_of
from pipeline.record import write
from pipeline.stages.certify import Certificate


def run(verdict, gap=None, ended="epochs", **more):
    known = {"bound": 0.5, "optimum": 0.1} | more
    certificate = Certificate(verdict, gap, **known) if verdict else None
    return made.run({}, certificate=certificate, ended=ended)


CONVERGED, EARLY = run("converged", 2e-9), run("stopped early", 0.13)
APART = run("no finite optimum", 0.02, separated_on=("persons=2", "safety=low"))
UNKNOWN, UNCERTAIN = run(None), run("not certified")


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ([CONVERGED, CONVERGED], "converged"),
        ([CONVERGED, EARLY, run("stopped early", 0.07)], "stopped +0.13"),
        ([CONVERGED, UNKNOWN], "unknown"),
        ([UNKNOWN, EARLY], "stopped +0.13"),
        ([UNCERTAIN, CONVERGED], "not certified"),
        ([EARLY, APART], "no finite optimum"),
        ([run("stopped early", 0.04, "patience"), CONVERGED], "patience +0.04"),
        ([run("stopped early", 1.234e-5)], "stopped +1.2e-05"),
        ([run("better than possible", 0.0)], "unknown"),  # a verdict of a version to come
    ],
)
def test_the_worst_of_the_repeats_is_shown_whatever_their_order(runs, text):
    assert {convergence(order)[0] for order in permutations(runs)} == {text}


def test_behind_it_stands_the_certificate_of_the_worst_and_how_many_ended_so():
    assert convergence([CONVERGED, EARLY])[1] == f"1 of 2 runs: {EARLY.certificate.text}"
    assert convergence([APART])[1] == APART.certificate.text
    assert convergence([UNKNOWN, UNKNOWN])[1] == "2 of 2 runs: no certificate"


def test_a_gap_below_nought_is_rounding():
    assert gap(run("converged", -1e-17)) == 0


def test_a_run_stopped_too_early_where_its_gap_matters_and_patience_did_not_end_it():
    assert too_early(run("stopped early", 1e-3))
    assert not too_early(run("stopped early", 0.99e-3))
    assert not too_early(run("stopped early", 1e-3, "patience"))
    assert not too_early(run("converged", 1e-3))


def test_of_two_that_ended_alike_the_worse_has_the_larger_gap():
    other = run("stopped early", 0.2)
    assert worst([EARLY, other]) is other


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
def test_a_record_keeps_the_certificate_that_it_was_written_with(held, tmp_path):
    found = run_of(write(make_finished(certificate=held), tmp_path, here=make_environment()))
    assert found.certificate == held
    assert ending(found) == held.verdict
