"""Random networks and random inputs of the public API, for minutes or hours.

    python benchmarks/fuzz.py --minutes 60 [--seed 0]

Every case has a seed, which is printed with what went wrong; `--case SEED` runs it alone. What must
hold, for every estimator that a case draws:

- it fits, or raises ValueError or TypeError with a message, and then is as it was before;
- X, y, weights and parameters that mean nothing are refused, in `fit` and in `predict`;
- predictions are finite and have the form of X;
- the padding of a sequence, its neighbours in X and the number of threads change nothing;
- pickled and loaded, and by a stream if it reads forwards only, it predicts the same.
"""

import argparse
import pickle
import sys
import time
import traceback
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skgru import GRUClassifier, GRURegressor
from skgru.exceptions import DivergenceWarning, GradientWarning

# what a random network may well deserve to be told
EXPECTED = (ConvergenceWarning, DivergenceWarning, GradientWarning)


def pick(rng, *choices):
    return choices[rng.integers(len(choices))]


def draw_estimator(rng):
    """Return an estimator with random parameters, some of which do not go together."""
    classifier = bool(rng.integers(2))
    parameters = {
        "hidden_layer_sizes": tuple(int(n) for n in rng.integers(1, 20, rng.integers(1, 4))),
        "cell": pick(rng, "gru", "gru", "rnn", "lstm", "cifg", "mgu", "light_gru"),
        "activation": pick(rng, "tanh", "tanh", "tanh", "relu"),
        "reset_after": pick(rng, False, False, True),
        "bidirectional": pick(rng, "auto", True, False, False),
        "pooling": pick(rng, "last", "mean", "max", "attention"),
        "return_sequences": pick(rng, False, False, True),
        "dropout": pick(rng, 0.0, 0.5),
        "recurrent_dropout": pick(rng, 0.0, 0.3),
        "solver": pick(rng, "adam", "adamw", "sgd", "rmsprop", "lbfgs"),
        "batch_size": pick(rng, "auto", 1, 7, 1000),
        "bptt_steps": pick(rng, None, None, 1, 3),
        "learning_rate": pick(rng, "constant", "cosine", "adaptive", "invscaling"),
        "learning_rate_init": 10 ** rng.uniform(-4, 0),
        "max_iter": int(rng.integers(0, 4)),
        "max_grad_norm": pick(rng, None, 1.0, 1e-3),
        "early_stopping": pick(rng, False, False, True),
        "alpha": pick(rng, 0.0, 1e-4, 10.0),
        "random_state": int(rng.integers(1000)),
        "dtype": pick(rng, "float32", "float64"),
    }
    if rng.random() < 0.8:  # else they do not go together
        parameters["reset_after"] &= parameters["cell"] == "gru"
        if parameters["cell"] != "light_gru":
            parameters["activation"] = "tanh"
        if parameters["return_sequences"]:
            parameters["pooling"] = "last"
        if parameters["bptt_steps"]:
            parameters["bidirectional"] = False
        if parameters["solver"] == "lbfgs":
            parameters |= {"dropout": 0.0, "recurrent_dropout": 0.0, "early_stopping": False}
    if classifier:
        parameters["class_weight"] = pick(rng, None, None, "balanced")
        return GRUClassifier(**parameters)
    losses = "squared_error", "absolute_error", "huber", "poisson", "quantile"
    return GRURegressor(**parameters, loss=pick(rng, *losses))


def draw_data(rng, estimator):
    """Return sequences as a list of arrays, and targets for each or for every step."""
    n_samples, n_channels = int(rng.integers(1, 50)), int(rng.integers(1, 6))
    longest = pick(rng, 1, 2, 9, 40)
    lengths = rng.integers(1, longest + 1, n_samples)
    scale = 10 ** pick(rng, 0.0, 0.0, -3.0, 4.0)
    X = [scale * rng.normal(size=(n, n_channels)) for n in lengths]
    rows = lengths if estimator.return_sequences else np.ones(n_samples, int)
    if isinstance(estimator, GRUClassifier):
        labels = pick(rng, np.array(["a", "b", "c"]), np.array([0, 1]), np.array([False, True]))
        y = [rng.choice(labels, n) for n in rows]
    else:
        columns = int(rng.integers(1, 3))
        y = [rng.gamma(2, size=(n, columns) if columns > 1 else n) for n in rows]
    if not estimator.return_sequences:
        y = np.array([row[0] for row in y])
    return X, y


def spoil(rng, estimator, X, y):
    """Return what means nothing, and parameters, X, y and weights with it."""
    what = pick(rng, "X", "X", "X", "y", "y", "weight", "parameter")
    parameters, X, y, weight = {}, list(X), list(y), None
    i = int(rng.integers(len(X)))
    if what == "X":
        x = X[i]
        wrong = [
            np.vstack([np.full_like(x[:1], np.nan), x]),  # at its beginning: no padding
            np.where(np.arange(x.size).reshape(x.shape) == rng.integers(x.size), np.inf, x),
            np.full(x.shape, 10**400, dtype=object),
            np.full(x.shape, "word"),
            x + 1j,
            x[:0],
            np.hstack([x, x]) if len(X) > 1 else x[:0],
            x[None, None],
            None,
            {"x": 1},
            np.array([[object()]]),
        ]
        X[i] = wrong[rng.integers(len(wrong))]
        if rng.random() < 0.1:
            X = pick(rng, None, [], 3.0, "words", np.zeros((0, 3, 2)), np.zeros((2, 2, 2, 2)))
    elif what == "y":
        if isinstance(estimator, GRUClassifier):
            y = pick(rng, y[:-1], None, y + y[:1], [], "a")
        else:
            cells = [np.full_like(np.asarray(row, float), np.nan) for row in y]
            y = pick(rng, y[:-1], None, cells, [*y[:i], None, *y[i + 1 :]], [{} for _ in y])
    elif what == "weight":
        ones = np.ones(len(X))
        weight = pick(
            rng, -ones, ones * np.nan, np.ones(len(X) + 1), np.full(len(X), "a"), 0 * ones
        )
    else:
        names = ["max_iter", "batch_size", "learning_rate_init", "alpha", "dropout", "dtype"]
        names += ["cell", "solver", "pooling", "hidden_layer_sizes", "max_grad_norm", "n_jobs"]
        wild = [-1, np.nan, "other", {}, object(), [], -np.inf, 1j]
        parameters = {names[rng.integers(len(names))]: wild[rng.integers(len(wild))]}
        if list(parameters) == ["n_jobs"]:  # -1 is all cores
            parameters = {"n_jobs": pick(rng, 0, "other", 1.5)}
    return what, parameters, X, y, weight


def padded(X, n_more):
    """Return sequences as an array with NaN after the end of each, and some steps more."""
    n_steps = max(map(len, X)) + n_more
    array = np.full((len(X), n_steps, X[0].shape[1]), np.nan)
    for i, x in enumerate(X):
        array[i, : len(x)] = x
    return array


def outputs(estimator, X, lengths):
    """Return what is predicted for each sequence, without its padding."""
    predicted = getattr(estimator, "predict_proba", estimator.predict)(X)
    rows = zip(predicted, lengths, strict=True)
    return [row[:n] if estimator.return_sequences else row for row, n in rows]


def close(one, other, dtype):
    # a sequence is computed in other blocks of rows when its neighbours are others
    tolerance = {"float32": 2e-4, "float64": 1e-9}[dtype]
    scale = 1 + max((float(np.abs(row).max(initial=0)) for row in one), default=0)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale)


def refused(estimator, method, *arguments):
    """Call a method; return whether it refused the arguments, and check how."""
    before, refusal = dict(vars(estimator)), None
    try:
        getattr(estimator, method)(*arguments)
    except (ValueError, TypeError) as error:
        refusal = str(error)
    if refusal is None:
        return False
    assert refusal, "an error without a message"
    assert vars(estimator) == before, f"a failed {method} changed the estimator"
    return True


def check_spoiled(rng, estimator, X, y):
    """Fit, and predict, what means nothing."""
    what, parameters, wild_X, wild_y, weight = spoil(rng, estimator, X, y)
    wild = type(estimator)(**{**estimator.get_params(), **parameters})
    told = {
        "X": wild_X, "y": wild_y, "weight": weight, "parameter": parameters
    }[what]  # fmt: skip
    assert refused(wild, "fit", wild_X, wild_y, weight), f"accepted {what}: {told!r:.2000}"
    if what == "X":
        assert refused(estimator, "predict", wild_X), f"predicted {told!r:.2000}"


def run_case(seed):
    """Run one case; return what became of it."""
    rng = np.random.default_rng(seed)
    estimator = draw_estimator(rng)
    X, y = draw_data(rng, estimator)
    if refused(estimator, "fit", X, y):
        return "refused"
    check_spoiled(rng, estimator, X, y)
    lengths = [len(x) for x in X]
    first = outputs(estimator, X, lengths)
    for x, row in zip(X, first, strict=True):
        assert np.isfinite(row).all(), "a prediction is not finite"
        assert not estimator.return_sequences or len(row) == len(x)
    dtype = estimator.dtype
    close(first, outputs(estimator, padded(X, int(rng.integers(3))), lengths), dtype)
    i = int(rng.integers(len(X)))
    close([first[i]], outputs(estimator, [X[i]], lengths[i : i + 1]), dtype)
    loaded = pickle.loads(pickle.dumps(estimator))
    assert all(
        np.array_equal(a, b) for a, b in zip(first, outputs(loaded, X, lengths), strict=True)
    )
    again = type(estimator)(**{**estimator.get_params(), "n_jobs": 2}).fit(X, y)
    assert all(np.array_equal(a, b) for a, b in zip(first, outputs(again, X, lengths), strict=True))
    if not estimator._network.architecture.bidirectional:
        check_stream(estimator, X[i], first[i])
    return "fitted"


def check_stream(estimator, x, expected):
    """Compare the last prediction of a stream with that of the sequence, or of its last step."""
    stream = estimator.stream()
    step = getattr(stream, "step_proba", stream.step)
    for row in x:
        last = step(row)
    expected = expected[-1] if estimator.return_sequences else expected
    close([np.ravel(expected)], [np.ravel(last)], estimator.dtype)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument(
        "--seed", type=int, default=None, help="of the first case; default: the clock"
    )
    parser.add_argument("--case", type=int, default=None, help="run this case alone")
    arguments = parser.parse_args()
    warnings.simplefilter("error")
    for category in EXPECTED:
        warnings.simplefilter("ignore", category)
    warnings.filterwarnings("ignore", "validation_fraction|Classes with a single", UserWarning)
    if arguments.case is not None:
        print(run_case(arguments.case))
        return
    first = time.time_ns() % 10**9 if arguments.seed is None else arguments.seed
    print(f"first case: {first}", flush=True)
    stop = time.monotonic() + 60 * arguments.minutes
    results, seed = {}, first
    while time.monotonic() < stop:
        try:
            result = run_case(seed)
        except Exception:
            traceback.print_exc()
            print(f"case {seed}: python benchmarks/fuzz.py --case {seed}", flush=True)
            result = "failed"
        results[result] = results.get(result, 0) + 1
        seed += 1
    print(f"{seed - first} cases: {results}")
    sys.exit("failed" in results)


if __name__ == "__main__":
    main()
