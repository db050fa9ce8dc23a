"""Whatever a program gives the client: base units of what is an amount, and an error with a sentence of what is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.client.client import Client
from moneyer.node.client.errors import BadArgument, NoAnswer
from moneyer.node.client.sse import MAX_LINE, Stream
from moneyer.node.client.transport import Transport
from moneyer.node.core.errors import BadAmount, MoneyerError
from moneyer.node.core.types import MAX_MONEY, Transfer
from tests.kit.net.peers import PeerServer, flood
from tests.kit.running import ALICE, BOB, RICH, RunningNode, rich_coin, running


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    folder: Path = tmp_path_factory.mktemp("node")
    with running(folder / "data", rich_coin()) as each:
        yield each


@pytest.fixture(scope="module")
def client(node: RunningNode) -> Client:
    return Client(f"127.0.0.1:{node.port}")


@pytest.mark.parametrize(
    ("amount", "units"),
    [
        ("2.5", 2_500_000),
        (Decimal("2.5"), 2_500_000),
        (Decimal("1e-6"), 1),
        (Decimal("2.500000000"), 2_500_000),
        (Decimal("1E+3"), 1_000_000_000),
        ("0", 0),
        (7, 7),
        (MAX_MONEY, MAX_MONEY),
    ],
)
def test_an_amount_is_coins_as_text_or_decimal_or_whole_base_units(client: Client, amount: Any, units: int) -> None:
    assert client.units(amount) == units
    assert client.units(client.coins(units)) == units


WRONG_AMOUNTS: list[Any] = [
    2.5,
    2.0,
    float("nan"),
    float("inf"),
    True,
    None,
    "",
    "2,5",
    "1e3",
    "-1",
    "NaN",
    "٣",
    " 1",
    "0.0000001",
]
WRONG_AMOUNTS += [-1, MAX_MONEY + 1, 10**400, Decimal("NaN"), Decimal("-1"), Decimal("Infinity"), Decimal("1e-7")]
WRONG_AMOUNTS += [Decimal("1e1000000"), "9" * 5_000, b"2", [1], object()]


@pytest.mark.parametrize("amount", WRONG_AMOUNTS, ids=lambda amount: type(amount).__name__)
def test_what_is_no_amount_is_refused_with_a_sentence(client: Client, amount: Any) -> None:
    ways: list[Callable[[], Any]] = [
        lambda: client.units(amount),
        lambda: client.send(ALICE.secret, BOB.payload, amount),
    ]
    if amount is not None:
        ways.append(lambda: client.send(ALICE.secret, BOB.payload, 1, fee=amount))
    for call in ways:
        with pytest.raises(BadAmount) as refused:
            call()
        assert len(refused.value.message) > 20
        assert "Traceback" not in refused.value.message


def test_a_float_is_told_what_to_write(client: Client) -> None:
    with pytest.raises(BadAmount, match=r'write coins as text, "2\.5"'):
        client.send(ALICE.secret, BOB.payload, 2.5)  # type: ignore[arg-type]


def test_coins_are_sent_to_an_address(node: RunningNode, client: Client) -> None:
    sent = client.send(ALICE.secret, BOB.address(node.coin), "0.5", fee=Decimal("0.000001"))
    assert (sent.transfer.amount, sent.transfer.fee, sent.transfer.receiver) == (500_000, 1, BOB.payload)


ODD: list[Any] = [
    None,
    True,
    -1,
    2.5,
    10**400,
    float("nan"),
    "",
    "\0",
    "\n",
    "\udcff",
    "a" * 5_000,
    b"",
    b"\0" * 32,
    [],
]
ODD += [{}, object(), Decimal("NaN"), "../status", "http://[", lambda: None]


def calls(client: Client, odd: Any) -> list[Callable[[], Any]]:
    address, signed = "easy1q", Transfer(odd, odd, odd, odd, odd, odd, odd)
    return [
        lambda: Client(odd),
        lambda: Client(client.url, token=odd).status(),
        lambda: client.get(odd),
        lambda: client.post(odd, {}),
        lambda: client.post("/v1/transactions", odd),
        lambda: client.post("/v1/transactions", {"raw": odd}),
        lambda: client.put(odd),
        lambda: client.delete(odd),
        lambda: client.get("/healthz", deadline=odd),
        lambda: client.status(deadline=odd),
        lambda: client.account(odd),
        lambda: list(client.history(odd)),
        lambda: list(client.history(address, odd)),
        lambda: list(client.account_assets(odd)),
        lambda: list(client.account_assets(address, odd)),
        lambda: list(client.assets(issuer=odd)),
        lambda: list(client.assets(symbol=odd)),
        lambda: list(client.assets(limit=odd)),
        lambda: client.asset(odd),
        lambda: list(client.holders(odd)),
        lambda: list(client.asset_transactions(odd)),
        lambda: client.transaction(odd),
        lambda: client.block(odd),
        lambda: next(client.blocks(odd)),
        lambda: next(client.blocks(0, patience=odd)),
        lambda: client.events(last_event_id=odd, patience=1).close(),
        lambda: client.events(patience=odd).close(),
        lambda: client.mempool(odd),
        lambda: client.fee(odd),
        lambda: client.coins(odd),
        lambda: client.submit(odd),
        lambda: client.submit(signed),
        lambda: client.send(odd, BOB.payload, 1),
        lambda: client.send(ALICE.secret, odd, 1),
        lambda: client.send(ALICE.secret, BOB.payload, 2 * RICH, memo=odd),
        lambda: client.wait_for(odd, timeout=0),
        lambda: client.wait_for("ab" * 32, odd, timeout=0),
        lambda: client.wait_for("ab" * 32, timeout=odd if odd != 10**400 else -1),
    ]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: ascii(odd)[:12])
def test_whatever_is_given_only_a_moneyer_error_comes_out(client: Client, odd: Any) -> None:
    for call in calls(client, odd):
        with suppress(MoneyerError):
            call()


def test_a_wrong_argument_names_itself_and_shows_no_secret(client: Client) -> None:
    with pytest.raises(BadArgument) as refused:
        client.send(b"secret" * 5, BOB.payload, 1)
    assert refused.value.details["field"] == "secret"
    assert "secretsecret" not in refused.value.message
    with pytest.raises(BadArgument, match="body is what JSON can hold"):
        client.post("/v1/transactions", {"amount": Decimal(1)})


@pytest.mark.parametrize("piece", [b"data:\n" * 100, b"data: x\n" * 100, b"id: 1\n" * 100, b": on and on\n" * 100])
def test_an_event_without_an_end_is_cut(piece: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    server = PeerServer({"GET /v1/events": lambda _: flood(head, piece)})
    try:
        stream = Stream(Transport(server.url, None), None)
        stream.open()
        with pytest.raises(NoAnswer, match="an event without an end"):
            next(iter(stream))
        stream.close()
        assert server.written < 100 * MAX_LINE
    finally:
        server.close()
