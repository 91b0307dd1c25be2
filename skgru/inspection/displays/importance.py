"""How much the score drops without a channel, or without a block of its lags."""

from inspect import signature
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from skgru._sklearn import check_matplotlib_support
from skgru.inspection.displays.series import heat_map
from skgru.inspection.importance import channel_importance

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ChannelImportanceDisplay:
    """Box plot of the importance of channels, or heat map of that of their lags.

    Create it with `from_estimator`.

    Parameters
    ----------
    importance : Bunch
        Result of `channel_importance`.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    boxes_ : dict of list of matplotlib Artist, or None
        As ``Axes.boxplot`` returns it, one box per group; None if the importance has lags.
    image_ : matplotlib AxesImage or None
        Means over the repetitions, one row per group and one column per block of lags, the last
        lag to the right.
    order_ : ndarray of int, shape (n_groups,)
        Group of each box, from bottom to top, or of each row, from top to bottom.

    See Also
    --------
    channel_importance : Compute the importance.

    Examples
    --------
    >>> from skgru import GRUClassifier
    >>> from skgru.datasets import load_japanese_vowels
    >>> from skgru.inspection import ChannelImportanceDisplay
    >>> X, y = load_japanese_vowels(return_X_y=True)
    >>> model = GRUClassifier(16, random_state=0).partial_fit(X, y, classes=range(1, 10))
    >>> display = ChannelImportanceDisplay.from_estimator(model, X, y, random_state=0)
    >>> len(display.boxes_["boxes"])
    12
    """

    def __init__(self, importance: Bunch):
        self.importance = importance

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        scoring: Any = None,
        n_repeats: int = 5,
        groups: Any = None,
        lags: Any = None,
        sample_weight: ArrayLike | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        ax: Any = None,
    ) -> Self:
        """Compute the importance and draw it.

        Parameters
        ----------
        estimator, X, y, scoring, n_repeats, groups, lags, sample_weight, n_jobs, random_state
            See `channel_importance`.
        ax : matplotlib Axes, default=None
            See `plot`.

        Returns
        -------
        display : ChannelImportanceDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        importance = channel_importance(
            estimator,
            X,
            y,
            scoring=scoring,
            n_repeats=n_repeats,
            groups=groups,
            lags=lags,
            sample_weight=sample_weight,
            n_jobs=n_jobs,
            random_state=random_state,
        )
        return cls(importance).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the importance.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            If None, a figure is created.

        Returns
        -------
        display : ChannelImportanceDisplay
            The display.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        has_lags, n_groups = "lags" in self.importance, len(self.importance.group_names)
        if ax is None:
            _, ax = plt.subplots(figsize=(6.4, 1.2 + 0.3 * n_groups), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.boxes_ = self.image_ = None
        if has_lags:
            self.order_ = np.arange(n_groups)
            self._plot_lags(ax)
        else:
            self.order_ = np.argsort(self.importance.importances_mean, kind="stable")
            self._plot_boxes(ax)
        return self

    def _names(self) -> list[str]:
        return [self.importance.group_names[i] for i in self.order_]

    def _plot_boxes(self, ax: "Axes") -> None:
        import matplotlib as mpl

        color = mpl.rcParams["text.color"]  # readable on light and dark pages
        lines = {"color": color, "linewidth": 1}
        # matplotlib below 3.10 knows only the one, and later versions deprecate it
        known = "orientation" in signature(ax.boxplot).parameters
        horizontal: dict[str, Any] = {"orientation": "horizontal"} if known else {"vert": False}
        self.boxes_ = ax.boxplot(
            self.importance.importances[self.order_].T,
            **horizontal,
            boxprops=lines,
            whiskerprops=lines,
            capprops=lines,
            medianprops={"linewidth": 2},
            flierprops={"marker": ".", "markeredgecolor": color},
        )
        ax.set_yticks(range(1, len(self.order_) + 1), self._names())
        ax.axvline(0, color="0.5", linestyle="--", linewidth=1, zorder=0)
        ax.set_xlabel(f"drop of the score, from {self.importance.score:.3g}")

    def _plot_lags(self, ax: "Axes") -> None:
        means = self.importance.importances_mean[:, ::-1]
        # small drops below zero are noise
        self.image_ = heat_map(ax, means, cmap="viridis", vmin=min(0.0, means.min()))
        labels = [str(a) if a == b else f"{a}–{b}" for a, b in self.importance.lags[::-1]]
        ax.set_xticks(range(len(labels)), labels)
        ax.set_yticks(range(len(means)), self._names())
        ax.set_xlabel("lag (steps back from the last)")
        self.figure_.colorbar(
            self.image_, ax=ax, label=f"drop of the score,\nfrom {self.importance.score:.3g}"
        )
