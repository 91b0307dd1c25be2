"""Print hashes of fits and predictions for every combination of the main parameters.

Run it before and after a change that must not affect any result, on the same machine, and compare:

    python benchmarks/same_bits.py > before.txt
    python benchmarks/same_bits.py > after.txt && diff before.txt after.txt
"""

import hashlib
import itertools
import warnings

import numpy as np

from skgru import GRUClassifier, GRURegressor

CELLS = {
    **{cell: {"cell": cell} for cell in ("gru", "rnn", "lstm", "cifg", "mgu", "light_gru")},
    "gru_reset_after": {"reset_after": True},
    "light_gru_relu": {"cell": "light_gru", "activation": "relu"},
}
TOPS = {
    **{pooling: {"pooling": pooling} for pooling in ("last", "mean", "max", "attention")},
    "steps": {"return_sequences": True},
}
SOLVERS = ("adam", "adamw", "sgd", "rmsprop", "lbfgs")
OPTIONS = {
    "dropout": {"dropout": 0.3, "recurrent_dropout": 0.2},
    "windows": {"bptt_steps": 4},
    "early stopping": {"early_stopping": True, "max_iter": 6},
    "cosine": {"learning_rate": "cosine", "warmup_updates": 3},
    "adaptive": {"learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1, "max_iter": 8},
    "invscaling": {"learning_rate": "invscaling"},
    "stack": {"hidden_layer_sizes": (6, 5), "bidirectional": True},
    "batches": {"batch_size": 7, "shuffle": False},
    **{f"loss {loss}": {"loss": loss} for loss in
       ("squared_error", "absolute_error", "huber", "poisson", "quantile")},
}  # fmt: skip


def data(by_step: bool):
    """Make ragged sequences, labels and numbers."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 3)) for n in rng.integers(3, 13, size=40)]
    labels = np.array(["a", "b", "c"])
    if by_step:
        numbers = [np.abs(x[:, 0].cumsum()) for x in X]
        return X, [labels[np.minimum(n.astype(int), 2)] for n in numbers], numbers
    numbers = np.array([np.abs(x.sum()) for x in X])
    return X, labels[np.minimum(numbers.astype(int), 2)], numbers


def digest(model, X) -> str:
    """Hash the weights, the predictions and the curves of a fitted model."""
    sha = hashlib.sha256()
    for layer in model.layers_:
        for array in layer:
            sha.update(np.ascontiguousarray(array).tobytes())
    for array in model.head_:
        sha.update(np.ascontiguousarray(array).tobytes())
    predictions = getattr(model, "predict_proba", model.predict)(X)
    for array in predictions if isinstance(predictions, list) else [predictions]:
        sha.update(np.ascontiguousarray(array).tobytes())
    sha.update(np.array(model.loss_curve_).tobytes())
    if not model.return_sequences:
        sha.update(np.ascontiguousarray(model.transform(X)).tobytes())
    if not model.bidirectional:
        sha.update(np.ascontiguousarray(model.stream().step(X[0][0])).tobytes())
    return sha.hexdigest()[:16]


def combinations():
    """Yield a name, the class and the parameters of each model."""
    for (cell, of_cell), (top, of_top), both, dtype, solver in itertools.product(
        CELLS.items(), TOPS.items(), (False, True), ("float32", "float64"), SOLVERS
    ):
        name = f"{cell} {top} {'both' if both else 'forward'} {dtype} {solver}"
        how = {**of_cell, **of_top, "bidirectional": both, "dtype": dtype, "solver": solver}
        yield name, GRUClassifier, how
    for (option, how), top in itertools.product(OPTIONS.items(), ("last", "attention", "steps")):
        if option == "windows" or option == "dropout" or "loss" in option or "stack" in option:
            yield f"{option} {top}", GRURegressor, {**how, **TOPS[top]}
        yield (
            f"{option} {top} labels",
            GRUClassifier,
            {k: v for k, v in {**how, **TOPS[top]}.items() if k != "loss"},
        )


def main() -> None:
    """Fit all combinations and print their hashes."""
    warnings.simplefilter("ignore")
    for name, estimator, how in combinations():
        X, labels, numbers = data(how.get("return_sequences", False))
        how = {"hidden_layer_sizes": 5, "max_iter": 3, "random_state": 0, **how}
        model = estimator(**how)
        try:
            model.fit(X, labels if estimator is GRUClassifier else numbers)
            print(name, digest(model, X), flush=True)
        except (ValueError, AttributeError) as error:
            print(name, type(error).__name__, flush=True)


if __name__ == "__main__":
    main()
