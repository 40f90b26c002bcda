"""The command line on what may not fit into memory: arrays on disk and folders of parquet files."""

import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from sklearn_mi import MIRepresentationLearner, load
from sklearn_mi.cli import containers, files, main
from sklearn_mi.rows import blocks

pa_dataset = pytest.importorskip("pyarrow.dataset")
N, P = 90, 4
COLUMNS = list("abcd")
FIT = "--view corruption --max-steps 2 --quiet --overwrite --out m.safetensors"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The same rows in every container, written once."""
    folder = tmp_path_factory.mktemp("rows")
    X = np.random.default_rng(0).normal(size=(N, P)).astype(np.float32)
    np.save(folder / "rows.npy", X)
    with h5py.File(folder / "rows.h5", "w") as file:
        file["x"] = X
    with h5py.File(folder / "several.hdf5", "w") as file:
        file["deep/x"], file["y"] = X, X[:, 0]
    np.savez(folder / "both.npz", first=X[:, :2], second=X)
    frame = pd.DataFrame(X, columns=COLUMNS)
    frame["y"], frame["name"] = ["no", "yes"] * (N // 2), [f"r{i:02}" for i in range(N)]
    for number, part in enumerate((frame[:60], frame[60:])):
        for name in ("parts", "named"):
            (folder / name).mkdir(exist_ok=True)
            part = part if name == "parts" else part.set_index("name")
            part.to_parquet(folder / name / f"{number}.parquet", row_group_size=20)
    return folder


@pytest.fixture(autouse=True)
def folder(written, tmp_path, monkeypatch):
    for path in written.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def on_disk(monkeypatch):
    """Leave rows on disk, however few; a data frame of them would be an error."""
    monkeypatch.setattr(blocks, "MOST_IN_MEMORY", 0)
    monkeypatch.setattr(pd, "read_parquet", None)


def run(command, code=0):
    result = CliRunner().invoke(main, command.split())
    assert result.exit_code == code, result.output
    return result


def rows():
    return np.load("rows.npy")


ARRAYS = ("rows.npy", "rows.h5", "rows.h5:x", "several.hdf5:deep/x", "both.npz:second")


@pytest.mark.parametrize("place", ARRAYS)
def test_a_fit_of_an_array_on_disk_is_that_of_its_rows(place):
    shown = run(f"fit {place} {FIT}").stdout
    assert f"from {N} rows of {P} columns" in shown
    expected = MIRepresentationLearner(view="corruption", max_steps=2, random_state=0).fit(rows())
    found = load("m.safetensors")
    np.testing.assert_array_equal(found.transform(rows()), expected.transform(rows()))


def opens(place):
    return files.read(Path(place), in_blocks=True)


def test_many_rows_stay_where_they_are(on_disk):
    assert isinstance(opens("rows.npy"), np.memmap)
    assert isinstance(opens("rows.h5"), h5py.Dataset)
    assert isinstance(opens("several.hdf5:deep/x"), h5py.Dataset)
    # One axis becomes a column, which only an array in memory can.
    assert opens("several.hdf5:y").shape == (N, 1)


@pytest.mark.parametrize("place", ["rows.npy", "rows.h5"])
@pytest.mark.parametrize("ending", [".npy", ".h5", ".parquet", ".csv"])
def test_codes_of_rows_on_disk_go_to_any_file(place, ending, on_disk):
    MIRepresentationLearner(3, max_steps=2, random_state=0).fit(rows()).save("m.safetensors")
    shown = run(f"transform m.safetensors {place} --out codes{ending}").stdout
    assert shown == f"Wrote codes{ending}: {N} rows of 3 columns.\n"
    made = {
        ".npy": np.load,
        ".h5": lambda path: h5py.File(path)["codes"][:],
        ".parquet": pd.read_parquet,
        ".csv": pd.read_csv,
    }
    if ending == ".parquet":
        made[ending] = lambda path: pa_dataset.dataset(path).to_table().to_pandas()
    expected = load("m.safetensors").transform(rows())
    np.testing.assert_allclose(made[ending](f"codes{ending}"), expected, rtol=1e-6)


@pytest.mark.parametrize("place", ["parts", "named"])
def test_a_folder_of_parquet_is_fitted_without_its_label_and_names(place, on_disk):
    label = "--label y --index name"
    shown = run(f"fit {place} {label} {FIT}").stdout
    assert f"from {N} rows of {P} columns" in shown
    learner = load("m.safetensors")
    assert list(learner.feature_names_in_) == COLUMNS
    expected = learner.transform(pd.DataFrame(rows(), columns=COLUMNS))
    # Rows keep their names and the label, where there are any.
    run(f"transform m.safetensors {place} {label} --out codes.csv")
    found = pd.read_csv("codes.csv", index_col="name")
    assert found.pop("y").tolist() == ["no", "yes"] * (N // 2)
    assert found.index.tolist() == [f"r{i:02}" for i in range(N)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def codes():
    return load("m.safetensors").transform(pd.DataFrame(rows(), columns=COLUMNS))


def test_a_folder_of_parquet_in_memory_is_a_data_frame():
    run(f"fit parts --label y --index name {FIT}")
    expected = codes()
    # The index that pandas wrote is no column, and may be named all the same.
    for words in ("named --label y", "named --label y --index name"):
        run(f"fit {words} {FIT}")
        np.testing.assert_array_equal(codes(), expected)


def test_text_among_many_rows_is_read_into_memory(monkeypatch):
    monkeypatch.setattr(blocks, "MOST_IN_MEMORY", 0)
    found = files.read(Path("parts"), index="name", in_blocks=True)
    assert isinstance(found, pd.DataFrame) and list(found) == [*COLUMNS, "y"]
    data, aside = files.read_aside(Path("parts"), ["y"], index="name", in_blocks=True)
    assert data.schema.names == COLUMNS and list(aside) == ["y"]


def test_columns_of_other_order_are_put_in_that_of_the_fit(on_disk):
    run(f"fit parts --label y --index name {FIT}")
    expected = codes()
    frame = pa_dataset.dataset("parts").to_table().to_pandas()
    Path("turned").mkdir()
    frame[["name", *COLUMNS[::-1]]].to_parquet("turned/0.parquet", index=False)
    run("transform m.safetensors turned --index name --out codes.npy")
    np.testing.assert_array_equal(np.load("codes.npy"), expected)


def test_tables_of_a_pair_and_confounds_stay_on_disk(on_disk):
    run(f"fit rows.h5 --pair rows.npy {FIT.replace('--view corruption', '')}")
    assert load("m.safetensors").transform_pair(rows()).shape[0] == N
    run(f"fit parts --label y --index name --confound d {FIT}")
    run("transform m.safetensors parts --label y --index name --confound d --out codes.csv")
    frame = pa_dataset.dataset("parts").to_table().to_pandas()
    expected = load("m.safetensors").transform(frame[list("abc")], confounds=frame[["d"]])
    found = pd.read_csv("codes.csv").drop(columns=["y", "name"])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_other_commands_read_all_rows():
    shown = run("mi rows.npy several.hdf5:y --method closed-form").stdout
    assert "mutual information" in shown and f"{N}" in shown
    told = run("mi parts --x a,b --y c,d --index name --method closed-form --json").stdout
    assert f'"n_rows": {N}' in told
    assert isinstance(files.read(Path("rows.h5")), np.ndarray)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("several.hdf5", "holds several arrays: deep/x, y; name one, such as several.hdf5:deep/x."),
        ("several.hdf5:z", "holds no array 'z', but deep/x, y; name one"),
        ("both.npz", "holds several arrays: first, second; name one, such as both.npz:first."),
        ("nothing.npz", "nothing.npz holds no array; expected rows of numbers."),
        ("both.npz:third", "holds no array 'third', but first, second"),
        ("none.h5", "none.h5 holds no array; expected rows of numbers."),
        ("broken.h5", "broken.h5 cannot be read as h5: "),
        ("broken.npy", "or nothing that numpy wrote; write it anew by numpy.save."),
        ("broken.npz", "or nothing that numpy wrote; write it anew by numpy.savez."),
        ("parts --label z", "parts has no column 'z'; it has a, b, c, d, y, name."),
        ("rows.h5 --label y", "is an array, whose columns have no names"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(place, told):
    h5py.File("none.h5", "w").close()
    np.savez("nothing.npz")
    for kind in ("h5", "npy", "npz"):
        Path(f"broken.{kind}").write_bytes(b"no HDF5")
    shown = run(f"fit {place} {FIT}", 1).stderr
    assert told in shown and shown.count("\n") == 1


def test_a_folder_without_rows_is_refused():
    Path("empty").mkdir()
    told = run(f"fit empty {FIT}", 2).stderr
    assert "empty is a folder without parquet files; expected some, or an array of zarr" in told


def test_rows_beyond_all_memory_are_refused_where_all_are_read(monkeypatch):
    monkeypatch.setattr(containers, "_memory", lambda: 100.0)
    for place in ("rows.npy", "rows.h5", "parts"):
        told = run(f"report {place} --out page.html", 1).stderr
        assert f"{place} holds 0.0 GiB of numbers, but this machine has" in told
        assert "write some of the rows to another file" in told
        assert ("if 'y' is left out by --label" in told) == (place == "parts")


@pytest.mark.parametrize(
    ("kind", "package", "place"), [("h5", "h5py", "rows.h5"), ("parquet", "pyarrow", "parts")]
)
def test_a_package_that_is_missing_is_named(kind, package, place, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.dataset", None)
    told = run(f"fit {place} {FIT}", 1).stderr
    assert f"{place} needs {package}, which is missing: pip install {package}, or use a" in told


def test_a_colon_in_the_name_of_a_file_stands_for_itself():
    shutil.copy("rows.npy", "a.h5:b.npy")
    assert containers.split_name(Path("a.h5:b.npy")) == (Path("a.h5:b.npy"), None)
    assert containers.split_name(Path("C:/rows.npy")) == (Path("C:/rows.npy"), None)
    assert containers.split_name(Path("rows.h5:x/y")) == (Path("rows.h5"), "x/y")
    assert containers.split_name(Path("C:/rows.h5:x:y")) == (Path("C:/rows.h5"), "x:y")


def test_codes_replace_codes_and_nothing_else(on_disk):
    MIRepresentationLearner(3, max_steps=2, random_state=0).fit(rows()).save("m.safetensors")
    run("transform m.safetensors rows.npy --out codes.h5")
    run("transform m.safetensors rows.npy --out codes.h5", 2)
    run("transform m.safetensors rows.npy --out codes.h5 --overwrite")
    shutil.copy("several.hdf5", "several.h5")
    told = run("transform m.safetensors rows.npy --out several.h5 --overwrite", 1).stderr
    assert "holds deep, y, too; name another place" in told


@pytest.mark.parametrize("place", ["own.npy", "own.h5", "own.h5:x"])
def test_codes_never_replace_the_rows_that_they_come_from(place):
    MIRepresentationLearner(3, max_steps=2, random_state=0).fit(rows()).save("m.safetensors")
    file = Path(place.partition(":")[0])
    shutil.copy(f"rows{file.suffix}", file)
    before = file.read_bytes()
    told = run(f"transform m.safetensors {place} --out {file} --overwrite", 2).stderr
    assert f"{file} is DATA itself, whose rows would be lost; name another file" in told
    assert file.read_bytes() == before


@pytest.mark.slow
def test_zarr_is_read_and_written(on_disk):
    zarr = pytest.importorskip("zarr")
    zarr.save_array("rows.zarr", rows())
    zarr.save_group("group.zarr", x=rows(), y=rows()[:, 0])
    shutil.copytree("rows.zarr", "plain")
    for place in ("rows.zarr", "group.zarr:x", "plain"):
        run(f"fit {place} {FIT}")
        run(f"transform m.safetensors {place} --out codes.zarr --overwrite")
        made = zarr.open("codes.zarr", mode="r")[:]
        np.testing.assert_array_equal(made, load("m.safetensors").transform(rows()))
    assert "holds several arrays: x, y" in run(f"fit group.zarr {FIT}", 1).stderr
    assert "holds no array by name; pass rows.zarr" in run(f"fit rows.zarr:x {FIT}", 1).stderr
    told = run("transform m.safetensors rows.zarr --out group.zarr --overwrite", 1).stderr
    assert "is a folder that holds more than codes" in told
