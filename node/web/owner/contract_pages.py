"""The wallet's contracts: which there are and who can spend from them now; one of them; and a payment to propose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from msgspec import Struct
from msgspec.structs import asdict

from ...api.calls.assets.v1_policies import next_moment
from ...api.calls.explore.v1_search import names_of
from ...api.calls.v1_accounts import show_account
from ...api.endpoint import Form
from ...api.http.errors import BadField, NotFound
from ...api.parts.spend_bodies import memo_bytes
from ...api.shapes.v1 import AccountView
from ...contracts.choose import AtHand, missing
from ...core.codec import encode_unsigned
from ...core.coin import parse_amount
from ...core.errors import BadAmount
from ...core.policy import Hash, decode_policy
from ...core.types import COIN_ASSET, Payment
from ...system.shares import DEAR_READS
from ...wallet.cosigning.contract_book import Contract, read_book
from ...wallet.cosigning.leaf_signing import chosen_for, most_leaves, witness_size
from ...wallet.cosigning.proposals import Proposal
from ...wallet.errors import WalletUnreadable
from ..frame.drawn_policy import DrawnPolicy, draw_policy, key_names
from ..frame.pages import Page, Visit, content_of, page
from .amounts import amount_of
from .payments import fees_of_size
from .proposal_pages import proposal_page
from .send_pages import receiver_of
from .wallet_pages import SHOWN, Text, Typed, sign_in_first

_REFUSED: Final = 422


class ProposeForm(Struct):
    to: Text = ""
    amount: Text = ""
    asset: Text = ""
    """Its id; empty for the coin."""
    memo: Text = ""


@dataclass(frozen=True, slots=True)
class OwnContract:
    """A contract of the book as it stands now."""

    contract: Contract
    account: AccountView
    policy: DrawnPolicy
    lacking: tuple[str, ...]
    """Who has not shown yet that he holds it."""

    @property
    def free(self) -> int:
        """Base units that can be spent now."""
        return max(0, self.account.balance - self.account.pending.outgoing)


@page("/wallet/contracts", kept=False, bound=DEAR_READS)
def contract_list(visit: Visit[None]) -> Page:
    """Raises NotFound under rules 1, OSError."""
    if not visit.viewer.is_owner:
        return sign_in_first()
    _check_rules(visit)
    found = list(islice(read_book(visit.node.config.data, visit.node.coin), SHOWN))
    content = {
        "contracts": [_own(visit, each) for each in found if isinstance(each, Contract)],
        "problems": [each.message for each in found if isinstance(each, WalletUnreadable)],
        "is_cut": len(found) == SHOWN,
    }
    return Page("contracts.html", content)


@page("/wallet/contracts/{address}", kept=False, bound=DEAR_READS)
def one_contract(visit: Visit[None]) -> Page:
    """Raises NotFound."""
    if not visit.viewer.is_owner:
        return sign_in_first()
    return _page(visit, _find(visit), Typed())


@page("/wallet/contracts/{address}", "POST", body=Form(ProposeForm), changes=True, token=True, bound=DEAR_READS)
def propose(visit: Visit[None]) -> Page:
    """Show the proposal of a payment; nothing is signed. Raises NotFound."""
    form: ProposeForm = visit.form
    contract = _find(visit)
    proposal, problems = _proposed(visit, contract, form)
    if proposal is None:
        return _page(visit, contract, Typed(_values(form), problems), _REFUSED)
    return proposal_page(visit, proposal)


def _values(form: ProposeForm) -> Mapping[str, str]:
    return {name: str(value) for name, value in asdict(form).items()}


def _check_rules(visit: Visit[None]) -> None:
    coin = visit.node.coin
    if coin.rules < 2:
        raise NotFound(f"{coin.name} has rules {coin.rules}: there are contracts under rules 2 only", rules=coin.rules)


def _find(visit: Visit[None]) -> Contract:
    _check_rules(visit)
    contract = visit.viewer.names.contracts.get(visit.call.path["address"])
    if contract is None:
        raise NotFound("your wallet keeps no contract of this address: /wallet/contracts lists those that it keeps")
    return contract


def _own(visit: Visit[None], contract: Contract) -> OwnContract:
    coin = visit.node.coin
    account, _ = content_of(visit.ask(show_account, address=coin.address(contract.payload)))
    name_of = key_names(coin, visit.viewer.names, contract)
    drawn = draw_policy(coin, contract.raw_policy, next_moment(visit.node), name_of)
    lacking = contract.unproven(own_keys(visit))
    return OwnContract(contract, account, drawn, tuple([name_of(key) or f"{key.hex()[:8]}…" for key in lacking]))


def own_keys(visit: Visit[None]) -> list[bytes]:
    """The 32-byte keys of the wallet."""
    return [payload[1:] for payload in visit.node.wallet.names.values()]


def _page(visit: Visit[None], contract: Contract, typed: Typed, status: int = 200) -> Page:
    content = {
        "own": _own(visit, contract),
        "has_secret": any(isinstance(leaf, Hash) for leaf in decode_policy(contract.raw_policy).leaves),
        "names": names_of(visit.node),
        "typed": typed,
    }
    return Page("contract.html", content, status=status)


def _proposed(visit: Visit[None], contract: Contract, form: ProposeForm) -> tuple[Proposal | None, dict[str, str]]:
    """The proposal that a form means; or None, and what is wrong, by field."""
    coin, problems = visit.node.coin, {}
    receiver, problem = receiver_of(visit, form.to.strip())
    if problem:
        problems["to"] = problem
    asset, units, problem = _amount(visit, form)
    if problem:
        problems["amount"] = problem
    try:
        memo = memo_bytes(form.memo)
    except BadField as error:
        memo, problems["memo"] = b"", error.message
    shape, moment = decode_policy(contract.raw_policy), next_moment(visit.node)
    chosen = chosen_for(shape, own_keys(visit), (), moment)
    if chosen is None:
        lack = missing(shape.policy, AtHand(contract.keys), moment, coin)
        problems["all"] = f"nothing can be spent from it now: {lack.sentence if lack else 'it is locked'}"
    if problems or chosen is None:
        return None, problems
    own = _own(visit, contract)
    payment = Payment(contract.payload, 0, own.account.pending.next_sequence, memo, b"", receiver, asset, units)
    size = (
        len(encode_unsigned(payment)) + 2 + witness_size(contract.raw_policy, shape, most_leaves(shape, chosen) or ())
    )
    payment = replace(payment, fee=fees_of_size(visit, size).normal)
    needed = payment.fee + (units if asset == COIN_ASSET else 0)
    if needed > own.free:
        have, wanted = coin.in_coins(own.free), coin.in_coins(needed)
        return None, {"amount": f"{contract.name} has {have} to spend, and with the fee {wanted} are needed"}
    return Proposal(coin, payment, contract.raw_policy, chosen, {}, {}), {}


def _amount(visit: Visit[None], form: ProposeForm) -> tuple[bytes, int, str | None]:
    """The asset's id (zeros for the coin), its units, and what is wrong."""
    if not form.asset:
        units, problem = amount_of(form.amount, visit.node.coin)
        return COIN_ASSET, units, problem
    terms = visit.terms(form.asset)
    if terms is None:
        return COIN_ASSET, 0, "choose one of the assets that the contract holds"
    try:
        units = parse_amount(form.amount.strip(), terms.decimals)
    except BadAmount:
        return COIN_ASSET, 0, f"an amount of {terms.symbol} is digits, with {terms.decimals} decimals at most"
    return bytes.fromhex(terms.id), units, None if units else "the amount is 0: there is nothing to send"
