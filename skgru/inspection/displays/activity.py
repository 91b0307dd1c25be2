"""Heat maps of gates and states over time, one row per unit."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skgru._sklearn import _num_samples, _safe_indexing, check_matplotlib_support
from skgru.inspection.activations import activations_of
from skgru.inspection.displays.panels import count_steps, layer_names, panels
from skgru.inspection.displays.series import heat_map, plot_series
from skgru.inspection.passes import Inspected

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

LABELS = {"hidden": "hidden state", "gate": "gate (1 is open)", "product": "recurrent product"}


class GateActivityDisplay:
    """Heat maps of the gates and states of one layer over one sequence, below the sequence.

    Create it with `from_estimator`.

    Parameters
    ----------
    series : ndarray of shape (n_timesteps, n_channels)
        The sequence. Of an estimator with categories, the channels that are numbers come first,
        then the codes of the categories.
    activations : dict of ndarray of shape (n_timesteps, n_units)
        Gates, candidate and states by name, as in `gate_activations`.
    title : str, default=None
        Title of the figure.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
        Panels of the series and of each of `images_`.
    lines_ : list of matplotlib Line2D
        One line per channel; empty if there are more than 6 channels, which are drawn as a heat
        map.
    images_ : dict of matplotlib AxesImage
        One heat map per gate or state, by name, with one row per entry of `units_` and one column
        per time step. Also "series" if it has more than 6 channels.
    colorbars_ : dict of matplotlib Colorbar
        "gate", from 0 (closed) to 1 (open), and "state", from -1 to 1 or wider if needed.
        "cell_state", "product" and a "series" that is a heat map have separate ones.
    units_ : ndarray of int, shape (n_units,)
        Index of the unit in each row.

    See Also
    --------
    gate_activations : Compute the values.

    Examples
    --------
    >>> from skgru import GRUClassifier
    >>> from skgru.datasets import load_japanese_vowels
    >>> from skgru.inspection import GateActivityDisplay
    >>> X, y = load_japanese_vowels(return_X_y=True)
    >>> model = GRUClassifier(16, random_state=0).partial_fit(X, y, classes=range(1, 10))
    >>> display = GateActivityDisplay.from_estimator(model, X, sample=3)
    >>> display.images_["update_gate"].get_array().shape
    (16, 20)
    """

    figure_: Any
    axes_: np.ndarray
    images_: Any
    lines_: Any

    def __init__(
        self,
        *,
        series: np.ndarray,
        activations: dict[str, np.ndarray],
        title: str | None = None,
    ) -> None:
        self.series = series
        self.activations = activations
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        sample: int = 0,
        layer: int = 0,
        gates: str | Sequence[str] | None = None,
        sort_by: str | None = "auto",
        ax: Any = None,
        gate_cmap: Any = "viridis",
        state_cmap: Any = "cividis",
    ) -> Self:
        """Run the network over one sequence and draw its gates and states.

        Parameters
        ----------
        estimator : GRUClassifier, GRURegressor, Pipeline or search
            A fitted estimator; see `gate_activations`. Of a pipeline, the series is the output of
            the steps before the last.
        X : array-like
            Sequences, as in `fit`.
        sample : int, default=0
            Index of the sequence to draw.
        layer : int, default=0
            Index of the layer and direction in the estimator's `layers_`.
        gates, sort_by, ax, gate_cmap, state_cmap
            See `plot`.

        Returns
        -------
        display : GateActivityDisplay

        Raises
        ------
        ValueError
            If the sequence, layer or gate does not exist.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        n_samples = _num_samples(X)
        if not -n_samples <= sample < n_samples:
            raise ValueError(f"sample={sample} is not in X, which has {n_samples} sequences.")
        sample %= n_samples
        inspected = Inspected(estimator, _safe_indexing(X, [sample]))
        # as a list, because the values of a list are not padded
        inspected.sequences = replace(inspected.sequences, form="list")
        layers = activations_of(inspected).layers
        if not -len(layers) <= layer < len(layers):
            raise ValueError(f"layer={layer} is not in layers_, which has {len(layers)} entries.")
        activations = {
            name: sequences[0]
            for name, sequences in layers[layer].items()
            if name not in ("layer", "direction")
        }
        title = f"sequence {sample}, {layer_names(layers)[layer]}"
        display = cls(series=inspected.series, activations=activations, title=title)
        return display.plot(
            gates=gates, sort_by=sort_by, ax=ax, gate_cmap=gate_cmap, state_cmap=state_cmap
        )

    def plot(
        self,
        *,
        gates: str | Sequence[str] | None = None,
        sort_by: str | None = "auto",
        ax: Any = None,
        gate_cmap: Any = "viridis",
        state_cmap: Any = "cividis",
    ) -> Self:
        """Draw the series and the heat maps.

        Parameters
        ----------
        gates : str or sequence of str, default=None
            Names of the `activations` to draw. If None, all but the "product" of `reset_after`.
        sort_by : str or None, default="auto"
            Name of the activation whose mean over time sorts the units, highest at the top. "auto"
            is the update or forget gate, or the candidate if the cell has neither. If None, the
            units keep their order.
        ax : matplotlib Axes or array-like of them, default=None
            A single Axes is divided into all panels. An array has one Axes for the series and one
            per heat map; color bars are then drawn beside the first heat map that they belong to.
            If None, a figure is created.
        gate_cmap, state_cmap : str or matplotlib Colormap, default="viridis", "cividis"
            Color maps of gates and of signed values such as states. The lightness of both defaults
            increases monotonically, so that they can be read in grayscale. The middle of the state
            map, 0, is gray.

        Returns
        -------
        display : GateActivityDisplay
            The display.

        Raises
        ------
        ValueError
            If a gate does not exist, or if the number of Axes differs from the number of panels.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")

        names = self._names(gates)
        kinds = [_kind(name) for name in names]
        sorted_by = self._sort(sort_by)
        figsize = (6.4, 1.5 + 1.15 * len(names))
        self.figure_, self.axes_, grid = panels(
            ax, 1 + len(names), figsize=figsize, side=0.025, height_ratios=[0.8] + [1] * len(names)
        )
        self.images_: dict[str, AxesImage] = {}
        self.colorbars_: Any = {}

        def add_colorbar(kind: str, image: "AxesImage", first: int, last: int) -> None:
            """Draw the color bar that the panels from `first` to `last` share."""
            if grid is None:
                cax = self.axes_[first].inset_axes((1.02, 0, 0.025, 1))
            else:
                cax = self.figure_.add_subplot(grid[first : last + 1, 1])
            self.colorbars_[kind] = self.figure_.colorbar(
                image, cax=cax, label=LABELS.get(kind, kind)
            )

        self.lines_, image = plot_series(self.axes_[0], self.series)
        if self.title is not None:
            self.axes_[0].set_title(self.title)
        if image is not None:
            self.images_["series"] = image
            add_colorbar("series", self.images_["series"], 0, 0)
        for kind in dict.fromkeys(kinds):
            of_kind = [name for name in names if _kind(name) == kind]
            largest = max(np.abs(self.activations[name]).max() for name in of_kind)
            limits = {"vmin": -max(1, largest), "vmax": max(1, largest), "cmap": state_cmap}
            if kind == "gate":
                limits = {"vmin": 0, "vmax": 1, "cmap": gate_cmap}
            first = 1 + kinds.index(kind)
            for panel, name in zip(self.axes_[first:], of_kind, strict=False):
                values = self.activations[name][:, self.units_].T
                self.images_[name] = heat_map(panel, values, **limits)
                panel.set_title(_label(name), loc="left", fontsize="medium")
                panel.set(ylabel="units", yticks=[])
            add_colorbar(kind, self.images_[of_kind[0]], first, first + len(of_kind) - 1)
        if sorted_by:
            self.axes_[1].set_title(
                f"sorted by mean {_label(sorted_by)}", loc="right", fontsize="small"
            )
        count_steps(self.axes_[-1])
        self.axes_[-1].set_xlabel("time step")
        return self

    def _names(self, gates: str | Sequence[str] | None) -> list[str]:
        """Return the names to draw, ordered so that panels with one color bar are adjacent."""
        if gates is None:
            gates = [name for name in self.activations if name != "product"]
        names = dict.fromkeys([gates] if isinstance(gates, str) else gates)
        if not names or not self.activations.keys() >= names.keys():
            raise ValueError(
                f"gates must be one or more of {', '.join(self.activations)}; got {gates!r}."
            )
        return sorted(names, key=lambda name: {"gate": 0, "state": 1}.get(_kind(name), 2))

    def _sort(self, sort_by: str | None) -> str | None:
        """Set `units_`; return the name of the activation that sorts the units."""
        if sort_by == "auto":
            names = ("update_gate", "forget_gate", "candidate")
            sort_by = next((name for name in names if name in self.activations), None)
        if sort_by is None:
            self.units_ = np.arange(next(iter(self.activations.values())).shape[1])
        elif sort_by in self.activations:
            mean = self.activations[sort_by].mean(axis=0)
            self.units_: Any = np.argsort(-mean, kind="stable")
        else:
            raise ValueError(
                f"sort_by must be 'auto', None or one of {', '.join(self.activations)}; got "
                f"{sort_by!r}."
            )
        return sort_by


def _kind(name: str) -> str:
    """Return the key of the color bar."""
    if name.endswith("_gate"):
        return "gate"
    return "state" if name in ("candidate", "hidden") else name


def _label(name: str) -> str:
    return LABELS.get(name, name.replace("_", " "))
