"""A trained neuron becomes a certificate: how far it is from the best one, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nn import Examples, examine, five_point_gradient, gap_bound, logits, newton, objective
from nn.arrays import Array
from nn.optimum import duality_gap, self_concordance
from pipeline.stages.one_thread import on_one_thread
from pipeline.stages.train import Trained
from pipeline.text import cut

Verdict = Literal["converged", "stopped early", "diverged", "no finite optimum", "not certified"]
Rows = npt.NDArray[np.bool_]
CONVERGED = 1e-6  # nats per row above the optimum
GROWN = 15.0  # a margin that few rows have at a finite optimum
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
    ``bound`` is never below the gap, and follows from the gradient alone. ``gradient_check`` is the
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
        if self.verdict == "stopped early":
            return f"stopped early, {self.gap:.2g} nats per row above the optimum"
        if self.verdict == "no finite optimum":
            return (
                f"no finite optimum: the data separate on {_listed(self.separated_on)}; the loss "
                f"can fall {self.gap:.2g} nats further, to {self.optimum:.4f}"
            )
        if self.verdict == "converged":
            return f"converged: {self.gap:.1e} nats above the optimum, all that this model can do"
        if self.verdict == "not certified":
            return (
                "not certified: the table is too large, or its numbers too extreme; at most "
                f"{self.bound:.2g} nats above the best possible loss"
            )
        return self.verdict

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
def certify(trained: Trained, examples: Examples, l2: float) -> Certificate:
    """Return the certificate of the kept neuron on the rows that trained it.

    It never ends a run: where numbers are too extreme to certify, the verdict is that.
    """
    if trained.ended == "diverged":
        return Certificate("diverged")
    with np.errstate(all="ignore"):
        try:
            found = certificate(trained.theta, examples, trained.inputs, l2)
        except np.linalg.LinAlgError:
            found = Certificate("not certified")
        if found.metrics and all(math.isfinite(value) for value in found.metrics.values()):
            return found
        value = objective(trained.theta, examples, l2)  # no loss is negative
    return Certificate("not certified", bound=value)


def certificate(theta: Array, examples: Examples, inputs: Sequence[str], l2: float) -> Certificate:
    """Return the certificate of the neuron ``theta`` on these rows.

    Without a penalty the loss may have no minimum: where the classes can be told apart on some
    rows by a weighted sum that leaves the others undecided, it falls for ever (Albert and Anderson
    1984). That is excluded by curvature at the point that Newton's method finds, or shown by a
    linear programme.

    Raises
    ------
    numpy.linalg.LinAlgError
        If numbers overflow, or a linear programme has no solution.
    """
    here = examine(theta, examples, l2)
    norm, check = float(np.linalg.norm(here.gradient)), gradient_check(theta, examples, l2)
    if len(theta) ** 2 * len(examples.y) > MAX_WORK:
        bound = min(here.objective, duality_gap(theta, examples, l2))
        return Certificate("not certified", None, bound, None, norm, check)
    bound = gap_bound(theta, examples, l2)
    best = newton(theta, examples, l2)
    optimum, separated_on = best.objective, tuple[str, ...]()
    if l2 == 0 and not self_concordance(best.theta, examples, l2)[1]:
        if examples.X.size > MAX_CELLS:
            return Certificate("not certified", None, bound, None, norm, check)
        rows, named, infimum = separation(best.theta, examples)
        if rows.any():
            optimum, separated_on = infimum, tuple(inputs[j] for j in named)
    gap = here.objective - optimum
    verdict: Verdict = "converged" if gap < CONVERGED else "stopped early"
    if separated_on:
        verdict = "no finite optimum"
    return Certificate(verdict, gap, bound, optimum, norm, check, separated_on)


def gradient_check(theta: Array, examples: Examples, l2: float) -> float:
    """Return the largest relative error of the gradient against five-point differences.

    Along a few sums of all parameters with random signs, in each of which an error of any of them
    shows; halfway between all zeros and ``theta``: at the optimum there is no gradient to be wrong,
    and at zero no penalty.
    """
    centre, n = theta / 2, len(theta)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (DIRECTIONS, n))
    axes = signs / np.sqrt(n)

    def along(distances: Array) -> float:
        return objective(centre + distances @ axes, examples, l2)

    slope = examine(centre, examples, l2).gradient
    error = np.abs(axes @ slope - five_point_gradient(along, np.zeros(DIRECTIONS))) * np.sqrt(n)
    return float(error.max() / max(np.abs(slope).max(), SMALL))


def separation(theta: Array, examples: Examples) -> tuple[Rows, list[int], float]:
    """Return the rows (n,) that can be separated, the inputs that do it, the infimum of the loss.

    ``theta`` is where Newton's method went. The rows whose margins grew there are taken for the
    separated ones where one linear programme finds a sum that separates them, and curvature proves
    that the loss of the others has a minimum: then none of them can be separated as well. If not, a
    larger programme finds all that can be.
    """
    z = logits(theta, examples.X)
    rows = ((2 * examples.y - 1) * z > GROWN) & (examples.count > 0)
    named = direction(examples, rows) if rows.any() else None
    if named is not None:
        infimum, has_minimum = _rest(examples, rows)
        if has_minimum:
            return rows, named, infimum
    rows = separated_rows(examples)
    named = direction(examples, rows) if rows.any() else []
    if named is None:
        raise np.linalg.LinAlgError("rows that are separated must have a sum that does it")
    return rows, named, _rest(examples, rows)[0]


def separated_rows(examples: Examples) -> Rows:
    """Return which rows (n,) a weighted sum can put on their right side with none on a wrong one.

    All of them at once: ``max sum t`` with ``0 <= t_i <= 1`` and ``t_i <= s_i [x_i 1] v``, where
    s_i is 1 for class 1 and -1 for class 0 (after Konis 2007); such sums can be added up.
    """
    from scipy import sparse

    signed = sparse.csr_array(_signed(examples))
    n, d = signed.shape
    found = _solve(
        np.concatenate([np.zeros(d), -np.ones(n)]),
        sparse.hstack([-signed, sparse.eye_array(n)], format="csr"),
        np.zeros(n),
        [(None, None)] * d + [(0, 1)] * n,
    )
    if found is None:
        raise np.linalg.LinAlgError("the linear programme must have a solution: all zeros are one")
    rows = np.zeros(len(examples.y), bool)
    rows[examples.count > 0] = found[d:] > 0.5
    return rows


def direction(examples: Examples, rows: Rows) -> list[int] | None:
    """Return the inputs of the sum that separates the ``rows`` with the least sum of |weights|.

    Their margins are 1 or more and no other row is on its wrong side; None where there is none.
    """
    from scipy import sparse

    signed = _signed(examples)
    d = signed.shape[1] - 1
    # v = up - down, both >= 0, and the bias, which is free.
    both = sparse.csr_array(np.hstack([signed[:, :-1], -signed[:, :-1], signed[:, -1:]]))
    found = _solve(
        np.concatenate([np.ones(2 * d), [0.0]]),
        -both,
        -rows[examples.count > 0].astype(float),
        [(0, None)] * (2 * d) + [(None, None)],
    )
    if found is None:
        return None
    weights = np.abs(found[:d] - found[d : 2 * d])
    return [int(j) for j in np.flatnonzero(weights > 1e-7 * weights.max(initial=0.0))]


def _solve(cost: Array, A: Any, b: Array, bounds: list[tuple[Any, Any]]) -> Array | None:
    """Return the x within ``bounds`` of least ``cost @ x`` where ``A x <= b``; None if none is."""
    from scipy.optimize import linprog

    x: Array | None = linprog(cost, A_ub=A, b_ub=b, bounds=bounds, method="highs").x
    return x


def _rest(examples: Examples, rows: Rows) -> tuple[float, bool]:
    """Return the infimum of the loss when that of ``rows`` is 0; whether the others reach it."""
    rest = Examples(*(array[~rows] for array in examples))
    if not rest.count.sum() > 0:
        return 0.0, True
    best = newton(np.zeros(rest.X.shape[1] + 1), rest)
    share = float(rest.count.sum() / examples.count.sum())
    return best.objective * share, self_concordance(best.theta, rest, 0.0)[1]


def _signed(examples: Examples) -> Array:
    """Return ``[X 1]`` of the rows that count, those of class 0 negated."""
    X, y, count = examples
    with_bias = np.column_stack([X, np.ones(len(X))])
    signed: Array = (with_bias * (2 * y - 1)[:, None])[count > 0]
    return signed
