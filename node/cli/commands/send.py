"""`moneyer send`: signs a transfer here, with the wallet of the data folder; the node gets the finished transfer only.

The command first, then `_Order`, which is checked, signed and submitted. Whatever ends it in between, `effect()` knows
whether the transfer may have been sent. `cli.waiting` follows it to its confirmations.
"""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...client.errors import ClientError
from ...core.errors import MoneyerError
from ...system.words import quoted
from ..exits import UNCONFIRMED, UNKNOWN, Ended, effect, sentence_of
from ..options import IntRange, as_json, node_url, option, passphrase_file, wallet_folder
from ..place import complete_names

if TYPE_CHECKING:
    from ...client.client import Sent
    from ...core.types import Spend
    from ..place import Place
    from ..waiting import Confirming


class _Send(click.Command):
    """A command whose negative amount does not count as an unknown option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name[1:2].isdigit() or error.option_name[1:2] == ".":
                raise click.UsageError("the amount is below 0: who gets coins sends none", ctx) from None
            raise


@click.command(cls=_Send)
@click.argument("sender", metavar="FROM", shell_complete=complete_names)
@click.argument("receiver", metavar="TO", shell_complete=complete_names)
@click.argument("amount")
@option("--fee", metavar="COINS", help="What the miner gets.  [default: what gets it into the next block]")
@option("--memo", default="", metavar="TEXT", help="A line for all to read, at most 140 bytes.")
@option("--wait", is_flag=True, help="Show its way into a block.")
@option("--confirmations", type=IntRange(1, 10_000), default=1, show_default=True, help="To wait for.")
@option("--timeout", type=IntRange(1, 86_400), default=600, show_default=True, help="Seconds to wait.")
@option("--idempotency", metavar="KEY", help="A text of yours for this payment: a repeat with it pays nothing twice.")
@wallet_folder
@node_url
@passphrase_file
@as_json
def send(
    sender: str,
    receiver: str,
    amount: str,
    data: Path | None,
    node: str | None,
    passphrase_file: Path | None,
    **how: Any,
) -> None:
    """Send coins.

    FROM is a name of your wallet (or its address), TO a name, a contact or an address, AMOUNT in coins.

    Exit status: 0 accepted (with --wait: confirmed), 1 refused and nothing was sent, 2 usage, 3 accepted but not
    confirmed in time, 4 unknown. With --json stdout has the txid and the `status` for 0, 3 and 4.

    \b
    moneyer send alice bob 2.5 --wait
    moneyer send miner beach1q… 10 --fee 0.001 --memo "for the ice cream"
    moneyer send alice bob 2.5 --wait --json --idempotency invoice-1417
    """
    from ...system.advice import as_typed
    from ..place import find_place
    from ..waiting import watch

    _check_key(how["idempotency"])
    place = find_place(data, node)
    named = (("--data", data), ("--node", node))
    where = "".join(f" {name} {shlex.quote(str(value))}" for name, value in named if value is not None)
    order = _Order(place, sender, receiver, amount, how["fee"], how["memo"], where)
    _end_by_interrupt()
    try:
        sent = order.carry_out(passphrase_file, how["idempotency"])
    except (ClientError, KeyboardInterrupt) as error:
        raise _unsent(order, error, as_json=how["json"]) from None
    if how["json"]:
        _tell_as_json(place, order, sent, how)
        return
    order.print_sent(sent)
    if how["wait"]:
        found = watch(place, order.confirming(sent, how), click.echo)
        if found.trouble is not None:
            raise found.trouble
    else:
        click.echo(as_typed(f"see it:  moneyer tx {sent.txid[:12]}{where}\n         {order.url(sent.txid)}"))


def _check_key(key: str | None) -> None:
    from ...wallet.sent import MAX_KEY

    if key is not None and not (key.isprintable() and 1 <= len(key.encode()) <= MAX_KEY):
        raise click.UsageError(f"--idempotency: a text of 1 to {MAX_KEY} bytes without control characters")


def _end_by_interrupt() -> None:
    """Let SIGTERM (`timeout`, a service that is stopped) and SIGHUP end this as Ctrl-C does: with a txid."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def _unsent(order: _Order, error: BaseException, *, as_json: bool) -> BaseException:
    """The error to raise where `carry_out` was stopped; prints the JSON where the transfer may have been sent."""
    from ..output import print_json

    ended = effect()
    if order.signed is None or ended.status != UNKNOWN:
        return error
    if as_json:
        print_json(order.report(order.signed, "unknown"))
    return Ended(f"{sentence_of(error)}. {ended.sentence}", UNKNOWN)


def _tell_as_json(place: Place, order: _Order, sent: Sent, how: dict[str, Any]) -> None:
    from ..output import print_json
    from ..waiting import watch

    report = order.report(sent.transfer, sent.status)
    trouble = None
    if how["wait"]:
        found = watch(place, order.confirming(sent, how), lambda line: None)
        report.update(found.report)
        trouble = found.trouble
    print_json(report)
    if trouble is not None:
        raise trouble


class _Order:
    """A transfer to be sent, checked before a passphrase is asked for. Amounts in base units.

    `where`: the options that a person has to repeat to look at it.
    """

    def __init__(
        self, place: Place, sender: str, receiver: str, amount: str, fee: str | None, memo: str, where: str
    ) -> None:
        self.place, self.where, self.memo = place, where, _checked_memo(memo)
        self.coin = place.coin
        self.amount = _amount(amount, "the amount", self.coin.decimals)
        self.fee = self.given_fee = None if fee is None else _amount(fee, "the fee", self.coin.decimals)
        if self.amount == 0:
            raise click.UsageError("the amount is 0: there is nothing to send")
        self.sender_name, self.receiver_name = sender, receiver
        self.sender = self._own(sender)
        self.receiver = place.payload(receiver)
        self.signed: Spend | None = None
        """The transfer once it is signed; from then on it may have been sent."""

    def _own(self, who: str) -> bytes:
        wallet = self.place.wallet
        if wallet is None:
            raise click.ClickException(
                f"there is no wallet to send from{f' in {self.place.folder}' if self.place.folder else ''}: "
                "name its data folder with --data, or make one with `moneyer wallet new`"
            )
        payload = self.place.payload(who)
        if wallet.name_of(payload) is None:
            raise click.ClickException(
                f"the key of {who[:80]} is not in this wallet, so nothing can be sent from there. "
                f"It holds: {', '.join(list(wallet.names)[:8])}"
            )
        return payload

    def carry_out(self, key_file: Path | None, idempotency: str | None) -> Sent:
        """Sign and submit, or submit again what was signed under the key `idempotency`.

        Raises OutOfFunds with what is missing, Refused, Unanswered, and what `unlock` raises.
        """
        from ...wallet.private_files import locked

        folder = self.place.wallet_path().parent
        if idempotency is not None:
            with locked(folder):
                again = self._again(folder, idempotency)
            if again is not None:
                return again
        self._check_funds()
        secret = self._secret(key_file)
        # Two sends at once from one wallet go one after the other; the node refuses what still meets.
        with locked(folder):
            # Typing the passphrase takes a while, in which another process may have sent it.
            again = None if idempotency is None else self._again(folder, idempotency)
            return again or self._first(secret, folder, idempotency)

    def _secret(self, key_file: Path | None) -> bytes:
        from ..secret import unlock

        wallet, _ = unlock(self.place.wallet_path(), key_file)
        return wallet.secret_for(self.sender)

    def _first(self, secret: bytes, folder: Path, key: str | None) -> Sent:
        """Sign and submit; the transfer is stored under `key` before it is sent."""
        from ...wallet.sent import keep

        def signed(transfer: Spend) -> None:
            if key is not None:
                keep(folder, key, self.coin.chain_id, transfer)
            self._may_be_sent(transfer)

        return self._submitted(
            lambda: self.place.client.send(
                secret, self.receiver, self.amount, fee=self.fee, memo=self.memo, signed=signed
            )
        )

    def _again(self, folder: Path, key: str) -> Sent | None:
        """Submit the transfer that was signed under `key` before; None where there is none."""
        from ...client.errors import Refused
        from ...wallet.sent import recall

        kept = recall(folder, key, self.coin.chain_id)
        if kept is None:
            return None
        if not self._means(kept):
            raise click.ClickException(
                f"the key {quoted(key)} was used for another payment: {self._moved(kept)} from "
                f"{self.place.name_of(self.coin.address(kept.sender))} to "
                f"{self.place.name_of(self.coin.address(kept.receiver))} (txid {txid_of(kept)}). Nothing was sent: "
                "give this payment a key of its own"
            )
        self._may_be_sent(kept)
        try:
            return self._submitted(lambda: self.place.client.submit(kept, replace=False))
        except Refused as error:
            if error.node_code != "bad_sequence":
                raise
            raise click.ClickException(
                f"what was signed under the key {quoted(key)} (txid {txid_of(kept)}) can't be taken any more: another "
                "transfer of the same sender came first. It was not paid; send it with another key"
            ) from None

    def _moved(self, kept: Spend) -> str:
        from ...core.types import Transfer

        return self._shown(kept.amount) if isinstance(kept, Transfer) else f"{kept.amount} units of an asset"

    def _means(self, kept: Spend) -> bool:
        """Whether this order is the one that was signed."""
        from ...core.types import Transfer

        if not isinstance(kept, Transfer):  # of an asset, or an issue
            return False
        same = (kept.sender, kept.receiver, kept.amount, kept.memo) == (
            self.sender,
            self.receiver,
            self.amount,
            self.memo.encode(),
        )
        return same and self.given_fee in (None, kept.fee)

    def _may_be_sent(self, transfer: Spend) -> None:
        self.signed, txid = transfer, txid_of(transfer)
        effect().is_now(
            UNKNOWN,
            f"Transfer {txid} may have been taken: `moneyer tx {txid}{self.where}` finds it, or says that the node has "
            "none",
        )

    def _submitted(self, submit: Callable[[], Sent]) -> Sent:
        """Submit, and note the result. Raises what `submit` does, in words of this order."""
        from ...client.errors import OutOfFunds, Refused, Unanswered

        try:
            sent = submit()
        except Unanswered:
            raise
        except OutOfFunds as error:
            effect().nothing()
            raise self._missing(error) from None
        except (MoneyerError, OSError) as error:
            effect().nothing()
            least = error.details.get("expected") if isinstance(error, Refused) else None
            if isinstance(error, Refused) and error.node_code == "fee_too_low" and isinstance(least, int):
                raise click.ClickException(
                    f"the fee is too low: this node asks for {self._shown(least)} at least. Give --fee, or leave it out"
                ) from None
            raise
        effect().is_now(UNCONFIRMED, self.stands(sent.txid))
        return sent

    def stands(self, txid: str, state: str = "it still waits for a block") -> str:
        """A sentence that the transfer was accepted, its state, and how to look at it."""
        return f"Transfer {txid} was accepted, and {state}: `moneyer tx {txid}{self.where}` shows it"

    def confirming(self, sent: Sent, how: dict[str, Any]) -> Confirming:
        """What `--wait` waits for."""
        from ..waiting import Confirming

        sender = self.coin.address(self.sender)
        return Confirming(sent.txid, sender, self.sender_name, how["confirmations"], how["timeout"], self.stands)

    def url(self, txid: str) -> str:
        """Where the node shows the transfer."""
        return f"{self.place.url}/v1/transactions/{txid}"

    def _check_funds(self) -> None:
        from ...client.client import check_funds
        from ...client.errors import OutOfFunds

        if self.fee is None:
            self.fee = self.place.client.fee()
        try:
            check_funds(self.place.client.account(self.coin.address(self.sender)), self.amount, self.fee)
        except OutOfFunds as error:
            raise self._missing(error) from None

    def _missing(self, error: Any) -> click.ClickException:
        held = error.details
        waiting = f" ({self._shown(held['waiting'])} more are on their way out already)" if held["waiting"] else ""
        return click.ClickException(
            f"{self._shown(held['missing'])} are missing: {self.sender_name} has {self._shown(held['free'])} to "
            f"spend{waiting}, and {self._shown(held['needed'])} are needed with the fee"
        )

    def _shown(self, units: int) -> str:
        from ..output import coins

        return coins(units, self.coin.decimals, self.coin.symbol)

    def print_sent(self, sent: Sent) -> None:
        from ...system.text import shown
        from ..output import style

        state = "accepted" if sent.status != "waiting" else "accepted; it waits for one before it"
        click.echo(
            f"{style(state, fg='green')}: {self._shown(self.amount)} from {shown(self.sender_name)} to "
            f"{shown(self.receiver_name)}, fee {self._shown(sent.transfer.fee)}"
        )
        click.echo(f"txid {sent.txid}")

    def report(self, transfer: Spend, status: str) -> dict[str, Any]:
        """The order and its transfer for `--json`, by the API's keys."""
        txid = txid_of(transfer)
        return {
            "txid": txid,
            "status": status,
            "sender": self.coin.address(self.sender),
            "receiver": self.coin.address(self.receiver),
            "amount": self.amount,
            "fee": transfer.fee,
            "sequence": transfer.sequence,
            "memo": self.memo,
            "url": self.url(txid),
        }


def txid_of(transfer: Spend) -> str:
    from ...core import codec
    from ...core.codec import show

    return show(codec.txid(transfer))


def _checked_memo(memo: str) -> str:
    from ...core.types import MAX_MEMO

    try:
        size = len(memo.encode())
    except UnicodeEncodeError:
        raise click.UsageError("the memo is no text that can be sent: it is not UTF-8") from None
    if size > MAX_MEMO:
        raise click.UsageError(f"the memo has {size} bytes of UTF-8, and {MAX_MEMO} is the most: shorten it")
    return memo


def _amount(text: str, what: str, decimals: int) -> int:
    """Base units of an amount in coins. Raises UsageError."""
    from ...core.coin import parse_amount
    from ...core.errors import BadAmount

    try:
        return parse_amount(text, decimals)
    except BadAmount as error:
        raise click.UsageError(f"{what} {quoted(text)}: {error.message}") from None
