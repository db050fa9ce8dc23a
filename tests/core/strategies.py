"""Hypothesis strategies for the values of the protocol: every value that the wire can carry, valid or not."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from moneyer.node.core.address import encode_address
from moneyer.node.core.coin import Coin
from moneyer.node.core.policy import MAX_DEPTH, AfterHeight, AfterTime, Hash, Key, Leaf, Policy, Threshold
from moneyer.node.core.types import (
    MAX_MONEY,
    Block,
    Burn,
    Coinbase,
    Header,
    Issue,
    Mint,
    Payment,
    Spend,
    Transaction,
    Transfer,
)

u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
hashes = st.binary(min_size=32, max_size=32)
kinds = st.sampled_from([b"\0", b"\0", b"\1", b"\2", b"\xff"])
payloads = st.builds(bytes.__add__, kinds, hashes)

headers = st.builds(Header, version=u32, prev_hash=hashes, merkle_root=hashes, timestamp=u32, bits=u32, nonce=u32)
coinbases = st.builds(
    Coinbase,
    height=u32,
    receiver=payloads,
    amount=u64,
    extra=st.binary(max_size=100).filter(lambda extra: len(extra) != 17),
)
transfers = st.builds(
    Transfer,
    sender=payloads,
    receiver=payloads,
    amount=u64,
    fee=u64,
    sequence=u64,
    memo=st.binary(max_size=255),
    signature=st.binary(min_size=64, max_size=64),
)
_common: dict[str, Any] = {
    "sender": payloads,
    "fee": u64,
    "sequence": u64,
    "memo": st.binary(max_size=255),
    "witness": st.binary(max_size=300) | st.binary(min_size=64, max_size=64),
}
short_texts = st.binary(max_size=255)
payments = st.builds(Payment, **_common, receiver=payloads, asset=hashes, amount=u64)
issues = st.builds(
    Issue,
    **_common,
    receiver=payloads,
    amount=u64,
    max_supply=u64,
    decimals=st.integers(0, 255),
    symbol=short_texts,
    name=short_texts,
    content=hashes,
)
mints = st.builds(Mint, **_common, asset=hashes, receiver=payloads, amount=u64)
burns = st.builds(Burn, **_common, asset=hashes, amount=u64)
envelopes: st.SearchStrategy[Payment | Issue | Mint | Burn] = st.one_of(payments, issues, mints, burns)
spends: st.SearchStrategy[Spend] = st.one_of(transfers, envelopes)
transactions: st.SearchStrategy[Transaction] = st.one_of(coinbases, spends)
blocks = st.builds(Block, header=headers, transactions=st.lists(transactions, max_size=4).map(tuple))

leaves: st.SearchStrategy[Leaf] = st.one_of(
    st.builds(Key, hashes), st.builds(Hash, hashes), st.builds(AfterHeight, u32), st.builds(AfterTime, u32)
)


@st.composite
def policies(draw: st.DrawFn, depth: int = 1, leaves: st.SearchStrategy[Leaf] = leaves) -> Policy:
    """Trees of up to four levels and few children, most of them valid; a key may stand twice."""
    if depth == MAX_DEPTH or draw(st.integers(0, depth)):
        return draw(leaves)
    children = draw(st.lists(policies(depth + 1, leaves), min_size=2, max_size=5))
    return Threshold(draw(st.integers(1, len(children))), tuple(children))


_texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64)
_odd = st.text(st.sampled_from("\x00\x07\b\t\n\f\r\x1b\x7f\x80\x85\u2028\ufeff\"'\\#[]= 𝄞éa"), min_size=1, max_size=64)


@st.composite
def coins(draw: st.DrawFn) -> Coin:
    """Coins that a file can hold, names and messages the odder the better."""
    hrp = draw(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=16))
    retarget = draw(st.booleans())
    block_time = draw(st.integers(2 if retarget else 1, 86400))
    keys_ = draw(st.lists(st.binary(min_size=32, max_size=32), max_size=4, unique=True))
    rules = draw(st.sampled_from([1, 2]))
    kinds = st.sampled_from([b"\0", b"\1"][:rules])
    rows = tuple((encode_address(hrp, draw(kinds) + each), draw(st.integers(1, 10**12))) for each in keys_)
    message = draw(_texts | _odd | st.just(""))
    return Coin(
        name=draw(_texts | _odd),
        symbol=draw(st.text("ABCXYZ0189", min_size=1, max_size=12)),
        hrp=hrp,
        decimals=draw(st.integers(0, 8)),
        timestamp=draw(st.integers(0, 2**32 - 2)),
        block_time=block_time,
        pow_limit=draw(st.sampled_from([0x207FFFFF, 0x1F00FFFF, 0x1D00FFFF, 0x2100FF00, 0x03123456, 0x01120000])),
        reward=draw(st.integers(0, MAX_MONEY)),
        message=message.encode()[:100].decode(errors="ignore"),
        retarget=retarget,
        difficulty_window=draw(st.integers(3, 1000)),
        max_block_bytes=draw(st.integers(10_000, 32_000_000)),
        clock_tolerance=draw(st.integers(1, min(7200, 6 * block_time) if retarget else 7200)),
        halving_interval=draw(st.integers(0, 2**32 - 1)),
        max_supply=draw(st.integers(sum(amount for _, amount in rows), MAX_MONEY)),
        premine=rows,
        rules=rules,
    )
