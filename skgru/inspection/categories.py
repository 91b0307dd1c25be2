"""Straight lines between categories, in the rows of weights that stand for them.

A category picks a row of a table (of the weights themselves, or of the embedding). On the way from
one category to another, a step has a row of its own: so the network gets a table with a row for
each time step and categorical channel, and the gradient at that row.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from skgru.model.parameters import InputWeights, Parameters
from skgru.sequences import Packed, Sequences


def category_lines(end: Sequences, start: Sequences) -> tuple[Sequences, np.ndarray]:
    """Append a coordinate for each categorical channel: 0 at its baseline, 1 at its category.

    Parameters
    ----------
    end, start : Sequences
        What the network gets of X and of its baseline.

    Returns
    -------
    end : Sequences
        Its codes are those of both, side by side.
    start : ndarray of shape (sum of lengths, n_values + n_categorical)
    """
    if end.codes is None:
        return end, start.values
    ones = np.ones(end.codes.shape)
    values = np.hstack([end.values, ones])
    both = replace(end, values=values, codes=np.hstack([end.codes, start.codes]))
    return both, np.hstack([start.values, 0 * ones])


class CategoryLines:
    """Rows of packed steps that are on lines between categories.

    Parameters
    ----------
    packed : Packed
        Its last columns and its codes are those of `category_lines`.
    first_rows : ndarray of shape (n_categorical,)
        Row of the tables at which the categories of each channel begin.
    """

    def __init__(self, packed: Packed, first_rows: np.ndarray) -> None:
        n = len(first_rows)
        codes = packed.codes + np.tile(first_rows, 2)
        self._end, self._start = codes[:, :n], codes[:, n:]
        self._points = packed.x[:, -n:, np.newaxis]
        # the network adds the first rows to codes
        rows = np.arange(self._end.size, dtype=np.int32).reshape(-1, n)
        x = np.ascontiguousarray(packed.x[:, :-n])
        self.packed = packed._replace(x=x, codes=rows - first_rows)

    def parameters(self, parameters: Parameters) -> Parameters:
        """Return the parameters with a row for each step and channel in the place of tables."""
        return self._with_tables(parameters, self._rows)

    def gradients(self, parameters: Parameters) -> Parameters:
        """Return gradients with zeros in the place of those of tables."""
        n_rows = self._end.size
        return self._with_tables(
            parameters, lambda table: np.zeros((n_rows, table.shape[1]), table.dtype)
        )

    def backward(self, parameters: Parameters, gradients: Parameters) -> np.ndarray:
        """Return the gradient at the points of the lines, (n_rows, n_categorical).

        Parameters
        ----------
        parameters : Parameters
            Of the network.
        gradients : Parameters
            What `gradients` returned, after the backward pass.
        """
        result = np.zeros(self._end.shape, self._points.dtype)
        for table, d_rows in zip(
            _tables(parameters.inputs), _tables(gradients.inputs), strict=True
        ):
            change = table[self._end] - table[self._start]
            result += (change * d_rows.reshape(change.shape)).sum(axis=2)
        return result

    def _rows(self, table: np.ndarray) -> np.ndarray:
        start = table[self._start]
        rows = start + self._points * (table[self._end] - start)
        return rows.reshape(-1, table.shape[1])

    def _with_tables(
        self, parameters: Parameters, rows_of: Callable[[np.ndarray], np.ndarray]
    ) -> Parameters:
        inputs = parameters.inputs
        embedding = rows_of(inputs.embedding) if inputs.embedding.size else inputs.embedding
        inputs = inputs._replace(tables=[*map(rows_of, inputs.tables)], embedding=embedding)
        return parameters._replace(inputs=inputs)


def _tables(inputs: InputWeights) -> list[np.ndarray]:
    return inputs.tables or [inputs.embedding]
