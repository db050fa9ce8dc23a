"""An order: something that an account signs, checked before a passphrase is asked for, signed here and submitted once.

Whatever ends a command in between, `effect()` knows whether the transfer may have been sent. `cli.waiting` follows it
to its confirmations.
"""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...client.errors import ClientError
from ...core.errors import MoneyerError
from ...core.types import POLICY_KIND, Burn, Issue, Mint, Payment, Transfer
from ...system.words import quoted
from ..exits import UNCONFIRMED, UNKNOWN, Ended, effect, joined, sentence_of

if TYPE_CHECKING:
    from ...client.client import Sent
    from ...core.types import Spend
    from ..place import Place
    from ..waiting import Confirming

Signed = Callable[["Spend"], None]
"""Called with a spend before it is submitted."""


@dataclass(frozen=True, slots=True)
class How:
    """What every command that spends can be told."""

    fee: str | None
    memo: str
    """One that fits (`checked_memo`)."""
    wait: bool
    confirmations: int
    timeout: int
    idempotency: str | None
    json: bool
    key_file: Path | None
    where: str
    """The options that a person has to repeat to look at the transfer: ` --data DIR`."""


class Order(ABC):
    """What is to be signed. Amounts in base units, or in units of an asset."""

    def __init__(self, place: Place, sender: str, how: How) -> None:
        self.place, self.how, self.coin = place, how, place.coin
        self.where, self.memo = how.where, how.memo
        self.fee = self.given_fee = None if how.fee is None else parsed(how.fee, "the fee", self.coin.decimals)
        self.sender_name = sender
        self.sender = own_account(place, sender)
        self.signed: Spend | None = None
        """The transfer once it is signed; from then on it may have been sent."""

    amount: int
    receiver: bytes
    receiver_name: str

    @property
    def coin_amount(self) -> int:
        """Base units of the coin that the receiver gets."""
        return 0

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes of the transfer at most, by which its fee is chosen."""

    @abstractmethod
    def told(self) -> str:
        """What it does, behind the word `accepted`: `2.5 BEACH from anna to ben`."""

    @abstractmethod
    def means(self, kept: Spend) -> bool:
        """Whether this order is the one that was signed; sender, memo and a given fee are compared already."""

    @abstractmethod
    def submit(self, secret: bytes, signed: Signed) -> Sent:
        """Sign it with the sender's next sequence, and hand it over."""

    def check(self) -> None:
        """Raises ClickException where the sender can't do it, before anything is signed; chooses the fee."""
        from ...client.client import check_funds
        from ...client.errors import OutOfFunds

        if self.fee is None:
            self.fee = self.place.client.fee(self.size)
        try:
            check_funds(self.place.client.account(self.coin.address(self.sender)), self.coin_amount, self.fee)
        except OutOfFunds as error:
            raise self._missing(error) from None

    def lines(self, sent: Sent) -> list[str]:
        """Further lines about what was accepted."""
        return []

    def fields(self, spend: Spend) -> dict[str, Any]:
        """What `--json` has beside what every order has, by the API's keys."""
        return {}

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
        self.check()
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

        return self._submitted(lambda: self.submit(secret, signed))

    def _again(self, folder: Path, key: str) -> Sent | None:
        """Submit the transfer that was signed under `key` before; None where there is none."""
        from ...client.errors import Refused
        from ...wallet.sent import recall

        kept = recall(folder, key, self.coin.chain_id)
        if kept is None:
            return None
        if not self._is_it(kept):
            raise click.ClickException(
                f"the key {quoted(key)} was used for another payment: {describe(self.place, kept)} "
                f"(txid {txid_of(kept)}). Nothing was sent: give this payment a key of its own"
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

    def _is_it(self, kept: Spend) -> bool:
        same = (kept.sender, kept.memo) == (self.sender, self.memo.encode()) and self.means(kept)
        return same and self.given_fee in (None, kept.fee)

    def _may_be_sent(self, transfer: Spend) -> None:
        self.signed, txid = transfer, txid_of(transfer)
        effect().may_be(
            f"Transfer {txid} may have been taken: `moneyer tx {txid}{self.where}` finds it, or says that the node has "
            "none"
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
                    f"the fee is too low: this node asks for {self.shown(least)} at least. Give --fee, or leave it out"
                ) from None
            raise
        effect().is_now(UNCONFIRMED, self.stands(sent.txid))
        return sent

    def stands(self, txid: str, state: str = "it still waits for a block") -> str:
        """A sentence that the transfer was accepted, its state, and how to look at it."""
        return f"Transfer {txid} was accepted, and {state}: `moneyer tx {txid}{self.where}` shows it"

    def confirming(self, sent: Sent) -> Confirming:
        """What `--wait` waits for."""
        from ..waiting import Confirming

        sender = self.coin.address(self.sender)
        return Confirming(sent.txid, sender, self.sender_name, self.how.confirmations, self.how.timeout, self.stands)

    def url(self, txid: str) -> str:
        """Where the node shows the transfer."""
        return f"{self.place.url}/v1/transactions/{txid}"

    def _missing(self, error: Any) -> click.ClickException:
        held = error.details
        waiting = f" ({self.shown(held['waiting'])} more are on their way out already)" if held["waiting"] else ""
        if self.coin_amount == 0:
            return click.ClickException(
                f"{self.sender_name} has {self.shown(held['free'])} to spend{waiting}, and the fee is "
                f"{self.shown(held['needed'])}: fees are paid in {self.coin.symbol}, also where an asset moves. Send "
                f"{self.sender_name} some {self.coin.symbol} first"
            )
        return click.ClickException(
            f"{self.shown(held['missing'])} are missing: {self.sender_name} has {self.shown(held['free'])} to "
            f"spend{waiting}, and {self.shown(held['needed'])} are needed with the fee"
        )

    def shown(self, units: int) -> str:
        """Base units of the coin, for people."""
        from ..output import coins

        return coins(units, self.coin.decimals, self.coin.symbol)

    def report(self, transfer: Spend, status: str) -> dict[str, Any]:
        """The order and its transfer for `--json`, by the API's keys."""
        txid = txid_of(transfer)
        return {
            "txid": txid,
            "status": status,
            "sender": self.coin.address(self.sender),
            "receiver": None if isinstance(transfer, Burn) else self.coin.address(self.receiver),
            "amount": self.amount,
            "fee": transfer.fee,
            "sequence": transfer.sequence,
            "memo": self.memo,
            "url": self.url(txid),
            **self.fields(transfer),
        }


def perform(order: Order) -> None:
    """Carry an order out, and tell of it as its command was asked to."""
    from ...system.advice import as_typed
    from ..output import style
    from ..waiting import watch

    how = order.how
    for line in contract_lines(order):  # before it is sent, and beside the answer
        click.echo(line, err=True)
    _end_by_interrupt()
    try:
        sent = order.carry_out(how.key_file, how.idempotency)
    except (ClientError, KeyboardInterrupt) as error:
        raise _unsent(order, error) from None
    if how.json:
        _tell_as_json(order, sent)
        return
    state = "accepted" if sent.status != "waiting" else "accepted; it waits for one before it"
    click.echo(f"{style(state, fg='green')}: {order.told()}, fee {order.shown(sent.transfer.fee)}")
    for line in order.lines(sent):
        click.echo(line)
    click.echo(f"txid {sent.txid}")
    if how.wait:
        found = watch(order.place, order.confirming(sent), click.echo)
        if found.trouble is not None:
            raise found.trouble
    else:
        click.echo(as_typed(f"see it:  moneyer tx {sent.txid[:12]}{how.where}\n         {order.url(sent.txid)}"))


def contract_lines(order: Order) -> list[str]:
    """What to say where the receiver is a contract: nobody's key, but a policy that nobody can see in its address."""
    from ...contracts.explain import what
    from ...system.text import shown
    from ...wallet.cosigning.contract_book import contract_at
    from ..contract_place import ContractPlace

    place, receiver = order.place, order.receiver
    if receiver[0] != POLICY_KIND:
        return []
    known = None if place.folder is None else contract_at(place.folder, place.coin, receiver)
    if known is None:
        return [
            f"{shown(order.receiver_name)} is a contract's address. This wallet does not know the contract: who may "
            "spend from there can't be told"
        ]
    people = ContractPlace(place)
    lines = [
        f"{shown(order.receiver_name)} is the contract {shown(known.name)} of this wallet's folder: "
        f"{what(known.policy, people.names_of(known))}"
    ]
    if lacking := people.lacking(known):
        lines.append(f"careful: it is not ready: no receipt of {', '.join(lacking)} yet")
    return lines


def _end_by_interrupt() -> None:
    """Let SIGTERM (`timeout`, a service that is stopped) and SIGHUP end this as Ctrl-C does: with a txid."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def _unsent(order: Order, error: BaseException) -> BaseException:
    """The error to raise where `carry_out` was stopped; prints the JSON where the transfer may have been sent."""
    from ..output import print_json

    ended = effect()
    if order.signed is None or ended.status != UNKNOWN:
        return error
    if order.how.json:
        print_json(order.report(order.signed, "unknown"))
    return Ended(joined(sentence_of(error), ended.sentence), UNKNOWN)


def _tell_as_json(order: Order, sent: Sent) -> None:
    from ..output import print_json
    from ..waiting import watch

    report = order.report(sent.transfer, sent.status)
    trouble = None
    if order.how.wait:
        found = watch(order.place, order.confirming(sent), lambda line: None)
        report.update(found.report)
        trouble = found.trouble
    print_json(report)
    if trouble is not None:
        raise trouble


def own_account(place: Place, who: str) -> bytes:
    """The payload of an account whose key the wallet holds. Raises ClickException, UnknownName, BadAddress."""
    wallet = place.wallet
    if wallet is None:
        raise click.ClickException(
            f"there is no wallet to send from{f' in {place.folder}' if place.folder else ''}: "
            "name its data folder with --data, or make one with `moneyer wallet new`"
        )
    payload = place.payload(who)
    if wallet.name_of(payload) is None:
        raise click.ClickException(
            f"the key of {who[:80]} is not in this wallet, so nothing can be sent from there. "
            f"It holds: {', '.join(list(wallet.names)[:8])}"
        )
    return payload


def describe(place: Place, kept: Spend) -> str:
    """A signed spend in words: what it moves, from whom, to whom."""
    from ..output import coins
    from .asset_book import shortened

    def name(payload: bytes) -> str:
        return place.name_of(place.coin.address(payload))

    coin = place.coin
    match kept:
        case Transfer() | Payment() if kept.coin_amount:
            what = coins(kept.amount, coin.decimals, coin.symbol)
        case Issue():
            return f"the issue of {kept.symbol.decode('ascii', 'replace')} by {name(kept.sender)}"
        case Mint():
            what = f"{kept.amount} new units of {shortened(kept.asset.hex())}"
        case Burn():
            return f"the end of {kept.amount} units of {shortened(kept.asset.hex())} of {name(kept.sender)}"
        case Payment():
            what = f"{kept.amount} units of {shortened(kept.asset.hex())}"
        case _:
            what = coins(kept.amount, coin.decimals, coin.symbol)
    return f"{what} from {name(kept.sender)} to {name(kept.receiver)}"


def txid_of(transfer: Spend) -> str:
    """The txid of a signed spend, as shown."""
    from ...core import codec
    from ...core.codec import show

    return show(codec.txid(transfer))


def checked_memo(memo: str) -> str:
    """A memo that fits. Raises UsageError."""
    from ...core.types import MAX_MEMO

    try:
        size = len(memo.encode())
    except UnicodeEncodeError:
        raise click.UsageError("the memo is no text that can be sent: it is not UTF-8") from None
    if size > MAX_MEMO:
        raise click.UsageError(f"the memo has {size} bytes of UTF-8, and {MAX_MEMO} is the most: shorten it")
    return memo


def parsed(text: str, what: str, decimals: int, thing: str = "coin") -> int:
    """Units of an amount with `decimals`. Raises UsageError; `thing`: of what they are."""
    from ...core.coin import parse_amount
    from ...core.errors import BadAmount

    try:
        return parse_amount(text, decimals)
    except BadAmount as error:
        sentence = error.message.replace("this coin has", f"this {thing} has")
        raise click.UsageError(f"{what} {quoted(text)}: {sentence}") from None
