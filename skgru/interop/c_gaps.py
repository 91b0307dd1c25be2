"""Missing values in C: channels and states that decay, see `kernels/gaps.pxi`."""

from collections.abc import Iterator

import numpy as np

from skgru.interop.c_text import add_product, for_
from skgru.interop.inputs import ExportedInputs
from skgru.model.parameters import Decay


def state_of_gaps(inputs: ExportedInputs) -> dict[str, int]:
    """Return the sizes of the arrays that persist between time steps; there is none without decay.

    `above` is what the last observation of each channel was above its mean, `elapsed` the time
    since then, or since the first step, in units of the model.
    """
    if inputs.means is None:
        return {}
    n_channels = len(inputs.numeric)
    state = {"above": n_channels, "elapsed": n_channels, "begun": 1}
    return state if inputs.time is None else {**state, "time": 1}


def constants_of_gaps(inputs: ExportedInputs, decays: list[Decay]) -> dict[str, np.ndarray]:
    """Return means and weights by name; there are none without decay.

    Raises
    ------
    ValueError
        If float32 does not hold the unit of time.
    """
    if inputs.means is None:
        return {}
    limits = np.finfo(np.float32)
    if not limits.tiny <= inputs.time_unit <= limits.max:
        raise ValueError(
            f"The mean time between two steps, {inputs.time_unit}, is out of the range of float32, "
            "in which models in C compute. Fit with the time in another unit."
        )
    (decay,) = decays
    weights = zip(("decay_w", "decay_b", "decay_W", "decay_c"), decay, strict=True)
    return {"mean": inputs.means, **dict(weights)}


def step_of_gaps(inputs: ExportedInputs, x: str, states: dict[str, int]) -> Iterator[str]:
    """Yield the statements that let the states decay, and make `inputs` of x.

    Parameters
    ----------
    inputs : ExportedInputs
    x : str
        Name of the time step.
    states : dict of str to int
        Sizes of the states of the first layer.
    """
    D, n_units = len(inputs.numeric), states["h0"]
    passed = "state->begun[0]"  # a step, but not before the first one
    yield "/* time since the last observations */"
    if inputs.time is not None:
        now, unit = f"{x}[{inputs.time}]", np.float32(inputs.time_unit)
        yield f"passed[0] = {passed} > 0.0f ? ({now} - state->time[0]) / {unit!s}f : 0.0f;"
        yield f"state->time[0] = {now};"
        passed = "passed[0]"
    yield from for_(D, f"state->elapsed[j] += {passed};")
    yield "state->begun[0] = 1.0f;"
    yield "/* decay of the states */"
    yield from for_(n_units, "g[j] = @decay_c[j];")
    yield from add_product("state->elapsed", D, "@decay_W", n_units, "g[j]")
    yield from for_(n_units, "g[j] = expf(-fmaxf(g[j], 0.0f));")
    for name in states:
        yield from for_(n_units, f"state->{name}[j] *= g[j];")
    yield "/* numbers, those that are missing on their way to the mean; and which are not */"
    yield f"for (j = 0; j < {D}; j++) {{"
    yield f"    inputs[{D} + j] = inputs[j] == inputs[j] ? 1.0f : 0.0f;"
    yield f"    if (inputs[{D} + j] > 0.0f) {{"
    yield "        state->above[j] = inputs[j] - @mean[j];"
    yield "        state->elapsed[j] = 0.0f;"
    yield "    } else {"
    yield "        inputs[j] = @decay_w[j] * state->elapsed[j] + @decay_b[j];"
    yield "        inputs[j] = @mean[j] + expf(-fmaxf(inputs[j], 0.0f)) * state->above[j];"
    yield "    }"
    yield "}"
