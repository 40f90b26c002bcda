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
from functools import cache
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


@cache
def text_of(name):
    return SOURCES[name].read_text(encoding="utf-8")


@cache
def parse(name):
    """Return the tree of a module, which nobody changes."""
    return ast.parse(text_of(name))


def for_types(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def later(node):
    """Tell what does not run when a module is imported."""
    late = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    return for_types(node) or isinstance(node, late)


def walk(tree, skips):
    """Yield the nodes of a tree, without those that are skipped and what is below them."""
    yield tree
    for node in ast.iter_child_nodes(tree):
        if not skips(node):
            yield from walk(node, skips)


def imported(tree, skips=lambda node: False, package="sklearn_mi"):
    """Yield the dotted names that a tree imports, at any depth."""
    for node in walk(tree, skips):
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
    dotted = [path.split(".") for path in imported(parse(name), for_types)]
    return {parts[1] for parts in dotted if parts[0] == "sklearn_mi" and len(parts) > 1}


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


def astray(names, found):
    """Return what is wrong in which module; ``found(name)`` gives it, or something empty."""
    wrong = {name: found(name) for name in names}
    return {name: what for name, what in wrong.items() if what}


def test_each_module_has_a_line():
    assert [name for name in SOURCES if name != "__init__" and unit(name) not in RANKS] == []


def wrong_imports(name):
    own = unit(name)
    others = imported_modules(name) & set(RANKS) - {own}
    wrong = {other for other in others if RANKS[other] >= RANKS[own]}
    if own in BLIND:
        wrong |= others & {"learner"}
    if own in BLIND - {"evaluation"}:
        wrong |= others & {"information"}
    return wrong


def test_imports_point_one_way():
    assert astray(SOURCES.keys() - {"__init__"}, wrong_imports) == {}


@pytest.mark.parametrize("folder", ["information", "paper"])
def test_others_import_a_folder_by_its_own_name(folder):
    inner = f"sklearn_mi.{folder}."
    outside = [name for name in SOURCES if unit(name) != folder]
    assert [n for n in outside if any(path.startswith(inner) for path in imported(parse(n)))] == []


def test_modules_of_a_folder_have_no_cycle():
    within = {
        name: {
            path.removeprefix("sklearn_mi.")
            for path in imported(parse(name), for_types)
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


@pytest.mark.parametrize("library", HOMES)
def test_libraries_have_one_home(library):
    users = [n for n in SOURCES if library in {p.split(".")[0] for p in imported(parse(n))}]
    assert {unit(name) for name in users} <= HOMES[library]


def test_torchvision_is_imported_inside_functions_only():
    def found(name):
        return "torchvision" in {p.split(".")[0] for p in imported(parse(name), later)}

    assert astray(SOURCES, found) == {}


# What a command, the demonstration or `show_versions` prints is what they are called for.
PRINTING = {"cli", "demo", "_about"}


def test_nothing_is_printed():
    def found(name):
        names = [node.id for node in ast.walk(parse(name)) if isinstance(node, ast.Name)]
        return "print" in names and unit(name) not in PRINTING

    assert astray(SOURCES, found) == {}, "say it by sklearn_mi._progress.say"


def test_modules_say_what_they_are():
    assert [name for name in SOURCES if not ast.get_docstring(parse(name))] == []


def test_modules_list_their_names():
    def found(name):
        module = importlib.import_module(f"sklearn_mi.{name}".rstrip("."))
        listed = module.__all__
        return [n for n in listed if not hasattr(module, n) or listed.count(n) > 1]

    assert astray(["", *PUBLIC], found) == {}


def lines_of_code(name):
    """Return the numbers of the lines that hold code."""
    text = text_of(name)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    spans = [
        range(token.start[0], token.end[0] + 1)
        for token in tokens
        if token.type not in blank | {tokenize.ENDMARKER}
    ]
    docstrings = [
        range(node.body[0].lineno, node.body[0].end_lineno + 1)
        for node in ast.walk(parse(name))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and ast.get_docstring(node) is not None
    ]
    return {line for span in spans for line in span} - {n for span in docstrings for n in span}


def too_long(name):
    code = lines_of_code(name)
    classes = [node for node in ast.walk(parse(name)) if isinstance(node, ast.ClassDef)]
    lengths = {c.name: len(code & set(range(c.lineno, c.end_lineno + 1))) for c in classes}
    wrong = {key: n for key, n in lengths.items() if n > LONGEST_CLASS}
    return wrong | ({"module": len(code)} if len(code) > LONGEST_MODULE else {})


def test_modules_and_classes_are_short():
    assert astray(SOURCES, too_long) == {}


def test_functions_fit_on_a_screen():
    def found(name):
        # A constructor that only stores may be as long as its parameters are many.
        lengths = {f.name: body_length(f) for f in functions(parse(name)) if f.name != "__init__"}
        return {key: n for key, n in lengths.items() if n > LONGEST_FUNCTION}

    assert astray(SOURCES, found) == {}


def test_most_functions_are_short():
    lengths = [body_length(f) for name in SOURCES for f in functions(parse(name))]
    assert np.percentile(lengths, 90) <= NINETIETH_FUNCTION


def test_public_names_open_with_a_sentence():
    def found(name):
        summaries = {
            exported: " ".join(read_docstring(thing)["Summary"])
            for exported, thing in public_objects(name).items()
        }
        return [key for key, line in summaries.items() if not line.endswith(".")]

    assert astray(PUBLIC, found) == {}


def wrong_parameters(name):
    found = {}
    for exported, thing in public_objects(name).items():
        docstring, given = read_docstring(thing), parameters(thing)
        listed = documented(docstring, "Parameters", "Other Parameters")
        # The fields of a result are its attributes.
        fields = documented(docstring, "Attributes") if dataclasses.is_dataclass(thing) else set()
        found[exported] = (given - listed - fields) | (listed - given)
    return {key: names for key, names in found.items() if names}


def test_parameters_are_documented_and_exist():
    assert astray([name for name in PUBLIC if name not in PLUMBING], wrong_parameters) == {}


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


def test_imports_stay_light(loaded_after):
    assert astray(STAYS_LIGHT, lambda name: STAYS_LIGHT[name] & set(loaded_after[name])) == {}
