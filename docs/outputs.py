"""Runs the Python blocks of a page, and writes or compares what they print.

``python docs/outputs.py docs/tutorials/few_labels.rst`` runs the page from top to bottom as one
script and puts below each block what it printed. The tests run the pages likewise, and fail where
what stands there is not what is printed (`same`).
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import textwrap
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

RST = re.compile(
    r"^(?P<indent> *)\.\. code-block:: python\n\n(?P<code>(?:(?P=indent) +.*\n|\n)+)"
    r"(?:(?P=indent)\.\. code-block:: text\n(?P=indent)   :class: output\n\n"
    r"(?P<output>(?:(?P=indent) +.*\n|\n)+))?",
    re.MULTILINE,
)
MARKDOWN = re.compile(
    r"^(?P<indent>)```python\n(?P<code>.*?)^```\n(?:\n```output\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:e[-+]?\d+)?")
# Other processors round sums otherwise, and trainings part from there.
ABSOLUTE, RELATIVE = 0.05, 0.15


class Block(NamedTuple):
    """A block of code, the output below it, and where both stand in the text."""

    code: str
    output: str | None
    start: int
    end: int
    indent: str


def blocks(page: Path) -> list[Block]:
    """Return the Python blocks of a page; errors in them name the lines of the page."""
    text = page.read_text(encoding="utf-8")
    found = (MARKDOWN if page.suffix == ".md" else RST).finditer(text)
    made = []
    for match in found:
        code = "\n" * text[: match.start("code")].count("\n") + textwrap.dedent(match["code"])
        output = match["output"]
        shown = None if output is None else tidy(output)
        made.append(Block(code, shown, match.start(), match.end(), match["indent"]))
    return made


def tidy(text: str) -> str:
    """Return a text without blank lines around it and blanks at the ends of its lines."""
    return "\n".join(line.rstrip() for line in textwrap.dedent(text).splitlines()).strip("\n")


def printed(page: Path) -> list[str]:
    """Run all blocks of a page in one namespace; return what each of them printed."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    texts = []
    for block in blocks(page):
        with redirect_stdout(io.StringIO()) as out:
            exec(compile(block.code, str(page), "exec"), namespace)
        texts.append(tidy(out.getvalue()))
    return texts


def same(shown: str, found: str) -> bool:
    """Tell whether two outputs have the same words, and numbers that are close."""
    if NUMBER.sub("#", shown).split() != NUMBER.sub("#", found).split():
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(found), strict=True)
    numbers = ((float(one), float(other)) for one, other in pairs)
    return all(abs(one - other) <= ABSOLUTE + RELATIVE * abs(one) for one, other in numbers)


def rewrite(page: Path) -> None:
    """Put below each block of a page what it prints."""
    text, parts, last = page.read_text(encoding="utf-8"), [], 0
    for block, out in zip(blocks(page), printed(page), strict=True):
        parts += [text[last : block.start], _with_output(text[block.start : block.end], block, out)]
        last = block.end
    page.write_text("".join([*parts, text[last:]]), encoding="utf-8")


def _with_output(text: str, block: Block, out: str) -> str:
    if text.startswith("```"):
        code = text[: text.index("\n```\n") + 5]
        return f"{code}\n```output\n{out}\n```\n" if out else code
    mark = f"{block.indent}.. code-block:: text\n"
    code = text.split(mark)[0].rstrip("\n")
    if not out:
        return f"{code}\n\n"
    shown = textwrap.indent(out, f"{block.indent}   ", lambda line: bool(line.strip()))
    return f"{code}\n\n{mark}{block.indent}   :class: output\n\n{shown}\n\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("pages", nargs="+", type=Path)
    warnings.simplefilter("error")
    for page in parser.parse_args().pages:
        rewrite(page)
        print(page, file=sys.stderr)


if __name__ == "__main__":
    main()
