"""One browser for each process of the test run; pages that fail their test where something goes wrong on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.kit.browser import NewPage, chromium, pages_of


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def new_page(browser: Browser) -> Iterator[NewPage]:
    with pages_of(browser) as opened:
        yield opened
