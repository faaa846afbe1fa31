"""A trained neuron becomes a certificate: how far it is from the best one, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from nn import Examples, examine, five_point_gradient, objective
from nn.arrays import Array
from pipeline.stages.blocks.certificate import Proof, prove
from pipeline.stages.blocks.keyed import KeyedBlocks
from pipeline.stages.bounds import PROVEN, Minimum, descend, duality_gap, minimum, rounding
from pipeline.stages.one_thread import on_one_thread
from pipeline.stages.separation import Mask, separations
from pipeline.stages.train import Trained
from pipeline.text import cut

Verdict = Literal["converged", "stopped early", "diverged", "no finite optimum", "not certified"]
SENTENCES: dict[Verdict, str] = {
    "converged": "converged: {gap:.1e} nats above the optimum; more epochs change nothing",
    "stopped early": "stopped early, {gap:.2g} nats per row above the optimum",
    "diverged": "diverged",
    "no finite optimum": "no finite optimum: the data separate on {names}; the loss can fall "
    "{gap:.2g} nats further, to {optimum:.4f}",
    "not certified": "not certified: the table is too large, its numbers too extreme or its inputs "
    "too collinear (train.l2=1e-6 may help); at most {bound:.2g} nats above the best possible loss",
}
CONVERGED = 1e-6  # nats per row above the optimum
STATED = 100  # a gap is stated where the optimum is known to a hundredth of it
MAX_WORK = 2e9  # products in a Hessian: more take longer than many a training
MAX_CELLS = 4e5  # of the inputs, for a linear programme: seconds
MAX_NAMED = 6  # inputs
MAX_NAME = 40  # characters
DIRECTIONS = 8  # along which the gradient is checked
SMALL = 1e-3  # gradients below it are checked as if they were as large
GRADIENT_ERROR = 1e-7  # relative: differences are good to 1e-9, also for numbers of a thousand


@dataclass(frozen=True)
class Certificate:
    """How far the objective of the kept neuron is from the best that the model can do.

    Everything is in nats per row; None where it is not known. ``gap`` is the objective less
    ``optimum``, its minimum, found by Newton's method, or its infimum where it has no minimum.
    ``bound`` is proven and never below the gap. ``gradient_check`` is the
    relative error of the gradient against five-point differences. ``separated_on`` names the inputs
    whose weights would grow without end.
    """

    verdict: Verdict
    gap: float | None = None
    bound: float | None = None
    optimum: float | None = None
    gradient_norm: float | None = None
    gradient_check: float | None = None
    separated_on: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The verdict as a sentence."""
        return SENTENCES[self.verdict].format(**vars(self), names=_listed(self.separated_on))

    @property
    def metrics(self) -> dict[str, float]:
        """Every number that is known, by its name in MLflow."""
        names = ("gap", "bound", "optimum", "gradient_norm", "gradient_check")
        return {
            f"certificate/{name}": v for name in names if (v := getattr(self, name)) is not None
        }


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED
    shown = ", ".join(cut(name, MAX_NAME) for name in names[:MAX_NAMED])
    return shown + (f" and {more:,} more" if more > 0 else "")


@on_one_thread
def certify(trained: Trained, examples: Examples | KeyedBlocks, l2: float) -> Certificate:
    """Return the certificate of the kept neuron on the rows that trained it.

    It never ends a run: where numbers are too extreme to certify, the verdict is that.
    """
    if trained.ended == "diverged":
        return Certificate("diverged")
    with np.errstate(all="ignore"):
        try:
            if isinstance(examples, Examples):
                found = certificate(trained.theta, examples, trained.inputs, l2)
            else:
                found = certificate_of_blocks(trained.theta, examples, l2)
        except np.linalg.LinAlgError:
            found = Certificate("not certified")
        if found.metrics and all(math.isfinite(value) for value in found.metrics.values()):
            return found
        value = objective(trained.theta, examples, l2)  # no loss is negative
    return Certificate("not certified", bound=value)


def certificate(theta: Array, examples: Examples, inputs: Sequence[str], l2: float) -> Certificate:
    """Return the certificate of the neuron ``theta`` on these rows.

    Every verdict follows from two numbers: an objective that can be reached, and one that is proven
    to be below all. Without a penalty the loss may have no minimum: where a weighted sum tells the
    classes apart on some rows and leaves the others undecided, it falls for ever (Albert and
    Anderson 1984), to the infimum of the loss of the others.

    Raises
    ------
    numpy.linalg.LinAlgError
        If numbers overflow.
    """
    here = examine(theta, examples, l2)
    norm, check = float(np.linalg.norm(here.gradient)), gradient_check(theta, examples, l2)
    if len(theta) ** 2 * len(examples.y) > MAX_WORK:
        bound = min(here.objective, duality_gap(theta, examples, l2))
        return Certificate("not certified", None, bound, None, norm, check)
    best, separated_on = _infimum(theta, examples, inputs, l2)
    proof = Proof(here, best.objective, best.lower, rounding(theta, examples, l2))
    found = _judged(proof, check)
    if separated_on and found.gap is not None:
        return replace(found, verdict="no finite optimum", separated_on=separated_on)
    return found


def certificate_of_blocks(theta: Array, blocks: KeyedBlocks, l2: float) -> Certificate:
    """Return the certificate of the neuron ``theta`` on rows in blocks.

    The gradient is checked on the sample. Where rows separate, nothing is certified.

    Raises
    ------
    numpy.linalg.LinAlgError
        If numbers overflow.
    """
    return _judged(prove(theta, blocks, l2), gradient_check(theta, blocks.sample, l2))


def _judged(proof: Proof, check: float) -> Certificate:
    """Return the verdict that follows from what is proven."""
    here, norm = proof.here.objective, float(np.linalg.norm(proof.here.gradient))
    optimum, lower = min(here, proof.optimum), max(0.0, proof.lower)
    gap, bound = here - optimum, here + proof.rounding - lower
    verdict: Verdict = "converged" if bound < CONVERGED else "stopped early"
    apart = proof.optimum - proof.lower
    if not math.isfinite(proof.lower) or (gap < STATED * apart and bound >= CONVERGED):
        return Certificate("not certified", None, bound, None, norm, check)
    return Certificate(verdict, gap, bound, optimum, norm, check)


def _infimum(
    theta: Array, examples: Examples, inputs: Sequence[str], l2: float
) -> tuple[Minimum, tuple[str, ...]]:
    """Return the minimum of the objective, or its infimum and the inputs that separate."""
    best = minimum(theta, examples, l2)
    if best.bound <= PROVEN:
        return best, ()
    if l2 == 0 and not math.isfinite(best.bound) and examples.X.size <= MAX_CELLS:
        for rows, named in separations(best.theta, examples):
            rest = _rest(examples, rows)
            if rest.bound <= PROVEN:
                return rest, tuple(inputs[j] for j in named if j < len(inputs)) or ("the bias",)
    return descend(best, np.zeros_like(theta), examples, l2), ()


def gradient_check(theta: Array, examples: Examples, l2: float) -> float:
    """Return the largest relative error of the gradient against five-point differences.

    Along a few sums of all parameters with random signs, in each of which an error of any of them
    shows; halfway between all zeros and ``theta``: at the optimum there is no gradient to be wrong,
    and at zero no penalty. Parameters of large inputs are moved by as much less.
    """
    centre, n, l2 = theta / 2, len(theta), min(l2, 1.0)  # more of the penalty would drown the loss
    unit = np.maximum(np.append(np.abs(examples.X).max(axis=0, initial=0.0), 1.0), 1.0)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (DIRECTIONS, n))
    axes = signs / np.sqrt(n) / unit

    def along(distances: Array) -> float:
        return objective(centre + distances @ axes, examples, l2)

    slope = examine(centre, examples, l2).gradient
    error = np.abs(axes @ slope - five_point_gradient(along, np.zeros(DIRECTIONS))) * np.sqrt(n)
    return float(error.max() / max(np.abs(slope / unit).max(), SMALL))


def _rest(examples: Examples, rows: Mask) -> Minimum:
    """Return the infimum of the loss when that of ``rows`` is 0."""
    rest = Examples(*(array[~rows] for array in examples))
    zeros = np.zeros(rest.X.shape[1] + 1)
    if not rest.count.sum() > 0:
        return Minimum(zeros, 0.0, 0.0)
    best = minimum(zeros, rest, 0.0)
    share = float(rest.count.sum() / examples.count.sum())
    return Minimum(best.theta, best.objective * share, best.lower * share)
