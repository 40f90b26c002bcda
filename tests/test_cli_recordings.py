"""The command line on recordings: a long file with ``--by`` and ``--time``."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from sklearn_mi import MIRepresentationLearner, load
from sklearn_mi.cli import files, main

BY = "--by who --time t"
FIT = "--max-steps 2 --quiet --out model.safetensors"
N_RECORDINGS = 24


def long_frame():
    """Return a shuffled table of recordings of 5 to 9 steps and two channels."""
    rng = np.random.default_rng(0)
    rows = [
        {"who": f"{k:03}", "t": t, "a": rng.normal(), "b": rng.normal(), "y": ["no", "yes"][k % 2]}
        for k in range(N_RECORDINGS)
        for t in range(5 + k % 5)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def in_order(frame):
    """Return names and recordings by hand, in the order in which they first appear."""
    names = list(dict.fromkeys(frame["who"]))
    parts = [frame[frame["who"] == name].sort_values("t")[["a", "b"]] for name in names]
    return names, parts


@pytest.fixture(autouse=True)
def frame(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = long_frame()
    frame.to_csv("long.csv", index=False)
    return frame


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    X = in_order(long_frame())[1]
    MIRepresentationLearner(3, max_steps=2, random_state=0).fit(X).save(path)
    return path


def run(command, code=0):
    result = CliRunner().invoke(main, command.split())
    assert result.exit_code == code, result.output
    return result


def test_a_file_is_read_as_recordings(frame):
    X, aside = files.read_aside(Path("long.csv"), ["y"], by="who", time="t", as_text=["y"])
    names, parts = in_order(frame)
    assert list(aside.index) == names and aside.index.name == "who"
    assert list(aside["y"]) == [["no", "yes"][int(name) % 2] for name in names]
    for found, expected in zip(X, parts, strict=True):
        np.testing.assert_allclose(found, expected)
    assert files.size_of(X) == "24 recordings of 5 to 9 steps and 2 channels"
    assert files.size_of(X[:1]) == f"1 recording of {len(X[0])} steps and 2 channels"


def test_times_may_be_dates(frame):
    days = pd.Timestamp("2026-01-28") + pd.to_timedelta(frame["t"], unit="D")
    frame.assign(t=days.dt.strftime("%Y-%m-%d")).to_csv("dated.csv", index=False)
    X, _ = files.read_aside(Path("dated.csv"), ["y"], by="who", time="t")
    for found, expected in zip(X, in_order(frame)[1], strict=True):
        np.testing.assert_allclose(found, expected)


def test_a_fit_is_that_of_the_learner_on_a_list(frame):
    shown = run(f"fit long.csv {BY} --label y {FIT}").stdout
    assert "from 24 recordings of 5 to 9 steps and 2 channels in 2 steps" in shown
    _, X = in_order(frame)
    expected = MIRepresentationLearner(max_steps=2, random_state=0).fit(X).transform(X)
    np.testing.assert_allclose(load("model.safetensors").transform(X), expected, atol=1e-5)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_codes_are_a_row_a_recording_which_begins_with_its_name(frame, fitted, suffix):
    run(f"transform {fitted} long.csv {BY} --label y --out codes.{suffix}")
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet}[suffix]
    how = {"dtype": {"who": str}} if suffix == "csv" else {}
    codes, learner = read(f"codes.{suffix}", **how), load(fitted)
    names, X = in_order(frame)
    assert list(codes) == ["who", *learner.get_feature_names_out(), "y"]
    assert list(codes["who"]) == names
    assert list(codes["y"]) == [["no", "yes"][int(name) % 2] for name in names]
    found = codes.drop(columns=["who", "y"])
    np.testing.assert_allclose(found, learner.transform(X), rtol=1e-4, atol=1e-5)


def test_numbers_that_name_recordings_are_written_though_they_count_rows(frame, fitted):
    numbered = frame.sort_values(["who", "t"]).drop(columns="y")
    numbered.assign(who=numbered["who"].astype(int)).to_csv("numbered.csv", index=False)
    run(f"transform {fitted} numbered.csv {BY} --out codes.csv")
    assert pd.read_csv("codes.csv")["who"].tolist() == list(range(N_RECORDINGS))
    run(f"transform {fitted} numbered.csv {BY} --out codes.npy")
    assert len(np.load("codes.npy")) == N_RECORDINGS


def test_groups_are_of_recordings(frame, monkeypatch):
    seen = {}

    def fit(self, X, y=None, *, X_pair=None, groups=None):
        seen.update(n=len(X), groups=list(groups))
        raise ValueError("Enough.")

    monkeypatch.setattr(MIRepresentationLearner, "fit", fit)
    run(f"fit long.csv {BY} --groups y {FIT}", 1)
    expected = [["no", "yes"][int(name) % 2] for name in in_order(frame)[0]]
    assert seen == {"n": N_RECORDINGS, "groups": expected}


def test_recordings_are_compared_with_padded_ones():
    shown = run(f"compare long.csv {BY} --label y --folds 2 --draws 1 --max-steps 2 --jobs 1")
    assert "24 recordings of 5 to 9 steps and 2 channels, 2 classes" in shown.stderr
    assert "raw columns" in shown.stdout and "PCA" in shown.stdout


def test_recordings_without_a_label_get_one(frame):
    unknown = frame["who"].astype(int) >= N_RECORDINGS // 2
    frame.assign(y=frame["y"].mask(unknown)).to_csv("few.csv", index=False)
    run(f"label few.csv {BY} --label y --max-steps 2 --quiet --out labels.csv")
    found = pd.read_csv("labels.csv", dtype={"who": str})
    assert list(found) == ["who", "y", "y_probability"]
    assert list(found["who"]) == in_order(frame)[0]
    known = found["who"].astype(int) < N_RECORDINGS // 2
    assert list(found["y"][known]) == [["no", "yes"][int(who) % 2] for who in found["who"][known]]
    assert found["y"].isin(["no", "yes"]).all()
    assert found["y_probability"].isna().equals(known)
    assert found["y_probability"].dropna().between(0.5, 1).all()
    shown = run("compare few.csv --label y --max-steps 2 --folds 2 --draws 1 --jobs 1 " + BY)
    assert "12 rows have no y, and are left out.\n12 recordings of" in shown.stderr


def write(name, **changes):
    long_frame().assign(**changes).to_csv(name, index=False)


def broken_files():
    write("words.csv", t=lambda rows: [f"step {t}" for t in rows["t"]])
    write("twice.csv", t=0)
    write("labels.csv", y=range(len(long_frame())))
    write("holes.csv", a=lambda rows: rows["a"].mask(rows["t"] == 1))
    write("nobody.csv", who=lambda rows: rows["who"].mask(rows["t"] == 1))
    np.save("array.npy", np.zeros((4, 3)))


MISTAKES = {
    f"fit long.csv --by who {FIT}": (2, "--by and --time go together"),
    f"fit long.csv --time t {FIT}": (2, "--by and --time go together"),
    f"fit long.csv {BY} --index y {FIT}": (2, "recordings are named by --by"),
    f"fit long.csv {BY} --pair long.csv {FIT}": (2, "--pair goes with rows, not with recordings"),
    f"fit long.csv --by whom --time t {FIT}": (1, "long.csv has no column 'whom'; it has who, t"),
    f"fit long.csv --by who --time who --label y {FIT}": (2, "--by and --time go together"),
    f"fit long.csv {BY} {FIT}": (1, "or leave them out by --label."),
    f"fit long.csv {BY} --label y --label who {FIT}": (2, "'who' is named by --by or --time and"),
    f"fit long.csv {BY} --label y --label t {FIT}": (2, "'t' is named by --by or --time and"),
    f"fit labels.csv {BY} --label y {FIT}": (
        1,
        "labels.csv has several values of 'y' in recording",
    ),
    f"fit words.csv {BY} --label y {FIT}": (1, "words.csv has no number and no date in column 't'"),
    f"fit twice.csv {BY} --label y {FIT}": (1, "twice.csv has several rows with who = "),
    f"fit holes.csv {BY} --label y {FIT}": (1, "holes.csv has missing values in columns ['a']"),
    f"fit nobody.csv {BY} --label y {FIT}": (1, "nobody.csv has missing values in column 'who'"),
    f"fit array.npy {BY} {FIT}": (1, "array.npy is an array, whose columns have no names"),
}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_sentence(command):
    broken_files()
    code, said = MISTAKES[command]
    result = run(command, code)
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ") and said in line and line.endswith(".")
    assert result.stdout == "" and not Path("model.safetensors").exists()


@pytest.mark.slow
def test_a_report_of_recordings_is_a_page(tmp_path):
    run(f"report long.csv {BY} --label y --effort quick --out page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "recordings of 2 channels" in page and "<h1" in page


def test_channels_have_their_names_whatever_their_order(frame, fitted, tmp_path):
    assert list(load(fitted).feature_names_in_) == ["a", "b"]
    frame[["y", "b", "t", "a", "who"]].to_csv("turned.csv", index=False)
    for name in ("long", "turned"):
        run(f"transform {fitted} {name}.csv {BY} --label y --out {name}_codes.csv")
    pd.testing.assert_frame_equal(pd.read_csv("turned_codes.csv"), pd.read_csv("long_codes.csv"))
    frame.rename(columns={"b": "c"}).to_csv("other.csv", index=False)
    shown = run(f"transform {fitted} other.csv {BY} --label y --out codes.csv", 1)
    words = "has other columns than the model was fitted to: without ['b'], with ['c']"
    assert words in shown.output.replace("\n", " ")


def test_a_model_without_names_takes_any(frame):
    _, X = in_order(frame)
    plain = MIRepresentationLearner(3, max_steps=2, random_state=0).fit([x.to_numpy() for x in X])
    plain.save("plain.safetensors")
    shown = run(f"transform plain.safetensors long.csv {BY} --label y --out codes.csv")
    assert "Warning" not in shown.output
