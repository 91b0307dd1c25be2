"""Shares of units in each gate regime over time."""

from math import ceil
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skgru._sklearn import Bunch, check_matplotlib_support
from skgru.inspection.activations import gate_regimes
from skgru.inspection.displays.panels import count_steps, layer_names, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection

# From bottom to top and from dark to light. Hatches distinguish the light areas in poor prints;
# their color is the edge color.
FONT_SIZE = 9
STYLES = {
    "keep": {"facecolor": "#253a6b"},
    "between": {"facecolor": "#8a8a86"},
    "plain": {"facecolor": "#d8c46a", "hatch": "///", "edgecolor": "white"},
    "cut": {"facecolor": "#fff7d6", "hatch": "...", "edgecolor": "0.6"},
}


class GateRegimesDisplay:
    """Shares of the units in each gate regime, as areas over time.

    Create it with `from_estimator`.

    Parameters
    ----------
    regimes : Bunch
        Result of `gate_regimes`.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
        One panel per entry of the estimator's `layers_`.
    areas_ : list of dict of matplotlib PolyCollection
        Areas of each panel, by regime.

    See Also
    --------
    gate_regimes : Compute the shares; defines the regimes.

    Examples
    --------
    >>> from skgru import GRUClassifier
    >>> from skgru.datasets import load_japanese_vowels
    >>> from skgru.inspection import GateRegimesDisplay
    >>> X, y = load_japanese_vowels(return_X_y=True)
    >>> model = GRUClassifier(16, random_state=0).partial_fit(X, y, classes=range(1, 10))
    >>> display = GateRegimesDisplay.from_estimator(model, X[:5])
    >>> len(display.areas_)  # two directions
    2
    """

    figure_: Any
    axes_: np.ndarray

    def __init__(self, regimes: Bunch) -> None:
        self.regimes = regimes

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, closed: float = 0.1, open: float = 0.9, ax: Any = None
    ) -> Self:
        """Compute the regimes over X and draw them.

        Parameters
        ----------
        estimator, X, closed, open
            See `gate_regimes`.
        ax : matplotlib Axes or array-like of them, default=None
            See `plot`.

        Returns
        -------
        display : GateRegimesDisplay

        Raises
        ------
        ValueError
            Unless 0 <= closed < open <= 1.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        return cls(gate_regimes(estimator, X, closed=closed, open=open)).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the areas.

        Each is labeled with its share of all time steps, where it is widest. Areas too small for a
        label are named above the panel.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of them, default=None
            A single Axes is divided into all panels; an array has one Axes per panel. If None, a
            figure is created.

        Returns
        -------
        display : GateRegimesDisplay
            The display.

        Raises
        ------
        ValueError
            If the number of Axes differs from the number of layers.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        layers = self.regimes.layers
        figsize = (6.4, 1 + 2 * len(layers))
        self.figure_, self.axes_, _ = panels(ax, len(layers), figsize=figsize)
        self.areas_: list[Any] = [
            _plot_areas(panel, layer, name)
            for panel, layer, name in zip(self.axes_, layers, layer_names(layers), strict=True)
        ]
        self.axes_[-1].set_xlabel("time step")
        return self


def _plot_areas(ax: "Axes", layer: Bunch, name: str) -> dict[str, "PolyCollection"]:
    areas, unlabeled = {}, {}
    n_timesteps = len(layer.over_time["keep"])
    edges = np.arange(n_timesteps + 1) - 0.5
    lower = np.zeros(n_timesteps)
    for regime, style in STYLES.items():
        upper = lower + layer.over_time[regime]
        # draw each time step from half a step before to half a step after it, so that a single
        # step is visible too
        areas[regime] = ax.fill_between(
            edges, np.append(lower, lower[-1]), np.append(upper, upper[-1]), step="post",
            linewidth=0, label=regime, **style,
        )  # fmt: skip
        label = f"{regime} {max(0, layer[regime]):.1%}"  # rounding may leave -1e-17
        if not _label_area(ax, lower, upper, label, style["facecolor"]):
            unlabeled[label] = areas[regime]
        lower = upper
    ax.set(xlim=(edges[0], edges[-1]), ylim=(0, 1), ylabel="share of\nunits")
    ax.set_title(name, loc="left", fontsize="medium")
    if unlabeled:
        ax.legend(
            unlabeled.values(), unlabeled, loc="lower right", bbox_to_anchor=(1, 1), ncols=4,
            frameon=False, fontsize="small", handlelength=1.2, handletextpad=0.4,
            columnspacing=1, borderpad=0.2,
        )  # fmt: skip
    count_steps(ax)
    return areas


def _label_area(ax: "Axes", lower: np.ndarray, upper: np.ndarray, label: str, color: str) -> bool:
    """Write a label where the area is highest; return whether it fits."""
    from matplotlib.colors import to_rgb

    # a letter is about 0.6 times as wide as high; 0.7 leaves a margin
    letter = FONT_SIZE / 72 * ax.figure.dpi
    n_steps = len(lower)
    width = ceil(n_steps * 0.7 * len(label) * letter / ax.bbox.width)
    if width > n_steps:
        return False
    windows = np.lib.stride_tricks.sliding_window_view
    bottom = windows(lower, width).max(axis=1)
    top = windows(upper, width).min(axis=1)
    room, enough = top - bottom, 1.5 * letter / ax.bbox.height
    if room.max() < enough:
        return False
    # of the places with at least 80 % of the maximum room, take the one nearest to the middle
    places = np.flatnonzero(room >= max(enough, 0.8 * room.max()))
    at = places[np.argmin(np.abs(places - (len(room) - 1) / 2))]
    is_dark = np.dot(to_rgb(color), (0.3, 0.6, 0.1)) < 0.5
    ax.text(
        at + (width - 1) / 2, (bottom[at] + top[at]) / 2, label, ha="center", va="center",
        color="white" if is_dark else "black", fontsize=FONT_SIZE,
        bbox={"facecolor": color, "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip
    return True
