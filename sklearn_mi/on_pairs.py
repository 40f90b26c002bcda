"""What a learner says of pairs of rows: their codes, their scores, bounds on what they share."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from sklearn_mi._compat import in_container
from sklearn_mi.building import rows_of
from sklearn_mi.encoding import check_length
from sklearn_mi.matching import best_pairs, pair_scores, second_table
from sklearn_mi.preparation import EVALUATION_SEED, Given, Known, read_data
from sklearn_mi.reports import every_bound, held_out_infonce, pair_codes
from sklearn_mi.rows import AnyRows, names_out, read_pair, residual_rows, warn_of_lacking
from sklearn_mi.runtime import choose_device, threads
from sklearn_mi.sides import check_lacking

if TYPE_CHECKING:
    from sklearn_mi.model import PairModel
    from sklearn_mi.rows import Schema

__all__ = ["OnPairs"]


class OnPairs:
    """The methods of `sklearn_mi.MIRepresentationLearner` that take both rows of a pair."""

    n_threads: Any
    device: Any
    eval_block_size: Any
    _model: PairModel
    _schemas: tuple[Schema, Schema | None]
    _settings: dict[str, Any]
    _encode: Any

    def transform_pair(self, X_pair: Any, *, confounds: Any = None) -> Any:
        """Return the codes of rows of the second table.

        Parameters
        ----------
        X_pair : array-like, sparse matrix or Tensor of shape (n_samples, n_features_pair)
            With a view that cuts one table into two sets of columns, such as `Columns`: rows of
            the second set. With several tables, or sets of columns, a list of them.
        confounds : array-like of shape (n_samples, n_confounds), default=None
            Needed if ``fit`` was given any.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            In the container that ``set_output`` asks for. The codes of several tables stand side by
            side. NaN where a row lacks the table: all of its values there are missing.

        Raises
        ------
        ValueError
            If the learner was fitted without a second table.
        """
        check_is_fitted(self)
        model, name = self._model, type(self).__name__
        schema, scale = second_table(model, self._schemas)
        rows = read_pair(X_pair, schema, name)
        warn_of_lacking(rows, "X_pair")
        rows = residual_rows(rows, confounds, model.confounds, 1, name)
        check_length(rows, scale, model.encoder_y, "X_pair")
        codes = self._encode(rows, scale, partial(model.transform_second, may_lack=rows.may_lack))

        def names() -> np.ndarray:
            columns = model.pair_columns(schema.kind.row_shape)
            return names_out(columns, schema.column_names, name.lower())

        return in_container(codes, X_pair[0] if schema.parts else X_pair, self, names)

    def score_pairs(self, A: Any, B: Any, *, similarity: str = "critic") -> np.ndarray:
        """Return the score of each row of ``A`` against each row of ``B``.

        Parameters
        ----------
        A : array-like of shape (n, n_features)
            Rows as in ``X``.
        B : array-like of shape (m, n_features_pair)
            Rows as in ``X_pair``, or of the second set of columns of `Columns`.
        similarity : {"critic", "cosine"}, default="critic"
            Scores of the critic, behind any head; or cosines of the codes.

        Returns
        -------
        scores : ndarray of shape (n, m)

        Raises
        ------
        ValueError
            If there are not exactly two tables, or the critic was not trained.

        Examples
        --------
        >>> from sklearn_mi import MIRepresentationLearner
        >>> from sklearn_mi.datasets import make_two_omics
        >>> A, B, _ = make_two_omics(200, 60, 40, random_state=0)
        >>> learner = MIRepresentationLearner(max_steps=50, random_state=0)
        >>> learner.fit(A[:150], X_pair=B[:150]).score_pairs(A[150:], B[150:]).shape
        (50, 50)
        """
        check_is_fitted(self)
        with threads(self.n_threads):
            return pair_scores(self, self._model, self._schemas, A, B, similarity)

    def retrieve(
        self, A: Any, B: Any, k: int = 10, *, similarity: str = "critic"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the k best partners in ``B`` of each row of ``A``, computed in blocks.

        Parameters
        ----------
        A, B : array-like
            As for `score_pairs`.
        k : int, default=10
        similarity : {"critic", "cosine"}, default="critic"

        Returns
        -------
        scores : ndarray of shape (n, k)
            Best first.
        indices : ndarray of int of shape (n, k)
            Of the rows of ``B``.

        Raises
        ------
        ValueError
            As `score_pairs`, and if ``B`` has fewer than k rows.
        """
        check_is_fitted(self)
        with threads(self.n_threads):
            return best_pairs(self, self._model, self._schemas, A, B, k, similarity)

    def score(
        self,
        X: Any,
        y: Any = None,
        *,
        X_pair: Any = None,
        groups: Any = None,
        confounds: Any = None,
    ) -> float:
        """Return InfoNCE of the learned critic on rows, in nats; higher is tighter, not better.

        Rows are compared within blocks of ``eval_block_size``, whatever the objective, so a grid
        search compares critics and encoders at the same ceiling: log(eval_block_size), or
        log(n_samples) with fewer rows. Compare scores of one view only, since another view bounds
        another quantity.

        A larger bound is not a better representation. Over 24 combinations of view and critic on
        digits, the bound and the accuracy rank in slightly opposite orders: with all labels
        Kendall's tau is -0.13. With 5 labels per class it is -0.45.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, n_features)
            At least two rows that ``fit`` did not see.
        y : array-like of shape (n_samples,), default=None
            As for ``fit``.
        X_pair : array-like of shape (n_samples, n_features_pair), or list of them, default=None
        groups : array-like of shape (n_samples,), default=None
        confounds : array-like of shape (n_samples, n_confounds), default=None

        Returns
        -------
        bound : float
            In nats.
        """
        rows = self._new_rows(X, Given(X_pair, groups, y, confounds))
        with threads(self.n_threads):
            block = int(self.eval_block_size)
            return held_out_infonce(self._model, rows, block, EVALUATION_SEED)[0]

    def bounds(
        self,
        X: Any,
        y: Any = None,
        *,
        X_pair: Any = None,
        groups: Any = None,
        confounds: Any = None,
    ) -> dict[str, float]:
        """Return every bound of the learned critic on rows, in nats.

        A bound that needs a trained head of its own appears only as ``"objective"``. Values on
        training rows are not bounds, but their excess over values on new rows shows how much the
        critic overfits.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            As for ``fit``.
        X_pair : array-like of shape (n_samples, n_features_pair), or list of them, default=None
        groups : array-like of shape (n_samples,), default=None
        confounds : array-like of shape (n_samples, n_confounds), default=None

        Returns
        -------
        values : dict of float
            Means over blocks of ``eval_block_size`` rows, by name. "objective" is the bound that
            the objective reports; "maximised" is what training maximises.
        """
        rows = self._new_rows(X, Given(X_pair, groups, y, confounds))
        with threads(self.n_threads):
            return every_bound(self._model, rows, int(self.eval_block_size), EVALUATION_SEED)

    def transform_views(
        self,
        X: Any,
        y: Any = None,
        *,
        X_pair: Any = None,
        groups: Any = None,
        confounds: Any = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the codes of both views of each row, as training pairs them.

        Use it for measures of pairs, such as `sklearn_mi.diagnostics.alignment`, or to train
        another critic on frozen codes. For the code of a row, use ``transform``. The view is drawn
        once for each row; the same rows always give the same draw.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            As for ``fit``.
        X_pair : array-like of shape (n_samples, n_features_pair), or list of them, default=None
        groups : array-like of shape (n_samples,), default=None
        confounds : array-like of shape (n_samples, n_confounds), default=None

        Returns
        -------
        Z, Z_prime : ndarray of shape (n_samples, n_components)
            If the view pairs rows with rows, only rows that have a partner.
        """
        rows = self._new_rows(X, Given(X_pair, groups, y, confounds))
        with threads(self.n_threads):
            return pair_codes(self._model, rows, int(self.eval_block_size), EVALUATION_SEED)

    def _new_rows(self, X: Any, given: Given) -> AnyRows:
        """Check rows to score, and return them as the model sees them."""
        check_is_fitted(self)
        model = self._model
        known = Known(model, self._schemas)
        data = read_data(cast(Any, self), self._settings, X, given, known)
        index = None if data.present is None else data.usable
        check_lacking(model, data, data.usable)
        draws = torch.Generator(choose_device(self.device)).manual_seed(EVALUATION_SEED)
        return rows_of(data, index, model.view, model.scales, draws, stream=True)
