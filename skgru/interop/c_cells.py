"""One time step of every cell as C code, and its activations."""

from typing import NamedTuple


class Cell(NamedTuple):
    """One time step of a cell as C code (see `kernels/cell.pxi`).

    Attributes
    ----------
    blocks : tuple of str
        Names of the blocks of columns; the last is the candidate, all others are gates.
    update : str
        Statement that computes the new `h` of a unit, or its new `cell_state`; with a cell state,
        h is o ⊙ tanh(cell_state).
    inner : str
        Gate that multiplies the previous state in the candidate, or "".
    """

    blocks: tuple[str, ...]
    update: str
    inner: str = ""


_INTERPOLATION = "{h} = {z} * {h} + (1.0f - {z}) * {candidate};"
CELLS = {
    "rnn": Cell(("candidate",), "{h} = {candidate};"),
    "mgu": Cell(("f", "candidate"), "{h} = (1.0f - {f}) * {h} + {f} * {candidate};", inner="f"),
    "light_gru": Cell(("z", "candidate"), _INTERPOLATION),
    "gru": Cell(("r", "z", "candidate"), _INTERPOLATION, inner="r"),
    "cifg": Cell(
        ("f", "o", "candidate"), "{cell_state} = {f} * {cell_state} + (1.0f - {f}) * {candidate};"
    ),
    "lstm": Cell(
        ("i", "f", "o", "candidate"), "{cell_state} = {f} * {cell_state} + {i} * {candidate};"
    ),
}

# tanh is approximated by the rational function of this degree with the smallest maximum relative
# error on [-9, 9], 2e-8; beyond that range, tanh is 1 in float32. Compilers vectorize loops over
# these functions, unlike loops over tanhf. They do not vectorize a branch followed by arithmetic:
# `limited` therefore has a separate loop.
ACTIVATIONS = """\
static inline float @limited(float a, float limit)
{
    return fabsf(a) > limit ? copysignf(limit, a) : a;
}

/* for a in [-9, 9] */
static inline float @tanh(float a)
{
    const float s = a * a;
    const float p = 0.999999979f + s * (0.13381025f + s * (0.0034955874f
        + s * (2.0609071e-05f + s * 1.33546471e-08f)));
    const float q = 1.0f + s * (0.467143406f + s * (0.0258769794f
        + s * (0.000328563366f + s * 7.77655213e-07f)));
    /* a gate rounded to more than 1 would let the state grow */
    return @limited(a * (p / q), 1.0f);
}

/* for a in [-18, 18] */
static inline float @sigmoid(float a)
{
    return 0.5f + 0.5f * @tanh(0.5f * a);
}
"""
