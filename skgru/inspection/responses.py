"""What attributions explain: one number per sequence, and its derivative by the outputs.

The number is a probability, its logarithm, a prediction, or the output itself (a logit, say).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skgru.base import BaseGRU
from skgru.outputs import Labels, Multilabel, Numbers, Outputs, Quantiles, one_column
from skgru.sequences import Sequences, short

OF_LABELS = ("probability", "log_probability", "output")
OF_NUMBERS = ("prediction", "output")


@dataclass(frozen=True)
class Response:
    """One number per sequence, computed from the outputs of the network.

    Attributes
    ----------
    outputs : Outputs
        What the outputs mean.
    kind : {"probability", "log_probability", "prediction", "output"}
    columns : ndarray of int, shape (n_samples,)
        For each sequence, the number of its class, label, target, or quantile of a target.
    steps : ndarray of int, shape (n_samples,), or None
        Time step of each sequence, with `return_sequences`.
    shift, factor : ndarray of shape (n_predictions,)
        A prediction p becomes (p - shift) * factor where the target was scaled.
    """

    outputs: Outputs
    kind: str
    columns: np.ndarray
    steps: np.ndarray | None
    shift: np.ndarray
    factor: np.ndarray

    def __call__(self, outputs: np.ndarray, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute the response of some samples and its derivative.

        Parameters
        ----------
        outputs : ndarray of shape (n, n_outputs)
            Of the network.
        samples : ndarray of int, shape (n,)

        Returns
        -------
        values : ndarray of shape (n,), float64
        d_outputs : ndarray of shape (n, n_outputs)
        """
        columns, rows = self.columns[samples], np.arange(len(samples))
        if isinstance(self.outputs, Labels):
            of_kind = self._of_class
        elif isinstance(self.outputs, Multilabel):
            of_kind = self._of_label
        else:
            of_kind = self._of_number
        values, d_outputs = of_kind(outputs, columns, rows)
        return values.astype(np.float64), np.ascontiguousarray(d_outputs, outputs.dtype)

    def take(self, samples: np.ndarray) -> "Response":
        """Return the response of these samples, in their order."""
        steps = None if self.steps is None else self.steps[samples]
        return replace(self, columns=self.columns[samples], steps=steps)

    @property
    def targets(self) -> np.ndarray:
        """Class of each sequence, or number of its label or target."""
        if isinstance(self.outputs, Labels):
            return self.outputs.classes[self.columns]
        n = len(self.outputs.quantiles) if isinstance(self.outputs, Quantiles) else 1
        return self.columns // n

    def _of_class(
        self, outputs: np.ndarray, columns: np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        chosen = np.zeros((len(rows), len(self.outputs.classes)))
        chosen[rows, columns] = 1
        of_one = self.outputs.n_outputs == 1  # the logit of the second of two classes
        if self.kind == "output":
            if of_one:
                sign = 2 * columns[:, np.newaxis] - 1
                return (sign * outputs)[:, 0], sign
            return outputs[rows, columns], chosen
        p = self.outputs.probabilities(outputs)
        slopes = chosen - p  # of the logarithm, by the logits
        if self.kind == "probability":
            values = p[rows, columns]
            slopes *= values[:, np.newaxis]
        else:
            values = self.outputs.log_probabilities(outputs)[rows, columns]
        return values, slopes[:, 1:] if of_one else slopes

    def _of_label(
        self, outputs: np.ndarray, columns: np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        slopes = np.zeros(outputs.shape)
        values, slopes[rows, columns] = outputs[rows, columns], 1
        if self.kind != "output":
            p = self.outputs.probabilities(outputs)[rows, columns]
            slopes[rows, columns] = 1 - p
            values = self.outputs.log_probabilities(outputs)[rows, columns]
            if self.kind == "probability":
                values = p
                slopes[rows, columns] *= p
        return values, slopes

    def _of_number(
        self, outputs: np.ndarray, columns: np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        slopes = np.zeros(outputs.shape)
        if self.kind == "output":
            slopes[rows, columns] = 1
            return outputs[rows, columns], slopes
        at = columns
        if isinstance(self.outputs, Quantiles):
            # predictions are the sorted outputs of each target: find the one in its place
            n = len(self.outputs.quantiles)
            of_target = outputs.reshape(len(outputs), -1, n)[rows, columns // n]
            order = of_target.argsort(axis=1)
            at = columns // n * n + order[rows, self.outputs.ranks[columns % n]]
            values, slope = outputs[rows, at], 1.0
        else:
            values = self.outputs.loss.predictions(outputs)[rows, at]
            slope = values if self.outputs.loss.inverse_link == "exp" else 1.0
        slopes[rows, at] = slope * self.factor[columns]
        return (values - self.shift[columns]) * self.factor[columns], slopes


def response_of(
    estimator: BaseGRU,
    sequences: Sequences,
    *,
    kind: str,
    target: Any,
    quantile: float | None,
    step: Any,
) -> Response:
    """Find out what a response is, or raise ValueError if it is not said.

    Parameters
    ----------
    estimator : GRUClassifier or GRURegressor
        Fitted.
    sequences : Sequences
        Those that it predicts for.
    kind, target, quantile, step
        The `response`, `target`, `quantile` and `step` of `input_attributions`.
    """
    outputs, n_samples = estimator._outputs, len(sequences)
    kinds = OF_LABELS if isinstance(outputs, Labels | Multilabel) else OF_NUMBERS
    if kind != "auto" and kind not in kinds:
        raise ValueError(
            f"response={kind!r}, but a {type(estimator).__name__} has "
            f"{', '.join(map(repr, kinds))}; 'auto' is the first."
        )
    kind = kinds[0] if kind == "auto" else kind
    if isinstance(outputs, Labels):
        columns = _classes(outputs.classes, target, n_samples)
    else:
        count = outputs.n_outputs
        if isinstance(outputs, Quantiles):
            count = outputs.n_targets
        columns = _numbers(target, count, n_samples, "target")
    columns = _with_quantile(outputs, columns, quantile)
    steps = _steps(step, estimator._network.architecture.return_sequences, sequences)
    n_predictions = outputs.n_outputs if isinstance(outputs, Numbers | Quantiles) else 0
    return Response(outputs, kind, columns, steps, np.zeros(n_predictions), np.ones(n_predictions))


def _classes(classes: np.ndarray, target: Any, n_samples: int) -> np.ndarray:
    """Return the number of the class that is explained for each sequence."""
    if target is None:
        if len(classes) > 2:
            raise ValueError(
                f"target=None, but there are {len(classes)} classes. Say which one to explain: "
                f"target={short(classes[:1].tolist())[1:-1]} for all sequences, or one label for "
                "each, such as target=estimator.predict(X) or target=y."
            )
        return np.ones(n_samples, dtype=np.intp)
    labels = one_column([target] if np.ndim(target) == 0 else target, "target")
    labels = _for_each(labels, n_samples, "target")
    unknown = ~np.isin(labels, classes)
    if unknown.any():
        raise ValueError(
            f"target is {short(labels[unknown].tolist()[0])}, which is none of the classes "
            f"{short(classes.tolist())}."
        )
    return np.searchsorted(classes, labels)


def _numbers(given: Any, count: int, n_samples: int, name: str) -> np.ndarray:
    """Return the number of the output that is explained for each sequence."""
    if given is None:
        if count > 1:
            raise ValueError(
                f"{name}=None, but the model has {count} outputs. Say which one to explain: an "
                f"integer from 0 to {count - 1}, or one for each sequence."
            )
        given = 0
    numbers = np.asarray(given)
    if numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() >= count:
        raise ValueError(
            f"{name}={short(given)}; expected an integer from 0 to {count - 1}, or one for each "
            "sequence."
        )
    return _for_each(numbers.ravel(), n_samples, name).astype(np.intp)


def _with_quantile(outputs: Outputs, columns: np.ndarray, quantile: float | None) -> np.ndarray:
    """Return the numbers of the outputs, given those of the targets and the quantile."""
    quantiles = outputs.quantiles if isinstance(outputs, Quantiles) else ()
    if quantile is None and len(quantiles) > 1:
        raise ValueError(
            f"quantile=None, but the model predicts the quantiles {short(quantiles)}; choose one."
        )
    if quantile is not None and quantile not in quantiles:
        known = f"quantiles {short(quantiles)}" if quantiles else "no quantiles"
        raise ValueError(f"quantile={quantile!r}, but the model predicts {known}.")
    position = 0 if quantile is None else quantiles.index(quantile)
    return columns * max(1, len(quantiles)) + position


def _steps(step: ArrayLike | None, by_step: bool, sequences: Sequences) -> np.ndarray | None:
    """Return the time step whose prediction is explained, for each sequence."""
    if not by_step:
        if step is not None:
            raise ValueError(
                f"step={short(step)}, but with return_sequences=False there is one prediction per "
                "sequence."
            )
        return None
    if step is None:
        raise ValueError(
            "step=None, but with return_sequences=True there is a prediction per time step. Say "
            "which one to explain: step=-1 is the last one of each sequence."
        )
    steps = np.asarray(step)
    if steps.dtype.kind not in "iu":
        raise ValueError(f"step={short(step)}; expected an integer, or one for each sequence.")
    steps = _for_each(steps.ravel(), len(sequences), "step")
    outside = (steps >= sequences.lengths) | (steps < -sequences.lengths)
    if outside.any():
        i = int(np.argmax(outside))
        raise ValueError(
            f"step={steps[i]} is not in X[{i}], which has {sequences.lengths[i]} time steps."
        )
    return np.where(steps < 0, steps + sequences.lengths, steps)


def _for_each(values: np.ndarray, n_samples: int, name: str) -> np.ndarray:
    """Repeat a single value for all samples, or check that there is one for each."""
    if len(values) not in (1, n_samples):
        raise ValueError(f"{name} has {len(values)} entries, X has {n_samples} sequences.")
    return np.broadcast_to(values, n_samples)
