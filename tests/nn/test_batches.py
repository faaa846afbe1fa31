"""How batches are dealt: every copy of every row once an epoch, at random, from the seed."""

import math

import numpy as np
import pytest

from nn import Epoch, Examples, Transform, fit, gradient_descent, initial_theta, momentum

EPS = np.finfo(np.float64).eps


def run(rows: Examples, optimiser: Transform, epochs: int, **options: object) -> list[Epoch]:
    start = initial_theta(rows.X.shape[1], np.random.default_rng(0))
    return list(fit(start, rows, optimiser, epochs, **options))


def dealt(counts: list[int], batch_size: int, epochs: int, seed: int) -> list[np.ndarray]:
    """How often each row is in each batch, read off the gradients that an optimiser is shown.

    Row j is the j-th unit vector with label 0, and the neuron never moves from zero: the slope of
    weight j is then half the share of the batch that row j has.
    """
    shares = []

    def watch(gradient: np.ndarray, state: tuple[()]) -> tuple[np.ndarray, tuple[()]]:
        shares.append(2 * gradient[:-1])
        return np.zeros_like(gradient), state

    n = len(counts)
    rows = Examples(np.eye(n), np.zeros(n), np.array(counts, dtype=np.float64))
    spy = Transform(lambda _: (), watch)
    rng = np.random.default_rng(seed)
    list(fit(np.zeros(n + 1), rows, spy, epochs, batch_size=batch_size, rng=rng))
    per_epoch = len(shares) // epochs
    last = sum(counts) - batch_size * (per_epoch - 1)
    sizes = ([batch_size] * (per_epoch - 1) + [last]) * epochs
    return [size * share for size, share in zip(sizes, shares, strict=True)]


def assert_dealt_once(batches: list[np.ndarray], counts: list[int], batch_size: int) -> None:
    assert len(batches) == math.ceil(sum(counts) / batch_size)
    for batch in batches:
        np.testing.assert_allclose(batch, np.round(batch), atol=1e-12)
    np.testing.assert_array_equal(np.round(np.sum(batches, axis=0)), counts)
    sizes = [round(batch.sum()) for batch in batches]
    assert all(size == batch_size for size in sizes[:-1])
    assert 1 <= sizes[-1] <= batch_size


@pytest.mark.parametrize("batch_size", [1, 3, 4, 7, 12, 100])
def test_every_copy_is_dealt_exactly_once_an_epoch(batch_size: int) -> None:
    counts = [1, 0, 3, 2, 5, 1]
    batches = dealt(counts, batch_size, epochs=4, seed=0)
    per_epoch = len(batches) // 4
    for k in range(4):
        assert_dealt_once(batches[k * per_epoch : (k + 1) * per_epoch], counts, batch_size)


def test_a_copy_that_is_dealt_twice_is_caught() -> None:
    counts = [1, 0, 3, 2, 5, 1]
    batches = dealt(counts, 4, epochs=1, seed=0)
    batches[0] = batches[1]
    with pytest.raises(AssertionError):
        assert_dealt_once(batches, counts, 4)


def test_batches_are_dealt_anew_each_epoch_and_again_from_the_same_seed() -> None:
    counts = [1] * 20
    first = dealt(counts, 5, epochs=2, seed=1)
    assert any(not np.array_equal(a, b) for a, b in zip(first[:4], first[4:], strict=True))
    np.testing.assert_array_equal(first, dealt(counts, 5, epochs=2, seed=1))
    assert not np.array_equal(first, dealt(counts, 5, epochs=2, seed=2))


def test_each_row_is_as_likely_in_the_first_batch() -> None:
    first = np.sum([dealt([1] * 6, 2, epochs=1, seed=seed)[0] for seed in range(600)], axis=0)
    # 600 draws with chance 1/3: 200 and a deviation of 11.5.
    assert np.all(np.abs(first - 200) < 4 * 11.6)


def test_a_batch_of_all_rows_is_full_batch_descent(noisy: Examples) -> None:
    n = int(noisy.count.sum())
    whole = run(noisy, momentum(0.1), 20, l2=0.1)
    batch = run(noisy, momentum(0.1), 20, l2=0.1, batch_size=n, rng=np.random.default_rng(0))
    np.testing.assert_allclose(batch[-1].theta, whole[-1].theta, atol=20 * 160 * EPS)


def test_batches_that_cannot_be_dealt_are_refused(noisy: Examples) -> None:
    def refusal(rows: Examples, **options: object) -> str:
        with pytest.raises(ValueError, match="must") as error:
            run(rows, gradient_descent(0.1), 1, **options)
        return str(error.value)

    rng = np.random.default_rng(0)
    half = noisy._replace(count=np.full(40, 0.5))
    assert refusal(noisy, batch_size=5) == "rng must be given with batch_size; got None"
    assert refusal(noisy, batch_size=0, rng=rng) == "batch_size must be 1 or more; got 0"
    assert refusal(half, batch_size=5, rng=rng) == (
        "count must be of whole rows with batch_size; got 0.5"
    )
