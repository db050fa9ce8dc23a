"""`moneyer.Client` on a real node: looking, sending, waiting, and the chain as an iterator."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.client.client import Client, next_block_fee
from moneyer.node.client.errors import BadArgument, ClientError, NoAnswer, NotConfirmed, OutOfFunds, Refused, Unanswered
from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.core.errors import BadMemo
from tests.conftest import REPOSITORY
from tests.kit.chains import key, transfer
from tests.kit.running import RICH, RunningNode, rich_coin, running
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.usefixtures("nothing_left")

ALICE, BOB = key("alice"), key("bob")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    with running(tmp_path / "data", rich_coin()) as each:
        yield each


def test_it_looks_at_everything(node: RunningNode) -> None:
    client = Client(node.url)
    node.extend(transfers=[node.chain.transfer(ALICE, BOB, 5)])
    assert client.coin == node.coin
    assert client.status()["height"] == 1
    address = ALICE.address(node.coin)
    assert client.account(address)["balance"] == RICH - 5
    assert client.block(1) == client.block(client.block(1)["hash"])
    txid = client.block(1)["transactions"][1]["txid"]
    assert client.transaction(txid)["amount"] == 5
    assert [each["height"] for each in client.history(address)] == [1, 0]
    assert client.mempool()["count"] == 0
    assert client.peers() == []
    with pytest.raises(Refused) as refused:
        client.transaction("../status")
    assert refused.value.status == 400


def test_history_is_fetched_page_by_page(node: RunningNode) -> None:
    node.extend(transfers=[_next(node, number) for number in range(150)])
    amounts = [each["amount"] for each in Client(node.url).history(BOB.address(node.coin))]
    assert amounts == [*range(150, 0, -1), RICH]
    assert len(list(Client(node.url).history(BOB.address(node.coin), 120))) == 120


def _next(node: RunningNode, number: int) -> Any:
    return transfer(node.coin, ALICE, BOB, number + 1, 0, number)


def test_a_transfer_is_signed_sent_and_waited_for(node: RunningNode) -> None:
    client = Client(node.url)
    sent = client.send(ALICE.secret, BOB.payload, 7, memo="hi")
    assert (sent.status, sent.transfer.sequence, sent.transfer.fee) == ("ready", 0, 0)
    with pytest.raises(NotConfirmed, match="Nothing is lost"):
        client.wait_for(sent.txid, timeout=0)
    steps: list[int] = []
    waiter = threading.Thread(
        target=client.wait_for,
        args=(sent.txid, 2, 300),
        kwargs={"progress": lambda tx: steps.append(tx["confirmations"])},
    )
    waiter.start()
    wait_until(lambda: steps == [0], 10, "the first look")
    node.extend(transfers=[sent.transfer])
    wait_until(lambda: steps == [0, 1], 10, "the first confirmation")
    node.extend()
    wait_until(lambda: not waiter.is_alive(), 30, "the second confirmation")
    assert steps == [0, 1, 2]
    assert client.account(BOB.address(node.coin))["balance"] == RICH + 7


def test_two_sends_at_once_take_two_sequences(node: RunningNode) -> None:
    sent: list[int] = []

    def send() -> None:
        sent.append(Client(node.url).send(ALICE.secret, BOB.payload, 1).transfer.sequence)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(sent) == list(range(6))


def test_a_transfer_is_replaced_only_where_that_is_meant(node: RunningNode) -> None:
    client = Client(node.url)
    first = client.send(ALICE.secret, BOB.payload, 1, fee=10).transfer
    dearer = node.chain.transfer(ALICE, BOB, 1, fee=100)
    with pytest.raises(Refused) as refused:
        client.submit(dearer, replace=False)
    assert (refused.value.status, refused.value.node_code) == (409, "bad_sequence")
    assert client.submit(first).txid == show(codec.txid(first)), "known: no error"
    assert client.submit(dearer).status == "ready"
    with pytest.raises(NotConfirmed, match="took its place"):
        client.wait_for(show(codec.txid(first)), timeout=5)


def test_what_cannot_be_sent_is_said_before_it_is_signed(node: RunningNode) -> None:
    client = Client(node.url)
    client.send(ALICE.secret, BOB.payload, RICH - 10)
    with pytest.raises(OutOfFunds) as short:
        client.send(ALICE.secret, BOB.payload, 15, fee=1)
    assert short.value.details == {"free": 10, "needed": 16, "missing": 6, "waiting": RICH - 10}
    with pytest.raises(BadMemo):
        client.send(ALICE.secret, BOB.payload, 1, memo="m" * 141)
    with pytest.raises(BadArgument, match=r"32 bytes of a key"):
        client.send(bytes(32), BOB.payload, 1)


def test_blocks_come_oldest_first_and_end_at_the_tip(node: RunningNode) -> None:
    client = Client(node.url)
    for _ in range(5):
        node.extend()
    assert [each["height"] for each in client.blocks()] == [0, 1, 2, 3, 4, 5]
    assert [each["height"] for each in client.blocks(4)] == [4, 5]
    assert list(client.blocks(6)) == []


def test_blocks_are_followed_through_a_reorg(node: RunningNode) -> None:
    blocks = Client(node.url).blocks(1, follow=True)
    node.extend()
    other = node.chain.branch(1, "other")
    for _ in range(2):
        node.extend()
    assert [each["height"] for each in islice(blocks, 3)] == [1, 2, 3]
    other.grow(3)
    for raw in other.raw[1:]:
        assert node.push(raw).status == 200
    replaced = list(islice(blocks, 3))
    assert [each["height"] for each in replaced] == [2, 3, 4]
    assert replaced[-1]["hash"] == show(other.tip_hash)


def test_the_token_goes_where_it_is_wanted(tmp_path: Path) -> None:
    with running(tmp_path / "data", rich_coin(), development=False) as node:
        with pytest.raises(Refused) as refused:
            Client(node.url).post("/v1/mine", {"blocks": 1})
        assert refused.value.status == 401
        assert Client(node.url, token=node.token).post("/v1/mine", {"blocks": 1})["state"] == "open"


@pytest.mark.parametrize(
    ("then", "error"), [(401, Unanswered), (429, Unanswered), (503, Unanswered), (409, Refused), (422, Refused)]
)
def test_a_doubt_stays_unless_the_rules_have_spoken(then: int, error: type[ClientError]) -> None:
    """Who took it for refused would sign anew, and pay twice."""
    answers = iter([(500, "storage_failed"), (then, "told")])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, code = next(answers)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps({"error": {"code": code, "message": "no"}}).encode())

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(error):
            Client(f"http://127.0.0.1:{server.server_port}").submit(transfer(rich_coin(), ALICE, BOB, 1))
        server.shutdown()


def test_nobody_there_is_no_answer(tmp_path: Path) -> None:
    with running(tmp_path / "data", rich_coin()) as node:
        client = Client(node.url)
        assert client.status()
    with pytest.raises(NoAnswer, match="no node answers"):
        client.status()


@pytest.mark.parametrize(
    ("waiting", "total", "fee"),
    [
        ([], 0, 3),
        ([(100, 200)], 200, 3),
        ([(1000, 200)] * 40 + [(10, 200)] * 20, 12_000, 12),
        ([(1000, 200)] * 100, 20_000, 1101),
        ([(0, 200)] * 100, 20_000, 3),
    ],
    ids=["nothing waits", "there is room", "the cheap ones have to wait", "all pay alike", "all pay nothing"],
)
def test_a_fee_beats_what_just_fits_into_the_next_block(waiting: list[tuple[int, int]], total: int, fee: int) -> None:
    pool = [{"fee": each, "size": size} for each, size in waiting]
    assert next_block_fee(pool, total, 200, max_block_bytes=10_000, least=3) == fee


def test_every_call_of_the_client_is_on_its_page() -> None:
    page = (REPOSITORY / "docs" / "client.md").read_text("utf-8")
    for name in (name for name in vars(Client) if not name.startswith("_")):
        assert f"`{name}" in page or f" `{name}(" in page, name
