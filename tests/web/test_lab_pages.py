"""The lab's pages show what the lab has, with records of runs that held, and link each rule to the protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from moneyer.node.devnet.lab.attacks import ATTACKS
from moneyer.node.devnet.lab.lab_list import EXPERIMENTS
from moneyer.node.web.lab_pages import FOLDER, attacks, experiments, place_of
from tests.conftest import REPOSITORY
from tests.kit.browser import NARROW, WIDE, NewPage, check_axe, check_fits
from tests.kit.running import RunningNode, running
from tools.experiments import SEED
from tools.lab_pages import PROTOCOL_PAGE, protocol_html

MOST_BYTES = 500_000
"""Of the records together."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running(tmp_path_factory.mktemp("lab") / "node") as started:
        yield started


def test_each_experiment_of_the_lab_has_its_page_and_says_there_what_the_lab_says() -> None:
    shown = [(each.name, each.title, each.about, each.shows) for each in experiments()]
    assert shown == [(each.name, each.title, each.about, each.shows) for each in EXPERIMENTS], (
        "run `python -m tools.experiments NAME` for what has changed"
    )
    assert all(each.seed == SEED and each.steps and each.claims and each.held for each in experiments())


def test_each_attack_of_the_lab_has_its_place_and_says_there_what_the_lab_says() -> None:
    shown = [
        (each.name, each.title, each.story, each.rule.code, each.rule.rule, each.rule.function) for each in attacks()
    ]
    assert shown == [
        (each.name, each.title, each.story, each.code, each.sentence, each.function) for each in ATTACKS
    ], "run `python -m tools.lab_pages attacks`"


def test_a_rule_is_a_function_of_the_tree_and_has_its_place_in_the_protocol() -> None:
    rules = [rule for each in experiments() for step in each.steps for rule in step.rules]
    rules += [each.rule for each in attacks()]
    protocol = PROTOCOL_PAGE.read_text("utf-8")
    for rule in rules:
        file, _, name = rule.function.partition(" ")
        assert re.search(rf"^(\s*def|class) {name.rpartition('.')[2]}\b", (REPOSITORY / file).read_text("utf-8"), re.M)
        assert f'id="{place_of(rule.section).partition("#")[2]}"' in protocol, rule.section


def test_the_protocols_page_is_the_protocol() -> None:
    assert PROTOCOL_PAGE.read_text("utf-8") == protocol_html(), "run `python -m tools.lab_pages protocol`"


def test_the_records_are_small_and_all_are_shown() -> None:
    files = list(FOLDER.iterdir())
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    pictures = {f"{name}.svg" for each in experiments() for name in each.pictures}
    assert {path.name for path in files} == {"experiments.json", "attacks.json", *pictures}


def test_the_pages_lead_from_one_to_the_next_and_a_rule_to_the_protocol(new_page: NewPage, node: RunningNode) -> None:
    """The smallest and the darkest; axe looks at one of each kind."""
    page = new_page(*NARROW, dark=True, base_url=node.url)
    page.goto("/learn")
    page.get_by_role("link", name="experiments", exact=True).click()
    expect(page.locator(".lab-small")).to_have_count(len(EXPERIMENTS))
    assert page.locator(".lab-small").evaluate_all("all => all.every((each) => each.children.length)")
    check_axe(page)
    check_fits(page)
    page.locator(".lab-list a").first.click()
    record = experiments()[0]
    expect(page.get_by_role("heading", level=1)).to_have_text(record.title)
    expect(page.locator(".lab-steps > li")).to_have_count(len(record.steps))
    expect(page.locator(".lab-picture svg")).to_have_count(len(record.pictures))
    # The picture takes the page's colours, and its card's where a white page has white.
    paper = "getComputedStyle(document.querySelector('.lab-picture svg > rect')).fill"
    assert page.evaluate(paper) == page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
    check_axe(page)
    check_fits(page)
    page.locator(".lab-rule a").first.click()
    expect(page).to_have_url(re.compile("/learn/protocol#section-8$"))
    expect(page.locator("#section-8")).to_be_in_viewport()
    check_axe(page)
    check_fits(page)


def test_the_attacks_read_without_javascript(new_page: NewPage, node: RunningNode) -> None:
    page = new_page(*WIDE, javascript=False, base_url=node.url)
    page.goto("/learn/attacks")
    expect(page.locator(".lab-attack")).to_have_count(len(ATTACKS))
    page.locator("#tamper summary").click()
    expect(page.locator("#tamper table")).to_contain_text("amount")
    page.goto("/learn/experiments/eclipse")
    expect(page.locator(".lab-picture svg")).to_be_visible()


def test_attacks_fit_and_can_be_read(new_page: NewPage, node: RunningNode) -> None:
    page = new_page(*WIDE, base_url=node.url)
    page.goto("/learn/attacks")
    page.locator("#spend-twice summary").click()
    check_axe(page)
    check_fits(page)


def test_an_experiment_that_there_is_none_of_is_a_404(new_page: NewPage, node: RunningNode) -> None:
    new_page.expect("404")
    page = new_page(base_url=node.url)
    answer = page.goto("/learn/experiments/nonsense")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_text("/learn/experiments lists them")).to_be_visible()
