"""Channels that are more than numbers: which exporters refuse them."""

import numpy as np
import pytest

from skgru import GRUClassifier
from skgru.interop import to_c, to_onnx, to_torch

rng = np.random.default_rng(0)
X = np.dstack([rng.normal(size=(8, 5, 2)), rng.integers(3, size=(8, 5))])
Y = np.arange(8) % 2
CATEGORIES = {"categorical_channels": [2]}


def fitted(**parameters):
    settings = {"bidirectional": False, "max_iter": 1, "learning_rate": "cosine"}
    return GRUClassifier(4, **settings, **parameters).fit(X, Y)


@pytest.mark.parametrize(("module", "export"), [("onnx", to_onnx), ("", to_c), ("torch", to_torch)])
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"missing": "decay"}, 'missing="decay" cannot be exported'),
        (CATEGORIES, "categorical_channels cannot be exported"),
        ({**CATEGORIES, "embedding_dim": 2}, "categorical_channels cannot be exported"),
    ],
)
def test_what_cannot_be_exported_is_named(module, export, parameters, message):
    if module:
        pytest.importorskip(module)
    with pytest.raises(ValueError, match=message):
        export(fitted(**parameters))
