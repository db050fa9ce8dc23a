"""A client of one node: its calls. Answers are the API's own objects, which `/docs` of a node describes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..core import codec
from ..core.codec import show
from ..core.signing import payload_of, sign_spend
from ..core.types import COIN_ASSET, HASH_SIZE, Burn, Issue, Mint, Payment, Spend, Transfer
from . import arguments
from .errors import BadArgument, NoAnswer, NotConfirmed, OutOfFunds, Refused, Unanswered
from .events import Events, passes
from .reads import Reader, segment
from .transport import MAX_ANSWER

TYPICAL_SIZE = 220
"""Bytes of a transfer with a short memo (185 without one)."""
_FEE_PORTION = 512
"""Bytes: a node asks its `min_fee` for each that was begun (docs/protocol.md, Policy)."""
_LOOK = 5.0
"""Seconds after which a transfer is looked for without an event: a full mempool drops it without one."""
_MOVES = ("block", "reorg", "reset")
"""Events that may change a transfer's confirmations."""
MAX_DECIMALS = 8
"""Of a coin and of an asset."""
_TRIES = 8
"""Times that a transfer is signed where other programs take its sequence."""

Amount = Decimal | str | int
"""Coins as Decimal or text; a whole number is base units."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A transfer that the node took."""

    txid: str
    status: str
    """`ready`, or `waiting` for one of a lower sequence."""
    transfer: Spend
    """As it was signed; amounts in base units."""


class Client(Reader):
    """Calls to one node. They raise NoAnswer and Refused, and never take longer than their deadline."""

    def fee(self, size: int = TYPICAL_SIZE) -> int:
        """Base units that get a transfer of `size` bytes into the next block, as it looks now."""
        size = arguments.whole(size, "size", 1, MAX_ANSWER)
        least = int(self.status()["mempool"].get("min_fee", 1))
        pool = self.mempool()
        return next_block_fee(
            pool["transactions"], pool["bytes"], size, max_block_bytes=self.coin.max_block_bytes, least=least
        )

    def submit(self, transfer: Spend, *, replace: bool = True) -> Sent:
        """Hand over a signed transfer; one that is known already is no error.

        `replace`: whether it may take the place of a waiting one with its sequence, for a higher fee. Raises Unanswered
        where nobody knows whether it was taken.
        """
        raw = arguments.encoded(transfer)
        txid = show(codec.txid(transfer))
        body = {"raw": raw.hex(), "replace": bool(replace)}
        doubt: Unanswered | Refused | None = None
        for last in (False, True):
            # A node never takes the same bytes twice, so it is safe to send them again.
            try:
                return Sent(txid, str(self.post("/v1/transactions", body)["status"]), transfer)
            except Unanswered as error:
                doubt = error
            except NoAnswer:
                if last and doubt is None:
                    raise
            except Refused as error:
                if error.status in _VERDICTS or (doubt is None and not _in_doubt(error)):
                    raise
                doubt = doubt or error
        assert doubt is not None  # noqa: S101 - the second time ends by an error, or by this one
        reason = doubt.reason if isinstance(doubt, Unanswered) else doubt.message
        raise Unanswered(
            f"{reason.rstrip('.')} (transfer {txid} may have been taken)", reason=reason, txid=txid
        ) from None

    def units(self, amount: Amount) -> int:
        """Base units of an amount: of text or a Decimal in coins; a whole number is base units. Raises BadAmount."""
        return arguments.units(amount, self.coin.decimals)

    def coins(self, units: int) -> Decimal:
        """Base units, as answers have them, as coins: exact, and what every amount may be given as."""
        return arguments.coins(units, self.coin.decimals)

    def send(
        self,
        secret: bytes,
        receiver: bytes | str,
        amount: Amount,
        *,
        fee: Amount | None = None,
        memo: str = "",
        signed: Callable[[Spend], None] | None = None,
    ) -> Sent:
        """Sign with `secret` and submit, with the sender's next sequence; never replaces a transfer that waits.

        `receiver`: an address, or its payload. `amount`, `fee`: as `units` takes them; without a fee, what gets it into
        the next block. `signed` is called with the transfer before it is sent, and again where another program took its
        sequence and it has to be signed anew: whoever keeps it there can `submit` the same bytes later, and it is never
        paid twice. Raises BadArgument, BadAddress, OutOfFunds, a rule's error, Refused, and Unanswered where nobody
        knows whether the node took it.
        """
        coin = self.coin
        receiver, amount = arguments.receiver(receiver, coin), arguments.units(amount, coin.decimals)

        def unsigned(common: tuple[bytes, int, int, bytes]) -> Spend:
            sender, fee, sequence, raw = common
            return Transfer(sender, receiver, amount, fee, sequence, raw, b"")

        return self._spend(secret, fee, memo, signed, unsigned)

    def pay(
        self,
        secret: bytes,
        receiver: bytes | str,
        amount: Amount,
        *,
        asset: str | None = None,
        fee: Amount | None = None,
        memo: str = "",
        signed: Callable[[Spend], None] | None = None,
    ) -> Sent:
        """As `send`, of an asset: its id, of which `amount` is (text and Decimal by its decimals; whole units).

        Without `asset` it is the coin. A coin of rules 1 has no such payments. Raises Refused (404) for an asset that
        the main chain doesn't have.
        """
        receiver = arguments.receiver(receiver, self.coin)
        moved = COIN_ASSET if asset is None else arguments.asset(asset)
        amount = arguments.units(amount, self._decimals_of(asset))
        return self._spend(secret, fee, memo, signed, lambda common: Payment(*common, b"", receiver, moved, amount))

    def issue(
        self,
        secret: bytes,
        symbol: str,
        name: str,
        amount: Amount,
        *,
        max_supply: Amount | None = None,
        decimals: int = 0,
        content: bytes | None = None,
        receiver: bytes | str | None = None,
        fee: Amount | None = None,
        memo: str = "",
        signed: Callable[[Spend], None] | None = None,
    ) -> Sent:
        """Make an asset; `secret`'s account is its issuer for ever. `asset_id` gives its id.

        `amount` is minted now, for `receiver` (the issuer); `max_supply`: what there may ever be (`amount`, so that no
        more can be minted). `content`: the SHA-256 of a document or picture, 32 bytes. Raises as `send`.
        """
        decimals = arguments.whole(decimals, "decimals", 0, 8)
        amount = arguments.units(amount, decimals)
        most = amount if max_supply is None else arguments.units(max_supply, decimals, "max_supply")
        texts = arguments.text(symbol, "symbol").encode(), arguments.text(name, "name").encode()
        paid = None if receiver is None else arguments.receiver(receiver, self.coin)
        held = bytes(HASH_SIZE) if content is None else arguments.digest(content)
        return self._spend(
            secret,
            fee,
            memo,
            signed,
            lambda common: Issue(
                *common,
                witness=b"",
                receiver=paid or common[0],
                amount=amount,
                max_supply=most,
                decimals=decimals,
                symbol=texts[0],
                name=texts[1],
                content=held,
            ),
        )

    def asset_id(self, sent: Sent) -> str:
        """The id of the asset that `issue` made. Raises BadArgument for another transfer."""
        if not isinstance(sent.transfer, Issue):
            raise BadArgument("sent is what `issue` gave", field="sent")
        return codec.asset_id(self.coin.chain_id, sent.transfer).hex()

    def mint(
        self,
        secret: bytes,
        asset: str,
        amount: Amount,
        *,
        receiver: bytes | str | None = None,
        fee: Amount | None = None,
        memo: str = "",
        signed: Callable[[Spend], None] | None = None,
    ) -> Sent:
        """Make `amount` more of an asset, for `receiver` (its issuer, whose `secret` it takes). Raises as `pay`."""
        minted, amount = arguments.asset(asset), arguments.units(amount, self._decimals_of(asset))
        paid = None if receiver is None else arguments.receiver(receiver, self.coin)
        return self._spend(
            secret, fee, memo, signed, lambda common: Mint(*common, b"", minted, paid or common[0], amount)
        )

    def burn(
        self,
        secret: bytes,
        asset: str,
        amount: Amount,
        *,
        fee: Amount | None = None,
        memo: str = "",
        signed: Callable[[Spend], None] | None = None,
    ) -> Sent:
        """Let `amount` of an asset that the secret's account holds cease to be, for ever. Raises as `pay`."""
        burned, amount = arguments.asset(asset), arguments.units(amount, self._decimals_of(asset))
        return self._spend(secret, fee, memo, signed, lambda common: Burn(*common, b"", burned, amount))

    def _decimals_of(self, asset: str | None) -> int:
        """Of an asset, as its node says; of the coin where it is None."""
        if asset is None:
            return self.coin.decimals
        decimals = self.asset(asset).get("decimals")
        if type(decimals) is not int or not 0 <= decimals <= MAX_DECIMALS:
            raise self._transport.nonsense()
        return decimals

    def _spend(
        self,
        secret: bytes,
        fee: Amount | None,
        memo: str,
        signed: Callable[[Spend], None] | None,
        unsigned: Callable[[tuple[bytes, int, int, bytes]], Spend],
    ) -> Sent:
        """Sign and submit what `unsigned` makes of (sender, fee, sequence, memo), with the sender's next sequence."""
        secret, raw, coin = arguments.secret(secret), arguments.text(memo, "memo").encode(), self.coin
        sender = payload_of(secret)
        if fee is not None:
            fee = arguments.units(fee, coin.decimals, "fee")
        else:
            fee = self.fee(arguments.size_of(unsigned((sender, 0, 0, raw))))
        for tries in range(_TRIES):
            account = self.account(coin.address(sender))
            spend = unsigned((sender, fee, int(account["pending"]["next_sequence"]), raw))
            check_funds(account, spend.coin_amount, fee)
            spend = sign_spend(secret, coin.chain_id, spend, aux_rand=os.urandom(32))
            if signed is not None:
                signed(spend)
            try:
                return self.submit(spend, replace=False)
            except Refused as error:
                if error.node_code != "bad_sequence" or tries + 1 == _TRIES:
                    raise
        raise AssertionError

    def wait_for(
        self,
        txid: str,
        confirmations: int = 1,
        timeout: float = 120,
        *,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """The transaction, once it has that many confirmations. Raises NotConfirmed when it hasn't in time.

        `progress` is called with the transaction at first and whenever its confirmations change.
        """
        timeout = arguments.seconds(timeout, "timeout")
        confirmations = arguments.whole(confirmations, "confirmations", 0, 2**32)
        segment(txid, "txid")
        end, shown = time.monotonic() + timeout, -1
        with self.events(patience=timeout) as events:
            while True:
                try:
                    found = self._find(txid)
                except (NoAnswer, Refused) as error:
                    if shown < 0 or time.monotonic() >= end or not passes(error):
                        raise
                    _await_news(events, found, end)  # the node is started again, and a `reset` comes then; or is busy
                    continue
                if progress is not None and found["confirmations"] != shown:
                    progress(found)
                shown = found["confirmations"]
                if shown >= confirmations:
                    return found
                if time.monotonic() >= end:
                    break
                _await_news(events, found, end)
        raise NotConfirmed(
            f"after {timeout:g} s the transfer has {shown} of {confirmations} confirmations. Nothing is lost, "
            f"it stays in the mempool: is a worker mining? `moneyer tx {txid}` tells more",
            txid=txid,
            confirmations=shown,
        )

    def _find(self, txid: str) -> dict[str, Any]:
        try:
            return self.transaction(txid)
        except Refused as error:
            if error.status != 404:
                raise
            raise NotConfirmed(
                "the node no longer knows the transfer: another of the same sender took its place, or it paid too "
                "little for a full mempool. It may still come back from a peer: look again before you send it anew",
                txid=txid,
                dropped=True,
            ) from None


def _await_news(events: Events, transaction: dict[str, Any], end: float) -> None:
    """Return when there may be something new about a transaction, at the latest at `end` or after _LOOK seconds."""
    until = min(end, time.monotonic() + _LOOK)
    while (left := until - time.monotonic()) > 0:
        event = events.wait(left)
        # Another transfer of the same sender may have taken its place.
        if event is not None and (event.kind in _MOVES or event.data.get("sender") == transaction["sender"]):
            return


_VERDICTS = (409, 422)
"""Of the rules and the mempool, which say first whether a transfer is known: after one nobody has it. Any other refusal
of the second time (a token, a proxy) says nothing of the first."""


def _in_doubt(error: Refused) -> bool:
    """Whether the node may have done it although it failed: a commit that fails may have come to the disk."""
    return error.status >= 500 and (error.status != 503 or error.node_code == "storage_failed")


def check_funds(account: dict[str, Any], amount: int, fee: int) -> None:
    """Raises OutOfFunds where `account` (as `Client.account` gives it) cannot pay amount and fee."""
    balance, waiting = int(account["balance"]), int(account["pending"]["outgoing"])
    free = max(0, balance - waiting)
    if amount + fee > free:
        missing = amount + fee - free
        raise OutOfFunds(
            f"{missing} base units are missing: {amount + fee} are needed with the fee, {free} are free",
            free=free,
            needed=amount + fee,
            missing=missing,
            waiting=waiting,
        )


def next_block_fee(
    waiting: Sequence[dict[str, Any]], total_bytes: int, size: int, *, max_block_bytes: int, least: int
) -> int:
    """The fee that gets a transfer of `size` bytes into the next block, in base units.

    `waiting`: the mempool's transfers by fee per byte, highest first, `total_bytes` in all; `least`: the node's
    `min_fee`. The fee is the least one for the size while a block has room for all that waits; else a tenth more per
    byte than the last transfer that fits.
    """
    least = least_fee(least, size)
    room = max_block_bytes * 9 // 10 - size
    if total_bytes <= room or not waiting:
        return least
    used, last = 0, waiting[-1]
    for each in waiting:
        used += int(each["size"])
        if used > room:
            last = each
            break
    return max(least, -(-int(last["fee"]) * size * 11 // (int(last["size"]) * 10)) + 1)


def least_fee(min_fee: int, size: int) -> int:
    """Base units that a node with this `min_fee` asks for `size` bytes at least: that much for each 512 begun."""
    return min_fee * -(-size // _FEE_PORTION)
