"""Random chains of all versions: both invariants hold after every block, and undoing leaves no trace."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moneyer.node.core import codec, ledger, template
from moneyer.node.core.assets import Asset
from moneyer.node.core.errors import (
    InsufficientAsset,
    InsufficientFunds,
    Locked,
    OverMaxSupply,
    UnknownAsset,
)
from moneyer.node.core.ledger import BlockContext, BlockInvariantBroken, Effect, Ledger
from moneyer.node.core.policy import AfterHeight, AfterTime, Key, Threshold
from moneyer.node.core.types import COIN_ASSET, NO_ACCOUNT, Account, Burn, Issue, Mint, Payment, Spend, Transfer
from tests.kit.chains import ChainBuilder, burn, contract, easy_coin, issue, key, meet, mint, pay, sign, transfer

ALICE, BOB, CAROL = PEOPLE = [key(name) for name in ("alice", "bob", "carol")]
POLICY = Threshold(1, (Key(ALICE.payload[1:]), Threshold(2, (Key(BOB.payload[1:]), AfterHeight(4)))))
SHARED = contract(POLICY)
"""A contract's account: Alice may spend at once, Bob from height 4 on."""
ACCOUNTS = [*(person.payload for person in PEOPLE), SHARED]
COIN = easy_coin(
    premine=[*((person, 100_000) for person in PEOPLE), (easy_coin(rules=2).address(SHARED), 100_000)],
    rules=2,
    reward=13,
)


@dataclass(frozen=True)
class Move:
    """What somebody wants to do, with shares of what is there, per cent; `asset`: which of those that exist."""

    kind: str
    sender: int
    receiver: int
    share: int
    fee_share: int
    asset: int


share = st.sampled_from([0, 1, 30, 99, 100])
moves = st.builds(
    Move,
    kind=st.sampled_from(["transfer", "coin", "asset", "asset", "issue", "mint", "burn"]),
    sender=st.integers(0, 3),
    receiver=st.integers(0, 3),
    share=share,
    fee_share=share,
    asset=st.integers(0, 7),
)
plans = st.lists(st.tuples(st.integers(0, 3), st.lists(moves, max_size=6)), min_size=1, max_size=7)
Plan = list[tuple[int, list[Move]]]


def made_of(state: Ledger, move: Move) -> Spend | None:
    """The unsigned spend; None where there is nothing to move."""
    sender, receiver = ACCOUNTS[move.sender], ACCOUNTS[move.receiver]
    account = state.accounts.get(sender, NO_ACCOUNT)
    assets = sorted(state.assets)
    asset = assets[move.asset % len(assets)] if assets else COIN_ASSET
    fee = account.balance * move.fee_share // 1_000
    common = (sender, fee, account.sequence, b"", bytes(64))
    coins = max(1, (account.balance - fee) * move.share // 100)
    units = max(1, state.holdings.get((sender, asset), 0) * move.share // 100)
    match move.kind:
        case "transfer":
            return Transfer(sender, receiver, coins, fee, account.sequence, b"", bytes(64))
        case "coin":
            return Payment(*common, receiver, COIN_ASSET, coins)
        case "issue":
            most = 1 + move.asset * 10
            return Issue(*common, receiver, most * move.share // 100, most, 0, b"A", b"a", bytes(32))
        case "asset" if assets:
            return Payment(*common, receiver, asset, units)
        case "mint" if assets:
            known = state.assets[asset]
            room = known.max_supply - known.minted
            spend = Mint(*common, asset, receiver, max(1, room * move.share // 100))
            issuer = state.accounts.get(known.issuer, NO_ACCOUNT)
            return replace(spend, sender=known.issuer, sequence=issuer.sequence, fee=0)
        case "burn" if assets:
            return Burn(*common, asset, units)
    return None


def signed(spend: Spend, height: int) -> Spend | None:
    """By its sender, or by the contract's way that is open; None for a transfer of the contract, which there is not."""
    if spend.sender != SHARED:
        signer = next(person for person in PEOPLE if person.payload == spend.sender)
        return sign(COIN, spend, signer)
    if isinstance(spend, Transfer):
        return None
    return meet(COIN, spend, POLICY, (0,), [ALICE]) if height < 4 else meet(COIN, spend, POLICY, (1, 2), [BOB])


def draw_spends(chain: ChainBuilder, wanted: list[Move]) -> list[Spend]:
    """Spends of all versions that apply one after the other."""
    state, made = chain.ledger.copy(), []
    for move in wanted:
        unsigned = made_of(state, move)
        spend = signed(unsigned, chain.height + 1) if unsigned else None
        if spend is None:
            continue
        before = state.copy()
        try:
            ledger.apply_spend(state, spend, chain.next_context)
        except (InsufficientFunds, InsufficientAsset, OverMaxSupply):  # there is nothing left
            assert state == before
            continue
        made.append(spend)
    return made


def replay(chain: ChainBuilder) -> Ledger:
    """The chain's ledger by the protocol's words, with sums of all that ever happened and no checks."""
    balances: dict[bytes, int] = {}
    sequences: dict[bytes, int] = {}
    holdings: dict[tuple[bytes, bytes], int] = {}
    assets: dict[bytes, Asset] = {}

    def add(totals: dict[bytes, int], who: bytes, amount: int) -> None:
        totals[who] = totals.get(who, 0) + amount

    def hold(who: bytes, asset: bytes, amount: int) -> None:
        holdings[who, asset] = holdings.get((who, asset), 0) + amount

    for height, block in enumerate(chain.blocks):
        for each in block.transactions:
            if not isinstance(each, Spend):  # a coinbase
                add(balances, each.receiver, each.amount)
                continue
            add(balances, each.sender, -each.fee)
            add(sequences, each.sender, 1)
            if isinstance(each, Transfer) or (isinstance(each, Payment) and each.asset == COIN_ASSET):
                add(balances, each.sender, -each.amount)
                add(balances, each.receiver, each.amount)
            elif isinstance(each, Payment):
                hold(each.sender, each.asset, -each.amount)
                hold(each.receiver, each.asset, each.amount)
            elif isinstance(each, Issue):
                terms = (each.symbol, each.name, each.decimals, each.content, each.max_supply)
                asset = codec.asset_id(COIN.chain_id, each)
                assets[asset] = Asset(each.sender, *terms, minted=each.amount, burned=0, height=height)
                hold(each.receiver, asset, each.amount)
            elif isinstance(each, Mint):
                assets[each.asset] = replace(assets[each.asset], minted=assets[each.asset].minted + each.amount)
                hold(each.receiver, each.asset, each.amount)
            else:
                assets[each.asset] = replace(assets[each.asset], burned=assets[each.asset].burned + each.amount)
                hold(each.sender, each.asset, -each.amount)
    accounts = {who: Account(balances.get(who, 0), sequences.get(who, 0)) for who in {*balances, *sequences}}
    return Ledger(
        {who: account for who, account in accounts.items() if account != NO_ACCOUNT},
        assets,
        {where: amount for where, amount in holdings.items() if amount},
    )


def check_sums(chain: ChainBuilder) -> None:
    """Both invariants of the whole ledger."""
    state = chain.ledger
    assert sum(account.balance for account in state.accounts.values()) == COIN.issued(chain.height)
    assert all(account.balance >= 0 for account in state.accounts.values())
    assert NO_ACCOUNT not in state.accounts.values()
    assert all(amount > 0 for amount in state.holdings.values())
    for asset, known in state.assets.items():
        held = sum(amount for (_, each), amount in state.holdings.items() if each == asset)
        assert held == known.minted - known.burned
        assert known.minted <= known.max_supply


def part_of(state: Ledger, touched: ledger.Touched) -> Ledger:
    """What a node reads of the ledger for a block."""
    return Ledger(
        {who: state.accounts.get(who, NO_ACCOUNT) for who in touched.payloads},
        {asset: state.assets[asset] for asset in touched.assets if asset in state.assets},
        {where: state.holdings[where] for where in touched.holdings if where in state.holdings},
    )


def grown(plan: Plan, chain: ChainBuilder) -> list[Ledger]:
    """Adds the plan's blocks; the ledger before each of them."""
    history = []
    for miner, wanted in plan:
        history.append(chain.ledger.copy())
        chain.add(draw_spends(chain, wanted), receiver=ACCOUNTS[miner])
    return history


@settings(max_examples=150)
@given(plans)
def test_a_chain_of_all_versions_keeps_both_sums_and_can_be_taken_back_to_genesis(plan: Plan) -> None:
    chain = ChainBuilder(COIN)
    history = []
    for miner, wanted in plan:
        before = chain.ledger.copy()
        history.append(before)
        block = chain.add(draw_spends(chain, wanted), receiver=ACCOUNTS[miner])
        check_sums(chain)
        subsidy, touched = COIN.subsidy(chain.height), ledger.touched_by(block, COIN.chain_id)
        ledger.check_block_invariants(before, chain.ledger, subsidy)
        ledger.check_block_invariants(part_of(before, touched), part_of(chain.ledger, touched), subsidy)
        rest = ({*chain.accounts, *before.accounts} - touched.payloads, {*chain.ledger.holdings} - touched.holdings)
        assert all(chain.accounts.get(who) == before.accounts.get(who) for who in rest[0])
        assert all(chain.ledger.holdings[where] == before.holdings.get(where) for where in rest[1])
    assert chain.ledger == replay(chain)
    state = chain.ledger.copy()
    for height in range(chain.height, 0, -1):
        ledger.undo_block(state, chain.blocks[height], COIN.chain_id)
        assert state == history[height - 1]


@settings(max_examples=60)
@given(plans, st.integers(0, 7))
def test_several_blocks_are_undone_at_once_by_their_sum(plan: Plan, height: int) -> None:
    chain = ChainBuilder(COIN)
    history = [*grown(plan, chain), chain.ledger.copy()]
    height = min(height, chain.height)
    effect = Effect()
    touched: list[ledger.Touched] = []
    for block in chain.blocks[height + 1 :]:
        coinbase, _, spends = codec.outline_body(codec.encode_body(block.transactions))
        effect.add(COIN.chain_id, coinbase, spends)
        touched.append(ledger.touched_by(block, COIN.chain_id))
    state = chain.ledger.copy()
    ledger.undo(state, effect)
    assert state == history[height]
    assert effect.touched == ledger.Touched(
        {who for each in touched for who in each.payloads},
        {asset for each in touched for asset in each.assets},
        {where for each in touched for where in each.holdings},
    )


@settings(max_examples=60)
@given(plans, plans, st.integers(0, 7))
def test_a_reorg_of_all_versions_leaves_what_the_winner_alone_gives(first: Plan, second: Plan, fork: int) -> None:
    loser = ChainBuilder(COIN)
    grown(first, loser)
    fork = min(fork, loser.height)
    winner = loser.branch(fork, "winner")
    grown(second, winner)
    state = loser.ledger.copy()
    for block in reversed(loser.blocks[fork + 1 :]):
        ledger.undo_block(state, block, COIN.chain_id)
    for height, block in enumerate(winner.blocks[fork + 1 :], start=fork + 1):
        context = BlockContext(COIN.chain_id, height, lambda: 0)
        signatures = [True] * (len(block.transactions) - 1)
        ledger.apply_block(state, block, context, subsidy=COIN.subsidy(height), signatures=signatures)
    assert state == winner.ledger == replay(winner)


@settings(max_examples=60)
@given(plans, st.lists(moves, max_size=12), st.integers(0, 3_000))
def test_a_template_of_all_versions_applies_and_fits(plan: Plan, wanted: list[Move], room: int) -> None:
    chain = ChainBuilder(COIN)
    grown(plan, chain)
    locked = meet(COIN, pay_from_shared(0), LATER, (0, 1), [CAROL])
    ready = [locked, *draw_spends(chain, wanted)]
    before = chain.ledger.copy()
    chosen = template.select_spends(ready, chain.ledger, room, chain.next_context)
    assert chain.ledger == before
    assert sum(map(codec.transaction_size, chosen)) <= room
    assert locked not in chosen
    for each in chosen:
        ledger.apply_spend(before, each, chain.next_context)


LATER = Threshold(2, (Key(CAROL.payload[1:]), AfterHeight(1_000)))


def pay_from_shared(sequence: int) -> Payment:
    """Of the account of `LATER`, unsigned; it has nothing to pay with, but that is looked at after its lock."""
    return Payment(contract(LATER), 10_000, sequence, b"", b"", ALICE.payload, COIN_ASSET, 1)


# one by one


def test_an_asset_is_moved_minted_and_burned_in_the_block_that_issues_it_and_not_before() -> None:
    chain = ChainBuilder(COIN)
    made = issue(COIN, ALICE, 5, 10)
    asset = codec.asset_id(COIN.chain_id, made)
    later: list[Spend] = [
        pay(COIN, ALICE, BOB, 3, asset, sequence=1),
        mint(COIN, ALICE, asset, 5, sequence=2),
        burn(COIN, BOB, asset, 3),
    ]
    chain.branch(0, "in order").add([made, *later])
    with pytest.raises(UnknownAsset):
        chain.branch(0, "before").add([replace_sequence(later[0], 0), made])
    chain.add([made, *later])
    assert chain.ledger.holdings == {(ALICE.payload, asset): 7}
    assert (chain.ledger.assets[asset].minted, chain.ledger.assets[asset].burned) == (10, 3)
    ledger.undo_block(chain.ledger, chain.tip, COIN.chain_id)
    assert (chain.ledger.assets, chain.ledger.holdings) == ({}, {})


def replace_sequence(spend: Spend, sequence: int) -> Spend:
    """The same of Alice, at another place in her order."""
    return sign(COIN, replace(spend, sequence=sequence), ALICE)


def test_an_asset_whose_units_are_all_burned_stays_and_is_minted_while_there_is_room() -> None:
    chain = ChainBuilder(COIN)
    made = issue(COIN, ALICE, 5, 6)
    asset = codec.asset_id(COIN.chain_id, made)
    chain.add([made, burn(COIN, ALICE, asset, 5, sequence=1)])
    assert chain.ledger.holdings == {}
    with pytest.raises(OverMaxSupply):
        chain.branch(1, "too many").add([mint(COIN, ALICE, asset, 2, sequence=2)])
    chain.add([mint(COIN, ALICE, asset, 1, receiver=CAROL, sequence=2)])
    assert chain.ledger.holdings == {(CAROL.payload, asset): 1}


def test_an_account_that_only_holds_assets_is_none_and_is_sent_coins_to_move_them() -> None:
    stranger = key("stranger")
    chain = ChainBuilder(COIN)
    made = issue(COIN, ALICE, 5, 5, receiver=stranger)
    asset = codec.asset_id(COIN.chain_id, made)
    chain.add([made])
    assert stranger.payload not in chain.accounts
    onward = pay(COIN, stranger, BOB, 5, asset, fee=2)
    with pytest.raises(InsufficientFunds):
        chain.branch(1, "no coins").add([onward])
    chain.add([transfer(COIN, ALICE, stranger, 2, sequence=1), onward])
    assert chain.ledger.holdings == {(BOB.payload, asset): 5}
    assert chain.account(stranger) == Account(0, 1)


def test_a_payment_of_an_asset_to_oneself_changes_nothing_but_the_fee_and_the_sequence() -> None:
    chain = ChainBuilder(COIN)
    made = issue(COIN, ALICE, 5, 5)
    asset = codec.asset_id(COIN.chain_id, made)
    chain.add([made, pay(COIN, ALICE, ALICE, 5, asset, fee=1, sequence=1)], receiver=BOB)
    assert chain.ledger.holdings == {(ALICE.payload, asset): 5}
    assert chain.account(ALICE) == Account(99_999, 2)
    with pytest.raises(InsufficientAsset):
        chain.branch(1, "too many").add([pay(COIN, ALICE, ALICE, 6, asset, sequence=2)])


def test_the_same_terms_at_another_sequence_or_with_another_memo_are_another_asset_or_the_same() -> None:
    one = issue(COIN, ALICE, 5, 5)
    ids = {
        what: codec.asset_id(COIN.chain_id, made)
        for what, made in {
            "itself": one,
            "fee and memo": replace(one, fee=9, memo=b"hello", witness=b""),
            "sequence": replace(one, sequence=1),
            "terms": replace(one, max_supply=6),
            "receiver": replace(one, receiver=BOB.payload),
            "issuer": replace(one, sender=BOB.payload),
        }.items()
    }
    assert ids["fee and memo"] == ids["itself"]
    assert len(set(ids.values())) == len(ids) - 1
    assert codec.asset_id(bytes(32), one) != ids["itself"]


def at(height: int, median: int) -> BlockContext:
    return BlockContext(COIN.chain_id, height, lambda: median)


def test_a_named_height_and_time_must_both_have_come() -> None:
    policy = Threshold(3, (Key(ALICE.payload[1:]), AfterHeight(10), AfterTime(50)))
    spend = Payment(contract(policy), 0, 0, b"", b"", BOB.payload, COIN_ASSET, 1)
    spend = meet(COIN, spend, policy, (0, 1, 2), [ALICE])
    for height, median in ((9, 50), (10, 49), (9, 49)):
        with pytest.raises(Locked) as refused:
            ledger.check_locks(spend, at(height, median))
        assert (refused.value.details["height"], refused.value.details["time"]) == (10, 50)
    for height, median in ((10, 50), (11, 51)):
        ledger.check_locks(spend, at(height, median))


def test_the_clock_is_not_asked_where_no_time_is_named() -> None:
    """Nor where what is named is open in every block: the median takes a query of the database."""

    def never() -> int:
        raise AssertionError("the median time past was asked for")

    policy = Threshold(1, (AfterHeight(3), Key(ALICE.payload[1:])))
    state = Ledger({contract(policy): Account(10, 0), ALICE.payload: Account(10, 0)})
    unsigned = Payment(contract(policy), 0, 0, b"", b"", BOB.payload, COIN_ASSET, 1)
    context = BlockContext(COIN.chain_id, 3, never)
    for spend in (
        meet(COIN, unsigned, policy, (0,)),
        pay(COIN, ALICE, BOB, 1),
        transfer(COIN, ALICE, BOB, 1, sequence=1),
    ):
        ledger.apply_spend(state, spend, context)


@pytest.mark.parametrize(
    "change", ["a unit more", "a unit less", "minted", "burned", "over max_supply", "a coin more", "a holding lost"]
)
def test_sums_that_do_not_hold_are_found(change: str) -> None:
    chain = ChainBuilder(COIN)
    made = issue(COIN, ALICE, 5, 10)
    asset, where = codec.asset_id(COIN.chain_id, made), (ALICE.payload, codec.asset_id(COIN.chain_id, made))
    chain.add([made])
    before = chain.ledger.copy()
    chain.add([burn(COIN, ALICE, asset, 1, sequence=1)])
    after = chain.ledger.copy()
    ledger.check_block_invariants(before, after, COIN.subsidy(2))
    known = after.assets[asset]
    match change:
        case "a unit more" | "a unit less":
            after.holdings[where] += 1 if change == "a unit more" else -1
        case "minted":
            after.assets[asset] = replace(known, minted=known.minted + 1)
        case "burned":
            after.assets[asset] = replace(known, burned=known.burned - 1)
        case "over max_supply":
            after.assets[asset] = replace(known, minted=11)
            after.holdings[where] += 6
        case "a coin more":
            after.accounts[BOB.payload] = Account(after.accounts[BOB.payload].balance + 1, 0)
        case "a holding lost":
            del after.holdings[where]
    with pytest.raises(BlockInvariantBroken):
        ledger.check_block_invariants(before, after, COIN.subsidy(2))
