"""Rows in blocks: the sums of the rows together, in a tree that depends on nothing else."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
from builders import written_out
from numpy.testing import assert_allclose

from nn import (
    Examples,
    InMemoryBlocks,
    examine,
    fit,
    fit_newton,
    gradient,
    gradient_descent,
    hessian,
    newton,
    objective,
    tree_sum,
)

L2 = 0.03


def in_blocks(rows: Examples, size: int) -> InMemoryBlocks:
    starts = range(0, len(rows.y), size)
    return InMemoryBlocks(tuple(Examples(*(array[i : i + size] for array in rows)) for i in starts))


@pytest.fixture
def rows() -> Examples:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(1003, 4)) * [1, 30, 0.1, 1]
    y = (rng.random(1003) < 1 / (1 + np.exp(-X[:, 0] - 5 * X[:, 2]))).astype(float)
    return Examples(X, y, rng.integers(1, 5, 1003).astype(float))


@pytest.mark.parametrize("size", [1, 17, 64, 1002, 5000])
def test_a_pass_over_blocks_is_that_over_their_rows(rows: Examples, size: int):
    theta = np.array([0.3, -0.01, 2.0, 0.1, -0.4])
    whole = examine(theta, rows, L2, curvature=True)
    for a, b in zip(whole, examine(theta, in_blocks(rows, size), L2, curvature=True), strict=True):
        assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_the_pass_is_that_of_scipy_by_the_rows_written_out(rows: Examples):
    from builders import scipy_objective

    theta = np.array([0.3, -0.01, 2.0, 0.1, -0.4])
    expected = scipy_objective(theta, written_out(rows), L2)
    assert objective(theta, in_blocks(rows, 100), L2) == pytest.approx(expected, rel=1e-13)


def test_a_lost_block_shows(rows: Examples):
    theta, blocks = np.zeros(5), in_blocks(rows, 100)
    lost = InMemoryBlocks(blocks.blocks[:-1])
    assert abs(gradient(theta, lost, L2) - gradient(theta, rows, L2)).max() > 1e-6


def test_newton_ends_at_the_optimum_of_the_rows(rows: Examples):
    held, streamed = (newton(np.zeros(5), each, L2) for each in (rows, in_blocks(rows, 64)))
    assert_allclose(streamed.theta, held.theta, rtol=1e-10, atol=1e-10)
    assert abs(gradient(streamed.theta, rows, L2)).max() < 1e-9
    *_, last = fit_newton(np.zeros(5), in_blocks(rows, 64), 50, valid=in_blocks(rows, 9), l2=L2)
    assert_allclose(last.theta, held.theta, rtol=1e-9, atol=1e-9)
    assert last.valid_loss == pytest.approx(last.train_loss, rel=1e-12)
    assert_allclose(hessian(held.theta, in_blocks(rows, 9)), hessian(held.theta, rows), rtol=1e-12)


def test_descent_over_blocks_is_that_over_rows(rows: Examples):
    runs = [
        [*fit(np.full(5, 0.1), each, gradient_descent(0.01), 20, l2=L2)]
        for each in (rows, in_blocks(rows, 64))
    ]
    assert_allclose(runs[0][-1].theta, runs[1][-1].theta, rtol=1e-12)


def test_batches_of_blocks_are_refused(rows: Examples):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="batch_size must be None with Blocks; got 8"):
        next(fit(np.zeros(5), in_blocks(rows, 9), gradient_descent(1), 1, batch_size=8, rng=rng))


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 100, 1000])
def test_the_tree_is_that_of_neighbours_whoever_adds_the_runs(n: int):
    rng = np.random.default_rng(n)
    terms = [(float(x), np.array([x, -x])) for x in rng.random(n)]
    whole = tree_sum(terms)

    def by_recursion(part: list[tuple[float, np.ndarray]]) -> float:
        if len(part) == 1:
            return part[0][0]
        half = 2 ** math.ceil(math.log2(len(part))) // 2
        return by_recursion(part[:half]) + by_recursion(part[half:])

    assert whole[0] == by_recursion(terms) == whole[1][0] == -whole[1][1]
    for run in (2, 4, 64):
        runs = [tree_sum(terms[i : i + run]) for i in range(0, n, run)]
        assert tree_sum(runs)[0] == whole[0]
    if n == 1000:  # another order has another last bit
        assert sum(x for x, _ in terms) != whole[0]


def test_a_tree_rounds_less_than_a_loop_and_holds_few_sums():
    values = np.random.default_rng(1).random(4096)
    exact = float(sum(map(Fraction, values.tolist())))
    held: list[int] = []

    class Term(tuple[float]):
        alive = 0

        def __new__(cls, *args: object) -> "Term":
            Term.alive += 1
            return super().__new__(cls, *args)

        def __del__(self) -> None:
            Term.alive -= 1

    def terms(make: Callable[[tuple[float]], Term]) -> Iterator[Term]:
        for value in values.tolist():
            held.append(Term.alive)
            yield make((value,))

    (found,) = tree_sum(terms(Term))
    (loop,) = (sum(values.tolist(), 0.0),)
    assert abs(found - exact) <= abs(math.fsum([loop, -exact])) + 1e-12
    assert abs(found - exact) <= 12 * np.finfo(float).eps * exact
    assert max(held) <= 16


def test_no_term_is_refused():
    with pytest.raises(ValueError, match="terms must hold one or more; got none"):
        tree_sum([])
