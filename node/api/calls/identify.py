"""Finds what a request names: a block by hash or height, a transaction by txid, an account by name or address."""

from __future__ import annotations

import re

from sqlalchemy import Connection

from ...core.codec import unshow
from ...core.coin import Coin
from ...core.signing import payable
from ...store import blocks
from ...store.blocks import BlockRow
from ...system.words import joined, nearest, quoted
from ...wallet.keystore import Wallet
from ...wallet.names import MAX_NAME
from ..http.errors import BadField, NotFound, UnknownName

_HEIGHT = re.compile(r"[0-9]{1,10}", re.ASCII)
_HASH = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_NAMED = 10
"""Names that a refusal lists."""


def parse_hash(text: str, field: str) -> bytes:
    """A hash as people write it. Raises BadField."""
    if not _HASH.fullmatch(text):
        raise BadField(f"a {field} is 64 hex digits", field=field, expected="64 hex digits", found=text[:80])
    return unshow(text)


def parse_asset(text: str) -> bytes:
    """An asset's id: plain hex, not turned round as hashes of blocks are. Raises BadField."""
    if not _HASH.fullmatch(text):
        raise BadField("an asset's id is 64 hex digits", field="asset", expected="64 hex digits", found=text[:80])
    return bytes.fromhex(text)


def find_block(conn: Connection, text: str) -> BlockRow:
    """A block by its hash, or the main chain's by its height. Raises BadField, NotFound."""
    if _HEIGHT.fullmatch(text):
        row = blocks.by_height(conn, int(text)) if int(text) < 2**32 else None
        if row is None:
            tip = blocks.tip(conn).height
            raise NotFound(f"there is no block at height {int(text)}: the tip is at {tip}", height=int(text), tip=tip)
        return row
    if not _HASH.fullmatch(text):
        raise BadField(
            "a block is named by its hash (64 hex digits) or its height",
            field="block",
            expected="64 hex digits or a height",
            found=text[:80],
        )
    row = blocks.by_hash(conn, unshow(text))
    if row is None:
        raise NotFound("this node has no block of that hash", hash=text.lower())
    return row


def find_account(coin: Coin, wallet: Wallet, who: str, field: str) -> bytes:
    """The payload of a name of the wallet, or of an address. Raises UnknownName, BadAddress."""
    payload = wallet.payload_of(who)
    if payload is not None:
        return payload
    if who.lower().startswith(f"{coin.hrp}1") or len(who) > MAX_NAME:
        return payable(coin, who)
    near = nearest(who, wallet.names)
    hint = f"; did you mean {near}?" if near else ""
    known = joined(list(wallet.names)[:_NAMED], "and") if wallet.names else "none"
    more = f", and {len(wallet.names) - _NAMED} more" if len(wallet.names) > _NAMED else ""
    raise UnknownName(
        f"{field}: this node's wallet knows no name {quoted(who)}{hint}. It knows {known}{more}; "
        f"`moneyer wallet new NAME` makes one, and an address (which begins with {coin.hrp}1) does as well",
        field=field,
        nearest=near,
        known=list(wallet.names)[:_NAMED],
    )
