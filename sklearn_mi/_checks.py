"""Labels, codes and random states that a user passes, checked in one place.

Every error names the argument, what is wrong with it, and the cure. Imports nothing of ours.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Mapping
from inspect import ismodule, isroutine
from numbers import Integral, Number
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.sparse import issparse
from sklearn import utils
from sklearn.model_selection import check_cv

__all__ = [
    "check_classes",
    "check_codes",
    "check_container",
    "check_names",
    "check_own_folds",
    "check_random_state",
    "check_values",
    "check_weights",
    "is_continuous",
    "native_table",
    "readable",
    "without_gradient",
]


def check_random_state(random_state: Any) -> np.random.RandomState:
    """Return scikit-learn's generator for a ``random_state``.

    Parameters
    ----------
    random_state : int, RandomState or None
        None: numpy's global generator.

    Returns
    -------
    generator : RandomState

    Raises
    ------
    ValueError
        For anything else; for a Generator of numpy the message names the cure.
    """
    if isinstance(random_state, np.random.Generator):
        raise ValueError(
            f"random_state={random_state!s}; expected an integer, a RandomState or None, as in "
            "scikit-learn: pass random_state=int(generator.integers(2**31))."
        )
    if isinstance(random_state, Integral) and not 0 <= int(random_state) < 2**32:
        raise ValueError(f"random_state={random_state}; expected an integer from 0 to 2**32 - 1.")
    return utils.check_random_state(random_state)


def without_gradient(values: Any) -> Any:
    """Return a tensor that numpy can read, and anything else unchanged.

    Parameters
    ----------
    values : object

    Returns
    -------
    values : object
    """
    return values.detach() if getattr(values, "requires_grad", False) else values


def readable(values: Any) -> Any:
    """Return values of which numpy reads what is there, and nothing else.

    Parameters
    ----------
    values : object

    Returns
    -------
    values : object
        Tensors of any device without their gradient, bfloat16 as float32; of a masked array an
        array of objects, with None where it is masked.
    """
    if hasattr(values, "requires_grad") and hasattr(values, "detach"):
        values = values.detach().cpu()
        return values.float() if str(values.dtype) == "torch.bfloat16" else values
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        # What the mask hides is missing; numpy would take it.
        return np.where(np.ma.getmaskarray(values), cast(Any, None), values.data.astype(object))
    return values


def native_table(X: Any) -> Any:
    """Return a table whose numbers pandas can take rows of, and anything else unchanged.

    Parameters
    ----------
    X : object

    Returns
    -------
    X : object
        Numbers of files from other machines, with their bytes in the order of this one.
    """
    if isinstance(X, np.ndarray) and X.dtype.kind in "iuf" and not X.dtype.isnative:
        return X.astype(X.dtype.newbyteorder("="))
    if not isinstance(X, pd.DataFrame):
        return X
    kinds = [(i, t) for i, t in enumerate(X.dtypes) if isinstance(t, np.dtype) and not t.isnative]
    if not kinds:
        return X
    columns = [values for _, values in X.items()]
    for i, kind in kinds:
        turned = columns[i].to_numpy().astype(kind.newbyteorder("="))
        columns[i] = pd.Series(turned, index=X.index)
    frame = pd.concat(columns, axis=1)
    frame.columns = X.columns
    return frame


def _is_item(item: Any) -> bool:
    """Return whether one of a list is an item of a data set: a row with its label, or by name."""
    if isinstance(item, Mapping):
        return any(getattr(value, "ndim", 0) > 0 for value in item.values())
    if not isinstance(item, tuple) or len(item) < 2 or not getattr(item[0], "ndim", 0):
        return False
    # Arrays of one shape are a row of their own.
    return any(getattr(value, "shape", ()) != item[0].shape for value in item[1:])


def _kinds(item: Any) -> str:
    values = list(item.values()) if isinstance(item, Mapping) else item
    return " and ".join(dict.fromkeys(type(value).__name__ for value in values))


def _is_lazy(X: Any) -> bool:
    return hasattr(X, "collect") and not hasattr(X, "__len__")


def _told_of_mapping(name: str, X: Mapping[Any, Any], package: str) -> str:
    """Say which part of a dict, or of a file of arrays, is to be passed."""
    first = next(iter(X), None)
    if first is not None and package == "numpy":
        return f"{name} is a file of arrays; pass one of them, {name}[{first!r}]."
    if first is not None and len(getattr(X[first], "shape", ())) > 1:
        kind = type(X[first]).__name__
        return (
            f"{name} is a dict of a {kind} for each name; pass one of them, {name}[{first!r}], or "
            f"list({name}.values()) if each is a recording."
        )
    return (
        f"{name} is a dict; expected a table of rows: pass pandas.DataFrame({name}), or "
        f"pandas.DataFrame([{name}]) if it is one row."
    )


def _refuse_records(name: str, X: NDArray[Any]) -> None:
    """Refuse an array whose columns are fields, and one around a single object."""
    if X.dtype.names is not None:
        raise TypeError(
            f"{name} is an array of records, of fields {list(X.dtype.names)}; pass "
            f"pandas.DataFrame({name})."
        )
    if X.dtype == object and not X.ndim:
        raise TypeError(
            f"{name} is an array of no axes around a {type(X.item()).__name__}; expected rows: "
            f"pass {name}.item(), or [{name}.item()] if it is one recording."
        )


def _refuse_list(name: str, first: Any) -> None:
    """Refuse a list, by the first of it, that holds no rows or holds them by name."""
    if _is_lazy(first):
        raise TypeError(
            f"{name} is a list of lazy frames, which hold no rows; pass [frame.collect() for frame "
            f"in {name}]."
        )
    if _is_item(first):
        raise TypeError(
            f"{name} is a list of items of a data set, each a {type(first).__name__} of "
            f"{_kinds(first)}; expected rows: pass numpy.stack of the rows alone, or the data set "
            "itself; where scikit-learn picks the rows of folds, let it pick their numbers, and a "
            "FunctionTransformer make a torch.utils.data.Subset of them."
        )
    if isinstance(first, Mapping):
        raise TypeError(f"{name} is a list of dicts; pass pandas.DataFrame({name}).")


def check_container(name: str, X: Any) -> None:
    """Refuse what holds no rows yet, or holds them by column: the message names the cure.

    Parameters
    ----------
    name : str
        Of the argument, for messages.
    X : object
        Rows as the user passes them.

    Raises
    ------
    TypeError
        For a lazy frame, a dict, a list of dicts or of items of a data set, a path, a group of
        arrays, rows that can only be iterated, and what has no rows at all.
    """
    if issparse(X):
        return
    if getattr(X, "is_meta", False):
        raise TypeError(f"{name} is a tensor on torch's meta device, which holds no values.")
    if isinstance(X, type) or isroutine(X) or ismodule(X):
        raise TypeError(f"{name} is {X!r}; expected rows of shape (n_samples, n_features).")
    if _is_lazy(X):
        raise TypeError(f"{name} is a lazy frame, which holds no rows; pass {name}.collect().")
    package = type(X).__module__.partition(".")[0]
    if package in ("h5py", "zarr") and not hasattr(X, "shape"):
        kind = type(X).__name__
        raise TypeError(f"{name} is a {kind} of {package}; pass one of its arrays, {name}['...'].")
    if isinstance(X, Mapping):
        raise TypeError(_told_of_mapping(name, X, package))
    if isinstance(X, np.ndarray):
        _refuse_records(name, X)
    if isinstance(X, list | tuple) and X:
        _refuse_list(name, X[0])
    if isinstance(X, pd.Series) and X.dtype == object and len(X) and np.ndim(X.iloc[0]):
        are_recordings = np.ndim(X.iloc[0]) > 1 or X.map(np.shape).nunique() > 1
        cure = f"list({name})" if are_recordings else f"numpy.stack({name})"
        raise TypeError(f"{name} is a Series of arrays; pass {cure}.")
    if str(getattr(X, "dtype", "")).startswith(("List(", "Array(")):
        raise TypeError(f"{name} is a Series of lists; pass {name}.to_list().")
    if X is None or isinstance(X, str | bytes | os.PathLike):
        raise TypeError(f"{name}={X!r}; expected rows of shape (n_samples, n_features).")
    numbered = ("__getitem__", "__array__", "__dataframe__", "__arrow_c_stream__")
    if hasattr(X, "__iter__") and not any(hasattr(X, each) for each in numbered):
        raise TypeError(
            f"{name} is a {type(X).__name__}, whose rows come one after the other; expected rows "
            f"with numbers: pass numpy.concatenate(list({name})), or numpy.stack of single rows."
        )


def check_weights(name: str, weights: Any, n_rows: int) -> NDArray[np.float64]:
    """Return one weight for each row: finite, none negative, and not all 0.

    Parameters
    ----------
    name : str
        Of the argument, for messages.
    weights : array-like of shape (n_rows,)
    n_rows : int

    Returns
    -------
    weights : ndarray of shape (n_rows,)

    Raises
    ------
    ValueError
        For anything else.
    """
    values = check_values(name, weights, n_rows)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds {values[0]!s}; expected numbers, none of them negative.")
    numbers = values.astype(np.float64)
    bad = ~np.isfinite(numbers) | (numbers < 0)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"{name} is {numbers[row]:g} in row {row}; expected finite numbers, none of them "
            "negative."
        )
    if n_rows and not numbers.any():
        raise ValueError(f"{name} is 0 in every row; expected a positive weight in one at least.")
    return numbers


def check_names(name: str, contestants: Any) -> None:
    """Refuse anything but a dict of estimators by name.

    Parameters
    ----------
    name : str
        Of the argument, for messages.
    contestants : object

    Raises
    ------
    TypeError
        If it is none, or if it holds classes.
    """
    if not isinstance(contestants, Mapping):
        raise TypeError(
            f"{name} is of type {type(contestants).__name__}; expected a dict of estimators by "
            f"name, as {{'PCA': PCA(16)}}."
        )
    for key, estimator in contestants.items():
        if isinstance(estimator, type):
            raise TypeError(
                f"{name}[{key!r}] is the class {estimator.__name__}; expected an estimator: "
                f"{estimator.__name__}()."
            )


def check_values(name: str, values: Any, n_rows: int, table: str = "X") -> NDArray[Any]:
    """Return one value for each row of a table, none of them missing.

    Parameters
    ----------
    name : str
        Of the argument, for messages.
    values : array-like of shape (n_rows,)
    n_rows : int
    table : str
        Name of the table that has the rows, for messages.

    Returns
    -------
    values : ndarray of shape (n_rows,)

    Raises
    ------
    ValueError
        If there is not one value for each row, one is missing, or text and numbers are mixed.
    """
    if values is None:
        raise ValueError(f"{name}=None; expected one value for each row of {table}.")
    values = readable(values)
    # NumPy would turn a list of text and NaN into text.
    array = np.asarray(values, dtype=object if isinstance(values, list | tuple) else None)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(
            f"{name} has shape {array.shape}; expected ({n_rows},), one value for each row of "
            f"{table}. For one-hot columns pass {name}.argmax(axis=1)."
        )
    if len(array) != n_rows:
        raise ValueError(
            f"{name} has {len(array)} values, but {table} has {n_rows} rows; expected one value "
            "for each row."
        )
    missing = np.asarray(pd.isna(array))
    if missing.any():
        raise ValueError(
            f"{name} has {missing.sum()} missing values, the first in row {missing.argmax()}; "
            "drop these rows, or fill them in."
        )
    return _of_one_kind(name, array) if array.dtype == object else array


def _of_one_kind(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return an array of objects as numbers or as text."""
    kind = pd.api.types.infer_dtype(array)
    if kind == "string":
        return array.astype(str)
    if kind == "decimal":
        return array.astype(np.float64)
    array = pd.Series(array, dtype=object).infer_objects().to_numpy()
    if array.dtype != object or "mixed" not in kind:
        return array
    kinds = sorted({type(value) for value in array}, key=lambda each: each.__name__)
    if all(issubclass(each, str | Number | np.generic) for each in kinds):
        raise ValueError(f"{name} mixes text and numbers; expected one kind: {name}.astype(str).")
    found = " and ".join(each.__name__ for each in kinds)
    cure = f"list(map(str, {name})) if they name classes"
    if all(hasattr(each, "item") for each in kinds):
        cure = f"[value.item() for value in {name}]"
    raise ValueError(f"{name} holds {found} objects; expected numbers or text: pass {cure}.")


def is_continuous(values: NDArray[Any]) -> bool:
    """Return whether values are numbers that are not all whole."""
    if values.dtype.kind != "f":
        return False
    return not (np.isfinite(values) & (values == np.floor(values))).all()


def check_classes(
    name: str, y: Any, n_rows: int, table: str = "X", *, least: int = 1
) -> NDArray[Any]:
    """Return the class of each row.

    Parameters
    ----------
    name : str
        Of the argument, for messages.
    y : array-like of shape (n_rows,)
    n_rows : int
    table : str
        Name of the table that has the rows, for messages.
    least : int
        Fewest classes that will do.

    Returns
    -------
    y : ndarray of shape (n_rows,)
        Whole numbers, truth values or text.

    Raises
    ------
    ValueError
        As `check_values` does, or if the values are continuous or there are too few classes.
    """
    array = check_values(name, y, n_rows, table)
    if not len(array):
        raise ValueError(f"{name} has no values; expected one class for each row of {table}.")
    if array.dtype.kind not in "biufUSO":
        raise ValueError(
            f"{name} holds {array.dtype}; expected classes: numbers, text or truth values. Dates "
            f"that name classes are {name}.astype(str)."
        )
    distinct = np.unique(array)
    if is_continuous(array):
        raise ValueError(
            f"{name} is continuous: {len(distinct)} different values, such as {array[0]:.6g}; "
            f"expected classes. Bin it, as by pandas.qcut({name}, 5, labels=False), or pass "
            f"{name}.astype(str) if its numbers name classes."
        )
    if len(distinct) < least:
        raise ValueError(
            f"{name} has {len(distinct)} class, {distinct[0]!s}; expected {least} or more."
        )
    return array


def check_codes(
    name: str,
    Z: ArrayLike | Any,
    *,
    dtype: DTypeLike | None = np.float64,
    least_rows: int = 1,
    least_columns: int = 1,
) -> NDArray[Any]:
    """Return a table of finite numbers.

    Parameters
    ----------
    name : str
        Of the argument, for messages.
    Z : array-like, sparse matrix or data frame of shape (n_rows, n_components)
    dtype : dtype or None
        What the numbers are brought to; None keeps floating-point numbers as they are.
    least_rows, least_columns : int
        Fewest that will do.

    Returns
    -------
    Z : ndarray of shape (n_rows, n_components)

    Raises
    ------
    ValueError
        If ``Z`` is no table, is too small, or holds anything but finite numbers.
    """
    Z = readable(Z)
    try:
        array = np.asarray(Z.toarray() if issparse(Z) else Z)  # type: ignore[union-attr]
    except ValueError as error:
        raise ValueError(
            f"{name} has rows of unequal lengths, or lists in place of numbers ({error}); expected "
            "a table (n_rows, n_components)."
        ) from error
    if array.ndim != 2:
        cure = "reshape(-1, 1)" if array.ndim < 2 else f"reshape({len(array)}, -1)"
        raise ValueError(
            f"{name} has shape {array.shape}; expected (n_rows, n_components): {name}.{cure}."
        )
    for n, least, what in zip(
        array.shape, (least_rows, least_columns), ("rows", "columns"), strict=True
    ):
        if n < least:
            raise ValueError(f"{name} has {n} {what}; expected at least {least}.")
    numbers = _numbers(name, Z, array, dtype)
    bad = np.asarray(~np.isfinite(numbers).all(axis=1))
    if bad.any():
        raise ValueError(
            f"{name} has NaN or infinity in {bad.sum()} of {len(bad)} rows, the first being row "
            f"{bad.argmax()}; drop these rows, or fill them in."
        )
    return numbers


def _numbers(name: str, Z: Any, array: NDArray[Any], dtype: DTypeLike | None) -> NDArray[Any]:
    """Return an array as numbers, or name the first value that is none."""
    if dtype is None:
        dtype = array.dtype if array.dtype.kind == "f" else np.float64
    if array.dtype.kind not in "biufOU":
        raise ValueError(f"{name} is of type {array.dtype}; expected real numbers.")
    if array.dtype == object:
        array = np.where(pd.isna(array), np.nan, array)
    try:
        return array.astype(dtype, copy=False)
    except (TypeError, ValueError):
        labels = Z.columns if isinstance(Z, pd.DataFrame) else range(array.shape[1])
        label, value = next(
            (label, value)
            for label, column in zip(labels, array.T, strict=True)
            for value in column
            if not _is_number(value)
        )
    raise ValueError(
        f"{name} holds {value!s} in column {label!r}; expected numbers: encode the column, as by "
        "OneHotEncoder, or leave it out."
    )


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def check_own_folds(cv: Any, n: int, y: Any = None, groups: Any = None) -> list[Any]:
    """Return the folds of a user: pairs of training and test rows, as numbers.

    Parameters
    ----------
    cv : int, splitter or iterable of (train, test)
        Numbers of rows or masks.
    n : int
        Rows to split.
    y, groups : array-like of shape (n,), default=None

    Returns
    -------
    folds : list of tuple of ndarray

    Raises
    ------
    ValueError
        If there is no fold, or if one is no pair of rows that there are.
    """
    y = np.zeros(n) if y is None else y
    is_own = isinstance(cv, Iterable) and not isinstance(cv, str) and not hasattr(cv, "split")
    splits = cv if is_own else cast(Any, check_cv(cast(Any, cv))).split(y, y, groups)
    folds = []
    for split in splits:
        pair = list(split) if isinstance(split, Iterable) else []
        if len(pair) != 2:
            raise ValueError(f"cv has a fold {split!r}; expected pairs (train, test) of rows.")
        folds.append(tuple(_numbers_of(part, n) for part in pair))
    if not folds:
        raise ValueError("cv has no folds; expected one or more pairs (train, test) of rows.")
    return folds


def _numbers_of(part: Any, n: int) -> NDArray[np.intp]:
    """Return the numbers of the rows of one side of a fold; refuse rows that there are not."""
    rows = np.asarray(part)
    if rows.dtype == bool and rows.shape == (n,):
        return np.flatnonzero(rows)
    if rows.ndim != 1 or not len(rows) or rows.dtype.kind not in "iu":
        told = textwrap.shorten(repr(part), 80)
        raise ValueError(
            f"cv has a fold with rows {told}; expected numbers, or a mask of {n} rows."
        )
    if wrong := rows[(rows < -n) | (rows >= n)].tolist():
        raise ValueError(f"cv has a fold with row {wrong[0]}; expected rows 0 to {n - 1}.")
    return np.arange(n)[rows]
