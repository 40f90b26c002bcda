"""How a command answers: results on stdout, the rest on stderr, a mistake as one sentence."""

from __future__ import annotations

import sys
import warnings
from typing import Any, NoReturn

import click

__all__ = ["Commands", "SeveralValues", "examples", "refuse", "say", "sentence"]

INTERRUPTED = 130
# What a user can mend; any other exception is ours, and shows where it came from.
MISTAKES = (ValueError, TypeError, OSError, ImportError, MemoryError)


class Commands(click.Group):
    """Commands that answer a mistake with one sentence on stderr and an exit code.

    2: of the command line; 1: of the data; 130: interrupted.
    """

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command, and leave the process with its exit code."""
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            sys.exit(self._run(*args, **{**extra, "standalone_mode": False}))

    def _run(self, *args: Any, **extra: Any) -> int:
        try:
            return super().main(*args, **extra) or 0
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else "sklearn-mi"
            text = f"{error.format_message().rstrip('.')}; see {path} --help."
            code = error.exit_code
        except click.ClickException as error:
            text, code = error.format_message(), error.exit_code
        except click.Abort:
            text, code = "Interrupted.", INTERRUPTED
        except MISTAKES as error:
            text, code = sentence(error), 1
        say(text if code == INTERRUPTED else f"Error: {text}")
        return code


class SeveralValues(click.Command):
    """A command whose repeated options take several values at once, as in ``--steps 0 1000``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Write an option anew before each of its values."""
        repeated = {name for option in self.params if option.multiple for name in option.opts}
        spread, option = [], ""
        for before, word in zip(["", *args], args, strict=False):
            if word.startswith("-"):
                option = word
            elif option in repeated and before != option:
                spread.append(option)
            spread.append(word)
        return super().parse_args(ctx, spread)


def examples(*lines: str) -> str:
    """Return the end of a command's help.

    Parameters
    ----------
    *lines : str
        Commands, one a line.

    Returns
    -------
    text : str
    """
    return "\n".join(["\b", "Examples:", *(f"  sklearn-mi {line}" for line in lines)])


def refuse(text: str) -> NoReturn:
    """End the running command: what was typed does not fit together.

    Parameters
    ----------
    text : str
        One sentence.
    """
    click.get_current_context().fail(text)


def say(text: str) -> None:
    """Print progress, a warning or an error on stderr.

    Parameters
    ----------
    text : str
    """
    click.echo(text, err=True)


def sentence(error: BaseException) -> str:
    """Return what an exception says, on one line.

    Parameters
    ----------
    error : BaseException

    Returns
    -------
    text : str
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return f"{type(error).__name__}."
    # Where scikit-learn says much, our own sentence stands last.
    return lines[-1] if lines[-1].endswith(".") else f"{' '.join(lines)}."


def _show_warning(message: Any, *args: Any, **kwargs: Any) -> None:
    say(f"Warning: {' '.join(str(message).split())}")
