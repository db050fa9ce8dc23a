"""`moneyer send`, `balance` and `history` on a real node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.callers.in_front import in_front
from tests.kit.chains import key
from tests.kit.commands import asked, moneyer, refusal, start, talk
from tests.kit.mining.workers import mining
from tests.kit.running import PASSPHRASE, RICH, SECRET, RunningNode, answers, own_coin, own_node
from tests.kit.waiting import END_SECONDS, wait_until

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Its wallet is open; nobody mines."""
    with own_node(tmp_path_factory.mktemp("send") / "data") as running:
        yield running


def told(node: RunningNode, *arguments: str) -> str:
    done = moneyer(*arguments, "--data", node.config.data)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_the_way_of_a_transfer_is_shown_to_its_end(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with own_node(data) as node, mining(data):
        shown = told(node, "send", "alice", "bob", "2.5", "--memo", "ice cream", "--wait", "--confirmations", "1")
        lines = shown.splitlines()
        assert lines[0] == "accepted: 2.5 EASY from alice to bob, fee 0.000001 EASY"
        assert lines[1].startswith("txid ")
        assert "this node has no peers yet" in lines
        assert any(line.startswith("in block 1 (") for line in lines)
        assert "1 confirmation" in lines
        assert lines[-1] == "alice now has 997.499999 EASY"
        txid = lines[1].split()[1]
        assert "confirmed, " in told(node, "tx", txid)
        assert "ice cream" in told(node, "block", "1")
        assert "+2.5" in told(node, "history", "bob")
        sent = told(node, "history", "alice")
        assert "-2.5" in sent
        assert "0.000001" in sent
        assert "premine" in sent
        found = asked("history", "alice", "--data", data)
        assert [each["amount"] for each in found["transactions"]] == [2_500_000, RICH]
        assert all(each["timestamp"] for each in found["transactions"])


def test_send_ends_with_the_txid_the_fee_and_where_to_see_it(node: RunningNode) -> None:
    shown = told(node, "send", "bob", key("carol").address(node.coin), "1")
    txid = next(line for line in shown.splitlines() if line.startswith("txid ")).split()[1]
    assert "fee 0.000001 EASY" in shown
    assert f"moneyer tx {txid[:12]} --" in shown
    assert f"{node.url}/v1/transactions/{txid}" in shown
    assert "waiting" in told(node, "tx", txid) or "ready" in told(node, "tx", txid)
    assert txid[:12] in told(node, "mempool")


def test_a_transaction_is_named_by_its_first_digits(node: RunningNode) -> None:
    sent = asked("send", "bob", "alice", "1.", "--data", node.config.data)
    assert sent["amount"] == 1_000_000
    cut = next(line.split()[-1] for line in told(node, "history", "bob").splitlines() if sent["txid"][:12] in line)
    assert cut == f"{sent['txid'][:12]}…"
    assert sent["txid"] in told(node, "tx", cut)
    assert asked("tx", sent["txid"][:8].upper(), "--data", node.config.data)["txid"] == sent["txid"]
    assert "give all 64 digits" in refusal(moneyer("tx", "0" * 40, "--data", node.config.data))
    assert "is no txid" in refusal(moneyer("tx", "abc", "--data", node.config.data), 2)


@pytest.mark.parametrize("amount", ["-5", "-.5"])
def test_an_amount_below_nothing_is_no_unknown_option(node: RunningNode, amount: str) -> None:
    said = refusal(moneyer("send", "alice", "bob", amount, "--data", node.config.data), 2)
    assert "the amount is below 0" in said
    assert "did you mean --wait?" in refusal(moneyer("send", "alice", "bob", "1", "--waiit"), 2)


def test_json_has_the_apis_words(node: RunningNode) -> None:
    sent = asked("send", "bob", "alice", "0.25", "--fee", "0.5", "--memo", "<b>", "--data", node.config.data)
    found = node.get(f"/v1/transactions/{sent['txid']}").json
    assert {name: sent[name] for name in ("amount", "fee", "memo", "sequence", "sender", "receiver")} == {
        name: found[name] for name in ("amount", "fee", "memo", "sequence", "sender", "receiver")
    }
    assert (sent["amount"], sent["fee"], sent["memo"]) == (250_000, 500_000, "<b>")


def test_many_sends_at_once_never_use_one_sequence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with own_node(data) as node:
        racers = [start("send", "alice", "bob", "1", "--json", "--data", data) for _ in range(8)]
        answers = [racer.communicate(timeout=60) for racer in racers]
        assert all(racer.returncode == 0 for racer in racers), answers
        assert sorted(json.loads(out)["sequence"] for out, _ in answers) == list(range(8))
        assert node.get("/v1/mempool").json["count"] == 8


def test_a_send_and_the_nodes_own_send_never_replace_each_other(tmp_path: Path) -> None:
    """Three times the node's own one comes first, when the command has asked for its sequence, and signed."""
    data = tmp_path / "data"
    with own_node(data) as node:
        body = {"sender": "alice", "receiver": "bob", "amount": 1}
        own: list[int] = []

        def come_first(request: bytes, forward: object) -> bool:
            if request.startswith(b"POST") and len(own) < 3:
                own.append(node.call("POST", "/add_transaction", body, node.bearer).status)
            return True

        with in_front(node, come_first) as url:
            sent = asked("send", "alice", "bob", "1", "--fee", "1", "--data", data, "--node", url)
        assert own == [201] * 3
        assert sent["sequence"] == 3
        assert node.get("/v1/mempool").json["count"] == 4


USAGE = [
    (("alice", "bob", "0"), ("nothing to send",)),
    (("alice", "bob", "1.0000001"), ('the amount "1.0000001"', "6 decimals")),
    (("alice", "bob", "1e3"), ("digits with at most one point",)),
    (("alice", "bob", "nan"), ("digits with at most one point",)),
    (("alice", "bob", "1", "--fee", "-1"), ("the fee",)),
    (("alice", "bob", "1", "--memo", "m" * 141), ("141 bytes", "140")),
]

REFUSALS = [
    (("alice", "bob", "5000"), ("4000.000001 EASY are missing", "alice has 1000 EASY to spend")),
    (("alcie", "bob", "1"), ('no "alcie"', "did you mean alice?")),
    (("alice", "bbo", "1"), ('no "bbo"', "did you mean bob?")),
    (("alice", "zzzzzz", "1"), ("Known here: miner, alice, bob",)),
    (("alice", "bob", "1", "--fee", "0"), ("the fee is too low", "0.000001 EASY")),
    (("CAROL", "bob", "1"), ("is not in this wallet", "miner, alice, bob")),
    (("alice", "OFF THE CURVE", "1"), ("nobody can have the key",)),
    (("alice", "easy1qqqq", "1"), ("no address: it has 9 characters",)),
    (("alice", "dev1qcg37tqfzf2avyywtux8hg93gth47qcxtmu0n75h0msrq0aurzeqq5vlwf8", "1"), ("another coin",)),
]


@pytest.mark.parametrize(("arguments", "words"), [*USAGE, *REFUSALS])
def test_every_refusal_says_what_to_do(node: RunningNode, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    status = 2 if (arguments, words) in USAGE else 1
    before = node.state()
    known = {"CAROL": key("carol").address(node.coin), "OFF THE CURVE": node.coin.address(bytes([0]) + b"\xff" * 32)}
    done = moneyer("send", *(known.get(each, each) for each in arguments), "--data", node.config.data)
    said = refusal(done, status)
    for each in words:
        assert each in said
    assert node.state() == before


def test_a_node_of_another_coin_is_refused_and_both_are_named(node: RunningNode, tmp_path: Path) -> None:
    other = own_coin(name="Lake Coin", symbol="LAKE", hrp="lake")
    with own_node(tmp_path / "lake", other) as lake:
        said = refusal(moneyer("send", "alice", "bob", "1", "--data", node.config.data, "--node", lake.url))
        for words in ("Lake Coin (LAKE, chain ", "Easy Coin (EASY, chain ", str(node.config.data), lake.url):
            assert words in said
        added = lake.call("POST", "/v1/peers", {"url": node.url}, lake.bearer)
        assert added.status == 422
        for words in ("EASY (chain ", "LAKE (Lake Coin"):
            assert words in added.json["error"]["message"]


def test_an_encrypted_wallet_wants_its_passphrase_and_only_to_spend(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with own_node(data, passphrase=PASSPHRASE) as node:
        assert "1000" in told(node, "balance", "alice")
        order = ("send", "alice", "bob", "1", "--data", data)
        assert "MONEYER_PASSPHRASE" in refusal(moneyer(*order))
        wrong = refusal(moneyer(*order, env={"MONEYER_PASSPHRASE": "mud"}))
        assert wrong == "moneyer: the passphrase is wrong, or the wallet file is damaged\n"
        assert node.get("/v1/mempool").json["count"] == 0
        assert moneyer(*order, env=SECRET).returncode == 0
        (tmp_path / "key").write_text(f"{PASSPHRASE}\n")
        assert moneyer(*order, "--passphrase-file", tmp_path / "key").returncode == 0
        status, shown = talk(
            list(order), [("Passphrase of the wallet", "mud"), ("Passphrase of the wallet", PASSPHRASE)]
        )
        assert status == 0, shown
        assert "try again" in shown
        assert PASSPHRASE not in shown
        assert node.get("/v1/mempool").json["count"] == 3
        assert PASSPHRASE not in node.log


def test_a_node_opens_its_wallet_with_a_key_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(PASSPHRASE)
    body = {"sender": "alice", "receiver": "bob", "amount": 1}
    with own_node(tmp_path / "data", passphrase=PASSPHRASE) as node:
        locked = node.call("POST", "/add_transaction", body, node.bearer)
        assert (locked.status, locked.code) == (409, "wallet_locked")
    options = ("--data", node.config.data, "--port", str(node.port), "--passphrase-file", tmp_path / "key")
    process = start("node", *options)
    try:
        wait_until(lambda: answers(node.port), 30, "the node")
        assert node.call("POST", "/add_transaction", body, node.bearer).status == 201
    finally:
        process.terminate()
        said = process.communicate(timeout=END_SECONDS)
    assert PASSPHRASE not in "".join(said)


def test_balances_are_those_of_the_wallet_or_of_anyone(node: RunningNode) -> None:
    rows = told(node, "balance").splitlines()
    assert rows[0].split() == ["name", "EASY", "waiting", "address"]
    assert [row.split()[0] for row in rows[1:]] == ["miner", "alice", "bob"]
    address = key("nobody").address(node.coin)
    assert asked("balance", address, "--data", node.config.data)["balance"] == 0
    assert asked("balance", address, "--node", node.url)["address"] == address


def test_a_memo_cannot_command_the_terminal(node: RunningNode) -> None:
    evil = "\x1b]0;gotcha\x07\u202e"
    asked("send", "alice", "bob", "1", "--memo", evil, "--data", node.config.data)
    for command in (("mempool",), ("history", "bob")):
        for more in ((), ("--json",)):
            shown = told(node, *command, *more)
            assert "\x1b" not in shown
            assert "\u202e" not in shown


def test_the_wait_for_a_block_ends_and_says_that_nothing_is_lost(node: RunningNode) -> None:
    done = moneyer("send", "bob", "alice", "0.1", "--wait", "--timeout", "1", "--data", node.config.data)
    assert done.returncode == 3
    assert "waiting for a block" in done.stdout
    assert "Nothing is lost" in done.stderr
