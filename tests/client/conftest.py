"""What the tests of the client share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Collects what a test left: event streams that nobody closed.

    Their finalizer would else run at some later moment of this process, and in the middle of a test that parses JSON
    as deep as Python's recursion goes there is no room for it (pytest then fails that test).
    """
    yield
    gc.collect()
