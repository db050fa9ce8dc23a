"""Charts of /v1/stats: drawn, told in words, led by the keyboard, and kept true while blocks come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.kit.browser import NARROW, NewPage, check_axe, check_fits, wait_for_truth
from tests.kit.running import RunningNode, running


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    with running(tmp_path / "node") as started:
        yield started


def grow(node: RunningNode, blocks: int) -> None:
    node.take(node.chain, node.chain.height + 1 - len(node.chain.grow(blocks)))


def open_mining(new_page: NewPage, node: RunningNode, width: int = 1440, height: int = 900, dark: bool = False) -> Page:
    page = new_page(width, height, base_url=node.url, dark=dark)
    page.goto("/mining")
    expect(page.locator("#live-state")).to_have_attribute("data-state", "on")
    return page


def picture(chart: Locator) -> str:
    """The drawn pixels."""
    return str(chart.locator("canvas").evaluate("canvas => canvas.toDataURL()"))


def test_a_chart_is_drawn_and_told_in_words(node: RunningNode, new_page: NewPage) -> None:
    grow(node, 30)
    page = open_mining(new_page, node)
    chart = page.locator("#chart-block_time")
    expect(chart.locator("canvas")).to_be_visible()
    expect(chart.locator(".reading")).to_have_text(
        "Last 10 s in block 30. Lowest 10 s in block 2, highest 10 s in block 2. Dashed: wanted, 10 s."
    )
    check_axe(page)


def test_a_range_and_a_point_are_chosen_by_the_keyboard(node: RunningNode, new_page: NewPage) -> None:
    grow(node, 150)
    page = open_mining(new_page, node)
    chart = page.locator("#chart-difficulty")
    expect(chart.locator(".reading")).to_contain_text("at block 150")
    chart.get_by_role("button", name="last 100").focus()
    page.keyboard.press("Enter")
    expect(chart.get_by_role("button", name="last 100")).to_have_attribute("aria-pressed", "true")
    expect(chart.locator(".reading")).to_contain_text("Lowest 1 at block 51")
    chart.get_by_role("slider").focus()
    page.keyboard.press("Home")
    expect(chart.locator(".reading")).to_have_text("1 at block 51")
    page.keyboard.press("ArrowRight")
    expect(chart.locator(".reading")).to_have_text("1 at block 52")


def test_a_chart_goes_on_while_blocks_come(node: RunningNode, new_page: NewPage) -> None:
    page = open_mining(new_page, node)
    reading = page.locator("#chart-block_time .reading")
    expect(reading).to_have_text("There are too few blocks for a chart yet.")
    grow(node, 5)
    expect(reading).to_contain_text("in block 5")


def test_a_chart_takes_the_colours_of_the_theme(node: RunningNode, new_page: NewPage) -> None:
    grow(node, 5)
    page = open_mining(new_page, node, *NARROW)
    chart = page.locator("#chart-block_time")
    expect(chart.locator("canvas")).to_be_visible()
    light = picture(chart)
    page.locator("#theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    wait_for_truth(page, "light => document.querySelector('#chart-block_time canvas').toDataURL() !== light", light)
    check_fits(page)
    check_axe(page)


def test_without_javascript_a_chart_says_where_its_numbers_are(node: RunningNode, new_page: NewPage) -> None:
    page = new_page(base_url=node.url, javascript=False)
    page.goto("/mining")
    expect(page.locator("#chart-block_time")).to_contain_text("its numbers are in /v1/stats")
    expect(page.locator("#chart-block_time button")).to_have_count(3)
    expect(page.locator("#chart-block_time button").first).to_be_hidden()
