"""`swaps/ID.json`: the swaps that a data folder takes part in. The folder is that of the coin which its owner gives.

A file has the terms, where the other coin's folder is, and each transaction that was signed for the swap, which is on
the disk before it is sent. What stands on the chains is not in it: that is looked up each time. The maker's secret is
not in it either: it is computed from his key on the first chain and `salt`, so that an encrypted wallet keeps it too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from ..contracts.swaps.swap_line import MAX_FILE, read_line, write_line
from ..contracts.swaps.swap_steps import Own, Role
from ..contracts.swaps.swap_terms import BadSwap, Half, Terms
from ..core import codec
from ..core.codec import tag_prefix
from ..core.errors import Malformed
from ..core.types import Spend
from ..system.decoding import prepare
from ..system.files import target
from ..system.words import quoted
from .errors import UnknownSwap, WalletMissing, WalletUnreadable
from .private_files import read_private, write_private
from .walletfile import Name

FOLDER: Final = "swaps"
SALT_SIZE: Final = 16
_TAG: Final = tag_prefix("moneyer/swap-secret")
_LARGEST: Final = 65_536
"""Bytes of one file; three transactions have 5,000 at most each, in hex twice that."""
_MOST: Final = 10_000
"""Swaps of one folder that are listed."""
_ID: Final = re.compile("[0-9a-f]{12}")

_Raw = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{2})*$", max_length=12_000, description="bytes in hex")]
_Payload = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{66}$", max_length=66, description="66 hex digits")]
_Salt = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$", max_length=32, description="32 hex digits")]


class _SwapFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a file. Signed transactions are empty until they are signed."""

    format: Literal["moneyer-swap"]
    version: Literal[1]
    role: Role
    line: Annotated[str, msgspec.Meta(max_length=MAX_FILE)]
    salt: _Salt
    other_folder: Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)]
    key_name: Name
    pays_from: _Payload
    pays_to: _Payload
    payment: _Raw
    claim: _Raw
    refund: _Raw
    claimed: bool = False


prepare(_SwapFile)


@dataclass(frozen=True, slots=True)
class SwapRecord:
    """One swap as a folder keeps it."""

    role: Role
    terms: Terms
    salt: bytes
    """16 random bytes, by which the secret of this swap differs from any other of the same key."""
    other_folder: Path
    """Data folder of the coin that is got."""
    key_name: str
    """Name of the swap's own key in both wallets."""
    pays_from: bytes
    """33-byte payload on the given coin: pays, and has it back."""
    pays_to: bytes
    """33-byte payload on the other coin: what is claimed goes there."""
    payment: Spend | None = None
    claim: Spend | None = None
    refund: Spend | None = None
    claimed: bool = False
    """Whether a node took the claim, or may have: from then on its secret is public."""

    @property
    def own(self) -> Own:
        """What the chains may not show."""
        return Own(has_paid=self.payment is not None, has_claimed=self.claimed)

    @property
    def gives(self) -> Half:
        return self.terms.first if self.role == "maker" else self.terms.second

    @property
    def gets(self) -> Half:
        return self.terms.second if self.role == "maker" else self.terms.first


def secret_of(key: bytes, salt: bytes) -> bytes:
    """The 32 bytes whose hash the swap has. `key`: the maker's 32-byte secret key on the first chain.

    A tagged hash: what is shown by a claim tells nothing of the key.
    """
    return sha256(_TAG + key + salt).digest()


def swap_ids(folder: Path) -> list[str]:
    """The swaps of a data folder, last the one that was changed last; none where it never had one. Raises OSError."""
    try:
        found = [path for path in (folder / FOLDER).iterdir() if path.suffix == ".json" and _ID.fullmatch(path.stem)]
    except FileNotFoundError:
        return []
    return [path.stem for path in sorted(found, key=lambda path: (path.stat().st_mtime, path.stem))[:_MOST]]


def find_swap(folder: Path, beginning: str) -> str:
    """The id that begins with these digits. Raises UnknownSwap, OSError."""
    known = swap_ids(folder)
    found = [each for each in known if beginning and each.startswith(beginning.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownSwap(f"{len(found)} swaps begin with {quoted(beginning)}: give more digits")
    raise UnknownSwap(f"there is no swap {quoted(beginning[:40])} in {folder}: `moneyer swap list` shows them")


def read_swap(folder: Path, swap_id: str) -> SwapRecord:
    """A swap. Raises UnknownSwap, WalletUnreadable, OSError."""
    path = _path(folder, swap_id)
    try:
        held = msgspec.json.decode(read_private(path, _LARGEST), type=_SwapFile)
        terms = read_line(held.line)
        if terms.swap_id != swap_id:
            raise WalletUnreadable(f"{path} is of another swap, {terms.swap_id}: was it renamed?")
        return SwapRecord(
            held.role,
            terms,
            bytes.fromhex(held.salt),
            Path(held.other_folder),
            held.key_name,
            bytes.fromhex(held.pays_from),
            bytes.fromhex(held.pays_to),
            _decoded(held.payment),
            _decoded(held.claim),
            _decoded(held.refund),
            held.claimed,
        )
    except WalletMissing:
        raise UnknownSwap(f"there is no swap {swap_id} in {folder}: `moneyer swap list` shows them") from None
    except (msgspec.MsgspecError, ValueError, RecursionError, Malformed, BadSwap):
        raise WalletUnreadable(
            f"{path} is damaged: put back a copy of it. Without one the swap's terms are in the line that the taker"
            " answered with, and its keys are in both wallets"
        ) from None


def write_swap(folder: Path, record: SwapRecord) -> None:
    """Keep a swap, in place of what was kept of it; it is on the disk when this returns. Raises OSError.

    The caller holds `locked(folder)`.
    """
    path = _path(folder, record.terms.swap_id)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    held = _SwapFile(
        "moneyer-swap",
        1,
        record.role,
        write_line(record.terms),
        record.salt.hex(),
        str(record.other_folder),
        record.key_name,
        record.pays_from.hex(),
        record.pays_to.hex(),
        _encoded(record.payment),
        _encoded(record.claim),
        _encoded(record.refund),
        record.claimed,
    )
    write_private(path, msgspec.json.format(msgspec.json.encode(held), indent=2) + b"\n", replace=True)


def answered(record: SwapRecord, terms: Terms) -> SwapRecord:
    """The maker's record with the taker's keys. Raises BadSwap where the answer is to other terms, or a second one."""
    if record.role != "maker" or terms.as_offered != record.terms.as_offered:
        raise BadSwap("this is no answer to the offer that was made here: its terms were changed")
    if record.terms.is_answered and terms != record.terms:
        raise BadSwap("this offer was answered by somebody else already: one offer is good for one swap")
    return replace(record, terms=terms)


def _encoded(spend: Spend | None) -> str:
    return "" if spend is None else codec.encode_transaction(spend).hex()


def _decoded(raw: str) -> Spend | None:
    return codec.decode_spend(bytes.fromhex(raw)) if raw else None


def _path(folder: Path, swap_id: str) -> Path:
    return target(folder / FOLDER) / f"{swap_id}.json"
