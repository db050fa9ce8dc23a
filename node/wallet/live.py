"""The wallet of a running node: changes that other processes make are seen at the next use."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Final

from .edit import derive_key
from .errors import WalletError, WalletLocked, WalletMissing, WalletUnreadable
from .keystore import WALLET_FILE, Wallet, ensure_wallet, open_wallet
from .seal import given_passphrase

log = logging.getLogger("moneyer.wallet")

Stamp = tuple[int, ...] | None

_GIVE: Final = "restart the node with it, in MONEYER_PASSPHRASE or --passphrase-file"


class LiveWallet:
    """The wallet of a process that lives long. Thread-safe; costs a `stat` while the file stays as it is.

    An encrypted wallet is opened with the passphrase that the node was given, or with the one that its key file holds
    now. Where neither opens it, or the file is gone, the names stay known and `secret_for` says why nothing can be
    spent.
    """

    def __init__(self, data_folder: Path, *, development: bool, passphrase_file: Path | None = None) -> None:
        """Opens the wallet, or makes it. Raises what `ensure_wallet` and `given_passphrase` raise."""
        self.path = data_folder / WALLET_FILE
        self._development = development
        self._key_file = None if development else passphrase_file
        self._passphrase = None if development else given_passphrase(passphrase_file)
        self._lock = threading.Lock()  # guards what follows
        self._stamps = self._look()  # before the file is read: a change meanwhile is seen at the next use
        self._wallet = ensure_wallet(data_folder, development=development, passphrase=self._passphrase)

    def now(self) -> Wallet:
        """The wallet, read again where the file has changed."""
        if self._look() != self._stamps:
            with self._lock:
                stamps = self._look()
                if stamps != self._stamps:
                    self._wallet = self._read()
                    self._stamps = stamps
        return self._wallet

    def derive(self, name: str) -> None:
        """Add the next key of the wallet's phrase, with the passphrase that the node has.

        Raises WalletLocked where it has none, BadName, NameTaken, and what `edit.derive_key` raises.
        """
        wallet = self.now()
        if wallet.locked:
            raise WalletLocked(wallet.why_locked or f"{self.path} is encrypted, and no passphrase was given: {_GIVE}")
        derive_key(self.path, name, passphrase=self._passphrase)

    def _look(self) -> tuple[Stamp, Stamp]:
        return _stamp(self.path), None if self._key_file is None else _stamp(self._key_file)

    def _read(self) -> Wallet:
        try:
            fresh = self._opened()
        except (WalletError, OSError) as error:
            return self._shut(self._wallet, _why(self.path, error))
        if fresh.development != self._development:
            return self._shut(self._wallet, f"{self.path} has become a wallet of the other kind: restart the node")
        if fresh.locked:
            return self._shut(fresh, f"{self.path} is encrypted, and this node was not given its passphrase: {_GIVE}")
        if fresh.names.keys() != self._wallet.names.keys():
            log.info("the wallet was changed: it holds %s", ", ".join(list(fresh.names)[:20]))
        return fresh

    def _shut(self, wallet: Wallet, why: str) -> Wallet:
        if self._wallet.why_locked != why:
            log.warning("%s", why)
        return wallet.shut(why)

    def _opened(self) -> Wallet:
        """Raises what `open_wallet` raises."""
        try:
            return open_wallet(self.path, passphrase=self._passphrase)
        except WalletUnreadable:
            newer = None if self._key_file is None else given_passphrase(self._key_file)
            if newer is None or newer == self._passphrase:
                raise
            wallet = open_wallet(self.path, passphrase=newer)
            self._passphrase = newer
            return wallet


def _why(path: Path, error: WalletError | OSError) -> str:
    if isinstance(error, WalletMissing):
        return f"{path} is gone, so nothing can be spent: put it back, or restart the node"
    reason = error.message if isinstance(error, WalletError) else str(error.strerror)
    return f"{path} was changed and does not open ({reason}). Was its passphrase changed? Then {_GIVE}"


def _stamp(path: Path) -> Stamp:
    """Values that differ after every change of the file at `path`; None: there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
