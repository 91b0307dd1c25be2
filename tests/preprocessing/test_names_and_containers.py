"""scikit-learn's checks of names and of `set_output`, which its common checks leave out."""

import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import (
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
)

from skgru.preprocessing import FillGaps, Patches, PerSequence


def cumulated(x):
    return x.cumsum(axis=0)


# the checks fit on frames and transform arrays, or the other way round
@pytest.mark.filterwarnings("ignore:X .* feature names:UserWarning")
@pytest.mark.parametrize(
    "check",
    [
        check_set_output_transform,
        check_set_output_transform_pandas,
        check_transformer_get_feature_names_out,
        check_transformer_get_feature_names_out_pandas,
    ],
)
@pytest.mark.parametrize(
    "transformer",
    [
        FillGaps("forward", add_indicator=True),
        Patches(2, 1),
        PerSequence(StandardScaler()),
        PerSequence(cumulated, feature_names_out="one-to-one"),
    ],
)
def test_names_and_containers(transformer, check):
    check(type(transformer).__name__, transformer)
