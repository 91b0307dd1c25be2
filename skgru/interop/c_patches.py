"""C statements that collect time steps into patches, the inputs of the network."""

from collections.abc import Iterator

from skgru.interop.c_text import for_
from skgru.preprocessing import Patches


def state_of_patches(patches: Patches) -> dict[str, int]:
    """Return the sizes of the arrays that persist between time steps, without the network's."""
    return {"patch": patches._n_channels_out, "filled": 1}


def step_of_patches(patches: Patches, of_x: str) -> Iterator[str]:
    """Yield the statements of a time step, given the expression for its channel j.

    They call `@advance` with a whole patch. While the patch is incomplete, `@advance` works on a
    copy of the network's state.
    """
    size, n_channels = patches.size_, patches._n_channels_in
    kept, moved = (size - patches.stride_) * n_channels, patches.stride_ * n_channels
    yield f"if (n_filled == {size}) {{"
    if kept:
        yield "    /* the next patch starts with the last steps of this one */"
        yield from _indented(for_(kept, f"state->patch[j] = state->patch[{moved} + j];"))
    yield f"    n_filled -= {patches.stride_};"
    yield "}"
    yield "/* the newest step also fills the rest of the patch, as at the end of a sequence */"
    yield f"for (i = n_filled; i < {size}; i++)"
    yield from _indented(for_(n_channels, f"state->patch[i * {n_channels} + j] = {of_x};"))
    yield "n_filled++;"
    yield "state->filled[0] = (float)n_filled;"
    yield f"if (n_filled == {size}) {{"
    yield "    @advance(&state->network, state->patch, out);"
    yield "} else {"
    yield "    copy = state->network;"
    yield "    @advance(&copy, state->patch, out);"
    yield "}"


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
