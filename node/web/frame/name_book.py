"""Names of addresses, as the node's wallet, its contacts and its contracts have them: for the wallet's owner alone."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...core.coin import Coin
from ...wallet.contacts import CONTACTS_FILE, read_contacts
from ...wallet.cosigning.contract_book import FOLDER as CONTRACTS_FOLDER
from ...wallet.cosigning.contract_book import Contract, read_book
from ...wallet.errors import WalletError
from ...wallet.keystore import Wallet
from ...wallet.live import LiveWallet

Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Names:
    """Names at one moment. `version`: another one after each change."""

    version: int
    of_address: Mapping[str, str]
    """Address -> name. Keys of the wallet before contacts, these before contracts."""
    contracts: Mapping[str, Contract]
    """Address -> contract, of the wallet's book of contracts."""


NOBODY = Names(0, {}, {})
"""What everybody but the owner is shown."""


class NameBook:
    """The names of one node. Costs three `stat`s while nothing changes. May be used by several threads."""

    def __init__(self, coin: Coin, keys: LiveWallet, folder: Path) -> None:
        self._coin = coin
        self._keys = keys
        self._folder = folder
        self._lock = threading.Lock()
        """Held to read the files anew: done once while other callers wait."""
        self._seen: tuple[Wallet, Stamp, Stamp] | None = None
        self._names = NOBODY

    def now(self) -> Names:
        """The names as they are now."""
        # Each file of a contract is put in its place anew, which the folder's own time shows.
        seen = self._keys.now(), _stamp(self._folder / CONTACTS_FILE), _stamp(self._folder / CONTRACTS_FOLDER)
        if self._seen is None or self._seen[0] is not seen[0] or self._seen[1:] != seen[1:]:
            with self._lock:
                if self._seen != seen:
                    contracts = self._contracts()
                    self._names = Names(self._names.version + 1, self._read(seen[0], contracts), contracts)
                    self._seen = seen
        return self._names

    def _contracts(self) -> dict[str, Contract]:
        if self._coin.rules < 2:
            return {}
        try:
            book = [each for each in read_book(self._folder, self._coin) if isinstance(each, Contract)]
        except (WalletError, OSError):
            book = []
        return {self._coin.address(each.payload): each for each in book}

    def _read(self, wallet: Wallet, contracts: Mapping[str, Contract]) -> dict[str, str]:
        found = {address: contract.name for address, contract in contracts.items()}
        with suppress(WalletError, OSError):  # the wallet's own page says what is wrong with the file
            found |= {address: name for name, address in read_contacts(self._folder).items()}
        return found | {self._coin.address(payload): name for name, payload in wallet.names.items()}


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
