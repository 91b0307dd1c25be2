"""Train a character language model, beside the same model in PyTorch at equal updates.

Both have an embedding of the characters, one GRU layer and a softmax at every step, and read the
first nine tenths of the text in parallel streams: Adam, a cosine schedule with the same warm-up,
gradients clipped to norm 1, dropout before the output layer, an update every window, and states
that carry on from window to window. The last tenth is held out, and read as one sequence from its
beginning to its end. The script prints bits per character, seconds, and characters per second in
training; then the time of single epochs, interleaved, as a median and the range of ratios.

    python benchmarks/language_model.py [--epochs 30] [--threads 2] [--rounds 3]
"""

import argparse
import time
import tracemalloc
import warnings
from collections.abc import Callable
from math import cos, log, pi
from pathlib import Path

import numpy as np

from skgru import GRUClassifier
from skgru.metrics import neg_bits_per_step
from skgru.preprocessing import TokenEncoder, parallel_streams
from skgru.streaming import generate

TEXT = Path(__file__).parents[2] / "shared/data/text/tinyshakespeare.txt"
MAX_NORM, WARMUP = 1.0, 20


def read(path: Path) -> tuple[TokenEncoder, np.ndarray, np.ndarray]:
    """Return an encoder, and the codes of the training text and of the last tenth."""
    text = path.read_text(encoding="utf-8")
    encoder = TokenEncoder("char", lowercase=False)
    cut = len(text) * 9 // 10
    (train,) = encoder.fit_transform([text[:cut]])
    (test,) = encoder.transform([text[cut:]])
    return encoder, train, test


def skgru_model(options: argparse.Namespace, n_epochs: int) -> GRUClassifier:
    """Make the estimator."""
    return GRUClassifier(
        options.units,
        categorical_channels=[0],
        embedding_dim=options.embedding or None,
        return_sequences=True,
        bptt_steps=options.steps,
        update_every="window",
        batch_size=options.streams,
        dropout=options.dropout,
        learning_rate_init=options.rate,
        warmup_updates=WARMUP,
        max_grad_norm=MAX_NORM,
        alpha=0.0,
        max_iter=n_epochs,
        n_jobs=options.threads,
        random_state=options.seed,
    )


def torch_model(
    train: np.ndarray, options: argparse.Namespace, n_epochs: int
) -> tuple[Callable[[], None], Callable[[np.ndarray], float]]:
    """Return a function that trains for an epoch, and one that counts bits per character."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    n_codes = int(train.max()) + 1
    layers = torch.nn.ModuleDict(
        {
            "embedding": torch.nn.Embedding(n_codes, options.embedding or n_codes),
            "gru": torch.nn.GRU(options.embedding or n_codes, options.units),
            "dropout": torch.nn.Dropout(options.dropout),
            "head": torch.nn.Linear(options.units, n_codes),
        }
    )
    # the frequencies of the characters, as skgru begins with
    counts = np.bincount(train, minlength=n_codes) + 1
    with torch.no_grad():
        layers["head"].bias[:] = torch.from_numpy(np.log(counts / counts.sum()))
    optimizer = torch.optim.Adam(layers.parameters(), lr=options.rate)
    X, y = (torch.from_numpy(np.stack(part).T.astype(np.int64)) for part in streams(train, options))
    # windows are counted from the end, the first is the shortest
    starts = [*reversed(range(len(X) - options.steps, -1, -options.steps))]
    windows = [(start, start + options.steps) for start in starts]
    windows = [(0, starts[0]), *windows] if starts[0] else windows
    n_updates = n_epochs * len(windows)

    def rate(update: int) -> float:
        done = max(update - WARMUP, 0) / max(n_updates - WARMUP, 1)
        return min(1, (update + 1) / WARMUP) * (1 + cos(pi * done)) / 2

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)

    def epoch() -> None:
        layers.train()
        h = None
        for start, stop in windows:
            optimizer.zero_grad(set_to_none=True)
            states, h = layers["gru"](layers["embedding"](X[start:stop]), h)
            h = h.detach()
            logits = layers["head"](layers["dropout"](states))
            functional.cross_entropy(logits.flatten(0, 1), y[start:stop].flatten()).backward()
            torch.nn.utils.clip_grad_norm_(layers.parameters(), MAX_NORM)
            optimizer.step()
            schedule.step()

    @torch.no_grad()
    def bits(test: np.ndarray) -> float:
        layers.eval()
        codes = torch.from_numpy(test.astype(np.int64))
        states, _ = layers["gru"](layers["embedding"](codes[:-1, None]))
        return float(functional.cross_entropy(layers["head"](states)[:, 0], codes[1:])) / log(2)

    return epoch, bits


def streams(
    train: np.ndarray, options: argparse.Namespace
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Cut the training text into streams, with the next character as label."""
    return parallel_streams(train, options.streams)


def main(options: argparse.Namespace) -> None:
    warnings.simplefilter("ignore")
    encoder, train, test = read(options.text)
    X, y = streams(train, options)
    print(
        f"{len(train):,} characters to train on, {len(test):,} held out, {len(encoder.tokens_)} "
        f"codes of {train.itemsize} byte: X {sum(x.nbytes for x in X) / 1e6:.2f} MB; "
        f"{options.units} units, {options.streams} streams, {options.steps} steps per update"
    )
    if options.memory:
        tracemalloc.start()
    start, cpu = time.perf_counter(), time.process_time()
    gru = skgru_model(options, options.epochs).fit(X, y)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    if options.memory:
        print(f"peak of NumPy's memory in fit: {tracemalloc.get_traced_memory()[1] / 1e6:.1f} MB")
        tracemalloc.stop()
    bits = -neg_bits_per_step(gru, [test[:-1]], [test[1:]])
    print(
        f"skgru   {bits:.4f} bits per character (training {gru.loss_ / log(2):.4f}), "
        f"{gru.n_updates_} updates in {seconds:.1f} s ({cpu:.1f} s of processor time), "
        f"{len(train) * options.epochs / seconds:,.0f} characters per second",
        flush=True,
    )
    (text,) = encoder.inverse_transform(
        generate(gru, encoder.transform(["ROMEO:"]), 300, temperature=0.7, random_state=0)
    )
    print(f"---\nROMEO:{text}\n---", flush=True)
    for n_texts in (1, 64):
        prompts, n_steps = encoder.transform(["ROMEO:"] * n_texts), 20_000 // n_texts
        start = time.thread_time()
        generate(gru, prompts, n_steps, random_state=0)
        rate = n_texts * n_steps / (time.thread_time() - start)
        print(f"generate, {n_texts} at once: {rate:,.0f} characters per second on one core")
    if options.no_torch:
        return
    epoch, torch_bits = torch_model(train, options, options.epochs)
    start, cpu_torch = time.perf_counter(), time.process_time()
    for _ in range(options.epochs):
        epoch()
    seconds_torch, cpu_torch = time.perf_counter() - start, time.process_time() - cpu_torch
    other = torch_bits(test)
    print(
        f"PyTorch {other:.4f} bits per character, {seconds_torch:.1f} s ({cpu_torch:.1f} s): "
        f"{seconds_torch / seconds:.2f} times as long ({cpu_torch / cpu:.2f} times the processor "
        f"time); skgru has {100 * (bits / other - 1):+.2f} % bits"
    )
    times = []
    for _ in range(options.rounds):
        pair = []
        for run in (lambda: skgru_model(options, 1).fit(X, y), epoch):
            start = time.perf_counter()
            run()
            pair.append(time.perf_counter() - start)
        times.append(pair)
    if times:
        own, others = np.array(times).T
        ratios = others / own
        print(
            f"one epoch, median of {options.rounds}: skgru {np.median(own):.2f} s, PyTorch "
            f"{np.median(others):.2f} s, {np.median(ratios):.2f} times as long "
            f"({ratios.min():.2f}-{ratios.max():.2f})"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, default=TEXT)
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--embedding", type=int, default=64, help="0: a row of weights per code")
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--rate", type=float, default=0.005)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="trace the memory (slower)")
    parser.add_argument("--no-torch", action="store_true")
    main(parser.parse_args())
