"""The keystore: opens a data folder's `wallet.json`, makes it once, adds keys to it, and signs with them.

A `Wallet` is a frozen view of the file as it was read; adding a key gives a new one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from ..core import signing
from ..core.types import Transfer
from ..system.files import target
from . import walletfile
from .contacts import check_no_contact
from .derive import DEVELOPMENT_PHRASE, Key, development_keys, key_from_phrase, new_phrase, random_key
from .errors import NameTaken, UnknownKey, WalletExists, WalletLocked, WalletMissing, WrongWallet
from .names import check_name, find_name, name_key
from .private_files import locked, read_private, write_private
from .walletfile import Account, Secrets, WalletFile

WALLET_FILE = "wallet.json"
MINER = "miner"
"""The name of every node's own account: rewards go there unless an address is given."""


@dataclass(frozen=True, slots=True, eq=False)
class Wallet:
    """What a wallet file holds."""

    names: Mapping[str, bytes]
    """Name -> 33-byte payload, in the file's order."""
    development: bool
    """Whether its keys are published, those of a development network."""
    locked: bool
    """Whether the file is encrypted and no passphrase was given: names are known, secret keys are not."""
    _secrets: Mapping[bytes, bytes] = field(repr=False)
    """Payload -> 32-byte secret key."""
    encrypted: bool = False
    """Whether the file on the disk is encrypted."""
    why_locked: str | None = None
    """A sentence, where `locked` has another reason."""

    def payload_of(self, name: str) -> bytes | None:
        """The payload of a name, written in any case; None for one that is not here."""
        held = name if name in self.names else find_name(self.names, name)
        return None if held is None else self.names[held]

    def name_of(self, payload: bytes) -> str | None:
        """The name of a payload; None for one that is not here."""
        return next((name for name, held in self.names.items() if held == payload), None)

    def secret_for(self, payload: bytes) -> bytes:
        """The 32-byte secret key behind a payload. Raises UnknownKey, WalletLocked."""
        name = self.name_of(payload)
        if name is None:
            raise UnknownKey(
                "this node's wallet does not hold the key of that account: send from the node that does",
                known=list(self.names)[:20],
            )
        if self.locked:
            why = self.why_locked or f"the wallet is encrypted: give its passphrase to spend from {name}"
            raise WalletLocked(why, name=name)
        return self._secrets[payload]

    def shut(self, why: str) -> Wallet:
        """The same names without secret keys, for the reason `why`."""
        return replace(self, locked=True, why_locked=why, _secrets=MappingProxyType({}))


def open_wallet(path: Path, *, passphrase: str | None = None) -> Wallet:
    """The wallet at `path`; an encrypted one without its passphrase is locked.

    Raises WalletMissing, WalletUnreadable (damaged, newer, wrong passphrase), OSError.
    """
    file = read_file(path)
    return view(file, walletfile.open_secrets(file, passphrase))


def create_wallet(
    path: Path,
    keys: Mapping[str, Key],
    *,
    development: bool,
    phrase: str | None = None,
    passphrase: str | None = None,
) -> Wallet:
    """Write a new wallet; an existing one is never overwritten.

    `phrase`: the recovery phrase from which the keys with a path were derived. `passphrase`: encrypts the file. Raises
    WalletExists, BadName, NameTaken, WalletBusy, OSError.
    """
    accounts: tuple[Account, ...] = ()
    for name, key in keys.items():
        accounts += (new_account(accounts, name, key, imported=False),)
    secret_keys = (key.secret.hex() for key in keys.values())
    secrets = Secrets(phrase, {account.name: key for account, key in zip(accounts, secret_keys, strict=True)})
    content, file = walletfile.encode(accounts, secrets, development=development, passphrase=passphrase)
    with locked(target(path).parent):
        write_private(path, content, replace=False)
    return view(file, secrets)


def add_key(path: Path, name: str, key: Key, *, imported: bool = False, passphrase: str | None = None) -> Wallet:
    """Add a key to the wallet at `path`; an encrypted one needs its passphrase.

    Raises BadName, NameTaken, WalletLocked, and what `open_wallet` and `create_wallet` raise.
    """
    with locked(target(path).parent):
        old = read_file(path)
        secrets = walletfile.open_secrets(old, passphrase)
        if secrets is None:
            raise WalletLocked("the wallet is encrypted: give its passphrase to add a key")
        account = new_account(old.accounts, name, key, imported=imported)
        check_no_contact(path.parent, account.name)
        accounts = (*old.accounts, account)
        secrets = Secrets(secrets.phrase, {**secrets.keys, account.name: key.secret.hex()})
        content, file = walletfile.encode(
            accounts,
            secrets,
            development=old.development,
            passphrase=None if old.encryption is None else passphrase,
        )
        write_private(path, content, replace=True)
    return view(file, secrets)


def ensure_wallet(data_folder: Path, *, development: bool, passphrase: str | None = None) -> Wallet:
    """The wallet of a data folder, made at the first call; processes that call at once get the same one.

    A development wallet has the five published names and `miner`, a random key of this folder. Any other has `miner`
    alone, account 0 of a fresh phrase that the file keeps; a passphrase encrypts it. Raises WrongWallet where the
    folder's wallet is of the other sort, and what `open_wallet` raises.
    """
    path = data_folder / WALLET_FILE
    try:
        wallet = open_wallet(path, passphrase=passphrase)
    except WalletMissing:
        data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            wallet = _first_wallet(path, development=development, passphrase=passphrase)
        except WalletExists:
            wallet = open_wallet(path, passphrase=passphrase)
    if wallet.development != development:
        raise WrongWallet(_WRONG[wallet.development].format(path=path), path=str(path))
    return wallet


_WRONG = {
    True: "{path} is a development wallet, whose keys are published, and this is no development network: "
    "start with --dev, or take another data folder",
    False: "{path} is a wallet of your own, and a development network leaves its wallet open to every program here: "
    "start without --dev, or take another data folder",
}


def _first_wallet(path: Path, *, development: bool, passphrase: str | None) -> Wallet:
    if development:
        keys = {**development_keys(), MINER: random_key()}
        return create_wallet(path, keys, development=True, phrase=DEVELOPMENT_PHRASE)
    phrase = new_phrase()
    keys = {MINER: key_from_phrase(phrase, 0)}
    return create_wallet(path, keys, development=False, phrase=phrase, passphrase=passphrase)


def read_file(path: Path) -> WalletFile:
    """The file's values, the secrets still encrypted. Raises as `open_wallet`."""
    return walletfile.decode(read_private(path, walletfile.MAX_FILE))


def new_account(held: tuple[Account, ...], name: str, key: Key, *, imported: bool) -> Account:
    """The public half of a key that is new to the accounts held. Raises BadName, NameTaken."""
    name = check_name(name)
    public_key = key.public_key.hex()
    for account in held:
        if name_key(account.name) == name_key(name):
            raise NameTaken(f"the wallet has an account {account.name} already: take another name", name=account.name)
        if account.public_key == public_key:
            raise NameTaken(f"the wallet holds this key already, as {account.name}", name=account.name)
    return Account(name, public_key, key.path, imported, int(time.time()))


def view(file: WalletFile, secrets: Secrets | None) -> Wallet:
    """The `Wallet` of a file; `secrets`: its decrypted half, None where it is locked."""
    names = {account.name: signing.payload_of_key(bytes.fromhex(account.public_key)) for account in file.accounts}
    held = {} if secrets is None else {names[name]: bytes.fromhex(secret) for name, secret in secrets.keys.items()}
    is_sealed = file.encryption is not None
    return Wallet(MappingProxyType(names), file.development, secrets is None, MappingProxyType(held), is_sealed)


def sign_transfer(
    secret: bytes,
    chain_id: bytes,
    receiver: bytes,
    amount: int,
    fee: int,
    sequence: int,
    memo: bytes = b"",
    *,
    aux_rand: bytes | None = None,
) -> Transfer:
    """Sign a transfer, as `core.signing.sign_transfer`; `aux_rand`: fresh randomness unless a test vector gives it."""
    fresh = aux_rand or os.urandom(32)
    return signing.sign_transfer(secret, chain_id, receiver, amount, fee, sequence, memo, aux_rand=fresh)
