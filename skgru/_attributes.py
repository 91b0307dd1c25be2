"""Types of the fitted attributes, which `_parameters.ATTRIBUTES` describes, for type checkers."""

import numpy as np


class FittedAttributes:
    """What a fit adds to `GRUClassifier` and `GRURegressor`."""

    n_features_in_: int
    feature_names_in_: np.ndarray
    n_outputs_: int
    n_parameters_: int
    n_updates_: int
    n_iter_: int
    t_: int
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    grad_norm_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
