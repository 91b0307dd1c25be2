"""Train on the adding problem: a test of gradients over hundreds of time steps.

Hochreiter & Schmidhuber 1997, in the form of Arjovsky et al. 2016 (arXiv:1511.06464). The first
of two channels holds numbers uniform in [0, 1]. The second is one at two time steps, one in each
half of the sequence, and zero elsewhere. The target is the sum of the two marked numbers. Always
predicting its mean, 1, gives a mean squared error of 1/6; to do better, the network must keep a
number for half the sequence or longer.

One layer of 150 units has 69,001 parameters, about as many as the networks of Bai et al. 2018
(arXiv:1803.01271). Their GRU reached 5.3e-5 with 600 steps, on sequences whose marks may both be
anywhere.

Every training sequence is new. The error stays at that of the constant prediction for ten or twenty
thousand sequences, and then falls within a few thousand. The test error is only reported: it
influences nothing.

    python benchmarks/adding_problem.py
    python benchmarks/adding_problem.py --steps 200 600 --seed 0 --n-jobs 2 --plot adding.png

Takes a few minutes; each length is a job on one core.
"""

import argparse
import time
import warnings

import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning

from skgru import GRURegressor

CONSTANT_MSE = 1 / 6  # variance of the sum of two uniform numbers
TARGET = 1e-3

N_UNITS = 150
EPOCH = 2048  # new sequences per epoch
N_TEST = 1000

# With small minibatches the error falls after fewer sequences. They are too small for several
# threads: --n-jobs therefore runs the lengths in parallel.
BATCH_SIZE = 16
# At 0.01 the error falls earlier, but gradients sometimes explode, to norms of 1e16.
LEARNING_RATE = 0.005
MAX_GRAD_NORM = 0.5

# The first learning rate is used until the mean squared error of an epoch is below LEARNED, for at
# most MAX_EPOCHS. The lower ones then reduce the noise, each for a number of epochs.
LEARNED = 0.003
MAX_EPOCHS = 40
LOWER_RATES = {0.001: 16, 0.0002: 4}


def draw(n_samples, n_steps, rng):
    """Draw sequences (n_samples, n_steps, 2) and the sums of their marked numbers."""
    X = np.zeros((n_samples, n_steps, 2), dtype=np.float32)
    X[:, :, 0] = rng.random((n_samples, n_steps))
    samples = np.arange(n_samples)
    first = rng.integers(n_steps // 2, size=n_samples)
    second = rng.integers(n_steps // 2, n_steps, size=n_samples)
    X[samples, first, 1] = X[samples, second, 1] = 1
    return X, X[samples, first, 0] + X[samples, second, 0]


def train(n_steps, seed):
    """Train on one length; return the number of parameters, the seconds and the test errors."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # fit runs one epoch
    train_rng, test_rng = np.random.default_rng([seed, n_steps]).spawn(2)
    X_test, y_test = draw(N_TEST, n_steps, test_rng)
    model = GRURegressor(
        N_UNITS,
        alpha=0,
        batch_size=BATCH_SIZE,
        learning_rate="constant",
        learning_rate_init=LEARNING_RATE,
        warmup_updates=0,
        max_grad_norm=MAX_GRAD_NORM,
        max_iter=1,
        warm_start=True,
        random_state=seed,
    )
    curve, seconds = [], 0.0

    def epoch(update):
        nonlocal seconds
        X, y = draw(EPOCH, n_steps, train_rng)
        start = time.perf_counter()
        update(X, y)
        seconds += time.perf_counter() - start
        error = np.mean((model.predict(X_test) - y_test) ** 2)
        curve.append((model.t_, error))
        print(
            f"T={n_steps}: {model.t_:6d} sequences  {seconds:4.0f} s  "
            f"learning rate {model.learning_rate_init:<6g}  test MSE {error:.2e}",
            flush=True,
        )

    for _ in range(MAX_EPOCHS):
        epoch(model.partial_fit)
        if 2 * model.loss_ < LEARNED:  # the loss is half the squared error
            break
    for rate, n_epochs in LOWER_RATES.items():
        # partial_fit continues with the optimizer and its learning rate; fit makes a new one
        model.set_params(learning_rate_init=rate)
        for i in range(n_epochs):
            epoch(model.partial_fit if i else model.fit)
    return model.n_parameters_, seconds, curve


def plot(curves, path):
    """Plot the test error of each length over the number of training sequences."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    for n_steps, curve in curves.items():
        ax.semilogy(*np.transpose(curve), marker=".", label=f"{n_steps} steps")
    ax.axhline(CONSTANT_MSE, color="0.5", linestyle="--", label="constant prediction, 0.167")
    ax.axhline(TARGET, color="0.5", linestyle=":", label="0.001")
    ax.set(
        xlabel="training sequences",
        ylabel="test mean squared error",
        title=f"The adding problem, a GRU layer of {N_UNITS} units",
    )
    ax.set_xlim(left=0)
    ax.legend()
    fig.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[200, 600], help="lengths")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-jobs", type=int, default=2, help="lengths in parallel")
    parser.add_argument("--plot", metavar="FILE", help="plot the test errors into this file")
    args = parser.parse_args()

    jobs = [delayed(train)(n_steps, args.seed) for n_steps in args.steps]
    results = dict(zip(args.steps, Parallel(n_jobs=args.n_jobs)(jobs), strict=True))
    for n_steps, (n_parameters, seconds, curve) in results.items():
        print(
            f"T={n_steps}: {n_parameters} parameters, {seconds:.0f} s, {curve[-1][0]} sequences, "
            f"test MSE {curve[-1][1]:.2e} (constant prediction {CONSTANT_MSE:.3f})"
        )
    if args.plot:
        plot({n_steps: curve for n_steps, (_, _, curve) in results.items()}, args.plot)


if __name__ == "__main__":
    main()
