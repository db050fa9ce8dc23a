"""Addresses: bech32m (BIP350) over the coin's `hrp` and a 33-byte payload (kind, then 32 bytes).

Text is `hrp 1 kind key checksum`: one symbol for the kind, then the key in 5-bit groups. Segwit's own helpers
fix lengths and versions that differ from ours, so the 30 lines of the BIP stand here.
"""

from __future__ import annotations

from node.core.errors import BadAddress
from node.core.types import KEY_KIND, PAYLOAD_SIZE

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUE = {symbol: value for value, symbol in enumerate(_CHARSET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32M = 0x2BC830A3
_CHECKSUM_SIZE = 6
_KEY_SYMBOLS = 52  # 256 bits in groups of 5, the last padded with 4 zero bits
MAX_ADDRESS = 16 + 1 + 1 + _KEY_SYMBOLS + _CHECKSUM_SIZE


def _polymod(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                checksum ^= generator
    return checksum


def _expand(hrp: str) -> list[int]:
    return [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp]


def encode_address(hrp: str, payload: bytes) -> str:
    """The lower-case address of a 33-byte payload."""
    number = int.from_bytes(payload[1:], "big") << 4
    data = [payload[0]] + [number >> shift & 31 for shift in range(5 * (_KEY_SYMBOLS - 1), -1, -5)]
    polymod = _polymod(_expand(hrp) + data + [0] * _CHECKSUM_SIZE) ^ _BECH32M
    data += [polymod >> 5 * (5 - i) & 31 for i in range(_CHECKSUM_SIZE)]
    return f"{hrp}1{''.join(_CHARSET[value] for value in data)}"


def decode_address(hrp: str, text: str) -> bytes:
    """The 33-byte payload of an address of this coin. Raises BadAddress saying what is wrong."""
    if len(text) > MAX_ADDRESS:
        raise BadAddress("this is too long for an address", expected=f"at most {MAX_ADDRESS} characters")
    if not text.isascii():  # Unicode has letters that lower() turns into ASCII: the Kelvin sign is one
        raise BadAddress("an address has no letters but a-z", found=ascii(text))
    if text not in (text.lower(), text.upper()):
        raise BadAddress("an address is all lower case or all upper case", found=text)
    lower = text.lower()
    prefix, separator, symbols = lower.rpartition("1")
    if not separator or not prefix:
        raise BadAddress(f"this is no address: one begins with {hrp}1", expected=f"{hrp}1…", found=text)
    if prefix != hrp:
        raise BadAddress(f"this address is of another coin: ours begin with {hrp}1", expected=hrp, found=prefix)
    if len(symbols) != 1 + _KEY_SYMBOLS + _CHECKSUM_SIZE or any(symbol not in _VALUE for symbol in symbols):
        raise BadAddress(
            f"an address of this coin has {len(hrp) + 2 + _KEY_SYMBOLS + _CHECKSUM_SIZE} letters and digits",
            found=text,
        )
    data = [_VALUE[symbol] for symbol in symbols]
    if _polymod(_expand(hrp) + data) != _BECH32M:
        raise BadAddress("the address has a typing error: its checksum does not fit", found=text)
    return _payload(data[:-_CHECKSUM_SIZE], text)


def _payload(data: list[int], text: str) -> bytes:
    if data[0] != KEY_KIND:
        raise BadAddress(f"addresses of kind {data[0]} are reserved", expected=KEY_KIND, found=data[0])
    number = 0
    for value in data[1:]:
        number = number << 5 | value
    if number & 15:
        raise BadAddress("the address has padding that is not zero", found=text)
    return bytes([KEY_KIND]) + (number >> 4).to_bytes(PAYLOAD_SIZE - 1, "big")
