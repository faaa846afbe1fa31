"""The neuron as an estimator of scikit-learn, trained and certified as the pipeline does it."""

from __future__ import annotations

import numbers
import re
import warnings
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from nn import Examples, row_logits, sigmoid
from nn.arrays import Array
from pipeline.config.strict import Settings
from pipeline.config.train_settings import OptimiserSettings, TrainSettings
from pipeline.errors import ConfigError, TrainingError
from pipeline.stages.certify import certify
from pipeline.stages.train import Trained, train

# What conf/optimiser sets.
OPTIMISERS: dict[str, dict[str, Any]] = {
    "newton": {},
    "gradient_descent": {"learning_rate": 1.0},
    "momentum": {"learning_rate": 1.0, "decay": 0.98},
    "adam": {"learning_rate": 0.05},
}
LARGEST_SEED = 2**31 - 1


class _Settings(Settings):
    """The parameters, checked as those of a run are."""

    optimiser: OptimiserSettings
    train: TrainSettings


class NeuronClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # is untyped
    """One neuron, a logistic regression, for two classes.

    Parameters
    ----------
    optimiser
        ``newton`` (to the optimum, in about ten steps), ``gradient_descent``, ``momentum`` or
        ``adam``; or a mapping of ``name`` and other settings, as in ``conf/optimiser``.
    learning_rate
        Of every optimiser but newton; None: that of ``conf/optimiser``.
    epochs
        Passes over the rows; of newton the most steps.
    batch_size
        Rows per step, of every optimiser but newton; None: all. Weights must then be whole numbers.
    l2
        Strength of the penalty ``l2 / 2 * sum(weights ** 2)`` on the mean loss, so ``1 / (n C)``
        of scikit-learn's C; or ``auto``, which falls with the number of rows (docs/penalty.md).
    random_state
        Of the first weights and the batches; newton uses none. A whole number is the seed of a run.

    Attributes
    ----------
    ``theta_`` (d + 1,) holds ``coef_`` (1, d) and then ``intercept_`` (1,): the log-odds of the
    second of ``classes_`` (2,). ``l2_`` is the penalty that was used. ``certificate_`` says how far
    the objective is from the best possible (docs/certificate.md). ``n_features_in_`` and, where the
    columns of X have names, ``feature_names_in_`` (d,) are as in scikit-learn.
    """

    def __init__(
        self,
        optimiser: str | Mapping[str, Any] = "newton",
        *,
        learning_rate: float | None = None,
        epochs: int = 1000,
        batch_size: int | None = None,
        l2: float | Literal["auto"] = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.optimiser = optimiser
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.l2 = l2
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows X (n, d) and labels y (n,) of two classes.

        A row of ``sample_weight`` (n,) k counts as k rows do, to rounding.

        Raises
        ------
        ValueError
            If a parameter, an array or its shape is invalid, or training diverges.
        """
        settings = self._settings()
        X, y = validate_data(self, X, y, dtype=np.float64, order="C")
        count = _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True, copy=True
        )
        examples = Examples(X, self._labels(y), count)
        with np.errstate(over="ignore"):
            total, positive = count.sum(), count @ examples.y
        if not np.isfinite(total):
            raise ValueError("sample_weight must have a sum that is finite; got one above 1e308")
        if not 0 < positive < total:
            raise ValueError("y must hold two classes with weight above 0; got one class")
        trained = self._train(examples, settings)
        self.theta_, self.l2_ = trained.theta, trained.l2
        self.coef_, self.intercept_ = self.theta_[None, :-1].copy(), self.theta_[-1:].copy()
        self.certificate_ = certify(trained, examples, trained.l2)
        if self.certificate_.verdict != "converged":
            warnings.warn(_worded(self.certificate_.text), ConvergenceWarning, stacklevel=2)
        return self

    def decision_function(self, X: Any) -> Array:
        """Return the log-odds (n,) of the second class; each depends on its row alone."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, order="C", reset=False)
        return row_logits(self.theta_, X)

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities (n, 2) of the classes."""
        z = self.decision_function(X)
        return np.column_stack([sigmoid(-z), sigmoid(z)])

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the likelier class (n,) of each row."""
        is_second = self.decision_function(X) >= 0
        predicted: npt.NDArray[Any] = self.classes_[is_second.astype(np.intp)]
        return predicted

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _settings(self) -> _Settings:
        given = self.optimiser if isinstance(self.optimiser, Mapping) else {"name": self.optimiser}
        if "name" not in given:
            raise ValueError(f"optimiser must hold a name; got {dict(given)}")
        optimiser = {**OPTIMISERS.get(str(given.get("name")), {}), **given}
        if self.learning_rate is not None and optimiser.get("name") != "newton":
            optimiser["learning_rate"] = self.learning_rate
        names = ("epochs", "batch_size", "l2")
        tree = {name: _plain(getattr(self, name)) for name in names}
        if tree["l2"] == "cv":
            raise ValueError("l2 must be a number or auto; got 'cv': use GridSearchCV")
        try:
            optimiser = {name: _plain(value) for name, value in optimiser.items()}
            return _Settings.parse({"optimiser": optimiser, "train": tree})
        except ConfigError as error:
            raise ValueError(_worded(str(error))) from None

    def _labels(self, y: npt.NDArray[Any]) -> Array:
        """Return the labels as 0.0 and 1.0; set ``classes_``."""
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        if kind != "binary":
            raise ValueError(
                f"Only binary classification is supported. The type of the target is {kind}."
            )
        self.classes_, places = np.unique(y, return_inverse=True)
        return places.astype(np.float64)

    def _train(self, examples: Examples, settings: _Settings) -> Trained:
        seed = self.random_state
        if not isinstance(seed, numbers.Integral):
            seed = check_random_state(seed).randint(LARGEST_SEED)
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = [f"x{j}" for j in range(examples.X.shape[1])]
        trained = train(examples, None, tuple(names), settings.optimiser, settings.train, int(seed))
        try:
            trained.require_finite(settings.optimiser)
        except TrainingError as error:
            text = f"{error}, or scale X, as StandardScaler does"
            raise ValueError(_worded(text)) from None
        return trained


def _plain(value: Any) -> Any:
    """Return a number of NumPy as one of Python: grids hold them."""
    return value.item() if isinstance(value, np.generic) else value


def _worded(text: str) -> str:
    """Return a message about the settings of a run as one about parameters."""
    text = text.replace("optimiser.name", "optimiser").replace("auto, cv or", "auto or")
    return re.sub(r"\b(optimiser|train)\.(?=learning_rate|epochs|batch_size|l2)", "", text)
