"""Time a training step with each cell, compared with the same layers in PyTorch.

All cells have the same number of units. For each size, the script prints milliseconds per training
step of `fit`, the ratio to the step of the GRU, and the ratio of the same layer in PyTorch to it.
It then prints the ratio of the GRU's time to the LSTM's, and PyTorch's ratios of lstm and rnn
divided by that of gru: 1 means that the speed-up over PyTorch is the same as with the GRU. On a
CPU, PyTorch 2.13 runs its LSTM with oneDNN, but its GRU and RNN with native code; "native" is its
LSTM without oneDNN.

    python benchmarks/cells.py
"""

import warnings

from cores import arguments_on_cores

PEERS = {"gru": "torch", "lstm": "torch_lstm", "rnn": "torch_rnn"}
NATIVE = "torch_native_lstm"
arguments = arguments_on_cores(__doc__, peers=[*PEERS.values(), NATIVE], seconds=0.5)

import numpy as np  # noqa: E402
import peers  # noqa: E402
from sizes import LAYER, SIZES, fits, in_turns, print_heading, ratio  # noqa: E402

from skgru import GRUClassifier  # noqa: E402

CELLS = {cell: {"cell": cell} for cell in ("gru", "rnn", "mgu", "light_gru", "cifg", "lstm")} | {
    "light_gru, relu": {"cell": "light_gru", "activation": "relu"}
}
warnings.filterwarnings("ignore", message="TF32 acceleration")  # PyTorch warns without oneDNN
N_BATCHES = 8
N_EPOCHS = 4  # so that the set-up of fit, such as finding the classes, weighs as little as usual

print_heading(arguments.threads, arguments.rounds)
for name in arguments.sizes or ["M", "L"]:
    batch, steps, channels, hidden = SIZES[name]
    X, y, _ = peers.batches(batch, steps, channels, N_BATCHES)
    models = {
        cell: GRUClassifier(
            hidden,
            **LAYER,
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
    print(f"{name:4s}time of gru / time of lstm {ratio(times['gru'], times['lstm'])}")
    for cell in ("lstm", "rnn") if len(of_peers) == len(PEERS) else ():
        relative = ratio(of_peers[cell], of_peers["gru"])
        print(f"{name:4s}PyTorch's ratio of {cell} / that of gru {relative}", flush=True)
