"""Print constraints for pip: the oldest release of every dependency that pyproject.toml admits."""

import re
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
# What the package needs, what it can use, and what its tests need; tools for the code have no say.
EXTRAS = ("large", "plots", "distributed", "dev")


def requirements():
    """List the requirements of pyproject.toml, each once, in their order."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    listed = [*project["dependencies"], *(line for extra in EXTRAS for line in extras[extra])]
    return list(dict.fromkeys(listed))


def oldest(requirement):
    """Turn ``name>=version`` into ``name==version``; a name alone admits every release: None."""
    # Constraints name no extras.
    pattern = r"([\w.-]+)(?:\[[\w,]+\])?(?:>=([\d.]+))?"
    name, minimum = re.fullmatch(pattern, requirement).groups()
    return minimum and f"{name}=={minimum}"


if __name__ == "__main__":
    print(*filter(None, map(oldest, requirements())), sep="\n")
