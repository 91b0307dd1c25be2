"""Training curves of a fit."""

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import is_classifier

from skgru._sklearn import check_matplotlib_support
from skgru.inspection.displays.panels import count_steps, panels
from skgru.inspection.passes import unwrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


class TrainingCurveDisplay:
    """Loss, validation score and gradient norm of each epoch of a fit.

    Create it with `from_estimator`.

    Parameters
    ----------
    loss : sequence of float
        Training loss of each epoch.
    grad_norm : sequence of float
        Mean norm of the gradient in each epoch, before clipping.
    validation_scores : sequence of float, default=None
        Validation score of each epoch. If there are fewer scores than losses, they belong to the
        last epochs.
    max_grad_norm : float, default=None
        Norm to which gradients were clipped.
    score_name : str, default="score"
        Name of the validation score.
    unit : {"epoch", "iteration"}, default="epoch"
        Unit of the horizontal axis.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
        One panel each for the loss, the validation score (if there is one) and the gradient norm.
    lines_ : dict of matplotlib Line2D
        "loss", "validation_scores" (if there are any) and "grad_norm"; also "max_grad_norm" if
        gradients were clipped.

    See Also
    --------
    GradientFlowDisplay : Draw the gradient over time steps.

    Examples
    --------
    >>> from skgru import GRUClassifier
    >>> from skgru.datasets import load_japanese_vowels
    >>> from skgru.inspection import TrainingCurveDisplay
    >>> X, y = load_japanese_vowels(return_X_y=True)
    >>> model = GRUClassifier(16, random_state=0).partial_fit(X, y, classes=range(1, 10))
    >>> display = TrainingCurveDisplay.from_estimator(model)
    >>> list(display.lines_)
    ['loss', 'grad_norm', 'max_grad_norm']
    """

    figure_: Any
    axes_: np.ndarray
    lines_: Any

    def __init__(
        self,
        *,
        loss: Sequence[float],
        grad_norm: Sequence[float],
        validation_scores: Sequence[float] | None = None,
        max_grad_norm: float | None = None,
        score_name: str = "score",
        unit: str = "epoch",
    ) -> None:
        self.loss = loss
        self.grad_norm = grad_norm
        self.validation_scores = validation_scores
        self.max_grad_norm = max_grad_norm
        self.score_name = score_name
        self.unit = unit

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the training curves of a fitted estimator.

        Parameters
        ----------
        estimator : GRUClassifier, GRURegressor, Pipeline or search
            A fitted estimator; of a pipeline the last step, of a search the best estimator.
        ax : matplotlib Axes or array-like of them, default=None
            See `plot`.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        TypeError
            If `estimator` does not contain an estimator of skgru.
        NotFittedError
            If it is not fitted.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        estimator, _ = unwrap(estimator)
        stochastic = estimator.solver != "lbfgs"
        if is_classifier(estimator):
            score_name = "accuracy"
        else:
            score_name = "D²" if estimator.loss == "quantile" else "R²"
        display = cls(
            loss=estimator.loss_curve_,
            grad_norm=estimator.grad_norm_curve_,
            validation_scores=estimator.validation_scores_,
            max_grad_norm=estimator.max_grad_norm if stochastic else None,
            score_name=score_name,
            unit="epoch" if stochastic else "iteration",
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of them, default=None
            A single Axes is divided into all panels; an array has one Axes per panel. If None, a
            figure is created.

        Returns
        -------
        display : TrainingCurveDisplay
            The display.

        Raises
        ------
        ValueError
            If the number of Axes differs from the number of panels: 2, or 3 with validation scores.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        n_panels = 2 if self.validation_scores is None else 3
        self.figure_, self.axes_, _ = panels(ax, n_panels, figsize=(6.4, 0.6 + 1.7 * n_panels))
        self.lines_: dict[str, Line2D] = {}
        self._plot_curve(self.axes_[0], "loss", "training\nloss")
        if self.validation_scores is not None:
            self._plot_curve(self.axes_[1], "validation_scores", f"validation\n{self.score_name}")
            self._mark_best(self.axes_[1])
        self._plot_curve(self.axes_[-1], "grad_norm", "gradient\nnorm")
        self._plot_max_grad_norm(self.axes_[-1])
        count_steps(self.axes_[-1])
        self.axes_[-1].set_xlabel(self.unit)
        return self

    def _plot_curve(self, ax: "Axes", name: str, label: str) -> None:
        values = np.asarray(getattr(self, name))
        (self.lines_[name],) = ax.plot(
            1 + np.arange(len(self.loss) - len(values), len(self.loss)),
            values,
            marker="." if len(values) == 1 else "",
        )
        ax.set_ylabel(label)
        ax.margins(x=0.02)

    def _mark_best(self, ax: "Axes") -> None:
        line = self.lines_["validation_scores"]
        best = int(np.argmax(line.get_ydata()))
        epoch, score = line.get_xdata()[best], line.get_ydata()[best]
        ax.plot(epoch, score, "o", color=line.get_color())
        ax.set_title(f"best: {score:.3f} in {self.unit} {epoch}", loc="right", fontsize="small")

    def _plot_max_grad_norm(self, ax: "Axes") -> None:
        if min(self.grad_norm, default=0) > 0:
            ax.set_yscale("log")
        if self.max_grad_norm is None or not isfinite(self.max_grad_norm):
            return
        self.lines_["max_grad_norm"] = ax.axhline(
            self.max_grad_norm, color="black", linestyle="--", linewidth=1
        )
        ax.margins(y=0.2)  # for the text
        ax.text(
            1, self.max_grad_norm, f"clipped to {self.max_grad_norm:g}", ha="right", va="bottom",
            fontsize="small", transform=ax.get_yaxis_transform(),
        )  # fmt: skip
