"""What miners and strangers may send: the protocol's own error, and the server goes on."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from moneyer.worker.stratum.start import StratumRefused, node_is_up
from moneyer.worker.stratum.stratum_server import StratumConfig
from tests.kit.chains import easy_coin, key
from tests.kit.mining.miners import Miner
from tests.kit.mining.stratum import Stratum, serving
from tests.kit.mining.workers import HOPELESS
from tests.kit.waiting import wait_until

EASY_SHARES = ("--difficulty", "0.000001")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stratum]:
    """One for all: none of what is sent here may do it any harm."""
    folder = tmp_path_factory.mktemp("stratum") / "node"
    with serving(folder, easy_coin(pow_limit=HOPELESS), *EASY_SHARES) as (_, started):
        yield started


def works(miner: Miner) -> bool:
    """Whether the connection still gets answers."""
    return miner.call("mining.ping", []) is True


def closed(miner: Miner) -> bool:
    """Read on: whether the server has ended the connection."""
    try:
        miner.answer()
    except (EOFError, ConnectionError):
        return True
    return False


def cut_off(miner: Miner, sent: bytes) -> bool:
    """Send on and read nothing: whether the server ends the connection."""
    try:
        for _ in range(3000):
            miner.send(sent)
    except ConnectionError:
        return True
    return False


@pytest.mark.parametrize(
    "line",
    [
        b"hello",
        b"GET / HTTP/1.1",
        b"\xff\xfe\x00",
        b"[]",
        b"7",
        b"null",
        b'{"id": 1}',
        b'{"id": 1, "method": 7, "params": []}',
        b'{"id": 1, "method": null}',
        b"[" * 5000,
        b'{"id":1,"method":"mining.submit","params":' + b"[" * 3000 + b"]" * 3000 + b"}",
        b'{"id": 1, "method": "mining.nothing", "params": []}',
        b'{"id": {"a": 1}, "method": "mining.submit", "params": []}',
        b'{"id": 1e400, "method": "x"}',
        b'{"id": "\\ud800", "method": "x"}',
    ],
)
def test_what_is_no_request_gets_error_20_or_the_calls_own(server: Stratum, line: bytes) -> None:
    with server.miner() as miner:
        miner.send(line + b"\n")
        answer = miner.answer()
        assert answer["error"][0] in (20, 25)
        assert answer["result"] is None
        assert works(miner)


@pytest.mark.parametrize("params", [None, 7, "x", {}, {"a": 1}, [None], [-7], [[7]], [{}], [True] * 7])
@pytest.mark.parametrize(
    "method",
    [
        "mining.authorize",
        "mining.submit",
        "mining.configure",
        "mining.suggest_difficulty",
        "mining.suggest_target",
    ],
)
def test_parameters_of_a_wrong_type_get_an_error(server: Stratum, method: str, params: object) -> None:
    with server.started() as miner:
        assert miner.code_of(method, params) in (20, 24)
        assert works(miner)


def test_calls_before_their_time_get_25_and_24(server: Stratum) -> None:
    with server.miner() as miner:
        share = ["miner", "1", "00000000", "00000000", "00000000"]
        assert miner.code_of("mining.submit", share) == 25
        miner.subscribe()
        assert miner.code_of("mining.submit", share) == 24


@pytest.mark.parametrize(
    "user",
    [
        "",
        "nobody",
        ".rig",
        "easy1qqqq",
        key("alice").address(easy_coin(hrp="other")),
        key("alice").address(easy_coin())[:-1] + "q",
        "a" * 5000,
        "miner\n",
        "miner\x1b[31m",
        "1BoatSLRHtKNngkdXEeobR76b53LETtpyT.worker",
    ],
)
def test_a_user_who_is_no_address_of_the_coin_gets_24_with_a_sentence(server: Stratum, user: str) -> None:
    with server.miner() as miner:
        miner.subscribe()
        assert miner.code_of("mining.authorize", [user, "x"]) == 24
        assert miner.call("mining.authorize", ["miner", "x"]) is True


def test_a_connection_pays_one_address(server: Stratum) -> None:
    with server.started() as miner:
        assert miner.call("mining.authorize", ["miner.second", "x"]) is True
        assert miner.code_of("mining.authorize", [key("alice").address(easy_coin()), "x"]) == 24
        share = miner.search(miner.jobs[-1])
        assert miner.code_of("mining.submit", share.params("miner.third")) == 24
        assert miner.code_of("mining.submit", share.params("miner.second")) is None


def test_shares_that_are_none(server: Stratum) -> None:
    with server.started() as miner:
        good = miner.search(miner.jobs[-1]).params("miner")
        user, job, extranonce2, when, nonce = good
        wrong = [
            (21, [user, "nosuchjob", extranonce2, when, nonce]),
            (21, [user, 7, extranonce2, when, nonce]),
            (20, [user, job, "00", when, nonce]),
            (20, [user, job, "zzzzzzzz", when, nonce]),
            (20, [user, job, extranonce2 + "00", when, nonce]),
            (20, [user, job, extranonce2, "0", nonce]),
            (20, [user, job, extranonce2, when, None]),
            (20, [user, job, extranonce2, when, int(nonce, 16)]),
            (20, [user, job, " 0000000", when, nonce]),
            (20, [user, job, extranonce2, when]),
            (20, [*good, "00000000", "x"]),
            (20, [*good, "xyz"]),
        ]
        for code, params in wrong:
            assert miner.code_of("mining.submit", params) == code, params
        assert miner.code_of("mining.submit", good) is None
        assert miner.code_of("mining.submit", good) == 22
        assert miner.code_of("mining.submit", [*good, "00000000"]) == 22  # the same header


def test_half_lines_and_many_lines_at_once_are_put_together(server: Stratum) -> None:
    with server.miner() as miner:
        for letter in b'{"id": 5, "method": "mining.ping", "params": []}\n':
            miner.send(bytes([letter]))
        assert miner.answer() == {"id": 5, "result": True, "error": None}
        miner.send(b"\n \r\n" + b"".join(b'{"id": %d, "method": "mining.ping"}\r\n' % n for n in range(500)))
        assert [miner.answer()["id"] for _ in range(500)] == list(range(500))


def test_a_line_of_ten_megabytes_gets_an_error_and_the_next_line_is_served(server: Stratum) -> None:
    with server.miner() as miner:
        miner.send(b'{"id": 1, "method": "' + b"a" * 10_000_000 + b'", "params": []}\n')
        answer = miner.answer()
        assert (answer["id"], answer["error"][0]) == (None, 20)
        assert works(miner)


def test_a_line_without_an_end_is_cut_off(server: Stratum) -> None:
    with server.miner() as miner:
        assert cut_off(miner, b"a" * 100_000)
    with server.started() as other:
        assert works(other)


def test_who_never_speaks_the_protocol_is_let_go(server: Stratum) -> None:
    with server.miner() as miner:
        miner.send(b"junk\n" * 300)
        wait_until(lambda: closed(miner), 20, "the end of it")


def test_a_flood_from_one_who_reads_nothing_ends_in_its_own_end(server: Stratum) -> None:
    with server.miner() as flood, server.started() as other:
        assert cut_off(flood, b'{"id": 1, "method": "mining.nothing", "params": []}\n' * 1000)
        assert works(other)


def test_miners_that_are_gone_in_the_middle_of_a_job_leave_nothing_behind(server: Stratum) -> None:
    for number in range(20):
        miner = server.started(f"miner.gone{number % 2}")
        miner.send(b'{"id": 9, "method": "mining.sub')
        # Closed with a reset, as by a pulled plug.
        miner.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        miner.socket.close()
    wait_until(lambda: server.status().get("connections") == 0, 10, "the last one to be noticed")
    with server.started() as other:
        assert other.submit(other.search(other.jobs[-1])) is True


def test_more_connections_than_allowed_are_closed_and_the_others_served(tmp_path: Path) -> None:
    coin = easy_coin(pow_limit=HOPELESS)
    with serving(tmp_path / "node", coin, "--max-connections", "3", *EASY_SHARES) as (_, server):
        held = [server.started() for _ in range(3)]
        for miner in held:  # one that brings no shares would make room
            assert miner.submit(miner.search(miner.jobs[-1])) is True
        with server.miner() as surplus, pytest.raises((EOFError, ConnectionError)):
            surplus.subscribe()
        assert all(works(miner) for miner in held)
        held.pop().socket.close()

        def has_room() -> bool:
            try:
                with server.started():
                    return True
            except (EOFError, ConnectionError):
                return False

        wait_until(has_room, 10, "room for another")
        for miner in held:
            miner.socket.close()


def test_without_a_node_it_says_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(StratumRefused, match=r"no node runs on .*: start it with `moneyer node"):
        asyncio.run(node_is_up(StratumConfig(tmp_path), asyncio.Event(), 0.2))
