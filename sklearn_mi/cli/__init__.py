"""The command line ``sklearn-mi``: features and mutual-information numbers from files."""

from sklearn_mi.cli.commands import main

__all__ = ["main"]
