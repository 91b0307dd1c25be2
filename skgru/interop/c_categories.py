"""Categories in C: which rows of the tables they pick."""

from collections.abc import Iterator

import numpy as np

from skgru.interop.c_text import at, for_
from skgru.interop.inputs import ExportedInputs
from skgru.model.parameters import Parameters

CODE = """\
/* The place of a among n sorted values; n for any other value, n + 1 for NaN. */
static inline int @code(float a, const float *values, int n)
{
    int low = 0, high = n;
    if (a != a)
        return n + 1;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (values[middle] < a)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && values[low] == a ? low : n;
}
"""


def constants_of_categories(
    inputs: ExportedInputs, parameters: Parameters
) -> dict[str, np.ndarray]:
    """Return the values of each categorical channel, and the table of all."""
    constants = {f"categories{i}": c.values for i, c in enumerate(inputs.categorical)}
    if inputs.categorical:
        of_inputs = parameters.inputs
        named = {"embedding": of_inputs.embedding, "E": (of_inputs.tables or [np.empty(0)])[0]}
        constants |= {name: table for name, table in named.items() if table.size}
    return constants


def step_of_categories(
    inputs: ExportedInputs, x: str, n_inputs: int, embedding_dim: int
) -> Iterator[str]:
    """Yield the statements from x to the `rows` of categories, and to embeddings in `inputs`.

    Embeddings are the last of n_inputs.
    """
    first = n_inputs - len(inputs.categorical) * embedding_dim
    for i, categorical in enumerate(inputs.categorical):
        code = f"@code({x}[{categorical.channel}], @categories{i}, {len(categorical.values)})"
        yield f"rows[{i}] = {categorical.rows.start} + {code};"
        if embedding_dim:
            target = at("inputs", first + i * embedding_dim)
            yield from for_(embedding_dim, f"{target} = @embedding[rows[{i}]][j];")


def check_unscaled(inputs: ExportedInputs, scaling: dict[str, np.ndarray]) -> None:
    """Raise ValueError if categories are scaled: in float32, they might be others than in fit.

    Parameters
    ----------
    inputs : ExportedInputs
    scaling : dict of ndarray of shape (n_channels,)
        `shift` and `factor` of the channels of a time step, which a patch has several of; or empty.
    """
    for channel, _, _ in inputs.categorical if "shift" in scaling else ():
        i = channel % len(scaling["shift"])
        if scaling["shift"][i] != 0 or scaling["factor"][i] != 1:
            raise ValueError(
                f"Categorical channel {channel} is scaled before the model, and may take other "
                "values in float32 than in fit. Leave it as it is, for instance by "
                'remainder="passthrough" of a ColumnTransformer.'
            )
