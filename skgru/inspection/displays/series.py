"""A sequence as lines or as a heat map, shared by the displays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D

# Series with more channels are drawn as a heat map: more lines cannot be told apart.
MAX_LINES = 6
LINE_STYLES = ("-", "--", "-.", ":")


def plot_series(
    ax: "Axes", series: np.ndarray, names: Sequence[str] | None = None
) -> tuple[list["Line2D"], "AxesImage | None"]:
    """Draw the channels as lines, or as a heat map if there are many.

    Parameters
    ----------
    ax : matplotlib Axes
    series : ndarray of shape (n_timesteps, n_channels)
    names : sequence of str, default=None
        Names of the channels, at the ends of the lines; if None, their numbers.

    Returns
    -------
    lines : list of matplotlib Line2D
        Empty if it is a heat map.
    image : matplotlib AxesImage or None
    """
    n_timesteps, n_channels = series.shape
    if n_channels > MAX_LINES:
        image = heat_map(ax, series.T, cmap="Greys")
        ax.set(ylabel="channels", yticks=[])
        return [], image
    lines: list[Line2D] = []
    for k, channel in enumerate(series.T):
        lines += ax.plot(
            channel,
            linestyle=LINE_STYLES[k % len(LINE_STYLES)],
            linewidth=1,
            marker="." if n_timesteps == 1 else "",
            label=f"channel {k}" if names is None else names[k],
        )
    ax.set_xlim(-0.5, n_timesteps - 0.5)
    ax.set_ylabel("series")
    if n_channels > 1:
        _name_lines(ax, series, lines, range(n_channels) if names is None else names)
    return lines, None


def _name_lines(
    ax: "Axes", series: np.ndarray, lines: list["Line2D"], names: Sequence[Any]
) -> None:
    """Write the name of each channel at the end of its line, without overlaps."""
    low, high = ax.get_ylim()
    # a line ends at its last value that is not missing
    last = [channel[~np.isnan(channel)][-1:] for channel in series.T]
    ends = (np.array([y[0] if len(y) else low for y in last]) - low) / (high - low)
    gap = 1 / (MAX_LINES - 1)
    at = np.empty(len(ends))
    by_height = np.argsort(ends, kind="stable")
    rank = np.arange(len(ends))
    # move names up where they would overlap, but keep them inside the panel
    at[by_height] = np.maximum.accumulate(ends[by_height] - gap * rank) + gap * rank
    at[by_height] = np.minimum(at[by_height], 1 - gap * rank[::-1])
    for k, line in enumerate(lines):
        ax.text(
            1.01, at[k], str(names[k]), color=line.get_color(), fontsize="small", va="center",
            transform=ax.transAxes,
        )  # fmt: skip


def heat_map(ax: "Axes", values: np.ndarray, **kwargs: Any) -> "AxesImage":
    """Draw one cell per value; cells smaller than a pixel are averaged."""
    n_rows, n_columns = values.shape
    fits = n_rows <= ax.bbox.height and n_columns <= ax.bbox.width
    return ax.imshow(values, aspect="auto", interpolation="nearest" if fits else "auto", **kwargs)
