"""What a training step costs with each cell, beside the layers that PyTorch has of them.

Each at the same number of units. Of each size: milliseconds a step, through `fit`; how many times
as long as the GRU's step that is; and how many times as long the same layer in PyTorch took. Then
how the GRU compares with the LSTM, and PyTorch's ratios of lstm and rnn with its ratio of gru: 1
would say that these cells stand beside PyTorch as the GRU does. PyTorch 2.13 computes its LSTM on
a CPU by oneDNN, and GRU and plain network by code of its own; "native" is its LSTM by such code.

    python benchmarks/cells.py
"""

import warnings

from cores import arguments_on_cores

PEERS = {"gru": "torch", "lstm": "torch_lstm", "rnn": "torch_rnn"}
NATIVE = "torch_native_lstm"
arguments = arguments_on_cores(__doc__, peers=[*PEERS.values(), NATIVE], seconds=0.5)

import numpy as np  # noqa: E402
import peers  # noqa: E402
from sizes import SIZES, fits, in_turns, print_heading, ratio  # noqa: E402

from skgru import GRUClassifier  # noqa: E402

CELLS = {cell: {"cell": cell} for cell in ("gru", "rnn", "mgu", "light_gru", "cifg", "lstm")} | {
    "light_gru, relu": {"cell": "light_gru", "activation": "relu"}
}
warnings.filterwarnings("ignore", message="TF32 acceleration")  # by PyTorch, without oneDNN
N_BATCHES = 8
N_EPOCHS = 4  # so that what fit does once, such as to look for classes, weighs as little as usual

print_heading(arguments.threads, arguments.rounds)
for name in arguments.sizes or ["M", "L"]:
    batch, steps, channels, hidden = SIZES[name]
    X, y, _ = peers.batches(batch, steps, channels, N_BATCHES)
    models = {
        cell: GRUClassifier(
            hidden,
            batch_size=batch,
            max_iter=N_EPOCHS,
            n_jobs=arguments.threads,
            random_state=0,
            **CELLS[cell],
        )
        for cell in CELLS
    }
    functions = {cell: fits(model, X, y) for cell, model in models.items()}
    functions |= peers.functions("training", arguments.peers, *SIZES[name], arguments.threads)
    times = in_turns(functions, arguments.rounds, arguments.seconds)
    times |= {cell: times[cell] / (N_BATCHES * N_EPOCHS) for cell in CELLS}
    of_peers = {cell: times[p] / times[cell] for cell, p in PEERS.items() if p in times}
    for cell, model in models.items():
        columns = [
            f"{name:4s}{cell:16s}",
            f"{sum(weights.size for weights in model.layers_[0]):7d} parameters",
            f"{1e3 * np.median(times[cell]):8.3f} ms",
            f"gru x {ratio(times[cell], times['gru'])}",
        ]
        if cell in of_peers:
            columns.append(f"PyTorch {ratio(times[PEERS[cell]], times[cell])}")
        if cell == "lstm" and NATIVE in times:
            columns.append(f"native {ratio(times[NATIVE], times[cell])}")
        print("  ".join(columns))
    print(f"{name:4s}gru takes {ratio(times['gru'], times['lstm'])} of lstm's time")
    for cell in ("lstm", "rnn") if len(of_peers) == len(PEERS) else ():
        beside_gru = ratio(of_peers[cell], of_peers["gru"])
        print(f"{name:4s}PyTorch's ratio of {cell} is {beside_gru} of that of gru", flush=True)
