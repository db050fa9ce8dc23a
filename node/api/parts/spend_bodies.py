"""A signed transaction as a request's JSON: its bytes in hex, or its fields. Every version of the coin's rules."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from ...core import codec
from ...core.coin import Coin
from ...core.errors import Malformed
from ...core.types import COIN_ASSET, HASH_SIZE, MAX_MEMO, SIGNATURE_SIZE, Burn, Issue, Mint, Payment, Spend, Transfer
from ..http.errors import BadField, MalformedTransfer

# Anything that fits is handed to the rules, whose words are better; the bound is that of a signed 64-bit integer.
Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Text = Annotated[str, Meta(max_length=200)]
_HIGHEST_RULES: Final = max(codec.MAX_SPEND)


class SpendBody(Struct, forbid_unknown_fields=True):
    """A signed transaction: `raw` alone (its bytes in hex), or the fields of its `version` (1 where it is not named).

    1: sender, receiver, amount, fee, sequence, signature. 2 (payment): sender, receiver, amount, fee, sequence,
    witness, and asset unless it is the coin. 3 (issue): sender, receiver, amount, max_supply, symbol, name, fee,
    sequence, witness, and decimals and content. 4 (mint): sender, asset, receiver, amount, fee, sequence, witness.
    5 (burn): sender, asset, amount, fee, sequence, witness. All may have a memo. Amounts in base units, bytes in hex.
    """

    raw: Annotated[str, Meta(max_length=2 * codec.MAX_SPEND[_HIGHEST_RULES])] | UnsetType = UNSET
    version: Annotated[int, Meta(ge=0, le=255)] | UnsetType = UNSET
    sender: _Text | UnsetType = UNSET
    receiver: _Text | UnsetType = UNSET
    amount: Number | UnsetType = UNSET
    fee: Number | UnsetType = UNSET
    sequence: Number | UnsetType = UNSET
    signature: _Text | UnsetType = UNSET
    asset: _Text | UnsetType | None = UNSET
    """An asset's id; null: the coin."""
    max_supply: Number | UnsetType = UNSET
    symbol: _Text | UnsetType = UNSET
    name: _Text | UnsetType = UNSET
    decimals: Annotated[int, Meta(ge=0, le=255)] | UnsetType = UNSET
    content: _Text | UnsetType = UNSET
    """SHA-256 of a document or picture."""
    witness: Annotated[str, Meta(max_length=2 * 65_535)] | UnsetType = UNSET
    memo: Annotated[str, Meta(max_length=1_000)] = ""
    replace: bool = True
    """Whether it may take the place of a waiting one with its sequence; if not, that is 409 `bad_sequence`."""


_COMMON = ("sender", "fee", "sequence")
_WANTED: Final = {
    1: (*_COMMON, "receiver", "amount", "signature"),
    2: (*_COMMON, "receiver", "amount", "witness"),
    3: (*_COMMON, "receiver", "amount", "max_supply", "symbol", "name", "witness"),
    4: (*_COMMON, "asset", "receiver", "amount", "witness"),
    5: (*_COMMON, "asset", "amount", "witness"),
}
"""Fields that a version must have."""
_ALLOWED: Final = {1: (), 2: ("asset",), 3: ("decimals", "content"), 4: (), 5: ()}
"""Fields that it may have beside them."""
_LAST_VERSION: Final = {1: 1, 2: 5}


def parse_spend(coin: Coin, body: SpendBody) -> Spend:
    """The transaction that a body means; no rule is checked. Raises BadField, BadAddress, MalformedTransfer."""
    given = {name: value for name in _FIELDS if (value := getattr(body, name)) is not UNSET}
    if body.raw is not UNSET:
        if given or body.memo:
            raise BadField("raw: give raw alone, or the fields without it", field="raw")
        return decode_raw(from_hex(body.raw, "raw"), coin)
    version = given.pop("version", 1)
    last = _LAST_VERSION[coin.rules]
    if not 1 <= version <= last:
        raise BadField(
            f"version: {version} (this coin has rules {coin.rules}, with versions 1 to {last})",
            field="version",
            expected=f"1 to {last}",
            found=version,
        )
    missing = [name for name in _WANTED[version] if name not in given]
    if missing:
        raise BadField(
            f"{', '.join(missing)}: missing (a transaction of version {version} has them all, or raw)",
            field=missing[0],
            missing=missing,
        )
    strange = [name for name in given if name not in _WANTED[version] + _ALLOWED[version]]
    if strange:
        raise BadField(f"{', '.join(strange)}: not of a transaction of version {version}", field=strange[0])
    return _made(coin, version, given, memo_bytes(body.memo))


_FIELDS: Final = tuple([name for name in SpendBody.__struct_fields__ if name not in ("raw", "memo", "replace")])


def _made(coin: Coin, version: int, given: dict[str, Any], memo: bytes) -> Spend:
    for name in ("sender", "receiver"):
        if name in given:
            given[name] = coin.payload(given[name])
    if version == 1:
        signature = _bytes(given.pop("signature"), "signature", SIGNATURE_SIZE)
        return Transfer(memo=memo, signature=signature, **given)
    given["witness"] = from_hex(given["witness"], "witness")
    if version == 3:
        content = given.pop("content", bytes(HASH_SIZE).hex())
        given |= {
            "symbol": _short(given["symbol"], "symbol"),
            "name": _short(given["name"], "name"),
            "decimals": given.get("decimals", 0),
            "content": _bytes(content, "content", HASH_SIZE),
        }
        return Issue(memo=memo, **given)
    asset = given.get("asset")
    given["asset"] = COIN_ASSET if asset is None else _bytes(asset, "asset", HASH_SIZE)
    made: type[Payment | Mint | Burn] = {2: Payment, 4: Mint, 5: Burn}[version]
    return made(memo=memo, **given)


def _short(text: str, name: str) -> bytes:
    """UTF-8 that has room behind a length of one byte; the rest is the rules' affair."""
    raw = text.encode()
    if len(raw) > 255:
        raise BadField(f"{name}: {len(raw)} bytes of UTF-8", field=name, found=len(raw))
    return raw


def memo_bytes(memo: str) -> bytes:
    """A memo's bytes. Raises BadField over 140 of them."""
    raw = memo.encode()
    if len(raw) > MAX_MEMO:
        raise BadField(
            f"memo: {len(raw)} bytes of UTF-8, at most {MAX_MEMO}",
            field="memo",
            expected=f"at most {MAX_MEMO} bytes",
            found=len(raw),
        )
    return raw


def decode_raw(raw: bytes, coin: Coin) -> Spend:
    """Bytes as one transaction. Raises MalformedTransfer (400: unlike a block's, these were not understood at all)."""
    try:
        return codec.decode_spend(raw, rules=coin.rules)
    except Malformed as error:
        raise MalformedTransfer(error.message, **error.details) from None


def from_hex(text: str, name: str) -> bytes:
    """The bytes of a field `name` that is hex. Raises BadField."""
    try:
        if text and not text.isalnum():  # fromhex would skip spaces
            raise ValueError
        return bytes.fromhex(text)
    except ValueError:
        raise BadField(f"{name}: not hex", field=name, expected="hex digits, two a byte") from None


def _bytes(text: str, name: str, size: int) -> bytes:
    raw = from_hex(text, name)
    if len(raw) != size:
        raise BadField(f"{name}: {size} bytes, in hex", field=name, expected=f"{2 * size} hex digits", found=len(text))
    return raw
