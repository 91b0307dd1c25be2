"""Layout of panels and names of layers, shared by the displays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skgru._sklearn import Bunch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpecBase


def panels(
    ax: Any,
    n_panels: int,
    *,
    figsize: tuple[float, float],
    n_cols: int = 1,
    side: float = 0.0,
    height_ratios: Sequence[float] | None = None,
) -> tuple["Figure", np.ndarray, "GridSpecBase | None"]:
    """Create or collect the Axes of all panels.

    Parameters
    ----------
    ax : None, Axes or array-like of Axes
        If None, a figure is created. A single Axes is divided into a grid of panels. In an array,
        each Axes is a panel.
    n_panels : int
        Number of panels; those in the same column share the time axis.
    figsize : tuple of float
        Size in inches if a figure is created.
    n_cols : int, default=1
    side : float, default=0
        Width of an additional column for color bars, relative to that of a panel.
    height_ratios : sequence of float, default=None
        Relative heights of the rows.

    Returns
    -------
    figure : Figure
    axes : ndarray of shape (n_panels,), of Axes
    grid : GridSpecBase or None
        None if the panels were given.

    Raises
    ------
    ValueError
        If the array has another length, or if the Axes has been divided before.
    """
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes

    if ax is not None and not isinstance(ax, Axes):
        axes = np.asarray(ax, dtype=object).ravel()
        if len(axes) != n_panels or not all(isinstance(panel, Axes) for panel in axes):
            raise ValueError(
                f"ax must be one Axes or an array of {n_panels}, one for each panel; got "
                f"{type(ax).__name__} of {len(axes)}."
            )
        return axes[0].figure, axes, None
    width_ratios = [1.0] * n_cols + [side] * bool(side)
    spacing: dict[str, Any] = {}
    if ax is None:
        figure = plt.figure(figsize=figsize, layout="constrained")
    else:
        if not ax.axison:
            raise ValueError(
                "ax has been the bounds of other panels already; to draw into them again, give "
                "ax=display.axes_."
            )
        figure = ax.figure
        ax.set_axis_off()
        if figure.get_layout_engine() is None:
            # leave room for titles, and a column for the labels of the color bars
            spacing = {"hspace": 0.45, "wspace": 0.04 if side else 0.4}
            width_ratios += [0.2] * bool(side)
    spacing |= {"height_ratios": height_ratios, "width_ratios": width_ratios}
    shape = -(-n_panels // n_cols), len(width_ratios)
    if ax is None:
        grid = figure.add_gridspec(*shape, **spacing)
    elif ax.get_subplotspec() is None:
        x0, y0, x1, y1 = ax.get_position().extents
        grid = figure.add_gridspec(*shape, left=x0, bottom=y0, right=x1, top=y1, **spacing)
    else:
        grid = ax.get_subplotspec().subgridspec(*shape, **spacing)
    axes = np.empty(n_panels, dtype=object)
    for i in range(n_panels):
        above = axes[i - n_cols] if i >= n_cols else None
        axes[i] = figure.add_subplot(grid[i // n_cols, i % n_cols], sharex=above)
        if i + n_cols < n_panels:
            axes[i].tick_params(labelbottom=False)
    return figure, axes, grid


def count_steps(ax: "Axes") -> None:
    """Place the ticks of the time axis at round numbers of steps."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(
        MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
    )


def layer_names(layers: Sequence[Bunch]) -> list[str]:
    """Return the name of each layer, with its direction if there are two."""
    both = any(layer.direction == "backward" for layer in layers)
    return [f"layer {layer.layer}" + f", {layer.direction}" * both for layer in layers]
