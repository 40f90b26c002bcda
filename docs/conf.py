"""How Sphinx builds the site: ``make docs``."""

from sklearn_mi import __version__

project = "sklearn-mi"
author = "The sklearn-mi developers"
copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
# Docstrings name their neighbours between single backticks.
default_role = "py:obj"

autosummary_generate = True
# numpydoc gives the types; repeating them would bury the names in the signatures.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
python_maximum_signature_line_length = 88

# The scripts named plot_*.py run when the site is built.
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(paper/|demo_)",
    "ignore_repr_types": r"matplotlib",
    "download_all_examples": False,
    "show_memory": False,
}

html_theme = "furo"
html_title = f"sklearn-mi {release}"
html_show_sourcelink = False
