"""`moneyer asset`, and `send` of assets, on real nodes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.core import codec
from moneyer.node.core.types import Spend
from tests.kit import chains
from tests.kit.callers.in_front import in_front
from tests.kit.chains import Key, key
from tests.kit.commands import asked, moneyer, refusal, start
from tests.kit.running import RICH, RunningNode, own_coin, own_node
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.timeout(180)

ALICE, BOB, CAROL = key("alice"), key("bob"), key("carol")
TURNED = "Ticket\u202eDNE\u2066"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    """Its wallet is open and has miner, alice and bob; its blocks are made here, by `in_a_block`."""
    with own_node(tmp_path / "data", own_coin(rules=2)) as running:
        yield running


def told(node: RunningNode, *arguments: str | Path) -> str:
    done = moneyer(*arguments, "--data", node.config.data)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def refused(node: RunningNode, *arguments: str | Path, status: int = 1) -> str:
    return refusal(moneyer(*arguments, "--data", node.config.data), status)


def shown(node: RunningNode, *arguments: str) -> Any:
    return asked(*arguments, "--data", node.config.data)


def in_a_block(node: RunningNode, *more: Spend) -> None:
    """What waits, and more, in the next block."""
    waiting = codec.decode_spends(node.get("/p2p/mempool").body)
    transfers = [*sorted(waiting, key=lambda each: (each.sender, each.sequence)), *more]
    node.extend(transfers=transfers, receiver=CAROL)


def issued(node: RunningNode, by: Key = ALICE, amount: int = 100, **terms: Any) -> str:
    """An asset that stands in a block; its id."""
    sequence = node.chain.account(by).sequence
    issue = chains.issue(node.coin, by, amount, sequence=sequence, **terms)
    in_a_block(node, issue)
    return codec.asset_id(node.coin.chain_id, issue).hex()


def held(node: RunningNode, who: Key) -> dict[str, int]:
    answer = node.get(f"/v1/accounts/{who.address(node.coin)}/assets").json
    return {each["asset"]: each["amount"] for each in answer["assets"]}


def test_an_asset_is_issued_sent_minted_and_burned_and_the_folder_verifies(node: RunningNode, tmp_path: Path) -> None:
    poster = tmp_path / "poster.png"
    poster.write_bytes(b"lanterns" * 300_000)
    terms = ["--symbol", "SAND", "--supply", "1.5", "--max-supply", "4", "--decimals", "2", "--file", str(poster)]
    made = shown(node, "asset", "issue", "Sand Shares", *terms, "--from", "alice", "--to", "bob", "--memo", "hello")
    assert (made["kind"], made["amount"], made["max_supply"], made["decimals"]) == ("issue", 150, 400, 2)
    assert made["content"] == sha256(poster.read_bytes()).hexdigest()
    assert "must be in a block first" in refused(node, "send", "bob", "alice", "1", "SAND")
    in_a_block(node)
    assert node.get(f"/v1/assets/{made['asset']}").json["txid"] == made["txid"]
    paid = shown(node, "send", "bob", "alice", "0.25", "sand")
    assert (paid["asset"], paid["amount"], paid["symbol"]) == (made["asset"], 25, "SAND")
    assert "2.5 SAND" in told(node, "asset", "mint", made["asset"][:10], "2.5")
    assert f"0.5 SAND {made['asset'][:10]}…" in told(node, "asset", "burn", "SAND", "0.5", "--from", "bob")
    in_a_block(node)
    assert held(node, ALICE) == {made["asset"]: 275}
    assert held(node, BOB) == {made["asset"]: 75}
    assert "no more" not in told(node, "asset", "show", "SAND", "--file", poster)
    assert "there is room for 0" in refused(node, "asset", "mint", "SAND", "0.01")
    assert "every block is right" in told(node, "verify")


def test_lists_show_assets_beside_the_coin_and_never_as_coins(node: RunningNode) -> None:
    asset = issued(node, amount=7_000_000, max_supply=7_000_000)
    told(node, "send", "alice", "bob", "3000000", "TICKET")
    assert f"3000000 TICKET {asset[:10]}…" in told(node, "mempool")
    in_a_block(node)
    told(node, "asset", "burn", "TICKET", "1000000", "--from", "bob")
    in_a_block(node)
    ours = told(node, "history", "bob")
    assert f"+3000000 TICKET {asset[:10]}…" in ours
    assert f"-1000000 TICKET {asset[:10]}…" in ours
    assert "burned" in ours
    assert f"+7000000 TICKET {asset[:10]}…" in told(node, "history", "alice")
    assert f"3000000 TICKET {asset[:10]}…" in told(node, "block", "2")
    balances = told(node, "balance")
    assert "999.99" in balances
    assert [line.split() for line in balances.splitlines() if "TICKET" in line] == [
        ["alice", "4000000", "TICKET", f"{asset[:10]}…"],
        ["bob", "2000000", "TICKET", f"{asset[:10]}…"],
    ]
    txid = node.get("/v1/blocks/3").json["transactions"][1]["txid"]
    burned = told(node, "tx", txid)
    assert asset in burned
    assert "nobody: burned" in burned


def test_of_two_assets_of_one_symbol_the_one_that_is_held_is_taken_and_else_all_are_named(node: RunningNode) -> None:
    first, second = issued(node), issued(node, CAROL)
    assert f"100 TICKET {first[:10]}…" not in told(node, "send", "alice", "bob", "3", "TICKET")
    in_a_block(node)
    said = refused(node, "asset", "show", "TICKET")
    assert first in said
    assert second in said
    assert f"{second} by {CAROL.address(node.coin)} at height 2" in said
    in_a_block(node, chains.pay(node.coin, CAROL, ALICE, 5, bytes.fromhex(second), sequence=1))
    assert "Give the id" in refused(node, "send", "alice", "bob", "1", "TICKET")
    assert shown(node, "send", "alice", "bob", "1", second[:8])["asset"] == second
    assert shown(node, "send", "alice", "bob", "1", f"{first[:10]}…")["asset"] == first
    assert shown(node, "send", "bob", "alice", "1", "TICKET")["asset"] == first


def test_an_asset_that_is_named_like_the_coin_or_turns_the_line_round_is_told_by_its_id(node: RunningNode) -> None:
    like = issued(node, symbol=node.coin.symbol.encode(), name=node.coin.name.encode())
    odd = issued(node, symbol=b"ODD", name=TURNED.encode())
    coins = shown(node, "send", "alice", "bob", "1", node.coin.symbol)
    assert "asset" not in coins
    assert shown(node, "send", "alice", "bob", "1", like)["asset"] == like
    for look in (["list"], ["show", "ODD"], ["list", "--json"]):
        page = told(node, "asset", *look)
        assert "\u202e" not in page
        assert "\\u202e" in page
    assert odd[:10] in told(node, "asset", "list", "--issuer", "alice", "--symbol", "odd")
    bad = ["asset", "issue", "x\x1b[2J", "--symbol", "ODD", "--supply", "1", "--from", "alice"]
    assert "x\\x1b[2J" in refused(node, *bad, status=2)


def test_what_can_not_be_is_refused_with_the_reason_and_nothing_is_sent(node: RunningNode, tmp_path: Path) -> None:
    asset = issued(node, max_supply=110)
    issue = ["asset", "issue", "Party", "--from", "alice", "--symbol"]
    assert "1 to 12 of A-Z" in refused(node, *issue, "ticket", "--supply", "1", status=2)
    assert "this asset has 0 decimals" in refused(node, *issue, "T", "--supply", "1.5", status=2)
    assert "less than --supply" in refused(node, *issue, "T", "--supply", "5", "--max-supply", "4", status=2)
    assert "there could never be any" in refused(node, *issue, "T", "--supply", "0", status=2)
    assert "64 bytes" in refused(node, "asset", "issue", "n" * 65, "--symbol", "T", "--supply", "1", status=2)
    assert "is no file" in refused(node, *issue, "T", "--supply", "1", "--file", str(tmp_path / "none"))
    assert "there is room for 10" in refused(node, "asset", "mint", "TICKET", "11")
    assert "only the issuer" in refused(node, "asset", "mint", asset, "1", "--from", "bob")
    assert "holds 0 TICKET" in refused(node, "asset", "burn", "TICKET", "1", "--from", "bob")
    assert "holds 100 TICKET" in refused(node, "send", "alice", "bob", "101", "TICKET")
    assert "there is no asset" in refused(node, "send", "alice", "bob", "1", "f" * 64)
    assert "is no asset" in refused(node, "send", "alice", "bob", "1", "täcket", status=2)
    assert "is not the file" in refused(node, "asset", "show", asset, "--file", __file__)
    assert node.get("/v1/mempool").json["count"] == 0


def test_an_account_that_holds_only_assets_is_told_that_it_needs_coins(node: RunningNode) -> None:
    issued(node, receiver=key("miner"))
    said = refused(node, "send", "miner", "alice", "1", "TICKET")
    assert "Send miner some EASY first" in said


def test_a_coin_of_rules_1_has_no_assets_and_looks_as_before(tmp_path: Path) -> None:
    with own_node(tmp_path / "data") as node:
        assert "assets came with rules 2" in refused(node, "asset", "list")
        assert "rules 2" in refused(node, "asset", "issue", "P", "--symbol", "T", "--supply", "1", "--from", "alice")
        assert "rules 2" in refused(node, "send", "alice", "bob", "1", "TICKET")
        assert shown(node, "balance", "alice") == {
            "address": ALICE.address(node.coin),
            "balance": RICH,
            "sequence": 0,
            "pending": {"incoming": 0, "outgoing": 0, "next_sequence": 0},
        }
        assert "asset" not in told(node, "balance")
        assert "asset" not in told(node, "history", "alice")


def test_dust_is_cut_at_what_was_asked_for(node: RunningNode) -> None:
    for number in range(23):
        issued(node, CAROL, 1, receiver=BOB, symbol=f"D{number}".encode())
    assert len([line for line in told(node, "balance", "bob").splitlines() if line.startswith("bob")]) == 1 + 20
    assert "--assets N shows" in told(node, "balance", "bob")
    assert len(shown(node, "balance", "bob", "--assets", "22")["assets"]) == 22
    every = shown(node, "balance", "bob", "--assets", "23")
    assert (len(every["assets"]), every["more"]) == (23, False)


def test_a_receiver_that_is_a_contract_is_told(node: RunningNode) -> None:
    vault = node.coin.address(bytes([1]) + sha256(b"a policy").digest())
    done = moneyer("send", "alice", vault, "1", "--data", node.config.data)
    assert done.returncode == 0
    assert "is a contract's address" in done.stderr
    told(node, "send", "alice", "bob", "1")


def test_a_reorg_that_undoes_an_issue_undoes_what_was_sent_of_it(node: RunningNode) -> None:
    fork = node.chain.branch(0, "other")
    asset = issued(node)
    told(node, "send", "alice", "bob", "3", "TICKET")
    in_a_block(node)
    told(node, "send", "bob", "alice", "1", "TICKET")
    assert node.get("/v1/mempool").json["count"] == 1
    fork.grow(4)
    assert node.take(fork)[-1] in ("reorganized", "extended")
    wait_until(lambda: node.tip_hash == fork.tip_hash, 30, "the other branch")
    assert node.get(f"/v1/assets/{asset}").status == 404
    assert "there is no asset" in refused(node, "send", "alice", "bob", "1", asset)
    assert "TICKET" not in told(node, "balance")
    kinds = [each["kind"] for each in node.get("/v1/mempool").json["transactions"]]
    assert kinds == ["issue"]
    assert "every block is right" in told(node, "verify")
    node.chain = fork
    in_a_block(node)
    assert held(node, ALICE) == {asset: 100}


@pytest.mark.parametrize("reaches_the_node", [False, True])
def test_an_issue_that_is_killed_between_signing_and_the_answer_happens_once(
    node: RunningNode, reaches_the_node: bool
) -> None:
    heard, killed = threading.Event(), threading.Event()

    def hold(request: bytes, forward: Callable[[], None]) -> bool:
        if request.startswith(b"GET"):
            return True
        if reaches_the_node:
            forward()
        heard.set()
        killed.wait(60)
        return False

    order = ["asset", "issue", "Party", "--symbol", "TICKET", "--supply", "5", "--from", "alice"]
    order += ["--data", str(node.config.data), "--idempotency", "party"]
    with in_front(node, hold) as url:
        process = start(*order, "--node", url)
        assert heard.wait(60)
        process.kill()
        process.communicate(timeout=30)
        killed.set()
    done = moneyer(*order, "--json")
    assert done.returncode == 0, done.stderr
    waiting = node.get("/v1/mempool").json["transactions"]
    assert [(each["txid"], each["asset"]) for each in waiting] == [
        (json.loads(done.stdout)["txid"], json.loads(done.stdout)["asset"])
    ]


def test_a_key_of_one_payment_is_not_that_of_another_asset_or_of_coins(node: RunningNode) -> None:
    first, second = issued(node), issued(node, decimals=0, symbol=b"OTHER")
    sent = shown(node, "send", "alice", "bob", "3", "TICKET", "--idempotency", "one")
    assert shown(node, "send", "alice", "bob", "3", first, "--idempotency", "one") == sent
    for other in (["3", second], ["0.000003"], ["4", first]):
        said = refused(node, "send", "alice", "bob", *other, "--idempotency", "one")
        assert sent["txid"] in said
        assert f"3 units of {first[:10]}…" in said
    assert node.get("/v1/mempool").json["count"] == 1
