"""Every row of the vectors that bytes alone can answer; a node's own answers are tested where the node is."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest

from moneyer.node.core import codec, ledger, pow, rules, signing
from moneyer.node.core.address import decode_address, encode_address
from moneyer.node.core.codec import merkle_branch, merkle_root, merkle_root_of_branch, sha256d, show, unshow
from moneyer.node.core.coin import Coin
from moneyer.node.core.coinfile import coin_from_json, coin_from_toml, coin_to_toml
from moneyer.node.core.errors import BadAddress, BadBits, RuleError
from moneyer.node.core.types import Transfer
from tests.conftest import REPOSITORY, vector_file
from tests.core.pure_node import PureNode

Vectors = dict[str, Any]
NOW = 1_790_100_000
"""Later than every block of the vectors, but for the one that is too new."""

COPY = json.loads((REPOSITORY / "tests" / "vectors" / "moneyer.json").read_text("utf-8"))


def rows(*path: str) -> list[Any]:
    """Rows of moneyer.json as parameters, each with its `why` or `name` as its id."""
    found = COPY
    for step in path:
        found = found[step]
    return [
        pytest.param(row, id=f"{number}-{row.get('why', row.get('name', ''))}" if isinstance(row, dict) else None)
        for number, row in enumerate(found)
    ]


def raws(blocks: list[str]) -> list[bytes]:
    return [bytes.fromhex(block) for block in blocks]


def state_of(node: PureNode) -> dict[str, Any]:
    """As the vectors write it."""
    tip = node.tree[node.tip]
    return {
        "tip_shown": show(node.tip),
        "height": tip.tip.height,
        "work": f"{tip.tip.work:x}",
        "bits": f"{tip.block.header.bits:08x}",
        "accounts": {
            node.coin.address(payload): {"balance": account.balance, "sequence": account.sequence}
            for payload, account in node.ledger.accounts.items()
        },
    }


@pytest.fixture(scope="module")
def coin(vectors: Vectors) -> Coin:
    return coin_from_json(vectors["chain"]["coin"])


@pytest.fixture(scope="module")
def node_at_30(vectors: Vectors, coin: Coin) -> PureNode:
    node = PureNode(coin)
    for raw in raws(vectors["chain"]["blocks"][:30]):
        node.accept(raw, NOW)
    return node


@pytest.fixture
def node(node_at_30: PureNode) -> PureNode:
    """A node at height 30 of its own."""
    return node_at_30.copy()


def test_the_copy_of_the_vectors_is_the_one_that_was_given() -> None:
    assert json.loads(vector_file("moneyer.json").read_text("utf-8")) == COPY


@pytest.mark.parametrize("row", rows("coins"))
def test_a_coin_makes_its_genesis_block(row: Vectors) -> None:
    made = coin_from_json(row["coin"])
    assert made.as_json() == row["coin"]
    assert made.coin_digest.hex() == row["coin_digest"]
    assert codec.encode_block(made.genesis).hex() == row["genesis_block"]
    assert made.chain_id.hex() == row["chain_id"]
    assert show(made.chain_id) == row["genesis_hash_shown"]
    assert coin_from_toml(coin_to_toml(made)).chain_id == made.chain_id


@pytest.mark.parametrize("row", rows("addresses"))
def test_an_address_and_its_payload_are_one(row: Vectors) -> None:
    payload = bytes.fromhex(row["payload"])
    assert encode_address(row["hrp"], payload) == row["address"]
    assert decode_address(row["hrp"], row["address"], 1) == payload
    assert decode_address(row["hrp"], row["address"].upper(), 1) == payload


@pytest.mark.parametrize("row", rows("addresses_invalid"))
def test_a_bad_address_is_refused(row: Vectors) -> None:
    with pytest.raises(BadAddress):
        decode_address("vec", row["address"], 1)


def test_an_upper_case_address_is_valid(vectors: Vectors) -> None:
    shout = vectors["address_upper_case_is_valid"]
    assert encode_address("vec", decode_address("vec", shout, 1)) == shout.lower()


@pytest.mark.parametrize("row", rows("bits"))
def test_bits_and_targets(row: Vectors) -> None:
    bits = int(row["bits"], 16)
    if row["target"] is None:
        with pytest.raises(BadBits):
            pow.decode_bits(bits)
        return
    target = pow.decode_bits(bits)
    assert f"{target:064x}" == row["target"]
    assert f"{pow.block_work(target):x}" == row["work"]
    assert f"{pow.encode_bits(target):08x}" == row["again"]


@pytest.mark.parametrize("row", rows("retarget"))
def test_the_retarget_asks_for_these_bits(row: Vectors) -> None:
    coin = coin_from_json(row["coin"])
    headers = [
        pow.TimedBits(timestamp, int(bits, 16)) for timestamp, bits in zip(row["timestamps"], row["bits"], strict=True)
    ]
    for height in range(1, len(headers)):
        assert f"{coin.next_bits(headers[:height], height):08x}" == row["bits"][height], height


@pytest.mark.parametrize("row", rows("supply"))
def test_the_supply(row: Vectors) -> None:
    coin = coin_from_json(row["coin"])
    for height, issued in row["issued"]:
        assert coin.issued(height) == issued, height
        if height:
            assert coin.subsidy(height) == issued - coin.issued(height - 1)


@pytest.mark.parametrize("row", rows("merkle"))
def test_a_merkle_root_and_the_proof_of_each_leaf(row: Vectors) -> None:
    leaves = raws(row["leaves"])
    root = merkle_root(leaves)
    assert root.hex() == row["root"]
    for position, leaf in enumerate(leaves):
        branch = merkle_branch(leaves, position)
        assert merkle_root_of_branch(leaf, position, branch) == root
        assert not branch or merkle_root_of_branch(sha256d(leaf), position, branch) != root


@pytest.mark.parametrize("row", rows("transfers"))
def test_a_transfer_is_signed_and_encoded_to_these_bytes(row: Vectors) -> None:
    transfer = codec.decode_spend(bytes.fromhex(row["raw"]), rules=1)
    assert isinstance(transfer, Transfer)
    digest = codec.sighash(bytes.fromhex(row["chain_id"]), transfer)
    secret = bytes.fromhex(row["secret_key"])
    assert transfer.sender == decode_address("vec", row["sender"], 1) == b"\x00" + signing.public_key(secret)
    assert transfer.receiver == decode_address("vec", row["receiver"], 1)
    assert (transfer.amount, transfer.fee, transfer.sequence) == (row["amount"], row["fee"], row["sequence"])
    assert transfer.memo.decode() == row["memo"]
    assert digest.hex() == row["sighash"]
    assert signing.sign(secret, digest, bytes.fromhex(row["aux_rand"])) == transfer.signature
    assert transfer.signature.hex() == row["signature"]
    assert signing.signature_checks(bytes.fromhex(row["chain_id"]), transfer) == [
        (transfer.sender[1:], digest, transfer.signature)
    ]
    assert signing.verify(transfer.sender[1:], digest, transfer.signature)
    assert codec.encode_transaction(transfer).hex() == row["raw"]
    assert codec.transaction_size(transfer) == row["size"]
    assert show(codec.txid(transfer)) == row["txid_shown"]
    assert unshow(row["txid_shown"]) == codec.txid(transfer)
    rules.check_transaction_in_isolation(transfer, 1)


@pytest.mark.parametrize("row", rows("transfers_invalid"))
def test_a_bad_transfer_is_refused_with_its_code(row: Vectors, coin: Coin) -> None:
    def check(raw: bytes) -> None:
        transfer = codec.decode_spend(raw, rules=1)
        rules.check_transaction_in_isolation(transfer, 1)
        if not all(signing.verify_many(signing.signature_checks(coin.chain_id, transfer))):
            raise ledger.bad_signature()

    with pytest.raises(RuleError) as refused:
        check(bytes.fromhex(row["raw"]))
    assert refused.value.code == row["code"]


def test_the_chain_ends_with_these_balances_and_the_reorg_with_those(vectors: Vectors, coin: Coin) -> None:
    node = PureNode(coin)
    for height, raw in enumerate(raws(vectors["chain"]["blocks"]), start=1):
        assert node.accept(raw, NOW) == "extended"
        assert codec.encode_block(codec.decode_block(raw)) == raw
        assert sum(account.balance for account in node.ledger.accounts.values()) == coin.issued(height)
    assert state_of(node) == vectors["chain"]["state"]
    answers = [node.accept(raw, NOW) for raw in raws(vectors["reorg"]["blocks"])]
    assert answers == ["side_branch"] * (len(answers) - 1) + ["reorganized"]
    assert state_of(node) == vectors["reorg"]["state"]
    assert [node.accept(raw, NOW) for raw in raws(vectors["chain"]["blocks"])] == ["already_known"] * 60


@pytest.mark.parametrize("row", rows("invalid_blocks", "blocks"))
def test_an_invalid_block_has_its_code_changes_nothing_and_the_true_one_follows(
    row: Vectors, node: PureNode, vectors: Vectors
) -> None:
    before = state_of(node)
    for _ in range(2):  # offered again it gets its own code again
        with pytest.raises(RuleError) as refused:
            node.accept(bytes.fromhex(row["raw"]), NOW)
        assert refused.value.code == row["code"]
        assert state_of(node) == before
    assert node.accept(bytes.fromhex(vectors["invalid_blocks"]["valid_after"]), NOW) == "extended"


@pytest.mark.parametrize("row", rows("poison", "blocks"))
def test_a_false_body_does_not_condemn_the_true_block(row: Vectors, node: PureNode, vectors: Vectors) -> None:
    with pytest.raises(RuleError) as refused:
        node.accept(bytes.fromhex(row["raw"]), NOW)
    assert refused.value.code == row["code"]
    assert node.accept(bytes.fromhex(vectors["poison"]["true_block"]), NOW) == "extended"


def test_a_heavier_branch_with_a_bad_block_changes_nothing(node: PureNode, vectors: Vectors) -> None:
    failed = vectors["failed_reorg"]
    assert state_of(node) == failed["state_before"]
    assert {node.accept(raw, NOW) for raw in raws(failed["branch"])} == {"side_branch"}
    for name, code in (("last_bad", failed["code"]), ("child_of_bad", "invalid_parent"), ("last_bad", failed["code"])):
        with pytest.raises(RuleError) as refused:
            node.accept(bytes.fromhex(failed[name]), NOW)
        assert refused.value.code == code
        assert state_of(node) == failed["state_before"]
    assert node.accept(bytes.fromhex(failed["last_good"]), NOW) == "reorganized"
    assert state_of(node) == failed["state"]


def test_of_two_blocks_with_equal_work_the_first_stays(node: PureNode, vectors: Vectors) -> None:
    tie = vectors["tie"]
    assert [node.accept(bytes.fromhex(tie[name]), NOW) for name in ("first", "second")] == ["extended", "side_branch"]
    assert show(node.tip) == tie["tip_shown"]


def test_a_rolled_version_is_valid(node: PureNode, vectors: Vectors) -> None:
    assert node.accept(bytes.fromhex(vectors["rolled_version"]["block"]), NOW) == "extended"


def test_the_median_of_few_and_of_many_ancestors(vectors: Vectors, coin: Coin) -> None:
    grown = PureNode(coin)
    for height, row in enumerate(vectors["median_time"]["rows"]):
        for name, answer in (("time_too_old", "time_too_old"), ("valid", "extended")):
            node = grown.copy()
            try:
                found = node.accept(bytes.fromhex(row[name]), NOW)
            except RuleError as error:
                found = error.code
            assert found == answer, (height, name)
        grown.accept(bytes.fromhex(vectors["chain"]["blocks"][height]), NOW)


def test_bip340_signatures() -> None:
    with vector_file("bip340.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert len(table) >= 15
    for row in table:
        key, message, signature = (bytes.fromhex(row[name]) for name in ("public key", "message", "signature"))
        assert signing.verify(key, message, signature) is (row["verification result"] == "TRUE"), row
        if row["secret key"]:
            secret = bytes.fromhex(row["secret key"])
            assert signing.public_key(secret) == key
            if len(message) == 32:  # what we sign is always a digest
                assert signing.sign(secret, message, bytes.fromhex(row["aux_rand"])) == signature


def test_bitcoins_own_headers_show_their_work() -> None:
    headers = json.loads(vector_file("bitcoin_headers.json").read_text("utf-8"))["headers"]
    assert headers
    for row in headers:
        header = codec.decode_header(bytes.fromhex(row["header"]))
        block_hash = codec.block_hash(header)
        assert codec.encode_header(header).hex() == row["header"]
        assert show(block_hash) == row["hash_shown"]
        assert (f"{header.bits:08x}", header.nonce) == (row["bits"], row["nonce"])
        assert pow.encode_bits(pow.decode_bits(header.bits)) == header.bits
        rules.check_proof_of_work(header, block_hash)
