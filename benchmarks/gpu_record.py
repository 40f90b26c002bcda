"""The file of a part of the benchmark on a GPU: what it measured, where, by which code."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

UNFINISHED, DONE, FAILED, NOT_RUN = "unfinished", "done", "failed", "not run"


class Place(NamedTuple):
    """What two runs must have in common for the second to be left out."""

    card: str
    commit: str
    small: bool

    def is_certain(self) -> bool:
        """Tell whether the commit says which code ran: no files differ from it."""
        return self.commit != "unknown" and not self.commit.endswith("+")


class Record:
    """A file with a head and rows, written whole after each change.

    A process that is killed leaves all rows but the one that it was at.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head: dict[str, Any] = {"part": path.stem, "status": NOT_RUN}
        self.rows: list[dict[str, Any]] = []
        self.read()

    @property
    def status(self) -> str:
        """Return one of the four words above."""
        return self.head["status"]

    @property
    def state(self) -> Path:
        """Return where a training is written down; Git ignores it."""
        return self.path.with_suffix(".state.part")

    def read(self) -> None:
        """Take what the file says, where there is one."""
        if self.path.exists():
            self.head = json.loads(self.path.read_text(encoding="utf-8"))
            self.rows = self.head.pop("rows")

    def write(self) -> None:
        """Write the file in one go."""
        draft = self.path.with_suffix(".json.part")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({**self.head, "rows": self.rows}, indent=1) + "\n", "utf-8")
        draft.replace(self.path)

    def belongs_to(self, place: Place) -> bool:
        """Tell whether it was measured on this card, by this commit, at this size."""
        return place.is_certain() and place._asdict().items() <= self.head.items()

    def begin(self, place: Place, command: str, keep_rows: bool) -> None:
        """Start the part anew, or go on with the rows that there are."""
        seconds = self.head.get("seconds", 0.0) if keep_rows else 0.0
        self.rows = self.rows if keep_rows else []
        self.head = {"part": self.path.stem, "status": UNFINISHED, **place._asdict()}
        self.head |= {"command": command, "seconds": seconds, "date": now()}
        self.write()

    def note(self, **row: Any) -> None:
        """Add a row."""
        self.rows.append(row)
        self.write()

    def end(self, status: str, why: str = "") -> None:
        """Say how it ended, and why so unless all went well."""
        self.head |= {"status": status, "date": now()} | ({"why": why} if why else {})
        self.write()


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
