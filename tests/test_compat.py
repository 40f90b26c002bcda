"""Private names of scikit-learn are imported in one place, and its releases behave alike there."""

import ast
from pathlib import Path

import numpy as np
import pytest
import sklearn
import torch
from scipy import sparse

from sklearn_mi import _compat

PACKAGE = Path(__file__).parent.parent / "sklearn_mi"
FILES = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}


def dotted_names(tree):
    """Yield every dotted name that a tree imports, or reads as ``sklearn.x.y``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def private_names(source):
    parts = [name.split(".") for name in dotted_names(ast.parse(source))]
    return {
        ".".join(words)
        for words in parts
        if words[0] == "sklearn"
        and any(word.startswith("_") and not word.endswith("__") for word in words)
    }


@pytest.mark.parametrize(
    "line",
    [
        "from sklearn.utils import _safe_indexing",
        "from sklearn.utils._array_api import get_namespace",
        "import sklearn.utils._param_validation as checks",
        "def later():\n    from sklearn.utils import _safe_indexing as rows",
        "sklearn.utils._safe_indexing(X, [0])",
    ],
)
def test_a_private_import_is_seen(line):
    assert private_names(line)


@pytest.mark.parametrize(
    "line",
    [
        "from sklearn.utils import check_array",
        "from sklearn_mi._compat import Interval",
        "sklearn.__version__",
    ],
)
def test_a_public_import_passes(line):
    assert not private_names(line)


@pytest.mark.parametrize("file", [file for file in FILES if file != "_compat.py"])
def test_scikit_learns_private_names_are_imported_in_compat_alone(file):
    assert private_names(FILES[file].read_text(encoding="utf-8")) == set()


class Fitted:
    def __init__(self, like):
        self.like = like


# The second stands in for the first, which scikit-learn 1.8 lacks: both are asked in every release.
@pytest.fixture(params=["check_same_namespace", "_check_same_namespace"])
def refuses(request):
    def ask(like, X):
        check = getattr(_compat, request.param)
        try:
            check(X, Fitted(like), attribute="like", method="transform")
        except ValueError as error:
            assert "Inputs passed to Fitted.transform() must use the same namespace" in str(error)
            return True
        return False

    return ask


def test_rows_of_another_namespace_are_refused(refuses, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    array, tensor = np.eye(3), torch.eye(3)
    with sklearn.config_context(array_api_dispatch=True):
        assert not refuses(array, array)
        assert not refuses(array, sparse.csr_matrix(array))
        assert not refuses(tensor, tensor)
        assert refuses(array, tensor)
        assert refuses(tensor, array)
        assert refuses(tensor, sparse.csr_matrix(array))
        assert refuses(tensor, tensor.to("meta"))


def test_without_dispatch_rows_of_any_kind_are_read(refuses):
    assert not refuses(np.eye(3), torch.eye(3))
