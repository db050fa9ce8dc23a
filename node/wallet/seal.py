"""The wallet's encryption: scrypt makes a key of the passphrase, ChaCha20-Poly1305 encrypts with it.

A file names its own cost of scrypt, which is checked before it is paid. `given_passphrase` reads a passphrase from
where no person types it: a key file, or the environment. `cryptography` is imported in the functions that need it: an
open wallet never does.
"""

from __future__ import annotations

import os
import secrets
import unicodedata
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from .errors import WalletUnreadable

VARIABLE = "MONEYER_PASSPHRASE"
"""The environment variable with a wallet's passphrase."""
MAX_PASSPHRASE = 1024
"""Characters."""

SCRYPT_N = 2**17
"""With `_R` and `_P` what OWASP asks of scrypt: 128 MiB, some half a second. Most of our tests pay less."""
_R, _P = 8, 1
_MAX_MEMORY = 256 * 2**20
"""Bytes that opening a file may take; scrypt takes 128 * n * r."""
_MAX_PASSES = 4
"""The highest p: the time grows with it."""
_KEY_SIZE = 32

Hex = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{2})*$", description="bytes in hex")]
Salt = Annotated[Hex, msgspec.Meta(min_length=32, max_length=128)]
Nonce = Annotated[Hex, msgspec.Meta(min_length=24, max_length=24)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=2**30)]


class Encryption(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a wallet's secrets are encrypted; `salt` and `nonce` in hex."""

    kdf: Literal["scrypt"]
    n: Positive
    r: Positive
    p: Positive
    salt: Salt
    cipher: Literal["chacha20-poly1305"]
    nonce: Nonce


def fresh_encryption() -> Encryption:
    """A new salt and nonce, made for every write: no key is ever used with one nonce twice."""
    return Encryption(
        kdf="scrypt",
        n=SCRYPT_N,
        r=_R,
        p=_P,
        salt=secrets.token_hex(16),
        cipher="chacha20-poly1305",
        nonce=secrets.token_hex(12),
    )


def seal(encryption: Encryption, passphrase: str, plain: bytes, bound: bytes) -> bytes:
    """Ciphertext and tag; `bound` is not encrypted, but cannot be changed either (associated data)."""
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return ChaCha20Poly1305(_key(encryption, passphrase)).encrypt(bytes.fromhex(encryption.nonce), plain, bound)


def unseal(encryption: Encryption, passphrase: str, sealed: bytes, bound: bytes) -> bytes:
    """The plain bytes that `seal` was given. Raises WalletUnreadable: the passphrase is wrong or the file changed."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    try:
        return ChaCha20Poly1305(_key(encryption, passphrase)).decrypt(bytes.fromhex(encryption.nonce), sealed, bound)
    except InvalidTag:
        raise WalletUnreadable("the passphrase is wrong, or the wallet file is damaged") from None


def check_cost(encryption: Encryption) -> None:
    """Raises WalletUnreadable for scrypt parameters that no wallet of ours has and that would exhaust the machine."""
    power_of_two = encryption.n > 1 and encryption.n & (encryption.n - 1) == 0
    if not power_of_two or 128 * encryption.n * encryption.r > _MAX_MEMORY or encryption.p > _MAX_PASSES:
        raise WalletUnreadable(
            "the wallet file asks for an absurd amount of work to be opened: it is damaged, or a trap",
            expected=f"n a power of two, 128·n·r at most {_MAX_MEMORY} bytes, p at most {_MAX_PASSES}",
            found={"n": encryption.n, "r": encryption.r, "p": encryption.p},
        )


def _key(encryption: Encryption, passphrase: str) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    check_cost(encryption)
    if not 1 <= len(passphrase) <= MAX_PASSPHRASE:
        raise WalletUnreadable(f"a passphrase has 1 to {MAX_PASSPHRASE} characters")
    # The same passphrase from two keyboards may come as different code points.
    typed = unicodedata.normalize("NFKC", passphrase).encode("utf-8", "surrogatepass")
    scrypt = Scrypt(
        salt=bytes.fromhex(encryption.salt), length=_KEY_SIZE, n=encryption.n, r=encryption.r, p=encryption.p
    )
    return scrypt.derive(typed)


def given_passphrase(file: Path | None = None, *, variable: str = VARIABLE) -> str | None:
    """The passphrase of a key file (its first line), else of the environment; None where there is neither.

    Raises WalletUnreadable for text that cannot be a passphrase, OSError. No message holds it.
    """
    if file is not None:
        with file.open("rb") as stream:
            first = stream.read(4 * MAX_PASSPHRASE + 2).split(b"\n", 1)[0].removesuffix(b"\r")
        try:
            return check_passphrase(first.decode())
        except UnicodeDecodeError:
            raise WalletUnreadable(f"{file} is no key file: its first line is the passphrase, in UTF-8") from None
    found = os.environ.get(variable)
    return None if found is None else check_passphrase(found)


def check_passphrase(text: str) -> str:
    """The text, where it can be a passphrase. Raises WalletUnreadable."""
    if not 1 <= len(text) <= MAX_PASSPHRASE:
        raise WalletUnreadable(f"a passphrase has 1 to {MAX_PASSPHRASE} characters")
    return text
