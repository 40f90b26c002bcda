"""What the README and the pages say: their code runs, and their tables are those of the package."""

import importlib
import math
import re
import textwrap
from pathlib import Path

import pytest

import sklearn_mi
from sklearn_mi.bounds import BOUNDS
from sklearn_mi.comparisons import COMPARISONS
from sklearn_mi.critics import CRITICS
from sklearn_mi.encoders import ENCODERS
from sklearn_mi.negatives import NEGATIVES
from sklearn_mi.objectives import OBJECTIVES
from sklearn_mi.recipe import ENTRIES
from sklearn_mi.views import VIEWS

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
UNMAPPED = ("__init__", "__main__", "_version")
API = ROOT / "docs" / "api.rst"
PAGES = [README, *sorted((ROOT / "docs").glob("*.rst"))]
# Pages whose code takes a quarter of a minute or more: make test-docs.
LONG = {"README.md", "getting_started.rst", "label_free.rst"}
# Those that are promised to users; everything else may move.
MODULES = sorted(sklearn_mi.PUBLIC_MODULES)
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
    "page",
    [
        pytest.param(page, id=page.name, marks=[pytest.mark.docs] if page.name in LONG else [])
        for page in PAGES
        if blocks(page)
    ],
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
        ("Comparisons", COMPARISONS),
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
        ("Comparisons", COMPARISONS),
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
    greek = {"alpha": "α", "tau": "τ"}
    for name, _, status, ceiling, source in table_rows("Bounds"):
        bound = BOUNDS[name.strip('`"')]()
        assert status == bound.status
        words = {"none": math.inf, "log": math.log, "exp": math.exp, "K": 100}
        words |= {greek.get(key, key): value for key, value in bound.get_params().items()}
        formula = ceiling.replace("log K", "log(K)")
        assert bound.ceiling(100) == pytest.approx(eval(formula, {}, words))
        assert all(year in type(bound).__doc__ for year in re.findall(r"\d{4}", source))


def test_defaults_are_listed_by_kind_of_rows():
    page = (ROOT / "docs" / "defaults.rst").read_text(encoding="utf-8")
    table = page.split(".. list-table::")[1].split("\n\n")[1]
    rows = [re.findall(r"- (.*)", row) for row in table.split("   * ")[2:]]
    assert rows == [
        [entry.kind, *(str(part.value) for part in (entry.view, entry.encoder, entry.critic))]
        for entry in ENTRIES.values()
    ]
    assert [entry.kind for entry in ENTRIES.values()] == list(ENTRIES)


def test_contributing_maps_every_module():
    section = CONTRIBUTING.read_text(encoding="utf-8").split("## Where things are")[1]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    mapped = [name for cell in cells for name in re.findall(r"`(\w+/?)`", cell)]
    package = ROOT / "sklearn_mi"
    folders = [f"{path.parent.name}/" for path in package.glob("*/__init__.py")]
    modules = [path.stem for path in package.glob("*.py") if path.stem not in UNMAPPED]
    assert sorted(mapped) == sorted([*folders, *modules])


def test_readme_has_the_table_of_the_benchmark():
    table = ROOT / "benchmarks" / "results" / "features" / "features.md"
    assert table.read_text(encoding="utf-8") in README.read_text(encoding="utf-8")


def test_changelog_knows_the_version():
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{sklearn_mi.__version__}]" in changes
