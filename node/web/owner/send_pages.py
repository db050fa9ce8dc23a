"""Sending coins: a form, a page that shows all of it and asks, and the transfer, which is sent once.

The form carries a key that was made with it (`key`). Whatever sends the form again (a double click, a reload, "back", a
copy of the tab) names the same key, and so the same transfer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Annotated, Final
from urllib.parse import parse_qsl, urlencode

from msgspec import Meta, Struct
from msgspec.structs import asdict, replace

from ...api.calls.explore.v1_search import names_of
from ...api.calls.v1_accounts import HistoryQuery, history
from ...api.calls.v1_mining import mining_view
from ...api.endpoint import Form
from ...api.http.errors import BadField
from ...api.http.errors import status_of as http_status_of
from ...api.parts.spend_bodies import memo_bytes
from ...core.coin import Coin, format_amount, parse_amount
from ...core.errors import BadAddress, MoneyerError
from ...core.signing import payable
from ...system.shares import DEAR_READS, WRITES
from ...system.words import nearest, quoted
from ...wallet.errors import KeyUsed, WalletError
from ...wallet.names import MAX_NAME, find_name
from ..frame.pages import Page, Redirect, Visit, content_of, page
from .amounts import amount_of
from .payments import Payment, Sent, fees, pay, sent_before
from .wallet_pages import (
    SCHEME,
    OwnAccount,
    Text,
    Typed,
    account_of,
    accounts_of,
    sentence_of,
    sign_in_first,
    why_locked,
)

_REFUSED: Final = 422
_NOT_NOW: Final = 503
_FIELDS: Final = ("sender", "to", "amount", "memo", "speed")
Key = Annotated[str, Meta(min_length=16, max_length=64, pattern="^page-[0-9A-Za-z_-]+$")]


class SendQuery(Struct):
    """What stands in the form at first: by a link of these pages, or of somebody who asks for coins."""

    sender: Text = ""
    to: Text = ""
    amount: Text = ""
    memo: Text = ""
    speed: Text = "normal"


class SendForm(Struct):
    key: Key
    sender: Text = ""
    to: Text = ""
    amount: Text = ""
    memo: Text = ""
    speed: Text = "normal"


class PayForm(Struct):
    """What the page that asks has shown: addresses, and amounts in coins."""

    key: Key
    sender: Text
    to: Text
    amount: Text
    fee: Text
    memo: Text = ""
    speed: Text = "normal"


@dataclass(frozen=True, slots=True)
class Order:
    """A payment that can be made, as the page that asks shows it."""

    payment: Payment
    account: OwnAccount
    receiver: str
    """The receiver's address."""
    is_new: bool
    """Whether nothing was ever sent to that address."""

    @property
    def total(self) -> int:
        return self.payment.amount + self.payment.fee

    @property
    def left(self) -> int:
        """Base units that the sender can spend afterwards."""
        return self.account.free - self.total


@page("/wallet/send", query=SendQuery, kept=False, bound=DEAR_READS)
def send_form(visit: Visit[SendQuery]) -> Page:
    if not visit.viewer.is_owner:
        return sign_in_first()
    return _form(visit, Typed(_values(visit.query)), new_key())


@page("/wallet/send", "POST", body=Form(SendForm), changes=True, token=True, bound=DEAR_READS)
def ask(visit: Visit[None]) -> Page | Redirect:
    """Show what would be sent, and ask."""
    form: SendForm = visit.form
    try:
        sent = sent_before(visit, form.key)
    except (WalletError, OSError) as error:
        return _refused(visit, form, error)
    if sent is not None:
        return _sent(visit, sent, form)
    order, problems = _checked(visit, form)
    if order is None:
        return _form(visit, Typed(_values(form), problems), form.key, _REFUSED)
    return _ask(visit, order, form)


@page("/wallet/pay", "POST", body=Form(PayForm), changes=True, token=True, bound=WRITES)
def send(visit: Visit[None]) -> Page | Redirect:
    """Send what was shown."""
    form: PayForm = visit.form
    try:
        return Redirect(f"/tx/{pay(visit, _shown_payment(visit, form), form.key)}")
    except (MoneyerError, OSError) as error:
        return _refused(visit, form, error)


def _refused(visit: Visit[object], form: Struct, error: MoneyerError | OSError) -> Page:
    """The form as it was, and why nothing was sent. It may be sent again, unless something was sent by it before."""
    key = new_key() if isinstance(error, KeyUsed) else str(asdict(form)["key"])
    status = http_status_of(error) if isinstance(error, MoneyerError) else _NOT_NOW
    return _form(visit, Typed(_values(form), {"all": sentence_of(error)}), key, status)


def new_key() -> str:
    """The key of one form."""
    return f"page-{token_urlsafe(16)}"


def _values(form: Struct) -> dict[str, str]:
    return {name: str(value) for name, value in asdict(form).items() if name in _FIELDS}


def _form(visit: Visit[object], typed: Typed, key: str, status: int = 200) -> Page:
    memo = len(typed.values["memo"].encode("utf-8", "replace"))
    accounts, sender = accounts_of(visit), account_of(visit, typed.values["sender"])
    if sender is not None and sender.name not in (each.name for each in accounts):
        accounts.append(sender)
    content = {
        "accounts": accounts,
        "names": names_of(visit.node),
        "fees": fees(visit, memo),
        "why_locked": why_locked(visit),
        "typed": typed,
        "key": key,
    }
    return Page("send.html", content, status=status)


def _checked(visit: Visit[object], form: SendForm) -> tuple[Order | None, dict[str, str]]:
    """The order that a form means; or None, and what is wrong, by field."""
    coin, problems = visit.node.coin, {}
    form = _unfolded(form)
    if (why := why_locked(visit)) is not None:
        problems["all"] = why
    account = account_of(visit, form.sender)
    if account is None:
        problems["sender"] = "choose one of your accounts"
    receiver, problem = receiver_of(visit, form.to.strip())
    if problem:
        problems["to"] = problem
    amount, problem = amount_of(form.amount, coin)
    if problem:
        problems["amount"] = problem
    try:
        memo = memo_bytes(form.memo)
    except BadField as error:
        memo, problems["memo"] = b"", error.message
    if problems or account is None:
        return None, problems
    fee = fees(visit, len(memo)).of(form.speed)
    if (problem := _missing(coin, account, amount, fee)) is not None:
        return None, {"amount": problem}
    payment = Payment(coin.payload(account.view.address), receiver, amount, fee, memo)
    return Order(payment, account, coin.address(receiver), _is_new(visit, coin.address(receiver))), {}


def _unfolded(form: SendForm) -> SendForm:
    """The form, with what a link `moneyer:ADDRESS?amount=…&memo=…` says in its own fields, where they are empty."""
    link = form.to.strip()
    if not link.lower().startswith(SCHEME):
        return form
    address, _, query = link[len(SCHEME) :].partition("?")
    asked: dict[str, str] = {}
    for name, value in parse_qsl(query):  # few: the whole link is bounded by its field
        asked.setdefault(name, value)
    # A hidden field keeps no line break as it was, and no NUL: what is shown would not be what is sent.
    memo = re.sub(r"[\x00\r\n]+", " ", asked.get("memo", ""))
    return replace(form, to=address, amount=form.amount or asked.get("amount", ""), memo=form.memo or memo)


def receiver_of(visit: Visit[object], who: str) -> tuple[bytes, str | None]:
    """The payload of a name or an address, and None; or nothing, and what is wrong with it."""
    coin, names = visit.node.coin, names_of(visit.node)
    if not who:
        return b"", "say who gets the coins: a name or an address"
    name = find_name(names, who)
    address = who if name is None else names[name]
    if name is None and not (who.lower().startswith(f"{coin.hrp}1") or len(who) > MAX_NAME):
        near = nearest(who, names)
        hint = f"did you mean {near}?" if near else f"an address begins with {coin.hrp}1"
        return b"", f"there is no {quoted(who)} among your accounts and contacts: {hint}"
    try:
        return payable(coin, address), None
    except BadAddress as error:
        return b"", error.message


def _missing(coin: Coin, account: OwnAccount, amount: int, fee: int) -> str | None:
    """A sentence where an account can't pay amount and fee."""
    needed, free = amount + fee, account.free
    if needed <= free:
        return None
    waiting = account.view.pending.outgoing
    out = f" ({coin.in_coins(waiting)} are on their way out already)" if waiting else ""
    with_fee = f", and with the fee {coin.in_coins(needed)} are needed" if fee else ""
    return (
        f"{coin.in_coins(needed - free)} are missing: {account.name} has {coin.in_coins(free)} to spend{out}{with_fee}"
    )


def _is_new(visit: Visit[object], address: str) -> bool:
    """Whether no confirmed transaction has touched an address yet."""
    found, _ = content_of(visit.ask(history, HistoryQuery(limit=1), address=address))
    return not found.transactions


def _ask(visit: Visit[object], order: Order, form: SendForm) -> Page:
    content = {
        "order": order,
        "memo": order.payment.memo.decode(),
        "speed": form.speed,
        "key": form.key,
        "has_worker": mining_view(visit.node).worker.alive,
        "change": urlencode(_values(form)),
        "plain": _plain(visit.node.coin, order.payment),
    }
    return Page("confirm.html", content)


def _plain(coin: Coin, payment: Payment) -> dict[str, str]:
    """The amounts as a form takes them."""
    return {
        "amount": format_amount(payment.amount, coin.decimals),
        "fee": format_amount(payment.fee, coin.decimals),
    }


def _sent(visit: Visit[object], sent: Sent, form: SendForm) -> Page:
    coin, payment = visit.node.coin, sent.payment
    content = {
        "sent": sent,
        "sender": coin.address(payment.sender),
        "receiver": coin.address(payment.receiver),
        "memo": payment.memo.decode("utf-8", "replace"),
        "key": form.key,
        "plain": _plain(coin, payment),
    }
    return Page("sent.html", content)


def _shown_payment(visit: Visit[object], form: PayForm) -> Payment:
    """What the page that asked has shown. Raises BadAddress, BadAmount, BadField."""
    coin = visit.node.coin
    return Payment(
        sender=coin.payload(form.sender),
        receiver=payable(coin, form.to),
        amount=parse_amount(form.amount, coin.decimals),
        fee=parse_amount(form.fee, coin.decimals),
        memo=memo_bytes(form.memo),
    )
