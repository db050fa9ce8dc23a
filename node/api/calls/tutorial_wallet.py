"""Sends from the node's own wallet, for the tutorial's calls; on a development network it makes accounts for names.

A tutorial's reader types names of people, who have no keys and no coins. On a development network a name gets its key
when it is first used, and an account that sends for the first time gets what it lacks from the coin's `faucet`; where
that needs a block, one is mined. Elsewhere an unknown name is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ...chain.mempool import Accepted
from ...core.errors import BadSequence, InsufficientFunds
from ...core.types import Transfer
from ...service import Node
from ...store import accounts, blocks, mining
from ...store.unconfirmed import entries
from ...system.shares import BLOCK_WAITS
from ...wallet.derive import DEVELOPMENT_NAMES, FAUCET, development_key
from ...wallet.errors import NameTaken
from ...wallet.keystore import add_key, sign_transfer
from ...wallet.names import check_name, name_key
from ..endpoint import Call
from ..http.errors import JobFailed, NotNow, UnknownName
from ..parts.api_parts import ApiParts
from .identify import find_account
from .v1_mining import await_job, await_worker, create_job

log = logging.getLogger("moneyer.api")

GIFT: Final = 1_000
"""Coins that the faucet pays at least: as many as the five published accounts have."""
_BLOCK_SECONDS: Final = 30.0
"""For one block of the faucet's."""
_GIFT_TRIES: Final = 3
"""Blocks: another node's faucet may have used the sequence, or the block may have been on its way before."""
_SEND_TRIES: Final = 5
"""A sequence may just have been used by a block, or by another program that has the same key."""


def send(node: Node, parts: ApiParts, sender: bytes, receiver: bytes, amount: int, fee: int, memo: bytes) -> Accepted:
    """Sign and submit a transfer with the sender's next sequence; amounts in base units, accounts as payloads.

    Two sends at once take two sequences. Raises WalletError (not this wallet's key, locked) and RuleError.
    """
    return send_as(node, parts, node.wallet.secret_for(sender), sender, receiver, amount, fee, memo)


def send_as(
    node: Node,
    parts: ApiParts,
    secret: bytes,
    sender: bytes,
    receiver: bytes,
    amount: int,
    fee: int,
    memo: bytes,
    signed: Callable[[Transfer], None] | None = None,
) -> Accepted:
    """As `send`, with the secret key of `sender`. Raises RuleError, and what `signed` does.

    `signed` is called with the transfer before it is submitted, and again where it has to be signed anew.
    """
    tries = _SEND_TRIES
    with parts.sending:
        while True:
            tries -= 1
            sequence = node.mempool.next_sequence(sender)
            transfer = sign_transfer(secret, node.coin.chain_id, receiver, amount, fee, sequence, memo)
            if signed is not None:
                signed(transfer)
            try:
                return node.mempool.accept_transfer(transfer, replace=False)
            except BadSequence:  # a block that came meanwhile used it, or another program sent with the same key
                if not tries:
                    raise


@dataclass(slots=True)
class FirstUse:
    """What was made and paid for one call. `paid`: base units, and the height of the block they are in."""

    made: list[str] = field(default_factory=list)
    paid: tuple[str, int, int] | None = None


def find_or_make(node: Node, who: str, where: str, first: FirstUse) -> bytes:
    """The payload of a name or an address; on a development network a name that isn't there is made.

    Raises UnknownName, BadName, BadAddress, WalletError.
    """
    try:
        return find_account(node.coin, node.wallet, who, where)
    except UnknownName:
        if not node.wallet.development:
            raise
    name = check_name(who)
    key = development_key(name)
    try:
        add_key(node.keys.path, name, key)
        first.made.append(name)
        log.info("the account %s was made: %s", name, node.coin.address(key.payload))
    except NameTaken:  # by another call, or the wallet holds the key under another name
        if node.wallet.name_of(key.payload) is None:
            raise
    return key.payload


def give_first_coins(
    node: Node, call: Call[object, object], who: str, sender: bytes, needed: int, first: FirstUse
) -> None:
    """Pay an account of a development network that has never sent, and lacks `needed` base units, from the faucet.

    Returns once they are in a block. An account that has sent before is left as it is, and so is one of the five
    published ones. Raises NoWorker, NoPlace, JobFailed, NotNow, CallerGone, RuleError.
    """
    if not _may_be_given(node, who, sender) or _balance(node, sender) >= needed:
        return
    lock = call.parts.first_coins
    with call.parts.flights.places.of(BLOCK_WAITS).hold(call.remote):
        if not lock.acquire(timeout=_BLOCK_SECONDS):
            raise NotNow("other accounts are being given their first coins: try again")
        try:
            if _balance(node, sender) < needed:
                _pay(node, call, who, sender, needed, first)
        finally:
            lock.release()


def _may_be_given(node: Node, who: str, sender: bytes) -> bool:
    key = name_key(who)
    if not node.wallet.development or key in (*DEVELOPMENT_NAMES, FAUCET) or node.wallet.payload_of(who) != sender:
        return False
    return node.mempool.next_sequence(sender) == 0 and development_key(who).payload == sender


def _pay(node: Node, call: Call[object, object], who: str, sender: bytes, needed: int, first: FirstUse) -> None:
    faucet, fee = development_key(FAUCET), node.config.min_fee
    amount = max(GIFT * 10**node.coin.decimals, needed)
    if _balance(node, faucet.payload) < amount + fee:
        return  # the transfer is refused with what is missing
    await_worker(node)
    txid = b""
    for _ in range(_GIFT_TRIES):
        if not _waits(node, txid):
            try:
                txid = send_as(node, call.parts, faucet.secret, faucet.payload, sender, amount, fee, b"").txid
            except InsufficientFunds:  # it has paid others, and no block has come since
                return
        height = _mine(node, call)
        if _balance(node, sender) >= needed:
            first.paid = (check_name(who), amount, height)
            return
    raise NotNow(f"the faucet's coins for {check_name(who)} are on their way: try again")


def _mine(node: Node, call: Call[object, object]) -> int:
    """One block by the worker; the height of the tip then. Raises JobFailed, NotNow."""
    job = await_job(node, create_job(node, 1, None).job_id, _BLOCK_SECONDS, call)
    if job.state == mining.FAILED:
        raise JobFailed(f"the block could not be mined: {job.message}", job=job.job_id)
    if job.last_hash is None:
        raise NotNow("the block with the faucet's coins takes long: try again", job=job.job_id)
    with node.store.read() as conn:
        return blocks.tip(conn).height


def _balance(node: Node, payload: bytes) -> int:
    with node.store.read() as conn:
        return accounts.account(conn, payload).balance


def _waits(node: Node, txid: bytes) -> bool:
    with node.store.read() as conn:
        return entries.get(conn, txid) is not None
