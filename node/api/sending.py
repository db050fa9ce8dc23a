"""Spend from the node's own wallet."""

from __future__ import annotations

import threading
from functools import cache
from typing import Final

from node.api.context import NodeContext
from node.core.errors import BadSequence
from node.mempool import Accepted
from node.wallet.sign import sign_transfer

_TRIES: Final = 5


@cache
def _lock_of(node: NodeContext) -> threading.Lock:
    return threading.Lock()


def send(node: NodeContext, sender: bytes, receiver: bytes, amount: int, fee: int, memo: bytes) -> Accepted:
    """Sign and submit a transfer with the sender's next sequence; amounts in base units, accounts as payloads.

    Two sends at once take two sequences. Raises WalletError (not this wallet's key, locked) and RuleError.
    """
    return send_as(node, node.wallet.secret_for(sender), sender, receiver, amount, fee, memo)


def send_as(
    node: NodeContext, secret: bytes, sender: bytes, receiver: bytes, amount: int, fee: int, memo: bytes
) -> Accepted:
    """As `send`, with the secret key of `sender`. Raises RuleError."""
    tries = _TRIES
    with _lock_of(node):
        while True:
            tries -= 1
            sequence = node.mempool.next_sequence(sender)
            transfer = sign_transfer(secret, node.coin.chain_id, receiver, amount, fee, sequence, memo)
            try:
                return node.mempool.accept_transfer(transfer, replace=False)
            except BadSequence:  # a block that came meanwhile used it, or another program sent with the same key
                if not tries:
                    raise
