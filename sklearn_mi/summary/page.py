"""A page of HTML that stands alone: no script, no font, no address of another page."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, NamedTuple

__all__ = ["Section", "clean", "code", "document", "fold", "items", "paragraph", "picture", "table"]

# Characters that HTML does not admit, in names of columns that a user brings.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2127;--soft:#55606b;--line:#d5dae0;
--box:#f4f6f8;--mark:#0b62a4;--tint:#e8f2fb}
@media(prefers-color-scheme:dark){:root{--paper:#14181d;--ink:#e7ebef;--soft:#a9b4bf;
--line:#39424c;--box:#1e242b;--mark:#7cc0f8;--tint:#152b40}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
header,main,footer{max-width:60rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2rem}
h1,h2{line-height:1.2;overflow-wrap:anywhere;text-wrap:balance}
h1{font-size:1.9rem;margin:0 0 1rem}
h2{font-size:1.3rem;margin:0 0 .75rem}
p,ul,dl{margin:.6rem 0}
p,li{max-width:46rem;overflow-wrap:anywhere}
ul{padding-left:1.2rem}
a{color:var(--mark)}
a:focus-visible,summary:focus-visible,[tabindex]:focus-visible{outline:2px solid var(--mark);
outline-offset:2px}
.lead{font-size:1.15rem;max-width:none;margin:1rem 0;padding:.9rem 1.1rem;background:var(--tint);
border-left:4px solid var(--mark);border-radius:0 6px 6px 0}
.soft,figcaption,caption,footer{color:var(--soft);font-size:.9rem}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem}
dl>div{background:var(--box);border-radius:6px;padding:.6rem .8rem;min-width:0}
dt{color:var(--soft);font-size:.85rem}
dd{margin:0;font-size:1.15rem;font-weight:600;overflow-wrap:anywhere}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;padding:0}
section{border-top:1px solid var(--line);margin-top:1.75rem;padding-top:1.5rem}
figure{margin:1rem 0;min-width:0}
figure img,figure svg{display:block;max-width:100%;height:auto}
figure img{background:#fff;border:1px solid var(--line);border-radius:6px}
figcaption{margin-top:.4rem;max-width:46rem}
figure svg{width:36rem}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:0 1.25rem}
.wide{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;font-size:.95rem;font-variant-numeric:tabular-nums}
caption{text-align:left;padding-bottom:.4rem}
th,td{text-align:left;vertical-align:top;padding:.35rem 1.2rem .35rem 0;
border-bottom:1px solid var(--line)}
thead th{color:var(--soft);font-weight:600;white-space:nowrap}
tbody th{font-weight:600;overflow-wrap:anywhere;min-width:7rem;max-width:18rem}
td{max-width:30rem}
td:not(.number){min-width:12rem}
.number{text-align:right;white-space:nowrap}
details{margin:1rem 0}
summary{cursor:pointer;color:var(--mark);font-weight:600}
pre{overflow-x:auto;background:var(--box);border-radius:6px;padding:.9rem 1rem;font-size:.875rem;
line-height:1.5;user-select:all;-webkit-user-select:all}
pre,code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
footer{padding-top:1.5rem;padding-bottom:2rem}
@media print{pre{white-space:pre-wrap}section,figure{break-inside:avoid}}
"""


class Section(NamedTuple):
    """A part of the page under a heading of its own."""

    id: str
    title: str
    parts: list[str]


def clean(words: Any) -> str:
    """Return text as HTML may hold it, not yet escaped.

    Parameters
    ----------
    words : object

    Returns
    -------
    words : str
        With a replacement character for what is forbidden.
    """
    whole = str(words).encode("utf-8", "replace").decode()
    return FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", whole)


def _text(words: Any) -> str:
    return escape(clean(words))


def paragraph(*sentences: str, kind: str = "") -> str:
    """Return sentences as one paragraph, or nothing.

    Parameters
    ----------
    *sentences : str
        Text.
    kind : str
        The class that the style knows.

    Returns
    -------
    html : str
    """
    words = " ".join(sentence for sentence in sentences if sentence)
    named = f' class="{kind}"' if kind else ""
    return f"<p{named}>{_text(words)}</p>" if words else ""


def items(sentences: Iterable[str]) -> str:
    """Return sentences as a list, or nothing.

    Parameters
    ----------
    sentences : iterable of str

    Returns
    -------
    html : str
    """
    inner = "".join(f"<li>{_text(sentence)}</li>" for sentence in sentences)
    return f"<ul>{inner}</ul>" if inner else ""


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Iterable[int] = ()
) -> str:
    """Return a table in a box of its own, which scrolls where it is too wide.

    Parameters
    ----------
    caption : str
    head : sequence of str
    rows : iterable of sequence
        The first cell names the row.
    numbers : iterable of int
        Columns that stand at the right.

    Returns
    -------
    html : str
    """
    at_right = {k: ' class="number"' for k in numbers}
    names = "".join(
        f'<th scope="col"{at_right.get(k, "")}>{_text(name)}</th>' for k, name in enumerate(head)
    )
    body = "".join(
        f'<tr><th scope="row">{_text(first)}</th>'
        + "".join(f"<td{at_right.get(k, '')}>{_text(c)}</td>" for k, c in enumerate(rest, 1))
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{_text(caption)}"><table>'
        f"<caption>{_text(caption)}</caption><thead><tr>{names}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def picture(image: bytes | str, caption: str, alt: str = "", width: int = 0) -> str:
    """Return a figure.

    Parameters
    ----------
    image : bytes or str
        A PNG, or an SVG element that names itself.
    caption : str
    alt : str
        What a PNG shows, in words.
    width : int
        Of a PNG, in pixels of the page.

    Returns
    -------
    html : str
    """
    if isinstance(image, bytes):
        data = base64.b64encode(image).decode()
        image = (
            f'<img src="data:image/png;base64,{data}" alt="{_text(alt)}" style="width:{width}px">'
        )
    return f"<figure>{image}<figcaption>{_text(caption)}</figcaption></figure>"


def fold(summary: str, *parts: str) -> str:
    """Return parts that a reader opens.

    Parameters
    ----------
    summary : str
    *parts : str
        HTML.

    Returns
    -------
    html : str
    """
    return f"<details><summary>{_text(summary)}</summary>{''.join(parts)}</details>"


def code(lines: str) -> str:
    """Return code; a click selects all of it.

    Parameters
    ----------
    lines : str

    Returns
    -------
    html : str
    """
    # HTML drops a line break at the start of pre.
    return f'<pre tabindex="0"><code>{_text(lines)}</code></pre>'


def document(
    title: str,
    lead: str,
    facts: Iterable[tuple[str, str]],
    notes: str,
    sections: Sequence[Section],
    footer: str,
) -> str:
    """Return the whole page.

    Parameters
    ----------
    title, lead : str
        Text.
    facts : iterable of (str, str)
        Words and numbers of the head.
    notes : str
        HTML below the facts.
    sections : sequence of Section
    footer : str
        Text.

    Returns
    -------
    html : str
    """
    cards = "".join(f"<div><dt>{_text(k)}</dt><dd>{_text(v)}</dd></div>" for k, v in facts)
    links = "".join(f'<li><a href="#{s.id}">{_text(s.title)}</a></li>' for s in sections)
    body = "".join(
        f'<section id="{s.id}" aria-labelledby="{s.id}-title">'
        f'<h2 id="{s.id}-title">{_text(s.title)}</h2>{"".join(s.parts)}</section>'
        for s in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{STYLE}</style></head><body>"
        f"<header><h1>{_text(title)}</h1>{paragraph(lead, kind='lead')}<dl>{cards}</dl>{notes}"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav></header><main>{body}</main>'
        f"<footer>{paragraph(footer)}</footer></body></html>\n"
    )
