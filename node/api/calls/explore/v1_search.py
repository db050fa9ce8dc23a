"""What a text may mean: a height, a hash, a txid, an address or a name, whole or their first digits.

Under rules 2 also an asset, by its id or its symbol.

`look_up` takes the text for each of these in turn; what is none of them costs no look at the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from msgspec import Meta, Struct
from sqlalchemy import Connection

from ....core.codec import show, unshow
from ....core.errors import BadAddress
from ....service import Node
from ....store import blocks, transactions
from ....store.assets import asset_pages
from ....store.assets.asset_pages import AssetRow
from ....store.blocks import BlockRow
from ....store.explore import digits as by_digits
from ....store.unconfirmed import entries
from ....system.words import quoted
from ....wallet.contacts import read_contacts
from ....wallet.errors import WalletError
from ....wallet.names import MAX_NAME, is_name, name_key
from ...endpoint import Call, endpoint
from ...shapes.explore import Found, Search
from ...shapes.render import address
from ..v1_blocks import status_of

MAX_TEXT: Final = 200
"""Characters of a text that is looked for: the longest address has 76, a hash 64."""
FEWEST_DIGITS: Final = 4
"""Of a hash or txid. Three are shared by one of 4,096."""
MOST: Final = 10
"""Results of one kind."""

_IN_NUMBERS = re.compile(r"[\s,._'’#\u00a0\u2009\u202f]")
"""What people write into a height."""
_SYMBOL = re.compile(r"[A-Z0-9]{1,12}", re.ASCII)
_HEIGHT = re.compile(r"[0-9]{1,10}", re.ASCII)
_DIGITS = re.compile(r"[0-9a-f]{1,64}", re.ASCII)


class SearchQuery(Struct):
    q: Annotated[str, Meta(max_length=MAX_TEXT)]
    """A height, a hash, a txid, an address or a name; or the first digits of one of these."""


@endpoint(
    "GET",
    "/v1/search",
    "What a text may mean: a height, hash, txid, address or name, or the first digits of one",
    reply=Search,
    query=SearchQuery,
)
def search(node: Node, call: Call[SearchQuery, None]) -> Search:
    return look_up(node, call.query.q, names=call.is_owner)


def look_up(node: Node, text: str, *, names: bool) -> Search:
    """Everything that `text` may mean, the likeliest first. `names`: whether those of the wallet and contacts are told.

    A text of more than `MAX_TEXT` characters means nothing.
    """
    looked = _Looked(text)
    wanted = " ".join(text.split())
    if not wanted:
        looked.for_.append("nothing: the text is empty")
        return looked.as_search()
    if len(wanted) > MAX_TEXT:
        looked.for_.append(f"nothing: the text has {len(wanted):,} characters, and nothing here has over {MAX_TEXT}")
        return looked.as_search()
    known = names_of(node) if names else {}
    with node.store.read() as conn:
        _look_for_height(conn, wanted, looked)
        _look_for_digits(conn, wanted, looked)
        if node.coin.rules > 1:
            _look_for_asset(conn, wanted, looked)
        _look_for_address(node, conn, wanted, known, looked)
    if names:
        _look_for_name(wanted, known, looked)
    if not looked.for_:
        kinds = "a height, a hash, a txid, an address" + (" or a name" if names else "")
        looked.for_.append(f"nothing: {quoted(wanted)} cannot be the beginning of {kinds}")
    return looked.as_search()


@dataclass(slots=True)
class _Looked:
    """What was found so far, each thing once."""

    text: str
    results: dict[str, Found] = field(default_factory=dict)
    for_: list[str] = field(default_factory=list)
    """What the text was taken for."""
    is_cut: bool = False

    def add(self, found: Iterator[Found]) -> None:
        """At most MOST of these."""
        for number, each in enumerate(found):
            if number == MOST:
                self.is_cut = True
                return
            held = self.results.setdefault(each.url, each)
            held.name = held.name or each.name

    def as_search(self) -> Search:
        return Search(self.text[:MAX_TEXT], list(self.results.values()), self.for_, self.is_cut)


def _look_for_height(conn: Connection, text: str, looked: _Looked) -> None:
    number = _IN_NUMBERS.sub("", text)
    if not _HEIGHT.fullmatch(number) or int(number) >= 2**32:
        return
    tip = blocks.tip_id(conn).height
    row = blocks.by_height(conn, int(number))
    looked.for_.append(f"a block of the main chain at height {int(number):,}; the tip is at {tip:,}")
    looked.add(iter([] if row is None else [_block(row)]))


def _look_for_digits(conn: Connection, text: str, looked: _Looked) -> None:
    digits = text.lower().removeprefix("0x")
    if not _DIGITS.fullmatch(digits):
        return
    if len(digits) == 64:
        whole = unshow(digits)
        looked.for_ += ["a block of this hash", "a transaction of this txid, confirmed or waiting"]
        row = blocks.by_hash(conn, whole)
        looked.add(iter([] if row is None else [_block(row)]))
        looked.add(_transaction(conn, whole))
        return
    if len(digits) < FEWEST_DIGITS:
        if not digits.isdigit():
            looked.for_.append(f"a hash or txid, of which at least {FEWEST_DIGITS} digits are needed")
        return
    looked.for_ += [f"a block whose hash begins with {digits}", f"a transaction whose txid begins with {digits}"]
    looked.add(map(_block, by_digits.blocks_beginning(conn, digits, MOST + 1)))
    confirmed = by_digits.transactions_beginning(conn, digits, MOST + 1)
    looked.add(_found_transaction(txid, "confirmed", place.height) for txid, place in confirmed)
    waiting = by_digits.waiting_beginning(conn, digits, MOST + 1)
    looked.add(found for txid in waiting for found in _transaction(conn, txid))


def _look_for_asset(conn: Connection, text: str, looked: _Looked) -> None:
    digits, symbol = text.lower().removeprefix("0x"), text.upper()
    if len(digits) >= FEWEST_DIGITS and _DIGITS.fullmatch(digits):
        looked.for_.append("an asset of this id" if len(digits) == 64 else f"an asset whose id begins with {digits}")
        looked.add(map(_asset, asset_pages.beginning(conn, digits, MOST + 1)))
    if text.isascii() and _SYMBOL.fullmatch(symbol):
        looked.for_.append(f"an asset of the symbol {symbol}")
        looked.add(map(_asset, asset_pages.newest(conn, MOST + 1, symbol=symbol)))


def _look_for_address(node: Node, conn: Connection, text: str, known: Mapping[str, str], looked: _Looked) -> None:
    if not text.lower().startswith(f"{node.coin.hrp}1"):
        return
    try:
        payloads = [node.coin.payload(text)]
        looked.for_.append("this address")
    except BadAddress as error:
        between = node.coin.payloads_beginning(text)
        looked.for_.append(f"an address that was used and begins with {quoted(text)} ({error.message})")
        payloads = [] if between is None else by_digits.accounts_between(conn, *between, MOST + 1)
    named = {address: name for name, address in known.items()}
    looked.add(_address(each, named.get(each)) for each in (address(node.coin, payload) for payload in payloads))


def _look_for_name(text: str, known: Mapping[str, str], looked: _Looked) -> None:
    if len(text) > MAX_NAME or not is_name(text):
        return
    key = name_key(text)
    looked.for_.append(f"an account or contact whose name begins with {quoted(text)}")
    alike = [name for name in known if name_key(name).startswith(key)]
    alike.sort(key=lambda name: (name_key(name) != key, name_key(name)))
    looked.add(_address(known[name], name) for name in alike)


def names_of(node: Node) -> dict[str, str]:
    """Name -> address, of the wallet and the contacts; a damaged file of contacts has none."""
    try:
        known = dict(read_contacts(node.config.data))
    except (WalletError, OSError):
        known = {}
    return known | {name: address(node.coin, payload) for name, payload in node.wallet.names.items()}


def _block(row: BlockRow) -> Found:
    block_hash = show(row.block_hash)
    return Found("block", block_hash, f"/block/{block_hash}", row.height, status_of(row))


def _transaction(conn: Connection, txid: bytes) -> Iterator[Found]:
    place = transactions.find(conn, txid)
    if place is not None:
        yield _found_transaction(txid, "confirmed", place.height)
    elif (row := entries.get(conn, txid)) is not None:
        yield _found_transaction(txid, "ready" if row.ready else "waiting", None)


def _found_transaction(txid: bytes, status: str, height: int | None) -> Found:
    return Found("transaction", show(txid), f"/tx/{show(txid)}", height, status)


def _asset(row: AssetRow) -> Found:
    asset = row.asset.hex()
    return Found("asset", asset, f"/assets/{asset}", row.height, symbol=row.symbol)


def _address(address: str, name: str | None) -> Found:
    return Found("address", address, f"/address/{address}", name=name)
