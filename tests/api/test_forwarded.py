"""Who calls, where a proxy stands between: whom a node believes, and what a stranger gets by inventing."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from moneyer.node.api.http.doorkeeper import Doorkeeper
from moneyer.node.api.http.forwarded import Callers, address_in
from moneyer.node.config import Config
from moneyer.node.server import NodeRefused, check_config
from moneyer.node.system.network import proxy_network
from moneyer.node.system.shares import EVENT_STREAMS, Bound
from tests.api.test_idle_clients import linux
from tests.kit.commands import moneyer
from tests.kit.running import Answer, RunningNode, own_node
from tests.kit.waiting import wait_until

OUTER, INNER, STRANGER = "127.0.0.8", "127.0.0.9", "127.0.0.66"
ALICE, MALLORY = "203.0.113.5", "198.51.100.7"


def caller(
    listed: str | None, hop: str = "10.0.0.2", proxies: tuple[str, ...] = ("10.0.0.0/24", "2001:db8:1::/64")
) -> str:
    environ = {"REMOTE_ADDR": hop} | ({} if listed is None else {"HTTP_X_FORWARDED_FOR": listed})
    found, connected = Callers(proxies).of(environ)
    assert connected == hop
    return found


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        (None, "10.0.0.2"),
        ("", "10.0.0.2"),
        ("203.0.113.5", "203.0.113.5"),
        ("198.51.100.7, 203.0.113.5", "203.0.113.5"),
        ("198.51.100.7,203.0.113.5,10.0.0.3", "203.0.113.5"),
        ("203.0.113.5, 10.0.0.3 , 10.0.0.4", "203.0.113.5"),
        ("203.0.113.5:41000", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("[::ffff:203.0.113.5]:41000", "203.0.113.5"),
        ("2001:db8:7::1", "2001:db8:7::1"),
        ("[2001:DB8:7::1]", "2001:db8:7::1"),
        ("[2001:db8:7::1]:41000", "2001:db8:7::1"),
        ("2001:db8:7::1, 2001:db8:1::9", "2001:db8:7::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("203.0.113.5, ::ffff:10.0.0.3", "203.0.113.5"),
        ("10.0.0.4, 10.0.0.3", "10.0.0.4"),
    ],
)
def test_the_first_address_from_the_right_that_is_no_proxys_is_the_callers(listed: str | None, found: str) -> None:
    assert caller(listed) == found


@pytest.mark.parametrize(
    "entry",
    [
        *(
            "unknown",
            "_hidden",
            "coin.example.org",
            "203.0.113",
            "203.0.113.5:",
            "203.0.113.5:http",
            "203.0.113.5:123456",
        ),
        *(
            "[203.0.113.5]",
            "[2001:db8::1",
            "2001:db8::1]",
            "[2001:db8::1]x",
            "[]",
            ":",
            "203.0.113.005",
            "203.0.113.5 x",
        ),
        *("٢٠٣.0.113.5", "203.0.113.5\x00", "for=203.0.113.5", "%", "1" * 999),
    ],
)
def test_an_entry_that_is_no_address_ends_the_list(entry: str) -> None:
    assert address_in(entry) is None
    assert caller(f"198.51.100.7, {entry}") == "10.0.0.2"
    assert caller(f"198.51.100.7, {entry}, 10.0.0.3") == "10.0.0.3"
    assert caller(f"{entry}, 203.0.113.5") == "203.0.113.5"


def test_a_connection_from_elsewhere_is_its_own_caller() -> None:
    assert caller("203.0.113.5", hop="10.0.1.2") == "10.0.1.2"
    assert caller("203.0.113.5", hop="2001:db8:1:1::9") == "2001:db8:1:1::9"
    assert caller("203.0.113.5", proxies=()) == "10.0.0.2"
    assert caller("203.0.113.5", hop="::ffff:10.0.0.2") == "203.0.113.5"
    assert caller("203.0.113.5", hop="") == ""


def test_of_a_long_list_only_the_end_is_read() -> None:
    assert caller("6.6.6.6," * 100_000 + "203.0.113.5") == "203.0.113.5"
    assert caller("6" * 100_000 + ", 203.0.113.5, 10.0.0.3") == "203.0.113.5"
    # 192.0.2.111 is cut to what would be another address: it is not looked at.
    assert caller("192.0.2.111" + "," + " " * 990 + "10.0.0.3") == "10.0.0.3"
    assert caller(", ".join(["203.0.113.5", *["10.0.0.3"] * 10])) == "10.0.0.3"
    assert caller(", ".join(["203.0.113.5", *["10.0.0.3"] * 9])) == "203.0.113.5"


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.2", "10.0.0.2/32"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("::1", "::1/128"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:10.0.0.2", "10.0.0.2/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ],
)
def test_a_proxy_is_an_address_or_a_network(text: str, network: str) -> None:
    assert str(proxy_network(text)) == network


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("balancer", "no IP address"),
        ("", "no IP address"),
        ("10.0.0.2:80", "no IP address"),
        ("10.0.0.2/33", "no IP address"),
        ("10.0.0.2/24", r"give 10\.0\.0\.2, or 10\.0\.0\.0/24"),
        ("0.0.0.0/0", "strangers"),
        ("128.0.0.0/1", "strangers"),
        ("::/0", "strangers"),
        ("::ffff:0:0/96", "strangers"),
        ("2000::/3", "strangers"),
    ],
)
def test_what_is_no_proxy_is_refused_with_a_sentence(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(NodeRefused, match=f"^--trusted-proxy: .*{why}"):
        check_config(Config(tmp_path, trusted_proxies=("10.0.0.2", text)))
    with pytest.raises(ValueError, match=why):
        Callers((text,))


def test_a_development_network_has_no_proxy(tmp_path: Path) -> None:
    with pytest.raises(NodeRefused, match="development"):
        check_config(Config(tmp_path, development=True, trusted_proxies=("10.0.0.2",)))


def test_the_command_refuses_before_it_makes_a_folder(tmp_path: Path) -> None:
    for more, why in ((("--trusted-proxy", "0.0.0.0/0"), "strangers"), (("--dev", "--trusted-proxy", "::1"), "--dev")):
        done = moneyer("node", "--data", str(tmp_path / "coin"), *more)
        assert done.returncode == 2
        assert why in done.stderr
        assert not (tmp_path / "coin").exists()


def test_the_connections_of_a_proxy_are_no_share_of_an_address() -> None:
    keeper = Doorkeeper(1, Bound("connections", "a test's", total=24, each=16), Callers(("10.0.0.2",)).is_proxy)
    assert keeper.allowed(Counter({"a": 16, "b": 8}), 0) == 16
    assert keeper.allowed(Counter({"a": 16}), 12) == 8
    assert keeper.allowed(Counter({"a": 16}), 1_000) == 1


@linux
def test_a_proxy_keeps_its_connections_where_a_stranger_does_not(tmp_path: Path) -> None:
    """A small table on a listener of the test's own."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        port = listener.getsockname()[1]
        keeper = Doorkeeper(port, Bound("connections", "a test's", total=40, each=4), Callers((INNER,)).is_proxy)

        def connections(source: str) -> list[socket.socket]:
            made = []
            for _ in range(9):
                made.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), 30, (source, 0))))
                stack.enter_context(listener.accept()[0])
            return made

        proxys, strangers = connections(INNER), connections(STRANGER)
        keeper.look()
        assert keeper.sent_away == 5
        wait_until(lambda: sum(map(_is_ended, strangers)) == 5, 10, "the ends to arrive")
        assert not any(_is_ended(each) for each in proxys)


def _is_ended(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node behind two proxies, which the tests play."""
    with own_node(
        tmp_path_factory.mktemp("behind") / "node", trusted_proxies=(OUTER, INNER), log_level="debug"
    ) as node:
        yield node


def passed_on(
    node: RunningNode, listed: str, path: str = "/p2p/block", body: bytes = b"no block", hop: str = INNER
) -> Answer:
    headers = {"X-Forwarded-For": listed, "Content-Type": "application/octet-stream"}
    return node.call("POST", path, body, headers, source=hop)


def test_a_ban_falls_on_the_caller_and_not_on_the_proxy(behind: RunningNode) -> None:
    for _ in range(2):
        assert passed_on(behind, MALLORY).code != "banned"
    assert passed_on(behind, MALLORY).code == "banned"
    assert passed_on(behind, f"{ALICE}, {MALLORY}, {OUTER}").code == "banned"
    assert passed_on(behind, f"{MALLORY}, {ALICE}").code != "banned"
    assert passed_on(behind, f"{MALLORY}, unknown").code != "banned"
    assert behind.call("POST", "/p2p/block", b"no block", source=INNER).code != "banned"
    assert passed_on(behind, MALLORY, hop=STRANGER).code != "banned"


def test_the_log_says_who_called(behind: RunningNode) -> None:
    passed_on(behind, f"192.0.2.44, {OUTER}", "/no/such/path")
    passed_on(behind, "192.0.2.44", "/no/such/path", hop=STRANGER)
    logged = r"POST /no/such/path 404, [0-9.]+ ms, for (\S+)$"
    wait_until(lambda: re.findall(logged, behind.log, re.MULTILINE) == ["192.0.2.44", STRANGER], 10, "two lines")


def test_a_stranger_bans_nobody_else(behind: RunningNode) -> None:
    for _ in range(3):
        passed_on(behind, "203.0.113.77", hop=STRANGER)
    assert passed_on(behind, "203.0.113.77").code != "banned"
    assert f"X-Forwarded-For from {STRANGER} is not believed" in behind.log


def test_callers_behind_one_proxy_have_a_share_each(behind: RunningNode) -> None:
    """All places of one for events are taken: another gets one through the same proxy."""
    with ExitStack() as stack:

        def listen(who: str) -> bytes:
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", behind.port), 30, (INNER, 0)))
            sock.sendall(f"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {who}\r\n\r\n".encode())
            return sock.recv(12)

        for _ in range(EVENT_STREAMS.each):
            assert listen(MALLORY) == b"HTTP/1.1 200"
        assert listen(MALLORY) == b"HTTP/1.1 503"
        assert listen(ALICE) == b"HTTP/1.1 200"
    wait_until(lambda: passed_on(behind, MALLORY, "/v1/status").status != 503, 20, "places to be free again")


def test_a_peer_names_the_address_that_its_proxy_tells_of(behind: RunningNode) -> None:
    hello = behind.get("/p2p/hello").json

    def body(host: str) -> dict[str, str]:
        return {"url": f"http://{host}:5001", "chain_id": hello["chain_id"], "node_id": "0" * 32}

    headers = {"X-Forwarded-For": ALICE}
    named = behind.call("POST", "/p2p/connect", body(MALLORY), headers, source=INNER)
    assert named.json["error"]["details"]["expected"] == ALICE
    named = behind.call("POST", "/p2p/connect", body(ALICE), headers, source=STRANGER)
    assert named.json["error"]["details"]["expected"] == STRANGER
