import subprocess
import sys

import pandas as pd
import pytest

from sklearn_mi.cli import main


def test_the_command_line_says_the_cost_and_writes_a_table(tmp_path, capsys):
    few = ["--steps", "2", "--rows", "1280"]
    main(["study", "paper", "--figure", "4c", *few, "--folder", str(tmp_path)])
    shown = capsys.readouterr().out
    assert "hours for 1 seeds at steps [2]" in shown and "figure_4c.csv" in shown
    table = pd.read_csv(tmp_path / "figure_4c.csv")
    assert sorted(zip(table["objective"], table["iid"], strict=True)) == [
        ("infonce", False),
        ("infonce", True),
        ("nwj", False),
        ("nwj", True),
    ]
    assert (table["step"] == 2).all() and (table["data"] == "toy, 1280 rows").all()


def test_an_unknown_figure_is_told():
    with pytest.raises(SystemExit, match="--figure 7; expected 1, 1c, 2"):
        main(["study", "paper", "--figure", "7"])


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit):
        main(["study", "--help"])
    lines = capsys.readouterr().out.split("\noptions:\n")[1].splitlines()
    options = [i for i, line in enumerate(lines) if line.startswith("  -")]
    for start, end in zip(options, [*options[1:], len(lines)], strict=True):
        # The explanation stands behind two blanks, or on lines of its own.
        assert "  " in lines[start].strip() or end > start + 1, lines[start]


def test_the_package_runs_as_a_module():
    run = subprocess.run(
        [sys.executable, "-m", "sklearn_mi", "study", "--help"], capture_output=True, text=True
    )
    assert run.returncode == 0 and run.stdout.startswith("usage: sklearn-mi study")
