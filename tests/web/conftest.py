"""A browser for each file of tests; pages that fail their test where something goes wrong on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.kit.browser import NewPage, chromium, pages_of


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ended with its file: Playwright keeps an event loop running, beside which no other test could run one."""
    with chromium() as started:
        yield started


@pytest.fixture
def new_page(browser: Browser) -> Iterator[NewPage]:
    with pages_of(browser) as opened:
        yield opened
