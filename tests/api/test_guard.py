"""Who may do what: Host, other sites, prefetches, the token."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from moneyer.node.api.http.guard import answers_to
from moneyer.node.system.api_token import ensure_token
from moneyer.node.system.network import is_loopback
from tests.kit.running import RunningNode, running

CHANGING = [
    ("GET", "/mine_block"),
    ("POST", "/mine_block"),
    ("GET", "/replace_chain"),
    ("POST", "/replace_chain"),
    ("POST", "/add_transaction"),
    ("POST", "/connect_node"),
    ("POST", "/v1/mine"),
    ("POST", "/v1/mining"),
    ("POST", "/v1/mining/submit"),
    ("POST", "/v1/peers"),
    ("POST", "/v1/sessions"),
    ("DELETE", "/v1/peers/127.0.0.1:5002"),
]
OPEN_CHANGING = [
    ("POST", "/v1/transactions"),
    ("POST", "/v1/session"),
    ("DELETE", "/v1/session"),
    ("POST", "/p2p/block"),
    ("POST", "/p2p/transactions"),
    ("POST", "/p2p/connect"),
]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
        "a b",
        "localhost:x",
        "localhost,evil",
        "[::1",
        "user@localhost",
    ],
)
def test_a_foreign_host_is_refused(node: RunningNode, host: str) -> None:
    for path in ("/v1/status", "/mine_block", "/nope", "/docs"):
        answer = node.get(path, {"Host": host})
        assert (answer.status, answer.code) == (403, "bad_host")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:5001", "node.localhost", "127.0.0.1:1", "[::1]:5001", "192.168.1.20", "localhost."]
)
def test_loopback_names_and_ip_literals_are_this_node(node: RunningNode, host: str) -> None:
    assert node.get("/v1/status", {"Host": host}).status == 200


def test_a_name_that_was_allowed_is_this_node_too(guarded: RunningNode) -> None:
    assert guarded.get("/v1/status", {"Host": "coins.example:5001"}).status == 200
    assert guarded.get("/v1/status", {"Host": "other.example"}).status == 403
    assert answers_to("Coins.Example", ("coins.EXAMPLE",))


FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "https://127.0.0.1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Purpose": "prefetch"},
    {"Sec-Purpose": "prefetch;prerender"},
    {"Purpose": "prefetch"},
    {"X-Moz": "prefetch"},
]


@pytest.mark.parametrize(("method", "path"), CHANGING + OPEN_CHANGING)
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_another_site_changes_nothing(node: RunningNode, method: str, path: str, headers: dict[str, str]) -> None:
    before = node.state()
    answer = node.call(method, path, None, headers)
    assert (answer.status, answer.code) == (403, "cross_site")
    assert node.state() == before


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_another_site_starts_no_check_of_the_chain(node: RunningNode, headers: dict[str, str]) -> None:
    for method in ("GET", "HEAD"):
        assert node.call(method, "/is_valid", None, headers).status == 403


@pytest.mark.parametrize("host", ["[::ffff:7f00:1]", "0.0.0.0", "192.168.1.20"])
def test_an_address_that_browsers_do_not_mark_changes_nothing_by_a_plain_get(node: RunningNode, host: str) -> None:
    """They mark requests to trustworthy addresses only (https://www.w3.org/TR/fetch-metadata/)."""
    named = {"Host": f"{host}:{node.port}"}
    for page in ("/replace_chain", "/mine_block"):
        answer = node.get(page, named)
        assert (answer.status, answer.code) == (403, "cross_site")
    assert node.get("/v1/status", named).status == 200
    assert node.get("/replace_chain", {**named, **node.bearer}).status == 200
    for own in ("127.0.0.1", "localhost", "[::1]"):
        assert node.get("/replace_chain", {"Host": f"{own}:{node.port}"}).status == 200


def test_the_nodes_own_page_may_change_things(node: RunningNode) -> None:
    own = {"Origin": node.url, "Sec-Fetch-Site": "same-origin", "Host": f"127.0.0.1:{node.port}"}
    assert node.post("/replace_chain", None, own).status == 200
    assert node.get("/replace_chain", {"Sec-Fetch-Site": "none"}).status == 200


def test_another_site_may_be_led_here_to_read(node: RunningNode) -> None:
    answer = node.get("/v1/status", {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"})
    assert answer.status == 200
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_without_the_token_nothing_is_spent_mined_or_connected(guarded: RunningNode, method: str, path: str) -> None:
    before = guarded.state()
    right = guarded.token
    wrong = [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Basic {right}",
        f"Bearer {right}x",
        f"Bearer {right[:-1]}",
        right,
        "Bearer \xe9",
    ]
    for header in wrong:
        answer = guarded.call(method, path, None, {"Authorization": header} if header else {})
        assert (answer.status, answer.code) == (401, "unauthorized"), header
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert right not in answer.body.decode()
    assert guarded.state() == before


@pytest.mark.parametrize("path", ["/%6dine_block", "/v1%2fmine", "/v1/%6dining", "/replace%5fchain"])
def test_the_token_is_wanted_by_whatever_spelling_a_call_is_named(guarded: RunningNode, path: str) -> None:
    answer = guarded.post(path, {})
    assert (answer.status, answer.code) == (401, "unauthorized")


def test_with_the_token_it_goes_on(guarded: RunningNode) -> None:
    assert guarded.post("/replace_chain", None, guarded.bearer).status == 200
    assert guarded.post("/add_transaction", {}, guarded.bearer).code == "missing_fields"
    assert guarded.call("DELETE", "/v1/peers/127.0.0.1:1", None, guarded.bearer).status == 404


@pytest.mark.parametrize(("method", "path"), OPEN_CHANGING)
def test_a_signed_transfer_and_p2p_need_no_token(guarded: RunningNode, method: str, path: str) -> None:
    own = {"Sec-Fetch-Site": "same-origin"}
    assert guarded.call(method, path, headers=own).status == (200 if method == "DELETE" else 400)


def test_reading_needs_no_token(guarded: RunningNode) -> None:
    for path in (
        "/v1/status",
        "/get_chain",
        "/is_valid",
        "/v1/peers",
        "/p2p/hello",
        "/v1/coin",
        "/docs",
        "/openapi.json",
    ):
        assert guarded.get(path).status == 200


def test_the_token_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with running(tmp_path / "node", development=False) as node:
            assert stat.S_IMODE(node.config.token_file.stat().st_mode) == 0o600
            assert len(node.token) >= 32
            assert node.token not in node.log
    finally:
        os.umask(before)


def test_the_token_stays_and_a_damaged_one_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "api.token"
    first = ensure_token(path)
    path.chmod(0o644)
    assert ensure_token(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("short")
    second = ensure_token(path)
    assert second not in (first, "short")
    assert ensure_token(path) == second
    assert [each.name for each in tmp_path.iterdir()] == ["api.token"]


def test_loopback_is_this_machine_only() -> None:
    loopback = ("127.0.0.1", "::1", "localhost", "127.9.9.9", "::ffff:127.0.0.1")
    assert [is_loopback(host) for host in loopback] == [True] * 5
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "192.168.1.2", "example.org")] == [False] * 4
