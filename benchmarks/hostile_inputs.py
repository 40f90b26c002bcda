"""Inputs of every shape, kind and container, and what estimators make of them."""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from altered_files import Hang, at_most, is_clear
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.preprocessing import MaxAbsScaler

SECONDS = 60
DTYPES = (
    *("bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64", "float64"),
    *("object", "object-mixed", "str", "datetime64[ns]", "timedelta64[s]", "complex64"),
    *("bytes", "decimal", "dict", "category"),
)
FILLINGS = (
    *("normal", "normal", "normal", "nan", "all-nan", "nan-column", "nan-row", "inf", "1e300"),
    *("1e-300", "constant", "zeros", "duplicates", "negative", "integers", "offset"),
)
LAYOUTS = ("C", "C", "F", "strided", "reversed", "read-only", "memmap", "swapped-bytes")
CONTAINERS = (
    *(
        "array",
        "array",
        "list",
        "tuple",
        "pandas",
        "polars",
        "polars-lazy",
        "pyarrow",
        "csr",
        "csc",
    ),
    *("coo", "tensor", "tensor-grad", "matrix", "masked", "series", "dict", "generator", "none"),
    *("pandas-names", "pandas-index", "pandas-nullable", "scalar", "text", "xarray-like"),
)
SHAPES = (
    *((30, 4), (30, 4), (30, 4), (24, 3), (30, 1), (2, 3), (1, 3), (0, 3), (3, 0), (0, 0), (5, 40)),
    *((30,), (), (30, 4, 4), (30, 6, 2), (12, 8, 8, 3), (30, 1, 1), (2, 2, 2, 2, 2), (60, 2)),
)


class Arrayish:
    """An object of somebody else's that only knows how to become an array."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __len__(self):
        return len(self.array)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype=dtype)

    def __getitem__(self, index):
        return self.array[index]


def filled(rng: np.random.Generator, shape: tuple, filling: str) -> np.ndarray:
    """Return floats of a shape."""
    x = rng.normal(size=shape)
    flat = x.reshape(-1) if x.ndim else x
    some = rng.random(shape) < 0.1
    if filling in ("nan", "inf"):
        x = np.where(some, np.nan if filling == "nan" else np.inf, x)
    elif filling == "all-nan":
        x = x * np.nan
    elif filling == "nan-column" and x.ndim > 1 and x.shape[1]:
        x[:, 0] = np.nan
    elif filling == "nan-row" and x.ndim > 1 and len(x):
        x[0] = np.nan
    elif filling == "1e300":
        x = x * 1e300
    elif filling == "1e-300":
        x = x * 1e-300
    elif filling in ("constant", "zeros"):
        x = np.full(shape, 3.5 if filling == "constant" else 0.0)
    elif filling == "duplicates" and x.ndim and len(x):
        x = np.broadcast_to(x[:1], shape).copy()
    elif filling == "negative":
        x = -np.abs(x)
    elif filling == "integers":
        x = np.round(x)
    elif filling == "offset":
        x = x + 1e9
    return x if flat.size else x.reshape(shape)


def as_dtype(x: np.ndarray, dtype: str) -> np.ndarray:
    """Return floats as another kind of values."""
    if dtype == "object":
        return x.astype(object)
    if dtype == "object-mixed":
        made = x.astype(object)
        flat = made.reshape(-1)
        for place, value in zip(
            range(0, flat.size, 3), ["a", None, 3, [1], {}] * 100, strict=False
        ):
            flat[place] = value
        return flat.reshape(x.shape)
    if dtype == "decimal":
        return np.array([Decimal(str(v)) for v in x.reshape(-1)], dtype=object).reshape(x.shape)
    if dtype == "dict":
        return np.array([{"a": v} for v in x.reshape(-1)], dtype=object).reshape(x.shape)
    if dtype == "str":
        return np.array([f"w{v:.0f}" for v in x.reshape(-1)], dtype=str).reshape(x.shape)
    if dtype == "category":
        return np.array([f"w{v:.0f}" for v in x.reshape(-1)], dtype=object).reshape(x.shape)
    if dtype == "bytes":
        return np.array([f"{v:.1f}" for v in x.reshape(-1)], dtype="S").reshape(x.shape)
    with np.errstate(all="ignore"):
        if dtype.startswith(("datetime", "timedelta")):
            return (np.nan_to_num(x, posinf=0, neginf=0) % 1000).astype("int64").astype(dtype)
        if dtype == "complex64":
            return x.astype(dtype) + 1j
        return x.astype(dtype)


def laid_out(x: np.ndarray, layout: str, folder: Path) -> np.ndarray:
    """Return the same array in another layout of memory."""
    if layout == "F":
        return np.asfortranarray(x)
    if layout == "strided" and x.ndim:
        return np.repeat(x, 2, axis=-1)[..., ::2] if x.shape[-1] else x
    if layout == "reversed" and x.ndim:
        return x[::-1]
    if layout == "read-only" and x.ndim:
        x = x.copy()
        x.flags.writeable = False
    if layout == "memmap" and x.size and x.dtype.kind in "biuf":
        path = Path(tempfile.mkdtemp(dir=folder), "rows.npy")
        np.save(path, x)
        return np.load(path, mmap_mode="r")
    if layout == "swapped-bytes" and x.dtype.kind in "iuf":
        return x.astype(x.dtype.newbyteorder())
    return x


def contained(x: np.ndarray, container: str) -> Any:
    """Return an array in another container; as it is, where that container cannot hold it."""
    import polars
    import pyarrow
    import torch

    is_table = x.ndim == 2
    names = [f"c{i}" for i in range(x.shape[1])] if is_table else []
    made: dict[str, Callable[[], Any]] = {
        "list": x.tolist,
        "tuple": lambda: tuple(x.tolist()),
        "pandas": lambda: pd.DataFrame(x),
        "pandas-names": lambda: pd.DataFrame(x, columns=names),
        "pandas-index": lambda: pd.DataFrame(x, columns=names, index=np.arange(len(x))[::-1] * 7),
        "pandas-nullable": lambda: pd.DataFrame(x, columns=names).convert_dtypes(),
        "polars": lambda: polars.DataFrame(x, schema=names),
        "polars-lazy": lambda: polars.DataFrame(x, schema=names).lazy(),
        "pyarrow": lambda: pyarrow.table(dict(zip(names, x.T, strict=True))),
        "csr": lambda: sparse.csr_matrix(x),
        "csc": lambda: sparse.csc_array(x),
        "coo": lambda: sparse.coo_matrix(x),
        "tensor": lambda: torch.from_numpy(x.copy()),
        "tensor-grad": lambda: torch.from_numpy(x.copy()).requires_grad_(),
        "matrix": lambda: np.matrix(x),
        "masked": lambda: np.ma.masked_array(x, mask=np.zeros(x.shape, bool)),
        "series": lambda: pd.Series(list(x)),
        "dict": lambda: dict(zip(names, x.T, strict=True)),
        "generator": lambda: (row for row in x),
        "none": lambda: None,
        "scalar": lambda: x.reshape(-1)[0].item() if x.size else 3,
        "text": lambda: "rows.csv",
        "xarray-like": lambda: Arrayish(x) if x.dtype != object else x,
    }
    try:
        return made[container]() if container in made else x
    except Exception:
        # The container has refused these values itself, before they reach us.
        return x


def make(spec: tuple, folder: Path) -> Any:
    """Return the rows that (seed, shape, filling, dtype, layout, container) describes."""
    seed, shape, filling, dtype, layout, container = spec
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = as_dtype(filled(np.random.default_rng(seed), shape, filling), dtype)
        return contained(laid_out(x, layout, folder), container)


def specs(shapes=SHAPES, fillings=FILLINGS, dtypes=DTYPES, containers=CONTAINERS):
    """Return a strategy of descriptions; half of the parts are the usual ones."""

    def often(usual, every):
        return st.one_of(st.just(usual), st.sampled_from(every))

    return st.tuples(
        st.integers(0, 5),
        often((30, 4), shapes),
        often("normal", fillings),
        often("float64", dtypes),
        st.sampled_from(LAYOUTS),
        often("array", containers),
    )


TARGETS = (
    *("classes", "classes", "numbers", "words", "few", "few-numbers", "one-class", "one-a-row"),
    *("nan", "inf", "none", "decimal", "2d", "column", "wrong-length", "dates", "objects", "bools"),
    *("empty", "list-none", "complex", "polars", "series", "text", "dict", "huge", "csr", "scalar"),
)
MEASURED = {"numbers", "few-numbers", "nan", "inf", "huge", "decimal"}


def target(name: str, n: int, seed: int) -> Any:
    """Return a target of so many rows."""
    import polars

    rng = np.random.default_rng(seed)
    classes, numbers = np.arange(n) % 2, rng.normal(size=n)
    few = np.where(np.arange(n) < max(4, n // 3), classes, -1)
    made = {
        "classes": lambda: classes,
        "numbers": lambda: numbers,
        "words": lambda: np.array(["no", "yes"], object)[classes],
        "few": lambda: few,
        "few-numbers": lambda: np.where(few < 0, np.nan, numbers),
        "one-class": lambda: classes * 0,
        "one-a-row": lambda: np.arange(n),
        "nan": lambda: numbers * np.nan,
        "inf": lambda: np.where(classes == 0, np.inf, numbers),
        "none": lambda: None,
        "decimal": lambda: np.array([Decimal(str(v)) for v in numbers], object),
        "2d": lambda: np.c_[classes, numbers],
        "column": lambda: classes[:, None],
        "wrong-length": lambda: np.arange(n + 3) % 2,
        "dates": lambda: np.arange(n).astype("datetime64[D]"),
        "objects": lambda: np.array([[1], {}, None, "a", 3] * n, object)[:n],
        "bools": lambda: classes == 1,
        "empty": lambda: [],
        "list-none": lambda: [None if c else "a" for c in classes],
        "complex": lambda: numbers + 1j,
        "polars": lambda: polars.Series(classes),
        "series": lambda: pd.Series(classes, index=np.arange(n)[::-1]),
        "text": lambda: "y",
        "dict": lambda: {i: c for i, c in enumerate(classes.tolist())},
        "huge": lambda: numbers * 1e300,
        "csr": lambda: sparse.csr_matrix(classes),
        "scalar": lambda: 3,
    }
    return made[name]()


WEIGHTS = (
    *["none"] * 9,
    "ones",
    "random",
    "negative",
    "nan",
    "words",
    "wrong-length",
    "2d",
    "zeros",
)


def weights(name: str, n: int) -> Any:
    """Return weights of so many rows."""
    rng = np.random.default_rng(0)
    return {
        "none": None,
        "ones": np.ones(n),
        "random": rng.random(n),
        "negative": -np.ones(n),
        "nan": np.full(n, np.nan),
        "words": ["a"] * n,
        "wrong-length": np.ones(n + 1),
        "2d": np.ones((n, 2)),
        "zeros": np.zeros(n),
    }[name]


def n_rows(X: Any) -> int:
    shape = getattr(X, "shape", None)
    if isinstance(shape, tuple) and shape:
        return int(shape[0])
    return len(X) if hasattr(X, "__len__") and shape is None else 30


# What is asked of each estimator; each takes a draw and returns numbers


def small(**params):
    from sklearn_mi import MIRepresentationLearner

    given = {"n_components": 2, "encoder": "linear", "max_steps": 2, "random_state": 0, **params}
    return MIRepresentationLearner(**given)


def ask_learner(draw, folder):
    """Fit a learner to rows, and transform the same rows or others."""
    X = make(draw(specs()), folder)
    params = draw(
        st.sampled_from(
            [
                {},
                {},
                {"view": "noise"},
                {"view": "halves"},
                {"standardize": False},
                {"n_components": 64},
                {"encoder": "auto", "n_components": None},
                {"input_shape": (2, 2)},
                {"batch_size": 1},
                {"n_components": 0},
                {"n_components": 2.5},
                {"batch_size": -1},
                {"lr": float("nan")},
                {"max_steps": 0},
                {"validation_fraction": 1.0},
                {"encoder": "mpl"},
                {"view": 3},
                {"critic": "bilinear"},
                {"objective": "nwj"},
                {"duplicates": "collapse"},
                {"column_weights": [1, 2, 3, 4]},
                {"column_weights": {"c0": -1}},
                {"random_state": -1},
                {"random_state": "x"},
                {"early_stopping": True},
                {"eval_block_size": 1},
                {"device": "tpu"},
            ]
        )
    )
    learner = small(**params).fit(X)
    other = draw(st.one_of(st.none(), specs()))
    rows = X if other is None else make(other, folder)
    return lambda: learner.transform(rows), lambda: learner.score(rows)


def ask_pair(draw, folder):
    """Fit a learner to two tables, and ask for partners."""
    X = make(draw(specs()), folder)
    pair = draw(
        st.one_of(
            specs(),
            st.lists(specs(), max_size=2),
            st.sampled_from([[], {}, (), "x", 3, [None], [3]]),
        )
    )
    if isinstance(pair, tuple) and len(pair) == 6:
        Y = make(pair, folder)
    elif isinstance(pair, list) and pair and isinstance(pair[0], tuple):
        Y = [make(each, folder) for each in pair]
        Y = [*Y, None] if draw(st.integers(0, 4)) == 0 else Y
    else:
        Y = pair
    confounds = draw(
        st.one_of(st.none(), st.none(), specs(shapes=((30, 1), (30, 2), (30,), (29, 1))))
    )
    given = {} if confounds is None else {"confounds": make(confounds, folder)}
    learner = small().fit(X, X_pair=Y, **given)
    return (
        lambda: learner.transform(X, **given),
        lambda: learner.transform_pair(Y, **given),
        lambda: learner.score(X, X_pair=Y, **given),
    )


def ask_confounds(draw, folder):
    """Fit a learner with confounds."""
    X = make(draw(specs(shapes=((30, 4), (30, 2)))), folder)
    confounds = make(draw(specs(shapes=((30, 1), (30, 2), (30,), (29, 1), (30, 40)))), folder)
    learner = small(standardize=draw(st.sampled_from(["auto", False]))).fit(X, confounds=confounds)
    return (
        lambda: learner.transform(X, confounds=confounds),
        lambda: learner.score(X, confounds=confounds),
    )


def ask_estimator(draw, folder):
    """Ask for a mutual-information number."""
    from sklearn_mi import MIEstimator

    X = make(draw(specs()), folder)
    name = draw(st.sampled_from(TARGETS))
    Y = draw(st.one_of(st.just(name), specs()))
    Y = target(Y, n_rows(X), 0) if isinstance(Y, str) else make(Y, folder)
    params = draw(
        st.sampled_from(
            [
                {},
                {},
                {"method": "neighbors"},
                {"discrete_target": True},
                {"discrete_target": "x"},
                {"method": "classifier"},
                {"method": "x"},
                {"random_state": -3},
            ]
        )
    )
    estimator = MIEstimator(max_steps=2, **{"random_state": 0, **params}).fit(X, Y)
    return (lambda: estimator.mi_.value,)


def ask_semi_supervised(draw, folder):
    """Fit a learner and a classifier or regressor, and predict."""
    from sklearn_mi import SemiSupervisedClassifier, SemiSupervisedRegressor

    X = make(draw(specs()), folder)
    n = n_rows(X)
    name = draw(st.one_of(st.sampled_from(["classes", "few"]), st.sampled_from(TARGETS)))
    y = target(name, n, 0)
    kind = draw(st.sampled_from([SemiSupervisedClassifier, SemiSupervisedRegressor]))
    learner = draw(
        st.sampled_from([MaxAbsScaler(), None, MaxAbsScaler(), MaxAbsScaler(), None, "x"])
    )
    given = (
        {} if (w := weights(draw(st.sampled_from(WEIGHTS)), n)) is None else {"sample_weight": w}
    )
    if draw(st.sampled_from([False] * 9 + [True])):
        given["unheard"] = 3
    made = kind(small() if learner is None else learner, random_state=0).fit(X, y, **given)

    def predict():
        found = made.predict(X)
        assert len(found) == n
        return found if np.asarray(found).dtype.kind in "biuf" else np.zeros(1)

    return (predict,)


def ask_compare(draw, folder):
    """Compare transformers."""
    from sklearn_mi.evaluation import compare

    X = make(draw(specs()), folder)
    usual = st.sampled_from(["classes", "numbers"])
    name = draw(st.one_of(usual, usual, st.sampled_from(TARGETS)))
    y = target(name, n_rows(X), 0)
    counted = "n_labels" if name in MEASURED else "labels_per_class"
    params = draw(
        st.sampled_from(
            [
                *[{}] * 20,
                {"scoring": "accuracy"},
                {"scoring": "r2"},
                {"scoring": "x"},
                {"n_folds": 1},
                {"n_folds": 100},
                {"labels_per_class": (1,)},
                {"n_labels": (5,)},
                {"labels_per_class": (0,)},
                {"scoring": "roc_auc"},
                {"n_draws": 0},
                {"probes": ("x",)},
                {"probes": ()},
                {"scales": ("x",)},
                {"groups": "x"},
                {"cv": 3},
                {"cv": "x"},
                {"only_folds": (9,)},
                {"diagnostics": True},
            ]
        )
    )
    given = {"n_folds": 2, "n_draws": 1, "probes": ("knn",), counted: (None,), **params}
    table = compare({"raw": None, "scaled": MaxAbsScaler()}, X, y, **given)
    metrics = [name for name in table["metric"].unique() if name] if len(table) else []
    return tuple(partial(table[name].to_numpy, float) for name in metrics)


QUESTIONS = {
    "learner": ask_learner,
    "two tables": ask_pair,
    "confounds": ask_confounds,
    "MIEstimator": ask_estimator,
    "semi-supervised": ask_semi_supervised,
    "compare": ask_compare,
}


def answered(question: Callable, draw: Any, folder: Path) -> str:
    """Return "finite" or "clear"; raise an AssertionError for anything else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with at_most(SECONDS):
                calls = question(draw, folder)
                for call in calls:
                    found = np.asarray(call(), dtype=float)
                    assert not np.isinf(found).any(), "infinite"
                    # A row that lacks a table has no code of it.
                    assert question is ask_pair or not np.isnan(found).any(), "NaN"
        except Hang as error:
            raise AssertionError(f"hang: {error}") from error
        except AssertionError:
            raise
        except Exception as error:
            if type(error).__module__.startswith("hypothesis"):
                raise
            assert is_clear(error), f"{type(error).__name__}: {error}"
            return "clear"
    return "finite"


def outcomes_of(question: str, folder: Path, n: int, number: int) -> Iterator[tuple[str, str, str]]:
    """Yield what was asked, "finite", "clear" or "crash", and a message, for n random draws."""
    found = []

    @seed(number)
    @settings(
        max_examples=n,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def ask(data):
        drawn = []

        def draw(strategy):
            drawn.append(data.draw(strategy))
            return drawn[-1]

        try:
            found.append((str(drawn), answered(QUESTIONS[question], draw, folder), ""))
        except AssertionError as error:
            outcome = "hang" if str(error).startswith("hang") else "crash"
            found.append((str(drawn), outcome, str(error)))

    ask()
    yield from found
