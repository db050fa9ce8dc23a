"""The wallet's page: accounts, what is on the way, contacts, and mining; and a page to receive coins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final
from urllib.parse import quote, urlencode

from msgspec import Meta, Struct

from ...api.calls.v1_accounts import show_account
from ...api.calls.v1_mining import ModeBody, create_job, mining_view, show_job, switch_mining
from ...api.endpoint import Form
from ...api.http.errors import BadField, NotFound
from ...api.shapes.mining import Job
from ...api.shapes.v1 import AccountView
from ...core.coin import format_amount
from ...core.errors import MoneyerError
from ...core.signing import payable
from ...core.types import MAX_MEMO
from ...store import mining
from ...system.shares import DEAR_READS, PEER_WAITS
from ...system.words import of_system
from ...wallet.contacts import add_contact, read_contacts, remove_contact
from ...wallet.errors import NameTaken, WalletError
from ..explorer.home_page import status_of
from ..frame.pages import Page, Redirect, Visit, content_of, page
from .amounts import amount_of

SHOWN: Final = 100
"""Accounts with their balances: each is a look at the database."""
MINE: Final = (1, 5, 10)
"""Blocks of the buttons."""
SCHEME: Final = "moneyer:"
"""Of an address as a link: `moneyer:ADDRESS?amount=1.5&memo=ice%20cream`, as Bitcoin's BIP 21 has it."""
_REFUSED: Final = 422

Text = Annotated[str, Meta(max_length=1_000)]


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """An account of the wallet, with what it has."""

    name: str
    view: AccountView

    @property
    def free(self) -> int:
        """Base units that can be spent now: nothing that waits is counted twice."""
        return max(0, self.view.balance - self.view.pending.outgoing)


@dataclass(frozen=True, slots=True)
class Typed:
    """A form that comes back: what was typed, and what is wrong with it, by field."""

    values: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str) -> str:
        return self.values.get(name, "")

    def problem(self, name: str) -> str | None:
        return self.problems.get(name)

    def is_first(self, name: str) -> bool:
        """Whether the reader is led to this field first: it is the first one that something is wrong with."""
        return next(iter(self.problems), None) == name


class WalletQuery(Struct):
    job: Annotated[str, Meta(max_length=64)] | None = None
    """Blocks that were asked for a moment ago."""


class NameForm(Struct):
    name: Text = ""


class ContactForm(Struct):
    name: Text = ""
    address: Text = ""


class MineForm(Struct):
    blocks: Annotated[int, Meta(ge=1, le=max(MINE))] = 1


class ModeForm(Struct):
    mode: Annotated[str, Meta(max_length=20)] = ""
    seconds: Annotated[str, Meta(max_length=20)] = ""


class ReceiveQuery(Struct):
    to: Text = ""
    amount: Text = ""
    memo: Text = ""


def sign_in_first() -> Page:
    """What everybody but the owner gets of these pages."""
    return Page("signin.html", {"is_open": False, "is_needed": True}, status=401)


def accounts_of(visit: Visit[object]) -> list[OwnAccount]:
    """The wallet's accounts, in its order; the first ones of very many."""
    return [_own(visit, name, payload) for name, payload in list(visit.node.wallet.names.items())[:SHOWN]]


def account_of(visit: Visit[object], who: str) -> OwnAccount | None:
    """The account of a name or an address; None for one that is not the wallet's."""
    coin, names = visit.node.coin, visit.node.wallet.names
    found = next(((name, held) for name, held in names.items() if who in (name, coin.address(held))), None)
    return None if found is None else _own(visit, *found)


def _own(visit: Visit[object], name: str, payload: bytes) -> OwnAccount:
    view, _ = content_of(visit.ask(show_account, address=visit.node.coin.address(payload)))
    return OwnAccount(name, view)


def why_locked(visit: Visit[object]) -> str | None:
    """Why nothing can be spent; None where it can."""
    wallet = visit.node.wallet
    if not wallet.locked:
        return None
    return wallet.why_locked or (
        f"{visit.node.keys.path} is encrypted, and this node was not given its passphrase: restart the node with it, "
        "in MONEYER_PASSPHRASE or --passphrase-file"
    )


@page("/wallet", query=WalletQuery, kept=False, bound=DEAR_READS)
def wallet(visit: Visit[WalletQuery]) -> Page:
    if not visit.viewer.is_owner:
        return sign_in_first()
    return wallet_page(visit, job=visit.query.job)


def wallet_page(visit: Visit[object], typed: Typed | None = None, job: str | None = None) -> Page:
    """`typed`: a form of the page that was refused; `job`: blocks that were asked for."""
    contacts, problem = _contacts(visit)
    accounts = accounts_of(visit)
    content = {
        "accounts": accounts,
        "more": max(0, len(visit.node.wallet.names) - len(accounts)),
        "total": sum(each.view.balance for each in accounts),
        "incoming": sum(each.view.pending.incoming for each in accounts),
        "outgoing": sum(each.view.pending.outgoing for each in accounts),
        "why_locked": why_locked(visit),
        "contacts": contacts,
        "contacts_problem": problem,
        "status": status_of(visit),
        "mining": mining_view(visit.node),
        "job": None if job is None else _job(visit, job),
        "mine": MINE,
        "typed": typed or Typed(),
    }
    return Page("wallet.html", content, status=_REFUSED if typed else 200)


def _contacts(visit: Visit[object]) -> tuple[Mapping[str, str], str | None]:
    """Name -> address; and a sentence where they can't be read."""
    try:
        return read_contacts(visit.node.config.data), None
    except WalletError as error:
        return {}, error.message
    except OSError as error:
        return {}, of_system(error)


def _job(visit: Visit[object], name: str) -> Job | None:
    try:
        return visit.ask(show_job, job=name)
    except (NotFound, BadField):
        return None


@page("/wallet/accounts", "POST", body=Form(NameForm), changes=True, token=True)
def new_account(visit: Visit[None]) -> Page | Redirect:
    name = visit.form.name.strip()
    try:
        visit.node.keys.derive(name)
    except (WalletError, OSError) as error:
        return wallet_page(visit, Typed({"account": name}, {"account": sentence_of(error)}))
    return Redirect("/wallet#accounts")


@page("/wallet/contacts", "POST", body=Form(ContactForm), changes=True, token=True)
def new_contact(visit: Visit[None]) -> Page | Redirect:
    name, address = visit.form.name.strip(), visit.form.address.strip()
    coin, at = visit.node.coin, "address"
    try:
        payload = payable(coin, address)
        at = "contact"
        if visit.node.wallet.payload_of(name) is not None:
            raise NameTaken(f"{name} is an account of this wallet: take another name")
        add_contact(visit.node.config.data, name, coin.address(payload))
    except (MoneyerError, OSError) as error:
        return wallet_page(visit, Typed({"contact": name, "address": address}, {at: sentence_of(error)}))
    return Redirect("/wallet#contacts")


@page("/wallet/contacts/remove", "POST", body=Form(NameForm), changes=True, token=True)
def forget_contact(visit: Visit[None]) -> Page | Redirect:
    try:
        remove_contact(visit.node.config.data, visit.form.name)
    except (WalletError, OSError) as error:
        return wallet_page(visit, Typed({}, {"contacts": sentence_of(error)}))
    return Redirect("/wallet#contacts")


@page("/wallet/mine", "POST", body=Form(MineForm), changes=True, token=True)
def mine(visit: Visit[None]) -> Redirect:
    job = create_job(visit.node, visit.form.blocks, None)
    return Redirect(f"/wallet?{urlencode({'job': job.job_id})}#job")


@page("/wallet/mode", "POST", body=Form(ModeForm), changes=True, token=True, bound=PEER_WAITS)
def switch_mode(visit: Visit[None]) -> Page | Redirect:
    given = visit.form
    mode = f"interval:{given.seconds.strip()}" if given.mode == "interval" else given.mode
    try:
        mining.parse_mode(mode)
    except mining.BadMode as error:
        return wallet_page(visit, Typed({"mode": given.mode, "seconds": given.seconds}, {"mode": error.message}))
    visit.do(switch_mining, ModeBody(mode))
    return Redirect("/wallet#mining")


def sentence_of(error: MoneyerError | OSError) -> str:
    """An error for the reader of a page."""
    return error.message if isinstance(error, MoneyerError) else f"nothing was written: {of_system(error)}"


@page("/wallet/receive", query=ReceiveQuery, kept=False)
def receive(visit: Visit[ReceiveQuery]) -> Page:
    if not visit.viewer.is_owner:
        return sign_in_first()
    coin, names = visit.node.coin, visit.node.wallet.names
    asked = visit.query
    payload = visit.node.wallet.payload_of(asked.to)
    if payload is None:
        payload = coin.payload(asked.to) if asked.to else next(iter(names.values()))
    address, problems, wanted = coin.address(payload), {}, {}
    if asked.amount.strip():
        amount, problem = amount_of(asked.amount, coin)
        if problem:
            problems["amount"] = problem
        else:
            wanted["amount"] = format_amount(amount, coin.decimals)
    if asked.memo:
        if len(asked.memo.encode("utf-8", "replace")) > MAX_MEMO:
            problems["memo"] = f"a memo has {MAX_MEMO} bytes of UTF-8 at most: shorten it"
        else:
            wanted["memo"] = asked.memo
    content = {
        "address": address,
        "uri": payment_uri(address, wanted),
        "wanted": wanted,
        "names": {name: coin.address(each) for name, each in names.items()},
        "typed": Typed({"amount": asked.amount, "memo": asked.memo}, problems),
    }
    return Page("receive.html", content, status=_REFUSED if problems else 200)


def payment_uri(address: str, wanted: Mapping[str, str]) -> str:
    """An address as a link, with the amount and the memo that the receiver asks for."""
    return f"{SCHEME}{address}" + (f"?{urlencode(wanted, quote_via=quote)}" if wanted else "")
