"""`/docs` in a browser: every call is there to be read and to be tried, with the token where one is needed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.kit.browser import NARROW, WIDE, NewPage, check_axe, check_fits
from tests.kit.running import RunningNode, running


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A development node: it wants no token."""
    with running(tmp_path_factory.mktemp("docs") / "node") as started:
        yield started


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node that wants its token."""
    with running(tmp_path_factory.mktemp("docs") / "guarded", development=False) as started:
        yield started


def calls_of(node: RunningNode) -> set[tuple[str, str, str]]:
    """Method, path and summary of every call, as the node's OpenAPI document has them."""
    paths: dict[str, dict[str, dict[str, str]]] = node.get("/openapi.json").json["paths"]
    return {
        (method.upper(), path, about["summary"]) for path, methods in paths.items() for method, about in methods.items()
    }


def opened(page: Page, node: RunningNode) -> Page:
    page.goto(f"{node.url}/docs")
    expect(page.locator("#swagger .opblock").first).to_be_visible()
    return page


def unfolded(page: Page, method: str, path: str) -> Locator:
    """A call, with its parts shown."""
    call = page.locator(f".opblock-{method.lower()}", has=page.locator(f".opblock-summary-path[data-path='{path}']"))
    call.locator(".opblock-summary-control").click()
    expect(call.locator(".responses-wrapper")).to_be_visible()
    return call


def tried(call: Locator) -> Locator:
    """Sends a call as it stands; what the node has answered."""
    call.get_by_role("button", name="Try it out").click()
    call.get_by_role("button", name="Execute").click()
    answer = call.locator(".live-responses-table .response").first
    expect(answer).to_be_visible()
    return answer


def test_every_call_is_listed(node: RunningNode, new_page: NewPage) -> None:
    page = opened(new_page(), node)
    paths = page.locator("#swagger .opblock-summary-path").evaluate_all("all => all.map(each => each.dataset.path)")
    methods = page.locator("#swagger .opblock-summary-method").all_text_contents()
    shown = set(zip(methods, paths, strict=True))
    assert shown == {(method, path) for method, path, _ in calls_of(node)}
    expect(page.locator("#calls")).to_have_count(0)


def test_a_call_that_is_tried_is_answered_by_this_node(node: RunningNode, new_page: NewPage) -> None:
    page = opened(new_page(), node)
    answer = tried(unfolded(page, "GET", "/v1/status"))
    expect(answer.locator(".response-col_status")).to_contain_text("200")
    expect(answer).to_contain_text(node.get("/v1/status").json["tip"])


def test_a_development_network_takes_a_call_that_mines_without_a_token(node: RunningNode, new_page: NewPage) -> None:
    page = opened(new_page(), node)
    expect(page.get_by_role("button", name="Authorize")).to_have_count(0)
    answer = tried(unfolded(page, "POST", "/v1/mine"))
    expect(answer.locator(".response-col_status")).to_contain_text("202")


def test_elsewhere_a_call_that_mines_is_taken_with_the_token_alone(guarded: RunningNode, new_page: NewPage) -> None:
    new_page.expect("status of 401")  # the browser logs it
    new_page.expect("escaping deep link whitespace")  # Swagger UI: a call's address is loaded, and has an underscore
    page = opened(new_page(), guarded)
    call = unfolded(page, "POST", "/v1/mine")
    expect(tried(call).locator(".response-col_status")).to_contain_text("401")

    page.locator(".btn.authorize").click()
    dialog = page.locator(".modal-ux")
    check_axe(page)
    dialog.locator("input").fill(guarded.token)
    dialog.locator("button[type=submit]").click()
    dialog.locator(".btn-done").click()
    call.get_by_role("button", name="Execute").click()
    expect(call.locator(".live-responses-table .response .response-col_status").first).to_contain_text("202")

    page.reload()
    expect(page.locator(".btn.authorize.unlocked")).to_be_visible()
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert guarded.token not in kept


def test_a_stream_is_not_tried_since_it_never_ends(node: RunningNode, new_page: NewPage) -> None:
    call = unfolded(opened(new_page(), node), "GET", "/v1/events")
    expect(call.get_by_role("button", name="Try it out")).to_have_count(0)


@pytest.mark.parametrize(("size", "dark"), [(WIDE, False), (NARROW, True)], ids=["wide and light", "narrow and dark"])
def test_the_page_is_for_everyone(node: RunningNode, new_page: NewPage, size: tuple[int, int], dark: bool) -> None:
    page = opened(new_page(*size, dark=dark), node)
    unfolded(page, "GET", "/v1/blocks/{block}")
    answered = tried(unfolded(page, "POST", "/v1/mine"))
    expect(answered.locator(".response-col_status")).to_contain_text("202")
    check_axe(page)
    check_fits(page)


def test_the_switch_changes_the_colours_of_the_calls_too(node: RunningNode, new_page: NewPage) -> None:
    page = opened(new_page(), node)
    colour = "getComputedStyle(document.querySelector('#swagger .opblock')).backgroundColor"
    light = page.evaluate(colour)
    page.locator("#theme").click()
    assert page.evaluate(colour) != light


def test_without_javascript_the_calls_can_be_read(node: RunningNode, new_page: NewPage) -> None:
    page = new_page(javascript=False)
    page.goto(f"{node.url}/docs")
    calls = page.locator("#calls tr")
    shown = calls.all_text_contents()
    for method, path, summary in calls_of(node):
        if path != "/openapi.json":
            assert any(f"{method} {path}" in row and summary in row for row in shown), path
    expect(calls.filter(has_text="GET /v1/blocks").filter(has_text="before").first).to_be_visible()


def test_where_the_widget_does_not_load_the_calls_can_be_read(node: RunningNode, new_page: NewPage) -> None:
    new_page.expect("ERR_FAILED")
    page = new_page()
    page.route("**/swagger-ui-bundle.js", lambda route: route.abort())
    page.goto(f"{node.url}/docs")
    expect(page.locator("#calls")).to_be_visible()
    check_axe(page)
