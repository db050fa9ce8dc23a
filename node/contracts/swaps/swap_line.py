"""Terms as a line for a chat, or a file with that line: `moneyer-swap1:` and base64url of their bytes.

Little-endian: `digest 32 · patience u32 · first · second · checksum 8`, each half `chain_id 32 · amount u64 ·
confirmations u16 · refund_time u32 · payer_key 32 · receiver_key 32`. An offer has zeros for the taker's keys, its
answer has all four. The checksum, the first bytes of a SHA-256, is against slips of the hand; it protects nothing, and
nothing that a line says is believed before `swap_terms.check_offer`.
"""

from __future__ import annotations

import base64
import binascii
import struct
from hashlib import sha256
from typing import Final

from .swap_terms import NO_KEY, BadSwap, Half, Terms

LINE_START: Final = "moneyer-swap1:"
_HALF: Final = struct.Struct("<32sQHI32s32s")
_HEAD: Final = struct.Struct("<32sI")
_CHECKSUM: Final = 8
_SIZE: Final = _HEAD.size + 2 * _HALF.size + _CHECKSUM
LINE_LENGTH: Final = len(LINE_START) + -(-_SIZE * 4 // 3)
"""Characters of every line: no field has a length of its own."""
MAX_FILE: Final = LINE_LENGTH + 200
"""Characters of a file or an argument; what stands around a line is blank."""


def write_line(terms: Terms) -> str:
    """The line of an offer, or of an answer."""
    packed = _HEAD.pack(terms.digest, terms.patience) + b"".join(
        [
            _HALF.pack(
                half.chain_id, half.amount, half.confirmations, half.refund_time, half.payer_key, half.receiver_key
            )
            for half in (terms.first, terms.second)
        ]
    )
    return LINE_START + base64.urlsafe_b64encode(packed + _checksum(packed)).decode().rstrip("=")


def read_line(text: str) -> Terms:
    """The terms that a line says; a line that was broken by a chat is put together. Raises BadSwap."""
    if len(text) > MAX_FILE:
        raise BadSwap(f"this is no swap: a swap's line has {LINE_LENGTH} characters", found=len(text))
    line = "".join(text.split())
    if not line.startswith(LINE_START):
        raise BadSwap(f'this is no swap: its line begins with "{LINE_START}"')
    if len(line) != LINE_LENGTH:
        raise BadSwap(
            f"this swap's line was cut or lengthened: it has {len(line)} characters, and {LINE_LENGTH} are right",
            expected=LINE_LENGTH,
            found=len(line),
        )
    try:
        raw = base64.b64decode(line.removeprefix(LINE_START) + "=" * (-_SIZE * 4 % 3), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadSwap("this swap's line has characters that no line has: it was changed") from None
    packed = raw[:-_CHECKSUM]
    if raw[-_CHECKSUM:] != _checksum(packed):
        raise BadSwap("this swap's line was changed on its way: ask for it again")
    return _unpacked(packed)


def _unpacked(packed: bytes) -> Terms:
    digest, patience = _HEAD.unpack_from(packed)
    halves = [Half(*_HALF.unpack_from(packed, _HEAD.size + number * _HALF.size)) for number in range(2)]
    terms = Terms(digest, patience, *halves)
    if NO_KEY in (terms.first.payer_key, terms.second.receiver_key):
        raise BadSwap("this swap has no maker: the line was changed")
    if (terms.first.receiver_key == NO_KEY) != (terms.second.payer_key == NO_KEY):
        raise BadSwap("this swap has only one of the taker's two keys: the line was changed")
    return terms


def _checksum(packed: bytes) -> bytes:
    return sha256(b"moneyer-swap" + packed).digest()[:_CHECKSUM]
