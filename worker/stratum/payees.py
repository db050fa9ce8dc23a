"""Who a miner's user name pays: an address of the coin, or a name of the node's wallet. `.NAME` behind: the rig's."""

from __future__ import annotations

from time import monotonic

from node.config import Config
from node.core.coin import Coin
from node.core.errors import BadAddress, MoneyerError
from node.core.keys import is_on_curve
from node.wallet.keystore import read_file, view
from worker.stratum.protocol import UNAUTHORIZED, StratumError

_FRESH = 1.0
"""Seconds for which the wallet's names are remembered."""


class Payees:
    def __init__(self, coin: Coin, config: Config) -> None:
        self._coin = coin
        self._config = config
        self._names: dict[str, bytes] = {}
        self._until = -1.0

    def of_user(self, user: str) -> bytes:
        """The payload that `user` stands for. Raises StratumError."""
        who = user.partition(".")[0]
        named = self._of_name(who)
        if named is not None:
            return named
        try:
            payload = self._coin.payload(who)
        except BadAddress as error:
            raise StratumError(
                UNAUTHORIZED,
                f"the user name is who gets the coins: an address ({self._coin.hrp}1…) or a name of the node's wallet, "
                f"with .NAME behind it or not; {error.message}",
            ) from None
        if not is_on_curve(payload[1:]):
            raise StratumError(UNAUTHORIZED, "nobody can have the key of this address: what is mined for it is lost")
        return payload

    def _of_name(self, who: str) -> bytes | None:
        if monotonic() > self._until:
            try:
                # The open half: an encrypted wallet stays shut, and no secret is read.
                self._names = dict(view(read_file(self._config.wallet_file), None).names)
            except (MoneyerError, OSError):
                self._names = {}
            self._until = monotonic() + _FRESH
        return self._names.get(who)
