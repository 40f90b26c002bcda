"""The package's arrows and habits, read from its files: who may import whom, what is documented."""

import ast
import dataclasses
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc

PACKAGE = Path(__file__).parent.parent / "sklearn_mi"
SOURCES = {path.stem: path for path in sorted(PACKAGE.glob("*.py"))}
PUBLIC = [name for name in SOURCES if not name.startswith("_")]

LEAVES = {
    "datasets",
    "augmentations",
    "views",
    "encoders",
    "critics",
    "negatives",
    "bounds",
    "copulas",
}
LEARNER = {
    "_base",
    *LEAVES,
    "choices",
    "objectives",
    "graphs",
    "tiles",
    "training",
    "inputs",
    "reports",
}
# What each module may import of ours. Leaves are blind to each other, but for the one view that is
# made of augmentations; training takes built parts, ensemble and evaluation take anything with
# transform, plots take tables.
ARROWS = {
    "_version": set(),
    "_base": set(),
    "tiles": {"_base"},
    **{leaf: {"_base"} for leaf in LEAVES},
    "bounds": {"_base", "tiles"},
    "critics": {"_base", "tiles"},
    "augmentations": set(),
    "copulas": set(),
    "views": {"_base", "augmentations"},
    "objectives": {"_base", "bounds"},
    "graphs": set(),
    "training": {"_base", "graphs"},
    "choices": {"_base"},
    "inputs": {"_base", "training"},
    "reports": {"_base", "bounds", "objectives", "tiles", "training"},
    "estimators": {*LEARNER, "persistence"},
    "ratios": {"copulas", "training"},
    "inference": {"_base", "bounds", "ratios", "reports"},
    "information": {
        "bounds",
        "copulas",
        "encoders",
        "inference",
        "inputs",
        "ratios",
        "reports",
        "training",
    },
    "persistence": {*LEARNER, "_version", "estimators"},
    "ensemble": set(),
    "diagnostics": {"_base"},
    "selection": {"_base"},
    "probes": {"_base"},
    "evaluation": {"_base", "diagnostics", "probes"},
    "adversarial": {"encoders", "inputs", "training"},
    "study": {"_version"},
    "paper": {*LEARNER, "estimators", "adversarial", "evaluation", "diagnostics", "study"},
    "plots": set(),
    "cli": {
        *LEARNER,
        "_version",
        "estimators",
        "adversarial",
        "persistence",
        "diagnostics",
        "evaluation",
        "study",
        "paper",
        "plots",
    },
    "__main__": {"cli"},
    "__init__": set(SOURCES),
}
HOMES = {"skorch": {"training"}, "matplotlib": {"plots"}, "argparse": {"cli"}}
# Plumbing between the modules: a line says what each is; nobody calls it from outside.
PLUMBING = {"training", "inputs", "reports", "ratios", "inference"}
LONGEST_FUNCTION = 45


def parse(name):
    return ast.parse(SOURCES[name].read_text(encoding="utf-8"))


def imported(tree, package="sklearn_mi"):
    """Yield the dotted names that a tree imports, at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, [package if node.level else "", node.module]))
            yield base
            # "from sklearn_mi import views" imports a module, too.
            yield from (f"{base}.{alias.name}" for alias in node.names if base == package)


def imported_modules(name):
    dotted = [path.split(".") for path in imported(parse(name))]
    return {parts[1] for parts in dotted if parts[0] == "sklearn_mi" and len(parts) > 1}


def at_import_time(tree):
    """Keep what runs when a module is imported: no function bodies, no TYPE_CHECKING."""

    class Trim(ast.NodeTransformer):
        def visit_FunctionDef(self, node):
            return None

        visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef

        def visit_If(self, node):
            return None if "TYPE_CHECKING" in ast.dump(node.test) else self.generic_visit(node)

    return Trim().visit(tree)


def functions(tree):
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def body_length(function):
    first = function.body[0]
    has_docstring = ast.get_docstring(function) is not None
    start = first.end_lineno + 1 if has_docstring else first.lineno
    return function.end_lineno - start + 1


def public_objects(name):
    module = importlib.import_module(f"sklearn_mi.{name}")
    things = {exported: getattr(module, exported) for exported in module.__all__}
    return {
        exported: thing
        for exported, thing in things.items()
        if inspect.isclass(thing) or inspect.isfunction(thing)
    }


def read_docstring(thing):
    return ClassDoc(thing) if inspect.isclass(thing) else FunctionDoc(thing)


def parameters(thing):
    # A constructor that comes from elsewhere (torch's Module, Exception) is not ours to document.
    maker = thing.__init__ if inspect.isclass(thing) else thing
    if not getattr(maker, "__module__", "").startswith("sklearn_mi"):
        return set()
    return {name for name in inspect.signature(maker).parameters if name != "self"}


def documented(docstring, *sections):
    entries = [entry for section in sections for entry in docstring[section]]
    return {name.strip(" *") for entry in entries for name in entry.name.split(",")}


@pytest.mark.parametrize("name", SOURCES)
def test_imports_point_one_way(name):
    assert name in ARROWS, f"{name}.py is new: say in ARROWS what it may import"
    assert imported_modules(name) - {"__version__", "load"} <= ARROWS[name]


def test_arrows_have_no_cycle_at_import_time():
    inner = {
        name: {
            path.split(".")[1]
            for path in imported(at_import_time(parse(name)))
            if path.startswith("sklearn_mi.")
        }
        for name in SOURCES
    }
    while inner:
        free = [name for name in inner if not inner[name] & set(inner)]
        assert free, f"a cycle among {sorted(inner)}"
        for name in free:
            del inner[name]


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("library", HOMES)
def test_libraries_have_one_home(name, library):
    roots = {path.split(".")[0] for path in imported(parse(name))}
    assert library not in roots or name in HOMES[library]


@pytest.mark.parametrize("name", SOURCES)
def test_torchvision_is_imported_inside_functions_only(name):
    roots = {path.split(".")[0] for path in imported(at_import_time(parse(name)))}
    assert "torchvision" not in roots


@pytest.mark.parametrize("name", SOURCES)
def test_modules_say_what_they_are(name):
    assert ast.get_docstring(parse(name))


@pytest.mark.parametrize("name", ["", *PUBLIC])
def test_modules_list_their_names(name):
    module = importlib.import_module(f"sklearn_mi.{name}".rstrip("."))
    assert len(module.__all__) == len(set(module.__all__))
    assert [exported for exported in module.__all__ if not hasattr(module, exported)] == []


@pytest.mark.parametrize("name", SOURCES)
def test_functions_fit_on_a_screen(name):
    lengths = {function.name: body_length(function) for function in functions(parse(name))}
    assert {key: n for key, n in lengths.items() if n > LONGEST_FUNCTION} == {}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_open_with_a_sentence(name):
    first_lines = {
        exported: " ".join(read_docstring(thing)["Summary"])
        for exported, thing in public_objects(name).items()
    }
    assert [key for key, line in first_lines.items() if not line.endswith(".")] == []


@pytest.mark.parametrize("name", [name for name in PUBLIC if name not in PLUMBING])
def test_parameters_are_documented_and_exist(name):
    astray = {}
    for exported, thing in public_objects(name).items():
        docstring, given = read_docstring(thing), parameters(thing)
        listed = documented(docstring, "Parameters", "Other Parameters")
        # The fields of a result are its attributes.
        fields = documented(docstring, "Attributes") if dataclasses.is_dataclass(thing) else set()
        astray[exported] = (given - listed - fields) | (listed - given)
    assert {key: names for key, names in astray.items() if names} == {}


# In one process, lightest first, since starting torch takes seconds.
STAYS_LIGHT = {
    "sklearn_mi": {"matplotlib", "skorch", "torch", "torchvision"},
    "sklearn_mi.evaluation": {"matplotlib", "skorch", "torch", "torchvision"},
    "sklearn_mi.diagnostics": {"matplotlib", "skorch", "torch", "torchvision"},
    "sklearn_mi.selection": {"matplotlib", "skorch", "torch", "torchvision"},
    "sklearn_mi.ensemble": {"matplotlib", "skorch", "torch", "torchvision"},
    "sklearn_mi.bounds": {"matplotlib", "skorch", "torchvision"},
    "sklearn_mi.critics": {"matplotlib", "skorch", "torchvision"},
    "sklearn_mi.negatives": {"matplotlib", "skorch", "torchvision"},
    "sklearn_mi.encoders": {"matplotlib", "skorch", "torchvision"},
    "sklearn_mi.augmentations": {"matplotlib", "skorch", "torchvision"},
    "sklearn_mi.views": {"matplotlib", "skorch", "torchvision"},
    "sklearn_mi.estimators": {"matplotlib", "torchvision"},
}


@pytest.fixture(scope="module")
def loaded_after():
    code = (
        "import importlib, json, sys\n"
        "loaded = {}\n"
        f"for name in {list(STAYS_LIGHT)}:\n"
        "    importlib.import_module(name)\n"
        "    loaded[name] = [module for module in sys.modules if '.' not in module]\n"
        "print(json.dumps(loaded))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


@pytest.mark.parametrize("name", STAYS_LIGHT)
def test_imports_stay_light(loaded_after, name):
    assert STAYS_LIGHT[name] & set(loaded_after[name]) == set()
