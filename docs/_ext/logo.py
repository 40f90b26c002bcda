"""Draws the logo: ``python docs/_ext/logo.py``. Two sets of information, and what they share."""

from math import sqrt
from pathlib import Path

RADIUS, APART = 30, 34
COLOURS = {"first": "#0072B2", "second": "#E69F00", "shared": "#D55E00"}


def logo() -> str:
    """Return the logo as SVG."""
    left, right, middle = 50 - APART / 2, 50 + APART / 2, 50
    half = sqrt(RADIUS**2 - (APART / 2) ** 2)
    arc = f"A {RADIUS} {RADIUS} 0 0 1"
    lens = f"M 50 {middle - half:.2f} {arc} 50 {middle + half:.2f} {arc} 50 {middle - half:.2f} Z"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" role="img">'
        "<title>sklearn-mi</title>"
        f'<circle cx="{left}" cy="{middle}" r="{RADIUS}" fill="{COLOURS["first"]}"/>'
        f'<circle cx="{right}" cy="{middle}" r="{RADIUS}" fill="{COLOURS["second"]}"/>'
        f'<path d="{lens}" fill="{COLOURS["shared"]}" stroke="#fff" stroke-width="2.5"/></svg>\n'
    )


if __name__ == "__main__":
    path = Path(__file__).parents[1] / "_static" / "logo.svg"
    path.write_text(logo(), encoding="utf-8")
