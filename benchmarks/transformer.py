"""Compare the GRU with a small Transformer encoder in PyTorch, on JapaneseVowels.

The encoder has a linear map of the 12 channels to 64, sinusoidal positions (Vaswani et al. 2017,
arXiv:1706.03762), two layers with four heads, 128 hidden units and pre-normalization, and a linear
head on the mean over the time steps. It trains with Adam and gradients clipped to norm 1. Its
learning rate is chosen by cross-validation on the training utterances (printed by --search). The
GRU has one direction and its last state, or is bidirectional and pools over the time steps like the
encoder. Seeds are interleaved, with one thread.

The second part measures a new prediction after one more time step of a single sequence. In the
encoder every state depends on every time step, so that it processes a whole window again. A
recurrent network processes only the new time step, given its state. For skgru that is a forward
pass of the network and its head, without the overhead of the estimator; `predict` on the window is
shown too.

    pip install torch==2.13.0 && python benchmarks/transformer.py
    python benchmarks/transformer.py --search
"""

import argparse
import time
import warnings
from functools import partial

from cores import use_cores

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--seeds", type=int, default=5)
parser.add_argument("--rounds", type=int, default=7, help="of the second part")
parser.add_argument("--search", action="store_true", help="only choose the encoder's settings")
options = parser.parse_args()
use_cores(1)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from sizes import LAYER, in_turns, ratio  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.model_selection import StratifiedKFold  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from torch.nn.utils.rnn import pad_sequence  # noqa: E402

from skgru import GRUClassifier  # noqa: E402
from skgru.datasets import load_japanese_vowels  # noqa: E402
from skgru.model.buffers import Buffers  # noqa: E402
from skgru.model.propagation import Propagation  # noqa: E402
from skgru.preprocessing import PerTimestep  # noqa: E402
from skgru.sequences import Packed  # noqa: E402

WIDTH, N_LAYERS, N_HEADS, N_HIDDEN = 64, 2, 4, 128
BATCH, MAX_NORM, N_CLASSES = 32, 1.0, 9
SETTINGS = {"learning_rate": 0.001, "dropout": 0.1, "epochs": 60}
GRID = [{**SETTINGS, "learning_rate": rate} for rate in (0.0003, 0.001, 0.003)]
STREAM_WINDOWS = (7, 29, 100)  # shortest and longest utterance, and a longer window


class Encoder(torch.nn.Module):
    """Transformer encoder with mean pooling, over padded batches."""

    def __init__(self, n_channels: int, dropout: float, longest: int = 128):
        super().__init__()
        self.embedding = torch.nn.Linear(n_channels, WIDTH)
        angle = torch.arange(longest)[:, None] / 10000 ** (torch.arange(0, WIDTH, 2) / WIDTH)
        positions = torch.stack([angle.sin(), angle.cos()], dim=2).reshape(longest, WIDTH)
        self.register_buffer("positions", positions)
        layer = torch.nn.TransformerEncoderLayer(
            WIDTH, N_HEADS, N_HIDDEN, dropout, batch_first=True, norm_first=True
        )
        self.encoder = torch.nn.TransformerEncoder(
            layer, N_LAYERS, norm=torch.nn.LayerNorm(WIDTH), enable_nested_tensor=False
        )
        self.head = torch.nn.Linear(WIDTH, N_CLASSES)

    def forward(self, x: torch.Tensor, padding: torch.Tensor | None = None) -> torch.Tensor:
        """Return class scores of x (n, T, n_channels); padding (n, T) is True after the end."""
        states = self.embedding(x) + self.positions[: x.shape[1]]
        states = self.encoder(states, src_key_padding_mask=padding)
        if padding is None:
            return self.head(states.mean(dim=1))
        inside = (~padding)[:, :, None]
        return self.head((states * inside).sum(dim=1) / inside.sum(dim=1))


def padded(sequences: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a padded batch and its mask of padding."""
    lengths = torch.tensor([len(s) for s in sequences])
    x = pad_sequence(sequences, batch_first=True)
    return x, torch.arange(x.shape[1])[None, :] >= lengths[:, None]


def fit_encoder(X, y, seed, learning_rate, dropout, epochs):
    torch.manual_seed(seed)
    X = [torch.from_numpy(x.astype(np.float32)) for x in X]
    y = torch.from_numpy(y - 1)
    model = Encoder(X[0].shape[1], dropout)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    for _ in range(epochs):
        for batch in torch.randperm(len(X)).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            outputs = model(*padded([X[i] for i in batch]))
            torch.nn.functional.cross_entropy(outputs, y[batch]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
            optimizer.step()
    return model.eval()


def score_encoder(model, X, y):
    with torch.inference_mode():
        outputs = model(*padded([torch.from_numpy(x.astype(np.float32)) for x in X]))
    return float(np.mean(outputs.argmax(1).numpy() + 1 == y))


def search(X, y):
    """Print the accuracy of each setting in 5-fold cross-validation."""
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))
    for settings in GRID:
        scores = []
        for train, test in folds:
            model = fit_encoder([X[i] for i in train], y[train], 0, **settings)
            scores.append(score_encoder(model, [X[i] for i in test], y[test]))
        print(f"{np.mean(scores):.4f}  {settings}", flush=True)


def train(X, y, X_test, y_test):
    """Fit all models with each seed; return the last GRU and the last Transformer."""
    fits = {
        "GRU": lambda seed: GRUClassifier(**LAYER, random_state=seed).fit(X, y),
        "GRU, both directions": lambda seed: GRUClassifier(
            bidirectional=True, pooling="max", random_state=seed
        ).fit(X, y),
        "Transformer": lambda seed: fit_encoder(X, y, seed, **SETTINGS),
    }
    seconds = {name: [] for name in fits}
    accuracy = {name: [] for name in fits}
    models = {}
    for seed in range(options.seeds):
        for name, fit in fits.items():
            start = time.perf_counter()
            models[name] = fit(seed)
            seconds[name].append(time.perf_counter() - start)
            is_gru = isinstance(models[name], GRUClassifier)
            score = models[name].score if is_gru else partial(score_encoder, models[name])
            accuracy[name].append(score(X_test, y_test))
    for name, model in models.items():
        if isinstance(model, GRUClassifier):
            n_parameters, n_epochs = model.n_parameters_, model.n_iter_
        else:
            n_parameters, n_epochs = sum(p.numel() for p in model.parameters()), SETTINGS["epochs"]
        print(
            f"{name:21} {n_parameters:6d} parameters  test accuracy {np.mean(accuracy[name]):.4f} "
            f"({min(accuracy[name]):.4f}-{max(accuracy[name]):.4f})  fit "
            f"{np.median(seconds[name]):5.2f} s, {n_epochs} epochs in the last  "
            f"x {ratio(np.array(seconds[name]), np.array(seconds['GRU']))}"
        )
    return models["GRU"], models["Transformer"]


def streams(gru: GRUClassifier, encoder: Encoder):
    """Make functions that predict after one more time step."""
    network, buffers = gru._network, Buffers(gru._network)
    propagation = Propagation(network, buffers.parameters, buffers.empty)
    step = Packed(np.zeros((1, network.architecture.n_channels), network.dtype), np.array([1]))
    h = propagation.forward(step, None, 0, keep=False, want_states=False).h_last

    def recurrent() -> None:
        nonlocal h
        h = propagation.forward(step, h, 0, keep=False, want_states=False).h_last
        propagation.outputs(h)

    torch_gru = torch.nn.GRU(step.x.shape[1], len(gru.layers_[0].U))
    torch_head = torch.nn.Linear(len(gru.layers_[0].U), N_CLASSES)
    x, state = torch.from_numpy(step.x)[None], torch.zeros(1, 1, torch_gru.hidden_size)

    def torch_recurrent() -> None:
        nonlocal state
        with torch.inference_mode():
            _, state = torch_gru(x, state)
            torch_head(state[0])

    def encode(n_steps: int):
        window = torch.randn(1, n_steps, step.x.shape[1])

        def run() -> None:
            with torch.inference_mode():
                encoder(window)

        return run

    def predict(n_steps: int):
        window = np.random.default_rng(0).normal(size=(1, n_steps, step.x.shape[1]))
        return lambda: gru.predict(window)

    functions = {"skgru, one step": recurrent, "nn.GRU, one step": torch_recurrent}
    functions |= {f"skgru, predict on {n} steps": predict(n) for n in STREAM_WINDOWS}
    return functions | {f"Transformer, {n} steps": encode(n) for n in STREAM_WINDOWS}


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(1)
    X, y = load_japanese_vowels(subset="train", return_X_y=True)
    X_test, y_test = load_japanese_vowels(subset="test", return_X_y=True)
    scaler = PerTimestep(StandardScaler()).fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    if options.search:
        search(X, y)
        return
    times = in_turns(streams(*train(X, y, X_test, y_test)), options.rounds, 0.3)
    for name, seconds in times.items():
        others = ratio(seconds, times["skgru, one step"])
        print(f"{name:30} {1e6 * np.median(seconds):7.1f} µs per step  x {others}")


if __name__ == "__main__":
    main()
