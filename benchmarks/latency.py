"""Time the prediction of one sequence, beside MLPClassifier, and that of a long list.

The first table has calls of `predict` and `predict_proba` with one sequence of 20 steps and 12
channels, of a model of 64 units in both directions, and of the same in a pipeline that scales each
channel. MLPClassifier has 64 hidden units and the same numbers in one row. Calls follow each other
in turns, as a program would make them among other work. The script prints the median of the
microseconds, and the median and range over the rounds of the ratio to MLPClassifier's `predict`.

The second has the predictions of 100,000 sequences of 7 to 29 steps: a list of arrays, beside the
same ones when they have been checked and joined already.

python benchmarks/latency.py
"""

import argparse
import warnings

from cores import use_cores

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--rounds", type=int, default=7)
parser.add_argument("--calls", type=int, default=300, help="per round")
parser.add_argument("--sequences", type=int, default=100_000, help="of the list")
arguments = parser.parse_args()
use_cores(1)

import numpy as np  # noqa: E402
from sizes import in_turns, ratio  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from skgru import GRUClassifier  # noqa: E402
from skgru.kernels import active_instruction_set  # noqa: E402
from skgru.model.inference import predict  # noqa: E402
from skgru.model.workers import Workers  # noqa: E402
from skgru.preprocessing import PerTimestep  # noqa: E402
from skgru.sequences import check_sequences  # noqa: E402

STEPS, CHANNELS, CLASSES = 20, 12, 9
rng = np.random.default_rng(0)
X = rng.normal(size=(200, STEPS, CHANNELS))
y = np.arange(len(X)) % CLASSES
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a few epochs do not converge
    gru = GRUClassifier(64, max_iter=2, random_state=0).fit(X, y)
    scaled = make_pipeline(PerTimestep(StandardScaler()), gru).fit(X, y)
    mlp = MLPClassifier(64, max_iter=2, random_state=0).fit(X.reshape(len(X), -1), y)


one, row, listed = X[:1], X[:1].reshape(1, -1), [X[0]]
calls = {
    "MLPClassifier.predict": lambda: mlp.predict(row),
    "MLPClassifier.predict_proba": lambda: mlp.predict_proba(row),
    "predict": lambda: gru.predict(one),
    "predict, a list of one": lambda: gru.predict(listed),
    "predict_proba": lambda: gru.predict_proba(one),
    "predict of a pipeline": lambda: scaled.predict(one),
}
print(f"instruction set {active_instruction_set()}, one sequence of {STEPS} steps")
in_turns(calls, 50, 0)  # warm-up
rounds = arguments.rounds, arguments.calls
times = {
    name: np.median(seconds.reshape(rounds), axis=1)  # of single calls
    for name, seconds in in_turns(calls, rounds[0] * rounds[1], 0).items()
}
for name, seconds in times.items():
    others = ratio(seconds, times["MLPClassifier.predict"])
    print(f"{name:28s} {1e6 * np.median(seconds):7.1f} us   {others}")

lengths = rng.integers(7, 30, arguments.sequences)
many = [rng.normal(size=(length, CHANNELS)).astype(np.float32) for length in lengths]
checked = check_sequences(many, dtype=np.float32)


def predict_checked() -> None:
    with Workers(1) as workers:
        predict(gru._network, checked, workers, gru._outputs.predict)


print(f"{arguments.sequences} sequences of 7 to 29 steps")
times = in_turns({"checked": predict_checked, "list": lambda: gru.predict(many)}, rounds[0], 0)
share = times["checked"] / times["list"]
print(
    f"predict of a list {np.median(times['list']):.2f} s, checked before "
    f"{np.median(times['checked']):.2f} s: {100 * np.median(share):.0f} % "
    f"({100 * share.min():.0f}-{100 * share.max():.0f}) of its speed"
)
