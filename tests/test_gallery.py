"""The examples of the gallery: each runs, draws its picture, and lets no warning through."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*/plot_*.py"))


def name_of(script):
    return str(script.relative_to(EXAMPLES))


@pytest.mark.docs
@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_example_runs(script, tmp_path):
    known = {**os.environ, "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    asked = [sys.executable, "-W", "error::UserWarning", str(script)]
    subprocess.run(asked, cwd=tmp_path, env=known, check=True, timeout=300)


def test_the_gallery_is_large_and_each_folder_has_a_title():
    assert len(SCRIPTS) >= 16
    for folder in {script.parent for script in SCRIPTS}:
        assert (folder / "GALLERY_HEADER.rst").exists()
    assert not list(EXAMPLES.glob("plot_*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_example_shows_no_noise(script):
    text = script.read_text(encoding="utf-8")
    title, rule = text.split("\n")[1:3]
    assert rule == "=" * len(title)
    assert not re.search(r"^# fmt|sphinx_gallery_thumbnail_number", text, re.M)
    # The last value of a block would stand on the page as an object at an address.
    assert not re.search(r"^\w*Display\.from_", text, re.M)
