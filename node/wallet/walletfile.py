"""The format of `wallet.json`, version 1: bytes to checked values and back. `docs/wallet.md` has every field."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Literal

import msgspec

from ..system.decoding import prepare
from ..system.words import place_of
from .derive import Key
from .errors import WalletUnreadable
from .names import MAX_NAME, is_name, name_key
from .seal import Encryption, fresh_encryption, seal, unseal

FORMAT: Literal["moneyer-wallet"] = "moneyer-wallet"
VERSION = 1
MAX_FILE = 2**20
"""Bytes: some 2,500 keys."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
Hex32 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", max_length=64, description="64 hex digits")]
Path = Annotated[
    str,
    msgspec.Meta(pattern="^m(/[0-9]{1,10}'?)+$", max_length=128, description="a path such as m/44'/1296980306'/0'/0/0"),
]
Sealed = Annotated[str, msgspec.Meta(max_length=MAX_FILE)]


_OLD_NAME = re.compile("[a-z][a-z0-9_-]{0,31}")
"""Names that an earlier version allowed: they may end with a hyphen."""


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The public half of a key. `path`: where the wallet's phrase leads to it; null for an imported or random key."""

    name: Name
    public_key: Hex32
    path: Path | None
    imported: bool
    created: Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Secrets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The secret half, encrypted where the wallet has a passphrase: the phrase, and a secret key for each name."""

    phrase: Annotated[str, msgspec.Meta(max_length=400)] | None
    keys: dict[Name, Hex32]

    def __repr__(self) -> str:
        return f"Secrets({len(self.keys)} keys)"


class WalletFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. `secrets` is base64 of the ciphertext where `encryption` is set."""

    format: Literal["moneyer-wallet"]
    version: Literal[1]
    development: bool
    accounts: tuple[Account, ...]
    encryption: Encryption | None
    secrets: Secrets | Sealed

    def __repr__(self) -> str:
        return f"WalletFile({len(self.accounts)} accounts)"


class _Head(msgspec.Struct):
    """The fields that every version has."""

    format: str
    version: int


prepare(_Head, WalletFile, Secrets)


def decode(content: bytes) -> WalletFile:
    """The file's values, of the right types and bounded. Raises WalletUnreadable, saying where it stopped."""
    try:
        head = msgspec.json.decode(content, type=_Head)
    except (msgspec.MsgspecError, RecursionError):
        raise _damaged(place_of(_Head, content)) from None
    if head.format != FORMAT:
        raise WalletUnreadable("this file is no Moneyer wallet", expected=FORMAT)
    if head.version != VERSION:
        raise WalletUnreadable(
            f"the wallet is of version {head.version}, and this Moneyer reads version {VERSION}: use the newer Moneyer",
            expected=VERSION,
            found=head.version,
        )
    try:
        file = msgspec.json.decode(content, type=WalletFile)
    except (msgspec.MsgspecError, RecursionError):
        raise _damaged(place_of(WalletFile, content)) from None
    if (file.encryption is None) != isinstance(file.secrets, Secrets):
        raise _damaged("its secrets are not as `encryption` says")
    if not all(is_name(account.name) or _OLD_NAME.fullmatch(account.name) for account in file.accounts):
        raise _damaged("an account has a name that none may have")
    if len({name_key(account.name) for account in file.accounts}) != len(file.accounts):
        raise _damaged("two accounts have one name")
    if len({account.public_key for account in file.accounts}) != len(file.accounts):
        raise _damaged("two accounts have one key")
    return file


def _damaged(reason: str) -> WalletUnreadable:
    # The whole reason could be as long as the file.
    return WalletUnreadable(f"the wallet file is damaged ({reason[:200]}): restore it from a copy")


def encode(
    accounts: tuple[Account, ...], secrets: Secrets, *, development: bool, passphrase: str | None
) -> tuple[bytes, WalletFile]:
    """The bytes to write, encrypted where there is a passphrase, and the same as values."""
    if passphrase is None:
        file = WalletFile(FORMAT, 1, development, accounts, None, secrets)
    else:
        encryption = fresh_encryption()
        bound = _bound(development, accounts, encryption)
        sealed = seal(encryption, passphrase, msgspec.json.encode(secrets), bound)
        file = WalletFile(FORMAT, 1, development, accounts, encryption, base64.b64encode(sealed).decode())
    content = msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"
    if len(content) > MAX_FILE:
        raise WalletUnreadable("the wallet is full: a file holds some 2,500 keys", expected=f"at most {MAX_FILE} bytes")
    return content, file


def open_secrets(file: WalletFile, passphrase: str | None) -> Secrets | None:
    """The secrets; None for an encrypted file without a passphrase. Raises WalletUnreadable."""
    if isinstance(file.secrets, Secrets):
        return _checked(file, file.secrets)
    if passphrase is None or file.encryption is None:
        return None
    bound = _bound(file.development, file.accounts, file.encryption)
    try:
        sealed = base64.b64decode(file.secrets, validate=True)
    except (binascii.Error, ValueError):
        sealed = b""  # refused below, with the same words as any other damage
    plain = unseal(file.encryption, passphrase, sealed, bound)
    try:
        return _checked(file, msgspec.json.decode(plain, type=Secrets))
    except msgspec.MsgspecError:
        raise _damaged(place_of(Secrets, plain)) from None


def _checked(file: WalletFile, secrets: Secrets) -> Secrets:
    """The secrets, where every account has its own secret key, so that every address shown can be spent from."""
    if {account.name for account in file.accounts} != secrets.keys.keys():
        raise _damaged("its accounts and its keys are not the same")
    for account in file.accounts:
        try:
            key = Key.from_secret(bytes.fromhex(secrets.keys[account.name]))
        except ValueError:
            key = None
        if key is None or key.public_key.hex() != account.public_key:
            raise _damaged(f"the key of {account.name} is not its own")
    return secrets


def _bound(development: bool, accounts: tuple[Account, ...], encryption: Encryption) -> bytes:
    """The associated data of the encryption: all of the file but the ciphertext, as JSON without spaces."""
    return msgspec.json.encode([FORMAT, VERSION, development, accounts, encryption])
