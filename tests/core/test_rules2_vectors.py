"""Every row of rules2.json that bytes alone can answer: policies, witnesses, assets, and chains under rules 2."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moneyer.node.core import codec, ledger, rules, signing
from moneyer.node.core.address import decode_address, encode_address
from moneyer.node.core.codec import show, unshow
from moneyer.node.core.coin import Coin
from moneyer.node.core.coinfile import coin_from_json, coin_from_toml, coin_to_toml
from moneyer.node.core.errors import BadAddress, BadCoin, BadReceiver, BadWitness, Locked, RuleError
from moneyer.node.core.policy import (
    AfterHeight,
    AfterTime,
    Hash,
    Item,
    Key,
    Policy,
    Threshold,
    check_exactly_enough,
    chosen_of,
    decode_policy,
    decode_witness,
    depth_of,
    encode_policy,
    encode_witness,
    exact_choices,
    nodes_of,
    payload_of_policy,
    policy_hash,
)
from moneyer.node.core.types import Burn, Issue, Mint, Payment, Spend, Transfer
from tests.conftest import REPOSITORY, vector_file
from tests.core.pure_node import PureNode

Vectors = dict[str, Any]
COPY = json.loads((REPOSITORY / "tests" / "vectors" / "rules2.json").read_text("utf-8"))
COIN = coin_from_json(COPY["chain"]["coin"])
NOW = 1_790_100_000
"""Later than every block of the vectors."""
BLOCKS = [bytes.fromhex(raw) for raw in COPY["chain"]["blocks"]]


def rows(*path: str) -> list[Any]:
    """Rows of rules2.json as parameters, each with its `why` or `name` as its id."""
    found = COPY
    for step in path:
        found = found[step]
    return [pytest.param(row, id=f"{number}-{row.get('why', row.get('name', ''))}") for number, row in enumerate(found)]


def state_of(node: PureNode) -> Vectors:
    """As the vectors write it."""
    tip, state = node.tree[node.tip], node.ledger
    whose: dict[bytes, list[Vectors]] = {}
    for (payload, asset), amount in sorted(state.holdings.items()):
        whose.setdefault(payload, []).append({"asset": asset.hex(), "amount": amount})
    payloads = {*state.accounts, *whose}
    return {
        "tip_shown": show(node.tip),
        "height": tip.tip.height,
        "work": f"{tip.tip.work:x}",
        "bits": f"{tip.block.header.bits:08x}",
        "median_time_past": node.context(node.tip).median_time_past,
        "accounts": {
            node.coin.address(payload): {**node.account(payload)._asdict(), "assets": whose.get(payload, [])}
            for payload in payloads
        },
        "assets": {
            asset_id.hex(): {
                "issuer": node.coin.address(asset.issuer),
                "symbol": asset.symbol.decode(),
                "name": asset.name.decode(),
                "decimals": asset.decimals,
                "max_supply": asset.max_supply,
                "content": asset.content.hex(),
                "minted": asset.minted,
                "burned": asset.burned,
            }
            for asset_id, asset in state.assets.items()
        },
    }


def check_sums(node: PureNode) -> None:
    """Both invariants of the whole ledger."""
    state, height = node.ledger, node.tree[node.tip].tip.height
    assert sum(account.balance for account in state.accounts.values()) == node.coin.issued(height)
    for asset_id, asset in state.assets.items():
        held = sum(amount for (_, held_asset), amount in state.holdings.items() if held_asset == asset_id)
        assert held == asset.minted - asset.burned
        assert asset.minted <= asset.max_supply
    assert all(amount > 0 for amount in state.holdings.values())


@pytest.fixture(scope="module")
def node_at_30() -> PureNode:
    node = PureNode(COIN)
    for raw in BLOCKS[:30]:
        node.accept(raw, NOW)
    return node


@pytest.fixture
def node(node_at_30: PureNode) -> PureNode:
    """A node at height 30 of its own."""
    return node_at_30.copy()


def test_the_copy_of_the_vectors_is_the_one_that_was_given() -> None:
    assert json.loads(vector_file("rules2.json").read_text("utf-8")) == COPY


# coins and addresses


@pytest.mark.parametrize("row", rows("coins"))
def test_a_coin_makes_its_genesis_block_and_its_file_says_rules_only_where_they_are_2(row: Vectors) -> None:
    made = coin_from_json(row["coin"])
    assert made.as_json() == {key: value for key, value in row["coin"].items() if (key, value) != ("rules", 1)}
    assert made.coin_digest.hex() == row["coin_digest"]
    assert codec.encode_block(made.genesis).hex() == row["genesis_block"]
    assert made.chain_id.hex() == row["chain_id"]
    assert show(made.chain_id) == row["genesis_hash_shown"]
    text = coin_to_toml(made)
    assert coin_from_toml(text).chain_id == made.chain_id
    assert ("\nrules" in text) == (made.rules == 2)
    if made.rules == 1:
        assert coin_from_toml(f"rules = 1\n{text}").chain_id == made.chain_id


@pytest.mark.parametrize("row", rows("coins_invalid"))
def test_a_coin_with_a_bad_field_is_refused_and_the_field_is_named(row: Vectors) -> None:
    fields = row["coin"] if "coin" in row else {**COIN.as_json(), row["field"]: row["value"]}
    with pytest.raises(BadCoin, match=row["field"]):
        coin_from_json(fields)


@pytest.mark.parametrize("row", rows("addresses"))
def test_an_address_and_its_payload_are_one(row: Vectors) -> None:
    payload = bytes.fromhex(row["payload"])
    assert encode_address(row["hrp"], payload) == row["address"]
    assert decode_address(row["hrp"], row["address"], 2) == payload
    assert decode_address(row["hrp"], row["address"].upper(), 2) == payload


@pytest.mark.parametrize("row", rows("addresses_invalid"))
def test_a_bad_address_is_refused(row: Vectors) -> None:
    with pytest.raises(BadAddress):
        decode_address("vec", row["address"], 2)


def test_an_upper_case_address_of_a_contract_is_valid() -> None:
    shout = COPY["address_upper_case_is_valid"]
    assert encode_address("vec", decode_address("vec", shout, 2)) == shout.lower()


def test_under_rules_1_no_address_is_a_contracts() -> None:
    for address in COPY["addresses_invalid_under_rules_1"]:
        decode_address("vec", address, 2)
        with pytest.raises(BadAddress, match="rules 1"):
            decode_address("vec", address, 1)


# policies


def policy_of(tree: Vectors) -> Policy:
    """A policy as the vectors write it."""
    match tree:
        case {"key": key}:
            return Key(bytes.fromhex(key))
        case {"hash": digest}:
            return Hash(bytes.fromhex(digest))
        case {"after_height": height}:
            return AfterHeight(height)
        case {"after_time": time}:
            return AfterTime(time)
        case {"threshold": k, "of": children}:
            return Threshold(k, tuple(map(policy_of, children)))
    raise AssertionError(tree)


KINDS = {Key: "key", Hash: "hash", AfterHeight: "after_height", AfterTime: "after_time"}


@pytest.mark.parametrize("row", rows("policies"))
def test_a_policy_has_these_bytes_this_address_and_these_exact_choices(row: Vectors) -> None:
    policy, raw = policy_of(row["tree"]), bytes.fromhex(row["policy"])
    assert encode_policy(policy) == raw
    assert len(raw) == row["size"]
    shape = decode_policy(raw)
    assert shape.policy == policy
    assert policy_hash(raw).hex() == row["hash"]
    assert encode_address("vec", payload_of_policy(raw)) == row["address"]
    assert (nodes_of(policy), depth_of(policy), len(shape.leaves)) == (row["nodes"], row["depth"], row["leaves"])
    assert [KINDS[type(leaf)] for leaf in shape.leaves] == row["kinds"]
    for named in row["exactly_enough"]:
        check_exactly_enough(shape, named)
    for bad in row["not_exactly_enough"]:
        with pytest.raises(BadWitness):
            check_exactly_enough(shape, bad["named"])
    if row.get("exactly_enough_is_complete", True):
        every = dict.fromkeys(range(len(shape.leaves)), True)
        assert sorted(exact_choices(policy, every)) == sorted(map(tuple, row["exactly_enough"]))


@pytest.mark.parametrize("row", rows("policies_invalid"))
def test_bytes_that_are_no_policy_are_a_bad_witness(row: Vectors) -> None:
    with pytest.raises(BadWitness):
        decode_policy(bytes.fromhex(row["policy"]))


@pytest.mark.parametrize("row", rows("policies_random"))
def test_a_random_policy_is_judged_as_by_the_other_implementation(row: Vectors) -> None:
    raw = bytes.fromhex(row["policy"])
    if not row["valid"]:
        with pytest.raises(BadWitness):
            decode_policy(raw)
        return
    shape = decode_policy(raw)
    assert encode_policy(shape.policy) == raw
    assert policy_hash(raw).hex() == row["hash"]
    assert len(shape.leaves) == row["leaves"]
    for case in row["named"]:
        try:
            check_exactly_enough(shape, case["leaves"])
            found = True
        except BadWitness:
            found = False
        assert found == case["exactly_enough"], case


# transactions


def spend_of(fields: Vectors, witness: bytes) -> Spend:
    """A transaction from the fields of a row."""
    sender, memo = COIN.payload(fields["sender"]), fields["memo"].encode()
    common = (sender, fields["fee"], fields["sequence"], memo, witness)
    receiver = COIN.payload(fields["receiver"]) if "receiver" in fields else b""
    asset, amount = bytes.fromhex(fields.get("asset", "")), fields["amount"]
    match fields["version"]:
        case 2:
            return Payment(*common, receiver, asset, amount)
        case 3:
            texts = (fields["symbol"].encode(), fields["name"].encode(), bytes.fromhex(fields["content"]))
            return Issue(*common, receiver, amount, fields["max_supply"], fields["decimals"], *texts)
        case 4:
            return Mint(*common, asset, receiver, amount)
    return Burn(*common, asset, amount)


def signed_again(spend: Spend, row: Vectors) -> bytes:
    """The witness that the row's secret keys make over the row's digest, with 32 zero bytes of randomness."""
    digest, secrets, fields = bytes.fromhex(row["digest"]), COPY["transactions_secret_keys"], row["fields"]
    if "policy" not in fields:
        return signing.sign(bytes.fromhex(secrets[fields["sender"]]), digest, bytes(32))
    _, shape, items = decode_witness(bytes.fromhex(row["witness"]))
    assert [{"index": item.index, "item": item.data.hex()} for item in items] == [
        {"index": each["index"], "item": each.get("item", "")} for each in fields["items"]
    ]
    again = []
    for item in items:
        leaf, data = shape.leaves[item.index], item.data
        if isinstance(leaf, Key) and leaf.key.hex() in secrets:
            data = signing.sign(bytes.fromhex(secrets[leaf.key.hex()]), digest, bytes(32))
        again.append(Item(item.index, data))
    assert chosen_of(shape, [item.index for item in items]).hex() == row["chosen"]
    return encode_witness(bytes.fromhex(fields["policy"]), again)


@pytest.mark.parametrize("row", rows("transactions"))
def test_a_transaction_is_signed_and_encoded_to_these_bytes(row: Vectors) -> None:
    raw, chain_id = bytes.fromhex(row["raw"]), bytes.fromhex(row["chain_id"])
    spend = codec.decode_spend(raw)
    assert spend == spend_of(row["fields"], bytes.fromhex(row["witness"]))
    assert codec.encode_transaction(spend) == raw
    assert codec.encode_unsigned(spend).hex() == row["unsigned"]
    assert codec.transaction_size(spend) == len(raw) == row["size"]
    assert show(codec.txid(spend)) == row["txid_shown"]
    assert unshow(row["txid_shown"]) == codec.txid(spend)
    assert codec.sighash(chain_id, spend, bytes.fromhex(row["chosen"])).hex() == row["digest"]
    assert not isinstance(spend, Transfer)
    assert signed_again(spend, row) == spend.witness
    if isinstance(spend, Issue):
        assert codec.asset_id(chain_id, spend).hex() == row["fields"]["asset_id"]
    rules.check_transaction_in_isolation(spend, 2)
    assert all(signing.verify_many(signing.signature_checks(chain_id, spend)))


@pytest.mark.parametrize("row", rows("transfers_v1_to_kind_1"))
def test_a_transfer_to_a_contract_is_valid_under_rules_2_only(row: Vectors) -> None:
    transfer = codec.decode_spend(bytes.fromhex(row["raw"]))
    assert show(codec.txid(transfer)) == row["txid_shown"]
    rules.check_transaction_in_isolation(transfer, 2)
    assert all(signing.verify_many(signing.signature_checks(COIN.chain_id, transfer)))
    with pytest.raises(BadReceiver):
        rules.check_transaction_in_isolation(transfer, 1)


def judge(raw: bytes, coin: Coin) -> Spend:
    """What a transaction shows without a chain. Raises the error of the first rule that it breaks."""
    spend = codec.decode_spend(raw, rules=coin.rules)
    rules.check_transaction_in_isolation(spend, coin.rules)
    if not all(signing.verify_many(signing.signature_checks(coin.chain_id, spend))):
        raise ledger.bad_signature()
    return spend


@pytest.mark.parametrize("row", [*rows("transactions_invalid"), *rows("transactions_random")])
def test_a_bad_transaction_is_refused_with_its_code(row: Vectors) -> None:
    with pytest.raises(RuleError) as refused:
        judge(bytes.fromhex(row["raw"]), COIN)
    assert refused.value.code == row["code"]


@pytest.mark.parametrize("row", rows("transactions_in_context", "refused"))
def test_a_transaction_that_does_not_fit_the_chain_is_refused_with_its_code(row: Vectors, node: PureNode) -> None:
    before = state_of(node)
    spend = judge(bytes.fromhex(row["raw"]), COIN)
    with pytest.raises(RuleError) as refused:
        ledger.apply_spend(node.ledger, spend, node.block_context(node.tip))
    assert refused.value.code == row["code"]
    assert state_of(node) == before
    if "details" in row:
        assert {name: refused.value.details[name] for name in row["details"]} == row["details"]


def test_transactions_that_fit_the_chain_apply_one_after_the_other(node: PureNode) -> None:
    for row in COPY["transactions_in_context"]["accepted"]:
        spend = judge(bytes.fromhex(row["raw"]), COIN)
        assert show(codec.txid(spend)) == row["txid_shown"]
        ledger.apply_spend(node.ledger, spend, node.block_context(node.tip))


# chains


def test_the_chain_connects_its_invariants_hold_and_undoing_it_gives_every_state_again() -> None:
    node = PureNode(COIN)
    states = [node.ledger.copy()]
    for height, raw in enumerate(BLOCKS, start=1):
        assert node.accept(raw, NOW) == "extended"
        assert codec.encode_block(codec.decode_block(raw)) == raw
        check_sums(node)
        states.append(node.ledger.copy())
        if height == 30:
            assert state_of(node) == COPY["chain"]["state_at_30"]
    assert state_of(node) == COPY["chain"]["state"]
    state = node.ledger.copy()
    for height in range(len(BLOCKS), 0, -1):
        ledger.undo_block(state, codec.decode_block(BLOCKS[height - 1]), COIN.chain_id)
        assert state == states[height - 1], height


def test_a_reorg_takes_assets_away_and_the_way_back_brings_them_again() -> None:
    node = PureNode(COIN)
    for raw in BLOCKS:
        node.accept(raw, NOW)
    for part in ("reorg", "reorg_back"):
        answers = [node.accept(bytes.fromhex(raw), NOW) for raw in COPY[part]["blocks"]]
        assert answers == ["side_branch"] * (len(answers) - 1) + ["reorganized"]
        assert state_of(node) == COPY[part]["state"]
        check_sums(node)
        undone, other = (bytes.fromhex(COPY["reorg"][name]) for name in ("undone_asset", "other_terms"))
        assert (undone in node.ledger.assets, other in node.ledger.assets) == (part != "reorg", part == "reorg")


def test_the_contracts_of_the_chain_have_these_addresses_and_its_assets_these_ids() -> None:
    for row in COPY["chain"]["contracts"]:
        assert encode_policy(policy_of(row["tree"])).hex() == row["policy"]
        assert COIN.address(payload_of_policy(bytes.fromhex(row["policy"]))) == row["address"]
    issues = [each for raw in BLOCKS for each in codec.decode_block(raw).transactions if isinstance(each, Issue)]
    assert {codec.asset_id(COIN.chain_id, each).hex() for each in issues} == set(COPY["chain"]["state"]["assets"])
    assert set(COPY["chain"]["names"].values()) <= set(COPY["chain"]["state"]["assets"])


@pytest.mark.parametrize("row", rows("invalid_blocks", "blocks"))
def test_an_invalid_block_has_its_code_changes_nothing_and_the_true_one_follows(row: Vectors, node: PureNode) -> None:
    before = state_of(node)
    for _ in range(2):  # offered again it gets its own code again
        with pytest.raises(RuleError) as refused:
            node.accept(bytes.fromhex(row["raw"]), NOW)
        assert refused.value.code == row["code"]
        assert state_of(node) == before
    assert node.accept(bytes.fromhex(COPY["invalid_blocks"]["valid_after"]), NOW) == "extended"
    check_sums(node)


@pytest.mark.parametrize("row", rows("poison", "blocks"))
def test_a_false_body_does_not_condemn_the_true_block(row: Vectors, node: PureNode) -> None:
    with pytest.raises(RuleError) as refused:
        node.accept(bytes.fromhex(row["raw"]), NOW)
    assert refused.value.code == row["code"]
    assert node.accept(bytes.fromhex(COPY["poison"]["true_block"]), NOW) == "extended"


@pytest.mark.parametrize("row", rows("locked"))
def test_a_locked_spend_connects_from_its_height_and_time_on(row: Vectors, node: PureNode) -> None:
    spend, early = judge(bytes.fromhex(row["spend"]), COIN), bytes.fromhex(row["early"])
    with pytest.raises(Locked) as refused:
        node.accept(early, NOW)
    with pytest.raises(Locked) as alone:
        ledger.check_locks(spend, node.block_context(node.tip))
    for error in (refused, alone):
        assert {name: error.value.details[name] for name in row["details"]} == row["details"]
    fund = judge(bytes.fromhex(row["fund"]), COIN)
    assert fund in codec.decode_block(bytes.fromhex(row["between"])).transactions
    assert node.accept(bytes.fromhex(row["between"]), NOW) == "extended"
    ledger.check_locks(spend, node.block_context(node.tip))
    assert spend in codec.decode_block(bytes.fromhex(row["then"])).transactions
    assert node.accept(bytes.fromhex(row["then"]), NOW) == "extended"


def test_a_heavier_branch_with_a_bad_block_changes_nothing(node: PureNode) -> None:
    failed = COPY["failed_reorg"]
    assert state_of(node) == failed["state_before"]
    assert {node.accept(bytes.fromhex(raw), NOW) for raw in failed["branch"]} == {"side_branch"}
    with pytest.raises(RuleError) as refused:
        node.accept(bytes.fromhex(failed["last_bad"]), NOW)
    assert refused.value.code == failed["code"]
    assert state_of(node) == failed["state_before"]
    assert node.accept(bytes.fromhex(failed["last_good"]), NOW) == "reorganized"
    assert state_of(node) == failed["state"]
    check_sums(node)


# rules 1


@pytest.fixture
def old_node() -> PureNode:
    """A node of a coin of rules 1, at the end of its chain."""
    node = PureNode(coin_from_json(COPY["rules_1"]["coin"]))
    assert {node.accept(bytes.fromhex(raw), NOW) for raw in COPY["rules_1"]["blocks"]} == {"extended"}
    return node


def test_a_chain_of_rules_1_ends_with_these_balances_and_no_assets(old_node: PureNode) -> None:
    assert state_of(old_node) == COPY["rules_1"]["state"]


@pytest.mark.parametrize("row", rows("rules_1", "invalid_blocks"))
def test_under_rules_1_a_block_with_what_rules_2_add_is_refused(row: Vectors, old_node: PureNode) -> None:
    with pytest.raises(RuleError) as refused:
        old_node.accept(bytes.fromhex(row["raw"]), NOW)
    assert refused.value.code == row["code"]
    assert state_of(old_node) == COPY["rules_1"]["state"]


@pytest.mark.parametrize("row", rows("rules_1", "transactions_invalid"))
def test_under_rules_1_what_rules_2_add_is_refused(row: Vectors, old_node: PureNode) -> None:
    with pytest.raises(RuleError) as refused:
        judge(bytes.fromhex(row["raw"]), old_node.coin)
    assert refused.value.code == row["code"]
