"""Load the data sets in data/; its README names their origin and license."""

import gzip
import inspect
from importlib import resources
from typing import IO, Literal, overload

import numpy as np

from skgru._sklearn import Bunch, StrOptions, validate_params

N_TRAIN = 270


@overload
def load_japanese_vowels(*, subset: str = "train", return_X_y: Literal[False] = False) -> Bunch: ...


@overload
def load_japanese_vowels(
    *, subset: str = "train", return_X_y: Literal[True]
) -> tuple[list[np.ndarray], np.ndarray]: ...


@validate_params(
    {"subset": [StrOptions({"train", "test", "all"})], "return_X_y": ["boolean"]},
    prefer_skip_nested_validation=True,
)
def load_japanese_vowels(
    *, subset: str = "train", return_X_y: bool = False
) -> Bunch | tuple[list[np.ndarray], np.ndarray]:
    """Load the JapaneseVowels data set: classify nine speakers by their utterances.

    The data set has 640 utterances of the two vowels /ae/. Each is a sequence of 7 to 29 time steps
    (6.4 ms apart) with 12 linear prediction cepstrum coefficients.

    =================   ===============================
    Classes             9
    Training samples    270 (30 per speaker)
    Test samples        370 (24 to 88 per speaker)
    Time steps          7 to 29
    Channels            12
    =================   ===============================

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        Part of the published split to load; "all" is the training part followed by the test part.
    return_X_y : bool, default=False
        Whether to return `(data, target)` instead of a Bunch.

    Returns
    -------
    data : Bunch
        With the attributes

        data : list of ndarray of shape (n_timesteps_i, 12), float64
            The utterances; the coefficients have no unit.
        target : ndarray of shape (n_samples,), int64
            The speaker, 1 to 9.
        feature_names : list of str
            Names of the 12 channels, in the order of the coefficients.
        target_names : ndarray of shape (9,)
            Name of each label: that of label k is at index k - 1.
        DESCR : str
            This description.

    (data, target) : tuple if `return_X_y` is True
        The first two of the attributes above.

    Raises
    ------
    ValueError
        If `subset` is not one of the three, or `return_X_y` is not a bool.

    See Also
    --------
    load_sunspots : A series to forecast.

    Notes
    -----
    Source: M. Kudo, J. Toyama and M. Shimbo, Japanese Vowels, UCI Machine Learning Repository
    [1]_. License: CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/). The values are the
    published ones; only the file format differs. The split is also the published one: both parts
    have the same speakers, recorded on different occasions [2]_.

    References
    ----------
    .. [1] https://doi.org/10.24432/C5NS47
    .. [2] M. Kudo, J. Toyama and M. Shimbo, "Multidimensional curve classification using
       passing-through regions", Pattern Recognition Letters 20(11-13), 1103-1111, 1999.

    Examples
    --------
    >>> from skgru.datasets import load_japanese_vowels
    >>> X, y = load_japanese_vowels(return_X_y=True)
    >>> len(X), X[0].shape, y[:3]
    (270, (20, 12), array([1, 1, 1]))
    """
    with _open("japanese_vowels.npz") as file, np.load(file, allow_pickle=False) as archive:
        # the published numbers have six decimals: the division restores them exactly
        values = archive["micro_values"] / 1e6
        ends = np.cumsum(archive["lengths"], dtype=np.intp)
        target = archive["speakers"].astype(np.int64)
    part = {"train": slice(N_TRAIN), "test": slice(N_TRAIN, None), "all": slice(None)}[subset]
    # copies, so that a reference to one sequence does not keep all of them in memory
    data = [sequence.copy() for sequence in np.split(values, ends[:-1])[part]]
    target = target[part]
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        feature_names=[f"lpc_cepstrum_{i}" for i in range(1, 13)],
        target_names=np.array([f"speaker {i}" for i in range(1, 10)]),
        DESCR=inspect.getdoc(load_japanese_vowels),
    )


@overload
def load_sunspots(*, return_X_y: Literal[False] = False) -> Bunch: ...


@overload
def load_sunspots(*, return_X_y: Literal[True]) -> tuple[np.ndarray, np.ndarray]: ...


@validate_params({"return_X_y": ["boolean"]}, prefer_skip_nested_validation=True)
def load_sunspots(*, return_X_y: bool = False) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Load the yearly sunspot numbers from 1700 to 2008, with 309 values.

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return `(dates, series)` instead of a Bunch.

    Returns
    -------
    data : Bunch
        With the attributes

        series : ndarray of shape (309,), float64
            Mean sunspot number of each year. No value is missing.
        dates : ndarray of shape (309,), datetime64[Y]
            The years, without gaps.
        DESCR : str
            This description.

    (dates, series) : tuple if `return_X_y` is True
        These two attributes, dates first.

    Raises
    ------
    ValueError
        If `return_X_y` is not a bool.

    See Also
    --------
    load_co2 : A longer series, with gaps and a season.

    Notes
    -----
    Source: the international sunspot number of the Solar Influences Data Analysis Center (SIDC),
    Royal Observatory of Belgium, collected by the National Geophysical Data Center of NOAA and
    distributed with statsmodels [1]_, which states that it is in the public domain.

    The series is version 1 of the sunspot number. Version 2, published since 2015, has a different
    scale [2]_: do not append its values to this series.

    References
    ----------
    .. [1] https://www.statsmodels.org/stable/datasets/generated/sunspots.html
    .. [2] F. Clette, L. Svalgaard, J. M. Vaquero and E. W. Cliver, "Revisiting the sunspot
       number", Space Science Reviews 186, 35-103, 2014.

    Examples
    --------
    >>> from skgru.datasets import load_sunspots
    >>> sunspots = load_sunspots()
    >>> sunspots.dates[0], float(sunspots.series[0])
    (np.datetime64('1700'), 5.0)
    """
    dates, series = _load_series("sunspots.csv.gz")
    if return_X_y:
        return dates, series
    return Bunch(series=series, dates=dates, DESCR=inspect.getdoc(load_sunspots))


@overload
def load_co2(*, return_X_y: Literal[False] = False) -> Bunch: ...


@overload
def load_co2(*, return_X_y: Literal[True]) -> tuple[np.ndarray, np.ndarray]: ...


@validate_params({"return_X_y": ["boolean"]}, prefer_skip_nested_validation=True)
def load_co2(*, return_X_y: bool = False) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Load the weekly atmospheric CO2 at Mauna Loa from 1958 to 2001, with 2,284 values.

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return `(dates, series)` instead of a Bunch.

    Returns
    -------
    data : Bunch
        With the attributes

        series : ndarray of shape (2284,), float64
            Weekly mean of CO2 in parts per million by volume. The 59 weeks without a measurement
            are NaN; the longest gap has 18 weeks, from January to May 1964.
        dates : ndarray of shape (2284,), datetime64[D]
            Saturdays, exactly seven days apart, including the weeks without a measurement.
        DESCR : str
            This description.

    (dates, series) : tuple if `return_X_y` is True
        These two attributes, dates first.

    Raises
    ------
    ValueError
        If `return_X_y` is not a bool.

    See Also
    --------
    load_sunspots : A shorter series, without gaps.

    Notes
    -----
    Source: C. D. Keeling and T. P. Whorf, Scripps Institution of Oceanography [1]_, as
    distributed with statsmodels [2]_, which states that it is in the public domain.

    References
    ----------
    .. [1] C. D. Keeling and T. P. Whorf, "Atmospheric CO2 concentrations derived from flask air
       samples at sites in the SIO network", in Trends: A Compendium of Data on Global Change,
       Carbon Dioxide Information Analysis Center, Oak Ridge National Laboratory, 2004.
    .. [2] https://www.statsmodels.org/stable/datasets/generated/co2.html

    Examples
    --------
    >>> from skgru.datasets import load_co2
    >>> co2 = load_co2()
    >>> co2.dates[0], float(co2.series[0])
    (np.datetime64('1958-03-29'), 316.1)
    """
    dates, series = _load_series("co2.csv.gz")
    if return_X_y:
        return dates, series
    return Bunch(series=series, dates=dates, DESCR=inspect.getdoc(load_co2))


def _open(name: str) -> IO[bytes]:
    return resources.files("skgru.datasets").joinpath("data", name).open("rb")


def _load_series(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Read columns of dates and values; an empty value is NaN."""
    with _open(name) as file, gzip.open(file, "rt") as text:
        rows = [line.rstrip("\n").split(",") for line in text][1:]
    dates, values = zip(*rows, strict=True)
    return np.array(dates, dtype="datetime64"), np.array([float(v or "nan") for v in values])
