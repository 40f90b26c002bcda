"""What pyproject.toml promises: a wheel with every file, and minimum versions that are tested."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from oldest import oldest, requirements

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Names in a wheel that is built from a copy: nothing is left over from earlier builds."""
    folder = tmp_path_factory.mktemp("source")
    for name in ["pyproject.toml", "setup.py", "README.md", "LICENSE"]:
        shutil.copy(ROOT / name, folder)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "sklearn_mi", folder / "sklearn_mi", ignore=ignored)
    # A neighbour that must stay out.
    (folder / "tests").mkdir()
    (folder / "tests" / "__init__.py").touch()
    code = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
    (built,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return archive.namelist()


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel):
    held = {name for name in wheel if ".dist-info/" not in name}
    files = [path for path in (ROOT / "sklearn_mi").rglob("*") if path.is_file()]
    ours = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert held == ours


def test_a_dependency_of_the_tests_has_a_minimum():
    tools = {"codespell", "pre-commit", "pyright"}
    assert {line for line in requirements() if oldest(line) is None} == tools


def test_the_oldest_release_is_the_minimum():
    assert oldest("scikit-learn>=1.8") == "scikit-learn==1.8"
    assert oldest("codespell") is None
    with pytest.raises(AttributeError):
        oldest("torch>=2,<3")


def test_constraints_name_each_dependency_once():
    script = ROOT / "tests" / "oldest.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    names = [line.split("==")[0] for line in done.stdout.split()]
    assert len(names) == len(set(names)) and {"numpy", "torch", "pytest"} <= set(names)
