"""The few lines of Python that make the features of a report again."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

from sklearn_mi.summary.data import Data, Preparation

__all__ = ["Split", "reproduce"]

WIDTH = 79
PLAIN = (bool, int, float, str, type(None))


class Split(NamedTuple):
    """How many rows are trained on and how many are held out, and the seed that draws them."""

    n_train: int
    n_held_out: int
    seed: int


def reproduce(data: Data, learner: Any, split: Split) -> str:
    """Return code that turns ``X``, as it was passed to the report, into its features ``Z``.

    Parameters
    ----------
    data : Data
    learner : transformer
        Not fitted. One that a call with plain values cannot make goes by the name ``learner``.
    split : Split

    Returns
    -------
    code : str

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mi import MIRepresentationLearner
    >>> from sklearn_mi.summary.code import Split, reproduce
    >>> from sklearn_mi.summary.data import read_data
    >>> learner = MIRepresentationLearner(effort="quick", random_state=0)
    >>> print(reproduce(read_data(np.eye(20)), learner, Split(15, 5, 0)))
    from sklearn.model_selection import train_test_split
    from sklearn_mi import MIRepresentationLearner
    <BLANKLINE>
    train, held_out = train_test_split(
        X, train_size=15, test_size=5, random_state=0
    )
    learner = MIRepresentationLearner(effort='quick', random_state=0)
    features = learner.fit(train)
    Z = features.transform(held_out)
    """
    imports, lines = {"from sklearn.model_selection import train_test_split"}, []
    if data.n_unlabelled:
        lines.append("# X: only the rows that have a label")
    if data.selected:
        lines += ["X = X[", *_listed(data.selected), "]"]
    sizes = [f"train_size={split.n_train}", f"test_size={split.n_held_out}"]
    arguments = ["X", *sizes, f"random_state={split.seed}"]
    lines += _call("train, held_out = train_test_split", arguments)
    made = _learner(learner)
    if made is None:
        lines.append("# learner: the transformer that you passed to the report")
    else:
        imports.add("from sklearn_mi import MIRepresentationLearner")
        lines += _call("learner = MIRepresentationLearner", made)
    if data.preparation is None:
        lines.append("features = learner.fit(train)")
    else:
        imports |= _imports(data.preparation)
        lines += _prepare(data.preparation)
        lines.append("features = make_pipeline(prepare, learner).fit(train)")
    lines.append("Z = features.transform(held_out)")
    return "\n".join([*sorted(imports), "", *lines])


def _call(name: str, arguments: list[str]) -> list[str]:
    line = f"{name}({', '.join(arguments)})"
    if len(line) <= WIDTH:
        return [line]
    inner = f"    {', '.join(arguments)}"
    body = [inner] if len(inner) <= WIDTH else [f"    {argument}," for argument in arguments]
    return [f"{name}(", *body, ")"]


def _learner(learner: Any) -> list[str] | None:
    """Return the arguments that differ from the defaults; None where they are not plain values."""
    kind = type(learner)
    if f"{kind.__module__}.{kind.__name__}" != "sklearn_mi.learner.MIRepresentationLearner":
        return None
    signature = inspect.signature(kind.__init__).parameters
    given = {
        name: value
        for name, value in learner.get_params(deep=False).items()
        if not _equal(value, signature[name].default)
    }
    if not all(_is_plain(value) for value in given.values()):
        return None
    ordered = [name for name in signature if name in given]
    return [f"{name}={given[name]!r}" for name in ordered]


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_is_plain(item) for item in value)
    return type(value) in PLAIN


def _equal(value: Any, default: Any) -> bool:
    return type(value) is type(default) and value == default


def _imports(preparation: Preparation) -> set[str]:
    imports = {
        "from sklearn.compose import make_column_transformer",
        "from sklearn.pipeline import make_pipeline",
    }
    if preparation.numbers or preparation.gaps:
        imports.add("from sklearn.impute import SimpleImputer")
    if preparation.categories or preparation.gaps:
        imports.add("from sklearn.preprocessing import OneHotEncoder")
    if preparation.gaps:
        imports.add("import pandas as pd")
    return imports


def _prepare(preparation: Preparation) -> list[str]:
    parts = {
        'SimpleImputer(strategy="median", keep_empty_features=True)': preparation.numbers,
        'OneHotEncoder(handle_unknown="ignore", sparse_output=False)': preparation.categories,
        'make_pipeline(SimpleImputer(missing_values=pd.NA, strategy="constant", '
        'fill_value="missing"), OneHotEncoder(handle_unknown="ignore", '
        "sparse_output=False))": preparation.gaps,
    }
    lines = ["prepare = make_column_transformer("]
    for step, columns in parts.items():
        if columns:
            *names, last = _listed(columns)
            lines += [f"    ({step},", *names, f"{last}),"]
    return [*lines, ")"]


def _listed(columns: list[Any]) -> list[str]:
    """Return names in brackets, wrapped between them."""
    lines, line = [], "    ["
    for k, column in enumerate(columns):
        item = f"{column!r}{']' if k == len(columns) - 1 else ', '}"
        if len(line + item) > WIDTH and line.strip() != "[":
            lines.append(line.rstrip())
            line = "     "
        line += item
    return [*lines, line]
