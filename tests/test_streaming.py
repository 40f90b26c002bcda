"""Rows on disk, rows that are iterated, and codes written to files."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from skorch.callbacks import Callback

import sklearn_mi.preparation.assembly as assembly
import sklearn_mi.rows.blocks as blocks
import sklearn_mi.rows.streams as streams
import sklearn_mi.streaming as streaming
from sklearn_mi import MIRepresentationLearner
from sklearn_mi._base import MIWarning
from sklearn_mi.rows import (
    BlockSource,
    Order,
    Rows,
    Standardize,
    Stream,
    StreamOrder,
    WindowOrder,
    as_source,
    as_stream,
    fit_standardize,
    stored,
    window_order,
)
from sklearn_mi.rows.moments import Moments
from sklearn_mi.rows.windows import read_ahead

N, P = 2000, 6
CHUNK = 50


def learner(**parameters):
    how = {"n_components": 3, "view": "corruption", "max_steps": 12, "random_state": 0}
    return MIRepresentationLearner(**{**how, **parameters})


@pytest.fixture(scope="module")
def X():
    X = np.random.default_rng(0).normal(size=(N, P)).astype(np.float32)
    X[:, 3:] += X[:, :3]
    return X


@pytest.fixture
def on_disk(monkeypatch):
    """Leave rows on disk however few there are, in blocks of 50 rows."""
    monkeypatch.setattr(blocks, "MOST_IN_MEMORY", 0)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", CHUNK * P * 4)


def memmap(X, folder):
    np.save(folder / "rows.npy", X)
    return np.load(folder / "rows.npy", mmap_mode="r")


def to_zarr(X, folder, chunk=CHUNK):
    zarr = pytest.importorskip("zarr")
    made = zarr.create_array(
        store=str(folder / "rows.zarr"),
        shape=X.shape,
        dtype=X.dtype,
        chunks=(chunk, *X.shape[1:]),
        overwrite=True,
    )
    made[:] = X
    return made


def h5(X, folder):
    file = h5py.File(folder / "rows.h5", "w")
    return file.create_dataset("rows", data=X, chunks=(CHUNK, *X.shape[1:]))


def to_dask(X, folder):
    array = pytest.importorskip("dask.array")
    return array.from_array(X, chunks=(CHUNK, *X.shape[1:]))


def parquet(X, folder):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    data = pytest.importorskip("pyarrow.dataset")
    table = pa.table({f"c{i}": column for i, column in enumerate(X.T)})
    (folder / "parts").mkdir()
    pq.write_table(table.slice(0, 500), folder / "parts" / "a.parquet", row_group_size=CHUNK)
    pq.write_table(table.slice(500), folder / "parts" / "b.parquet", row_group_size=CHUNK)
    return data.dataset(folder / "parts")


def hugging_face(X, folder):
    return pytest.importorskip("datasets").Dataset.from_dict({"x": X})


def items(X, folder):
    return torch.utils.data.TensorDataset(torch.from_numpy(X), torch.zeros(len(X)))


# Slow: what takes a second to import.
CONTAINERS = (
    *(memmap, h5, parquet, items),
    *(pytest.param(made, marks=pytest.mark.slow) for made in (to_zarr, to_dask, hugging_face)),
)


def test_the_index_that_pandas_wrote_is_no_column(X, tmp_path, on_disk):
    data = pytest.importorskip("pyarrow.dataset")
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(P)])
    for index in (np.arange(N) + 7, pd.Index(np.arange(N), name="id")):
        frame.set_axis(index).to_parquet(tmp_path / "rows.parquet", row_group_size=CHUNK)
        source = stored(data.dataset(tmp_path / "rows.parquet"))
        assert source.shape == X.shape and source.storage.names == list(frame)
        assert np.array_equal(source.take(slice(40, 130)).numpy(), X[40:130])


class Again:
    """Blocks of rows, again in each iteration."""

    def __init__(self, X, size=100):
        self.X, self.size = X, size

    def __iter__(self):
        return (self.X[i : i + self.size] for i in range(0, len(self.X), self.size))


# Sources


@pytest.mark.parametrize("make", CONTAINERS)
def test_a_source_gives_the_rows_of_the_array(make, X, tmp_path, on_disk):
    source = stored(make(X, tmp_path))
    assert isinstance(source, BlockSource)
    assert source.shape == X.shape and source.dtype == "float32"
    assert source.edges[0] == 0 and source.edges[-1] == N and len(source.edges) == N // CHUNK + 1
    numbers = np.random.default_rng(1).integers(0, N, 300)
    assert np.array_equal(source.take(numbers).numpy(), X[numbers])
    assert np.array_equal(source.take(slice(40, 130)).numpy(), X[40:130])
    assert source.take(slice(0, 0)).shape == (0, P) == source.take(np.array([], int)).shape
    some = np.unique(numbers)
    assert np.array_equal(np.concatenate(list(source.blocks(some))), X[some])
    assert np.array_equal(np.concatenate(list(source.blocks())), X)


@pytest.mark.parametrize("make", CONTAINERS)
def test_rows_that_fit_into_memory_are_as_good_as_an_array(make, X, tmp_path):
    rows = make(X, tmp_path)
    fitted, known = learner().fit(rows), learner().fit(X)
    assert type(fitted.net_.order) is Order
    assert np.array_equal(np.asarray(fitted.transform(rows)), known.transform(X))
    assert float(fitted.mi_) == float(known.mi_)


@pytest.mark.parametrize("make", CONTAINERS)
def test_rows_on_disk_give_the_same_whatever_holds_them(make, X, tmp_path, on_disk):
    rows = make(X, tmp_path)
    fitted, known = learner().fit(rows), learner().fit(items(X, tmp_path))
    assert type(fitted.net_.order) is WindowOrder
    codes = np.asarray(fitted.transform(rows))
    assert np.array_equal(codes, known.transform(X))
    assert float(fitted.mi_) == float(known.mi_) and fitted.n_features_in_ == P
    assert fitted.choices_["optimizer"].value == learner().fit(X).choices_["optimizer"].value


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32, np.uint8])
def test_other_numbers_on_disk(dtype, X, tmp_path, on_disk):
    rows = (20 * X + 100).astype(dtype)
    fitted = learner(max_steps=3).fit(memmap(rows, tmp_path))
    expected = fit_standardize_of(rows, fitted)
    assert np.allclose(fitted.net_.model.scale.scale, expected.scale, rtol=1e-12)
    assert np.array_equal(fitted.transform(memmap(rows, tmp_path)), fitted.transform(rows))


def fit_standardize_of(rows, fitted):
    """Return the layer of the two passes over the training rows in memory."""
    from sklearn_mi.rows.checks import CheckedRows

    index = np.flatnonzero(np.isin(np.arange(N), training_rows(fitted)))
    return fit_standardize(CheckedRows(as_source(rows), fitted._schemas[0]), index, "auto")


def training_rows(fitted):
    from sklearn_mi.rows import split_rows

    return split_rows(N, (0, round(N * fitted.validation_fraction)), fitted._seed)[0]


def test_images_and_recordings_on_disk(tmp_path, on_disk):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, 6, 6, 3), dtype=np.uint8)
    fitted = MIRepresentationLearner(3, max_steps=3, random_state=0).fit(memmap(images, tmp_path))
    assert type(fitted.net_.order) is WindowOrder
    assert np.array_equal(fitted.transform(h5(images, tmp_path)), fitted.transform(images))
    recordings = rng.normal(size=(300, 12, 2)).astype(np.float32)
    how = {"front_end": None, "encoder": "conv1d", "max_steps": 3, "random_state": 0}
    fitted = MIRepresentationLearner(3, **how).fit(memmap(recordings, tmp_path))
    assert type(fitted.net_.order) is WindowOrder
    assert np.array_equal(fitted.transform(recordings), fitted.transform(Again(recordings)))


def test_pairs_of_tables_on_disk(X, tmp_path, on_disk):
    pair = h5(X[:, ::-1].copy(), tmp_path)
    fitted = learner(view="auto").fit(memmap(X, tmp_path), X_pair=pair)
    same = learner(view="auto").fit(memmap(X, tmp_path), X_pair=X[:, ::-1].copy())
    assert type(fitted.net_.order) is type(same.net_.order) is WindowOrder
    assert np.array_equal(fitted.transform(X), same.transform(X))
    held = X[:300], X[:300, ::-1]
    told = learner(view="auto").fit(memmap(X, tmp_path), X_pair=pair, validation_data=held)
    assert told.mi_.n_pairs == 300


def test_rows_with_gaps_on_disk(X, tmp_path, on_disk, monkeypatch):
    lacking = X.copy()
    lacking[::7, 1] = np.nan
    fitted = learner(max_steps=3).fit(memmap(lacking, tmp_path))
    assert np.isfinite(fitted.transform(memmap(lacking, tmp_path))).all()
    in_memory = learner(max_steps=3).fit(lacking)
    read = in_memory.transform(memmap(lacking, tmp_path))
    assert np.array_equal(read, in_memory.transform(lacking))
    assert np.isfinite(in_memory.score(memmap(lacking, tmp_path)))


# Statistics


@pytest.mark.parametrize("offset, unit", [(0, 1), (1e8, 1), (-3, 1e-30), (5, 1e30)])
def test_one_pass_gives_the_moments_of_two(offset, unit):
    rng = np.random.default_rng(0)
    X = unit * (offset + np.sort(rng.normal(size=(999, 3)), axis=0))
    X[:, 2] = 7.0
    X[::5, 0] = np.nan
    X[:200, 1] = np.nan
    moments = Moments()
    for start in range(0, len(X), 64):
        moments.add(X[start : start + 64])
    exact = StandardScaler().fit((X - np.nanmin(X, axis=0)) / unit)
    limits = MinMaxScaler().fit(X)
    assert np.array_equal(moments.low, limits.data_min_)
    assert np.array_equal(moments.high, limits.data_max_)
    variance = moments.variance / unit**2
    assert np.allclose(variance[:2], exact.var_[:2], rtol=1e-9) and variance[2] == 0
    assert np.allclose(moments.above_low / unit, exact.mean_, rtol=1e-9)
    assert moments.are_exact


def test_moments_that_overflow_are_told():
    for unit in (1e200, 1e-200):
        moments = Moments()
        moments.add(unit * np.arange(6.0).reshape(3, 2))
        assert not moments.are_exact


@pytest.mark.parametrize("unit", [1e200, 1e-200])
def test_numbers_of_any_unit_on_disk(unit, X, tmp_path, on_disk):
    X = X.astype(np.float64)
    fitted = learner(max_steps=2).fit(memmap(X * unit, tmp_path))
    expected = fit_standardize_of(X * unit, fitted)
    assert np.allclose(fitted.net_.model.scale.scale, expected.scale, rtol=1e-12)


class Rewrites(Callback):
    """Change a file once the first pass of training is over."""

    def __init__(self, path, rows, value):
        self.path, self.rows, self.value = path, rows, value

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 1:
            rows = np.load(self.path, mmap_mode="r+")
            rows[self.rows] = self.value
            rows.flush()


def rewritten(X, folder, rows, value, **how):
    """Fit to a file that changes meanwhile."""
    given = memmap(X, folder)
    change = Rewrites(folder / "rows.npy", rows, value)
    how = {"max_steps": None, "max_epochs": 3, "callbacks": [change], **how}
    return learner(**how).fit(given)


CHANGES = {
    "nan": (
        np.nan,
        r"X is nan in row 1[0-9]\d\d, column 2, but when fit began .* between -4.* and",
    ),
    "inf": (np.inf, r"Input X contains infinity .* The first one is in row 1[0-9]\d\d\."),
    "large": (1e30, r"X is 1e\+30 in row 1[0-9]\d\d, column 2, .* changed meanwhile; let nobody"),
}


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("kind", CHANGES)
def test_rows_that_change_during_a_fit_are_told(kind, gaps, X, tmp_path, on_disk):
    value, told = CHANGES[kind]
    X = X.copy()
    X[5, 2] = -4.5
    X[::7, 1] = np.nan if gaps else 0.0
    with pytest.raises(ValueError, match=told):
        rewritten(X, tmp_path, (slice(1000, 1200), 2), value)
    # A column that had gaps may have others, and within the limits nobody can tell.
    assert rewritten(X, tmp_path, (slice(1000, 1200), 1), X[0, 1]).n_iter_ > 12


def test_confounds_on_disk_are_rounded_and_not_taken_for_changes(X, tmp_path, on_disk):
    age = np.random.default_rng(1).normal(size=N)
    X = X + age[:, None].astype(np.float32)
    fitted = learner(max_steps=None, max_epochs=3).fit(memmap(X, tmp_path), confounds=age)
    assert type(fitted.net_.order) is WindowOrder and np.isfinite(float(fitted.mi_))
    rows = training_rows(fitted)
    known = np.linalg.lstsq(np.column_stack([np.ones(len(rows)), age[rows]]), X[rows], rcond=None)
    [found] = fitted.net_.model.confounds
    slopes = found.weights[1] / found.scale
    assert np.allclose(slopes, known[0][1], rtol=1e-5)


@pytest.mark.parametrize("place, told", [(2, "NaN at step 2 in ch"), (slice(None), "no observed")])
def test_recordings_that_change_during_a_fit_are_told(place, told, tmp_path, on_disk):
    recordings = np.random.default_rng(0).normal(size=(300, 6, 2)).astype(np.float32)
    recordings[::3, 5:] = np.nan
    how = {"front_end": None, "encoder": "conv1d", "view": "auto", "batch_size": 64}
    with pytest.raises(ValueError, match=rf"X\[1\d\d\].*{told}"):
        rewritten(recordings, tmp_path, (slice(100, 200), place), np.nan, **how)
    assert rewritten(recordings, tmp_path, (slice(100, 200), 5), np.nan, **how).n_iter_ > 0


def test_images_that_change_during_a_fit_are_told(tmp_path, on_disk):
    images = np.random.default_rng(0).normal(size=(300, 6, 6, 3)).astype(np.float32)
    with pytest.raises(ValueError, match="Input X contains NaN. The first one is in row 1"):
        rewritten(images, tmp_path, slice(100, 200), np.nan, view="auto", batch_size=64)


def test_limits_are_those_of_a_naive_loop():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    X[rng.random(X.shape) < 0.2] = np.nan
    X[:, 2] = rng.normal(size=40)
    moments = Moments()
    for start in range(0, 40, 16):
        moments.add(X[start : start + 16])
    limits = moments.limits(40)
    for _ in range(300):
        row, column = int(rng.integers(40)), int(rng.integers(3))
        value = rng.choice([np.nan, *np.linspace(-4, 4, 9)])
        changed = X.copy()
        changed[row, column] = value
        lies = np.nanmin(X[:, column]) <= value <= np.nanmax(X[:, column])
        if lies or (np.isnan(value) and column < 2):
            limits.check(changed, np.arange(40), "X")
            continue
        with pytest.raises(ValueError, match=f"X is .* in row {row + 7}, column {column},"):
            limits.check(changed, np.arange(7, 47), "X")


def test_copies_on_disk_are_counted(X, tmp_path, on_disk):
    twice = np.concatenate([X[: N // 2], X[: N // 2]])
    fitted, known = (learner(max_steps=1).fit(rows) for rows in (memmap(twice, tmp_path), X))
    told = [w for w in fitted.mi_.warnings if "copies of training rows" in w]
    split = training_rows(fitted)
    out = np.setdiff1d(np.arange(N), split)
    n_copies = sum(((i + N // 2) % N) in set(split.tolist()) for i in out.tolist())
    assert told and told[0].startswith(f"{n_copies} of {len(out)}")
    assert not [w for w in known.mi_.warnings if "copies of training rows" in w]


# The order


def spread(edges, batch_size=16, **how):
    return WindowOrder(np.asarray(edges), batch_size, 0, **how)


def of_pass(order):
    order.allow(order.steps_a_pass)
    return [batch.tolist() for batch in order.rest_of_pass()]


def test_every_row_comes_once_in_a_pass():
    order = spread([0, 10, 31, 40, 77, 100, 130], 16, blocks_at_once=2)
    passes = [sum(of_pass(order), []) for _ in range(3)]
    for rows in passes:
        assert len(rows) == len(set(rows)) == 128 and set(rows) <= set(range(130))
    assert passes[0] != passes[1]
    assert len({frozenset(range(130)) - set(rows) for rows in passes}) > 1
    assert (
        sum(of_pass(spread([0, 10, 31, 40, 77, 100, 130], 16, blocks_at_once=2)), []) == passes[0]
    )


def test_the_order_resumes():
    edges = np.arange(0, 1001, 10)
    for before in (0, 1, 17, 62, 63, 150):
        order = WindowOrder(edges, 16, 3, n_extra=2, blocks_at_once=20)
        other = WindowOrder(edges, 16, 4, n_extra=2, blocks_at_once=20)
        draw(order, before)
        other.load_state_dict(order.state_dict())
        for mine, others in zip(draw(order, 90), draw(other, 90), strict=True):
            assert torch.equal(mine, others)


def draw(order, n):
    order.allow(n)
    batches = []
    while order.steps_left:
        batches += list(order.rest_of_pass())
    return batches


def test_a_state_survives_a_file(tmp_path):
    order = WindowOrder(np.arange(0, 1001, 10), 16, 3)
    draw(order, 5)
    torch.save(order.state_dict(), tmp_path / "state")
    other = WindowOrder(np.arange(0, 1001, 10), 16, 9)
    other.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert all(map(torch.equal, draw(order, 80), draw(other, 80)))


def test_one_block_and_batches_larger_than_the_data():
    assert [sorted(rows) for rows in of_pass(spread([0, 7], 16))] == [list(range(7))]
    assert len(of_pass(spread(np.arange(9), 3, blocks_at_once=1))) == 2


@pytest.mark.parametrize("at_once", [16, 64, 320])
def test_a_sorted_file_biases_batches_by_one_block_of_a_window(at_once):
    n_blocks, size, n_classes, batch = 320, 10, 10, 64
    classes = np.repeat(np.arange(n_classes), n_blocks * size // n_classes)
    order = spread(np.arange(0, n_blocks * size + 1, size), batch, blocks_at_once=at_once)
    shares = []
    for _ in range(30):
        for rows in of_pass(order):
            same = classes[rows][:, None] == classes[rows]
            shares.append((same.sum() - batch) / (batch * (batch - 1)))
    # Two rows of a window: of one block, or of two blocks that were drawn without replacement.
    one = (size - 1) / (at_once * size - 1)
    expected = one + (1 - one) * (n_blocks / n_classes - 1) / (n_blocks - 1)
    # Batches of a window are dependent: the error is that of the means of passes.
    means = np.reshape(shares, (30, -1)).mean(axis=1)
    error = means.std(ddof=1) / np.sqrt(30)
    assert abs(np.mean(shares) - expected) < max(4 * error, 0.002)
    if at_once == n_blocks:
        assert abs(expected - (N_SAME := (n_blocks * size / n_classes - 1) / 3199)) < 1e-12, N_SAME


def served(X, source=None, index=None):
    layer = Standardize(np.zeros(1), np.ones(1))
    return Rows(source if source is not None else X, layer, torch.device("cpu"), (P,), index=index)


def test_read_ahead_serves_the_rows_and_reads_each_block_once(X, tmp_path, on_disk, monkeypatch):
    monkeypatch.setattr("sklearn_mi.rows.windows.WINDOW_BYTES", 5 * CHUNK * P * 4)
    monkeypatch.setattr("sklearn_mi.rows.windows.LEAST_BLOCKS", 2)
    source = stored(memmap(X, tmp_path))
    index = np.setdiff1d(np.arange(N), np.arange(0, N, 9))
    rows, reads = served(X, source, index), []
    order = window_order(rows, 64, 0, 0)
    read = source.storage.pick
    monkeypatch.setattr(
        source.storage, "pick", lambda places: (reads.append(places), read(places))[1]
    )
    order.allow(order.steps_a_pass)
    threads = threading.active_count()
    for numbers in read_ahead(rows, order):
        assert np.array_equal(rows[numbers].numpy(), X[index[numbers]])
    assert threading.active_count() == threads
    # No row that is held out was read, and no other one twice.
    assert np.array_equal(np.sort(np.concatenate(reads)), index)
    assert len(reads) == N // CHUNK


def test_large_chunks_are_told(X, tmp_path, on_disk, monkeypatch):
    monkeypatch.setattr("sklearn_mi.rows.windows.MOST_WINDOW_BYTES", 3 * CHUNK * P * 4)
    monkeypatch.setattr("sklearn_mi.rows.windows.WINDOW_BYTES", CHUNK * P * 4)
    with pytest.warns(MIWarning, match="from 3 random chunks at a time"):
        learner().fit(h5(X, tmp_path))


def test_weights_need_rows_in_memory(X, tmp_path, on_disk):
    rows = memmap(np.concatenate([X, X[:100]]), tmp_path)
    with pytest.raises(ValueError, match="leave duplicates='keep'"):
        learner(duplicates="collapse").fit(rows)


def test_held_out_rows_of_large_data_are_few(X, tmp_path, on_disk, monkeypatch):
    monkeypatch.setattr(assembly, "MOST_HELD_OUT", 64)
    assert learner().fit(memmap(X, tmp_path)).mi_.n_pairs == 64


def test_a_pause_resumes_from_a_checkpoint(X, tmp_path, on_disk):
    rows, path = memmap(X, tmp_path), tmp_path / "checkpoint"
    whole = learner()
    list(whole.fit_iter(rows, at=(5, 12)))
    first = learner()
    steps = first.fit_iter(rows, at=(5, 12), checkpoint=path)
    next(steps)
    next(steps)
    steps.close()
    second = learner()
    list(second.fit_iter(rows, at=(5, 12), checkpoint=path))
    assert np.array_equal(whole.transform(X), second.transform(X))


# Iterables


def stream_order(items, seed=0, batch_size=64):
    return StreamOrder(Stream(items), lambda rows: served(rows), 500, batch_size, seed)


def sums(order, n):
    order.allow(n)
    found = []
    while order.steps_left:
        found += [float(window[rows].sum()) for window, rows in order.rest_of_pass()]
    return found


def loader(X, state=False):
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.zeros(len(X)))
    if not state:
        return torch.utils.data.DataLoader(data, batch_size=64)
    package = pytest.importorskip("torchdata.stateful_dataloader")
    return package.StatefulDataLoader(data, batch_size=64)


def iterable_data_set(X):
    made = pytest.importorskip("datasets").Dataset.from_dict({"x": X[:1000]})
    return made.to_iterable_dataset(num_shards=4)


class OfTorch(torch.utils.data.IterableDataset):
    def __init__(self, X):
        self.X = X

    def __iter__(self):
        return iter(self.X)


ITERABLES = {
    "blocks": Again,
    "frames": lambda X: Again(pd.DataFrame(X)),
    "rows": OfTorch,
    "loader": loader,
    "stateful": lambda X: loader(X, state=True),
    "hugging face": iterable_data_set,
    "shuffled": lambda X: iterable_data_set(X).shuffle(seed=1, buffer_size=100),
}
SLOW = ("hugging face", "shuffled", "stateful")
KINDS = [pytest.param(k, marks=pytest.mark.slow) if k in SLOW else k for k in ITERABLES]


@pytest.mark.filterwarnings("ignore:'set_vital'")
@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_is_shuffled_in_windows_and_resumes(kind, X, monkeypatch):
    monkeypatch.setattr(streams, "WINDOW_ROWS", 300)
    for before in (0, 3, 20, 40):
        order, other = (stream_order(ITERABLES[kind](X), seed) for seed in (1, 2))
        sums(order, before)
        other.load_state_dict(order.state_dict())
        assert sums(order, 30) == sums(other, 30)
        order.close()
        other.close()


def test_a_pass_of_a_stream_has_all_rows_but_remainders(X, monkeypatch):
    monkeypatch.setattr(streams, "WINDOW_ROWS", 500)
    numbered = np.arange(N, dtype=np.float32)[:, None].repeat(P, 1)
    order = stream_order(Again(numbered))
    order.allow(28)
    seen = [w[rows][:, 0].numpy() for _ in range(4) for w, rows in order.rest_of_pass()]
    rows = np.concatenate(seen)
    assert len(np.unique(rows)) == len(rows) == 28 * 64
    assert not np.array_equal(np.sort(seen[0]), seen[0])
    order.close()


@pytest.mark.filterwarnings("ignore:'set_vital'")
@pytest.mark.parametrize("kind", KINDS)
def test_fit_on_an_iterable(kind, X):
    rows = ITERABLES[kind](X)
    fitted = MIRepresentationLearner(3, max_steps=12, random_state=0)
    fitted.fit(rows, validation_data=X[:200])
    assert fitted.choices_["view"].value == "corruption"
    assert "rows are read in blocks" in fitted.choices_["view"].reason
    assert fitted.n_iter_ == 12 and fitted.mi_.n_pairs == 200
    assert fitted.mi_.warnings and fitted.net_.order._window is None
    n = 1000 if kind in ("hugging face", "shuffled") else N
    codes = np.asarray(fitted.transform(rows))
    assert codes.shape == (n, 3)
    if kind != "shuffled":
        whole = pd.DataFrame(X) if kind == "frames" else X
        assert np.array_equal(codes, fitted.transform(whole)[:n])
    assert clone(fitted).fit(rows, validation_data=X[:200]).mi_ == fitted.mi_


def test_items_may_be_dicts_of_columns(X):
    class Dicts:
        def __iter__(self):
            return ({f"c{i}": row[i] for i in range(P)} for row in X[:300])

    block = Stream(Dicts()).first()
    assert np.array_equal(block, X[:300])


class OfItems(torch.utils.data.Dataset):
    """A map-style data set of any items."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        return self.items[number]


@pytest.mark.parametrize("name", ["y", "label", "labels", "target", "Label"])
def test_labels_of_items_are_no_columns(name, X):
    items = [{"x": row, name: i % 2} for i, row in enumerate(X[:200])]
    assert np.array_equal(stored(OfItems(items)), X[:200])
    assert np.array_equal(stored(OfItems([(item, 1) for item in items])), X[:200])
    assert np.array_equal(Stream(OfTorch(items)).first(), X[:200])
    batches = torch.utils.data.DataLoader(OfItems(items), batch_size=64)
    assert np.array_equal(Stream(batches).first(), X[:200])


def test_labels_beside_several_columns_are_told(X):
    items = [{"x": row[0], "y": row[1], "z": row[2]} for row in X[:200]]
    told = "made of 'x', 'z'; 'y' is left out"
    for read in (lambda: stored(OfItems(items)), lambda: Stream(OfTorch(items)).first()):
        with pytest.warns(MIWarning, match=told) as warned:
            assert np.array_equal(read(), X[:200, [0, 2]])
        assert len(warned) == 1
    with pytest.raises(ValueError, match="holds 'y', which names labels, and no rows; rename it"):
        stored(OfItems([{"y": 1.0}]))


@pytest.mark.parametrize("kind", ["pairs", "names", "one shape", "numbers"])
def test_items_that_are_picked_from_a_data_set_are_told(kind, X):
    made = {
        "pairs": [(torch.from_numpy(row), 1) for row in X[:60]],
        "names": [{"x": row, "y": 1} for row in X[:60]],
        "one shape": [(row, row[::-1]) for row in X[:60]],
        "numbers": [tuple(row.tolist()) for row in X[:60]],
    }[kind]
    if kind in ("one shape", "numbers"):
        assert learner(view="auto", max_steps=2).fit(made).n_iter_ == 2
        return
    data = OfItems(made)
    for ask in (
        lambda: cross_val_score(learner(max_steps=2), data, cv=3, error_score="raise"),
        lambda: learner(max_steps=2).fit(X).transform(made),
    ):
        with pytest.raises(
            TypeError, match=r"list of items of a data set, .*; expected rows: pass"
        ):
            ask()


def test_an_image_beside_an_identifier_is_told(X):
    images = [{"id": i, "image": X[:4, :4]} for i in range(3)]
    with pytest.raises(ValueError, match=r"holds 'image', of shape \(4, 4\) a row, beside 'id'"):
        stored(OfItems(images))
    with pytest.raises(ValueError, match="'image', of shape"):
        Stream(OfTorch(images)).first()
    assert stored(OfItems([{"image": X[:4, :4], "label": 1}] * 3)).shape == (3, 4, 4)
    assert stored(OfItems([{"x": X[0], "id": 1}] * 3)).shape == (3, P + 1)


@pytest.mark.slow
def test_labels_of_hugging_face_are_no_columns(X):
    made = pytest.importorskip("datasets").Dataset.from_dict({"x": X, "label": np.arange(N) % 2})
    assert np.array_equal(stored(made), X)


def test_arrays_and_lists_are_no_streams(X):
    for rows in (X, X.tolist(), pd.DataFrame(X), torch.from_numpy(X), {"a": 1}, "abc", None, 3):
        assert as_stream(rows) is None


def bad(first, second):
    class Bad:
        def __iter__(self):
            return iter([first, second])

    return Bad()


def fit_stream(items, **how):
    return learner(**how).fit(items, validation_data=np.zeros((4, P)) + np.arange(4)[:, None])


WRONG = {
    "can be read once": lambda X, d: learner().fit(x for x in X),
    "validation_data=, rows to report on": lambda X, d: learner().fit(Again(X)),
    "have no neighbours": lambda X, d: fit_stream(Again(X), view="neighbors"),
    "nobody knows how long": lambda X, d: fit_stream(Again(X), max_steps=None, max_epochs=2),
    "gives a row of shape \\(5,\\) after": lambda X, d: fit_stream(bad(X[:9], X[:9, :5])),
    "expected rows of numbers, or arrays": lambda X, d: fit_stream(bad("a", "b")),
    "Input X contains NaN|Input X contains infinity": lambda X, d: fit_stream(
        bad(X[:9], X[:9] / np.float32(0) * np.inf)
    ),
    "gives no rows": lambda X, d: fit_stream(Again(X[:0])),
    "groups need rows with numbers": lambda X, d: learner().fit(
        Again(X), groups=np.arange(N), validation_data=X
    ),
    "holds values of type <U1": lambda X, d: learner().fit(memmap(X.astype("U1"), d)),
    "Input X contains infinity": lambda X, d: learner().fit(memmap(np.where(X > 2, np.inf, X), d)),
    "minimum of 2 is required|expected at least 2": lambda X, d: learner().fit(memmap(X[:1], d)),
    "X has 5 features, but": lambda X, d: learner().fit(X).transform(memmap(X[:, :5].copy(), d)),
    "expected a tuple of rows and their partners": lambda X, d: learner(view="auto").fit(
        X, X_pair=X, validation_data=X
    ),
    "need groups of each row": lambda X, d: learner(negatives="other-groups").fit(
        X, groups=np.arange(N), validation_data=X
    ),
    "expected an end among .npy": lambda X, d: learner().fit(X).transform_to(X, d / "codes.txt"),
    "nobody knows how many rows": lambda X, d: learner().fit(X).transform_to(Again(X), d / "a.npy"),
    "cannot be read any more": lambda X, d: vanished(X, d),
    "validation_data: X has 5 features": lambda X, d: learner().fit(X, validation_data=X[:, :5]),
    "validation_data: Found array with 1 sample": lambda X, d: learner().fit(
        X, validation_data=X[:1]
    ),
    "validation_data='codes'|validation_data: X='codes'": lambda X, d: learner().fit(
        X, validation_data="codes"
    ),
    "validation_data: X is a Again, whose rows come one after": lambda X, d: learner().fit(
        X, validation_data=Again(X)
    ),
    r"X gives a row of shape \(3,\) at 7, and of \(\d,\) at 0": lambda X, d: learner().fit(
        OfOtherShape(X)
    ),
    r"X is a File of h5py; pass one of its arrays, X\['...'\]": lambda X, d: learner().fit(
        h5(X, d).file
    ),
    r"Path\('nowhere.npy'\); expected rows of shape": lambda X, d: learner().fit(
        Path("nowhere.npy")
    ),
    "X_pair is a Again, whose rows come one after": lambda X, d: learner(view="auto").fit(
        X, X_pair=Again(X)
    ),
    "validation_data: X is a list_iterator, whose rows come one after": lambda X, d: learner().fit(
        X, validation_data=iter([X])
    ),
}


class OfOtherShape(OfItems):
    def __getitem__(self, number):
        return self.items[number, :3] if number == 7 else self.items[number]


def vanished(X, folder):
    rows = parquet(X, folder)
    fitted = learner().fit(rows)
    os.remove(folder / "parts" / "b.parquet")
    return fitted.transform(rows)


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
@pytest.mark.parametrize("message", WRONG)
def test_what_cannot_be_streamed_is_told(message, X, tmp_path, on_disk):
    with pytest.raises((ValueError, TypeError, OSError), match=message):
        WRONG[message](X, tmp_path)


def test_a_broken_stream_leaves_the_learner_as_it_was(X):
    fitted = learner().fit(X)
    before = fitted.transform(X)
    with pytest.raises(ValueError, match="after rows of shape"):
        fitted.fit(bad(X[:9], X[:9, :5]), validation_data=X)
    assert np.array_equal(fitted.transform(X), before)


def test_validation_data_is_what_is_reported_on(X):
    fitted = learner().fit(X, validation_data=X[:150])
    assert fitted.mi_.n_pairs == 150
    assert np.isclose(float(fitted.mi_), fitted.score(X[:150]), atol=1e-6)
    assert any("150 of 150 held-out rows are copies" in told for told in fitted.mi_.warnings)
    halves = learner(early_stopping=True).fit(X, validation_data=X[:150])
    assert halves.mi_.n_pairs == 75


def test_a_pause_of_a_stream_resumes_from_a_checkpoint(X, tmp_path):
    given = {"at": (5, 12), "validation_data": X[:150]}
    whole = learner()
    list(whole.fit_iter(Again(X), **given))
    assert whole.mi_.n_pairs == 150
    steps = learner().fit_iter(Again(X), **given, checkpoint=tmp_path / "checkpoint")
    next(steps)
    next(steps)
    steps.close()
    second = learner()
    assert list(second.fit_iter(Again(X), **given, checkpoint=tmp_path / "checkpoint")) == [12]
    assert np.array_equal(whole.transform(X), second.transform(X))


# Chunks and files


def test_partial_fit_takes_chunks_of_a_file(X, tmp_path):
    rows = h5(X, tmp_path)
    by_chunks, known = learner(), learner()
    for start in range(0, N, 500):
        by_chunks.partial_fit(rows[start : start + 500])
        known.partial_fit(X[start : start + 500])
    assert np.array_equal(by_chunks.transform(X), known.transform(X))


READ = {
    ".npy": np.load,
    ".zarr": lambda path: pytest.importorskip("zarr").open_array(path)[:],
    ".h5": lambda path: h5py.File(path)["codes"][:],
    ".parquet": lambda path: pd.read_parquet(path).to_numpy(),
}


@pytest.mark.parametrize(
    "ending", [pytest.param(e, marks=pytest.mark.slow) if e == ".zarr" else e for e in READ]
)
def test_codes_in_a_file_are_those_of_transform(ending, X, tmp_path, on_disk, monkeypatch):
    monkeypatch.setattr(streaming, "BYTES_AT_ONCE", 700 * P * 8)
    fitted = learner().fit(X)
    expected = fitted.transform(X)
    path = tmp_path / f"codes{ending}"
    given = [X, memmap(X, tmp_path), *([Again(X)] if ending != ".npy" else [])]
    for rows in given:
        assert fitted.transform_to(rows, path) == path
        assert np.array_equal(READ[ending](path), expected)
    assert READ[ending](path).dtype == np.float32
    with pytest.raises(ValueError, match="Input X contains infinity"):
        fitted.transform_to(np.where(np.arange(N)[:, None] < N - 5, X, np.inf), path)
    assert np.array_equal(READ[ending](path), expected)
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
    place = tmp_path / f"folder{ending}"
    (place / "rows").mkdir(parents=True)
    with pytest.raises(ValueError, match="a folder that holds more than codes"):
        fitted.transform_to(X, place)
    assert os.listdir(place) == ["rows"]
    if ending == ".parquet":
        assert [*pd.read_parquet(path)] == list(fitted.get_feature_names_out())


@pytest.mark.slow
def test_the_package_loads_none_of_the_libraries():
    names = ("zarr", "h5py", "dask", "pyarrow.dataset", "datasets", "torchdata")
    code = f"import sys, sklearn_mi.learner; print([n for n in {names} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_memory_stays_small_while_rows_are_read(tmp_path):
    code = f"""
import resource, threading, time
import numpy as np
from sklearn_mi import MIRepresentationLearner
rows = np.lib.format.open_memmap({str(tmp_path / "x.npy")!r}, "w+", np.float32, (6_000_000, 64))
rng = np.random.default_rng(0)
for i in range(0, len(rows), 100_000):
    rows[i : i + 100_000] = rng.normal(size=(100_000, 64))
rows.flush()
def anonymous():
    return int(open("/proc/self/status").read().split("RssAnon:")[1].split()[0]) / 2**20
peak, done = [0.0], False
def watch():
    while not done:
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.02)
threading.Thread(target=watch).start()
rows = np.load({str(tmp_path / "x.npy")!r}, mmap_mode="r")
MIRepresentationLearner(8, max_steps=500, random_state=0).fit(rows)
done = True
print(peak[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.5, done.stdout


def test_what_else_is_in_a_file_is_not_lost(X, tmp_path):
    rows, fitted = h5(X, tmp_path), learner().fit(X)
    path = tmp_path / "rows.h5"
    with pytest.raises(ValueError, match="holds rows, too; name another place"):
        fitted.transform_to(X, path)
    rows.file.close()
    with h5py.File(path) as file:
        assert np.array_equal(file["rows"][:], X)
    (tmp_path / "empty.h5").write_text("")
    fitted.transform_to(X, tmp_path / "empty.h5")


def of_parquet(X, folder):
    frame, path = pd.DataFrame(X, columns=[f"c{i}" for i in range(P)]), folder / "rows.parquet"
    frame.to_parquet(path)
    return pytest.importorskip("pyarrow.dataset").dataset(path)


def of_codes(X, folder):
    return h5py.File(folder / "rows.h5", "w").create_dataset("codes", data=X)


def dask_of(made):
    def to(X, folder):
        return pytest.importorskip("dask.array").from_array(made(X, folder))

    return to


@pytest.mark.parametrize(
    "made",
    [
        memmap,
        of_parquet,
        of_codes,
        lambda X, folder: memmap(X, folder)[::2],
        lambda X, folder: np.asarray(memmap(X, folder))[:, ::-1][10:],
        *(
            pytest.param(one, marks=pytest.mark.slow)
            for one in (to_zarr, dask_of(to_zarr), dask_of(of_codes))
        ),
    ],
)
def test_codes_do_not_take_the_place_of_their_rows(made, X, tmp_path, monkeypatch):
    rows = made(X, tmp_path)
    fitted = learner().fit(rows)
    (path,) = tmp_path.iterdir()
    monkeypatch.chdir(tmp_path)
    # By another name, too.
    (tmp_path / f"link{path.suffix}").symlink_to(path)
    for place in (path, path.name, f"link{path.suffix}"):
        for table in (rows, [X[:5], rows]):
            with pytest.raises(ValueError, match="holds the rows themselves, which would be lost"):
                fitted.transform_to(table, place)
    with pytest.raises(ValueError, match="holds the rows themselves"):
        fitted.transform_to(X, path, confounds=rows)
    fitted.transform_to(rows, f"codes{path.suffix}")


@pytest.mark.parametrize("node", ["array", "group", None])
def test_only_an_array_of_zarr_makes_room(node, tmp_path):
    place = tmp_path / "codes.zarr"
    place.mkdir()
    if node is not None:
        (place / "zarr.json").write_text(json.dumps({"node_type": node}))
    if node == "array":
        streaming._refuse_to_remove(place)
        return
    with pytest.raises(ValueError, match="a folder that holds more than codes"):
        streaming._refuse_to_remove(place)


def test_a_file_does_not_make_room_for_a_folder(tmp_path):
    place = tmp_path / "codes.zarr"
    place.write_text("")
    with pytest.raises(ValueError, match="is a file; expected a folder"):
        streaming.write_codes(place, iter([np.ones((2, 2))]), 2, ["a", "b"])


@pytest.mark.parametrize("lists", [[[1.0, 2.0], [3.0, 4.0, 5.0, 6.0]], [[1.0], None, [2.0]]])
def test_lists_of_different_lengths_are_no_rows(lists):
    arrow = pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match="lists of different lengths, or with gaps"):
        blocks.arrow_column(arrow.chunked_array([arrow.array(lists)]))


@pytest.mark.parametrize("given", ["X", "X_pair"])
def test_memory_maps_of_no_axes_are_refused(tmp_path, given):
    one = np.memmap(tmp_path / "one.bin", np.float32, "w+", shape=())
    with pytest.raises(ValueError, match="holds one number|got scalar array"):
        learner(view="auto").fit(**{"X": np.zeros((30, 3)), given: one})


class Named(torch.utils.data.Dataset):
    """Rows as dicts of numbers, their names in this order; from ``turn`` on in the other."""

    def __init__(self, X, names, turn=N):
        self.X, self.names, self.turn = X, list(names), turn

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        names = self.names if i < self.turn else self.names[::-1]
        return {**{name: self.X[i, int(name[1:])] for name in names}, "label": i}


class OneByOne:
    """Items of a data set, which have no numbers."""

    def __init__(self, data):
        self.data = data

    def __iter__(self):
        return iter([self.data[i] for i in range(len(self.data))])


NAMES = [f"c{i}" for i in range(P)]


@pytest.mark.filterwarnings("ignore:Rows of X are made of")
@pytest.mark.parametrize("most", [0, blocks.MOST_IN_MEMORY])
def test_columns_of_items_are_told_apart_by_name(X, most, monkeypatch):
    monkeypatch.setattr(blocks, "MOST_IN_MEMORY", most)
    fitted = learner().fit(Named(X, NAMES))
    assert list(fitted.feature_names_in_) == NAMES
    expected = fitted.transform(pd.DataFrame(X, columns=NAMES))
    # Within a data set names count, not their order in an item.
    assert np.array_equal(fitted.transform(Named(X, NAMES, turn=100)), expected)
    assert np.array_equal(fitted.transform(OneByOne(Named(X, NAMES, turn=100))), expected)
    for swapped in (Named(X, NAMES[::-1]), OneByOne(Named(X, NAMES[::-1]))):
        with pytest.raises(ValueError, match="must be in the same order"):
            fitted.transform(swapped)
    data = [dict(zip(NAMES, X[0], strict=True)), dict(zip(NAMES[1:], X[1, 1:], strict=True))]
    with pytest.raises(ValueError, match="after one of .*expected the same names in each"):
        fitted.transform(OneByOne(data))


class Vectors(Named):
    """Rows as dicts of two vectors."""

    def __getitem__(self, i):
        parts = {"a": self.X[i, :4], "b": self.X[i, 4:]}
        return {name: parts[name] for name in self.names}


def parts_of_parquet(data, folder):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {name: [*map(list, (data[i][name] for i in range(N)))] for name in data.names}
    pq.write_table(pa.table(columns), folder / f"{''.join(data.names)}.parquet")
    return pytest.importorskip("pyarrow.dataset").dataset(folder / f"{''.join(data.names)}.parquet")


def hugging_face_parts(data, _):
    columns = {name: [data[i][name] for i in range(N)] for name in data.names}
    return pytest.importorskip("datasets").Dataset.from_dict(columns)


@pytest.mark.parametrize("most", [0, blocks.MOST_IN_MEMORY])
@pytest.mark.parametrize(
    "made",
    [
        lambda data, _: data,
        lambda data, _: OneByOne(data),
        lambda data, _: torch.utils.data.DataLoader(data, 100),
        parts_of_parquet,
        pytest.param(hugging_face_parts, marks=pytest.mark.slow),
    ],
)
def test_vectors_side_by_side_are_told_apart_by_name(made, most, X, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "MOST_IN_MEMORY", most)
    names = [f"{name}[{k}]" for name, n in (("a", 4), ("b", 2)) for k in range(n)]
    frame = pd.DataFrame(X, columns=names)
    fitted = learner().fit(frame)
    rows = made(Vectors(X, "ab"), tmp_path)
    assert np.allclose(fitted.transform(rows), fitted.transform(frame), atol=1e-6)
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted.transform(made(Vectors(X, "ba"), tmp_path))


@pytest.mark.slow
def test_columns_of_hugging_face_are_told_apart_by_name(X):
    made = pytest.importorskip("datasets").Dataset.from_dict(dict(zip(NAMES, X.T, strict=True)))
    fitted = learner().fit(made)
    assert np.array_equal(fitted.transform(made), fitted.transform(pd.DataFrame(X, columns=NAMES)))
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted.transform(made.select_columns(NAMES[::-1]))
    with pytest.raises(ValueError, match="Found array with 0 sample"):
        fitted.transform(made.select([]))


def test_items_that_hold_no_rows_are_told():
    data = torch.utils.data.TensorDataset(torch.empty(0, 3))
    with pytest.raises(ValueError, match="Found array with 0 sample"):
        learner().fit(data)
    row = np.zeros(3)
    with pytest.raises(ValueError, match=r"\(int, ndarray\); expected .* first part is the row"):
        blocks.row_of_item((7, row))
