"""Changes an existing wallet: derives one more key, renames, sets the passphrase; and reveals its secrets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from ..system.files import target
from ..system.text import shown
from . import walletfile
from .contacts import check_no_contact
from .derive import Key, account_path, development_key, key_from_phrase
from .errors import NameTaken, UnknownKey, WalletLocked
from .keystore import Wallet, new_account, read_file, view
from .names import check_name, find_name, name_key
from .private_files import locked, write_private
from .walletfile import Secrets, WalletFile

Change = Callable[[WalletFile, Secrets], tuple[WalletFile, Secrets]]


def derive_key(path: Path, name: str, *, passphrase: str | None = None) -> Wallet:
    """Add the next key of the wallet's phrase; in a development wallet the key that the name has everywhere.

    Raises UnknownKey for a wallet without a phrase, BadName, NameTaken, and what `open_wallet` raises.
    """

    def change(file: WalletFile, secrets: Secrets) -> tuple[WalletFile, Secrets]:
        if secrets.phrase is None:
            raise UnknownKey("this wallet has no recovery phrase to make keys from: it holds imported keys only")
        if file.development:  # the same name is the same account on every development network
            return added(file, secrets, name, development_key(check_name(name)))
        held = {account.path for account in file.accounts}
        number = next(number for number in range(len(held) + 1) if account_path(number) not in held)
        return added(file, secrets, name, key_from_phrase(secrets.phrase, number))

    return _change(path, passphrase, change)


def rename(path: Path, old: str, new: str, *, passphrase: str | None = None) -> Wallet:
    """Give a key another name. Raises UnknownKey, BadName, NameTaken, and what `open_wallet` raises."""

    def change(file: WalletFile, secrets: Secrets) -> tuple[WalletFile, Secrets]:
        names = [account.name for account in file.accounts]
        held, fresh = find_name(names, old), check_name(new)
        if held is None:
            raise UnknownKey(f"the wallet has no account {shown(old)}", known=names[:20])
        if any(name_key(name) == name_key(fresh) for name in names if name != held):
            raise NameTaken(f"the wallet has an account {fresh} already: take another name", name=fresh)
        accounts = tuple(_renamed(account, fresh) if account.name == held else account for account in file.accounts)
        keys = {fresh if name == held else name: secret for name, secret in secrets.keys.items()}
        return _with(file, accounts), Secrets(secrets.phrase, keys)

    return _change(path, passphrase, change)


def set_passphrase(path: Path, old: str | None, new: str | None) -> Wallet:
    """Encrypt the wallet with another passphrase; None: not at all. Raises what `open_wallet` raises."""
    return _change(path, old, lambda file, secrets: (file, secrets), seal_with=(new,))


def reveal(path: Path, passphrase: str | None = None) -> Secrets:
    """The phrase and the secret keys, to be shown to their owner. Raises WalletLocked, and as `open_wallet`."""
    return _secrets(read_file(path), passphrase)


def added(file: WalletFile, secrets: Secrets, name: str, key: Key) -> tuple[WalletFile, Secrets]:
    """Both halves of a file, with one more key."""
    account = new_account(file.accounts, name, key, imported=False)
    keys = {**secrets.keys, account.name: key.secret.hex()}
    return _with(file, (*file.accounts, account)), Secrets(secrets.phrase, keys)


def _renamed(account: walletfile.Account, name: str) -> walletfile.Account:
    return msgspec.structs.replace(account, name=name)


def _with(file: WalletFile, accounts: tuple[walletfile.Account, ...]) -> WalletFile:
    return msgspec.structs.replace(file, accounts=accounts)


def _secrets(file: WalletFile, passphrase: str | None) -> Secrets:
    secrets = walletfile.open_secrets(file, passphrase)
    if secrets is None:
        raise WalletLocked("the wallet is encrypted: give its passphrase")
    return secrets


def _change(
    path: Path, passphrase: str | None, change: Change, *, seal_with: tuple[str | None] | None = None
) -> Wallet:
    """Read, change and write under the folder's lock.

    `seal_with`: a tuple with the new passphrase (or None), where that differs from the one it is opened with.
    """
    with locked(target(path).parent):
        old = read_file(path)
        file, secrets = change(old, _secrets(old, passphrase))
        known = {name_key(account.name) for account in old.accounts}
        for account in file.accounts:
            if name_key(account.name) not in known:
                check_no_contact(path.parent, account.name)
        sealed_by = (passphrase if old.encryption else None) if seal_with is None else seal_with[0]
        content, written = walletfile.encode(file.accounts, secrets, development=file.development, passphrase=sealed_by)
        write_private(path, content, replace=True)
    return view(written, secrets)
