"""What a proposal does, in plain words, and what stands against it: all from its bytes and from the chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ....system.text import shown

if TYPE_CHECKING:
    from pathlib import Path

    from ....contracts.moment import Moment
    from ....wallet.cosigning.contract_book import Contract
    from ....wallet.cosigning.proposals import Proposal
    from ...contract_place import ContractPlace


@dataclass(frozen=True, slots=True)
class ChainState:
    """What the chain says of a proposal's contract."""

    moment: Moment
    balance: int
    """Base units, without what is on its way out."""
    sequence: int
    """Confirmed transactions of the contract."""
    next_sequence: int
    """Behind what waits too."""


def chain_state(place: ContractPlace, proposal: Proposal) -> ChainState | None:
    """What the node says; None where none answers. Raises WrongCoin, Refused."""
    moment = place.moment_if_known()
    if moment is None:
        return None
    account = place.place.client.account(place.coin.address(proposal.spend.sender))
    pending = account["pending"]
    free = max(0, int(account["balance"]) - int(pending["outgoing"]))
    return ChainState(moment, free, int(account["sequence"]), int(pending["next_sequence"]))


def check_can_be_sent(place: ContractPlace, proposal: Proposal, state: ChainState) -> None:
    """Raises BadProposal where its place is taken for good, or a height or time of it has not come."""
    from ....contracts.choose import locks_text
    from ....core.policy import AfterHeight, AfterTime
    from ....wallet.cosigning.errors import BadProposal

    spend, locks = proposal.spend, proposal.locks
    if spend.sequence < state.sequence:
        raise BadProposal(
            f"another payment of this contract took this one's place (sequence {spend.sequence}, and the next is"
            f" {state.next_sequence}): it can never be sent; propose it anew"
        )
    has_come = state.moment.has_come(AfterHeight(locks.height)) and state.moment.has_come(AfterTime(locks.time))
    if not has_come:
        raise BadProposal(
            f"this way of the contract is locked: it opens from {locks_text(locks)} on, and the chain is at block"
            f" {state.moment.height - 1}"
        )


def rows_of_proposal(
    place: ContractPlace, proposal: Proposal, contract: Contract | None, state: ChainState | None
) -> list[tuple[str, object]]:
    """Lines of name and value. `contract`: of the book."""
    from ....contracts.choose import locks_text
    from ....contracts.explain import what
    from ....core.types import COIN_ASSET
    from ...output import coins

    spend = proposal.spend
    name_of = place.names_of(contract)
    rows: list[tuple[str, object]] = [
        ("proposal", proposal.number),
        ("pays", place.amount(spend.amount, spend.asset)),
        ("to", place.who(spend.receiver)),
        ("from", place.who(spend.sender)),
        ("which is", what(proposal.shape.policy, name_of)),
        ("fee", coins(spend.fee, place.coin.decimals, place.coin.symbol)),
    ]
    if spend.memo:
        rows.append(("memo", shown(spend.memo.decode())))
    opens = locks_text(proposal.locks)
    when = "now" if proposal.locks == (0, 0) else f"from {opens} on{'' if state is None else ', which has come'}"
    rows.append(("valid", f"{when}, until another payment of the contract takes its place (sequence {spend.sequence})"))
    rows.append(
        ("signed by", ", ".join([place_called(place, contract, key) for key in proposal.signatures]) or "nobody")
    )
    rows.append(("missing", missing_text(place, proposal, contract) or "nothing: it can be submitted"))
    if spend.asset == COIN_ASSET and spend.fee * 10 > spend.amount:
        rows.append(("careful", "the fee is more than a tenth of what is paid"))
    if state is None:
        rows.append(("careful", "no node answers: whether its place is free, and the money there, is not known"))
        return rows
    needed = spend.fee + (spend.amount if spend.asset == COIN_ASSET else 0)
    if needed > state.balance and spend.sequence >= state.next_sequence:
        have = coins(state.balance, place.coin.decimals, place.coin.symbol)
        rows.append(("careful", f"the contract has {have} to spend, which is less than amount and fee"))
    if spend.sequence > state.next_sequence:
        rows.append(("careful", f"payments with the sequences from {state.next_sequence} on have to come before it"))
    if state.sequence <= spend.sequence < state.next_sequence:
        rows.append(("careful", "another payment in the same place waits for a block: only one of the two will do"))
    return rows


def place_called(place: ContractPlace, contract: Contract | None, key: bytes) -> str:
    """A signer by name, or by the beginning of his key."""
    from ....contracts.policy_tree import name_text

    return name_text(key, place.names_of(contract))


def missing_text(place: ContractPlace, proposal: Proposal, contract: Contract | None) -> str | None:
    """Who has to sign still, and which secret has to be shown; None where nothing is missing."""
    from ....contracts.explain import who

    left = proposal.lacking()
    parts = [] if isinstance(left, bool) else [who(left, place.names_of(contract))]
    parts += [f"the secret of {digest.hex()[:8]}…" for digest in proposal.lacking_preimages]
    return ", and ".join(parts) or None


def signed_text(place: ContractPlace, signed: Proposal, contract: Contract | None, names: str) -> str:
    """What a signature, or a secret, has changed: the rows above it show the proposal before it."""
    done = f"signed as {names}" if names else "the secret is in it"
    lack = missing_text(place, signed, contract)
    return f"\n{done}; {'nothing is missing now' if lack is None else f'still missing: {lack}'}"


def proposal_view(place: ContractPlace, proposal: Proposal, contract: Contract | None) -> dict[str, Any]:
    """The proposal for `--json`."""
    from ....core.types import COIN_ASSET
    from ....wallet.cosigning.proposal_bytes import line_of

    spend = proposal.spend
    return {
        "proposal": proposal.number,
        "contract": None if contract is None else contract.name,
        "sender": place.coin.address(spend.sender),
        "receiver": place.coin.address(spend.receiver),
        "asset": None if spend.asset == COIN_ASSET else spend.asset.hex(),
        "amount": spend.amount,
        "fee": spend.fee,
        "memo": spend.memo.decode(),
        "sequence": spend.sequence,
        "chosen": list(proposal.chosen),
        "locks": {"height": proposal.locks.height, "time": proposal.locks.time},
        "signed": [key.hex() for key in proposal.signatures],
        "missing": missing_text(place, proposal, contract),
        "complete": proposal.is_complete,
        "line": line_of(proposal),
    }


def read_proposal(place: ContractPlace, text: str) -> tuple[Proposal, Path | None]:
    """A proposal that is named by its file, given as a line, or stands on standard input (`-`); and its file."""
    import sys
    from pathlib import Path

    from ....wallet.cosigning.errors import BadProposal
    from ....wallet.cosigning.proposal_bytes import LINE_START, MAX_PROPOSAL, decode_proposal
    from ...contract_place import read_handed

    if text == "-":
        content = sys.stdin.buffer.read(MAX_PROPOSAL + 1)
        return decode_proposal(content, place.coin), None
    if text.lstrip().startswith(LINE_START):
        return decode_proposal(text.encode(errors="replace"), place.coin), None
    path = Path(text)
    try:
        return decode_proposal(read_handed(path, 4 * MAX_PROPOSAL), place.coin), path
    except BadProposal as error:
        raise click.ClickException(f"{path}: {error.message}") from None


def known_contract(place: ContractPlace, proposal: Proposal) -> Contract | None:
    """The book's contract that a proposal pays from; None where the book has none."""
    from ....wallet.cosigning.contract_book import contract_at

    return contract_at(place.data, place.coin, proposal.spend.sender)
