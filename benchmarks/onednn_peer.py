"""Train and run one GRU layer in oneDNN 3.2, for comparison with the GRU layer of skgru.

A training step is a forward pass and backpropagation through time, from a gradient at the last time
step only. It computes the gradients of the weights, and that of the input too, which oneDNN cannot
leave out. It has no loss, no optimizer and no head. An inference pass computes the states of all
time steps. Both use float32, one unidirectional layer with the reset gate before the recurrent
product, a zero initial state, arrays of shape (T, B, channels), and denormals flushed to zero.
Weights are reordered to the formats that oneDNN prefers: for inference once, outside of the timing;
in training at every step, because every step changes them.

train.py and predict.py measure it. Run as a script, it prints the errors of small layers relative
to derivatives in double precision. Use at most as many threads as there are idle cores: the threads
synchronize at every time step, and with other work on the machine they can be a thousand times
slower.

Needs g++ and two packages: the first has the library built with GNU OpenMP, the second the headers
(its version 2024.0.0 has none):

    pip install --no-deps onednn-cpu-gomp==2023.2.0 onednn-devel==2024.2.1
    python benchmarks/onednn_peer.py [threads]

If they are elsewhere, set ONEDNN_ROOT to the directory that contains both. `pip install --prefix`
creates such a directory; `pip install --target` leaves the library out.
"""

import argparse
import ctypes
import functools
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import tempfile
import weakref
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).with_name("onednn_gru.cpp")
HEADER = Path("oneapi", "dnnl", "dnnl.hpp")
FLAGS = ("-std=c++17", "-O2", "-shared", "-fPIC", "-fopenmp", "-Wl,-z,defs")
GATES = [1, 0, 2]  # skgru: reset, update, candidate; oneDNN: update, reset, candidate


def installed_files():
    """Yield the files below ONEDNN_ROOT or, without it, those of the two distributions."""
    if root := os.environ.get("ONEDNN_ROOT"):
        root = Path(root).resolve()
        yield from root.rglob("libdnnl.so*")
        yield from root.rglob(HEADER.name)
        return
    for name in ("onednn-cpu-gomp", "onednn-devel"):
        try:
            files = importlib.metadata.files(name) or ()
        except importlib.metadata.PackageNotFoundError:
            continue
        yield from (path for file in files if (path := Path(file.locate()).resolve()).is_file())


def locate():
    """Return the library and the directory of the headers, None for what is not found."""
    library = include = None
    for path in installed_files():
        # The loader looks for the soname: link the file of that name.
        if path.name.startswith("libdnnl.so") and (library is None or path.name == "libdnnl.so.3"):
            library = path
        elif path.parts[-len(HEADER.parts) :] == HEADER.parts:
            include = path.parents[len(HEADER.parts) - 1]
    return library, include


def available() -> bool:
    """Return whether the library, the headers and a compiler are installed."""
    return None not in locate() and shutil.which("g++") is not None


@functools.cache
def load():
    """Compile the C++ code, unless it is cached, and return its functions."""
    library, include = locate()
    if library is None or include is None:
        raise ImportError("oneDNN was not found; the docstring of this module says how to install")
    command = ["g++", *FLAGS, f"-I{include}", str(SOURCE), str(library)]
    command += [f"-Wl,-rpath,{library.parent}"]
    key = hashlib.sha256(SOURCE.read_bytes() + repr(command).encode()).hexdigest()[:16]
    target = Path(tempfile.gettempdir(), "skgru-onednn", f"onednn_gru-{key}.so")
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            # Another process may do the same: only complete files may appear in the cache.
            built = Path(scratch, target.name)
            subprocess.run([*command, "-o", str(built)], check=True)
            built.replace(target)

    functions = ctypes.CDLL(str(target))
    array = np.ctypeslib.ndpointer(np.float32, flags="C")
    handle, integer, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    for name, result, arguments in (
        ("gru_error", text, []),
        ("gru_create", handle, [integer] * 6 + [array] * 5),
        ("gru_destroy", None, [handle]),
        ("gru_step", integer, [handle]),
        ("gru_predict", integer, [handle]),
        ("gru_outputs", None, [handle, array]),
        ("gru_gradients", integer, [handle] + [array] * 4),
        ("gru_description", text, [handle]),
    ):
        function = getattr(functions, name)
        function.restype, function.argtypes = result, arguments
    return functions


class OneDNNGRU:
    """A GRU layer with fixed random weights and input.

    Parameters
    ----------
    B, T, D, H : int
        Batch size, time steps, input channels and units.
    threads : int
        OpenMP threads of each call.
    training : bool, default=True
        Whether to prepare for `step` in addition to `predict`.
    seed : int, default=0
        Seed of the weights, of the input and of the gradient at the last step.

    Attributes
    ----------
    X : ndarray of shape (T, B, D)
        The input.
    W, U, b : ndarray of shape (D, 3H), (H, 3H), (3H,)
        The weights, with columns in the order r | z | h~, where h_t = z h_{t-1} + (1 - z) h~.
    dh : ndarray of shape (B, H)
        The gradient of the loss with respect to the last state.
    """

    def __init__(self, B, T, D, H, threads, training=True, seed=0):
        if min(B, T, D, H, threads) < 1:
            raise ValueError("all sizes and the number of threads must be positive")
        rng = np.random.default_rng(seed)
        bound = H**-0.5
        self.X = rng.standard_normal((T, B, D), dtype=np.float32)
        self.W = rng.uniform(-bound, bound, (D, 3 * H)).astype(np.float32)
        self.U = rng.uniform(-bound, bound, (H, 3 * H)).astype(np.float32)
        self.b = rng.uniform(-bound, bound, 3 * H).astype(np.float32)
        self.dh = rng.standard_normal((B, H), dtype=np.float32)
        self._functions = load()
        weights = (swap_gates(a) for a in (self.W, self.U, self.b))
        self._handle = self._functions.gru_create(
            B, T, D, H, threads, training, self.X, *weights, self.dh
        )
        if not self._handle:
            raise RuntimeError(self._functions.gru_error().decode())
        weakref.finalize(self, self._functions.gru_destroy, self._handle)

    def _check(self, status):
        if status:
            raise RuntimeError(self._functions.gru_error().decode())

    def step(self):
        """Run the forward pass and backpropagation."""
        self._check(self._functions.gru_step(self._handle))

    def predict(self):
        """Run the forward pass for inference."""
        self._check(self._functions.gru_predict(self._handle))

    def forward_outputs(self):
        """Return the states of the last `step` or `predict`, of shape (T, B, H)."""
        outputs = np.empty((*self.X.shape[:2], self.dh.shape[1]), np.float32)
        self._functions.gru_outputs(self._handle, outputs)
        return outputs

    def _all_gradients(self):
        dW, dU, db, dX = (np.empty_like(a) for a in (self.W, self.U, self.b, self.X))
        self._check(self._functions.gru_gradients(self._handle, dW, dU, db, dX))
        return swap_gates(dW), swap_gates(dU), swap_gates(db), dX

    def gradients(self):
        """Return the gradients of W, of U and of b from the last `step`."""
        return self._all_gradients()[:3]

    def input_gradient(self):
        """Return the gradient of X from the last `step`."""
        return self._all_gradients()[3]

    def describe(self):
        """Return the implementations that oneDNN chose and the arrays that it reorders."""
        return self._functions.gru_description(self._handle).decode()


def swap_gates(a):
    """Exchange the first two of the three blocks of columns, between skgru's and oneDNN's order."""
    blocks = a.reshape(*a.shape[:-1], 3, -1)
    return np.ascontiguousarray(blocks[..., GATES, :]).reshape(a.shape)


def reference_outputs(X, W, U, b):
    """Compute the states of a GRU layer by definition."""
    H = U.shape[0]
    h, outputs = np.zeros((X.shape[1], H)), []
    for x in X:
        gates = x @ W[:, : 2 * H] + h @ U[:, : 2 * H] + b[: 2 * H]
        r, z = np.split(1 / (1 + np.exp(-gates)), 2, axis=1)
        candidate = np.tanh(x @ W[:, 2 * H :] + (r * h) @ U[:, 2 * H :] + b[2 * H :])
        h = z * h + (1 - z) * candidate
        outputs.append(h)
    return np.stack(outputs)


def reference_gradient(parameters, name, dh, epsilon=1e-30):
    """Compute the gradient of sum(dh * h_T) with respect to one argument of `reference_outputs`.

    By a complex step, Im f(x + i epsilon) / epsilon, which has no cancellation.
    """
    parameters = parameters | {name: parameters[name].astype(complex)}
    values = parameters[name].reshape(-1)
    gradient = np.empty(values.size)
    for i in range(values.size):
        values[i] += epsilon * 1j
        gradient[i] = np.sum(dh * reference_outputs(**parameters)[-1].imag) / epsilon
        values[i] = values[i].real
    return gradient.reshape(parameters[name].shape)


def relative_errors(B, T, D, H, threads):
    """Compute the relative errors of states and gradients in the Euclidean norm."""
    gru = OneDNNGRU(B, T, D, H, threads)
    parameters = {name: getattr(gru, name).astype(float) for name in ("X", "W", "U", "b")}
    expected = reference_outputs(**parameters)
    found = {}
    gru.predict()
    found["predict"] = gru.forward_outputs(), expected
    for _ in range(2):  # the second step detects gradients that are not reset
        gru.step()
    found["forward"] = gru.forward_outputs(), expected
    gradients = (*gru.gradients(), gru.input_gradient())
    for name, gradient in zip(("W", "U", "b", "X"), gradients, strict=True):
        found[f"d{name}"] = gradient, reference_gradient(parameters, name, gru.dh)
    return {key: np.linalg.norm(a - e) / np.linalg.norm(e) for key, (a, e) in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("threads", nargs="?", type=int, default=1)
    threads = parser.parse_args().threads

    print("relative errors")
    for size in ((3, 5, 4, 6), (5, 4, 3, 32)):
        errors = relative_errors(*size, threads)
        print(f"{size!s:15}", "  ".join(f"{name} {error:.1e}" for name, error in errors.items()))
        if not max(errors.values()) < 1e-4:
            raise SystemExit("oneDNN and the reference disagree")


if __name__ == "__main__":
    main()
