"""
How do I model text? Shakespeare, character by character
========================================================

A language model predicts the next character of a text. With ``return_sequences=True`` it does so
after every character, and it writes by reading what it has drawn.

The text is 1.1 million characters of Shakespeare's plays, which are in the public domain. It is not
part of the package. This example looks for `shared/data/text/tinyshakespeare.txt` beside the
repository and does nothing without it.

:doc:`/language_models` is the guide to it.
"""

# sphinx_gallery_thumbnail_path = 'images/card_shakespeare.png'

import time
from collections import Counter, defaultdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from skgru import GRUClassifier
from skgru.metrics import neg_bits_per_step
from skgru.preprocessing import TokenEncoder, parallel_streams
from skgru.streaming import generate

# sphinx-gallery does not define __file__, but runs each example in its folder
THIS = Path(globals().get("__file__", "plot_shakespeare.py")).resolve()
PATH = THIS.parents[2] / "shared" / "data" / "text" / "tinyshakespeare.txt"
if not PATH.is_file():
    print(f"Skipped: there is no {PATH}.")

# %%
# Characters as codes
# -------------------
# :class:`~skgru.preprocessing.TokenEncoder` makes a code of each character, one byte large. The
# last tenth of the text is held out. The rest is cut into 64 streams of equal length, whose labels
# are the codes one step later.
N_STREAMS = 64


def read():
    text = PATH.read_text(encoding="utf-8")
    cut = len(text) * 9 // 10
    encoder = TokenEncoder("char", lowercase=False)
    (train,) = encoder.fit_transform([text[:cut]])
    (test,) = encoder.transform([text[cut:]])
    print(f"{len(train):,} characters to train on, {len(test):,} held out, {train.dtype} codes")
    return encoder, train, test


# %%
# Training
# --------
# ``categorical_channels=[0]`` reads the codes as categories, each represented by 32 learned
# numbers. ``update_every="window"`` reads the streams side by side, updates the weights after
# every 50 characters, and carries the states on to the next 50. Few epochs are enough, as each is
# hundreds of updates.


def train_gru(train):
    gru = GRUClassifier(
        128,
        categorical_channels=[0],
        embedding_dim=32,
        return_sequences=True,
        bptt_steps=50,
        update_every="window",
        batch_size=N_STREAMS,
        learning_rate_init=0.01,
        alpha=0.0,
        max_iter=5,
        n_jobs=2,
        random_state=0,
    )
    start = time.perf_counter()
    gru.fit(*parallel_streams(train, N_STREAMS))
    print(
        f"{gru.n_parameters_:,} parameters, {gru.n_updates_:,} updates in {gru.n_iter_} epochs, "
        f"{time.perf_counter() - start:.0f} s"
    )
    return gru


# %%
# Against n-grams
# ---------------
# The measure is bits per character: the mean of minus the binary logarithm of the probability of
# the character that came. The baseline counts what follows each context of up to n - 1 characters,
# and gives what longer contexts have not seen to the shorter ones (Witten and Bell, 1991).


def n_gram_bits(train, test, n_codes, longest):
    """Return the bits per character of n-grams, for each n up to the longest."""
    train, test = train.tolist(), test.tolist()
    p, bits = np.full(len(test), 1 / n_codes), []
    for order in range(longest):
        followers = defaultdict(Counter)
        for i in range(order, len(train)):
            followers[tuple(train[i - order : i])][train[i]] += 1
        totals = {context: sum(counts.values()) for context, counts in followers.items()}
        for i in range(order, len(test)):
            counts = followers.get(tuple(test[i - order : i]))
            if counts is not None:
                total = totals[tuple(test[i - order : i])]
                p[i] = (counts[test[i]] + len(counts) * p[i]) / (total + len(counts))
        bits.append(-np.log2(p[1:]).mean())
    return bits


# %%
# Writing
# -------
# :func:`~skgru.streaming.generate` continues a prompt. A `temperature` below 1 prefers likely
# characters: the text repeats itself more, and makes fewer mistakes.


def compare_and_write():
    encoder, train, test = read()
    gru = train_gru(train)
    by_gru = -neg_bits_per_step(gru, [test[:-1]], [test[1:]])
    by_n = n_gram_bits(train, test, len(encoder.tokens_), longest=6)
    for n, bits in enumerate(by_n, start=1):
        print(f"{n}-grams {bits:.3f} bits per character")
    print(f"GRU     {by_gru:.3f} bits per character")

    prompts = encoder.transform(["ROMEO:"] * 2)
    for temperature in (0.5, 1.0):
        codes = generate(gru, prompts, 250, temperature=temperature, random_state=0)
        print(f"\ntemperature {temperature}\n" + 60 * "-")
        print("\n...\n".join("ROMEO:" + text for text in encoder.inverse_transform(codes)))

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(range(1, len(by_n) + 1), by_n, "o-", color="tab:gray", label="n-grams")
    axes.axhline(by_gru, color="tab:orange", linestyle="--", label="GRU, 128 units")
    axes.set(xlabel="n", ylabel="bits per character, held out", ylim=(1.8, None))
    axes.legend()
    figure.savefig("shakespeare.png", dpi=100)


if PATH.is_file():
    compare_and_write()
