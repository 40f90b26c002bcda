"""What pyproject.toml promises: a wheel with every file, and minimum versions that are tested."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import yaml
from oldest import oldest, requirements

from sklearn_mi import __version__
from sklearn_mi._about import DISTRIBUTIONS, PACKAGES

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
FOR_USERS = ("plots", "large", "tables", "data", "distributed")
BROUGHT_BY = {"sklearn": "scikit-learn", "faiss": "faiss-cpu"}
# pandas imports pyarrow, to read and write parquet files; who computes by Ray has imported it.
BEHIND_OTHERS = {"pyarrow", "ray"}
# Users pass what they made with them; nothing of theirs is imported.
PASSED = {"dask", "datasets", "torchdata"}


def name_of(requirement):
    return re.match(r"[\w.-]+", requirement)[0]


def names_of(*requirements):
    return {name_of(line) for lines in requirements for line in lines}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel that is built from a copy: nothing is left over from earlier builds."""
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
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel):
    (path,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(path).decode())


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel):
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    files = [path for path in (ROOT / "sklearn_mi").rglob("*") if path.is_file()]
    ours = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert held == ours
    # Without it type checkers of others see no annotation of ours.
    assert "sklearn_mi/py.typed" in held


def test_the_metadata_say_what_pyproject_says(metadata):
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert metadata.get_all("Classifier") == PROJECT["classifiers"]
    assert set(metadata.get_all("Provides-Extra")) == set(EXTRAS)
    plain = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert names_of(plain) == names_of(PROJECT["dependencies"])


def test_classifiers_name_the_pythons_of_the_workflow():
    named = [line.split(" :: ")[-1] for line in PROJECT["classifiers"] if ":: Python ::" in line]
    pythons = sorted((n for n in named if "." in n), key=lambda n: int(n.split(".")[1]))
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    matrix = yaml.safe_load(workflow)["jobs"]["test"]["strategy"]["matrix"]["python"]
    # The releases between the two ends are tested by hand: RELEASING.md.
    assert [pythons[0], pythons[-1]] == matrix
    assert PROJECT["requires-python"] == f">={pythons[0]}"


def imported():
    """Return the distributions that the package imports, at the top or inside functions."""
    roots = set()
    for path in (ROOT / "sklearn_mi").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                roots |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                roots.add(node.module.split(".")[0])
    return {BROUGHT_BY.get(r, r) for r in roots - set(sys.stdlib_module_names) - {"sklearn_mi"}}


def test_what_is_imported_is_required_and_the_other_way_round():
    required = names_of(PROJECT["dependencies"], *(EXTRAS[name] for name in FOR_USERS))
    assert imported() | BEHIND_OTHERS | PASSED == required


def test_versions_are_shown_of_what_is_required():
    required = names_of(PROJECT["dependencies"], *(EXTRAS[name] for name in FOR_USERS))
    assert {DISTRIBUTIONS.get(name, [name])[0] for name in PACKAGES} == required


def test_a_package_has_one_minimum():
    lines = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
    minima = {(name_of(line), oldest(line)) for line in lines if oldest(line)}
    assert len(minima) == len({name for name, _ in minima})


def test_the_extras_of_users_are_tested():
    assert names_of(*(EXTRAS[name] for name in FOR_USERS)) <= names_of(EXTRAS["dev"])


def test_a_dependency_of_the_tests_has_a_minimum():
    tools = {"codespell", "pre-commit", "proselint", "pyright"}
    assert {line for line in requirements() if oldest(line) is None} == tools


def test_the_oldest_release_is_the_minimum():
    assert oldest("scikit-learn>=1.8") == "scikit-learn==1.8"
    assert oldest("dask[distributed]>=2025.1") == "dask==2025.1"
    assert oldest("codespell") is None
    with pytest.raises(AttributeError):
        oldest("torch>=2,<3")


def test_constraints_name_each_dependency_once():
    script = ROOT / "tests" / "oldest.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    names = [line.split("==")[0] for line in done.stdout.split()]
    assert len(names) == len(set(names)) and {"numpy", "torch", "pytest"} <= set(names)


def test_the_citation_is_of_this_release():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    # What https://citation-file-format.github.io demands.
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == __version__
    bibtex = (ROOT / "docs" / "citing.rst").read_text(encoding="utf-8")
    assert f"version = {{{__version__}}}" in bibtex
    assert citation["license"] == PROJECT["license"]
    assert citation["authors"] == PROJECT["authors"]
    (paper,) = citation["references"]
    assert {"type", "title", "authors"} <= set(paper) and paper["year"] == 2020
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version, date = re.search(r"^## \[(.+)\] - (\S+)$", changelog, re.MULTILINE).groups()
    assert version == __version__
    assert str(citation.get("date-released", "Unreleased")) == date


def test_addresses_of_the_project_stand_in_pyproject_alone():
    known = set(PROJECT.get("urls", {}).values())
    suffixes = {".md", ".cff", ".rst", ".py", ".yml", ".yaml", ".json"}
    folders = ["sklearn_mi", "docs", "examples", ".github"]
    built = {"_build", "generated", "gallery"}
    files = [*ROOT.glob("*"), *(path for name in folders for path in (ROOT / name).rglob("*"))]
    invented = {}
    for path in files:
        if path.suffix in suffixes and path.is_file() and not built & set(path.parts):
            text = path.read_text(encoding="utf-8")
            found = re.findall(r"https?://[^\s\"'<>)\]`]*sklearn[-_]mi[^\s\"'<>)\]`]*", text)
            astray = [link for link in found if not link.startswith(tuple(known))]
            if astray:
                invented[str(path.relative_to(ROOT))] = astray
    assert invented == {}
