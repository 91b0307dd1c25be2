"""Parameters and predictions of small models, to notice a change of what training computes.

Made once by the code as it was before its files were rearranged (commit bfd4f87), from a directory
without a source tree: `python tests/data/make_golden.py`. Every fit starts from weights that are
drawn here, as initial weights go through the QR decomposition of the machine's LAPACK.
"""

import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skgru import GRUClassifier, GRURegressor

PATH = Path(__file__).with_name("golden.npz")
LENGTHS = (3, 7, 1, 5, 2, 6, 4, 8, 3, 5, 2, 7)

CASES = {
    "windows and dropout": (
        "labels",
        {
            "cell": "gru", "pooling": "last", "bidirectional": False, "solver": "adam",
            "bptt_steps": 3, "dropout": 0.2, "recurrent_dropout": 0.1, "learning_rate_init": 0.005,
        },
    ),
    "attention": (
        "two labels",
        {
            "cell": "gru", "reset_after": True, "pooling": "attention", "bidirectional": True,
            "solver": "adamw", "alpha": 0.01,
        },
    ),
    "stack": (
        "numbers",
        {
            "hidden_layer_sizes": (4, 3), "cell": "lstm", "pooling": "mean",
            "bidirectional": False, "solver": "sgd", "loss": "huber", "learning_rate": "invscaling",
        },
    ),
    "counts": (
        "counts",
        {
            "cell": "cifg", "pooling": "max", "bidirectional": True, "solver": "rmsprop",
            "loss": "poisson", "max_grad_norm": 0.1,
        },
    ),
    "steps": (
        "steps",
        {
            "cell": "mgu", "pooling": "last", "bidirectional": False, "return_sequences": True,
            "solver": "sgd", "nesterovs_momentum": False, "bptt_steps": 2, "warmup_updates": 4,
        },
    ),
    "quantiles": (
        "numbers",
        {
            "cell": "light_gru", "activation": "relu", "pooling": "last", "bidirectional": True,
            "loss": "quantile", "quantiles": (0.2, 0.9), "solver": "lbfgs",
        },
    ),
    "several labels": (
        "several labels",
        {
            "cell": "rnn", "pooling": "mean", "bidirectional": False, "solver": "adam",
            "alpha": 0.1,
        },
    ),
}  # fmt: skip


def data(kind):
    """Ragged sequences of two channels, and targets of a kind."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in LENGTHS]
    sums = np.array([x.sum(axis=0) for x in X])
    return X, {
        "labels": np.array(["a", "b", "c"])[np.arange(len(X)) % 3],
        "two labels": sums[:, 0] > 0,
        "several labels": (sums > 0).astype(int),
        "numbers": sums,
        "counts": np.floor(np.abs(sums[:, 0])) + 1,
        "steps": [x[:, 0].cumsum() for x in X],
    }[kind]


# no default decides anything, as defaults may change
COMMON = {
    "hidden_layer_sizes": 4, "learning_rate": "constant", "learning_rate_init": 0.02,
    "warmup_updates": 0, "power_t": 0.5, "max_grad_norm": 1.0, "alpha": 1e-4, "batch_size": 5,
    "dropout": 0.0, "recurrent_dropout": 0.0, "shuffle": True, "early_stopping": False,
    "momentum": 0.9, "nesterovs_momentum": True, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8,
    "tol": 1e-4, "n_iter_no_change": 10, "max_fun": 15000, "dtype": "float64", "random_state": 0,
}  # fmt: skip


def results(name):
    """Parameters, predictions and losses after a few epochs."""
    kind, how = CASES[name]
    estimator = GRUClassifier if "label" in kind else GRURegressor
    model = estimator(**{**COMMON, **how}, warm_start=True, max_iter=1)
    X, y = data(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        parameters = model.fit(X, y)._network.parameters
        parameters[:] = np.random.default_rng(1).normal(size=parameters.size) / 2
        model.set_params(max_iter=3).fit(X, y)
    predictions = getattr(model, "predict_proba", model.predict)(X)
    if kind == "steps":
        predictions = np.concatenate(predictions)
    return {
        "parameters": model._network.parameters,
        "predictions": predictions,
        "losses": np.array(model.loss_curve_[1:]),
    }


if __name__ == "__main__":
    arrays = {f"{name}: {what}": array for name in CASES for what, array in results(name).items()}
    np.savez_compressed(PATH, **arrays)
