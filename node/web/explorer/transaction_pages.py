"""One transaction: its way in steps, its proof as a tree, its bytes by field; and what waits for a block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ...api.calls.assets.v1_policies import next_moment
from ...api.calls.v1_accounts import show_account
from ...api.calls.v1_blocks import show_block_summary
from ...api.calls.v1_transactions import PoolQuery, pool, proof, raw_transaction, show_transaction
from ...api.shapes.v1 import Proof, TransactionView
from ...core.codec import sha256d, show, unshow
from ...core.policy import decode_witness
from ...system.shares import DEAR_READS
from ..frame.drawn_policy import DrawnPolicy, draw_policy, key_names
from ..frame.pages import Page, Visit, content_of, page
from .home_page import upcoming

LISTED: Final = 100
"""Transfers of the mempool on its page."""
_WAITED_FOR: Final = 25
"""Senders of which the page says what their transfers wait for; each is a look at their account."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of a transaction, and what they say."""

    name: str
    hex: str
    says: str
    about: str


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a Merkle proof, from the leaf up: two hashes as shown, and which of them is on the way."""

    left: str
    right: str
    is_right: bool


@page("/tx/{txid}", bound=DEAR_READS)
def transaction(visit: Visit[None]) -> Page:
    txid = visit.call.path["txid"]
    view, tip = content_of(visit.ask(show_transaction, txid=txid))
    raw = visit.ask(raw_transaction, txid=txid)
    found = visit.ask(proof, txid=txid) if view.status == "confirmed" else None
    content = {
        "tx": view,
        "raw": parts_of(view, raw),
        "levels": levels_of(found) if found else [],
        "root": None if found is None else visit.ask(show_block_summary, block=found.block_hash),
        "waits_for": waits_for(visit, view.sender, view.sequence) if view.status == "waiting" else None,
        "proof": found,
        "policy": met_policy(visit, view) if view.policy else None,
    }
    if found is not None:
        content["root"], _ = content_of(content["root"])
    return Page("transaction.html", content, tip=tip)


def met_policy(visit: Visit[None], view: TransactionView) -> DrawnPolicy:
    """The policy that a contract's spend shows, with the leaves that its witness names."""
    raw, _, items = decode_witness(bytes.fromhex(view.witness or ""))
    named = {item.index for item in items}
    contract = visit.viewer.names.contracts.get(view.sender or "")
    name_of = key_names(visit.node.coin, visit.viewer.names, contract)
    return draw_policy(visit.node.coin, raw, next_moment(visit.node), name_of, named)


def levels_of(found: Proof) -> list[Level]:
    """The hashes of a proof, level by level, each computed from the one below."""
    at, position, levels = unshow(found.txid), found.position, []
    for sibling in map(unshow, found.branch):
        is_right = bool(position & 1)
        left, right = (sibling, at) if is_right else (at, sibling)
        levels.append(Level(show(left), show(right), is_right))
        at, position = sha256d(left + right), position >> 1
    return levels


def parts_of(view: TransactionView, raw: bytes) -> list[Part]:
    """The bytes of a transaction, field by field (docs/protocol.md, Transactions)."""
    parts: list[Part] = []

    def take(size: int, name: str, says: object, about: str) -> None:
        start = sum(len(part.hex) for part in parts) // 2
        parts.append(Part(name, raw[start : start + size].hex(), str(says), about))

    if view.kind == "coinbase":
        extra = len(view.extra or "") // 2
        take(1, "version", 0, "0: a coinbase, which mints a block's reward")
        take(4, "height", view.height, "its block's height, so that no two coinbases are the same")
        take(33, "receiver", view.receiver, "who is paid")
        take(8, "amount", view.amount, "base units, the lowest byte first")
        take(1, "length", extra, "bytes of extra that follow")
        take(extra, "extra", f"{extra} bytes", "the miner's own; in genesis the digest of the coin's file")
        return [part for part in parts if part.hex]
    if view.kind != "transfer":
        _take_envelope(view, raw, take)
        return [part for part in parts if part.hex]
    memo = len((view.memo or "").encode())
    take(1, "version", 1, "1: a transfer")
    take(33, "sender", view.sender, "who pays: the kind of address, then the public key")
    take(33, "receiver", view.receiver, "who is paid")
    take(8, "amount", view.amount, "base units, the lowest byte first")
    take(8, "fee", view.fee, "base units, for the miner")
    take(8, "sequence", view.sequence, "the sender's counter: no transfer can be used twice")
    take(1, "length", memo, "bytes of memo that follow")
    take(memo, "memo", view.memo, "text of the sender's")
    take(64, "signature", "BIP340", "made with the sender's secret key over all bytes before, and this coin's chain")
    return [part for part in parts if part.hex]


def _take_envelope(view: TransactionView, raw: bytes, take: Callable[[int, str, object, str], None]) -> None:
    """The fields of versions 2 to 5 (docs/protocol.md, rules 2)."""
    about = {"payment": "units of an asset, or coins", "issue": "a new asset", "mint": "more of an asset"}
    take(1, "version", view.version, f"{view.version}: {about.get(view.kind, 'units of an asset cease to be')}")
    take(33, "sender", view.sender, "who signs: the kind of address, then the public key or the hash of a policy")
    take(8, "fee", view.fee, "base units of the coin, for the miner")
    take(8, "sequence", view.sequence, "the sender's counter: nothing can be used twice")
    if view.kind in ("mint", "burn"):
        take(32, "asset", view.asset, "its id")
    if view.kind != "burn":
        take(33, "receiver", view.receiver, "who gets the units")
    if view.kind == "payment":
        take(32, "asset", view.asset or "the coin", "its id; zeros for the coin")
    take(8, "amount", view.amount, "units, the lowest byte first")
    if view.kind == "issue":
        _take_terms(view, take)
    memo, witness = len((view.memo or "").encode()), len(view.witness or "") // 2
    take(1, "length", memo, "bytes of memo that follow")
    take(memo, "memo", view.memo, "text of the sender's")
    take(2, "length", witness, "bytes of witness that follow, the lowest first")
    of_key = "made with the sender's secret key over all bytes before, and this coin's chain"
    take(witness, "witness", "BIP340" if not view.policy else f"{witness} bytes", of_key if not view.policy else _MET)


_MET: Final = "the sender's policy, and the leaves of it that are met"


def _take_terms(view: TransactionView, take: Callable[[int, str, object, str], None]) -> None:
    """The terms of an issue, which never change."""
    symbol, name = len(view.symbol or ""), len((view.name or "").encode())
    take(8, "max_supply", view.max_supply, "units that there may ever be")
    take(1, "decimals", view.decimals, "digits after the point, for people")
    take(1, "length", symbol, "bytes of symbol that follow")
    take(symbol, "symbol", view.symbol, "chosen by the issuer; others may have the same")
    take(1, "length", name, "bytes of name that follow")
    take(name, "name", view.name, "chosen by the issuer; others may have the same")
    take(32, "content", view.content, "SHA-256 of a document or picture; zeros for none")


def waits_for(visit: Visit[object], sender: str, sequence: int) -> int | None:
    """The sequence that must come before a waiting transfer can be mined; None where its run is unbroken now."""
    account, _ = content_of(visit.ask(show_account, address=sender))
    following: int = account.pending.next_sequence
    return following if following < sequence else None


@page("/mempool", bound=DEAR_READS)
def mempool(visit: Visit[None]) -> Page:
    found, _ = content_of(visit.ask(pool, PoolQuery(limit=LISTED)))
    gaps: dict[str, int | None] = {}
    for each in found.transactions:
        if each.status == "waiting" and each.sender not in gaps and len(gaps) < _WAITED_FOR:
            gaps[each.sender] = waits_for(visit, each.sender, each.sequence)
    rates = [each.fee / each.size for each in found.transactions]
    content = {"pool": found, "gaps": gaps, "next": upcoming(visit), "rates": rates, "listed": LISTED}
    return Page("mempool.html", content | {"min_fee": visit.node.config.min_fee})
