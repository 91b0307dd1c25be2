"""mlflow.sklearn: models in its default format, that of skops."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.forecasting import ScaledTargetRegressor
from skgru.persistence import SKOPS_TRUSTED_TYPES
from skgru.preprocessing import Patches, PerTimestep

mlflow = pytest.importorskip("mlflow")
pytest.importorskip("skops")

# otherwise mlflow runs a process per model, to find out what it imports
SETTINGS = {"pip_requirements": ["skgru"]}
SMALL = {"hidden_layer_sizes": 3, "max_iter": 1, "random_state": 0}


def classifier(X, y):
    scaler = PerTimestep(StandardScaler())
    return make_pipeline(scaler, Patches(3), GRUClassifier(**SMALL)).fit(X, y)


def regressor(X, y):
    scaler = PerTimestep(StandardScaler())
    model = make_pipeline(scaler, ScaledTargetRegressor(GRURegressor(**SMALL)))
    return model.fit(X, [x.mean() for x in X])


@pytest.mark.parametrize("fit", [classifier, regressor])
def test_models_are_saved_and_loaded(ragged, tmp_path, fit):
    X, _ = ragged
    model = fit(*ragged)
    mlflow.sklearn.save_model(
        model, tmp_path / "model", skops_trusted_types=SKOPS_TRUSTED_TYPES, **SETTINGS
    )
    for loaded in (
        mlflow.sklearn.load_model(str(tmp_path / "model")),
        mlflow.pyfunc.load_model(str(tmp_path / "model")),
    ):
        np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_the_list_is_needed(ragged, tmp_path):
    model = classifier(*ragged)
    with pytest.raises(mlflow.exceptions.MlflowException, match="references untrusted types"):
        mlflow.sklearn.save_model(model, tmp_path / "model", **SETTINGS)
