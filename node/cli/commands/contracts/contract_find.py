"""`moneyer contract recover`: contracts found again from co-signers' files, from proposals, and from the chain.

A spend shows its policy to everybody, so a contract that was spent from once is on the chain for ever. One that was
only paid shows nothing but its address: then a co-signer's copy is the only way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...options import IntRange, as_json, node_url, option, wallet_folder

if TYPE_CHECKING:
    from ....wallet.cosigning.contract_book import Contract
    from ...contract_place import ContractPlace

_MOST_ADDRESSES = 200
"""Contracts' addresses that one command looks at: anybody can pay the wallet from as many as he likes."""


_MOST_STRANGE = 100
"""Contracts that only paid the wallet, and were paid nothing by it, which one command keeps: anybody can make some with
its keys in them, and the book has room for 1,000."""


@dataclass(slots=True)
class Found:
    contracts: dict[bytes, Contract] = field(default_factory=dict)
    """By payload."""
    hidden: set[bytes] = field(default_factory=set)
    """Payloads that were paid and never spent from."""
    left_out: int = 0

    def leave_out_strange(self, paid: Collection[bytes]) -> None:
        """Keep those that the wallet paid, and of the others the first `_MOST_STRANGE`."""
        for payload in [each for each in self.contracts if each not in paid][_MOST_STRANGE:]:
            self.left_out += 1
            del self.contracts[payload]


@click.command()
@click.argument("what", nargs=-1, metavar="[FILE|ADDRESS]…")
@option("--name", metavar="NAME", help="What to call it, where one is found.  [default: recovered-1, -2, …]")
@option("--most", type=IntRange(1, 1_000_000), default=10_000, show_default=True, help="Transactions to look at, each.")
@wallet_folder
@node_url
@as_json
def recover(
    what: tuple[str, ...], name: str | None, most: int, data: Path | None, node: str | None, json: bool
) -> None:
    """Find contracts again.

    From co-signers' files and from proposals; from the chain, where an address was spent from once. Without FILE and
    ADDRESS it walks the history of the wallet's own keys.

    \b
    moneyer contract recover
    moneyer contract recover till-for-bob.json
    """
    from ....wallet.cosigning.contract_book import contract_names
    from ...contract_place import find_contract_place
    from ...exits import effect
    from ...output import print_json
    from .contract_words import view

    place = find_contract_place(data, node)
    found = Found()
    for each in what:
        if each.lower().startswith(f"{place.coin.hrp}1") and not Path(each).exists():
            _look_at(place, place.coin.payload(each), most, found)
        else:
            _take_file(place, Path(each), found)
    if not what:
        _walk_own(place, most, found)
    if name is not None and len(found.contracts) > 1:
        raise click.ClickException(f"{len(found.contracts)} contracts were found, and --name is for one: leave it out")
    before = set(contract_names(place.data))
    kept = [_keep(place, contract, name) for contract in found.contracts.values()]
    effect().done("Contracts were found: `moneyer contract list` lists them")
    if json:
        hidden = [place.coin.address(payload) for payload in sorted(found.hidden)]
        print_json({"contracts": [view(place, each, None) for each in kept], "hidden": hidden})
        _say_left_out(found.left_out)
        return
    for contract in kept:
        state = "was here already" if contract.name in before else "is kept again"
        click.echo(f"{contract.name} ({place.coin.address(contract.payload)}) {state}")
    for payload in sorted(found.hidden):
        click.echo(
            f"{place.coin.address(payload)} is a contract that was never spent from, so the chain does not show its"
            " policy: ask a co-signer for his file"
        )
    if not kept and not found.hidden:
        click.echo("nothing was found")
    _say_left_out(found.left_out)


def _say_left_out(count: int) -> None:
    if count:
        click.echo(
            f"{count} more contracts with your keys in them have paid you and were left out, as anybody can make such:"
            " `moneyer contract recover ADDRESS` takes one",
            err=True,
        )


def _keep(place: ContractPlace, contract: Contract, name: str | None) -> Contract:
    from ....wallet.cosigning.contract_book import add_contract, contract_at, contract_names
    from ....wallet.names import find_name

    if contract_at(place.data, place.coin, contract.payload) is None:
        taken = [*contract_names(place.data), *place.taken_names()]
        if name is not None:
            contract = replace(contract, name=name)
        elif not contract.name or find_name(taken, contract.name) is not None:
            free = next(each for number in range(1, 10_000) if find_name(taken, each := f"recovered-{number}") is None)
            contract = replace(contract, name=free)
    return add_contract(place.data, place.coin, contract, place.taken_names())


def _take_file(place: ContractPlace, path: Path, found: Found) -> None:
    """A contract's file or a proposal. Raises BadContractFile."""
    from ....wallet.cosigning.contract_book import Contract, decode_contract
    from ....wallet.cosigning.errors import BadContractFile, BadProposal
    from ....wallet.cosigning.proposal_bytes import MAX_PROPOSAL, decode_proposal
    from ...contract_place import read_handed

    content = read_handed(path, MAX_PROPOSAL)
    try:
        contract = decode_contract(content, place.coin)
    except BadContractFile as error:
        try:
            proposal = decode_proposal(content, place.coin)
        except BadProposal:
            raise BadContractFile(f"{path}: {error.message}") from None
        contract = Contract("", proposal.raw_policy, {}, {})
    found.contracts[contract.payload] = contract


def _walk_own(place: ContractPlace, most: int, found: Found) -> None:
    """The histories of the wallet's keys: contracts that paid them, and those that they paid."""
    from ....core.types import POLICY_KIND

    place.check_node()
    paid: set[bytes] = set()
    for key in place.own:
        address = place.coin.address(b"\x00" + key)
        for each in place.place.client.history(address, most):
            _note_policy(place, each, found)
            receiver = each.get("receiver")
            if isinstance(receiver, str) and (payload := place.coin.payload(receiver))[0] == POLICY_KIND:
                paid.add(payload)
    for payload in sorted(paid - set(found.contracts))[:_MOST_ADDRESSES]:
        _look_at(place, payload, most, found)
    for payload, contract in list(found.contracts.items()):
        if not any(key in place.own for key in contract.keys):
            del found.contracts[payload]  # somebody else's, who has paid here
    found.leave_out_strange(paid)


def _look_at(place: ContractPlace, payload: bytes, most: int, found: Found) -> None:
    """An address's own history. Raises ClickException for one that is a key's."""
    from ....core.types import POLICY_KIND

    if payload[0] != POLICY_KIND:
        raise click.ClickException("this is the address of a key, not of a contract")
    place.check_node()
    for each in _sent(place, payload, most):
        _note_policy(place, each, found)
        if payload in found.contracts:
            return
    found.hidden.add(payload)


def _sent(place: ContractPlace, payload: bytes, most: int) -> Iterator[dict[str, Any]]:
    address = place.coin.address(payload)
    return (each for each in place.place.client.history(address, most) if each.get("sender") == address)


def _note_policy(place: ContractPlace, transaction: dict[str, Any], found: Found) -> None:
    """Note the policy that a transaction shows, if it is its sender's. A node is not believed."""
    from ....core.errors import BadAddress, BadWitness
    from ....core.policy import decode_policy, payload_of_policy
    from ....wallet.cosigning.contract_book import Contract

    shown_policy, sender = transaction.get("policy"), transaction.get("sender")
    if not isinstance(shown_policy, str) or not isinstance(sender, str):
        return
    try:
        raw = bytes.fromhex(shown_policy)
        decode_policy(raw)
        payload = payload_of_policy(raw)
        if place.coin.payload(sender) != payload:
            return
    except (ValueError, BadWitness, BadAddress):
        return
    found.hidden.discard(payload)
    contract = Contract("", raw, {}, {})
    names = {key: place.known[key] for key in contract.keys if key in place.known}
    found.contracts.setdefault(payload, replace(contract, names=names))
