"""Sessions: one-time codes, cookies, and what ends them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from moneyer.node.api.http.errors import BadCode, TooManyTries
from moneyer.node.api.parts.sessions import CODE_SECONDS, IDLE_SECONDS, TOTAL_SECONDS, TRIES, TRY_SECONDS, Sessions
from moneyer.node.system.api_token import TokenFile, renew_token
from tests.kit.running import Answer, RunningNode, own_node

HERE = "127.0.0.1"


class Clock:
    """Seconds that a test sets."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(tmp_path: Path, clock: Clock) -> Sessions:
    return Sessions(TokenFile(tmp_path / "api.token"), "moneyer-5001-abc", clock)


def test_a_code_holds_for_one_use(sessions: Sessions) -> None:
    code = sessions.new_code()
    assert sessions.is_valid(sessions.begin(code, HERE))
    with pytest.raises(BadCode):
        sessions.begin(code, HERE)


def test_a_code_holds_for_a_minute(sessions: Sessions, clock: Clock) -> None:
    soon, late = sessions.new_code(), sessions.new_code()
    clock.now += CODE_SECONDS
    sessions.begin(soon, HERE)
    clock.now += 0.1
    with pytest.raises(BadCode, match="older than a minute"):
        sessions.begin(late, HERE)


def test_a_session_ends_without_use_and_at_the_latest_after_half_a_day(sessions: Sessions, clock: Clock) -> None:
    idle, busy = (sessions.begin(sessions.new_code(), HERE) for _ in range(2))
    began = clock.now
    clock.now += IDLE_SECONDS - 1
    assert sessions.is_valid(busy)
    clock.now += 2
    assert not sessions.is_valid(idle)
    while clock.now < began + TOTAL_SECONDS:
        assert sessions.is_valid(busy)
        clock.now += IDLE_SECONDS
    clock.now = began + TOTAL_SECONDS + 1
    assert not sessions.is_valid(busy)


def test_a_new_token_ends_sessions_and_codes(sessions: Sessions, tmp_path: Path) -> None:
    secret, code = sessions.begin(sessions.new_code(), HERE), sessions.new_code()
    renew_token(tmp_path / "api.token")
    assert not sessions.is_valid(secret)
    with pytest.raises(BadCode):
        sessions.begin(code, HERE)
    assert sessions.is_valid(sessions.begin(sessions.new_code(), HERE))


def test_wrong_codes_are_bounded_for_each_address(sessions: Sessions, clock: Clock) -> None:
    for _ in range(TRIES):
        with pytest.raises(BadCode):
            sessions.begin("wrong", HERE)
    with pytest.raises(TooManyTries):
        sessions.begin("wrong", HERE)
    with pytest.raises(BadCode):
        sessions.begin("wrong", "127.0.0.2")
    clock.now += TRY_SECONDS + 1
    with pytest.raises(BadCode):
        sessions.begin("wrong", HERE)


def test_wrong_codes_of_others_keep_no_owner_out(sessions: Sessions) -> None:
    code = sessions.new_code()
    for _ in range(2 * TRIES):
        with pytest.raises((BadCode, TooManyTries)):
            sessions.begin("wrong", HERE)
    assert sessions.is_valid(sessions.begin(code, HERE))


def test_what_is_kept_is_bounded(sessions: Sessions) -> None:
    first = sessions.begin(sessions.new_code(), HERE)
    code = sessions.new_code()
    for number in range(2_000):
        sessions.begin(sessions.new_code(), HERE)
        with pytest.raises(BadCode):
            sessions.begin("wrong", f"10.0.{number // 250}.{number % 250}")
    for _ in range(20):
        sessions.new_code()
    assert not sessions.is_valid(first)
    with pytest.raises(BadCode):
        sessions.begin(code, HERE)
    sizes = {name: len(held) for name, held in vars(sessions).items() if hasattr(held, "__len__") and name != "cookie"}
    assert sizes == {"_codes": 16, "_sessions": 64, "_tries": 1_000}


def test_nothing_that_is_kept_is_a_code_or_a_secret(sessions: Sessions) -> None:
    code, other = sessions.new_code(), sessions.new_code()
    secret = sessions.begin(code, HERE)
    held = repr(sessions._codes) + repr(sessions._sessions)
    assert not any(each in held for each in (code, other, secret))


def own_page(node: RunningNode) -> dict[str, str]:
    """The headers by which a browser says that a page of the node asks."""
    return {"Origin": node.url, "Sec-Fetch-Site": "same-origin"}


def new_code(node: RunningNode) -> str:
    answer = node.post("/v1/sessions", headers=node.bearer)
    assert answer.status == 201
    assert answer.json["url"] == f"{node.url}/signin#{answer.json['code']}"
    return str(answer.json["code"])


def sign_in(node: RunningNode) -> dict[str, str]:
    """A session's cookie, as a header."""
    return {"Cookie": cookie_of(node.post("/v1/session", {"code": new_code(node)}, own_page(node)))}


def cookie_of(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Strict"}
    return cookie


def mine(node: RunningNode, headers: dict[str, str]) -> Answer:
    return node.post("/v1/mine", {"blocks": 1}, headers)


def test_a_session_and_a_page_of_the_node_stand_for_the_token(guarded: RunningNode) -> None:
    cookie = sign_in(guarded)
    assert mine(guarded, {**cookie, **own_page(guarded)}).status == 202
    assert mine(guarded, {**cookie, "Origin": guarded.url}).status == 202
    assert mine(guarded, {**cookie, "Sec-Fetch-Site": "same-origin"}).status == 202


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
        {"Referer": "http://127.0.0.1/wallet"},
    ],
    ids=str,
)
def test_a_session_alone_changes_nothing(guarded: RunningNode, headers: dict[str, str]) -> None:
    cookie = sign_in(guarded)
    before = guarded.state()
    answer = mine(guarded, {**cookie, **headers})
    assert (answer.status, answer.code) == (403, "cross_site")
    assert guarded.state() == before


def test_a_session_alone_sends_no_form(guarded: RunningNode) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    cookie = sign_in(guarded)
    for headers, status in (({}, 403), ({"Origin": "null"}, 403), (own_page(guarded), 303)):
        answer = guarded.call("POST", "/wallet/mine", b"blocks=1", {**cookie, **form, **headers})
        assert answer.status == status
    assert guarded.call("POST", "/wallet/mine", b"blocks=1", {**form, **own_page(guarded)}).status == 401


def test_a_code_is_taken_from_a_page_of_the_node_only_and_once(guarded: RunningNode) -> None:
    code = new_code(guarded)
    for headers in ({}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://evil.example"}):
        answer = guarded.post("/v1/session", {"code": code}, headers)
        assert (answer.status, answer.code) == (403, "cross_site")
    cookie_of(guarded.post("/v1/session", {"code": code}, own_page(guarded)))
    answer = guarded.post("/v1/session", {"code": code}, own_page(guarded))
    assert (answer.status, answer.code) == (403, "bad_code")
    assert "set-cookie" not in answer.headers


def test_without_the_token_there_is_no_code(guarded: RunningNode) -> None:
    for headers in ({}, own_page(guarded), {"Authorization": "Bearer wrong"}):
        assert guarded.post("/v1/sessions", headers=headers).status == 401


def test_a_page_that_came_by_tls_gets_a_cookie_for_tls_only(guarded: RunningNode) -> None:
    headers = {"Host": "coins.example", "Origin": "https://coins.example", "Sec-Fetch-Site": "same-origin"}
    answer = guarded.post("/v1/session", {"code": new_code(guarded)}, headers)
    assert "Secure" in answer.headers["set-cookie"].split("; ")


def test_signing_out_ends_the_session(guarded: RunningNode) -> None:
    for sign_out in (("DELETE", "/v1/session"), ("POST", "/signout")):
        cookie = sign_in(guarded)
        answer = guarded.call(*sign_out, headers={**cookie, **own_page(guarded)})
        assert "Max-Age=0" in answer.headers["set-cookie"]
        answer = mine(guarded, {**cookie, **own_page(guarded)})
        assert (answer.status, answer.code) == (401, "session_over")


def test_another_site_signs_nobody_out(guarded: RunningNode) -> None:
    cookie = sign_in(guarded)
    for sign_out in (("DELETE", "/v1/session"), ("POST", "/signout")):
        assert guarded.call(*sign_out, headers={**cookie, "Sec-Fetch-Site": "cross-site"}).status == 403
    assert mine(guarded, {**cookie, **own_page(guarded)}).status == 202


def test_a_second_sign_in_of_a_browser_ends_its_first_session(guarded: RunningNode) -> None:
    first = sign_in(guarded)
    cookie_of(guarded.post("/v1/session", {"code": new_code(guarded)}, {**first, **own_page(guarded)}))
    assert mine(guarded, {**first, **own_page(guarded)}).code == "session_over"


def test_only_the_owner_is_shown_names_and_no_cache_keeps_them(guarded: RunningNode) -> None:
    cookie = sign_in(guarded)
    for _ in range(2):
        stranger, owner = guarded.get("/signin"), guarded.get("/signin", cookie)
        assert b"Sign out" not in stranger.body
        assert b"Sign out" in owner.body
        assert stranger.headers["cache-control"] == "no-cache"
        assert owner.headers["cache-control"] == "private, no-cache"
        assert stranger.headers["etag"] != owner.headers["etag"]
        again = guarded.get("/signin", {"If-None-Match": owner.headers["etag"]})
        assert again.status == 200


def test_a_session_ends_with_the_token_and_with_the_node(tmp_path: Path) -> None:
    with own_node(tmp_path / "node", log_level="debug") as node:
        cookie, code = sign_in(node), new_code(node)
        renew_token(node.config.token_file)
        assert mine(node, {**cookie, **own_page(node)}).code == "session_over"
        assert node.post("/v1/session", {"code": code}, own_page(node)).code == "bad_code"
        cookie, code = sign_in(node), new_code(node)
        assert mine(node, {**cookie, **own_page(node)}).status == 202
        node.stop()
        node.start()
        node.wait_until_it_answers()
        assert mine(node, {**cookie, **own_page(node)}).code == "session_over"
        assert node.post("/v1/session", {"code": code}, own_page(node)).code == "bad_code"
        assert re.search(r"POST /v1/session 200", node.log)
        assert not any(secret in node.log for secret in (code, cookie["Cookie"].partition("=")[2], node.token))


def test_nodes_of_one_host_have_cookies_of_their_own(tmp_path: Path, guarded: RunningNode) -> None:
    with own_node(tmp_path / "node") as other:
        both = {"Cookie": f"{sign_in(guarded)['Cookie']}; {sign_in(other)['Cookie']}"}
        assert mine(guarded, {**both, **own_page(guarded)}).status == 202
        assert mine(other, {**both, **own_page(other)}).status == 202


def test_a_cookie_of_the_same_name_from_another_server_of_the_host_hides_no_session(guarded: RunningNode) -> None:
    cookie = sign_in(guarded)["Cookie"]
    name = cookie.partition("=")[0]
    for both in (f"{name}=junk; {cookie}", f"{cookie}; {name}=junk", f"{name}=; {name}=a; {cookie}"):
        assert mine(guarded, {"Cookie": both, **own_page(guarded)}).status == 202
    answer = guarded.post("/signout", headers={"Cookie": f"{name}=junk; {cookie}", **own_page(guarded)})
    assert answer.status == 303
    assert mine(guarded, {"Cookie": cookie, **own_page(guarded)}).code == "session_over"


def test_on_an_open_development_network_there_is_nothing_to_sign_in_to(node: RunningNode) -> None:
    assert node.post("/v1/sessions").json == {"code": None, "expires_in": None, "url": f"{node.url}/"}
