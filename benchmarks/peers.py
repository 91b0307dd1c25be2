"""Training steps and predictions of the same model in other libraries.

Each function returns a function without arguments that runs one step. If the library is not
installed, it raises ImportError. All models classify the last state into ten classes, and train
with Adam and gradients clipped to norm 1. The exception is oneDNN, which has no loss and no
optimizer: it only computes gradients.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from sizes import N_CLASSES

Step = Callable[[], None]


def batches(
    batch: int, steps: int, channels: int, n_batches: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make sequences, labels, and a random order of (n_batches, batch) indices."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(batch * n_batches, steps, channels)).astype(np.float32)
    y = np.arange(len(X)) % N_CLASSES
    return X, y, rng.permutation(len(X)).reshape(n_batches, batch)


def _torch_model(channels: int, hidden: int, threads: int, layer: str = "GRU"):
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    recurrent = getattr(torch.nn, layer)(channels, hidden, batch_first=True)
    return torch, recurrent, torch.nn.Linear(hidden, N_CLASSES)


def torch_training(
    batch: int, steps: int, channels: int, hidden: int, threads: int, layer: str = "GRU"
) -> Step:
    """Make an update in PyTorch, from gathering the minibatch to the step of Adam."""
    torch, recurrent, head = _torch_model(channels, hidden, threads, layer)
    parameters = [*recurrent.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    X, y, order = map(torch.from_numpy, batches(batch, steps, channels, 4))
    turn = 0

    def step() -> None:
        nonlocal turn
        samples = order[turn % len(order)]
        turn += 1
        optimizer.zero_grad()
        last = recurrent(X[samples])[1]
        if layer == "LSTM":
            last = last[0]  # the hidden state, without the cell state
        torch.nn.functional.cross_entropy(head(last[0]), y[samples]).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()

    return step


torch_lstm_training = partial(torch_training, layer="LSTM")
torch_rnn_training = partial(torch_training, layer="RNN")


def torch_native_lstm_training(*size_and_threads: int) -> Step:
    """Make an update of an LSTM in PyTorch without oneDNN, by the native code that GRUs use."""
    import torch

    step = torch_training(*size_and_threads, layer="LSTM")

    def native_step() -> None:
        with torch.backends.mkldnn.flags(enabled=False):
            step()

    return native_step


def torch_inference(batch: int, steps: int, channels: int, hidden: int, threads: int) -> Step:
    """Make a forward pass in PyTorch in inference mode."""
    torch, gru, head = _torch_model(channels, hidden, threads)
    X = torch.from_numpy(batches(batch, steps, channels, 1)[0])

    def step() -> None:
        with torch.inference_mode():
            head(gru(X)[1][0])

    return step


def _jax_model(channels: int, hidden: int):
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    shapes = {
        "W": (channels, 3 * hidden),
        "U": (hidden, 3 * hidden),
        "b": (3 * hidden,),
        "V": (hidden, N_CLASSES),
        "a": (N_CLASSES,),
    }
    parameters = {
        name: jnp.asarray(rng.normal(size=shape) / np.sqrt(shape[0]), jnp.float32)
        for name, shape in shapes.items()
    }

    def outputs(p, x):
        """Return logits; one product projects the inputs of all steps, and XLA fuses the gates."""
        U_rz, U_h = p["U"][:, : 2 * hidden], p["U"][:, 2 * hidden :]

        def advance(h, xW):
            rz = jax.nn.sigmoid(xW[:, : 2 * hidden] + h @ U_rz)
            r, z = rz[:, :hidden], rz[:, hidden:]
            candidate = jnp.tanh(xW[:, 2 * hidden :] + (r * h) @ U_h)
            return z * h + (1 - z) * candidate, None

        projected = jnp.swapaxes(x, 0, 1) @ p["W"] + p["b"]
        last, _ = jax.lax.scan(advance, jnp.zeros((len(x), hidden), jnp.float32), projected)
        return last @ p["V"] + p["a"]

    return jax, jnp, parameters, outputs


def jax_training(batch: int, steps: int, channels: int, hidden: int, threads: int) -> Step:
    """Make an update in JAX, compiled as one function."""
    jax, jnp, parameters, outputs = _jax_model(channels, hidden)
    X, y, order = batches(batch, steps, channels, 4)

    def loss(p, x, labels):
        log_p = jax.nn.log_softmax(outputs(p, x))
        return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean()

    @jax.jit
    def update(p, mean, square, t, x, labels):
        g = jax.grad(loss)(p, x, labels)
        norm = jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(g)))
        g = jax.tree.map(lambda leaf: leaf * jnp.minimum(1, 1 / norm), g)
        mean = jax.tree.map(lambda m, leaf: 0.9 * m + 0.1 * leaf, mean, g)
        square = jax.tree.map(lambda s, leaf: 0.999 * s + 0.001 * leaf * leaf, square, g)
        rate = 0.01 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        p = jax.tree.map(lambda w, m, s: w - rate * m / (jnp.sqrt(s) + 1e-8), p, mean, square)
        return p, mean, square

    zeros = jax.tree.map(jnp.zeros_like, parameters)
    state = parameters, zeros, zeros
    turn = 0

    def step() -> None:
        nonlocal turn, state
        samples = order[turn % len(order)]
        turn += 1
        state = jax.block_until_ready(update(*state, float(turn), X[samples], y[samples]))

    return step


def jax_inference(batch: int, steps: int, channels: int, hidden: int, threads: int) -> Step:
    """Make a forward pass in JAX."""
    jax, _, parameters, outputs = _jax_model(channels, hidden)
    X = batches(batch, steps, channels, 1)[0]
    compiled = jax.jit(outputs)
    return lambda: jax.block_until_ready(compiled(parameters, X))


def onnx_inference(batch: int, steps: int, channels: int, hidden: int, threads: int) -> Step:
    """Make a forward pass in onnxruntime, with its GRU operator."""
    import onnxruntime
    from onnx import TensorProto, checker, helper, numpy_helper

    rng = np.random.default_rng(0)
    shapes = {
        "W": (1, 3 * hidden, channels),
        "R": (1, 3 * hidden, hidden),
        "B": (1, 6 * hidden),
        "V": (hidden, N_CLASSES),
    }
    weights = [
        numpy_helper.from_array((rng.normal(size=s) / np.sqrt(hidden)).astype(np.float32), name)
        for name, s in shapes.items()
    ]
    nodes = [
        helper.make_node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
        helper.make_node("GRU", ["steps", "W", "R", "B"], ["", "last"], hidden_size=hidden),
        helper.make_node("Squeeze", ["last", "axis"], ["h"]),
        helper.make_node("MatMul", ["h", "V"], ["y"]),
    ]
    weights.append(numpy_helper.from_array(np.array([0]), "axis"))
    graph = helper.make_graph(
        nodes,
        "gru",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, steps, channels])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, N_CLASSES])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    X = batches(batch, steps, channels, 1)[0]
    return lambda: session.run(["y"], {"x": X})


def onednn_training(batch: int, steps: int, channels: int, hidden: int, threads: int) -> Step:
    """Make a computation of gradients in oneDNN, with denormals flushed."""
    return _onednn(batch, steps, channels, hidden, threads).step


def onednn_inference(batch: int, steps: int, channels: int, hidden: int, threads: int) -> Step:
    """Make a forward pass in oneDNN."""
    return _onednn(batch, steps, channels, hidden, threads, training=False).predict


def _onednn(*size_and_threads: int, training: bool = True):
    import onednn_peer

    if not onednn_peer.available():
        raise ImportError("oneDNN is not installed; onednn_peer.py says how")
    return onednn_peer.OneDNNGRU(*size_and_threads, training=training)


def functions(kind: str, names: list[str], *size_and_threads: int) -> dict[str, Step]:
    """Make the steps of the installed peers, of kind "training" or "inference"."""
    steps = {}
    for name in names:
        try:
            steps[name] = globals()[f"{name}_{kind}"](*size_and_threads)
        except ImportError as error:
            print(f"  skipping {name}: {error}")
    return steps
