"""Of two broken rules the first of the protocol's order gives its code, for every version and every pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import pytest

from moneyer.node.core import codec, ledger, signing
from moneyer.node.core.assets import Asset
from moneyer.node.core.errors import RuleError
from moneyer.node.core.ledger import BlockContext, Ledger
from moneyer.node.core.policy import AfterHeight, Key, Threshold
from moneyer.node.core.rules import check_body_in_isolation, check_transaction_in_isolation
from moneyer.node.core.types import COIN_ASSET, MAX_MONEY, Account, Block, Burn, Coinbase, Header, Issue, Mint, Payment
from tests.kit.chains import burn, contract, easy_coin, issue, key, meet, mint, pay

Envelope = Payment | Issue | Mint | Burn

COIN = easy_coin(rules=2)
ALICE, BOB = key("alice"), key("bob")
ASSET = bytes([7]) * 32
RESERVED = b"\x02" + bytes(32)
OF_VERSION: dict[str, Envelope] = {
    "payment of the coin": pay(COIN, ALICE, BOB, 5, fee=1),
    "payment": pay(COIN, ALICE, BOB, 5, ASSET, fee=1),
    "issue": issue(COIN, ALICE, 5, 10, receiver=BOB, fee=1),
    "mint": mint(COIN, ALICE, ASSET, 5, receiver=BOB, fee=1),
    "burn": burn(COIN, ALICE, ASSET, 5, fee=1),
}

# in isolation

ISOLATION = (
    *("bad_receiver", "bad_sender", "bad_amount", "bad_asset", "bad_memo", "bad_sequence", "bad_witness"),
    "bad_signature",
)
"""The order of stage 4; then comes stage 5."""


def broken_alone(spend: Envelope) -> dict[str, dict[str, Any]]:
    """The changes that break each rule and no other."""
    changes: dict[str, dict[str, Any]] = {
        "bad_receiver": {"receiver": RESERVED},
        "bad_sender": {"sender": RESERVED},
        "bad_amount": {"fee": MAX_MONEY + 1},
        "bad_memo": {"memo": b"\xff"},
        "bad_sequence": {"sequence": MAX_MONEY + 1},
        "bad_witness": {"witness": bytes(63)},
        "bad_signature": {"witness": bytes(64)},
    }
    if isinstance(spend, Burn):
        del changes["bad_receiver"]  # it has none
    if isinstance(spend, Issue):
        changes["bad_asset"] = {"symbol": b"ticket"}
    elif not isinstance(spend, Payment):
        changes["bad_asset"] = {"asset": COIN_ASSET}
    return {code: changes[code] for code in ISOLATION if code in changes}


def code_alone(spend: Envelope) -> str:
    try:
        check_transaction_in_isolation(spend, 2)
    except RuleError as error:
        return error.code
    return "" if all(signing.verify_many(signing.signature_checks(COIN.chain_id, spend))) else "bad_signature"


PAIRS_ALONE = [
    (what, first, second)
    for what, spend in OF_VERSION.items()
    for first, second in combinations(broken_alone(spend), 2)
    if (first, second) != ("bad_witness", "bad_signature")  # one field has both
]


@pytest.mark.parametrize("what", OF_VERSION)
def test_each_rule_in_isolation_has_its_code(what: str) -> None:
    spend = OF_VERSION[what]
    assert code_alone(spend) == ""
    for code, changes in broken_alone(spend).items():
        assert code_alone(replace(spend, **changes)) == code


@pytest.mark.parametrize(("what", "first", "second"), PAIRS_ALONE)
def test_of_two_rules_in_isolation_the_first_has_its_code(what: str, first: str, second: str) -> None:
    changes = broken_alone(OF_VERSION[what])
    assert code_alone(replace(OF_VERSION[what], **changes[second], **changes[first])) == first


AMOUNTS: list[tuple[str, dict[str, Any], str]] = [
    ("payment", {"amount": 0}, "bad_amount"),
    ("payment", {"amount": MAX_MONEY, "fee": MAX_MONEY}, ""),
    ("payment", {"amount": MAX_MONEY + 1}, "bad_amount"),
    ("payment", {"amount": 2**64 - 1, "fee": 2**64 - 1}, "bad_amount"),
    ("payment of the coin", {"amount": 0}, "bad_amount"),
    ("payment of the coin", {"amount": MAX_MONEY, "fee": 0}, ""),
    ("payment of the coin", {"amount": MAX_MONEY, "fee": 1}, "bad_amount"),
    ("payment of the coin", {"amount": 1, "fee": 2**64 - 1}, "bad_amount"),
    ("issue", {"amount": 0}, ""),
    ("issue", {"amount": 10}, ""),
    ("issue", {"amount": 11}, "bad_amount"),
    ("issue", {"amount": 0, "max_supply": 0}, "bad_amount"),
    ("issue", {"max_supply": MAX_MONEY, "amount": MAX_MONEY, "fee": MAX_MONEY}, ""),
    ("issue", {"max_supply": MAX_MONEY + 1}, "bad_amount"),
    ("issue", {"max_supply": 2**64 - 1, "amount": 2**64 - 1}, "bad_amount"),
    ("mint", {"amount": 0}, "bad_amount"),
    ("mint", {"amount": MAX_MONEY, "fee": MAX_MONEY}, ""),
    ("mint", {"amount": MAX_MONEY + 1}, "bad_amount"),
    ("burn", {"amount": 0}, "bad_amount"),
    ("burn", {"amount": MAX_MONEY, "fee": MAX_MONEY}, ""),
    ("burn", {"amount": MAX_MONEY + 1}, "bad_amount"),
    ("issue", {"decimals": 8}, ""),
    ("issue", {"decimals": 9}, "bad_asset"),
    ("issue", {"symbol": b""}, "bad_asset"),
    ("issue", {"symbol": b"A" * 12}, ""),
    ("issue", {"symbol": b"A" * 13}, "bad_asset"),
    ("issue", {"symbol": b"A\n"}, "bad_asset"),
    ("issue", {"symbol": "É".encode()}, "bad_asset"),
    ("issue", {"symbol": "１".encode()}, "bad_asset"),
    ("issue", {"name": b""}, "bad_asset"),
    ("issue", {"name": b"n" * 64}, ""),
    ("issue", {"name": "é".encode() * 32}, ""),
    ("issue", {"name": b"n" * 65}, "bad_asset"),
    ("issue", {"name": b"\xff"}, "bad_asset"),
    ("issue", {"name": b"\xed\xa0\x80"}, "bad_asset"),  # a surrogate
    ("issue", {"name": b"\xc0\x80"}, "bad_asset"),  # a longer form of U+0000
    ("issue", {"name": b"\n"}, "bad_asset"),
    ("issue", {"name": b"\x1f"}, "bad_asset"),
    ("issue", {"name": b" "}, ""),
    ("issue", {"name": b"\x7e"}, ""),
    ("issue", {"name": b"\x7f"}, "bad_asset"),
    ("issue", {"name": "\x9f".encode()}, "bad_asset"),
    ("issue", {"name": "\xa0".encode()}, ""),
    ("issue", {"name": "\u202e\u2028\ufeff".encode()}, ""),  # valid; tools show it escaped
]


@pytest.mark.parametrize(("what", "changes", "code"), AMOUNTS)
def test_amounts_and_texts_at_their_edges(what: str, changes: dict[str, Any], code: str) -> None:
    assert code_alone(replace(OF_VERSION[what], **changes)) == (code or "bad_signature")


@pytest.mark.parametrize("what", OF_VERSION)
def test_under_rules_1_fields_of_a_later_version_are_malformed_before_all_else(what: str) -> None:
    """As their bytes are: whoever makes a transaction from fields must not get further."""
    for spend in (OF_VERSION[what], replace(OF_VERSION[what], sender=RESERVED, fee=2**60)):
        with pytest.raises(RuleError) as refused:
            check_transaction_in_isolation(spend, 1)
        assert refused.value.code == "malformed"


# in context

POLICY = Threshold(2, (Key(ALICE.payload[1:]), AfterHeight(10)))
OWNER = contract(POLICY)
CONTEXT = (
    *("bad_signature", "bad_sequence", "locked", "unknown_asset", "not_issuer"),
    *("over_max_supply", "insufficient_funds", "insufficient_asset"),
)
"""The order of stage 5."""
RICH = Account(100, 3)


@dataclass
class Scene:
    """A spend of a contract, and all that its block's ledger and place say of it; each rule can be broken in it."""

    spend: Envelope
    height: int = 10
    is_signed: bool = True
    account: Account = RICH
    issuer: bytes = OWNER
    minted: int = 5
    held: int = 5
    is_known: bool = True

    def code(self) -> str:
        state = Ledger({OWNER: self.account})
        if self.is_known:
            state.assets[ASSET] = Asset(self.issuer, b"T", b"t", 0, bytes(32), 10, self.minted, 0, 1)
            state.holdings[OWNER, ASSET] = self.held
        before = state.copy()
        coinbase = Coinbase(self.height, BOB.payload, COIN.subsidy(self.height) + self.spend.fee, b"")
        block = Block(Header(1, bytes(32), bytes(32), 0, 0, 0), (coinbase, self.spend))
        context = BlockContext(COIN.chain_id, self.height, lambda: 0)
        subsidy = COIN.subsidy(self.height)
        try:
            ledger.apply_block(state, block, context, subsidy=subsidy, signatures=[self.is_signed])
        except RuleError as error:
            assert state == before, "an error comes before anything has changed"
            return error.code
        ledger.undo_block(state, block, COIN.chain_id)
        assert state == before
        return ""


def break_signature(scene: Scene) -> None:
    scene.is_signed = False


def break_sequence(scene: Scene) -> None:
    scene.account = Account(scene.account.balance, 4)


def break_lock(scene: Scene) -> None:
    scene.height = 9


def break_known(scene: Scene) -> None:
    scene.is_known = False


def break_issuer(scene: Scene) -> None:
    scene.issuer = BOB.payload


def break_supply(scene: Scene) -> None:
    scene.minted = 6


def break_funds(scene: Scene) -> None:
    scene.account = Account(0, scene.account.sequence)


def break_holding(scene: Scene) -> None:
    scene.held = 4


BREAK: dict[str, Callable[[Scene], None]] = {
    "bad_signature": break_signature,
    "bad_sequence": break_sequence,
    "locked": break_lock,
    "unknown_asset": break_known,
    "not_issuer": break_issuer,
    "over_max_supply": break_supply,
    "insufficient_funds": break_funds,
    "insufficient_asset": break_holding,
}
_ALL = ("bad_signature", "bad_sequence", "locked", "insufficient_funds")
RULES_OF: dict[str, Sequence[str]] = {
    "payment of the coin": _ALL,
    "payment": (*_ALL, "unknown_asset", "insufficient_asset"),
    "issue": _ALL,
    "mint": (*_ALL, "unknown_asset", "not_issuer", "over_max_supply"),
    "burn": (*_ALL, "unknown_asset", "insufficient_asset"),
}


def scene_of(what: str) -> Scene:
    return Scene(meet(COIN, replace(OF_VERSION[what], sender=OWNER, sequence=3), POLICY, (0, 1), [ALICE]))


@pytest.mark.parametrize("what", OF_VERSION)
def test_each_rule_in_context_has_its_code_and_undoing_what_applies_leaves_no_trace(what: str) -> None:
    assert scene_of(what).code() == ""
    for code, broken in BREAK.items():
        scene = scene_of(what)
        broken(scene)
        assert scene.code() == (code if code in RULES_OF[what] else "")


@pytest.mark.parametrize(("first", "second"), list(combinations(CONTEXT, 2)))
@pytest.mark.parametrize("what", OF_VERSION)
def test_of_two_rules_in_context_the_first_has_its_code(what: str, first: str, second: str) -> None:
    scene = scene_of(what)
    BREAK[first](scene)
    BREAK[second](scene)
    broken = [code for code in (first, second) if code in RULES_OF[what]]
    assert scene.code() == (broken[0] if broken else "")


def test_the_order_is_by_transaction_first() -> None:
    """In isolation all of the first, then all of the second; the same in context."""
    payment = pay(COIN, ALICE, BOB, 5)
    first, second = replace(payment, witness=b""), replace(payment, receiver=RESERVED)
    assert [code_alone(each) for each in (first, second)] == ["bad_witness", "bad_receiver"]
    coinbase = Coinbase(1, BOB.payload, 0, b"")
    for spends, code in (((first, second), "bad_witness"), ((second, first), "bad_receiver")):
        transactions = (coinbase, *spends)
        txids = [codec.txid(each) for each in transactions]
        block = Block(Header(1, bytes(32), codec.merkle_root(txids), 0, 0, 0), transactions)
        with pytest.raises(RuleError) as refused:
            check_body_in_isolation(block, txids, 2)
        assert refused.value.code == code
