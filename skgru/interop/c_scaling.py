"""Shift and factor of transformers that scale and shift each channel."""

from typing import Any

import numpy as np


def affine(
    transformers: list[Any], method: str, n_columns: int, name: str
) -> dict[str, np.ndarray]:
    """Return shift and factor of each column, such that x is transformed to (x - shift) * factor.

    They are computed from transformed values and not from attributes, so that any affine
    transformer works. Values of all magnitudes and both signs check that it is affine.
    """
    what = " and ".join(type(transformer).__name__ for transformer in transformers)
    shape, random = (64, n_columns), np.random.RandomState(0)
    values = random.normal(size=shape) * 10.0 ** random.uniform(-6, 6, shape)
    values[0], values[1] = 0, 1
    scaled = values
    with np.errstate(all="ignore"):
        try:
            for transformer in transformers:
                scaled = getattr(transformer, method)(scaled)
            scaled = np.asarray(scaled, dtype=float)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"to_c tried {what} on values of all magnitudes, and it refused: {error}"
            ) from error
        factor = scaled[1] - scaled[0]
        shift = -scaled[0] / factor
        affine = scaled.shape == shape and np.allclose(
            scaled, (values - shift) * factor, rtol=1e-6, atol=1e-9
        )
    if not affine:
        raise ValueError(
            f"{what} does more than to shift each channel and multiply it by a factor; to_c "
            "cannot write it in C."
        )
    return {f"{name}shift": shift, f"{name}factor": factor}
