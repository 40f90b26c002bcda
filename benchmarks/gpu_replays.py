"""A plugin of pytest: each test notes how often it replayed a CUDA graph.

So a run says how many tests trained on the recorded path, not only that they passed.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from speed_loops import counted_replays


@pytest.fixture(autouse=True)
def replays_are_counted(record_property: Callable[[str, Any], None]) -> Iterator[None]:
    with counted_replays() as replays:
        yield
    record_property("replays", len(replays))
