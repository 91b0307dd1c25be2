"""Plots of the gradient over time."""

from collections.abc import Sequence
from math import exp
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skgru._sklearn import Bunch, check_matplotlib_support
from skgru.inspection.displays.panels import count_steps, layer_names, panels
from skgru.inspection.gradients import gradient_flow

if TYPE_CHECKING:
    from matplotlib.collections import PolyCollection
    from matplotlib.lines import Line2D

LEVELS = {"1/e": exp(-1), "1 %": 0.01}
LINE_STYLES = ("-", "--", "-.", ":")
# Single precision loses anything smaller when it is added to the largest norm.
SMALLEST_SHARE = float(np.finfo(np.float32).eps)


class GradientFlowDisplay:
    """Norm of the gradient over the lag, or for each time step of the loss over time steps.

    Create it with `from_estimator`.

    Parameters
    ----------
    flow : Bunch
        Result of `gradient_flow`.
    quantiles : sequence of float, default=(0.1, 0.5, 0.9)
        Quantiles that `flow` was computed with; the outermost bound the band.
    name : str, default=None
        Name of the model in the legend.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
        Axes of the norms over the lag.
    lines_ : list of matplotlib Line2D
        Mean norms, one line per entry of the estimator's `layers_`.
    bands_ : list of matplotlib PolyCollection
        Bands between the outermost quantiles; empty if there are fewer than two quantiles.
    level_lines_ : list of matplotlib Line2D
        Lines at 1/e and 1 % of the norm at lag 0.
    axes_ : ndarray of matplotlib Axes
        Axes of the norms by loss step, one panel per entry of `layers_`.
    images_ : list of matplotlib AxesImage
        Heat maps with one row per time step of the loss and one column per step.
    colorbar_ : matplotlib Colorbar

    See Also
    --------
    gradient_flow : Compute the values.

    Examples
    --------
    >>> from skgru import GRUClassifier
    >>> from skgru.datasets import load_japanese_vowels
    >>> from skgru.inspection import GradientFlowDisplay
    >>> X, y = load_japanese_vowels(return_X_y=True)
    >>> model = GRUClassifier(16, random_state=0).partial_fit(X, y, classes=range(1, 10))
    >>> display = GradientFlowDisplay.from_estimator(model, X[:16], y[:16])
    >>> len(display.bands_) > 0
    True
    """

    ax_: Any
    figure_: Any
    lines_: Any
    bands_: Any
    level_lines_: Any
    axes_: np.ndarray
    images_: Any

    def __init__(
        self, flow: Bunch, *, quantiles: Sequence[float] = (0.1, 0.5, 0.9), name: str | None = None
    ) -> None:
        self.flow = flow
        self.quantiles = quantiles
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        by_loss_step: bool = False,
        relative: bool = True,
        name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Compute the gradient flow and draw its norms.

        Parameters
        ----------
        estimator, X, y, sample_weight, quantiles, by_loss_step
            See `gradient_flow`.
        relative, name, ax
            See `plot`.

        Returns
        -------
        display : GradientFlowDisplay

        Raises
        ------
        ValueError
            If X or y is invalid, or if `by_loss_step` is True and `return_sequences` is False.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        flow = gradient_flow(
            estimator, X, y, sample_weight, quantiles=quantiles, by_loss_step=by_loss_step
        )
        display = cls(flow, quantiles=quantiles, name=name)
        return display.plot(by_loss_step=by_loss_step, relative=relative, ax=ax)

    def plot(
        self,
        *,
        by_loss_step: bool = False,
        relative: bool = True,
        name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the norms.

        The scale is logarithmic and ends at 1.2e-7 of the largest norm, the epsilon of single
        precision: smaller gradients are lost when they are added to the largest.

        Parameters
        ----------
        by_loss_step : bool, default=False
            Whether to draw heat maps of ‖∂L_t/∂h_k‖, for the loss of each time step t and each
            step k, instead of lines over the lag.
        relative : bool, default=True
            Whether to divide the norms of a layer by their mean at lag 0, or at the first lag
            that has a gradient. The levels 1/e and 1 % are then the same for all layers, and for
            all models drawn into the same `ax`. Ignored with `by_loss_step`.
        name : str, default=None
            Name of the model in the legend; if None, the `name` of the constructor.
        ax : matplotlib Axes or array-like of them, default=None
            Lines are drawn into one Axes, which may already have those of other models. For heat
            maps, a single Axes is divided into all panels, and an array has one Axes per panel. If
            None, a figure is created.

        Returns
        -------
        display : GradientFlowDisplay
            The display.

        Raises
        ------
        ValueError
            If `flow` was computed without `by_loss_step`, or if the number of Axes differs from
            the number of panels.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        if by_loss_step:
            return self._plot_by_loss_step(ax)
        return self._plot_by_lag(ax, relative, self.name if name is None else name)

    # ---- lines over the lag --------------------------------------------------------------------

    def _plot_by_lag(self, ax: Any, relative: bool, name: str | None) -> Self:
        import matplotlib.pyplot as plt
        from matplotlib.axes import Axes

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        elif not isinstance(ax, Axes):
            raise ValueError(f"Lines over the lag need ax to be one Axes; got {type(ax).__name__}.")
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_: list[Line2D] = []
        self.bands_: list[PolyCollection] = []
        self.level_lines_: list[Line2D] = []
        layers = self.flow.layers
        if relative or any(layer.mean.any() for layer in layers):
            ax.set_yscale("log")  # needs a positive value
        labels = layer_names(layers)
        if name is not None:
            labels = [name] if len(layers) == 1 else [f"{name}, {label}" for label in labels]
        n_before = len(ax.get_legend_handles_labels()[0])
        for k, (layer, label) in enumerate(zip(layers, labels, strict=True), start=n_before):
            positive = layer.mean[layer.mean > 0]
            reference = positive[0] if len(positive) else 1.0
            scale = 1 / reference if relative else 1.0
            # absolute levels differ between layers: lines for several layers would only confuse
            if relative or (len(layers) == 1 and len(positive)):
                self._plot_levels(reference * scale)
            self._plot_layer(layer, label, scale, LINE_STYLES[k % len(LINE_STYLES)])
        if len(self.lines_) + n_before > 1 or name is not None:
            ax.legend(loc="lower left", fontsize="small")
        count_steps(ax)
        if ax.get_yscale() == "log" and ax.get_ylim()[0] < SMALLEST_SHARE * ax.dataLim.ymax:
            # the margin of a log scale is a share of all decades: keep it small
            ax.set_ylim(SMALLEST_SHARE * ax.dataLim.ymax, 2 * ax.dataLim.ymax, auto=True)
        norm = r"$\|\partial L\,/\,\partial h\|$"
        ax.set_ylabel(f"{norm}, relative to lag 0" if relative else norm)
        ax.set_xlabel("lag (steps back)")
        if self.bands_:
            low, high = min(self.quantiles), max(self.quantiles)
            ax.set_title(
                f"mean; band from the {low:g} to the {high:g} quantile of the sequences",
                loc="right",
                fontsize="small",
            )
        return self

    def _plot_layer(self, layer: Bunch, label: str, scale: float, linestyle: str) -> None:
        ax, mean = self.ax_, scale * layer.mean
        lags = np.arange(len(mean))
        # a log scale has no 0: leave a gap instead of a misleading line
        (line,) = ax.plot(
            lags,
            np.where(mean > 0, mean, np.nan),
            linestyle=linestyle,
            marker="." if len(mean) == 1 else "",
            label=label,
        )
        self.lines_.append(line)
        if len(self.quantiles) > 1:
            low, high = (
                scale * layer.quantiles[[np.argmin(self.quantiles), np.argmax(self.quantiles)]]
            )
            self.bands_.append(
                ax.fill_between(lags, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
            )
        (at_zero,) = np.nonzero(mean == 0)
        if len(at_zero):
            ax.plot(
                at_zero, np.full(len(at_zero), 0.01), "v", color=line.get_color(), markersize=4,
                transform=ax.get_xaxis_transform(), clip_on=False,
            )  # fmt: skip
            ax.text(
                at_zero[0], 0.03, "exactly 0", color=line.get_color(), fontsize="small",
                transform=ax.get_xaxis_transform(),
            )  # fmt: skip

    def _plot_levels(self, reference: float) -> None:
        ax = self.ax_
        drawn = [text.get_position()[1] for text in ax.texts if text.get_text() in LEVELS]
        for label, share in LEVELS.items():
            level = share * reference
            if np.isclose(drawn, level, rtol=1e-6, atol=0).any():
                continue
            self.level_lines_.append(ax.axhline(level, color="0.4", linewidth=0.8, zorder=1))
            ax.text(
                0.995, level, label, color="0.3", ha="right", va="bottom", fontsize="small",
                transform=ax.get_yaxis_transform(),
            )  # fmt: skip

    # ---- heat maps by loss step ----------------------------------------------------------------

    def _plot_by_loss_step(self, ax: Any) -> Self:
        from matplotlib import colormaps
        from matplotlib.colors import LogNorm

        layers = self.flow.layers
        if "by_loss_step" not in layers[0]:
            raise ValueError(
                "The flow has nothing by loss step; compute it with by_loss_step=True."
            )
        n_cols = min(2, len(layers))
        n_rows = -(-len(layers) // n_cols)
        self.figure_, self.axes_, _ = panels(
            ax, len(layers), figsize=(1 + 3.7 * n_cols, 0.5 + 3.2 * n_rows), n_cols=n_cols
        )
        values = np.concatenate([layer.by_loss_step["h"].ravel() for layer in layers])
        largest = values.max() or 1.0
        smallest = np.clip(
            values.min(where=values > 0, initial=largest), SMALLEST_SHARE * largest, largest / 10
        )
        norm = LogNorm(smallest, largest)
        cmap = colormaps["viridis"].with_extremes(under="black", bad="white")
        self.images_, below = [], False
        for panel, layer, name in zip(self.axes_, layers, layer_names(layers), strict=True):
            norms = layer.by_loss_step["h"]
            # a zero within reach of the loss is drawn as below the scale, not as missing
            shown = np.maximum(norms, smallest / 10)
            shown = np.ma.masked_array(shown, mask=self._out_of_reach(layer))
            self.images_.append(panel.imshow(shown, norm=norm, cmap=cmap))
            below |= bool((shown < smallest).any())
            panel.set_title(name, loc="left", fontsize="medium")
            forward = layer.direction == "forward"
            panel.set(
                xlabel="time step k" if forward else "step k, read from the end",
                ylabel="time step t of the loss",
            )
            count_steps(panel)
        self.colorbar_: Any = self.figure_.colorbar(
            self.images_[0], ax=list(self.axes_), extend="min" if below else "neither",
            label=r"$\|\partial L_t\,/\,\partial h_k\|$",
        )  # fmt: skip
        return self

    def _out_of_reach(self, layer: Bunch) -> np.ndarray:
        """Return a mask of the steps that the loss of a time step does not depend on."""
        t, k = np.indices(layer.by_loss_step["h"].shape)
        layers = self.flow.layers
        if not any(other.direction == "backward" for other in layers):
            return k > t
        if layer.layer < layers[-1].layer:  # both directions of the next layer depend on all steps
            return np.zeros(t.shape, dtype=bool)
        return k > t if layer.direction == "forward" else k + t > len(t) - 1
