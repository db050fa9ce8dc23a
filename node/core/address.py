"""Addresses: bech32m (BIP350) over the coin's `hrp` and a 33-byte payload (kind, then 32 bytes).

Text is `hrp 1 kind key checksum`: one symbol for the kind, then the key in 5-bit groups. Segwit's own helpers
fix lengths and versions that differ from ours, so the 30 lines of the BIP stand here.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Iterable
from functools import lru_cache, reduce
from operator import getitem, xor
from typing import Final

from .errors import BadAddress, quoted
from .types import KEY_KIND, PAYLOAD_SIZE, POLICY_KIND

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUE = {symbol: value for value, symbol in enumerate(_CHARSET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32M = 0x2BC830A3
_CHECKSUM_SIZE = 6
_KEY_SYMBOLS = 52  # 256 bits in groups of 5, the last padded with 4 zero bits
MAX_ADDRESS = 16 + 1 + 1 + _KEY_SYMBOLS + _CHECKSUM_SIZE

_OVERFLOW = tuple(
    reduce(xor, (generator for bit, generator in enumerate(_GENERATOR) if top >> bit & 1), 0) for top in range(32)
)
"""What the BIP adds to the checksum for each value of the 5 bits that a step shifts out of it."""
_GROUPS_OF_BASE32 = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", bytes(range(32)))
_SYMBOLS = bytes.maketrans(bytes(range(32)), _CHARSET.encode())


def _polymod(values: Iterable[int], checksum: int = 1) -> int:
    """The BIP's checksum of `values`, going on from that of those before them."""
    for value in values:
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value ^ _OVERFLOW[checksum >> 25]
    return checksum


def _tables() -> tuple[tuple[int, ...], ...]:
    """What each symbol of an address's data adds to the checksum, by its place: the BIP's sum is linear (by xor)."""
    last = tuple([_polymod(bytes([symbol, *bytes(_CHECKSUM_SIZE)]), 0) for symbol in range(32)])
    tables = [last]
    for _ in range(_KEY_SYMBOLS):
        tables.append(tuple([_polymod(bytes(1), added) for added in tables[-1]]))
    return tuple(reversed(tables))


_ADDED: Final = _tables()


def _expand(hrp: str) -> list[int]:
    return [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp]


@lru_cache(maxsize=16)
def _polymod_of(hrp: str) -> int:
    """Of an address whose symbols are all 0."""
    return _polymod([*_expand(hrp), *bytes(1 + _KEY_SYMBOLS + _CHECKSUM_SIZE)]) ^ _BECH32M


def encode_address(hrp: str, payload: bytes) -> str:
    """The lower-case address of a 33-byte payload."""
    # Base32 (RFC 4648) cuts bytes into the same groups of 5 bits; only its letters are others.
    key = b32encode(payload[1:]).rstrip(b"=").translate(_GROUPS_OF_BASE32)
    data = payload[:1] + key
    polymod = reduce(xor, map(getitem, _ADDED, data), _polymod_of(hrp))
    data += bytes([polymod >> 5 * (5 - i) & 31 for i in range(_CHECKSUM_SIZE)])
    return f"{hrp}1{data.translate(_SYMBOLS).decode()}"


def payloads_beginning(hrp: str, text: str) -> tuple[bytes, bytes] | None:
    """The lowest and the highest payload of addresses that begin with `text`, which ends anywhere behind the first 1.

    None where no address of this coin begins so. The checksum is not looked at.
    """
    text, start = text.lower(), f"{hrp}1"
    symbols = text.removeprefix(start)[: 1 + _KEY_SYMBOLS]
    if not text.startswith(start) or any(symbol not in _VALUE for symbol in symbols):
        return None
    found = []
    for filler in (0, 31):
        values = [_VALUE[symbol] for symbol in symbols]
        values += [filler] * (1 + _KEY_SYMBOLS - len(values))
        number = 0
        for value in values[1:]:
            number = number << 5 | value
        found.append(bytes([values[0]]) + (number >> 4).to_bytes(PAYLOAD_SIZE - 1, "big"))
    return found[0], found[1]


_LAST_KIND: Final = {1: KEY_KIND, 2: POLICY_KIND}
"""The highest kind of address in use, by the coin's rules."""


@lru_cache(maxsize=4_096)
def decode_address(hrp: str, text: str, rules: int) -> bytes:
    """The 33-byte payload of an address of this coin. Raises BadAddress with the first thing that is wrong.

    `rules`: the coin's: under rules 1 every address is a key's.

    Right ones are kept: to decode one takes 30 µs, half of what a node spends on telling its balance.
    """
    length = len(hrp) + 2 + _KEY_SYMBOLS + _CHECKSUM_SIZE
    if len(text) > MAX_ADDRESS:
        raise _none(f"it has {len(text)} characters, and an address of this coin has {length}", text)
    _check_letters(text)
    prefix, separator, symbols = text.lower().rpartition("1")
    if not separator or prefix != hrp:
        if _is_whole(prefix, symbols):
            raise BadAddress(
                f"this is an address of another coin: it begins with {prefix}1, and ours with {hrp}1",
                expected=hrp,
                found=prefix,
            )
        raise _none(f"an address of this coin begins with {hrp}1", text)
    strange = next((place for place, symbol in enumerate(symbols) if symbol not in _VALUE), None)
    if strange is not None:
        place = len(prefix) + 1 + strange
        raise _none(f"character {place + 1}, {quoted(text[place])}, stands in no address behind the first 1", text)
    if len(text) != length:
        raise _none(f"it has {len(text)} characters, and an address of this coin has {length}", text)
    if not _is_whole(prefix, symbols):
        raise _none("it has a typing error, its checksum does not fit", text)
    data = [_VALUE[symbol] for symbol in symbols]
    return _payload(data[:-_CHECKSUM_SIZE], text, _LAST_KIND[rules])


def _none(why: str, text: str) -> BadAddress:
    return BadAddress(f"no address: {why}", found=ascii(text)[1:-1][:MAX_ADDRESS])


def _check_letters(text: str) -> None:
    """Raises BadAddress unless all is of a-z and 0-9, or all of A-Z and 0-9."""
    # Unicode has letters that lower() turns into ASCII: the Kelvin sign is one.
    for place, letter in enumerate(text):
        if not (letter.isascii() and letter.isalnum()):
            raise _none(f"character {place + 1}, {quoted(ascii(letter)[1:-1])}, is none of a-z and 0-9", text)
    if text not in (text.lower(), text.upper()):
        raise _none("it is partly in capitals; an address is all lower case or all upper case", text)


def _is_whole(prefix: str, symbols: str) -> bool:
    """Whether the symbols behind a prefix are as many as an address has, and their checksum holds."""
    if not prefix or len(symbols) != 1 + _KEY_SYMBOLS + _CHECKSUM_SIZE or any(each not in _VALUE for each in symbols):
        return False
    return _polymod(_expand(prefix) + [_VALUE[symbol] for symbol in symbols]) == _BECH32M


def _payload(data: list[int], text: str, last_kind: int) -> bytes:
    if data[0] > last_kind:
        why = f"addresses of kind {data[0]} are reserved"
        if data[0] == POLICY_KIND:
            why = "this is the address of a contract, and this coin has none: it has rules 1"
        raise BadAddress(why, expected=last_kind, found=data[0])
    number = 0
    for value in data[1:]:
        number = number << 5 | value
    if number & 15:
        raise BadAddress("the address has padding that is not zero", found=text)
    return bytes(data[:1]) + (number >> 4).to_bytes(PAYLOAD_SIZE - 1, "big")
