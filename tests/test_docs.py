"""What the README and the pages say: their code runs and prints what stands below it."""

import datetime
import importlib
import io
import json
import math
import os
import re
import sys
import tempfile
import threading
from collections import deque
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import polars
import pytest
import skops.io
import torch
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.decomposition import PCA
from skorch.callbacks import Callback
from test_building import WrongInHalf, images
from torch import distributed, nn

import sklearn_mi
from sklearn_mi import (
    LabeledFold,
    MIEstimator,
    MIRepresentationLearner,
    SemiSupervisedClassifier,
    SemiSupervisedRegressor,
    comparisons,
    headers,
    load,
)
from sklearn_mi._progress import progress_bar
from sklearn_mi.bounds import BOUNDS
from sklearn_mi.callbacks import OnlineProbe
from sklearn_mi.channel import Channel
from sklearn_mi.cli import main
from sklearn_mi.comparisons import COMPARISONS
from sklearn_mi.critics import CRITICS
from sklearn_mi.datasets import beyond_normal, make_two_omics, to_sequences, windows
from sklearn_mi.encoders import ENCODERS, Conv1d, RealNVP
from sklearn_mi.evaluation import compare, compare_pairs
from sklearn_mi.front_ends import FRONT_ENDS, Factors, RecordingFeatures
from sklearn_mi.information import mutual_info_lags
from sklearn_mi.negatives import NEGATIVES, Queue
from sklearn_mi.objectives import OBJECTIVES
from sklearn_mi.paper import AdversarialEncoder
from sklearn_mi.preparation.assembly import _check_parts
from sklearn_mi.preparation.inputs import _first_window
from sklearn_mi.processes import Team
from sklearn_mi.recipe import ENTRIES
from sklearn_mi.rows import BlockSource, Stream, window_order
from sklearn_mi.rows.blocks import Sliced, in_order, row_of_item, without_labels
from sklearn_mi.rows.moments import Limits
from sklearn_mi.rows.recordings import gathered
from sklearn_mi.study import _Work
from sklearn_mi.training.state_files import read_state, write_state
from sklearn_mi.views import VIEWS, Columns, Neighbors, TimeLag
from sklearn_mi.workers import Turn, finish

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
REFERENCE = DOCS / "reference"
UNMAPPED = ("__init__", "__main__", "_version")
BUILT = {"_build", "_templates", "gallery", "generated", "sg_execution_times.rst"}
WRITTEN = [
    page for page in sorted(DOCS.rglob("*.rst")) if not BUILT & set(page.relative_to(DOCS).parts)
]
sys.path.insert(0, str(DOCS))
sys.path.insert(0, str(DOCS / "_ext"))

from concepts import INTERNAL, TOGETHER  # noqa: E402
from outputs import blocks, printed, same  # noqa: E402

PAGES = [README, *WRITTEN]
# Pages whose code takes a quarter of a minute or more: make test-docs.
LONG = {
    "how_to/exporting.rst",
    "README.md",
    "index.rst",
    "tutorials/few_labels.rst",
    "tutorials/first_number.rst",
    "evidence/label_free.rst",
    "how_to/recordings.rst",
    "how_to/saving.rst",
    "how_to/text.rst",
    "how_to/tuning.rst",
    "how_to/extending.rst",
    "how_to/few_labels.rst",
    "how_to/few_and_many_columns.rst",
    "how_to/images.rst",
    "how_to/many_fits.rst",
    "how_to/methods.rst",
    "how_to/tables.rst",
    "how_to/two_tables.rst",
    "how_to/watching.rst",
}
# Those that are promised to users; everything else may move.
MODULES = sorted(sklearn_mi.PUBLIC_MODULES)
FAMILIES = {
    "views": VIEWS,
    "encoders": ENCODERS,
    "front_ends": FRONT_ENDS,
    "critics": CRITICS,
    "negatives": NEGATIVES,
    "bounds": BOUNDS,
    "objectives": OBJECTIVES,
    "comparisons": COMPARISONS,
}


def name_of(page):
    return "README.md" if page == README else str(page.relative_to(DOCS))


def documented():
    """Return module and name of everything on the pages of the reference, as tables and as data."""
    names = []
    for page in sorted(REFERENCE.glob("*.rst")):
        module = ""
        for line in page.read_text(encoding="utf-8").splitlines():
            if match := re.match(r"\.\. (?:current)?module:: (\S+)", line):
                module = match[1]
            elif match := re.fullmatch(r"(?:   |\.\. py:data:: )(\w+)", line):
                names.append((module, match[1]))
    return [(module, name) for module, name in names if module]


def on_a_page_of_another():
    return [(whole.rsplit(".", 1)[0], name) for whole in TOGETHER for name in TOGETHER[whole]]


def table_rows(family):
    """Return the cells of the table of a family on its page of the reference."""
    text = (REFERENCE / f"{family}.rst").read_text(encoding="utf-8")
    table = re.search(r":class: family\n(?:   :.*\n)*\n((?:   .*\n)+)", text)[1]
    rows = [
        re.findall(r"^(?:   \*|    ) - ?(.*)$", row, re.M)
        for row in re.split(r"^(?=   \*)", table, flags=re.M)[1:]
    ]
    return [[cell.strip() for cell in row] for row in rows[1:]]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=name_of(page), marks=[pytest.mark.docs] * (name_of(page) in LONG))
        for page in PAGES
        if blocks(page)
    ],
)
def test_code_runs_and_prints_what_stands_there(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block, found in zip(blocks(page), printed(page), strict=True):
        assert same(block.output or "", found), f"{block.code.strip()}\nprints\n{found}"


def test_outputs_are_compared_by_words_and_by_numbers():
    assert same("raw 0.84\n", "raw  0.86") and same("", "")
    assert not same("raw 0.84", "raw 0.64")
    assert not same("raw 0.84", "PCA 0.84")
    assert not same("", "0.84") and not same("0.84 0.9", "0.84")


def test_every_page_with_code_is_found():
    # A change of markup must not empty the test above.
    assert {name_of(page) for page in PAGES if blocks(page)} >= {
        "README.md",
        "index.rst",
        "tutorials/few_labels.rst",
        "how_to/extending.rst",
        "explanation/what_a_bound_says.rst",
    }
    marks = {".md": "```python", ".rst": "code-block:: python"}
    for page in PAGES:
        assert len(blocks(page)) == page.read_text(encoding="utf-8").count(marks[page.suffix])


def test_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 130


@pytest.mark.parametrize("name", ["sklearn_mi", *(f"sklearn_mi.{name}" for name in MODULES)])
def test_public_names_have_a_page_of_the_reference(name):
    listed = [*documented(), *on_a_page_of_another()]
    # A class is documented once, under the name that users import.
    things = [getattr(importlib.import_module(home), alias, None) for home, alias in listed]
    module = importlib.import_module(name)
    internal = INTERNAL.get(name.removeprefix("sklearn_mi."), set())
    absent = {
        exported
        for exported in module.__all__
        if (name, exported) not in listed
        and not any(getattr(module, exported) is thing for thing in things)
    }
    assert absent == internal


def test_the_reference_lists_public_names_once():
    listed = [*documented(), *on_a_page_of_another()]
    assert len(listed) == len(set(listed))
    assert [
        name for home, name in listed if name not in importlib.import_module(home).__all__
    ] == []
    assert {whole for whole in TOGETHER} <= {".".join(each) for each in documented()}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_reference_lists_every_name_of_a_family(family):
    named = [row[0].strip('`"') for row in table_rows(family) if row[0]]
    assert sorted(named) == sorted(FAMILIES[family])


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "bounds"])
def test_the_reference_pairs_names_with_their_classes(family):
    module = importlib.import_module(f"sklearn_mi.{family}")
    for name, cls, *_ in table_rows(family):
        cls = cls.strip("`").rsplit(".", 1)[-1]
        assert cls in module.__all__
        if name:
            assert type(FAMILIES[family][name.strip('`"')]()).__name__ == cls


def test_the_reference_tells_which_negatives_keep_a_bound():
    for name, _, _, still in table_rows("negatives"):
        assert (NEGATIVES[name.strip('`"')]().caveat is None) == (still == "yes")


def test_the_reference_tells_status_and_ceiling_of_each_bound():
    greek = {"alpha": "α", "tau": "τ"}
    for name, _, status, ceiling, source in table_rows("bounds"):
        bound = BOUNDS[name.strip('`"')]()
        assert status == bound.status
        words = {"none": math.inf, "log": math.log, "exp": math.exp, "K": 100}
        words |= {greek.get(key, key): value for key, value in bound.get_params().items()}
        formula = ceiling.replace("log K", "log(K)")
        assert bound.ceiling(100) == pytest.approx(eval(formula, {}, words))
        assert all(year in type(bound).__doc__ for year in re.findall(r"\d{4}", source))


def links(page):
    """Return the pages that a page of the site links to."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(r":doc:`(?:[^`<]*<)?([^`>]+)>?`|:link: (\S+)", text)
    # And what stands in its part of the menu.
    menu = re.findall(r"^   ([\w/]+)$", text, re.M)
    for target in [*(one or other for one, other in named), *menu]:
        folder = DOCS if target.startswith("/") else page.parent
        for suffix in (".rst", ".md"):
            if (found := folder / f"{target.lstrip('/')}{suffix}").exists():
                yield found.resolve()


def clicks():
    """Return how many clicks each page is away from the home page."""
    away, queue = {DOCS / "index.rst": 0}, deque([DOCS / "index.rst"])
    while queue:
        page = queue.popleft()
        for target in links(page) if page.suffix == ".rst" else ():
            if target not in away:
                away[target] = away[page] + 1
                queue.append(target)
    return away


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("how_to/tables", "Numbers alone"),
        ("how_to/few_labels", "LabeledFold"),
        ("how_to/images", "input_shape"),
        ("how_to/two_tables", "X_pair"),
        ("tutorials/first_number", "MIEstimator"),
        ("how_to/how_long", "How long"),
        ("faq", "Input X contains NaN"),
        ("faq", "MemoryError"),
        ("faq", "is near its ceiling"),
        ("explanation/which_package", "UMAP"),
    ],
)
def test_what_a_newcomer_looks_for_is_two_clicks_away(page, text):
    path = DOCS / f"{page}.rst"
    assert clicks()[path] <= 2
    assert text in path.read_text(encoding="utf-8")


def test_every_page_can_be_reached():
    assert set(WRITTEN) <= set(clicks())


ROWS = np.random.default_rng(0).normal(size=(60, 4))
GAPS = np.where(np.arange(4) == 1, np.nan, ROWS)
FRAME = pd.DataFrame(ROWS, columns=list("abcd"))
TWICE = ROWS.repeat(2, axis=0)
LACKING = np.where(np.arange(60)[:, None] < 30, np.nan, ROWS)


def quick(**parameters):
    return MIRepresentationLearner(max_steps=2, random_state=0, **parameters)


def whole_method(comparison, **parameters):
    images = np.random.default_rng(0).random((20, 8, 8, 3), dtype=np.float32)
    return quick(comparison=comparison, **parameters).fit(images)


class OfSteps(torch.nn.Module):
    """A network of one's own that encodes every step, and does not say which were observed."""

    def __init__(self):
        super().__init__()
        self.map = torch.nn.Conv1d(3, 4, 3, padding=1)

    def forward(self, rows):
        return self.map(rows.transpose(1, 2)).mean(2)


RECORDINGS = np.random.default_rng(3).normal(size=(20, 12, 2))
LIST = [recording[: 6 + i % 6] for i, recording in enumerate(RECORDINGS)]
LONG_FRAME = pd.DataFrame({"who": np.arange(60) // 6, "time": np.arange(60) % 6, "a": ROWS[:, 0]})


def reopened(change):
    """Return a learner from its file after a change of the bytes."""
    quick().fit(ROWS).save("learner.safetensors")
    path = Path("learner.safetensors")
    path.write_bytes(change(path.read_bytes()))
    return load(path)


def rewritten(*place_and_value):
    """Return a learner from its file after a change of the header, with the digest of now."""
    *place, last, value = place_and_value
    quick().fit(ROWS).save("learner.safetensors")
    with safe_open("learner.safetensors", framework="pt") as file:
        header = json.loads(file.metadata()["sklearn_mi"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    inner = header
    for key in place:
        inner = inner[key]
    inner[last] = value
    metadata = {"sklearn_mi": json.dumps(header), **headers.unsealed()}
    save_file(tensors, "learner.safetensors", metadata=metadata)
    headers.seal("learner.safetensors")
    return load("learner.safetensors")


COLOURS = np.array(["red", "green", "blue"]).repeat(20)
DATES = pd.date_range("2020", periods=60)
FEW = np.where(np.arange(60) < 6, np.arange(60) % 3, -1)
MANY = np.random.default_rng(1).integers(0, 20, (60, 2))
TURN = np.linspace(0, 40, 400)
RINGS = np.cos(TURN)[:, None], np.sin(TURN) + 0.1 * np.cos(100 * TURN)
WALKS = ROWS.cumsum(axis=0)
TURNED = ROWS[:, :3], ROWS[:, :3] @ np.linalg.qr(ROWS[:3, :3])[0] + 0.02 * ROWS[::-1, :3]
WIDE = np.random.default_rng(2).normal(size=(3, 120, 300))


def closed(random_state=0, **parameters):
    return MIEstimator(
        "closed-form", n_folds=2, split_test=False, random_state=random_state, **parameters
    )


def few_labels(**parameters):
    return SemiSupervisedClassifier(PCA(2), **parameters)


def of_pair(*more, **parameters):
    return quick(**parameters).fit(ROWS, X_pair=[ROWS, *more] if more else ROWS)


class Sorting(torch.nn.Module):
    """A module whose shapes depend on values."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(4, 3)

    def forward(self, x):
        z = self.first(x)
        return z if z.sum() > 0 else -z


class Parts:
    """Rows that are iterated."""

    def __iter__(self):
        return iter([ROWS, ROWS])


def large_chunks():
    """Order rows as if 200 chunks of 40 MiB were on disk."""
    rows = SimpleNamespace(edges=np.arange(0, 2001, 10), row_bytes=2**22)
    window_order(rows, 16, 0, 0)


def closed_file():
    with h5py.File("rows.h5", "w") as file:
        return file.create_dataset("rows", data=ROWS)


def file_of_arrays():
    """What numpy makes of a file of several arrays."""
    made = io.BytesIO()
    np.savez(made, rows=ROWS)
    made.seek(0)
    return np.load(made)


def to_folder():
    os.mkdir("codes.zarr")
    return quick().fit(ROWS).transform_to(ROWS, "codes.zarr")


def onto_rows():
    np.save("rows.npy", ROWS)
    return quick().fit(ROWS).transform_to(np.load("rows.npy", mmap_mode="r"), "rows.npy")


class Uncopyable(Callback):
    """A callback with something open."""

    def __init__(self):
        self.lock = threading.Lock()


def lost_cell():
    """Give a call up whose worker dies each time."""
    with tempfile.TemporaryDirectory() as folder:
        mark = Path(folder) / "cell.begun"

        def call(item, shared):
            mark.touch()
            raise BrokenProcessPool("killed")

        how = {"n_jobs": 1, "turn": lambda item: Turn(Path(folder) / "cell")}
        with progress_bar(1, "cell", shown=False) as bar:
            (_, error), *_ = finish(call, {0: (0, 0)}, bar=bar, **how)
    raise error


# What provokes the message that an entry of the FAQ is named by.
def a_file():
    Path("file").write_text("")
    return "file"


def checkpoint():
    quick(checkpoint_dir="folder").fit(ROWS)
    [file] = Path("folder").rglob("*.checkpoint")
    return file


def begun(change):
    """Return a learner whose checkpoint has been changed."""
    file = checkpoint()
    file.write_bytes(change(file.read_bytes()))
    return quick(checkpoint_dir="folder")


class Two(Team):
    """Two processes, of which the other was given other rows."""

    def everyone(self, value):
        return [value, {"rows": "others"}]


def heard(error):
    """Wait for what the other process does not say, since it has failed or sleeps."""
    store = distributed.HashStore()

    class Local(Channel):
        _store = store

    if error is not None:
        Local(1, 2, 0).fail(error)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LOOK_EVERY", "PATIENCE"):
            patch.setattr(f"sklearn_mi.channel.{name}", 0)
        return Local(0, 2, 0).everyone("here")


class Machines(Team):
    """Three processes on two machines, each machine with rows of its own."""

    def everyone(self, value):
        return [value, value, "other rows"]


def unheard():
    """Raise what is told of a process that is gone."""

    class Silent(Channel):
        def failure(self):
            return None

    error = distributed.DistNetworkError("Connection was likely closed.")
    raise Team(0, 2, Silent(0, 2, 0)).cause_of(error)


NORMED = nn.Sequential(nn.Linear(ROWS.shape[1], 4), nn.BatchNorm1d(4))


def parts(team):
    fitted = quick(encoder=NORMED).fit(ROWS)
    plan = SimpleNamespace(batch_size=32)
    _check_parts(fitted.get_params(), fitted._model, plan, team)
    return fitted


def resumed_shares(path):
    how = {"at": (1, 2), "checkpoint": path, "validation_data": ROWS}
    list(quick().fit_iter(Parts(), **how))
    state = read_state(path)
    # As two processes leave it.
    write_state(path, {**state, "order": [state["order"]] * 2})
    list(quick().fit_iter(Parts(), **how))


def typed_csv(text, encoding="utf-8"):
    Path("rows.csv").write_text(text, encoding)
    words = ["fit", "rows.csv", "--out", "m.safetensors"]
    raise ValueError(CliRunner().invoke(main, words).output)


def typed(words, **files):
    """Return what a command says of files of HDF5, given by their data sets."""
    for name, sets in files.items():
        with h5py.File(f"{name}.h5", "w") as file:
            for key in sets:
                file[key] = ROWS
    Path("folder").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn_mi.cli.containers._memory", lambda: 1.0)
        raise ValueError(CliRunner().invoke(main, words.split()).output)


PROVOKED = {
    "There is not enough memory": lambda: quick(negatives=Queue(size=10**14)).fit(ROWS),
    "Input X contains NaN": lambda: closed().fit(GAPS, ROWS),
    "Input X contains infinity": lambda: quick().fit(ROWS / 0.0),
    "X has infinite values in columns": lambda: quick().fit(FRAME.assign(b=np.inf, c=COLOURS)),
    "expected numbers, texts, categories or dates": lambda: quick().fit(
        FRAME.assign(b=["x", 1] * 30)
    ),
    "expected a number, as in fit": lambda: quick().fit(FRAME).transform(FRAME.assign(b="old")),
    "expected a date, as in fit": lambda: (
        quick().fit(FRAME.assign(b=DATES)).transform(FRAME.assign(b=3.5))
    ),
    "none of which fit saw": lambda: (
        quick().fit(FRAME.assign(b=list("uv") * 30)).transform(FRAME.assign(b="w"))
    ),
    "holds dates before 1678 or after 2261": lambda: quick().fit(
        FRAME.assign(b=datetime.datetime(9999, 12, 31))
    ),
    "which can be read once": lambda: quick().fit(row for row in ROWS),
    "validation_data=, rows to report on": lambda: quick().fit(Parts()),
    "come one after the other and have no neighbours": lambda: quick(view="neighbors").fit(
        Parts(), validation_data=ROWS
    ),
    "nobody knows how long": lambda: MIRepresentationLearner(max_epochs=1).fit(
        Parts(), validation_data=ROWS
    ),
    "random chunks at a time": lambda: large_chunks(),
    "the rows have changed meanwhile": lambda: Limits(
        np.zeros(1), np.ones(1), np.ones(1, bool)
    ).check(np.array([[2.0]]), np.arange(1), "X"),
    "The first one is in row": lambda: BlockSource(Sliced(ROWS / 0.0)).take(slice(0, 2)),
    "as its name is one of labels": lambda: without_labels({"a": 1, "b": 1, "y": 1}, tells=True),
    "which names labels, and no rows": lambda: without_labels({"y": 1}),
    "cannot be read any more": lambda: quick().fit(ROWS).transform(closed_file()),
    "whose rows come one after the other; expected rows with numbers": lambda: quick().fit(
        ROWS, X_pair=Parts()
    ),
    "is a folder that holds more than codes": lambda: to_folder(),
    "holds the rows themselves, which would be lost": lambda: onto_rows(),
    "nobody knows how many rows": lambda: quick().fit(ROWS).transform_to(Parts(), "codes.npy"),
    "is a lazy frame, which holds no rows": lambda: quick().fit(polars.DataFrame(FRAME).lazy()),
    "is a dict; expected a table of rows": lambda: quick().fit(dict(FRAME)),
    "is a dict of a": lambda: quick().fit({"a": ROWS}),
    "is a file of arrays": lambda: quick().fit(file_of_arrays()),
    "is an array of records": lambda: quick().fit(np.zeros(9, [("a", "f4")])),
    "is an array of no axes": lambda: quick().fit(np.array(None, dtype=object)),
    "is an empty list; expected a table": lambda: quick().fit(ROWS, X_pair=[]),
    "expected a table in each place of the list": lambda: quick().fit(ROWS, X_pair=[ROWS, None]),
    "expected finite numbers, none of them negative": lambda: few_labels().fit(
        ROWS, FEW, sample_weight=-np.ones(len(ROWS))
    ),
    "cannot score a measurement": lambda: compare(
        {"raw": None}, ROWS, ROWS[:, 0], scoring="accuracy", n_labels=(5,)
    ),
    "span more than a float can hold": lambda: quick().fit(ROWS, confounds=ROWS[:, :1] * 1e300),
    "looks for the partner of every row": lambda: compare_pairs(
        {"model": quick()}, ROWS, np.where(np.arange(len(ROWS))[:, None] == 3, np.nan, ROWS)
    ),
    "X holds no value in any column": lambda: quick().fit(FRAME * np.nan),
    "X holds dates or times in columns": lambda: closed().fit(FRAME.assign(b=DATES), ROWS),
    "rows without a label, which nothing can be scored against": lambda: (
        few_labels().fit(ROWS, FEW).score(ROWS, FEW)
    ),
    "y has no label in 60 rows": lambda: few_labels().fit(ROWS, np.full(60, -1)),
    "but no class has more than 1 labelled row": lambda: list(
        LabeledFold(3).split(ROWS, [0, 1, *[-1] * (len(ROWS) - 2)])
    ),
    "cannot pass confounds to predict": lambda: few_labels().fit(
        ROWS, np.arange(len(ROWS)) % 2, confounds=ROWS[:, :1]
    ),
    "y has one class among its labelled rows": lambda: few_labels().fit(
        ROWS, np.where(FEW == 0, 0, -1)
    ),
    "expected numbers: use SemiSupervisedClassifier": lambda: SemiSupervisedRegressor(PCA()).fit(
        ROWS, COLOURS
    ),
    "y has infinite targets": lambda: SemiSupervisedRegressor(PCA()).fit(ROWS, FEW / 0.0),
    "goes on training an MIRepresentationLearner": lambda: few_labels(fine_tune=True).fit(
        ROWS, FEW
    ),
    "classifier=None has no parameter": lambda: few_labels().set_params(classifier__C=1),
    "but y holds a measurement; expected n_labels": lambda: compare(
        {"raw": None}, ROWS, ROWS[:, 0], labels_per_class=(1,)
    ),
    "but y holds classes; expected labels_per_class": lambda: compare(
        {"raw": None}, ROWS, COLOURS, n_labels=(5,)
    ),
    "of the smallest class in a training fold": lambda: compare(
        {"raw": None}, ROWS, COLOURS, labels_per_class=(50,)
    ),
    "but no class of y has more than": lambda: compare({"raw": None}, ROWS, np.arange(60)),
    "OnlineProbe has 60 rows": lambda: quick(callbacks=[OnlineProbe(ROWS, np.arange(60))]).fit(
        ROWS
    ),
    "Expected 2D array, got 1D array instead": lambda: quick().fit(ROWS[:, 0]),
    "Found array with 1 sample(s)": lambda: quick().fit(ROWS[:1]),
    "X has 3 features, but MIRepresentationLearner is expecting 4 features as input": lambda: (
        quick().fit(ROWS).transform(ROWS[:, :3])
    ),
    "The feature names should match those that were passed during fit": lambda: (
        quick().fit(FRAME).transform(FRAME.rename(columns={"d": "e"}))
    ),
    "input_shape=(3, 3) has 9 entries, but a row of X has 4": lambda: quick(input_shape=(3, 3)).fit(
        ROWS
    ),
    "y has several columns of floats and is ignored": lambda: quick().fit(ROWS, ROWS),
    "X_pair has 50; expected one partner a row": lambda: quick().fit(ROWS, X_pair=ROWS[:50]),
    "needs the second table here: pass X_pair=...": lambda: (
        quick().fit(ROWS, X_pair=ROWS).score(ROWS)
    ),
    "it cannot cut a list": lambda: quick().fit(ROWS[:50], X_pair=[ROWS, ROWS]),
    "compares several tables, or lightness and colours": lambda: quick(comparison="cmc").fit(ROWS),
    "is no layer of encoder": lambda: whole_method(comparisons.LocalGlobal("conv9")),
    "gives a map of one place": lambda: whole_method(comparisons.LocalGlobal("conv3")),
    "does not tell which steps of its feature maps were observed": lambda: quick(
        encoder=OfSteps(), n_components=None, comparison=comparisons.Predictive(layer="map")
    ).fit(LIST),
    "changes the reported bound alone": lambda: quick(
        objective="vicreg", negatives="other-groups"
    ).fit(ROWS, groups=np.arange(60) // 6),
    "what they compute stays random": lambda: whole_method("dim", encoder_y="separate"),
    "which were observed; expected its last map": lambda: quick(
        encoder=Conv1d(stride=2), comparison=comparisons.Predictive(1, layer="map.layers.0")
    ).fit(RECORDINGS),
    "chooses among other rows": lambda: quick(
        comparison=comparisons.Predictive(negatives="same", n_negatives=2),
        negatives="other-groups",
    ).fit(RECORDINGS, groups=np.arange(20) // 5),
    "expected recordings no longer than in fit": lambda: (
        quick(comparison=comparisons.Predictive(negatives="same", n_negatives=2))
        .fit(RECORDINGS[:, :8])
        .score(RECORDINGS)
    ),
    "expected at most 6, or None for all": lambda: whole_method(comparisons.Predictive(steps=7)),
    "which scores by networks of its own": lambda: whole_method("dim", critic="bilinear"),
    "needs all partners of a row": lambda: quick(
        view="noise", comparison=comparisons.Whole(positives="all")
    ).fit(ROWS),
    "column_weights has 2 numbers, but X has 4 columns": lambda: quick(column_weights=[1, 2]).fit(
        ROWS
    ),
    "column_weights names columns": lambda: quick(column_weights={"e": 2}).fit(FRAME),
    "column_weights is a dict, but X has no column names": lambda: quick(
        column_weights={"a": 2}
    ).fit(ROWS),
    "column_weights weigh the columns of a table": lambda: quick(column_weights=[1, 2]).fit(
        RECORDINGS
    ),
    "duplicates='collapse' leaves 1 of 60 rows": lambda: quick(duplicates="collapse").fit(
        np.ones((60, 4))
    ),
    "would tear rows of a series apart": lambda: quick(view="time-lag", duplicates="collapse").fit(
        ROWS
    ),
    "are copies of training rows, which the critic has seen": lambda: quick().fit(TWICE),
    "are copies of other training rows": lambda: quick().fit(TWICE),
    "fit was given confounds; pass confounds= of these rows": lambda: (
        quick().fit(ROWS, confounds=ROWS[:, :1]).transform(ROWS)
    ),
    "confounds is given, but MIRepresentationLearner was fitted without": lambda: (
        quick().fit(ROWS).transform(ROWS, confounds=ROWS[:, :1])
    ),
    "training rows, which they would tell completely": lambda: quick().fit(
        ROWS, confounds=WIDE[0, :60]
    ),
    "confounds has 120 levels in column": lambda: quick().fit(
        np.ones((240, 3)).cumsum(0),
        confounds=pd.DataFrame({"id": [f"p{i}" for i in range(120)] * 2}),
    ),
    "confounds has missing values in columns": lambda: quick().fit(ROWS, confounds=GAPS),
    "confounds would make the sparse X dense": lambda: quick().fit(
        csr_matrix(ROWS), confounds=ROWS[:, :1]
    ),
    "are taken out of columns of tables": lambda: quick().fit(
        RECORDINGS, confounds=np.arange(20.0)
    ),
    "which are taken out of all columns of X together": lambda: (
        quick(view=Columns([0, 1], [2, 3]))
        .fit(ROWS, confounds=ROWS[:, :1])
        .transform_pair(ROWS[:, 2:], confounds=ROWS[:, :1])
    ),
    "are compared, but 1 of 60 rows have both": lambda: quick().fit(
        LACKING, X_pair=np.where(np.arange(60)[:, None] > 30, np.nan, ROWS)
    ),
    "held-out rows has two that have both": lambda: quick().fit(
        np.where(np.arange(60)[:, None] > 4, np.nan, ROWS), X_pair=[ROWS, ROWS]
    ),
    "held-out rows have the same two tables": lambda: quick(early_stopping=True).fit(
        np.where(np.arange(60)[:, None] % 3 == 0, np.nan, ROWS),
        X_pair=[np.where(np.arange(60)[:, None] % 3 == k, np.nan, ROWS) for k in (1, 2)],
    ),
    "Rows lack tables, but": lambda: quick(negatives="hard").fit(ROWS, X_pair=[LACKING, ROWS]),
    "have no value in X, so their codes of it are NaN": lambda: of_pair().transform(LACKING),
    "The learner was fitted without X_pair": lambda: quick().fit(ROWS).transform_pair(ROWS),
    "was fitted to 3 tables; expected two": lambda: of_pair(ROWS).score_pairs(ROWS, [ROWS, ROWS]),
    "expected at most 60, the number of candidates": lambda: of_pair().retrieve(ROWS, ROWS, k=61),
    "expected at most 12, the rows of a fold": lambda: compare_pairs({}, ROWS, ROWS, k=[13]),
    "expected 'critic' or 'cosine'": lambda: of_pair().score_pairs(ROWS, ROWS, similarity="dot"),
    "so the critic is not trained; take similarity='cosine'": lambda: whole_method(
        "dim"
    ).score_pairs(ROWS, ROWS),
    "needs codes of one width": lambda: (
        quick(encoder="identity", critic="bilinear")
        .fit(ROWS, X_pair=ROWS[:, :2])
        .score_pairs(ROWS, ROWS[:, :2], similarity="cosine")
    ),
    "takes the rows of a table": lambda: Factors().fit(torch.zeros(9, 3, 3), seed=0),
    "makes features of tables": lambda: quick(front_end="factors").fit(RECORDINGS),
    "the columns of the narrower table": lambda: make_two_omics(20, 9, 5, n_shared=6, n_own=0),
    "the critic memorises": lambda: MIRepresentationLearner(
        front_end=None, max_steps=100, random_state=0
    ).fit(WIDE[0], X_pair=WIDE[1]),
    "often collapses; take Queue(momentum=0.99)": lambda: quick(
        negatives=Queue(64, momentum=None)
    ).fit(ROWS),
    "needs one encoder for both views": lambda: of_pair(negatives="queue", encoder_y="separate"),
    "expected None, or a number of at least 0 and below 1": lambda: quick(
        negatives=Queue(64, momentum=1.5)
    ).fit(ROWS),
    "is a module of your own, which needs pickle": lambda: skops.io.dumps(
        quick(encoder=torch.nn.Linear(4, 3)).fit(ROWS)
    ),
    "torch.export takes no learner with": lambda: quick(encoder=Sorting()).fit(ROWS).export(),
    "export takes no learner that was given confounds": lambda: (
        quick().fit(ROWS, confounds=ROWS[:, :1]).export()
    ),
    "needs groups: pass groups=...": lambda: quick(view="same-group").fit(ROWS),
    "critic='bilinaer' is not a known name": lambda: quick(critic="bilinaer").fit(ROWS),
    "effort='quick' and max_steps=3 both set the length of training": lambda: (
        MIRepresentationLearner(effort="quick", max_steps=3).fit(ROWS)
    ),
    "the model was built with another value, and training goes on from it": lambda: (
        quick().fit(ROWS).set_params(critic="cosine").partial_fit(ROWS)
    ),
    "device='cuda', but no GPU is available": lambda: quick(device="cuda").fit(ROWS),
    "expected the package faiss to be installed": lambda: quick(
        view=Neighbors(search="approximate")
    ).fit(ROWS),
    "workers died over it": lost_cell,
    "is not there for a worker": lambda: _Work([0], Path("gone"), {}, {}, 9, 1, False, False)(
        None, None
    ),
    "cannot be copied, but clone, and so a grid search": lambda: clone(
        quick(callbacks=[Uncopyable()])
    ),
    "expected a list of skorch callbacks": lambda: quick(callbacks=[print]).fit(ROWS),
    "has been altered since it was saved": lambda: reopened(lambda b: b[:-9] + bytes(9)),
    "its header is damaged": lambda: rewritten("facts", "seed", -1),
    "is not a safetensors file": lambda: reopened(lambda b: b"PK" + b),
    "The weights in the file are not those of the model": lambda: rewritten(
        "recipe", "parameters", "n_components", 10**6
    ),
    "cannot be stored without pickle": lambda: (
        quick(view=lambda x, generator: (x, x)).fit(ROWS).save("learner.safetensors")
    ),
    "The objective became nan at step": lambda: MIRepresentationLearner(
        max_steps=60, lr=1e9, optimizer="sgd", random_state=0
    ).fit(ROWS),
    "The encoder's loss or its gradients became NaN or infinite": lambda: AdversarialEncoder(
        RealNVP(affine=True, couplings=10, hidden=(8,)), lr=10.0, warm_up=5, random_state=0
    ).fit(ROWS, np.arange(60) % 3),
    "is near its ceiling": lambda: MIEstimator(n_folds=2, max_steps=50, random_state=0).fit(
        ROWS, ROWS
    ),
    "only 6 held-out rows for eval_block_size=256": lambda: quick().fit(ROWS),
    "conditional on 54 reference rows": lambda: quick().fit(ROWS),
    "of the pairs score above every unrelated pair": lambda: MIEstimator(
        n_folds=2, max_steps=50, random_state=0
    ).fit(ROWS, ROWS),
    "of the pairs repeat another pair": lambda: closed().fit(
        ROWS.repeat(2, axis=0), ROWS[:, 0].repeat(2)
    ),
    "nearest neighbours see": lambda: closed().fit(
        *beyond_normal()["spiral-multinormal-sparse-3-3-2-2.0"].sample(1500, random_state=0)
    ),
    "is so strong that the ranks of": lambda: closed().fit(*TURNED),
    "is a function of X without noise": lambda: closed().fit(ROWS, ROWS[:, :1]),
    "is empty, of shape": lambda: quick().fit([*LIST, LIST[0][:0]]),
    "has no observed step, only NaN": lambda: quick().fit([*LIST, np.nan * LIST[0]]),
    "fill gaps first": lambda: quick().fit([*LIST, np.where(LIST[0] > 0, LIST[0], np.nan)]),
    "expected recordings of shape (time, channels) with equal channels": lambda: quick().fit(
        [*LIST, LIST[0].T]
    ),
    "expected the same channels in the same order": lambda: quick().fit(
        [LONG_FRAME[["who", "time"]], LONG_FRAME[["time", "who"]]]
    ),
    "expected recordings of one kind": lambda: quick().fit([LONG_FRAME, LONG_FRAME.to_numpy()]),
    "expected 2, as in fit": lambda: quick().fit(LIST).transform(RECORDINGS[..., :1]),
    "holds what is no number": lambda: quick().fit([*LIST, LIST[0].astype(str) + "x"]),
    "takes images or tables": lambda: quick(encoder="lenet").fit(RECORDINGS),
    "takes recordings, but it gets rows of shape": lambda: quick(encoder="conv1d").fit(ROWS),
    "expected recordings of shape (time, 2)": lambda: quick(input_shape=(None, 2)).fit(ROWS),
    "gives no codes of the steps of a row": lambda: quick().fit(LIST).transform_steps(LIST),
    "as many as in fit; cut them": lambda: (
        quick(encoder="mlp", front_end=None).fit(LIST).transform([np.zeros((90, 2))])
    ),
    "makes features of recordings": lambda: quick(front_end="blocks").fit(ROWS),
    "gives recordings, not a table": lambda: RecordingFeatures("log-mel").fit(LIST),
    "but the longest series has": lambda: quick(view=TimeLag(window=61)).fit(ROWS),
    "needs rows of one long recording": lambda: quick(view=TimeLag(window=5)).fit(LIST),
    "leaves nothing to predict": lambda: quick(comparison="cpc").fit(RECORDINGS[:, :1]),
    "expected at most 11, or None for all": lambda: quick(
        comparison=comparisons.Predictive(steps=12)
    ).fit(RECORDINGS),
    "has two observed steps as far apart": lambda: quick(
        comparison=comparisons.Predictive(skip=10)
    ).fit([*RECORDINGS[:, :3], RECORDINGS[0]]),
    "is no column of frame": lambda: to_sequences(LONG_FRAME, "whom", "time"),
    "holds no numbers in columns": lambda: to_sequences(LONG_FRAME.assign(b="x"), "who", "time"),
    "expected one for each step": lambda: to_sequences(LONG_FRAME.assign(time=0), "who", "time"),
    "fill them within each recording": lambda: to_sequences(
        LONG_FRAME.assign(a=LONG_FRAME["a"].where(LONG_FRAME["time"] > 0)), "who", "time"
    ),
    "holds text or objects, such as": lambda: to_sequences(
        LONG_FRAME.astype({"time": str}), "who", "time"
    ),
    "or leave this group out": lambda: windows(ROWS, length=61),
    "mixes text and numbers in columns": lambda: closed().fit(FRAME.assign(b=["x", 1] * 30), ROWS),
    "holds numbers as text in columns": lambda: closed().fit(FRAME.astype(str), ROWS),
    "categories in 60 rows in columns": lambda: closed().fit(
        FRAME.assign(b=[f"name {i}" for i in range(60)]), ROWS
    ),
    "Complex data not supported": lambda: closed().fit(1j * ROWS, ROWS),
    "GB as a dense table": lambda: closed().fit(csr_matrix((60, 10**7)), ROWS),
    "has images or sequences as its rows": lambda: closed().fit(ROWS.reshape(60, 2, 2), ROWS),
    "expected one column of classes": lambda: closed(discrete_target=True).fit(ROWS, ROWS),
    "expected classes that recur": lambda: closed(discrete_target=True).fit(ROWS, ROWS[:, 0]),
    "which fit did not see; expected classes among": lambda: (
        closed().fit(ROWS, COLOURS).score(ROWS[:2], ["red", "black"])
    ),
    "categories that fit did not see in columns": lambda: (
        closed().fit(FRAME.assign(b=COLOURS), ROWS).score(FRAME[:2].assign(b="black"), ROWS[:2])
    ),
    "expected at least 8 rows": lambda: closed().fit(ROWS[:7], ROWS[:7]),
    "expected an integer, a RandomState or None, as in scikit-learn": lambda: closed(
        random_state=np.random.default_rng(0)
    ).fit(ROWS, ROWS),
    "method='classifier' needs a category": lambda: MIEstimator("classifier").fit(ROWS, ROWS),
    "split_test=False keeps no rows for a test": lambda: (
        closed().fit(ROWS, COLOURS).test_independence()
    ),
    "This estimator was fitted with a third table Z": lambda: (
        closed().fit(ROWS[:, :1], ROWS[:, 1], ROWS[:, 2:]).score(ROWS[:, :1], ROWS[:, 1])
    ),
    "Z was passed beside images or sequences": lambda: MIEstimator(encoder="mlp").fit(
        ROWS.reshape(60, 2, 2), ROWS, ROWS
    ),
    "each row is like the rows before it on both sides": lambda: closed().fit(WALKS[:, :1], WALKS),
    "the rows are sorted by a column": lambda: closed().fit(
        np.sort(ROWS[:, :1], axis=0), WALKS[:, 0]
    ),
    "blocks and groups were both passed": lambda: closed().fit(
        ROWS, ROWS, blocks=5, groups=COLOURS
    ),
    "expected None, 'auto' or a positive integer, the rows of a block": lambda: closed().fit(
        ROWS, ROWS, blocks=0.5
    ),
    "expected at most half of the rows": lambda: closed().fit(ROWS, ROWS, blocks=31),
    "groups has 2 different values": lambda: closed().fit(ROWS, ROWS, groups=np.arange(60) % 2),
    "x and y have different indices": lambda: mutual_info_lags(FRAME["a"], FRAME["b"][::-1], [0]),
    "fill these rows, as a lag counts rows": lambda: mutual_info_lags(GAPS, ROWS, [0]),
    "expected integers, such as range(-20, 21)": lambda: mutual_info_lags(ROWS, ROWS, [0.5]),
    "bytes are missing or have changed": lambda: begun(lambda b: b[:-1]).fit(ROWS),
    "is a checkpoint of a fit, not a model": lambda: load(checkpoint()),
    "take a shorter name": lambda: quick(checkpoint_dir="a" * 300).fit(ROWS),
    "is no checkpoint of sklearn-mi": lambda: begun(lambda b: b[9:]).fit(ROWS),
    "was written in format 2, but this is sklearn-mi": lambda: begun(
        lambda b: b.replace(b"checkpoint 1", b"checkpoint 2", 1)
    ).fit(ROWS),
    "belongs to another training": lambda: [
        list(quick().set_params(random_state=seed).fit_iter(ROWS, at=(1, 2), checkpoint="run"))
        for seed in (0, 1)
    ],
    "each read rows of their own": lambda: resumed_shares("run"),
    "draws another seed at each fit": lambda: (
        quick(checkpoint_dir="folder").set_params(random_state=None).fit(ROWS)
    ),
    "is a file; expected a folder": lambda: quick(checkpoint_dir=a_file()).fit(ROWS),
    "cannot be made": lambda: quick(checkpoint_dir=f"{a_file()}/below").fit(ROWS),
    "could not be written": lambda: quick().fit(ROWS).save("x" * 250),
    "expected the name of a file or folder": lambda: load(""),
    "is a folder; expected a file": lambda: load("."),
    "there is no such file": lambda: load("nowhere"),
    "there is no folder": lambda: list(
        quick().fit_iter(ROWS, at=(1, 2), checkpoint="no folder/run")
    ),
    "goes with a fit from its first step": lambda: quick(checkpoint_dir="folder").partial_fit(ROWS),
    "expected a number of steps, such as 1000, or a time": lambda: quick(
        checkpoint_every="soon"
    ).fit(ROWS),
    "the estimate still rises as neighbours come nearer": lambda: closed().fit(
        ROWS[:, :1], np.abs(ROWS[:, 0])
    ),
    "follows from the other table without noise": lambda: closed().fit(ROWS, ROWS),
    "polynomials of one table predict a column of the other": lambda: closed().fit(
        ROWS[:, :3], ROWS[:, 0] * ROWS[:, 1] + 0.03 * ROWS[:, 3]
    ),
    "takes counts or weights of words": lambda: quick(view="drop-words").fit(ROWS),
    "makes features of texts": lambda: quick(front_end="lsa").fit(ROWS),
    "the critic is refuted": lambda: MIEstimator(
        "copula", n_folds=2, split_test=False, random_state=0
    ).fit(*RINGS),
    "are alone in their pair of categories": lambda: closed().fit(
        MANY[:, :1].astype(str), MANY[:, 1].astype(str)
    ),
    "the columns are correlated beyond a few factors": lambda: closed().fit(
        WIDE[0, :60, :80] / np.arange(0.2, 16.2, 0.2) + ROWS[:, :1], WIDE[1, :60, :80] + ROWS[:, :1]
    ),
    "the tables share more than their factors above the noise": lambda: closed().fit(
        WIDE[0, :60, :80], WIDE[0, :60, :80] + ROWS[:, :1]
    ),
    "the shared factors are weak for so many columns and so few rows": lambda: closed().fit(
        WIDE[0] + 0.13 * WIDE[2, :, :1], WIDE[1] + 0.13 * WIDE[2, :, :1]
    ),
    "rows are too few for": lambda: closed().fit(WIDE[0, :20], WIDE[1, :20]),
    "the critics were still improving at step": lambda: MIEstimator(
        "network", n_folds=2, max_steps=10, split_test=False, random_state=0
    ).fit(ROWS, ROWS),
    "the critics overfit": lambda: MIEstimator(
        "network", n_folds=2, max_steps=50, offset=False, split_test=False, random_state=0
    ).fit(ROWS, ROWS[::-1]),
    "the effective sample size of the unrelated pairs": lambda: closed().fit(ROWS, ROWS),
    "folds in the place of n_folds": lambda: MIEstimator(
        "closed-form", split_test=False, random_state=0
    ).fit(ROWS[:16, :1], ROWS[:16, 1]),
    "is a list of items of a data set": lambda: quick().fit([(row, 1) for row in ROWS]),
    "expected the same names in each": lambda: in_order({"a": 1}, ["a", "b"]),
    "tuples of which the first part is the row": lambda: row_of_item((1, np.zeros(3))),
    "a row, beside": lambda: row_of_item({"image": np.zeros((3, 3)), "id": 1}),
    "it is no text in UTF-8": lambda: typed_csv("a,b\n\xe9,1\n", encoding="latin-1"),
    "has several columns of one name": lambda: typed_csv("a,a\n1,2\n"),
    "but its first line names": lambda: typed_csv("a\n1,2\n3,4\n"),
    "which counts as a class": lambda: few_labels().fit(ROWS, np.repeat(["a", "b", "nan"], 20)),
    "objects; expected numbers or text": lambda: few_labels().fit(
        ROWS, [*map(torch.tensor, range(60))]
    ),
    "to which all recordings are padded": lambda: gathered(
        [*np.zeros((30, 2, 1)), np.zeros((200_000, 1))]
    ),
    "holds several arrays": lambda: typed("fit a.h5 --out m.safetensors", a="xy"),
    "holds no array": lambda: typed("fit a.h5:z --out m.safetensors", a="xy"),
    "is a folder without parquet files": lambda: typed("fit folder --out m.safetensors"),
    "and all are read at once": lambda: typed("report a.h5 --out page.html", a="x"),
    "no launcher started this process": lambda: quick(distributed=True).fit(ROWS),
    "processes train one model, but": lambda: Two(0, 2).check_same({"rows": "these"}),
    "failed, so this one has stopped": lambda: heard(ValueError("of its own")),
    "different shares; expected the same rows in each": lambda: _first_window(
        Stream(Parts()), Machines(0, 3)
    ),
    "has ended without a word": lambda: unheard(),
    "has said nothing for": lambda: heard(None),
    "processes share each batch": lambda: parts(Team(0, 99)),
    "normalises over the rows of each process alone": lambda: parts(Team(0, 2)),
    "normalises over the batch, which must then be whole": lambda: quick(
        encoder=NORMED, chunk_size=8
    ).fit(ROWS),
    "computes bfloat16 wrongly": lambda: quick(
        encoder=WrongInHalf(), n_components=4, precision="bfloat16"
    ).fit(images()),
}
# Beyond a test on a CPU, or of another library.
NOT_PROVOKED = {"The GPU is out of memory", "MemoryError", "Killed", "already exists", "mi_"}


def faq_messages():
    text = (DOCS / "faq.rst").read_text(encoding="utf-8")
    heads = [line for line in text.splitlines() if line.startswith("``")]
    return [message for head in heads for message in re.findall(r"``(.+?)``", head)]


def test_the_faq_is_keyed_by_messages_that_are_provoked():
    assert set(faq_messages()) == set(PROVOKED) | NOT_PROVOKED


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("message", PROVOKED)
def test_the_faq_quotes_what_the_package_says(message, recwarn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "no GPU" in message:
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    if "faiss" in message:
        monkeypatch.setitem(sys.modules, "faiss", None)
    try:
        said = [*PROVOKED[message]().mi_.warnings]
    except Exception as error:
        said = [str(error)]
    said += [str(warning.message) for warning in recwarn]
    assert any(message in text for text in said), said


def test_defaults_are_listed_by_kind_of_rows():
    page = (DOCS / "evidence" / "defaults.rst").read_text(encoding="utf-8")
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
