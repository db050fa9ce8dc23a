"""A port that some program holds is seen before a network is started on it."""

from __future__ import annotations

import socket

from moneyer.node.devnet.addresses import is_free, taken
from tests.kit.system.ports import free_port


def listener(*, share: bool) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
    if share:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    server.bind(("127.0.0.1", free_port()))  # one of the system's own might be a client's a moment later
    server.listen()
    return server


def test_a_port_that_is_listened_on_is_taken_also_by_a_server_that_would_share_it() -> None:
    for share in (False, True):
        with listener(share=share) as server:
            port = server.getsockname()[1]
            assert not is_free(port)
            assert taken([port]) == [port]


def test_a_port_is_free_again_once_its_connections_have_closed() -> None:
    with listener(share=False) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()  # the side that closes first keeps the port in TIME_WAIT
        client.close()
    assert is_free(port)
