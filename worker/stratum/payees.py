"""Finds whom a miner's user name pays: an address of the coin, or a name of the node's wallet.

Without a data folder there is no wallet, and so it is an address. `.RIG` or `_RIG` may follow either. A file of its own
because it alone reads the wallet.
"""

from __future__ import annotations

from time import monotonic

from ...node.config import Config
from ...node.core.coin import Coin
from ...node.core.errors import BadAddress, MoneyerError
from ...node.core.signing import is_payable
from ...node.wallet.keystore import read_file, view
from ...node.wallet.names import name_key
from .protocol import UNAUTHORIZED, StratumError

_BEFORE_RIG = "._"
"""Characters that part the name of a rig; neither is in an address."""
_FRESH = 1.0
"""Seconds for which the wallet's names are remembered."""


class Payees:
    """Reads user names. For the event loop's thread alone."""

    def __init__(self, coin: Coin, config: Config) -> None:
        self._coin = coin
        self._config = config
        self._names: dict[str, bytes] = {}
        self._until = -1.0

    def of_user(self, user: str) -> bytes:
        """The payload that `user` stands for. Raises StratumError."""
        # A name of the wallet may hold such a character itself, so the longest name that the wallet has counts.
        ends = [len(user), *reversed([end for end, letter in enumerate(user) if letter in _BEFORE_RIG])]
        names = self._known_names()
        for end in ends:
            named = names.get(name_key(user[:end]))
            if named is not None:
                return named
        try:
            payload = self._coin.payload(user[: ends[-1]].strip())
        except BadAddress as error:
            or_name = " or a name of the node's wallet" if self._config.has_folder else ""
            raise StratumError(
                UNAUTHORIZED,
                f"the user name is who gets the coins: an address ({self._coin.hrp}1…){or_name}, "
                f"with .RIG or _RIG behind it or not; {error.message}",
            ) from None
        if not is_payable(payload):
            raise StratumError(UNAUTHORIZED, "nobody can have the key of this address: what is mined for it is lost")
        return payload

    def _known_names(self) -> dict[str, bytes]:
        if monotonic() > self._until:
            try:
                # The public half: an encrypted wallet stays locked, and no secret is read.
                names = view(read_file(self._config.wallet_file), None).names
                self._names = {name_key(name): payload for name, payload in names.items()}
            except (MoneyerError, OSError):
                self._names = {}
            self._until = monotonic() + _FRESH
        return self._names
