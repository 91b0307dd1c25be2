"""Compare test accuracy on 16 real data sets: defaults, the guide's recipe and other libraries.

14 sets of the UCR/UEA archive (Dau et al. 2019; Bagnall et al. 2018), JapaneseVowels and
pendigits, each with its published split. For every model, channels are standardized over all time
steps of the training set. The columns:

before      the previous defaults: last state, one direction, learning rate 0.01
defaults    GRUClassifier()
stopping    GRUClassifier(early_stopping=True)
recipe      what the guide "How to get a good model" recommends: patches, attention, dropout,
            and the mean of networks with and without differences of the channels as inputs
torch_last  PyTorch's GRU of the same size, 1,000 updates of 32 sequences, last state
torch_mean  the same with the mean of the states
minirocket  MiniRocket and a ridge classifier (Dempster et al. 2021), from aeon

Sequences of unequal length, or shorter than the 9 steps that MiniRocket needs, are interpolated
to one length for MiniRocket only. A column is skipped if its library is missing.

    pip install torch==2.13.0 aeon
    python benchmarks/archive.py
    python benchmarks/archive.py --sets CBF Beef --columns before defaults --seeds 0 1
    python benchmarks/archive.py --data elsewhere --reference torch_last

Prints one row per set, the mean accuracy, the mean rank, wins, ties and losses against a reference
column, and the seconds of all fits. With all columns it takes about half an hour, most of it in
PyTorch.
"""

import argparse
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from skgru import GRUClassifier
from skgru.preprocessing import Patches, PerTimestep

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = [
    "Chinatown", "ItalyPowerDemand", "pendigits", "JapaneseVowels", "SyntheticControl",
    "MoteStrain", "ECG200", "BasicMotions", "CBF", "Plane", "BME", "UMD", "GunPointAgeSpan",
    "ToeSegmentation1", "FaceFour", "Beef",
]  # fmt: skip

# Minimum difference of mean accuracies that counts as a win or a loss.
TIE = 0.005

BEFORE = {
    "hidden_layer_sizes": (64,),
    "bidirectional": False,
    "pooling": "last",
    "batch_size": 32,
    "learning_rate": "constant",
    "learning_rate_init": 0.01,
    "warmup_updates": 0,
    "max_iter": 100,
    "n_iter_no_change": 10,
}
# Twice the epochs of the defaults: dropout keeps longer fits from overfitting.
RECIPE = {"pooling": "attention", "dropout": 0.3, "recurrent_dropout": 0.1, "max_iter": 200}


# ---- data -----------------------------------------------------------------------------------


def read_ts(path):
    """Read the archive's text format: channels separated by colons, the label last."""
    cases = [line.split(":") for line in path.read_text().splitlines() if line[:1] not in "#@"]
    X = [np.array([c.split(",") for c in channels], dtype=float).T for *channels, _ in cases]
    return X, np.array([label.strip() for *_, label in cases])


def read_tsv(path):
    """Read a univariate set: label, then the series."""
    table = np.loadtxt(path)
    return list(table[:, 1:, np.newaxis]), table[:, 0]


def read_pendigits(path):
    """Read pen strokes: eight points (x, y), then the digit."""
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    return list(table[:, :-1].reshape(-1, 8, 2)), table[:, -1]


def load(name, folder):
    """Return the training and the test part of a set; raise FileNotFoundError if it is absent."""
    if name == "pendigits":
        files = [folder / name / f"pendigits.{part}" for part in ("tra", "tes")]
        return [read_pendigits(file) for file in files]
    subfolder = folder / (name if name == "JapaneseVowels" else "ucr")
    parts = []
    for part in ("TRAIN", "TEST"):
        table = subfolder / f"{name}_{part}.tsv"
        parts.append(read_tsv(table) if table.exists() else read_ts(table.with_suffix(".ts")))
    return parts


def with_differences(X):
    """Append the difference of each channel from the previous step; 0 at the first step."""
    return [np.hstack([x, np.diff(x, axis=0, prepend=x[:1])]) for x in X]


def of_one_length(X, n_steps):
    """Interpolate every sequence linearly to (n_channels, n_steps)."""
    grid = np.linspace(0, 1, n_steps)
    return np.stack(
        [[np.interp(grid, np.linspace(0, 1, len(x)), channel) for channel in x.T] for x in X]
    ).astype(np.float32)


# ---- columns: (X, y, X_test, seed) -> predictions, seconds of the fit --------------------------


def fit_predict(model, X, y, X_test):
    """Fit, timed, and predict."""
    start = time.perf_counter()
    model.fit(X, y)
    seconds = time.perf_counter() - start
    return model.predict(X_test), seconds


def pipeline(seed, **parameters):
    return make_pipeline(
        PerTimestep(StandardScaler()), GRUClassifier(random_state=seed, **parameters)
    )


def before(X, y, X_test, seed):
    return fit_predict(pipeline(seed, **BEFORE), X, y, X_test)


def defaults(X, y, X_test, seed):
    return fit_predict(pipeline(seed), X, y, X_test)


def stopping(X, y, X_test, seed):
    return fit_predict(pipeline(seed, early_stopping=True), X, y, X_test)


def recipe_model(seed):
    """Average networks with and without the differences of the channels as inputs."""

    def member(seed, *steps):
        return make_pipeline(
            *steps,
            PerTimestep(StandardScaler()),
            Patches(size="auto", stride="auto"),
            GRUClassifier(random_state=seed, **RECIPE),
        )

    return VotingClassifier(
        [
            ("channels", member(seed)),
            ("differences", member(seed, FunctionTransformer(with_differences))),
        ],
        voting="soft",
    )


def recipe(X, y, X_test, seed):
    return fit_predict(recipe_model(seed), X, y, X_test)


def torch_gru(X, y, X_test, seed, pooling):
    """Train PyTorch's GRU of 64 units: 1,000 updates of Adam at 0.005, clipped to norm 1."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    scaler = PerTimestep(StandardScaler()).fit(X)
    X, X_test = (
        [torch.tensor(x, dtype=torch.float32) for x in scaler.transform(part)]
        for part in (X, X_test)
    )
    classes, codes = np.unique(y, return_inverse=True)
    codes = torch.from_numpy(codes)
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    gru = torch.nn.GRU(X[0].shape[1], 64, batch_first=True)
    head = torch.nn.Linear(64, len(classes))
    parameters = [*gru.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.005)

    def outputs(sequences):
        lengths = torch.tensor([len(x) for x in sequences])
        states, _ = gru(pad_sequence(sequences, batch_first=True))
        if pooling == "last":
            return head(states[torch.arange(len(sequences)), lengths - 1])
        valid = torch.arange(states.shape[1]) < lengths[:, None]
        return head((states * valid[..., None]).sum(dim=1) / lengths[:, None])

    start, n_updates = time.perf_counter(), 0
    while n_updates < 1000:
        for batch in torch.randperm(len(X)).split(32)[: 1000 - n_updates]:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(outputs([X[i] for i in batch]), codes[batch])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            n_updates += 1
    seconds = time.perf_counter() - start
    with torch.inference_mode():
        chunks = [outputs(X_test[i : i + 256]).argmax(dim=1) for i in range(0, len(X_test), 256)]
    return classes[torch.cat(chunks).numpy()], seconds


def torch_last(X, y, X_test, seed):
    return torch_gru(X, y, X_test, seed, "last")


def torch_mean(X, y, X_test, seed):
    return torch_gru(X, y, X_test, seed, "mean")


def minirocket(X, y, X_test, seed):
    from aeon.classification.convolution_based import MiniRocketClassifier

    n_steps = max(9, *map(len, X))
    X, X_test = of_one_length(X, n_steps), of_one_length(X_test, n_steps)
    return fit_predict(MiniRocketClassifier(random_state=seed, n_jobs=1), X, y, X_test)


COLUMNS = {
    f.__name__: f for f in (before, defaults, stopping, recipe, torch_last, torch_mean, minirocket)
}
NEEDS = {"torch_last": "torch", "torch_mean": "torch", "minirocket": "aeon"}


# ---- report -----------------------------------------------------------------------------------


def installed(columns):
    """Return the columns whose library is installed; print the others."""
    absent = [name for name in columns if name in NEEDS and find_spec(NEEDS[name]) is None]
    for name in absent:
        print(f"without {name}: {NEEDS[name]} is not installed")
    return [name for name in columns if name not in absent]


def evaluate(name, folder, columns, seeds):
    """Return accuracies and seconds, each of shape (n_columns, n_seeds)."""
    (X, y), (X_test, y_test) = load(name, folder)
    accuracy, seconds = np.empty((2, len(columns), len(seeds)))
    for i, column in enumerate(columns):
        for j, seed in enumerate(seeds):
            predictions, seconds[i, j] = COLUMNS[column](X, y, X_test, seed)
            accuracy[i, j] = np.mean(predictions == y_test)
    return accuracy, seconds


def row(title, cells):
    print(f"{title:20}" + "".join(f"{cell:>12}" for cell in cells), flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--columns", nargs="+", choices=COLUMNS, default=list(COLUMNS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--reference", choices=COLUMNS, default="before")
    parser.add_argument("--data", type=Path, default=DATA)
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        print(f"No data in {arguments.data}; nothing to do. --data names another folder.")
        return
    columns = installed(arguments.columns)
    warnings.simplefilter("ignore")

    means, seconds = [], []
    row("", columns)
    for name in arguments.sets:
        try:
            with threadpool_limits(1):  # one core for every column
                accuracies, times = evaluate(name, arguments.data, columns, arguments.seeds)
        except FileNotFoundError as error:
            print(f"{name:20} left out: {error.filename} is absent")
            continue
        means.append(accuracies.mean(axis=1))
        seconds.append(times.mean(axis=1))
        row(name, [f"{mean:.4f}" for mean in means[-1]])
    if not means:
        return
    means = np.array(means)
    row("mean", [f"{mean:.4f}" for mean in means.mean(axis=0)])
    row("mean rank", [f"{rank:.2f}" for rank in rankdata(-means, axis=1).mean(axis=0)])
    if arguments.reference in columns:
        reference = means[:, [columns.index(arguments.reference)]]
        wins, losses = means > reference + TIE, means < reference - TIE
        counts = zip(wins.sum(axis=0), losses.sum(axis=0), strict=True)
        row(
            f"against {arguments.reference}",
            [f"{won}-{len(means) - won - lost}-{lost}" for won, lost in counts],
        )
        row("largest loss", [f"{loss:.4f}" for loss in (reference - means).max(axis=0).clip(0)])
    row("seconds a seed", [f"{total:.1f}" for total in np.sum(seconds, axis=0)])
    both = [columns.index(name) for name in ("torch_last", "torch_mean") if name in columns]
    if both and "defaults" in columns:
        at_least = means[:, columns.index("defaults")] >= means[:, both].max(axis=1)
        print(f"defaults at least as good as PyTorch's better pooling: {at_least.sum()} sets")


if __name__ == "__main__":
    main()
