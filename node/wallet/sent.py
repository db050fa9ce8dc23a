"""`sent/`: transfers signed under an idempotency key, stored before they are sent; a repeat sends the same bytes.

One file for each key, named by the key's SHA-256. Nothing in it is secret: a signed transfer is made to be passed on. A
command that is repeated with its key sends the same transfer, which the chain takes once, whatever was killed between.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import msgspec

from ..core import codec
from ..core.errors import Malformed
from ..core.types import Spend
from ..system.decoding import prepare
from .errors import WalletMissing, WalletUnreadable
from .private_files import read_private, write_private

FOLDER = "sent"
MAX_KEY = 200
"""Bytes of UTF-8 of a key: some four times a UUID's, and room for words."""
_MAX_FILE = 32_768
"""Bytes of one file; a transaction has 5,000 at most, in hex twice that."""


class _Sent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of one file."""

    format: Literal["moneyer-sent"]
    version: Literal[1]
    key: str
    chain_id: str
    raw: str
    """The transfer's bytes, in hex."""


prepare(_Sent)


def recall(data: Path, key: str, chain_id: bytes) -> Spend | None:
    """The transfer that was signed under `key`; None for a new key. The caller holds `locked(data)`.

    Raises WalletUnreadable for a damaged file, or one of another chain: that must not count as a new key.
    """
    path = _path(data, key)
    try:
        held = msgspec.json.decode(read_private(path, _MAX_FILE), type=_Sent)
        if (held.key, held.chain_id) != (key, chain_id.hex()):
            raise WalletUnreadable(f"{path} is of another coin or key: was it copied here? Move it away")
        return codec.decode_spend(bytes.fromhex(held.raw))
    except WalletMissing:
        return None
    except (msgspec.MsgspecError, ValueError, Malformed):
        raise WalletUnreadable(
            f"{path} is damaged: whether this was sent before cannot be known from it. Look at `moneyer history`, then "
            "send with another key"
        ) from None


def keep(data: Path, key: str, chain_id: bytes, transfer: Spend) -> None:
    """Store `transfer` under `key`; it is on the disk when this returns. Raises OSError.

    The caller holds `locked(data)`.
    """
    path = _path(data, key)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    held = _Sent("moneyer-sent", 1, key, chain_id.hex(), codec.encode_transaction(transfer).hex())
    write_private(path, msgspec.json.encode(held) + b"\n", replace=True)


def forget(data: Path, key: str) -> None:
    """Forget what was signed under `key`: a transfer that was refused, and that nobody else has. Raises OSError.

    The caller holds `locked(data)`.
    """
    _path(data, key).unlink(missing_ok=True)


def _path(data: Path, key: str) -> Path:
    return data / FOLDER / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
