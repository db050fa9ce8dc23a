"""Assets from the wallet's page: one issued, and some sent. A form, a page that shows all of it and asks, then once.

As with coins (`send_pages`), a form carries a key that was made with it, and whatever sends the form again names the
same transaction.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import asdict

from ...api.endpoint import Form
from ...api.http.errors import BadField, NotFound
from ...api.parts.spend_bodies import memo_bytes
from ...core import codec
from ...core.codec import show
from ...core.coin import format_amount, parse_amount
from ...core.errors import BadAmount, MoneyerError, RuleError
from ...core.rules import MAX_DECIMALS, check_transaction_in_isolation
from ...core.signing import sign_spend
from ...core.types import SIGNATURE_SIZE, Issue, Payment
from ...system.shares import DEAR_READS, WRITES
from ...wallet.errors import KeyUsed
from ...wallet.private_files import locked
from ...wallet.sent import forget, keep, recall
from ..frame.pages import Page, Redirect, Visit, page
from .payments import fees_of_size
from .send_pages import Key, new_key, receiver_of
from .wallet_pages import OwnAccount, Text, Typed, account_of, accounts_of, sentence_of, sign_in_first, why_locked

_REFUSED: Final = 422
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_TEMPLATES: Final = {"/wallet/assets/send": "asset_send.html", "/wallet/assets/issue": "asset_issue.html"}
AssetSpend = Payment | Issue


class SendAssetForm(Struct):
    key: Key
    holding: Text = ""
    """The account's address, a point, the asset's id."""
    to: Text = ""
    amount: Text = ""
    memo: Text = ""
    fee: Annotated[str, Meta(max_length=40)] = ""
    """Base units, as the page that asks has shown them; empty before."""


class IssueForm(Struct):
    key: Key
    sender: Text = ""
    symbol: Text = ""
    name: Text = ""
    amount: Text = ""
    most: Text = ""
    """What may ever be minted; empty for no more than `amount`."""
    decimals: Text = "0"
    content: Text = ""
    fee: Annotated[str, Meta(max_length=40)] = ""


@dataclass(frozen=True, slots=True)
class AssetOrder:
    """A transaction that can be made, and the lines that the page which asks shows: (name, value, hint)."""

    spend: AssetSpend
    """Its sequence is 0 and its witness empty."""
    account: OwnAccount
    title: str
    lines: tuple[tuple[str, str, str], ...]


@page("/wallet/assets/send", kept=False, bound=DEAR_READS)
def send_asset_form(visit: Visit[None]) -> Page:
    """Raises NotFound under rules 1."""
    return _form(visit, "asset_send.html", Typed(), new_key()) if visit.viewer.is_owner else sign_in_first()


@page("/wallet/assets/send", "POST", body=Form(SendAssetForm), changes=True, token=True, bound=WRITES)
def send_asset(visit: Visit[None]) -> Page | Redirect:
    return _ordered(visit, "/wallet/assets/send", *_sending(visit, visit.form))


@page("/wallet/assets/issue", kept=False, bound=DEAR_READS)
def issue_form(visit: Visit[None]) -> Page:
    """Raises NotFound under rules 1."""
    return (
        _form(visit, "asset_issue.html", Typed({"decimals": "0"}), new_key())
        if visit.viewer.is_owner
        else sign_in_first()
    )


@page("/wallet/assets/issue", "POST", body=Form(IssueForm), changes=True, token=True, bound=WRITES)
def issue_asset(visit: Visit[None]) -> Page | Redirect:
    return _ordered(visit, "/wallet/assets/issue", *_issuing(visit, visit.form))


def _form(visit: Visit[None], template: str, typed: Typed, key: str) -> Page:
    coin = visit.node.coin
    if coin.rules < 2:
        raise NotFound(f"{coin.name} has rules {coin.rules}: there are assets under rules 2 only", rules=coin.rules)
    content = {
        "accounts": accounts_of(visit),
        "names": visit.node.wallet.names,
        "why_locked": why_locked(visit),
        "typed": typed,
        "key": key,
    }
    return Page(template, content, status=_REFUSED if typed.problems else 200)


def _ordered(visit: Visit[None], where: str, order: AssetOrder | None, problems: Mapping[str, str]) -> Page | Redirect:
    """The page that asks; what was asked for, where a fee was shown already; or the form with what is wrong."""
    template = _TEMPLATES[where]
    values = {name: str(value) for name, value in asdict(visit.form).items()}
    if order is None:
        return _form(visit, template, Typed(values, problems), values["key"])
    if not values["fee"]:
        content = {"order": order, "values": values | {"fee": str(order.spend.fee)}, "where": where}
        return Page("asset_confirm.html", content)
    try:
        return Redirect(f"/tx/{show(codec.txid(send_once(visit, order.spend, values['key'])))}")
    except (MoneyerError, OSError) as error:
        key = new_key() if isinstance(error, KeyUsed) else values["key"]
        return _form(visit, template, Typed(values, {"all": sentence_of(error)}), key)


def send_once(visit: Visit[None], wanted: AssetSpend, key: str) -> AssetSpend:
    """Sign and submit a transaction; under a key that was used, the same one again.

    Raises KeyUsed where something else was sent under the key, WalletError, RuleError, OSError.
    """
    node = visit.node
    data, chain_id = node.config.data, node.coin.chain_id
    with locked(data):
        kept = recall(data, key, chain_id)
        if kept is not None:
            if not isinstance(kept, Payment | Issue) or replace(kept, sequence=0, witness=b"") != wanted:
                raise KeyUsed("this form was sent before, with other values: nothing more was sent. Begin a new one")
            node.mempool.accept_transfer(kept, replace=False)  # one that is known is no error
            return kept
        secret = node.wallet.secret_for(wanted.sender)
        with visit.call.parts.sending:
            unsigned = replace(wanted, sequence=node.mempool.next_sequence(wanted.sender))
            spend = sign_spend(secret, chain_id, unsigned, aux_rand=os.urandom(32))
            assert isinstance(spend, Payment | Issue)  # noqa: S101 - signing changes the witness alone
            keep(data, key, chain_id, spend)
            try:
                node.mempool.accept_transfer(spend, replace=False)
            except RuleError:
                forget(data, key)
                raise
    return spend


def _with_fee(visit: Visit[None], spend: AssetSpend, shown: str) -> AssetSpend:
    """With the fee that the page which asks has shown, else one that gets it into the next block."""
    if shown.isascii() and shown.isdigit():
        return replace(spend, fee=int(shown))
    size = len(codec.encode_transaction(replace(spend, witness=bytes(SIGNATURE_SIZE))))
    return replace(spend, fee=fees_of_size(visit, size).normal)


def _order(
    visit: Visit[None], spend: AssetSpend, account: OwnAccount, title: str, lines: list[tuple[str, str, str]]
) -> tuple[AssetOrder | None, dict[str, str]]:
    coin = visit.node.coin
    try:
        check_transaction_in_isolation(replace(spend, witness=bytes(SIGNATURE_SIZE)), coin.rules)
    except RuleError as error:
        return None, {"all": error.message}
    if spend.fee > account.free:
        return None, {"all": f"the fee is {coin.in_coins(spend.fee)}, and {account.name} has less to spend"}
    lines = [*lines, ("Fee", coin.in_coins(spend.fee), "in coins, for the miner of the block")]
    return AssetOrder(spend, account, title, tuple(lines)), {}


def _sending(visit: Visit[None], form: SendAssetForm) -> tuple[AssetOrder | None, dict[str, str]]:
    coin, problems = visit.node.coin, {}
    address, _, asset = form.holding.partition(".")
    account, terms = account_of(visit, address), visit.terms(asset)
    if account is None or terms is None:
        return None, {"holding": "choose what to send"}
    receiver, problem = receiver_of(visit, form.to.strip())
    if problem:
        problems["to"] = problem
    units, problem = _units(form.amount, terms.decimals)
    if problem:
        problems["amount"] = problem
    try:
        memo = memo_bytes(form.memo)
    except BadField as error:
        memo, problems["memo"] = b"", error.message
    if problems:
        return None, problems
    sender = coin.payload(account.view.address)
    spend = _with_fee(visit, Payment(sender, 0, 0, memo, b"", receiver, bytes.fromhex(asset), units), form.fee)
    what = f"{format_amount(units, terms.decimals)} {terms.symbol}"
    to = coin.address(receiver)
    lines = [
        ("Asset", what, asset),
        ("From", account.name, account.view.address),
        ("To", visit.viewer.name_of(to) or "an address without a name here", to),
    ]
    if memo:
        lines.append(("Memo", memo.decode(), "everybody can read it"))
    return _order(visit, spend, account, f"Send {what}?", lines)


def _issuing(visit: Visit[None], form: IssueForm) -> tuple[AssetOrder | None, dict[str, str]]:
    coin, problems = visit.node.coin, {}
    account = account_of(visit, form.sender)
    if account is None:
        return None, {"sender": "choose one of your accounts"}
    decimals = int(form.decimals) if re.fullmatch("[0-9]", form.decimals.strip(), re.ASCII) else MAX_DECIMALS + 1
    if decimals > MAX_DECIMALS:
        return None, {"decimals": f"decimals are 0 to {MAX_DECIMALS}"}
    amount, problem = _units(form.amount, decimals, is_zero_allowed=True)
    if problem:
        problems["amount"] = problem
    most, problem = _units(form.most, decimals) if form.most.strip() else (amount, None)
    if problem or not most:
        problems["most"] = problem or "an asset of which there can be nothing is none: give an amount"
    content = form.content.strip().lower() or "0" * 64
    if not _HASH.fullmatch(content):
        problems["content"] = "a SHA-256 is 64 hex digits"
    if problems:
        return None, problems
    sender, symbol, name = coin.payload(account.view.address), form.symbol.strip().upper(), form.name.strip()
    terms = (amount, most, decimals, symbol.encode("utf-8", "replace"), name.encode("utf-8", "replace"))
    spend = _with_fee(visit, Issue(sender, 0, 0, b"", b"", sender, *terms, bytes.fromhex(content)), form.fee)
    lines = [
        ("Symbol", symbol, "others may take the same: only its id tells assets apart"),
        ("Name", name, "everybody can read it"),
        ("At once", format_amount(amount, decimals), f"to {account.name}"),
        ("At most", format_amount(most, decimals), "what may ever be minted, this included; burning makes no room"),
        ("Decimals", str(decimals), "digits after the point"),
        ("Content", "none" if content == "0" * 64 else content, "the SHA-256 of a document or picture"),
        ("Issuer", account.name, account.view.address),
    ]
    return _order(visit, spend, account, f"Issue {symbol}?", lines)


def _units(text: str, decimals: int, *, is_zero_allowed: bool = False) -> tuple[int, str | None]:
    """Units of an amount that was typed, and what is wrong with it."""
    try:
        units = parse_amount(text.strip(), decimals)
    except BadAmount:
        return 0, f"an amount is digits, with {decimals} decimals at most"
    return (units, None) if units or is_zero_allowed else (0, "the amount is 0")
