"""A front end as a transformer of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sklearn_mi._base import DocLinkMixin
from sklearn_mi._checks import check_random_state
from sklearn_mi._compat import _check_feature_names
from sklearn_mi.front_ends.base import FrontEnd
from sklearn_mi.front_ends.fitted import MOST_ROWS
from sklearn_mi.front_ends.names import as_front_end
from sklearn_mi.rows import StandardizeSteps, names_of, one_frame
from sklearn_mi.rows.recordings import padded

__all__ = ["RecordingFeatures"]


class RecordingFeatures(
    DocLinkMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Turn recordings of any length into a table of features, without training a network.

    Each channel is centred and divided by its deviation over all steps of the training rows; then
    the front end computes its features. With ``front_end="blocks"`` they are the first principal
    components of values, convolutions and spectra together. `MIRepresentationLearner` learns from
    the same features.

    Parameters
    ----------
    front_end : str or FrontEnd, default="blocks"
        "values", "convolved", "spectral", "blocks", or an object.
    random_state : int, RandomState or None, default=None
        Decides all random draws of the front end.

    Attributes
    ----------
    front_end_ : FrontEnd
    state_ : dict of Tensor
        What the front end knows of the training rows.
    scale_ : Module
        Scales the channels.
    n_channels_ : int
    feature_names_in_ : ndarray of str
        Names of the channels, if the recordings of ``fit`` are data frames.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi.front_ends import RecordingFeatures
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(length, 2)) for length in rng.integers(10, 50, size=30)]
    >>> RecordingFeatures("spectral", random_state=0).fit_transform(X).shape
    (30, 104)
    """

    front_end_: FrontEnd
    state_: dict[str, Tensor]
    scale_: StandardizeSteps
    n_channels_: int

    def __init__(self, front_end: Any = "blocks", *, random_state: Any = None) -> None:
        self.front_end = front_end
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> RecordingFeatures:
        """Scale the channels and fit the front end.

        Parameters
        ----------
        X : array-like of shape (n, time, channels), or list of arrays of shape (time, channels)
            Missing steps at the end of a recording may be NaN. A front end sees at most 4,096
            recordings.
        y : ignored

        Returns
        -------
        self : RecordingFeatures

        Raises
        ------
        ValueError
            If X holds no recordings, or the front end gives recordings, not features.
        """
        names_of(X, "X")
        _check_feature_names(self, one_frame(X), reset=True)
        front_end = as_front_end(self.front_end)
        if front_end.gives_recordings:
            raise ValueError(
                f"front_end={self.front_end!r} gives recordings, not a table; pass it to "
                "MIRepresentationLearner(front_end=...), or take 'blocks'."
            )
        rows = _checked(X)
        generator = check_random_state(self.random_state)
        if len(rows) > MOST_ROWS:
            rows = rows[np.sort(generator.permutation(len(rows))[:MOST_ROWS])]
        scale = _scale(rows)
        with torch.no_grad():
            scaled = scale(torch.as_tensor(rows))
            state = front_end.fit(scaled, int(generator.randint(2**31 - 1)))
            self._n_features_out = front_end(scaled[:1], state).shape[1]
        self.front_end_, self.state_, self.scale_ = front_end, state, scale
        self.n_channels_ = rows.shape[2] - 1
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the features of recordings.

        Parameters
        ----------
        X : array-like of shape (n, time, channels), or list of arrays of shape (time, channels)
            Of the channels of ``fit`` and of any length.

        Returns
        -------
        features : ndarray of shape (n, n_features)
        """
        check_is_fitted(self)
        _check_feature_names(self, one_frame(X), reset=False)
        rows = torch.as_tensor(_checked(X, self.n_channels_))
        with torch.no_grad():
            return self.front_end_(self.scale_(rows), self.state_).numpy()

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the features.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the channels. None: those of the data frames of ``fit``.

        Returns
        -------
        names : ndarray of str
            Of values and spectra the channel and what is told of it, such as "speed_mean", if the
            channels have names; else ``recordingfeatures0`` and so on.
        """
        check_is_fitted(self)
        channels: Any = getattr(self, "feature_names_in_", input_features)
        names = None if channels is None else self.front_end_.column_names(channels, self.state_)
        return super().get_feature_names_out() if names is None else np.array(names, dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        tags.input_tags.allow_nan = True
        return tags


def _checked(X: Any, n_channels: int | None = None) -> NDArray[Any]:
    """Return padded recordings of finite numbers."""
    rows = padded(X, n_channels)
    # Padding makes the largest float of an infinite value.
    finite = (np.abs(rows) < np.finfo(rows.dtype).max).all(axis=(1, 2))
    if not finite.all():
        raise ValueError(f"X[{finite.argmin()}] has infinite values; expected finite numbers.")
    return rows


def _scale(rows: NDArray[Any]) -> StandardizeSteps:
    """Return the layer that scales each channel by its moments over all observed steps."""
    steps = rows[rows[..., -1] > 0][:, :-1].astype(np.float64)
    return StandardizeSteps(steps.mean(0), np.where(np.ptp(steps, 0) > 0, steps.std(0), np.inf))
