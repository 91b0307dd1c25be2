"""Packed minibatches, shards and windows."""

import numpy as np
import pytest

from skgru.sequences import check_sequences


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_shards", [1, 2, 3, 7])
@pytest.mark.parametrize("seed", range(5))
def test_minibatches_are_packed(seed, n_shards, dtype):
    rng = np.random.default_rng(seed)
    items = [rng.normal(size=(n, 2)).astype(dtype) for n in rng.integers(1, 9, size=12)]
    samples = rng.permutation(12)[:7]
    sequences = check_sequences(items)
    shards = sequences.span(samples).deal(n_shards)
    assert sorted(np.concatenate([shard.samples for shard in shards])) == sorted(samples)
    assert len(shards) == n_shards
    for shard in shards:
        chosen = [items[i] for i in shard.samples]
        lengths = [len(item) for item in chosen]
        assert lengths == sorted(lengths, reverse=True)
        x, batch_sizes, _ = shard.pack(sequences.values)
        expected = [x[t] for t in range(lengths[0]) for x in chosen if t < len(x)]
        np.testing.assert_array_equal(x, expected)
        running = [sum(t < n for n in lengths) for t in range(lengths[0])]
        np.testing.assert_array_equal(batch_sizes, running)


def test_shards_have_similar_lengths():
    """Threads that take one shard each have the same amount of work."""
    items = [np.zeros((n, 1)) for n in range(1, 65)]
    shards = check_sequences(items).span(np.arange(64)).deal(4)
    rows = [sum(len(items[i]) for i in shard.samples) for shard in shards]
    assert rows == [shard.n_steps for shard in shards]
    assert max(rows) < 1.1 * min(rows)


def test_take_selects_sequences():
    items = [np.full((n, 1), n, dtype=float) for n in (3, 1, 2)]
    taken = check_sequences(items).take(np.array([2, 0]))
    np.testing.assert_array_equal(taken.values[:, 0], [2, 2, 3, 3, 3])
    np.testing.assert_array_equal(taken.lengths, [2, 3])


@pytest.mark.parametrize("n_steps", [1, 2, 3, 5, 8, 100, None])
def test_windows_are_counted_from_the_end(n_steps):
    lengths = np.array([8, 8, 7, 5, 3, 3, 1])
    items = [np.arange(100 * i, 100 * i + n)[:, np.newaxis] for i, n in enumerate(lengths)]
    sequences = check_sequences(items, dtype="float64")
    windows = sequences.span(np.arange(7)).windows(n_steps)
    assert len(windows) == (1 if n_steps is None else -(-8 // n_steps))
    parts = [[] for _ in items]
    for k, window in enumerate(windows):
        assert (np.diff(window.lengths) <= 0).all()
        assert window.lengths[0] <= (n_steps or 8)
        # a sequence fills all of its windows but the first
        after = (n_steps or 0) * (len(windows) - 1 - k)
        assert len(window.lengths) == (lengths > after).sum()
        np.testing.assert_array_equal(window.samples, np.arange(len(window.lengths)))
        for i, start, length in zip(*window, strict=True):
            parts[i].append(sequences.values[start : start + length])
    for part, item in zip(parts, items, strict=True):
        np.testing.assert_array_equal(np.concatenate(part), item)


def test_unpacking_inverts_packing():
    sequences = check_sequences(
        [np.random.default_rng(i).normal(size=(n, 2)) for i, n in enumerate([3, 1, 4, 2])]
    )
    span = sequences.span(np.array([3, 0, 2]))
    values = np.zeros_like(sequences.values)
    span.unpack(span.pack(sequences.values).x, values)
    rows = sequences.rows(np.array([0, 2, 3]))
    np.testing.assert_array_equal(values[rows], sequences.values[rows])
    assert not values[3].any()
