"""Results do not depend on minibatches, chunks, shards and threads."""

import numpy as np
import pytest
from network_helpers import (
    ALONE,
    LENGTHS,
    NO_DROPOUT,
    TOPS,
    every_cell,
    gru_and_lstm,
    network,
    one_or_both_directions,
    problem,
    run,
)

from skgru.model.buffers import Buffers
from skgru.model.inference import attention_weights, pool, predict
from skgru.model.propagation import Dropout
from skgru.model.workers import Workers


@every_cell
@pytest.mark.parametrize("top", TOPS)
@pytest.mark.parametrize(("bidirectional", "bptt_steps"), [(0, None), (1, None), (0, 2)])
def test_a_ragged_minibatch_equals_its_sequences_one_by_one(top, bidirectional, bptt_steps, cell):
    net = network((5, 4), top, bidirectional=bidirectional, cell=cell)
    data = problem(net)
    outputs, value, gradient = run(net, **data, bptt_steps=bptt_steps)
    alone = [
        run(net, **data, bptt_steps=bptt_steps, samples=np.array([i])) for i in range(len(LENGTHS))
    ]
    by_row = [a[0][~np.isnan(a[0]).any(axis=1)] for a in alone]
    np.testing.assert_array_equal(outputs, np.concatenate(by_row))
    np.testing.assert_allclose(value, sum(a[1] for a in alone), rtol=1e-12)
    np.testing.assert_allclose(gradient, sum(a[2] for a in alone), rtol=1e-10, atol=1e-14)


@gru_and_lstm
@one_or_both_directions
@pytest.mark.parametrize("top", TOPS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(5,), (20, 9)])
def test_predictions_have_the_same_bits_in_any_chunk_and_thread(
    monkeypatch, sizes, top, bidirectional, cell, dtype
):
    net = network(sizes, top, dtype=dtype, bidirectional=bidirectional, cell=cell)
    data = problem(net, [9, 2, 5, 1, 7, 7, 3])
    functions = [predict, pool, *([attention_weights] if top == "attention" else [])]
    whole = [function(net, data["sequences"], ALONE) for function in functions]
    np.testing.assert_array_equal(whole[0], run(net, **data)[0])

    def check(workers):
        for function, want in zip(functions, whole, strict=True):
            np.testing.assert_array_equal(function(net, data["sequences"], workers), want)

    with Workers(3) as workers:
        for samples in (1, 2, 3):
            monkeypatch.setattr("skgru.model.inference.PREDICT_SAMPLES", samples)
            check(workers)
    monkeypatch.setattr("skgru.model.inference.PREDICT_SAMPLES", 96)
    monkeypatch.setattr("skgru.model.inference.PREDICT_NUMBERS", 0)  # one at a time
    check(ALONE)


@pytest.mark.parametrize("n_shards", [2, 3, 7])
@pytest.mark.parametrize(
    ("top", "bidirectional", "bptt_steps"),
    [(top, False, None) for top in TOPS]
    + [("steps", False, 2), ("mean", False, 3), ("max", True, None)],
)
@gru_and_lstm
def test_shards_add_up_to_the_minibatch(n_shards, top, bidirectional, bptt_steps, cell):
    net = network((5, 4), top, bidirectional=bidirectional, cell=cell)
    data = problem(net, [9, 2, 5, 1, 7, 7, 3])
    want = run(net, **data, bptt_steps=bptt_steps)
    with Workers(2) as workers:
        options = {"n_shards": n_shards, "workers": workers}
        got = run(net, **data, **options, bptt_steps=bptt_steps)
    np.testing.assert_array_equal(got[0], want[0])
    np.testing.assert_allclose(got[1], want[1], rtol=1e-12)
    np.testing.assert_allclose(got[2], want[2], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("dropout", [NO_DROPOUT, Dropout(0.3, 0.3, 1)])
@gru_and_lstm
@pytest.mark.parametrize("top", TOPS)
def test_threads_and_reused_buffers_give_the_same_bits(top, cell, dropout):
    net = network((5, 4), top, cell=cell)
    buffers = Buffers(net)
    for lengths in ([9, 2, 5, 1, 7, 7, 3], [3, 1, 2, 4], [8] * 8):
        data = {**problem(net, lengths), "dropout": dropout, "bptt_steps": 4, "n_shards": 3}
        want = run(net, **data)
        with Workers(3) as workers:
            got = run(net, **data, workers=workers, buffers=buffers)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b)
