"""A sequence, and what each of its values contributes to a prediction."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier

from skgru._sklearn import check_matplotlib_support
from skgru.inspection.attributions import input_attributions
from skgru.inspection.displays.panels import count_steps, panels
from skgru.inspection.displays.series import heat_map, plot_series
from skgru.inspection.routes import Route

# More channels than this are not named beside the heat map, for lack of room.
MAX_NAMES = 24


class AttributionDisplay:
    """Heat map of the attributions of one sequence, steps by channels, below the sequence.

    Create it with `from_estimator`.

    Parameters
    ----------
    series : ndarray of shape (n_timesteps, n_channels)
        The sequence.
    attributions : ndarray of shape (n_timesteps, n_channels)
        See `input_attributions`.
    channel_names : sequence of str, default=None
        Names of the channels; if None, their numbers.
    title : str, default=None
        Title of the figure.
    label : str, default="attribution"
        Label of the color bar.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
        Panels of the series and of the heat map.
    lines_ : list of matplotlib Line2D
        One line per channel; empty if there are more than 6 channels, which are drawn as a heat
        map.
    image_ : matplotlib AxesImage
        The attributions, with a row per channel and a column per time step.
    series_image_ : matplotlib AxesImage or None
        The series, if it has more than 6 channels.
    colorbar_ : matplotlib Colorbar
        Of the attributions; zero is in its middle.

    See Also
    --------
    input_attributions : Compute the attributions.

    Examples
    --------
    >>> from skgru import GRUClassifier
    >>> from skgru.datasets import load_japanese_vowels
    >>> from skgru.inspection import AttributionDisplay
    >>> X, y = load_japanese_vowels(return_X_y=True)
    >>> model = GRUClassifier(16, random_state=0).partial_fit(X, y, classes=range(1, 10))
    >>> display = AttributionDisplay.from_estimator(model, X, y, sample=3)
    >>> display.image_.get_array().shape
    (12, 20)
    """

    def __init__(
        self,
        *,
        series: np.ndarray,
        attributions: np.ndarray,
        channel_names: Sequence[str] | None = None,
        title: str | None = None,
        label: str = "attribution",
    ):
        self.series = series
        self.attributions = attributions
        self.channel_names = channel_names
        self.title = title
        self.label = label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        target: Any = None,
        *,
        sample: int = 0,
        method: str = "integrated_gradients",
        response: str = "auto",
        quantile: float | None = None,
        step: ArrayLike | None = None,
        baseline: Any = "mean",
        window: int = 1,
        at: str = "input",
        ax: Any = None,
        cmap: Any = "cividis",
    ) -> Self:
        """Compute the attributions of one sequence and draw them.

        Parameters
        ----------
        estimator, X, target, method, response, quantile, step, baseline, window, at
            See `input_attributions`. The baseline "mean" is that of all sequences of X.
        sample : int, default=0
            Index of the sequence to draw.
        ax, cmap
            See `plot`.

        Returns
        -------
        display : AttributionDisplay

        Raises
        ------
        ValueError
            If the sequence does not exist, or if it is not said what to explain.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        result = input_attributions(
            estimator,
            X,
            target,
            samples=[sample],
            method=method,
            response=response,
            quantile=quantile,
            step=step,
            baseline=baseline,
            window=window,
            at=at,
        )
        route = Route.of(estimator)
        if at == "last_step":
            X, route = route.transform(X), route._replace(steps=[])
        sequences = route.read(X)
        sample %= len(sequences)
        series = route.series(sequences.take(np.array([sample])))
        name = result.response.replace("_", " ")
        title = f"sequence {sample}: {name}"
        if is_classifier(route.model):
            title += f" of {result.targets[0]}"
        title += f" = {result.responses[0]:.3g}"
        if "baseline_responses" in result:
            title += f" (baseline {result.baseline_responses[0]:.3g})"
        display = cls(
            series=series,
            # a table has one row, and an array may be padded
            attributions=np.reshape(result.attributions[0], (-1, series.shape[1]))[: len(series)],
            channel_names=result.channel_names,
            title=title,
            label=f"∂ {name} / ∂ value" if method == "gradient" else f"part of the {name}",
        )
        return display.plot(ax=ax, cmap=cmap)

    def plot(self, *, ax: Any = None, cmap: Any = "cividis") -> Self:
        """Draw the series and the heat map.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of them, default=None
            A single Axes is divided into both panels; an array has one for the series and one for
            the heat map. If None, a figure is created.
        cmap : str or matplotlib Colormap, default="cividis"
            Color map of the attributions. The lightness of the default increases from the most
            negative to the most positive, so that it can be read in grayscale; zero is gray.

        Returns
        -------
        display : AttributionDisplay
            The display.

        Raises
        ------
        ValueError
            If the number of Axes is not two.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        n_channels = self.series.shape[1]
        height = 0.6 + 0.2 * min(n_channels, MAX_NAMES)
        self.figure_, self.axes_, grid = panels(
            ax, 2, figsize=(6.4, 2.4 + height), side=0.025, height_ratios=[1.3, height]
        )
        above, below = self.axes_
        self.lines_, self.series_image_ = plot_series(above, self.series, self.channel_names)
        if self.title is not None:
            above.set_title(self.title, fontsize="medium")
        largest = np.abs(self.attributions).max() or 1.0
        self.image_ = heat_map(below, self.attributions.T, cmap=cmap, vmin=-largest, vmax=largest)
        if n_channels <= MAX_NAMES:
            names = range(n_channels) if self.channel_names is None else self.channel_names
            below.set_yticks(range(n_channels), names, fontsize="small")
        else:
            below.set(yticks=[], ylabel="channels")
        if grid is None:
            cax = below.inset_axes((1.02, 0, 0.025, 1))
        else:
            cax = self.figure_.add_subplot(grid[1, 1])
        self.colorbar_ = self.figure_.colorbar(self.image_, cax=cax, label=self.label)
        count_steps(below)
        below.set_xlabel("time step")
        return self
