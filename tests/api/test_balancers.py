"""Nodes behind nginx and HAProxy, set up as `docs/scale.md` shows it: who a caller is, and what gets through."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.api.parts.sessions import TRIES
from moneyer.node.system.shares import EVENT_STREAMS
from tests.kit.callers.crowds import Caller, places, request
from tests.kit.callers.events import listening
from tests.kit.net.balancers import MAKERS, NAME, Balancer, haproxy, nginx
from tests.kit.running import Answer, RunningNode, own_node
from tests.kit.waiting import wait_until

Nodes = tuple[RunningNode, RunningNode]
TOLD: dict[str, Any] = {"trusted_proxies": ("127.0.0.1",), "allow_hosts": (NAME,)}
OWN_PAGE = (("Origin", f"http://{NAME}"), ("Sec-Fetch-Site", "same-origin"), ("Content-Type", "application/json"))


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Two nodes that trust the machine's balancers; the second has one block more, by which a caller knows it."""
    folder = tmp_path_factory.mktemp("nodes")
    with own_node(folder / "one", **TOLD) as one, own_node(folder / "two", **TOLD) as two:
        two.extend()
        yield one, two


@pytest.fixture(scope="module", params=MAKERS)
def balancer(
    request: pytest.FixtureRequest, nodes: Nodes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Balancer]:
    folder = tmp_path_factory.mktemp("balancer") / "it"
    with MAKERS[request.param](folder, [node.port for node in nodes]) as started:
        yield started


@pytest.fixture(scope="module")
def callers(balancer: Balancer) -> Iterator[str]:
    """Addresses that no other test calls from: none of them has a past."""
    return (f"127.{balancer.port % 250 + 2}.0.{last}" for last in range(1, 255))


def try_code(balancer: Balancer, source: str, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """A wrong code, of which an address may try few."""
    return balancer.call("POST", "/v1/session", b'{"code": "wrong"}', [*OWN_PAGE, *headers], source)


def node_of(nodes: Sequence[RunningNode], balancer: Balancer, source: str) -> int:
    """Which node answers an address: their heights differ."""
    height = balancer.call("GET", "/v1/status", source=source).json["height"]
    return [node.height for node in nodes].index(height)


def test_a_limit_falls_on_one_caller_whatever_it_says_of_itself(
    nodes: Nodes, balancer: Balancer, callers: Iterator[str]
) -> None:
    mallory = next(callers)
    alice = next(each for each in callers if node_of(nodes, balancer, each) == node_of(nodes, balancer, mallory))
    for _ in range(TRIES):
        assert try_code(balancer, mallory).code == "bad_code"
    lies: list[list[tuple[str, str]]] = [
        [],
        [("X-Forwarded-For", alice)],
        [("X-Forwarded-For", f"{alice}, 127.0.0.1")],
        [("X-Forwarded-For", alice), ("X-Forwarded-For", alice)],
        [("X-Forwarded-For", "6.6.6.6, " * 200)],
        [("X-Forwarded-For", f"{alice}, unknown")],
        [("X_Forwarded_For", alice)],
        [("X_Forwarded_For", alice), ("X-Forwarded-For", alice)],
        [("X-Forwarded-For", alice), ("X-Forwarded_For", alice), ("X_Forwarded-For", alice)],
        [("Connection", "close, X-Forwarded-For"), ("X-Forwarded-For", alice)],
        [("Forwarded", f"for={alice}"), ("X-Real-IP", alice), ("X-Client-IP", alice)],
    ]
    for headers in lies:
        answer = try_code(balancer, mallory, headers)
        assert answer.status == 503, headers
        assert f"came from {mallory}:" in answer.json["error"]["message"], headers
    assert try_code(balancer, alice).code == "bad_code"


def test_who_calls_past_the_balancer_is_believed_nothing(nodes: Nodes, balancer: Balancer) -> None:
    del balancer  # one stands beside
    direct = Balancer(nodes[0].port)
    for count in range(TRIES + 1):
        answer = try_code(direct, "127.0.0.77", [("X-Forwarded-For", f"192.0.2.{count}")])
    assert "came from 127.0.0.77:" in answer.json["error"]["message"]


def test_a_caller_stays_at_one_node_and_callers_are_spread(
    nodes: Nodes, balancer: Balancer, callers: Iterator[str]
) -> None:
    sources = [next(callers) for _ in range(24)]
    first = [node_of(nodes, balancer, each) for each in sources]
    assert set(first) == {0, 1}
    assert [node_of(nodes, balancer, each) for each in sources] == first


def test_a_browser_signs_in_through_it(nodes: Nodes, balancer: Balancer, callers: Iterator[str]) -> None:
    source = next(callers)
    node = nodes[node_of(nodes, balancer, source)]

    def sign_in(scheme: str, host: str = NAME) -> Answer:
        code = node.post("/v1/sessions", headers=node.bearer).json["code"]
        headers = [*dict(OWN_PAGE).items(), ("Host", host)]
        headers[0] = ("Origin", f"{scheme}://{NAME}")
        return balancer.call("POST", "/v1/session", json.dumps({"code": code}).encode(), headers, source)

    plain, by_tls = sign_in("http"), sign_in("https")
    assert "Secure" not in plain.headers["set-cookie"]
    assert by_tls.headers["set-cookie"].endswith("; Secure")
    wallet = balancer.call(
        "GET", "/wallet", headers=[("Cookie", by_tls.headers["set-cookie"].split(";")[0])], source=source
    )
    assert b"alice" in wallet.body
    assert sign_in("http", "other.example.org").code == "bad_host"
    assert sign_in("http", "127.0.0.1").code == "cross_site"


def test_events_come_as_they_happen(nodes: Nodes, balancer: Balancer) -> None:
    with listening(balancer.port) as listener:
        for node in nodes:
            node.extend()
        listener.wait_for("block")
        assert listener.headers["content-type"].startswith("text/event-stream")


def test_nginx_is_told_to_pass_events_on(nodes: Nodes) -> None:
    with listening(nodes[0].port) as listener:
        assert listener.headers["x-accel-buffering"] == "no"
    assert "x-accel-buffering" not in nodes[0].get("/v1/blocks").headers


def test_the_largest_body_gets_through(nodes: Nodes, balancer: Balancer, callers: Iterator[str]) -> None:
    """As large as a solved template may be: the node itself says what is wrong with it."""
    source = next(callers)
    token = ("Authorization", nodes[node_of(nodes, balancer, source)].bearer["Authorization"])
    json_type = ("Content-Type", "application/json")
    body = b'{"raw": "' + b"0" * (2 * nodes[0].coin.max_block_bytes) + b'"}'
    answer = balancer.call("POST", "/v1/mining/submit", body, [token, json_type], source)
    assert answer.headers["content-type"] == "application/json"
    assert answer.code == "bad_version"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("balancer", ["nginx", "haproxy"], indirect=True)
def test_who_wants_everything_through_it_keeps_nobody_else_waiting(
    nodes: Nodes, balancer: Balancer, callers: Iterator[str]
) -> None:
    """The slow, those that stay and those that come again at once, all from one address."""
    mallory = next(callers)
    at = node_of(nodes, balancer, mallory)
    alice = next(each for each in callers if node_of(nodes, balancer, each) == at)
    head = b"POST /v1/transactions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    wanted = [
        *[(request("GET", "/v1/events"), True)] * (EVENT_STREAMS.each + 20),
        *[(request("POST", "/v1/transactions", b'{"raw": "', length=60_000), False)] * 40,
        *[(head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n", False)] * 40,
        *[(request("GET", "/v1/blocks?limit=60"), False)] * 60,
    ]
    crowd = [
        Caller(balancer.port, mallory, lambda sent=sent: sent, stays, pause=0.05)  # type: ignore[misc]
        for sent, stays in wanted
    ]
    try:
        wait_until(lambda: places(nodes[at], EVENT_STREAMS).by_one == EVENT_STREAMS.each, 60, "a full share of streams")
        for _ in range(25):
            for path in ("/v1/status", "/healthz", "/v1/blocks", "/v1/peers", "/"):
                answer = balancer.call("GET", path, source=alice)
                assert answer.status == 200, (path, answer.body)
            with balancer.listening(alice) as status:
                assert status == 200
            sent = balancer.call("POST", "/v1/transactions", b'{"raw": "00"}', OWN_PAGE, alice)
            assert sent.code == "malformed", sent.body
    finally:
        for each in crowd:
            each.stop()
        for each in crowd:
            each.join()


@pytest.mark.parametrize("path", ["/p2p/hello", "/%70%32p/hello", "/p2p%2fhello", "/p2p%2Fhello"])
def test_other_nodes_are_not_let_through(balancer: Balancer, path: str) -> None:
    assert balancer.call("GET", path).status == 404
    assert balancer.call("GET", f"http://{NAME}{path}").status == 404


@pytest.mark.parametrize("made", [nginx, haproxy])
def test_a_node_that_ends_is_left_out_and_comes_back(made: Callable[..., Any], tmp_path: Path) -> None:
    with ExitStack() as stack:
        nodes = [stack.enter_context(own_node(tmp_path / f"node{number}", **TOLD)) for number in range(2)]
        balancer = stack.enter_context(made(tmp_path / "it", [node.port for node in nodes]))
        nodes[1].extend()
        sources = [f"127.0.1.{last}" for last in range(1, 20)]

        def answering() -> set[int]:
            return {int(balancer.call("GET", "/v1/status", source=each).json["height"]) for each in sources}

        assert answering() == {0, 1}
        nodes[0].stop()
        wait_until(lambda: all(balancer.call("GET", "/healthz", source=each).status == 200 for each in sources), 30)
        assert answering() == {1}
        nodes[0].start()
        nodes[0].wait_until_it_answers()
        wait_until(lambda: answering() == {0, 1}, 30, "the node to be asked again")
