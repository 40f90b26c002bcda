"""How Sphinx builds the site: ``make docs``."""

import os
import re
import sys
from pathlib import Path
from typing import Any

from sphinx_gallery.sorting import ExplicitOrder

from sklearn_mi import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import evidence  # noqa: E402
from concepts import TOGETHER  # noqa: E402

project = "sklearn-mi"
author = "The sklearn-mi developers"
copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",
]
exclude_patterns = ["_build", "_templates", "_ext", "paper", "generated/evidence"]
templates_path = ["_templates"]
# Docstrings name their neighbours between single backticks.
default_role = "py:obj"

autosummary_generate = True
autosummary_context = {"together": TOGETHER}
# numpydoc gives the types; repeating them would bury the names in the signatures.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
python_maximum_signature_line_length = 88
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_selector = "div:not(.output) > div.highlight > pre"

# Links into other projects need their inventories, which need a network: DOCS_ONLINE=1 make docs.
if os.environ.get("DOCS_ONLINE"):
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "pandas": ("https://pandas.pydata.org/docs", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
    }

# The scripts named plot_*.py run when the site is built.
SECTIONS = ("few_labels", "images", "two_views", "recordings", "numbers", "understanding")
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "subsection_order": ExplicitOrder([f"../examples/{name}" for name in SECTIONS]),
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"paper/|distributed",
    "capture_repr": ("_repr_html_",),
    "doc_module": ("sklearn_mi",),
    "backreferences_dir": "generated/examples",
    "reference_url": {"sklearn_mi": None},
    "remove_config_comments": True,
    "plot_gallery": "True",
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "show_signature": False,
}

html_theme = "furo"
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
html_title = f"sklearn-mi {release}"
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True, "sidebar_hide_name": False}


def drop_dead_links(app: Any, error: Exception | None) -> None:
    """Drop links from the source of `_base` to pages of names that other modules export."""
    page = Path(app.outdir) / "_modules" / "sklearn_mi" / "_base.html"
    if error is None and page.exists():
        back = r'<a class="viewcode-back" href="[^"]*">\[docs\]</a>'
        page.write_text(re.sub(back, "", page.read_text(encoding="utf-8")), encoding="utf-8")


def setup(app: Any) -> None:
    """Draw the evidence from the tables of the benchmarks before the pages are read."""
    app.connect("builder-inited", lambda app: evidence.write(Path(app.srcdir)))
    app.connect("build-finished", drop_dead_links)
