"""What the README and the pages say: their code runs, and their tables are those of the package."""

import importlib
import math
import re
import textwrap
from pathlib import Path

import pytest

import sklearn_mi
from sklearn_mi.bounds import BOUNDS
from sklearn_mi.critics import CRITICS
from sklearn_mi.encoders import ENCODERS
from sklearn_mi.negatives import NEGATIVES
from sklearn_mi.objectives import OBJECTIVES
from sklearn_mi.views import VIEWS

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
API = ROOT / "docs" / "api.rst"
PAGES = [README, *sorted((ROOT / "docs").glob("*.rst"))]
MODULES = sorted(
    path.stem
    for path in (ROOT / "sklearn_mi").glob("*.py")
    if not path.stem.startswith("_") and path.stem != "cli"
)
BLOCKS = {
    ".md": re.compile(r"^()```python\n(.*?)^```", re.MULTILINE | re.DOTALL),
    ".rst": re.compile(r"^( *)\.\. code-block:: python\n\n((?:\1 +.*\n|\n)+)", re.MULTILINE),
}


def blocks(page):
    """Return the Python blocks of a page, each at the lines where it stands."""
    text = page.read_text(encoding="utf-8")
    found = BLOCKS[page.suffix].finditer(text)
    return ["\n" * text[: m.start(2)].count("\n") + textwrap.dedent(m[2]) for m in found]


def documented():
    """Return module and name of everything on the API page, in its tables and as data."""
    names, module = [], ""
    for line in API.read_text(encoding="utf-8").splitlines():
        if line.startswith(".. module:: "):
            module = line.split()[-1]
        elif match := re.fullmatch(r"(?:   |\.\. py:data:: )(\w+)", line):
            names.append((module, match[1]))
    return names


def table_rows(head):
    """Return the cells of the README's table under a bold word."""
    section = README.read_text(encoding="utf-8").split(f"**{head}**")[1]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()[2:]]
    return [[cell.strip() for cell in row] for row in rows]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name
)
def test_code_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for block in blocks(page):
        exec(compile(block, str(page), "exec"), namespace)


def test_every_page_with_code_is_found():
    # A change of markup must not empty the test above.
    assert {page.name for page in PAGES if blocks(page)} >= {
        "README.md",
        "extending.rst",
        "getting_started.rst",
        "how_it_works.rst",
    }
    marks = {".md": "```python", ".rst": "code-block:: python"}
    for page in PAGES:
        assert len(blocks(page)) == page.read_text(encoding="utf-8").count(marks[page.suffix])


@pytest.mark.parametrize("name", ["sklearn_mi", *(f"sklearn_mi.{name}" for name in MODULES)])
def test_public_names_stand_on_the_api_page(name):
    listed = documented()
    # A class is documented once, under the name that users import.
    things = [getattr(importlib.import_module(home), alias, None) for home, alias in listed]
    module = importlib.import_module(name)
    absent = [
        exported
        for exported in module.__all__
        if (name, exported) not in listed
        and not any(getattr(module, exported) is thing for thing in things)
    ]
    assert absent == []


def test_api_page_lists_public_names_once():
    listed = documented()
    assert len(listed) == len(set(listed))
    assert [
        name for home, name in listed if name not in importlib.import_module(home).__all__
    ] == []


@pytest.mark.parametrize(
    ("head", "family"),
    [
        ("Views", VIEWS),
        ("Encoders", ENCODERS),
        ("Critics", CRITICS),
        ("Negatives", NEGATIVES),
        ("Bounds", BOUNDS),
        ("Objectives", OBJECTIVES),
    ],
)
def test_readme_lists_every_name_of_a_family(head, family):
    named = [row[0].strip('`"') for row in table_rows(head) if row[0]]
    assert sorted(named) == sorted(family)


@pytest.mark.parametrize(
    ("head", "family"),
    [
        ("Views", VIEWS),
        ("Encoders", ENCODERS),
        ("Critics", CRITICS),
        ("Negatives", NEGATIVES),
        ("Objectives", OBJECTIVES),
    ],
)
def test_readme_pairs_names_with_their_classes(head, family):
    module = importlib.import_module(f"sklearn_mi.{head.lower()}")
    for name, cls, *_ in table_rows(head):
        assert cls.strip("`") in module.__all__
        if name:
            assert type(family[name.strip('`"')]()).__name__ == cls.strip("`")


def test_readme_tells_which_negatives_keep_a_bound():
    for name, _, _, still in table_rows("Negatives"):
        assert (NEGATIVES[name.strip('`"')]().caveat is None) == (still == "yes")


def test_readme_tells_status_and_ceiling_of_each_bound():
    ceilings = {
        "none": math.inf,
        "log K": math.log(100),
        "log(K / α)": math.log(100 / BOUNDS["multi-label-cpc"]().alpha),
        "1 + log((K - 1) / α)": 1 + math.log(99 / BOUNDS["interpolated"]().alpha),
    }
    for name, _, status, ceiling, source in table_rows("Bounds"):
        bound = BOUNDS[name.strip('`"')]()
        assert status == bound.status
        assert bound.ceiling(100) == pytest.approx(ceilings[ceiling])
        assert all(year in type(bound).__doc__ for year in re.findall(r"\d{4}", source))


def test_readme_maps_every_module():
    section = README.read_text(encoding="utf-8").split("## Where things are")[1]
    mapped = re.findall(r"^\| `(\w+)\.py`", section, re.MULTILINE)
    assert sorted(mapped) == sorted([*MODULES, "_base"])


def test_readme_has_the_table_of_the_benchmark():
    table = ROOT / "benchmarks" / "results" / "features" / "features.md"
    assert table.read_text(encoding="utf-8") in README.read_text(encoding="utf-8")


def test_changelog_knows_the_version():
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{sklearn_mi.__version__}]" in changes
