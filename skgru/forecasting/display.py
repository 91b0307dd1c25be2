"""Plot of a backtest: forecasts over the series, and errors by horizon."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skgru._sklearn import check_matplotlib_support
from skgru.forecasting.results import BacktestResults, title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.lines import Line2D

LINE_STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v")
# Markers along a line, so that lines of one style differ.
N_MARKERS = 8


class BacktestDisplay:
    """Forecasts of one model over the series, and the errors of all models by horizon.

    Create it with `from_results`.

    Parameters
    ----------
    results : BacktestResults
        Result of `backtest`.
    model : str, default=None
        Model whose forecasts are drawn; None is the first one.
    series : str or int, default=None
        Series whose forecasts are drawn, as it is called in ``results.forecasts``; None is the
        first one.
    channel : str or int, default=None
        Channel whose forecasts are drawn; None is the first one.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
        One panel for the forecasts and one for the errors.
    series_line_ : matplotlib Line2D
        The observations.
    forecast_lines_ : list of matplotlib Line2D
        The forecast from each origin.
    bands_ : list of matplotlib PolyCollection
        The intervals of each of them; empty without a `level`.
    error_lines_ : dict of matplotlib Line2D
        Errors by horizon, one line per model.

    See Also
    --------
    backtest : Compute the results.

    Examples
    --------
    >>> from skgru.datasets import load_sunspots
    >>> from skgru.forecasting import BacktestDisplay, NaiveForecaster, backtest
    >>> spots = load_sunspots().series
    >>> results = backtest(
    ...     NaiveForecaster("seasonal", season_length=11), spots, initial=200, horizon=11, level=0.8
    ... )
    >>> display = BacktestDisplay.from_results(results)
    >>> list(display.error_lines_)
    ['NaiveForecaster', 'last value', 'drift']
    """

    figure_: Any
    axes_: Any
    series_line_: Any
    forecast_lines_: Any
    bands_: Any
    error_lines_: Any

    def __init__(
        self,
        results: BacktestResults,
        *,
        model: str | None = None,
        series: str | int | None = None,
        channel: str | int | None = None,
    ) -> None:
        self.results = results
        self.model = model
        self.series = series
        self.channel = channel

    @classmethod
    def from_results(
        cls,
        results: BacktestResults,
        *,
        model: str | None = None,
        series: str | int | None = None,
        channel: str | int | None = None,
        metric: str | None = None,
        every: int | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the results of a backtest.

        Parameters
        ----------
        results : BacktestResults
            Result of `backtest`.
        model, series, channel
            See the constructor.
        metric, every, ax
            See `plot`.

        Returns
        -------
        display : BacktestDisplay

        Raises
        ------
        ValueError
            If there is no such model, series, channel or metric.
        """
        check_matplotlib_support(f"{cls.__name__}.from_results")
        display = cls(results, model=model, series=series, channel=channel)
        return display.plot(metric=metric, every=every, ax=ax)

    def plot(self, *, metric: str | None = None, every: int | None = None, ax: Any = None) -> Self:
        """Draw forecasts and errors.

        Parameters
        ----------
        metric : str, default=None
            Column of ``results.errors()`` to draw by horizon, such as "MAE". None is "MASE" if it
            was computed, and the first one otherwise.
        every : int, default=None
            Draw the forecasts from every so many origins. None draws as many as do not overlap.
        ax : array-like of two matplotlib Axes, default=None
            Axes of the forecasts and of the errors. If None, a figure is created.

        Returns
        -------
        display : BacktestDisplay
            The display.

        Raises
        ------
        ValueError
            If there is no such model, series, channel or metric, if `every` is less than 1, or if
            `ax` is not two Axes.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt
        from matplotlib.axes import Axes

        rows = self._rows()
        if ax is None:
            self.figure_, self.axes_ = plt.subplots(2, figsize=(7.5, 6), layout="constrained")
        else:
            axes = np.array(ax, dtype=object).ravel()
            if len(axes) != 2 or not all(isinstance(panel, Axes) for panel in axes):
                raise ValueError(
                    "ax must be two Axes, for the forecasts and for the errors; got "
                    f"{type(ax).__name__} of {len(axes)}."
                )
            self.figure_, self.axes_ = axes[0].figure, axes
        self._plot_forecasts(self.axes_[0], rows, every)
        self._plot_errors(self.axes_[1], metric)
        return self

    def _rows(self) -> np.ndarray:
        """Return the rows of the forecasts to draw."""
        columns = self.results.columns
        rows = np.ones(len(columns["model"]), dtype=bool)
        for name in ("model", "series", "channel"):
            wanted = getattr(self, name)
            known = self.results.values_of(name) if name in columns else []
            if wanted is not None and wanted not in known:
                raise ValueError(f"There is no {name} {wanted!r}; expected one of {known[:10]}.")
            if known:
                rows &= columns[name] == (known[0] if wanted is None else wanted)
        return np.flatnonzero(rows)

    def _plot_forecasts(self, ax: "Axes", rows: np.ndarray, every: int | None) -> None:
        import matplotlib.pyplot as plt

        columns = {name: values[rows] for name, values in self.results.columns.items()}
        origins = np.unique(columns["origin"])
        horizon = int(columns["horizon"].max())
        if every is None:
            step = int(np.diff(origins).min()) if len(origins) > 1 else horizon
            every = -(-horizon // step)
        elif every < 1:
            raise ValueError(f"every == {every}, must be >= 1.")
        start, stop = max(0, origins[0] + 1 - 2 * horizon), int(columns["time"].max()) + 1
        observed = self._observed(columns, start, stop)
        # the color of text is visible on every background
        (self.series_line_,) = ax.plot(
            self._times(np.arange(start, stop)), observed, color=plt.rcParams["text.color"],
            linewidth=1, label="observed",
        )  # fmt: skip
        self.forecast_lines_: list[Line2D] = []
        self.bands_: list[PolyCollection] = []
        for origin in origins[::every]:
            at = np.flatnonzero(columns["origin"] == origin)
            times = self._times(columns["time"][at])
            label = f"{columns['model'][0]}" if not self.forecast_lines_ else None
            (line,) = ax.plot(
                times, columns["forecast"][at], color="C0", linestyle=(0, (3, 1)), linewidth=2,
                marker="." if horizon == 1 else "", label=label,
            )  # fmt: skip
            self.forecast_lines_.append(line)
            if "lower" in columns:
                label = f"{self.results.level:.0%} interval" if not self.bands_ else None
                band = ax.fill_between(
                    times, columns["lower"][at], columns["upper"][at], color="C0", alpha=0.3,
                    linewidth=0, label=label,
                )  # fmt: skip
                self.bands_.append(band)
        _legend_above(ax)
        ax.margins(x=0.02)
        name = columns["series"][0]
        several = len(self.results.values_of("series")) > 1
        names = [str(name)] if several or isinstance(name, str) else []
        names += [str(columns["channel"][0])] if "channel" in columns else []
        ax.set_ylabel(", ".join(names) or "value")

    def _observed(self, columns: dict[str, np.ndarray], start: int, stop: int) -> np.ndarray:
        results = self.results
        values = results.panel.values(
            results.values_of("series").index(columns["series"][0]), start, stop
        )
        if "channel" not in columns:
            return values[:, 0]
        return values[:, results.values_of("channel").index(columns["channel"][0])]

    def _times(self, steps: np.ndarray) -> Any:
        """Return time steps as numbers or dates that matplotlib can draw."""
        stamps = self.results.panel.stamps
        if stamps is None:
            return steps
        stamps = stamps.take(steps)
        if hasattr(stamps, "to_timestamp"):  # periods
            stamps = stamps.to_timestamp()
        if hasattr(stamps, "total_seconds"):
            return stamps.total_seconds().to_numpy()
        if getattr(stamps, "tz", None) is not None:
            stamps = stamps.tz_localize(None)
        return stamps.to_numpy()

    def _plot_errors(self, ax: "Axes", metric: str | None) -> None:
        from matplotlib.ticker import MaxNLocator

        errors = self.results.errors(["model", "horizon"])
        titles = [title_of(one) for one in self.results.metrics]
        if metric is None:
            metric = "MASE" if "MASE" in titles else titles[0]
        if metric not in titles:
            raise ValueError(f"There is no metric {metric!r}; expected one of {titles}.")
        models = np.asarray(errors["model"], dtype=object)
        horizons, values = np.asarray(errors["horizon"]), np.asarray(errors[metric])
        self.error_lines_: dict[str, Line2D] = {}
        for k, model in enumerate(self.results.values_of("model")):
            at = models == model
            (self.error_lines_[model],) = ax.plot(
                horizons[at], values[at], linestyle=LINE_STYLES[k % len(LINE_STYLES)], label=model,
                marker=MARKERS[k % len(MARKERS)], markersize=4,
                markevery=max(1, at.sum() // N_MARKERS),
            )  # fmt: skip
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        if metric == "coverage":
            ax.axhline(self.results.level, color="0.5", linewidth=1, zorder=1)
        else:
            ax.set_ylim(bottom=min(0, *ax.get_ylim()) if values.min() < 0 else 0)
        n_origins = len(self.results.values_of("origin"))
        of = f"{n_origins} origin" + "s" * (n_origins > 1)
        n_series = len(self.results.values_of("series"))
        of += f", {n_series} series" if n_series > 1 else ""
        ax.set(xlabel="horizon (time steps ahead)", ylabel=f"{metric} of {of}")
        ax.margins(x=0.02)
        _legend_above(ax)


def _legend_above(ax: "Axes") -> None:
    """Put a legend where it hides no line."""
    ax.legend(fontsize="small", ncols=4, loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
