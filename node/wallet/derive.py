"""Derives keys: recovery phrase -> seed (BIP 39) -> secret key (BIP 32) at one path, which `docs/wallet.md` fixes."""

from __future__ import annotations

import difflib
import secrets
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from ..core.signing import is_secret, payload_of_key, public_key
from ..system.words import quoted
from .errors import BadPhrase
from .names import check_name, name_key

if TYPE_CHECKING:
    from mnemonic import Mnemonic

COIN_TYPE = 0x4D4E5952
"""`MNYR` in ASCII, 1296980306, for every Moneyer coin; not registered in SLIP-0044. Addresses depend on it."""

MAX_ACCOUNT = 2**31 - 1

DEVELOPMENT_PHRASE = "test test test test test test test test test test test junk"
"""A phrase that is published far beyond Moneyer (Hardhat): anybody can spend what its keys own."""

DEVELOPMENT_NAMES = ("alice", "bob", "carol", "dave", "erin")
"""Accounts 0 to 4 of the development phrase."""

FAUCET = "faucet"
"""The account of a development coin's genesis that pays first coins to a new sender."""

_DEVELOPMENT_SECRETS: Final = {
    "alice": "8beafad54a8852180f59c1a39970c98c3b0c73c89e818e7f887970a2b25c7bd7",
    "bob": "769f95fab309bbde2389b31c6d95375b78c73439a158e6b05318578c33b58a68",
    "carol": "34ad378e200cea38bb8d59573ceaefbe15c69e2de5baea9642c34b9cb85b0de4",
    "dave": "5903f28d3dcb526f2fd9325ee70270a68fb41a0c4d09ff2b0d584e9e1e6dcd01",
    "erin": "722e5c33f72bf9981c9c265a8cd6b3b68192da3751c4fb59a6ae42153073e727",
    FAUCET: "f06128f4dad9072448370a5f59e782f02d04ad4c125ea19f5a18034a07dd5970",
}
"""What the development phrase gives at their paths; a test derives them anew. Every first start of a development node
needs these, and would import `mnemonic`, `slip10` and `cryptography` (0.05 s) for nothing else."""

_PHRASE_LENGTHS = (12, 15, 18, 21, 24)
"""Words, as BIP 39 allows."""
_NEW_PHRASE_BITS = 128
"""Twelve words: the strength of the curve itself."""
_MAX_PHRASE = 24 * 16
"""Characters; the longest word has 8."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key pair."""

    secret: bytes = field(repr=False)
    """32 bytes."""
    public_key: bytes
    """32 bytes, x only (BIP 340)."""
    path: str | None = None
    """The path at which it was derived; None: it was not derived from a phrase."""

    @property
    def payload(self) -> bytes:
        """The 33 bytes behind the key's address, on every coin."""
        return payload_of_key(self.public_key)

    @classmethod
    def from_secret(cls, secret: bytes, path: str | None = None) -> Key:
        """The key of a secret. Raises ValueError for bytes that are no secret key (32 bytes, 1 to n-1)."""
        if not is_secret(secret):
            raise ValueError("this is no secret key: 32 bytes, not zero and below the order of the curve")
        return cls(secret, public_key(secret), path)


def account_path(account: int) -> str:
    """The path of an account (0 to 2**31-1): the account's first address by BIP 44. Raises ValueError."""
    if not 0 <= account <= MAX_ACCOUNT:
        raise ValueError(f"an account is a number from 0 to {MAX_ACCOUNT}, not {account}")
    return f"m/44'/{COIN_TYPE}'/{account}'/0/0"


def key_from_phrase(phrase: str, account: int) -> Key:
    """The key of an account of a BIP39 phrase (English words, no BIP39 passphrase). Raises BadPhrase, ValueError."""
    path = account_path(account)
    return Key.from_secret(derive(seed_from_phrase(phrase), path), path)


def development_keys() -> dict[str, Key]:
    """The five named keys of every development network. Anybody can spend what they own."""
    return {name: development_key(name) for name in DEVELOPMENT_NAMES}


def development_key(name: str) -> Key:
    """The key that a name has on every development network: the published one of the five, else one made from the name.

    So two nodes that make a key for the same name have the same account. Anybody can spend what it owns. Raises
    BadName.
    """
    key = name_key(check_name(name))
    path = _development_path(key)
    if key in _DEVELOPMENT_SECRETS:
        return Key.from_secret(bytes.fromhex(_DEVELOPMENT_SECRETS[key]), path)
    return Key.from_secret(derive(seed_from_phrase(DEVELOPMENT_PHRASE), path), path)


def _development_path(key: str) -> str:
    """Of a name as `name_key` gives it."""
    if key in DEVELOPMENT_NAMES:
        return account_path(DEVELOPMENT_NAMES.index(key))
    digest = int.from_bytes(sha256(key.encode()).digest()[:16], "big")
    steps = "/".join(f"{digest >> shift & MAX_ACCOUNT}'" for shift in (93, 62, 31, 0))
    return f"m/44'/{COIN_TYPE}'/{MAX_ACCOUNT}'/{steps}"


def derive(seed: bytes, path: str) -> bytes:
    """The 32-byte secret at a BIP32 path of a 16- to 64-byte seed."""
    # Here and not above: it loads `cryptography`, which a node that only opens its wallet does not need.
    from slip10 import SLIP10

    secret: bytes = SLIP10.from_seed(seed).get_privkey_from_path(path)
    return secret


def random_key() -> Key:
    """A random key, which no phrase can restore: only a copy of its file can."""
    while not is_secret(secret := secrets.token_bytes(32)):
        pass
    return Key.from_secret(secret)


def new_phrase() -> str:
    """Twelve English words of fresh entropy (128 bits)."""
    return _english().generate(_NEW_PHRASE_BITS)


def seed_from_phrase(phrase: str, passphrase: str = "") -> bytes:
    """The 64-byte BIP39 seed of a phrase that passes `check_phrase`. Raises BadPhrase."""
    return _english().to_seed(check_phrase(phrase), passphrase)


def check_phrase(phrase: str) -> str:
    """The phrase in lower case with single spaces. Raises BadPhrase, naming an unknown word and the nearest."""
    if len(phrase) > _MAX_PHRASE:
        raise BadPhrase("this is too long for a recovery phrase", expected="12 to 24 words")
    words = _english().normalize_string(phrase).lower().split()
    for position, word in enumerate(words, 1):
        if word not in _english().wordlist:
            raise _unknown_word(position, word)
    if len(words) not in _PHRASE_LENGTHS:
        raise BadPhrase(
            f"a recovery phrase has 12, 15, 18, 21 or 24 words; this one has {len(words)}",
            expected=list(_PHRASE_LENGTHS),
            found=len(words),
        )
    plain = " ".join(words)
    if not _english().check(plain):
        raise BadPhrase(
            "every word is known, but they don't belong together: one is wrong, missing or in another's place"
        )
    return plain


def _unknown_word(position: int, word: str) -> BadPhrase:
    shown = word if len(word) <= 16 else word[:15] + "…"
    nearest = difflib.get_close_matches(word[:16], _english().wordlist, n=1)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return BadPhrase(
        f"word {position}, {quoted(shown)}, is not one of the 2048 words of a recovery phrase{hint}",
        position=position,
        nearest=nearest[0] if nearest else None,
    )


@cache
def _english() -> Mnemonic:
    from mnemonic import Mnemonic

    return Mnemonic("english")
