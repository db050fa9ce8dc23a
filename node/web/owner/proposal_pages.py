"""Proposals: a payment from a contract, seen in plain words, signed, put together and submitted.

The node keeps none: a proposal is a line, which goes from page to page in the form, and from person to person by chat.
Each page reads that line anew, with all its checks, and says what its bytes do: what is signed is what was shown.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta, Struct

from ...api.calls.assets.v1_policies import next_moment
from ...api.calls.v1_accounts import HistoryQuery, history, show_account
from ...api.endpoint import Form
from ...contracts.choose import locks_text
from ...contracts.explain import who
from ...contracts.moment import Moment
from ...core.codec import show
from ...core.errors import MoneyerError
from ...core.policy import AfterHeight, AfterTime, Key, leaves_of
from ...core.signing import sign
from ...core.types import COIN_ASSET, KEY_KIND
from ...system.shares import DEAR_READS, WRITES
from ...wallet.cosigning.errors import BadProposal
from ...wallet.cosigning.proposal_bytes import MAX_LINE, decode_proposal, line_of
from ...wallet.cosigning.proposals import Proposal, combined
from ..frame.drawn_policy import draw_policy, key_names
from ..frame.pages import Page, Redirect, Visit, content_of, page
from .wallet_pages import Typed, sentence_of, sign_in_first, why_locked

_REFUSED: Final = 422
Line = Annotated[str, Meta(max_length=2 * MAX_LINE)]


class ProposalForm(Struct):
    line: Line = ""
    """A proposal as a line, or the content of its file."""
    other: Line = ""
    """A copy of it, with other signatures."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a proposal moves, as `m.moved` of the templates shows it."""

    kind: str
    asset: str | None
    amount: int


@page("/wallet/proposal", kept=False)
def proposal_form(visit: Visit[None]) -> Page:
    if not visit.viewer.is_owner:
        return sign_in_first()
    return _form(Typed())


@page("/wallet/proposal", "POST", body=Form(ProposalForm), changes=True, token=True, bound=DEAR_READS)
def see(visit: Visit[None]) -> Page:
    """Say what a proposal does, with the signatures of a copy where one is given."""
    try:
        proposal = _read(visit, visit.form.line)
    except BadProposal as error:
        return _form(Typed({"line": visit.form.line}, {"line": error.message}))
    if not visit.form.other.strip():
        return proposal_page(visit, proposal)
    try:
        return proposal_page(visit, combined(proposal, [_read(visit, visit.form.other)]))
    except BadProposal as error:
        return proposal_page(visit, proposal, Typed({"other": visit.form.other}, {"other": error.message}))


@page("/wallet/proposal/sign", "POST", body=Form(ProposalForm), changes=True, token=True, bound=DEAR_READS)
def sign_it(visit: Visit[None]) -> Page:
    """Sign what was shown, with as few keys of the wallet as help."""
    try:
        proposal = _read(visit, visit.form.line)
    except BadProposal as error:
        return _form(Typed({"line": visit.form.line}, {"line": error.message}))
    wallet = visit.node.wallet
    try:
        if (problem := _why_never(visit, proposal)) is not None:
            raise BadProposal(problem)
        signatures = {
            key: sign(wallet.secret_for(bytes([KEY_KIND]) + key), proposal.digest, os.urandom(32))
            for key in proposal.useful(_own_keys(visit))
        }
    except MoneyerError as error:
        return proposal_page(visit, proposal, Typed({}, {"all": error.message}))
    return proposal_page(visit, proposal.signed_with(signatures, {}))


@page("/wallet/proposal/submit", "POST", body=Form(ProposalForm), changes=True, token=True, bound=WRITES)
def submit_it(visit: Visit[None]) -> Page | Redirect:
    """Send it: however often, it is one transaction, which the chain takes once."""
    try:
        proposal = _read(visit, visit.form.line)
    except BadProposal as error:
        return _form(Typed({"line": visit.form.line}, {"line": error.message}))
    try:
        accepted = visit.node.mempool.accept_transfer(proposal.finished(), replace=False)
    except (MoneyerError, OSError) as error:
        return proposal_page(visit, proposal, Typed({}, {"all": sentence_of(error)}))
    return Redirect(f"/tx/{show(accepted.txid)}")


def _form(typed: Typed) -> Page:
    return Page("proposal_form.html", {"typed": typed}, status=_REFUSED if typed.problems else 200)


def _read(visit: Visit[None], line: str) -> Proposal:
    """Raises BadProposal."""
    if visit.node.coin.rules < 2:
        raise BadProposal(f"{visit.node.coin.name} has rules {visit.node.coin.rules}, which know no contracts")
    return decode_proposal(line.strip().encode("utf-8", "replace"), visit.node.coin)


def _own_keys(visit: Visit[None]) -> list[bytes]:
    return [payload[1:] for payload in visit.node.wallet.names.values()]


def proposal_page(visit: Visit[None], proposal: Proposal, typed: Typed | None = None) -> Page:
    """What a proposal does, computed from its bytes and the chain; and what can be done with it here."""
    coin, spend = visit.node.coin, proposal.spend
    sender, receiver = coin.address(spend.sender), coin.address(spend.receiver)
    contract = visit.viewer.names.contracts.get(sender)
    name_of = key_names(coin, visit.viewer.names, contract)
    moment = next_moment(visit.node)
    signed = [index for index, leaf in enumerate(leaves_of(proposal.shape.policy)) if _is_met(proposal, leaf, index)]
    left = proposal.lacking()
    useful = proposal.useful(_own_keys(visit))
    touched, _ = content_of(visit.ask(history, HistoryQuery(limit=1), address=receiver))
    content = {
        "proposal": proposal,
        "line": line_of(proposal),
        "sender": sender,
        "receiver": receiver,
        "contract": contract,
        "moved": Moved("payment", None if spend.asset == COIN_ASSET else spend.asset.hex(), spend.amount),
        "memo": spend.memo.decode(),
        "policy": draw_policy(coin, proposal.raw_policy, moment, name_of, signed),
        "opens": locks_text(proposal.locks) if any(proposal.locks) else None,
        "has_come": _has_come(proposal, moment),
        "missing": None if isinstance(left, bool) else who(left, lambda key: name_of(key) or f"{key.hex()[:8]}…"),
        "signers": [visit.node.wallet.name_of(bytes([KEY_KIND]) + key) for key in useful],
        "never": _why_never(visit, proposal),
        "why_locked": why_locked(visit),
        "is_new": not touched.transactions,
        "typed": typed or Typed(),
    }
    return Page("proposal.html", content, status=_REFUSED if typed else 200)


def _is_met(proposal: Proposal, leaf: object, index: int) -> bool:
    return leaf.key in proposal.signatures if isinstance(leaf, Key) else index in proposal.chosen


def _has_come(proposal: Proposal, moment: Moment) -> bool:
    height, time = proposal.locks
    return moment.has_come(AfterHeight(height)) and moment.has_come(AfterTime(time))


def _why_never(visit: Visit[None], proposal: Proposal) -> str | None:
    """Why a proposal can't be sent any more, or not yet; None where it can."""
    spend = proposal.spend
    account, _ = content_of(visit.ask(show_account, address=visit.node.coin.address(spend.sender)))
    if spend.sequence < account.sequence:
        return (
            "another payment of this contract took this one's place in the chain: it can never be sent. Propose it anew"
        )
    if not _has_come(proposal, next_moment(visit.node)):
        return f"this way of the contract is locked: it opens from {locks_text(proposal.locks)} on"
    return None
