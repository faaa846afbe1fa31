"""A trained neuron becomes a certificate: how far it is from the best one, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from nn import Examples, five_point_gradient, logits, loss_and_gradient, mean_loss, penalty
from nn.arrays import Array
from nn.bounds import gap_bound, self_concordance, strong_convexity
from nn.newton import newton
from pipeline.stages.one_thread import on_one_thread
from pipeline.stages.train import Trained

Verdict = Literal["converged", "stopped early", "diverged", "no finite optimum", "not certified"]
Rows = npt.NDArray[np.bool_]
CONVERGED = 1e-6  # nats per row above the optimum
GROWN = 15.0  # a margin that few rows have at a finite optimum
MOST_WORK = 2e9  # products in a Hessian: more take longer than many a training
MOST_CELLS = 4e5  # of the inputs, for a linear programme: seconds
MOST_NAMED = 6  # inputs
MAX_NAME = 40  # characters
MOST_AXES = 24  # parameters whose derivatives are checked one by one
DIRECTIONS = 8  # along which those of more are checked
SMALL = 1e-3  # gradients below it are checked as if they were as large
WRONG = 1e-7  # relative: differences are good to 1e-9, also for numbers of a thousand


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
        """The verdict in words."""
        if self.verdict == "stopped early":
            return f"stopped early, {self.gap:.2g} nats per row above the optimum"
        if self.verdict == "no finite optimum":
            more = len(self.separated_on) - MOST_NAMED
            named = [_cut(name) for name in self.separated_on[:MOST_NAMED]]
            names = ", ".join(named) + (f" and {more:,} more" * (more > 0))
            return (
                f"no finite optimum: the data separate on {names}; the cost can fall "
                f"{self.gap:.2g} nats further, to {self.optimum:.4f}"
            )
        if self.verdict == "converged":
            return f"converged: {self.gap:.1e} nats above the optimum, all that this model can do"
        if self.verdict == "not certified":
            return (
                "not certified: the table is too large, or its numbers too extreme; at most "
                f"{self.bound:.2g} nats above the best possible cost"
            )
        return self.verdict

    @property
    def figures(self) -> dict[str, float]:
        """Every figure that is known, by its name in MLflow."""
        names = ("gap", "bound", "optimum", "gradient_norm", "gradient_check")
        return {
            f"certificate/{name}": v for name in names if (v := getattr(self, name)) is not None
        }


@on_one_thread
def certify(trained: Trained, examples: Examples, l2: float) -> Certificate:
    """The certificate of the kept neuron on the rows that trained it, as ``certificate``.

    A run is never lost by it: where numbers are too extreme to tell, it says so.
    """
    if trained.ended == "diverged":
        return Certificate("diverged")
    with np.errstate(all="ignore"):
        try:
            found = certificate(trained.theta, examples, trained.inputs, l2)
        except np.linalg.LinAlgError:
            found = Certificate("not certified")
        if all(math.isfinite(figure) for figure in found.figures.values()) and found.figures:
            return found
        value = loss_and_gradient(trained.theta, *examples, l2)[0]  # no cost is negative
    return Certificate("not certified", bound=value)


def certificate(theta: Array, examples: Examples, inputs: Sequence[str], l2: float) -> Certificate:
    """The certificate of the neuron ``theta`` on these rows.

    Without a penalty the cost may have no minimum: where the classes can be told apart on some
    rows by a weighted sum that leaves the others undecided, it falls for ever (Albert and Anderson
    1984). That is excluded by curvature at the point that Newton's method finds, or shown by a
    linear programme.
    """
    value, slope = loss_and_gradient(theta, *examples, l2)
    norm, check = float(np.linalg.norm(slope)), gradient_check(theta, examples, l2)
    if len(theta) ** 2 * len(examples.y) > MOST_WORK:
        bound = min(value, strong_convexity(theta, examples, l2))
        return Certificate("not certified", None, bound, None, norm, check)
    bound = gap_bound(theta, examples, l2)
    found = newton(theta, examples, l2)
    optimum, separated_on = found.objective, tuple[str, ...]()
    if l2 == 0 and not self_concordance(found.theta, examples, l2)[1]:
        if examples.X.size > MOST_CELLS:
            return Certificate("not certified", None, bound, None, norm, check)
        rows, named, lowest = separation(found.theta, examples)
        if rows.any():
            optimum, separated_on = lowest, tuple(inputs[j] for j in named)
    gap = value - optimum
    verdict: Verdict = "converged" if gap < CONVERGED else "stopped early"
    if separated_on:
        verdict = "no finite optimum"
    return Certificate(verdict, gap, bound, optimum, norm, check, separated_on)


def gradient_check(theta: Array, examples: Examples, l2: float) -> float:
    """The largest relative error of a component of the gradient, against five-point differences.

    Halfway between all zeros and ``theta``: at the optimum there is no gradient to be wrong, and at
    zero no penalty. Of many parameters, along a few sums of all of them with random signs, in each
    of which an error of one of them shows.
    """
    X, y, weight = examples
    centre = theta / 2
    n = len(theta)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (DIRECTIONS, n))
    axes, length = (np.eye(n), 1.0) if n <= MOST_AXES else (signs / np.sqrt(n), np.sqrt(n))

    def cost(along: Array) -> float:
        there = centre + along @ axes
        return mean_loss(logits(there, X), y, weight) + penalty(there, l2)

    _, slope = loss_and_gradient(centre, *examples, l2)
    error = np.abs(axes @ slope - five_point_gradient(cost, np.zeros(len(axes)))) * length
    return float(error.max() / max(np.abs(slope).max(), SMALL))


def separation(theta: Array, examples: Examples) -> tuple[Rows, list[int], float]:
    """The rows (n,) that can be separated, the inputs that do it, and the infimum of the cost.

    ``theta`` is where Newton's method went. The rows whose margins grew there are taken for the
    separated ones where one linear programme finds a sum that separates them, and curvature proves
    that the cost of the others has a minimum: then none of them can be separated as well. If not, a
    larger programme finds all that can be.
    """
    z = logits(theta, examples.X)
    rows = ((2 * examples.y - 1) * z > GROWN) & (examples.weight > 0)
    named = direction(examples, rows) if rows.any() else None
    if named is not None:
        value, has_minimum = _rest(examples, rows)
        if has_minimum:
            return rows, named, value
    rows = separated_rows(examples)
    named = direction(examples, rows) if rows.any() else []
    if named is None:
        raise np.linalg.LinAlgError("rows that are separated must have a sum that does it")
    return rows, named, _rest(examples, rows)[0]


def separated_rows(examples: Examples) -> Rows:
    """Which rows (n,) some weighted sum puts on their right side that puts none on its wrong one.

    All of them at once: ``max sum t`` with ``0 <= t_i <= 1`` and ``t_i <= s_i [x_i 1] v``, where
    s_i is 1 for class 1 and -1 for class 0 (after Konis 2007); such sums can be added up.
    """
    from scipy import sparse
    from scipy.optimize import linprog

    signed = sparse.csr_array(_signed(examples))
    n, d = signed.shape
    found = linprog(
        np.concatenate([np.zeros(d), -np.ones(n)]),
        A_ub=sparse.hstack([-signed, sparse.eye_array(n)], format="csr"),
        b_ub=np.zeros(n),
        bounds=[(None, None)] * d + [(0, 1)] * n,
        method="highs",
    )
    if found.x is None:  # it always has a solution, all zeros
        raise np.linalg.LinAlgError(f"the linear programme must be solved; got {found.message}")
    rows = np.zeros(len(examples.y), bool)
    rows[examples.weight > 0] = found.x[d:] > 0.5
    return rows


def direction(examples: Examples, rows: Rows) -> list[int] | None:
    """The inputs of the weighted sum that separates the ``rows`` with the least sum of |weights|.

    Their margins are 1 or more and no other row is on its wrong side; None where there is none.
    """
    from scipy import sparse
    from scipy.optimize import linprog

    counted = examples.weight > 0
    signed = _signed(examples)
    d = signed.shape[1] - 1
    # v = up - down, both >= 0, and the bias, which is free.
    both = sparse.csr_array(np.hstack([signed[:, :-1], -signed[:, :-1], signed[:, -1:]]))
    found = linprog(
        np.concatenate([np.ones(2 * d), [0.0]]),
        A_ub=-both,
        b_ub=-rows[counted].astype(float),
        bounds=[(0, None)] * (2 * d) + [(None, None)],
        method="highs",
    )
    if found.x is None:
        return None
    weights = np.abs(found.x[:d] - found.x[d : 2 * d])
    return [int(j) for j in np.flatnonzero(weights > 1e-7 * weights.max(initial=0.0))]


def _rest(examples: Examples, rows: Rows) -> tuple[float, bool]:
    """The least cost of all rows when that of ``rows`` falls to 0; whether the others reach it."""
    X, y, weight = examples
    rest = Examples(X[~rows], y[~rows], weight[~rows])
    if not rest.weight.sum() > 0:
        return 0.0, True
    found = newton(np.zeros(X.shape[1] + 1), rest)
    share = float(rest.weight.sum() / weight.sum())
    return found.objective * share, self_concordance(found.theta, rest, 0.0)[1]


def _signed(examples: Examples) -> Array:
    """Rows with a one for the bias, those of class 0 negated; only rows that count."""
    X, y, weight = examples
    with_bias = np.column_stack([X, np.ones(len(X))])
    signed: Array = (with_bias * (2 * y - 1)[:, None])[weight > 0]
    return signed


def _cut(name: str) -> str:
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"
