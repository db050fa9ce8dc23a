from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from moneyer.node.p2p.peer import urls
from moneyer.node.p2p.peer.errors import BadUrl, PeerUnreachable
from moneyer.node.p2p.peer.urls import parse_peer_url


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("http://127.0.0.1:5002", "http://127.0.0.1:5002"),
        ("http://127.0.0.1:5002/", "http://127.0.0.1:5002"),
        ("127.0.0.1:5002", "http://127.0.0.1:5002"),
        ("127.0.0.1:5002/", "http://127.0.0.1:5002"),
        ("LocalHost:5002", "http://localhost:5002"),
        ("[::1]:5002", "http://[::1]:5002"),
        ("HTTP://LocalHost:5002", "http://localhost:5002"),
        ("http://192.168.1.20:5001", "http://192.168.1.20:5001"),
        ("http://node.example.org", "http://node.example.org:80"),
        ("node.example.org", "http://node.example.org:5001"),
        ("[::1]", "http://[::1]:5001"),
        ("http://[::1]:5001", "http://[::1]:5001"),
        ("http://[2001:DB8:0:0::1]:5001", "http://[2001:db8::1]:5001"),
    ],
)
def test_a_peer_url_has_one_spelling(text: str, canonical: str) -> None:
    assert parse_peer_url(text).url == canonical
    assert parse_peer_url(canonical).url == canonical


def test_a_peer_is_named_by_host_and_port() -> None:
    assert parse_peer_url("127.0.0.1:5002").host_port == "127.0.0.1:5002"
    assert parse_peer_url("[::1]:5002").host_port == "[::1]:5002"
    assert parse_peer_url("http://127.0.0.1:5002").url == "http://127.0.0.1:5002"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mailto:SECRET",
        "SECRET@127.0.0.1:5002",
        "127.0.0.1:5002/SECRET",
        "127.0.0.1:",
        ":5002",
        "file:///etc/passwd",
        "https://127.0.0.1:5002",
        "ftp://127.0.0.1",
        "gopher://127.0.0.1:70/_x",
        "http://",
        "http://:5002",
        "http://name:SECRET@127.0.0.1:5002",
        "http://SECRET@127.0.0.1:5002",
        "http://127.0.0.1:5002@evil.example:80",
        "http://127.0.0.1:5002/SECRET",
        "http://127.0.0.1:5002?SECRET",
        "http://127.0.0.1:5002#SECRET",
        "http://127.0.0.1:5002\\SECRET",
        "http://127.0.0.1:0",
        "http://127.0.0.1:65536",
        "http://127.0.0.1:",
        "http://127.0.0.1:-1",
        "http://127.0.0.1:abc",
        "http://127.0.0.1:5002 SECRET",
        "http://127.0.0.1:50\r\n02",
        "http://127.0.0.1:5\x0002",
        "http://exämple.org",
        "http://-bad.example",
        "http://bad..example",
        "http://127.0.0.1.:5002",
        "http://127.1:5002",
        "http://2130706433:5002",
        "http://0x7f.1:5002",
        "http://0177.0.0.1:5002",
        "http://[::1",
        "http://[fe80::1%25eth0]:5001",
        "http://[127.0.0.1.5]:5001",
        "http://" + "a" * 300,
        "http://" + ".".join(["a" * 60] * 5),
    ],
)
def test_what_is_no_peer_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(BadUrl) as refused:
        parse_peer_url(text)
    assert "SECRET" not in str(refused.value)
    assert refused.value.code == "bad_url"


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.1.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::2]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[fd00:ec2::254]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
    ],
)
def test_an_address_that_no_peer_has_is_refused(host: str) -> None:
    with pytest.raises(BadUrl):
        parse_peer_url(f"http://{host}:80")


def test_a_name_that_leads_to_a_forbidden_address_is_never_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolver(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("127.0.0.1", "169.254.169.254")]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    with pytest.raises(BadUrl):
        urls.connect("rebind.example", 80, time.monotonic() + 5)


def test_a_closed_port_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(PeerUnreachable):
            urls.connect("127.0.0.1", port, time.monotonic() + 5)
        with pytest.raises(PeerUnreachable):
            urls.connect("localhost", port, time.monotonic() + 5)
