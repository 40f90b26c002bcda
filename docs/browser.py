"""Looks at the site in a browser: ``python docs/browser.py --chromium /usr/bin/chromium``.

At 1300 and at 390 pixels, on light and on dark, every page must not overflow, log an error or ask
the network; text must stand out from its background (WCAG AA), and the first links must show that
they have the focus. It needs the package playwright and a Chromium, which no other test needs.
"""

import argparse
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

SITE = Path(__file__).parent / "_build" / "html"
WIDTHS = (1300, 390)
CONTRAST = """() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => {
    const part = value =>
      (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll("article :is(p, li, td, h1, h2, a, pre span)")) {
    const style = getComputedStyle(node);
    if (!node.innerText || style.visibility === "hidden" || !node.offsetParent) continue;
    const [a, b] = [light(parse(style.color)), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24;
    if (ratio >= (large ? 3 : 4.5)) continue;
    found.push(`${node.tagName} ${ratio.toFixed(2)} ${node.innerText.slice(0, 30)}`);
  }
  return [...new Set(found)].slice(0, 5);
}"""
FOCUS = """() => {
  const style = getComputedStyle(document.activeElement);
  return style.outlineStyle !== "none" || style.boxShadow !== "none";
}"""


def faults_of(page: Page, path: Path) -> list[str]:
    """Return what is wrong with a page at the size and colours that the browser has."""
    said: list[str] = []
    page.on("console", lambda entry: said.append(entry.text) if entry.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "request",
        lambda asked: (
            said.append(asked.url)
            if "://" in asked.url and not asked.url.startswith(("file:", "data:", "blob:"))
            else None
        ),
    )
    page.goto(path.as_uri())
    found = [f"says {text}" for text in said]
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    if wide > 0:
        found.append(f"overflows by {wide} pixels")
    found += [f"contrast {fault}" for fault in page.evaluate(CONTRAST)]
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    if not page.evaluate(FOCUS):
        found.append("shows no focus")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--chromium", help="its path; by default playwright's own")
    parser.add_argument("--shots", type=Path, help="a folder for pictures of the pages")
    parser.add_argument("--only", default="", help="a part of the paths of pages")
    asked = parser.parse_args()
    n_faults = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=asked.chromium)
        for width in WIDTHS:
            for colours in ("light", "dark"):
                size = {"width": width, "height": 900}
                context = browser.new_context(viewport=size, color_scheme=colours)  # type: ignore[arg-type]
                for path in sorted(SITE.rglob("*.html")):
                    name = str(path.relative_to(SITE))
                    if asked.only not in name:
                        continue
                    page = context.new_page()
                    for fault in faults_of(page, path):
                        n_faults += 1
                        print(f"{name} at {width}, {colours}: {fault}")
                    if asked.shots:
                        shot = f"{width}-{colours}-{name.replace('/', '-')}.png"
                        page.screenshot(path=asked.shots / shot, full_page=True)
                    page.close()
                context.close()
        browser.close()
    sys.exit(f"{n_faults} faults" if n_faults else 0)


if __name__ == "__main__":
    main()
