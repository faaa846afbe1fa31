"""What counted rows say of the parameters behind them: maximum likelihood, and intervals.

Here the parameters are of r columns ``A`` (n, r) of which none is a weighted sum of the others, the
bias among them, and k vectors of them are worked on at once: ``beta`` (k, r). Log-likelihoods are
in nats, of all rows together.

Maximum likelihood is biased away from zero in small samples, and has no finite value where the data
separate. Firth (1993, Biometrika 80:27-38) adds half the logarithm of the determinant of the
information, which removes the bias to first order and always has a finite maximum. Intervals are of
the profile: all values that a likelihood-ratio test would not reject (Heinze and Schemper 2002,
Statistics in Medicine 21:2409-2419).
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from nn.arrays import Array
from nn.loss import loss_and_slope, loss_curvature, sigmoid

MAX_STEPS = 80
FARTHEST = 5.0  # logits that a step may move a row
MEMORY = 3  # moves
ROUNDING = 1e-10  # nats: a step that promised less and gained nothing ends the search
SMALL_GAIN = 1e-18  # of a step, in nats: 1e-9 standard errors
# Of an end of an interval, in standard errors: the next would be a hundredth of it.
SMALL_MOVE = 1e-7
SKEWED = 0.1  # standard errors
COLLINEAR = 1e-9  # of a column's sum of squares that the columns before it do not explain
RIDGE = 1e-14  # of each parameter's information, so that rounding leaves it invertible


@dataclass(frozen=True, eq=False)
class Design:
    """Columns A (n, r), labels y (n,), counts (n,), and whether the likelihood is Firth's."""

    A: Array
    y: Array
    count: Array
    firth: bool = False

    @cached_property
    def pairs(self) -> Array:
        """Products (r (r + 1) / 2, n) of every two columns, of which information is made."""
        i, j = np.triu_indices(self.A.shape[1])
        columns = np.ascontiguousarray(self.A.T)
        product: Array = columns[i] * columns[j]
        return product


Move: TypeAlias = tuple[Array, Array]  # of beta, and how far the slope fell by it
Which: TypeAlias = npt.NDArray[np.bool_]


class Point(NamedTuple):
    """Log-likelihood (k,) at ``beta`` (k, r), its slope (k, r) and the information (k, r, r)."""

    beta: Array
    value: Array
    slope: Array
    information: Array


def independent_columns(gram: Array) -> list[int]:
    """Return columns that span all of them, given their inner products (c, c).

    The last, which is the bias, comes first; then the smallest, so that of one-hot inputs that add
    up to the bias the most frequent is left out, and the others are far from collinear.
    """
    rest, kept = gram.copy(), list[int]()
    for j in (len(gram) - 1, *np.argsort(gram.diagonal()[:-1], kind="stable")):
        if rest[j, j] > COLLINEAR * gram[j, j]:
            kept.append(int(j))
            rest -= np.outer(rest[:, j], rest[j]) / rest[j, j]
    return kept


def log_likelihood(beta: Array, design: Design) -> Point:
    """Return the log-likelihood of each ``beta`` (k, r), Firth's where ``design`` says so.

    Raises
    ------
    numpy.linalg.LinAlgError
        If Firth's is asked for where there is no information.
    """
    A, y, count = design.A, design.y, design.count
    z = beta @ A.T
    losses, slopes = loss_and_slope(z, np.broadcast_to(y, z.shape))
    weight = count * loss_curvature(z)
    information = _squares(design, weight)
    value, residual = -losses @ count, -slopes * count
    if design.firth:
        inverse = np.linalg.inv(information).astype(np.float64, copy=False)
        leverage = weight * _quadratic_forms(design, inverse)
        value = value + np.linalg.slogdet(information)[1] / 2
        residual += leverage * (0.5 - sigmoid(z))  # Heinze and Schemper 2002, eq. 2
    return Point(beta, value, residual @ A, information)


def maximise(design: Design, constraints: Array, start: Array | None = None) -> tuple[Point, Array]:
    """Return where the likelihood is highest with ``constraints`` (k, q, r) times beta 0.

    Damped Newton; for Firth's likelihood with the information of the plain one. The second answer
    (k,) is whether it converged. ``start`` (k, r) must keep the constraints; all zeros do.

    Raises
    ------
    numpy.linalg.LinAlgError
        If there is no information along a direction.
    """
    k, _, r = constraints.shape
    here = log_likelihood(np.zeros((k, r)) if start is None else start, design)
    share, moves = np.ones(k), list[Move]()
    for _ in range(MAX_STEPS):
        curvature = _curvature(here.information, moves)
        step = _constrained(curvature, constraints, here.slope[:, :, None])[0][:, :, 0]
        gain = np.sum(step * here.slope, axis=1)
        converged = gain < np.where(share < 1, ROUNDING, SMALL_GAIN)
        if converged.all():
            break
        step *= (share * _shortened(step, design.A))[:, None]
        there = log_likelihood(here.beta + step, design)
        moves = [*moves[1 - MEMORY :], (step, here.slope - there.slope)]
        higher: Which = there.value > here.value - 1e-14 * np.abs(here.value)
        share = np.where(higher, 1.0, share / 4)
        here = Point(*(_choose(higher, *pair) for pair in zip(there, here, strict=True)))
    return here, converged


def profile_ends(best: Point, contrasts: Array, design: Design, z: float) -> Array:
    """Return both ends (2, m) of the profile-likelihood interval of each contrast (m, r).

    There the highest likelihood with that value of the contrast is ``z ** 2 / 2`` nats below
    ``best``. Venzon and Moolgavkar 1988 (Applied Statistics 37:87-94) search it by Newton's method
    for beta; here each step is Newton's for beta given the contrast, and Newton's for the contrast
    given the signed root of the likelihood ratio, which is almost straight. NaN where no end is
    found.

    Raises
    ------
    numpy.linalg.LinAlgError
        If there is no information along a direction.
    """
    path = np.linalg.solve(best.information[0], contrasts.T).T
    errors = np.sqrt(np.sum(path * contrasts, axis=1))
    side = np.repeat([-1.0, 1.0], len(contrasts))
    both, errors = np.tile(contrasts, (2, 1)), np.tile(errors, 2)
    beta = best.beta + (side * z / errors)[:, None] * np.tile(path, (2, 1))
    ends, left, moves = np.full(len(both), np.nan), np.arange(len(both)), list[Move]()
    here = log_likelihood(beta, design)
    for _ in range(MAX_STEPS):
        step, found = _profile_step(best, here, moves, both[left], z, errors[left])
        step *= _shortened(step, design.A)[:, None]
        ends[left[found]] = np.sum(both[left] * (here.beta + step), axis=1)[found]
        left, step, here = left[~found], step[~found], Point(*(field[~found] for field in here))
        if not left.size:
            break
        there = log_likelihood(here.beta + step, design)
        moves = [(one[~found], other[~found]) for one, other in moves[1 - MEMORY :]]
        moves.append((step, here.slope - there.slope))
        here = there
    return ends.reshape(2, -1)


def expanded_ends(best: Point, contrasts: Array, design: Design, z: float) -> Array:
    """Return the ends that ``profile_ends`` has in large samples; NaN where this sample is not.

    Along the profile, in standard errors u, the likelihood falls as ``u^2 / 2 - s u^3 / 6``, s its
    third derivative, so that both ends move by ``s z^2 / 6``. That is not believed beyond SKEWED.
    """
    path = np.linalg.solve(best.information[0], contrasts.T)
    errors = np.sqrt(np.sum(path.T * contrasts, axis=1))
    third = third_derivative(design.A @ best.beta[0], design.A @ (path / errors), design.count)
    return ends_by_third(contrasts @ best.beta[0], errors, third, z)


def third_derivative(logit: Array, along: Array, count: Array) -> Array:
    """Return the third derivative (m,) of minus the log-likelihood of n rows, in nats.

    Along directions in which their logits (n,) grow by ``along`` (n, m).
    """
    weight = count * loss_curvature(logit) * (1 - 2 * sigmoid(logit))
    third: Array = weight @ along**3
    return third


def ends_by_third(value: Array, errors: Array, third: Array, z: float) -> Array:
    """Return both ends (2, m), given values, standard errors and third derivatives (m,) by them."""
    shift = -third * z**2 / 6
    shift[np.abs(shift) > SKEWED] = np.nan
    ends: Array = value + errors * (np.array([[-z], [z]]) + shift)
    return ends


def robust_covariance(
    beta: Array,
    design: Design,
    groups: npt.NDArray[np.intp] | None = None,
    rows: Array | None = None,
) -> Array:
    """Return the sandwich covariance (r, r) of ``beta`` (r,), right also where the model is not.

    Rows are independent (HC0, White 1980), or only rows of different ``groups`` (n,) are (Liang and
    Zeger 1986), with no correction of small samples. A row that counts 2 is two rows, of one group;
    with ``rows`` (n,) it is that many rows, and its count their number times their weight.
    """
    A, y, count = design.A, design.y, design.count
    here = log_likelihood(beta[None], replace(design, firth=False))
    scores = A * loss_and_slope(A @ beta, y)[1][:, None]
    if groups is None:
        square = count if rows is None else count**2 / rows
        meat = (scores * square[:, None]).T @ scores
    else:
        known, place = np.unique(groups, return_inverse=True)
        sums = np.zeros((len(known), A.shape[1]))
        np.add.at(sums, place, scores * count[:, None])
        meat = sums.T @ sums
    bread = np.linalg.inv(here.information[0])
    covariance: Array = bread @ meat @ bread
    return covariance


def _profile_step(
    best: Point, here: Point, moves: list[Move], contrasts: Array, z: float, errors: Array
) -> tuple[Array, Which]:
    """Return the step (k, r) towards the end of each contrast, and whether it is the last."""
    curvature = _curvature(here.information, moves)
    inward = here.slope[:, :, None] * [1.0, 0.0]
    steps, multipliers = _constrained(curvature, contrasts[:, None], inward, [0.0, 1.0])
    across, along, slope = steps[:, :, 0], steps[:, :, 1], multipliers[:, 0, 0]
    gain = np.sum(here.slope * across, axis=1)
    ratio = np.sqrt(np.maximum(2 * (best.value - here.value) - gain, 1e-12))
    distance = np.sum(contrasts * (here.beta - best.beta), axis=1)
    # The slope of the profile is that of minus half of the squared ratio.
    move = np.where(slope * distance < 0, (ratio - z) * ratio / slope, distance / 2)
    move = np.clip(move / distance, -0.5, 1.0) * distance
    found = (np.abs(move) < SMALL_MOVE * errors) & (gain < SMALL_MOVE**2)
    return across + along * move[:, None], found


def _curvature(information: Array, moves: list[Move]) -> Array:
    """Return the information with what the last moves found that it is not, by BFGS.

    It is the curvature of the plain likelihood, but of Firth's only nearly (Nocedal and Wright
    2006, eq. 6.19). Moves along which the slope grew are left out: it stays positive definite.
    """
    result = information.copy()
    for step, fall in moves:
        expected = np.einsum("kij,kj->ki", result, step)
        along, seen = np.sum(expected * step, axis=1), np.sum(fall * step, axis=1)
        used = seen > 0.01 * along
        for sign, vector, length in ((1, fall, seen), (-1, expected, along)):
            unit = vector[used] / np.sqrt(length[used])[:, None]
            result[used] += sign * unit[:, :, None] * unit[:, None]
    return result


def _constrained(
    information: Array, constraints: Array, slope: Array, values: list[float] | None = None
) -> tuple[Array, Array]:
    """Return steps (k, r, s) of Newton that change the constraints by ``values``; multipliers."""
    k, q, r = constraints.shape
    system = np.zeros((k, r + q, r + q))
    system[:, :r, :r] = information
    system[:, :r, r:] = constraints.transpose(0, 2, 1)
    system[:, r:, :r] = constraints
    right = np.zeros((k, r + q, slope.shape[2]))
    right[:, :r] = slope
    right[:, r:] = 0.0 if values is None else values
    found = np.linalg.solve(system, right)
    return found[:, :r], found[:, r:]


def _shortened(step: Array, A: Array) -> Array:
    """Return the share (k,) of each step that moves no row farther than FARTHEST logits."""
    share: Array = FARTHEST / np.maximum(np.max(np.abs(step @ A.T), axis=1), FARTHEST)
    return share


def _choose(which: Which, one: Array, other: Array) -> Array:
    chosen: Array = np.where(which.reshape(-1, *[1] * (one.ndim - 1)), one, other)
    return chosen


def _squares(design: Design, weight: Array) -> Array:
    """Return ``A' diag(weight) A`` (k, r, r) for each row of weights (k, n)."""
    A, r = design.A, design.A.shape[1]
    square = np.empty((len(weight), r, r))
    if len(weight) == 1:
        square[0] = (A * weight[0][:, None]).T @ A
    else:
        i, j = np.triu_indices(r)
        square[:, i, j] = square[:, j, i] = weight @ design.pairs.T
    square[:, range(r), range(r)] *= 1 + RIDGE
    return square


def _quadratic_forms(design: Design, square: Array) -> Array:
    """Return ``a' square a`` (k, n) of every row a of A, for each symmetric square (k, r, r)."""
    if len(square) == 1:
        form: Array = np.sum((design.A @ square[0]) * design.A, axis=1)
        return form[None]
    i, j = np.triu_indices(design.A.shape[1])
    half: Array = square[:, i, j] * np.where(i == j, 1.0, 2.0)
    values: Array = half @ design.pairs
    return values
