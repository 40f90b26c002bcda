import inspect
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from sklearn_mi import MIEstimate, MIRepresentationLearner, demo, information, load, summary
from sklearn_mi.cli import commands, files, main, options
from sklearn_mi.semi_supervised import SemiSupervisedClassifier

COMMANDS = (
    "",
    "fit",
    "transform",
    "label",
    "mi",
    "compare",
    "report",
    "demo",
    "study",
    "study paper",
)
N_ROWS = 40


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a few small files; every test writes into its own."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, 4))
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    frame.assign(y=["no", "yes"] * 20, id=[f"{i:03}" for i in range(N_ROWS)]).to_csv(
        "rows.csv", index=False
    )
    frame.to_csv("plain.tsv", sep="\t", index=False)
    frame.assign(y=["no", "yes"] * 20).set_index(frame.index + 7).to_parquet("rows.parquet")
    np.save("pair.npy", X[:, 0] + rng.normal(size=N_ROWS))
    np.save("images.npy", rng.uniform(size=(N_ROWS, 8, 8)))
    return tmp_path


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A learner of columns a to d, saved once."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    X = pd.DataFrame(np.random.default_rng(1).normal(size=(N_ROWS, 4)), columns=list("abcd"))
    MIRepresentationLearner(3, max_steps=2, random_state=0).fit(X).save(path)
    return path


@pytest.fixture
def model(fitted, folder):
    shutil.copy(fitted, "model.safetensors")
    return load("model.safetensors")


def run(command, code=0):
    result = CliRunner().invoke(main, command.split())
    assert result.exit_code == code, result.output
    return result


def mixed():
    """Write, and read, a table of numbers, text and dates with empty cells."""
    rng = np.random.default_rng(2)
    a = rng.normal(size=N_ROWS)
    dates = pd.date_range("2026-01-31", periods=N_ROWS).astype(str)
    frame = pd.DataFrame({"a": a, "place": rng.choice(["north", "south", "east"], N_ROWS)})
    frame = frame.where(rng.uniform(size=frame.shape) > 0.2)
    frame.assign(day=dates, y=np.where(a > 0, 1, -1)).to_csv("mixed.csv", index=False)
    return pd.read_csv("mixed.csv")


def contents():
    return {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()}


FIT = "--max-steps 2 --quiet --out model.safetensors"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_each_option_and_shows_examples(command):
    shown = run(f"{command} --help").stdout
    assert shown.startswith(f"Usage: sklearn-mi {command}".rstrip())
    assert "Examples:\n    sklearn-mi " in shown or command == "study"


def test_where_nothing_is_trained_no_step_is_told_of(folder):
    mixed()
    told = run("fit mixed.csv --label y --out kept.safetensors")
    assert told.stdout.startswith("Took ") and "nothing was trained.\n" in told.stdout
    assert "step" not in told.stdout and "step/s" not in told.stderr and "%|" not in told.stderr
    trained = run("fit mixed.csv --label y --max-steps 2 --out trained.safetensors")
    assert "in 2 steps." in trained.stdout and "%|" in trained.stderr


def test_no_command_shows_the_help():
    assert run("").stdout == run("--help").stdout


EVERY = [*main.commands.values(), main.commands["study"].commands["paper"]]


@pytest.mark.parametrize("command", EVERY, ids=lambda command: command.name)
def test_every_option_has_a_sentence(command):
    helps = [option.help for option in command.params if option.param_type_name == "option"]
    assert [text for text in helps if not (text or "").endswith(".")] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_name_options_that_exist(command):
    for line in run(f"{command} --help").stdout.partition("Examples:")[2].splitlines():
        words = line.split()[1:]
        chosen = main
        while words and hasattr(chosen, "commands") and words[0] in chosen.commands:
            chosen = chosen.commands[words.pop(0)]
        known = {name for option in chosen.params for name in option.opts}
        assert {word for word in words if word.startswith("--")} <= known


def test_help_loads_neither_torch_nor_pandas():
    code = (
        "import sys\nfrom sklearn_mi.cli import main\n"
        "try:\n    main(['fit', '--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "loaded = {'torch', 'pandas', 'numpy', 'sklearn'} & set(sys.modules)\n"
        "print(sorted(loaded), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]" and done.stdout.startswith("Usage:")


def test_the_console_script_refuses_with_one_sentence_and_a_code():
    script = Path(sys.executable).parent / "sklearn-mi"
    done = subprocess.run([script, "fit", "gone.csv"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "gone.csv: there is no such file" in done.stderr


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "sklearn_mi", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "version" in done.stdout


# Fit and transform


def test_confounds_and_duplicates_are_options_of_fit_and_transform(folder):
    rng = np.random.default_rng(0)
    site, X = rng.integers(0, 2, 60), rng.normal(size=(60, 3))
    shifted = pd.DataFrame(X + 5 * site[:, None], columns=list("abc")).assign(site=site)
    pd.concat([shifted, shifted]).to_csv("sites.csv", index=False)
    how = "--confound site --duplicates collapse --max-steps 2 --quiet"
    run(f"fit sites.csv {how} --out m.safetensors")
    run("transform m.safetensors sites.csv --confound site --out codes.csv")
    fitted, table = load("m.safetensors"), pd.read_csv("sites.csv")
    assert fitted.duplicates == "collapse"
    expected = fitted.transform(table[list("abc")], confounds=table[["site"]])
    np.testing.assert_allclose(pd.read_csv("codes.csv"), expected, atol=1e-6)


def test_a_fit_is_that_of_the_learner():
    shown = run(f"fit rows.csv --label y --label id --seed 3 {FIT}")
    assert "Learned" in shown.stdout and "held-out InfoNCE" in shown.stdout
    assert "Wrote model.safetensors." in shown.stdout and shown.stderr == ""
    X = pd.read_csv("rows.csv")[["a", "b", "c", "d"]]
    expected = MIRepresentationLearner(max_steps=2, random_state=3).fit(X)
    np.testing.assert_array_equal(load("model.safetensors").transform(X), expected.transform(X))


def test_options_reach_the_learner():
    run(
        "fit rows.csv --label y --index id --view halves --encoder linear --critic cosine "
        f"--objective nwj {FIT}"
    )
    params = load("model.safetensors").get_params(deep=False)
    chosen = {name: params[name] for name in ("view", "encoder", "critic", "objective")}
    assert chosen == {
        "view": "halves",
        "encoder": "linear",
        "critic": "cosine",
        "objective": "nwj",
    }


def test_images_and_pairs_are_fitted():
    run(f"fit images.npy {FIT}")
    assert load("model.safetensors").n_features_in_ == 8
    run(f"fit images.npy --input-shape 8x8 {FIT} --overwrite")
    assert load("model.safetensors").input_shape == (8, 8)
    np.save("third.npy", np.load("pair.npy")[:, None] ** 2)
    np.save("second.npy", np.load("pair.npy")[:, None])
    run(f"fit plain.tsv --pair second.npy --pair third.npy {FIT} --overwrite")
    third = load("model.safetensors").transform_pair([np.zeros((3, 1))] * 2)
    assert third.shape[0] == 3
    run(f"fit plain.tsv --pair second.npy --comparison whole {FIT} --overwrite")
    assert load("model.safetensors").comparison == "whole"
    run(f"fit plain.tsv --pair pair.npy {FIT} --overwrite")
    assert load("model.safetensors").transform_pair(np.zeros((3, 1))).shape[0] == 3


def test_groups_are_held_out_and_no_feature():
    run(f"fit rows.csv --label id --groups y {FIT}")
    assert list(load("model.safetensors").feature_names_in_) == ["a", "b", "c", "d"]


def test_text_dates_and_empty_cells_are_features():
    frame = mixed()
    run(f"fit mixed.csv --label y {FIT}")
    run("transform model.safetensors mixed.csv --label y --out codes.csv")
    learner = MIRepresentationLearner(max_steps=2, random_state=0).fit(frame.drop(columns="y"))
    found, expected = pd.read_csv("codes.csv"), learner.transform(frame.drop(columns="y"))
    assert found.pop("y").equals(frame["y"])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert {"a", "a_missing", "place_north", "place_missing"} < set(found)


def test_progress_goes_to_stderr():
    shown = run(f"fit plain.tsv {FIT.replace('--quiet', '')}")
    assert "2/2" in shown.stderr and "view=" in shown.stderr
    assert "view=" not in shown.stdout


def test_a_fit_goes_on_from_its_folder():
    run(f"fit plain.tsv {FIT} --checkpoint-dir checkpoints")
    [file] = Path("checkpoints").rglob("*.checkpoint")
    run(f"fit plain.tsv {FIT} --overwrite --checkpoint-dir checkpoints")
    assert load("model.safetensors").n_iter_ == 2
    file.write_bytes(file.read_bytes()[:-1])
    told = run(f"fit plain.tsv {FIT} --overwrite --checkpoint-dir checkpoints", 1)
    assert "is not whole" in told.stderr and "delete the file" in told.stderr


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_codes_keep_names_index_and_label(model, suffix):
    run(f"transform model.safetensors rows.parquet --label y --out codes.{suffix}")
    rows = pd.read_parquet("rows.parquet")
    codes = files.read(Path(f"codes.{suffix}"))
    assert list(codes) == [*model.get_feature_names_out(), "y"]
    assert list(codes.index) == list(rows.index) and list(codes["y"]) == list(rows["y"])
    expected = model.transform(rows[list("abcd")])
    np.testing.assert_allclose(codes.drop(columns="y"), expected, rtol=1e-6)


def test_codes_as_an_array(model):
    run("transform model.safetensors plain.tsv --out codes.npy")
    expected = model.transform(pd.read_csv("plain.tsv", sep="\t"))
    np.testing.assert_array_equal(np.load("codes.npy"), expected)


def test_what_is_carried_is_unchanged(model):
    text = "d,c,b,a,y,id\n1,2,3,4,1.50,007\n1,2,3,5,NA,008\n"
    Path("odd.csv").write_text(text)
    run("transform model.safetensors odd.csv --label y --index id --out codes.csv")
    lines = Path("codes.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["id", "007", "008"]
    assert [line.split(",")[-1] for line in lines] == ["y", "1.50", "NA"]
    # Columns in another order are put in the order of the fit.
    expected = model.transform(pd.DataFrame({"a": [4, 5], "b": 3, "c": 2, "d": 1}))
    np.testing.assert_allclose(
        pd.read_csv("codes.csv", index_col="id").drop(columns="y"), expected, rtol=1e-6
    )


def test_numbers_that_are_carried_stay_numbers(model):
    run("transform model.safetensors rows.csv --label id --label y --out codes.parquet")
    assert pd.read_parquet("codes.parquet")["id"].tolist()[:2] == ["000", "001"]
    frame = pd.read_csv("plain.tsv", sep="\t").assign(y=range(N_ROWS))
    frame.to_csv("numbers.csv", index=False)
    run("transform model.safetensors numbers.csv --label y --out numbers.parquet")
    assert pd.read_parquet("numbers.parquet")["y"].tolist() == list(range(N_ROWS))


# Numbers, comparisons, pages


def test_mutual_information_of_two_files():
    command = "mi plain.tsv pair.npy --max-steps 2"
    shown = run(command)
    assert "mutual information" in shown.stdout and "lower limit" in shown.stdout
    found = json.loads(run(f"{command} --json").stdout)
    assert all(f"warning: {text}\n" in shown.stdout for text in found["warnings"])
    assert f"computed as         {found['computed_as']}\n" in shown.stdout
    assert f"{found['value']:.3f} nats" in shown.stdout and found["n_rows"] == N_ROWS
    low, high = found["interval"]
    assert low <= found["value"] <= high and found["lower_limit"] < found["value"]


class Spy:
    """In the place of MIEstimator: keeps what it is given."""

    def __init__(self, **parameters):
        Spy.given = {"parameters": parameters}

    mi = MIEstimate("spy", math.nan, math.nan, math.inf, 0, 0, "neither", ("spied",))

    def fit(self, X, Y, Z=None, groups=None, blocks=None):
        Spy.given |= {"X": X, "Y": Y, "Z": Z, "groups": groups, "blocks": blocks}
        self.mi_ = Spy.mi
        return self


@pytest.mark.parametrize(
    ("words", "x", "y"),
    [
        ("rows.csv --x a,b --y c", "ab", "c"),
        ("rows.csv --y y --index id", "abcd", "y"),
        ("rows.csv --x c --index id", "c", "abdy"),
        ("rows.csv --x d,a --y a --groups id", "da", "a"),
        ("rows.csv plain.tsv --x a --y d", "a", "d"),
        ("plain.tsv rows.csv --y y", "abcd", "y"),
    ],
)
def test_mutual_information_of_columns(words, x, y, monkeypatch):
    monkeypatch.setattr(information, "MIEstimator", Spy)
    shown = run(f"mi {words} --seed 4").stdout
    assert "mutual information  none" in shown and "warning: spied" in shown
    assert "".join(Spy.given["X"]) == x and "".join(Spy.given["Y"]) == y
    assert Spy.given["parameters"] == {"verbose": 0, "random_state": 4}
    assert (Spy.given["groups"] is not None) == ("--groups" in words)
    assert Spy.given["Z"] is None and Spy.given["blocks"] is None
    as_json = json.loads(run(f"mi {words} --json").stdout)
    assert as_json["value"] is None and as_json["interval"] == [None, None]


@pytest.mark.parametrize(("words", "blocks"), [("auto", "auto"), ("12", 12)])
def test_a_third_table_blocks_and_a_method_are_passed_on(words, blocks, monkeypatch):
    monkeypatch.setattr(information, "MIEstimator", Spy)
    run(f"mi rows.csv --y c --index id --given b,y --blocks {words} --method closed-form --jobs 2")
    assert list(Spy.given["X"]) == ["a", "d"] and list(Spy.given["Z"]) == ["b", "y"]
    assert Spy.given["blocks"] == blocks
    expected = {"verbose": 0, "random_state": 0, "n_jobs": 2, "method": "closed-form"}
    assert Spy.given["parameters"] == expected


def test_a_number_without_an_end_is_null_in_json(monkeypatch):
    monkeypatch.setattr(information, "MIEstimator", Spy)
    how = "nearest neighbours (in-sample)"
    facts = {"interval": (2.5, math.inf), "lower_limit": 1.0, "at_least": True}
    monkeypatch.setattr(Spy, "mi", MIEstimate(how, 3.0, 0.1, math.inf, 9, 9, "neither", **facts))
    shown = run("mi plain.tsv pair.npy").stdout.splitlines()
    assert shown[0].split() == ["mutual", "information", "at", "least", "3.000", "nats"]
    assert shown[1].split()[3:] == ["2.500", "and", "more"]
    assert shown[3].endswith(how)
    as_json = json.loads(run("mi plain.tsv pair.npy --json").stdout)
    assert as_json["interval"] == [2.5, None] and as_json["at_least"] is True
    assert as_json["computed_as"] == how


COMPARE = "compare rows.csv --label y --index id --folds 2 --draws 1 --max-steps 2 --jobs 1"


def test_a_comparison_prints_and_writes_a_table():
    shown = run(f"{COMPARE} --labels 1,5 --out table.csv")
    table = pd.read_csv("table.csv")
    assert list(table["name"].unique()) == ["learned codes", "raw columns", "PCA"]
    assert sorted(table["labels_per_class"].unique()) == [1, 5]
    for name, rows in table.groupby("name"):
        (line,) = [line for line in shown.stdout.splitlines() if line.startswith(str(name))]
        assert all(f"{mean:.3f} ± " in line for mean in rows["mean"])
    assert shown.stdout.splitlines()[-1].startswith("Learned codes are ")
    assert "2 of 2 folds" in shown.stderr


def test_labels_are_those_that_the_classes_allow():
    # Ten training rows of each class: 20 labels are too many.
    assert run(COMPARE).stdout.splitlines()[1].split()[-3:] == ["1", "5", "all"]
    assert "expected 1 to 10" in run(f"{COMPARE} --labels 20", 1).stderr


def test_text_is_compared_and_rows_without_a_label_are_left_out():
    frame = mixed()
    frame["y"] = frame["y"].astype(float).where(frame.index > 3)
    frame.to_csv("mixed.csv", index=False)
    done = run("compare mixed.csv --label y --max-steps 2 --folds 2 --draws 1 --jobs 1 --labels 2")
    assert "4 rows have no y, and are left out.\n36 rows of 3 columns, 2 classes" in done.stderr
    assert "raw columns" in done.stdout


def test_missing_classes_are_filled_in():
    frame = mixed()
    is_known = np.arange(N_ROWS) % 2 == 0
    frame["few"] = frame["y"].where(is_known)
    frame.drop(columns="y").to_csv("few.csv", index=False)
    done = run("label few.csv --labels few --max-steps 2 --quiet --out labels.csv")
    assert done.stdout.splitlines()[0] == "Filled in 20 labels by means of 20."
    found = pd.read_csv("labels.csv")
    assert list(found) == ["few", "few_probability"] and found["few"].dtype == int
    assert (found["few"] == frame["y"])[is_known].all()
    learner = MIRepresentationLearner(max_steps=2, random_state=0)
    y = np.where(is_known, frame["y"].map({-1: "no", 1: "yes"}), None)
    model = SemiSupervisedClassifier(learner).fit(X := frame[["a", "place", "day"]], y)
    expected = model.predict_proba(X[~is_known])
    assert (found["few"][~is_known] == np.where(expected[:, 1] > 0.5, 1, -1)).all()
    np.testing.assert_allclose(found["few_probability"].dropna(), expected.max(axis=1), rtol=1e-5)


def test_missing_measurements_are_filled_in():
    frame = pd.read_csv("rows.csv", dtype={"id": str})
    frame["sum"] = (frame["a"] + frame["b"]).where(frame.index % 4 > 0)
    frame.to_csv("few.csv", index=False)
    run("label few.csv --label sum --index id --max-steps 2 --quiet --out labels.parquet")
    found = pd.read_parquet("labels.parquet")
    assert list(found) == ["sum"] and list(found.index) == [f"{i:03}" for i in range(N_ROWS)]
    assert np.corrcoef(found["sum"].astype(float), frame["a"] + frame["b"])[0, 1] > 0.9


def test_a_page_is_written(monkeypatch):
    seen = []

    class Page:
        def save(self, path, overwrite=False):
            Path(path).write_text("<html>")

    signature = inspect.signature(summary.report)

    def report(*args, **kwargs):
        seen.append(signature.bind(*args, **kwargs).arguments)
        return Page()

    monkeypatch.setattr(summary, "report", report)
    run("report rows.csv --label y --index id --max-rows 30 --effort quick --out page.html")
    (given,) = seen
    assert list(given["X"]) == ["a", "b", "c", "d"] and list(given["y"][:2]) == ["no", "yes"]
    assert (given["max_rows"], given["effort"], given["title"]) == (30, "quick", "rows.csv")
    assert Path("page.html").read_text() == "<html>"
    run("report plain.tsv --out other.html")
    assert seen[1].get("y") is None and "effort" not in seen[1]


def test_the_demo_runs_and_writes_only_where_it_is_told():
    before = contents()
    shown = run("demo --folds 2 --max-steps 2 --jobs 1")
    assert "Raw pixels" in shown.stdout and "Learned codes are" in shown.stdout
    assert contents() == before
    Path("pictures").mkdir()
    Path("pictures", "digits.csv").write_text("mine")
    assert "exists; add --overwrite" in run("demo --out pictures", 2).stderr
    assert Path("pictures", "digits.csv").read_text() == "mine"


def test_the_demo_writes_a_table_and_a_picture(monkeypatch):
    class Picture:
        def savefig(self, path, dpi):
            Path(path).write_text("drawn")

    table = pd.DataFrame({"name": ["raw pixels"], "accuracy": [0.5]})
    monkeypatch.setattr(demo, "run", lambda **settings: table)
    monkeypatch.setattr(demo, "picture", lambda table, max_steps: Picture())
    run("demo --out new/pictures")
    assert {path.name for path in Path("new/pictures").iterdir()} == {"digits.csv", "digits.png"}
    pd.testing.assert_frame_equal(pd.read_csv("new/pictures/digits.csv"), table)
    monkeypatch.setattr(commands, "find_spec", lambda name: None)
    run("demo --out without")
    assert [path.name for path in Path("without").iterdir()] == ["digits.csv"]


# Studies, whose options take several values at once


def test_a_study_says_its_cost_and_writes_a_table():
    shown = run("study paper --figure 4c --steps 2 --rows 1280 --folder here").stdout
    assert "hours for 1 seeds at steps [2]" in shown and "figure_4c.csv" in shown
    table = pd.read_csv("here/figure_4c.csv")
    assert sorted(zip(table["objective"], table["iid"], strict=True)) == [
        ("infonce", False),
        ("infonce", True),
        ("nwj", False),
        ("nwj", True),
    ]
    assert (table["step"] == 2).all() and (table["data"] == "toy, 1280 rows").all()


@pytest.mark.parametrize(
    "words", ["--steps 0 10 20 --figure 3 4c", "--steps 0 --steps 10 20 --figure 3 --figure 4c"]
)
def test_options_of_a_study_take_several_values(words):
    study = main.commands["study"].commands["paper"]
    made = study.make_context("paper", words.split())
    assert made.params["steps"] == (0, 10, 20) and made.params["figure"] == ("3", "4c")


def test_an_unknown_figure_is_told():
    assert "--figure 7; expected 1, 1c, 2" in run("study paper --figure 7", 2).stderr


# Mistakes


def broken_files():
    Path("empty.csv").touch()
    Path("headers.csv").write_text("a,b\n")
    Path("one.csv").write_text("a,b,c,d\n1,2,3,4\n")
    Path("ragged.csv").write_text("a,b\n1,2\n1,2,3\n")
    Path("quoted.csv").write_text('a,b\n"1,2\n3,4\n')
    Path("blanks.csv").write_text("\n\n")
    Path("bytes.csv").write_bytes(b"a,b\n\xff\xfe,2\n")
    Path("infinite.csv").write_text("a,b\n1,1\ninf,2\n3,3\n")
    Path("a_channel_of_text.csv").write_text("a,b,c\nx,1,1\ny,1,2\nz,2,1\n")
    Path("short.csv").write_text("a\n1\n2\n")
    Path("other.csv").write_text("a,b,c,e\n1,2,3,4\n")
    Path("label.csv").write_text("y\n1\n2\n")
    Path("unlabelled.csv").write_text("a,y\n1,\n2,\n")
    Path("bad.parquet").write_bytes(b"PAR1 and no more")
    Path("bad.npy").write_bytes(b"\x93NUMPY and no more")
    Path("bad.npz").write_bytes(b"PK and no more")
    Path("bad.safetensors").write_bytes(b"no weights")
    Path("empty.safetensors").touch()
    Path("there.csv").write_text("mine")
    Path("there.safetensors").write_text("mine")
    Path("a_folder.csv").mkdir()
    Path("sheet.xlsx").touch()
    np.save("objects.npy", np.array([{}, {}]), allow_pickle=True)
    np.save("number.npy", np.float64(1))
    np.save("wide.npy", np.zeros((3, 5)))


MISTAKES = {
    # What is refused before anything is read: code 2.
    f"fit gone.csv {FIT}": (2, "gone.csv: there is no such file"),
    f"fit a_folder.csv {FIT}": (2, "a_folder.csv is a folder without parquet files"),
    f"fit sheet.xlsx {FIT}": (2, "unknown suffix '.xlsx'; expected .csv, .tsv, .parquet"),
    "fit plain.tsv": (2, "Missing option '--out'; see sklearn-mi fit --help."),
    "fit": (2, "Missing argument 'DATA'"),
    "guess plain.tsv": (2, "No such command 'guess'; see sklearn-mi --help."),
    f"fit plain.tsv {FIT} --sed 1": (2, "--sed"),
    "fit plain.tsv --out model.pkl": (2, "unknown suffix '.pkl'; expected .safetensors"),
    "fit plain.tsv --out gone/m.safetensors": (2, "there is no folder 'gone'"),
    "fit plain.tsv --out there.safetensors": (2, "there.safetensors exists; add --overwrite"),
    f"fit plain.tsv {FIT} --input-shape 2by2": (2, "'2by2'; expected positive numbers"),
    f"fit plain.tsv {FIT} --input-shape 0x4": (2, "'0x4'; expected positive numbers"),
    f"fit plain.tsv {FIT} --seed -1": (2, "--seed"),
    f"fit plain.tsv {FIT} --effort much": (2, "'much' is not one of 'quick'"),
    "mi plain.tsv pair.npy --blocks 0": (2, "'0'; expected a positive number of rows, or auto"),
    "mi plain.tsv pair.npy --method best": (2, "'best' is not one of 'auto'"),
    "mi plain.tsv": (2, "Pass a second file, or columns by --x and --y; see sklearn-mi mi --help"),
    "transform gone.safetensors plain.tsv --out codes.csv": (2, "does not exist"),
    "transform bad.safetensors plain.tsv --out there.csv": (2, "there.csv exists"),
    "transform bad.safetensors plain.tsv --out a_folder.csv": (2, "is a folder; expected a file"),
    "transform bad.safetensors rows.csv --label y --out c.npy": (2, "holds numbers alone"),
    "compare rows.csv --label y --labels 1,few": (2, "'1,few'; expected positive numbers, or all"),
    # What the file or the learner refuses: code 1.
    f"fit empty.csv {FIT}": (1, "empty.csv is empty"),
    f"fit headers.csv {FIT}": (1, "headers.csv has no rows"),
    f"fit one.csv {FIT}": (1, "1 sample"),
    f"fit ragged.csv {FIT}": (1, "ragged.csv has 3 fields in line 3, but 2 before it"),
    f"fit quoted.csv {FIT}": (1, "quoted.csv opens a quote in row 1 that nothing closes"),
    f"fit blanks.csv {FIT}": (1, "blanks.csv holds blank lines alone"),
    f"fit bytes.csv {FIT}": (1, "bytes.csv cannot be read as csv"),
    f"fit infinite.csv {FIT}": (1, "X has infinite values in columns ['a']"),
    f"fit a_channel_of_text.csv --by b --time c {FIT}": (1, "a"),
    f"fit bad.parquet {FIT}": (1, "bad.parquet cannot be read as parquet"),
    f"fit bad.npy {FIT}": (1, "bad.npy cannot be read as npy"),
    f"fit bad.npz {FIT}": (1, "bad.npz cannot be read as npz"),
    f"fit objects.npy {FIT}": (1, "objects.npy cannot be read as npy"),
    f"fit number.npy {FIT}": (1, "number.npy holds one number; expected rows"),
    f"fit rows.csv --label z {FIT}": (1, "rows.csv has no column 'z'; it has a, b, c, d, y, id."),
    f"fit rows.csv --index z {FIT}": (1, "rows.csv has no column 'z'"),
    f"fit label.csv --label y {FIT}": (1, "label.csv has no columns besides y"),
    f"fit wide.npy --label y {FIT}": (1, "wide.npy is an array, whose columns have no names"),
    f"fit wide.npy --index y {FIT}": (1, "wide.npy is an array, whose columns have no names"),
    f"fit plain.tsv --view nearby {FIT}": (1, "view='nearby'"),
    f"fit plain.tsv --effort quick {FIT}": (1, "effort='quick'"),
    f"fit plain.tsv --pair short.csv {FIT}": (1, "X has 40 rows, but X_pair has 2"),
    "transform bad.safetensors plain.tsv --out codes.csv": (1, "is not a safetensors file"),
    "transform empty.safetensors plain.tsv --out codes.csv": (1, "is not a safetensors file"),
    "transform model.safetensors other.csv --out codes.csv": (1, "without ['d'], with ['e']"),
    "transform model.safetensors rows.csv --out codes.csv": (1, "with ['y', 'id']; name those"),
    "transform model.safetensors one.csv --label z --out codes.csv": (1, "no column 'z'"),
    "mi plain.tsv short.csv": (1, "plain.tsv has 40 rows, but short.csv has 2"),
    "mi rows.csv --y a --given z": (1, "rows.csv has no column 'z'"),
    "mi one.csv --y a": (1, "expected at least 8 rows"),
    "mi rows.csv --y z": (1, "rows.csv has no column 'z'"),
    "mi wide.npy --y z": (1, "wide.npy is an array"),
    "mi rows.csv --x a --y z": (1, "rows.csv has no column 'z'"),
    "compare rows.csv --label z": (1, "rows.csv has no column 'z'"),
    "compare plain.tsv --label a --jobs 1": (1, "y"),
    "report rows.csv --label z --out page.html": (1, "rows.csv has no column 'z'"),
    "label rows.csv --label y --out l.csv": (1, "has a label in all rows in column 'y'"),
    "label unlabelled.csv --label y --out l.csv": (1, "has no label in column 'y'"),
    "label rows.csv --label y --out l.npy": (2, "expected .csv, .tsv or .parquet"),
}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_sentence_and_writes_nothing(command, fitted):
    broken_files()
    if command.startswith("transform model."):
        shutil.copy(fitted, "model.safetensors")
    before = contents()
    code, said = MISTAKES[command]
    result = run(command, code)
    lines = result.stderr.splitlines()
    assert said in lines[-1] and lines[-1].startswith("Error: ") and lines[-1].endswith(".")
    assert sum(line.startswith("Error") for line in lines) == 1 and len(lines) <= 2
    assert result.stdout == "" and contents() == before


def test_a_file_is_written_over_on_demand(model):
    run("transform model.safetensors plain.tsv --out codes.csv")
    before = contents()
    run("transform model.safetensors plain.tsv --out codes.csv", 2)
    assert contents() == before
    run("transform model.safetensors one.tsv --out codes.csv --overwrite", 2)
    assert contents() == before
    run("transform model.safetensors rows.csv --label y --label id --out codes.csv --overwrite")
    assert contents().keys() == before.keys() and "id" in pd.read_csv("codes.csv")


def test_what_fails_half_way_leaves_the_old_file(monkeypatch):
    Path("model.safetensors").write_text("mine")

    def fail(tensors, path, metadata):
        Path(path).write_text("half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    before = contents()
    said = run(f"fit plain.tsv {FIT} --overwrite", 1).stderr
    assert "(No space left on device); free some space" in said and contents() == before


def test_a_folder_that_takes_no_file_is_told_before_the_fit(monkeypatch):
    def refuse(dir):
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr(options.tempfile, "TemporaryFile", refuse)
    said = run(f"fit plain.tsv {FIT}", 2).stderr
    assert "model.safetensors: its folder takes no file (Permission denied)" in said


@pytest.mark.parametrize("command", [f"fit rows.parquet {FIT}", "transform {} {} --out c.parquet"])
def test_parquet_without_its_engine(model, monkeypatch, command):
    def missing(*args, **kwargs):
        raise ImportError("Unable to find a usable engine;\ntried using: 'pyarrow'.")

    monkeypatch.setattr(pd, "read_parquet", missing)
    monkeypatch.setattr(pd.DataFrame, "to_parquet", missing)
    said = run(command.format("model.safetensors", "plain.tsv") + " --overwrite", 1).stderr
    assert "needs pyarrow, which is missing: pip install pyarrow" in said
    assert not list(Path().glob(".*part*"))


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line(model):
    np.save("four.npy", np.zeros((3, 4)))
    shown = run("transform model.safetensors four.npy --out codes.csv")
    (line,) = shown.stderr.splitlines()
    assert line.startswith("Warning: X does not have valid feature names")


def test_an_interrupt_is_one_word_and_130(monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(MIRepresentationLearner, "fit", interrupt)
    before = contents()
    assert run(f"fit plain.tsv {FIT}", 130).stderr.split() == ["Interrupted."]
    assert contents() == before


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch):
    def fail(*args, **kwargs):
        raise KeyError("ours")

    monkeypatch.setattr(MIRepresentationLearner, "fit", fail)
    result = CliRunner().invoke(main, f"fit plain.tsv {FIT}".split())
    assert isinstance(result.exception, KeyError)
