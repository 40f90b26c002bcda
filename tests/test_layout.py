"""The package's arrows and habits, read from its files: who may import whom, what is documented."""

import ast
import dataclasses
import importlib
import inspect
import io
import json
import subprocess
import sys
import tokenize
from pathlib import Path

import numpy as np
import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc

PACKAGE = Path(__file__).parent.parent / "sklearn_mi"
# By dotted name below the package: "views.images", and "views" for the folder's __init__.
SOURCES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
PUBLIC = [name for name in SOURCES if not name.startswith("_")]

# A module or folder imports only from lines above its own, lazy imports counted.
LINES = [
    {"_version"},
    {"_about"},
    {"_base", "_compat"},
    {"_checks", "_html", "_places", "_progress", "headers"},
    {"workers"},
    {"runtime", "channel"},
    {"processes"},
    {"rows"},
    {"layers", "cells", "tiles", "compression"},
    {"views", "encoders", "front_ends", "critics", "negatives", "bounds"},
    {"encoding"},
    {"comparisons"},
    {"objectives"},
    {"recipe"},
    {"sides"},
    {"model"},
    {"building"},
    {"training"},
    {"reports", "matching"},
    {"probes", "diagnostics", "datasets", "labelled"},
    {"persistence"},
    {"callbacks"},
    {"preparation"},
    {"export", "on_pairs", "storing", "streaming"},
    {"learner"},
    {"information"},
    {"evaluation", "selection", "ensemble"},
    {"semi_supervised"},
    {"study"},
    {"paper"},
    {"plots"},
    {"summary", "demo"},
    {"cli"},
    {"__main__"},
]
RANKS = {name: rank for rank, line in enumerate(LINES) for name in line}
# What takes arrays, tables and anything with transform knows no learner.
BLIND = {"evaluation", "selection", "ensemble", "study", "plots", "diagnostics", "probes"}
HOMES = {"skorch": {"training", "callbacks"}, "matplotlib": {"plots", "summary"}, "click": {"cli"}}
# What users of information call; the rest of the folder is how.
TOLD = {f"information.{name}" for name in ("estimator", "features", "lags", "neighbors", "copulas")}
# Plumbing between the modules: a line says what each is; nobody calls it from outside.
PLUMBING = {
    *("building", "channel", "encoding", "export", "matching", "model", "on_pairs", "processes"),
    *("callbacks", "labelled", "persistence", "recipe", "reports", "runtime", "sides", "storing"),
    *("headers", "streaming", "workers"),
    *(name for name in SOURCES if name.startswith("information.") and name not in TOLD),
    *(f"paper.{name}" for name in ("data", "measures")),
    *(name for name in SOURCES if name.split(".")[0] in ("preparation", "rows", "training")),
}
LONGEST_FUNCTION = 45
LONGEST_MODULE = LONGEST_CLASS = 500  # lines of code: docstrings, comments and blanks not counted
NINETIETH_FUNCTION = 18


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


def unit(name):
    """Return the module or folder that has a line of its own."""
    return name.split(".")[0]


def imported_modules(name):
    dotted = [path.split(".") for path in imported(without_types(parse(name)))]
    return {parts[1] for parts in dotted if parts[0] == "sklearn_mi" and len(parts) > 1}


class WithoutTypes(ast.NodeTransformer):
    def visit_If(self, node):
        return None if "TYPE_CHECKING" in ast.dump(node.test) else self.generic_visit(node)


def without_types(tree):
    """Leave out what is imported for types alone."""
    return WithoutTypes().visit(tree)


def at_import_time(tree):
    """Keep what runs when a module is imported: no function bodies, no TYPE_CHECKING."""

    class Trim(WithoutTypes):
        def visit_FunctionDef(self, node):
            return None

        visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef

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


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "__init__"])
def test_imports_point_one_way(name):
    own = unit(name)
    assert own in RANKS, f"{name}.py is new: give it a line in LINES"
    others = imported_modules(name) & set(RANKS) - {own}
    assert {other for other in others if RANKS[other] >= RANKS[own]} == set()
    assert own not in BLIND or "learner" not in others
    assert own not in BLIND - {"evaluation"} or "information" not in others


@pytest.mark.parametrize("folder", ["information", "paper"])
def test_others_import_a_folder_by_its_own_name(folder):
    inner = f"sklearn_mi.{folder}."
    outside = [name for name in SOURCES if unit(name) != folder]
    assert [n for n in outside if any(path.startswith(inner) for path in imported(parse(n)))] == []


def test_modules_of_a_folder_have_no_cycle():
    within = {
        name: {
            path.removeprefix("sklearn_mi.")
            for path in imported(without_types(parse(name)))
            if path.startswith(f"sklearn_mi.{unit(name)}")
        }
        & set(SOURCES)
        for name in SOURCES
    }
    while within:
        free = [name for name in within if not (within[name] - {name}) & set(within)]
        assert free, f"a cycle among {sorted(within)}"
        for name in free:
            del within[name]


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("library", HOMES)
def test_libraries_have_one_home(name, library):
    roots = {path.split(".")[0] for path in imported(parse(name))}
    assert library not in roots or unit(name) in HOMES[library]


@pytest.mark.parametrize("name", SOURCES)
def test_torchvision_is_imported_inside_functions_only(name):
    roots = {path.split(".")[0] for path in imported(at_import_time(parse(name)))}
    assert "torchvision" not in roots


# What a command, the demonstration or `show_versions` prints is what they are called for.
PRINTING = {"cli", "demo", "_about"}


@pytest.mark.parametrize("name", [name for name in SOURCES if unit(name) not in PRINTING])
def test_nothing_is_printed(name):
    names = [node.id for node in ast.walk(parse(name)) if isinstance(node, ast.Name)]
    assert "print" not in names, "say it by sklearn_mi._progress.say"


@pytest.mark.parametrize("name", SOURCES)
def test_modules_say_what_they_are(name):
    assert ast.get_docstring(parse(name))


@pytest.mark.parametrize("name", ["", *PUBLIC])
def test_modules_list_their_names(name):
    module = importlib.import_module(f"sklearn_mi.{name}".rstrip("."))
    assert len(module.__all__) == len(set(module.__all__))
    assert [exported for exported in module.__all__ if not hasattr(module, exported)] == []


def lines_of_code(name):
    """Return the numbers of the lines that hold code."""
    text = SOURCES[name].read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    spans = [
        range(token.start[0], token.end[0] + 1)
        for token in tokens
        if token.type not in blank | {tokenize.ENDMARKER}
    ]
    docstrings = [
        range(node.body[0].lineno, node.body[0].end_lineno + 1)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and ast.get_docstring(node) is not None
    ]
    return {line for span in spans for line in span} - {n for span in docstrings for n in span}


@pytest.mark.parametrize("name", SOURCES)
def test_modules_and_classes_are_short(name):
    code = lines_of_code(name)
    assert len(code) <= LONGEST_MODULE
    classes = [node for node in ast.walk(parse(name)) if isinstance(node, ast.ClassDef)]
    lengths = {c.name: len(code & set(range(c.lineno, c.end_lineno + 1))) for c in classes}
    assert {key: n for key, n in lengths.items() if n > LONGEST_CLASS} == {}


@pytest.mark.parametrize("name", SOURCES)
def test_functions_fit_on_a_screen(name):
    # A constructor that only stores may be as long as its parameters are many.
    lengths = {
        function.name: body_length(function)
        for function in functions(parse(name))
        if function.name != "__init__"
    }
    assert {key: n for key, n in lengths.items() if n > LONGEST_FUNCTION} == {}


def test_most_functions_are_short():
    lengths = [body_length(f) for name in SOURCES for f in functions(parse(name))]
    assert np.percentile(lengths, 90) <= NINETIETH_FUNCTION


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
    "sklearn_mi.datasets": {"matplotlib", "skorch", "torch", "torchvision"},
    "sklearn_mi.evaluation": {"matplotlib", "skorch", "torch", "torchvision"},
    "sklearn_mi.diagnostics": {"matplotlib", "skorch", "torch", "torchvision"},
    "sklearn_mi.selection": {"matplotlib", "skorch", "torch", "torchvision"},
    "sklearn_mi.ensemble": {"matplotlib", "skorch", "torch", "torchvision"},
    "sklearn_mi.bounds": {"matplotlib", "skorch", "torchvision"},
    "sklearn_mi.critics": {"matplotlib", "skorch", "torchvision"},
    "sklearn_mi.negatives": {"matplotlib", "skorch", "torchvision"},
    "sklearn_mi.encoders": {"matplotlib", "skorch", "torchvision"},
    "sklearn_mi.front_ends": {"matplotlib", "skorch", "torchvision"},
    "sklearn_mi.views": {"matplotlib", "skorch", "torchvision"},
    "sklearn_mi.information": {"matplotlib", "skorch", "torchvision"},
    "sklearn_mi.learner": {"matplotlib", "torchvision"},
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
