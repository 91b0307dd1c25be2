"""Time one step of one sequence, called from Python, in skgru, onnxruntime and PyTorch.

skgru runs `step` of a stream, from the validation of x to the prediction. onnxruntime runs its GRU
operator and PyTorch its GRUCell, with inputs that are already converted, and without an output
layer. All have the same weights, and their states are compared after the last step. PyTorch has
only the reset gate after the product; onnxruntime and skgru are therefore measured with both.

The script prints the median and the 99th percentile of the microseconds per step, and the latter
divided by the median. Then it prints the time of the others relative to skgru: the median over the
rounds of the ratio of medians, and its range. The last row has several sequences in one stream.

    python benchmarks/stream.py
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import cycle

from cores import use_cores

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--channels", type=int, default=8)
parser.add_argument("--units", type=int, nargs="*", default=[16, 64, 128])
parser.add_argument("--rounds", type=int, default=21)
parser.add_argument("--steps", type=int, default=2000, help="per round")
arguments = parser.parse_args()
use_cores(1)

import numpy as np  # noqa: E402
from sizes import LAYER, ratio  # noqa: E402

from skgru import GRUClassifier, GRURegressor  # noqa: E402
from skgru.kernels import active_instruction_set  # noqa: E402
from skgru.model.parameters import Layer  # noqa: E402

Step = Callable[[], object]
State = Callable[[], np.ndarray]


def skgru_step(
    model: GRURegressor | GRUClassifier,
    x: Iterator[np.ndarray],
    method: str = "step",
    n_streams: int = 1,
) -> tuple[Step, State]:
    """Make a call of `step` of a stream."""
    stream = model.stream(n_streams)
    step = getattr(stream, method)
    return lambda: step(next(x)), lambda: stream.state


def blocks(weights: np.ndarray, order: str) -> np.ndarray:
    """Convert columns r | z | n (the candidate) of skgru to rows in another order."""
    parts = dict(zip("rzn", np.split(weights, 3, axis=-1), strict=True))
    return np.concatenate([parts[gate].T for gate in order])


def onnx_step(layer: Layer, x: Iterator[np.ndarray]) -> tuple[Step, State]:
    """Make a run of the GRU operator; its last state is the next initial state."""
    import onnxruntime
    from onnx import TensorProto, checker, helper, numpy_helper

    D, H, after = len(layer.W), len(layer.U), len(layer.c) > 0
    recurrent_bias = np.zeros(3 * H, np.float32)
    recurrent_bias[2 * H :] = layer.c if after else 0
    weights = {
        "W": blocks(layer.W, "zrn")[np.newaxis],
        "R": blocks(layer.U, "zrn")[np.newaxis],
        "B": np.concatenate([blocks(layer.b, "zrn"), recurrent_bias])[np.newaxis],
    }
    node = helper.make_node(
        "GRU", ["x", "W", "R", "B", "", "h_0"], ["", "h"],
        hidden_size=H, linear_before_reset=int(after),
    )  # fmt: skip
    number = TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "step",
        [
            helper.make_tensor_value_info("x", number, [1, 1, D]),
            helper.make_tensor_value_info("h_0", number, [1, 1, H]),
        ],
        [helper.make_tensor_value_info("h", number, [1, 1, H])],
        [numpy_helper.from_array(np.ascontiguousarray(w), name) for name, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    h = np.zeros((1, 1, H), np.float32)
    x = cycle([x_t.reshape(1, 1, D) for x_t in next_lap(x)])

    def step() -> None:
        nonlocal h
        (h,) = session.run(["h"], {"x": next(x), "h_0": h})

    return step, lambda: h[0]


def torch_step(layer: Layer, x: Iterator[np.ndarray]) -> tuple[Step, State]:
    """Make a call of GRUCell, without autograd."""
    import torch

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    D, H = len(layer.W), len(layer.U)
    cell = torch.nn.GRUCell(D, H)
    recurrent_bias = np.concatenate([np.zeros(2 * H, np.float32), layer.c])
    own = blocks(layer.W, "rzn"), blocks(layer.U, "rzn"), layer.b, recurrent_bias
    for parameter, weights in zip(cell.parameters(), own, strict=True):
        parameter.copy_(torch.from_numpy(np.array(weights)))
    h = torch.zeros(1, H)
    x = cycle([torch.from_numpy(x_t).reshape(1, D) for x_t in next_lap(x)])

    def step() -> None:
        nonlocal h
        h = cell(next(x), h)

    return step, lambda: h.numpy()


N_DIFFERENT = 1000  # different inputs, which repeat


def next_lap(x: Iterator[np.ndarray]) -> list[np.ndarray]:
    """Return each of the different inputs once."""
    return [next(x) for _ in range(N_DIFFERENT)]


def measure(functions: dict[str, Step], rounds: int, steps: int) -> dict[str, np.ndarray]:
    """Time every step, functions in turns; return (rounds, steps) microseconds for each."""
    times = {name: np.empty((rounds, steps)) for name in functions}
    clock = time.perf_counter_ns
    for i in range(rounds):
        for name, function in functions.items():
            of_round = times[name][i]
            for j in range(steps):
                start = clock()
                function()
                of_round[j] = clock() - start
    return {name: t / 1e3 for name, t in times.items()}


def report(name: str, times: dict[str, np.ndarray]) -> None:
    """Print the times of all functions, and the ratio of each to the first."""
    (ours, own), *others = times.items()
    for row, t in times.items():
        median, p99 = np.median(t), np.percentile(t, 99)
        print(f"{name:10s} {row:26s} {median:7.2f}  p99 {p99:7.2f}  {p99 / median:5.2f} medians")
    ratios = (f"{row} {ratio(np.median(t, axis=1), np.median(own, axis=1))}" for row, t in others)
    print(f"{name:10s} relative to {ours}: " + "  ".join(ratios), flush=True)


print(
    f"instruction set {active_instruction_set()}, one thread, {arguments.channels} channels, "
    f"float32, {arguments.rounds} rounds of {arguments.steps} steps; microseconds per step"
)
rng = np.random.default_rng(0)
X = rng.normal(size=(32, 20, arguments.channels)).astype(np.float32)
steps = list(rng.normal(size=(N_DIFFERENT, arguments.channels)).astype(np.float32))
for units in arguments.units:
    for after in (False, True):
        own = dict(**LAYER, max_iter=1, reset_after=after, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one epoch does not converge
            regressor = GRURegressor(units, **own).fit(X, X[:, -1, 0])
            classifier = GRUClassifier(units, **own).fit(X, np.arange(32) % 10)
        made = {
            "skgru": skgru_step(regressor, cycle(steps)),
            "skgru, label of ten": skgru_step(classifier, cycle(steps)),
            "skgru, ten probabilities": skgru_step(classifier, cycle(steps), "step_proba"),
        }
        peers = {"onnx": onnx_step, "torch": torch_step} if after else {"onnx": onnx_step}
        for peer, make in peers.items():
            try:
                made[peer] = make(regressor.layers_[0], cycle(steps))
            except ImportError as error:
                print(f"  skipping {peer}: {error}")
        times = measure(
            {row: step for row, (step, _) in made.items()}, arguments.rounds, arguments.steps
        )
        for peer in made.keys() & peers:
            np.testing.assert_allclose(made[peer][1](), made["skgru"][1](), atol=1e-5)
        report(f"H{units}" + ", after" * after, times)
        if not after:
            together = {
                n: skgru_step(
                    regressor, cycle([np.tile(x_t, (n, 1)) for x_t in steps]), n_streams=n
                )[0]
                for n in (1, 4, 16, 64)
            }
            times = measure(together, arguments.rounds, arguments.steps // 10)
            columns = (f"{n}: {np.median(t) / n:.2f}" for n, t in times.items())
            print(f"{f'H{units}':10s} per sequence, with n in one stream: " + "  ".join(columns))
