"""The site that ``make docs`` has built: its links resolve, and it opens without a network."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

SITE = Path(__file__).parent.parent / "docs" / "_build" / "html"
pytestmark = [
    pytest.mark.docs,
    pytest.mark.skipif(not (SITE / "index.html").exists(), reason="make docs has not run"),
]


class Page(HTMLParser):
    """What a page links to, loads and names."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.ids, self.mute = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag == "script" and values.get("src"):
            self.loads.append(values["src"])
        if tag == "link" and values.get("rel") in ("stylesheet", "icon"):
            self.loads.append(values["href"])
        if tag == "img":
            self.loads.append(values["src"])
            # Empty: a picture beside its title, which says it already.
            if values.get("alt") is None:
                self.mute.append(values["src"])


@pytest.fixture(scope="module")
def pages():
    return {path: Page(path) for path in sorted(SITE.rglob("*.html"))}


def test_no_link_is_dead(pages):
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlparse(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            missing = not target.exists()
            if target.is_dir() or missing:
                dead.append((path.name, link))
            elif target in pages and parts.fragment:
                ids = pages[target].ids
                dead += [(path.name, link)] * (unquote(parts.fragment) not in ids)
    assert dead == []


def test_everything_that_a_page_loads_is_on_the_site(pages):
    absent = [
        (path.name, load)
        for path, page in pages.items()
        for load in page.loads
        if not load.startswith("data:")
        and (urlparse(load).netloc or not (path.parent / unquote(urlparse(load).path)).exists())
    ]
    assert absent == []


def test_pictures_have_words(pages):
    assert [(path.name, mute) for path, page in pages.items() for mute in page.mute] == []


def test_the_site_has_search_and_the_gallery_notebooks():
    assert (SITE / "searchindex.js").exists()
    notebooks = {path.stem for path in SITE.rglob("*.ipynb")}
    assert len(notebooks) >= 16
    assert re.search("copybutton", (SITE / "index.html").read_text(encoding="utf-8"))
