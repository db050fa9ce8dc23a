"""`moneyer contract spend`, `sign`, `combine` and `submit`: a payment from a contract, by several people.

What is shown before a signature is computed from the proposal's bytes and from the chain. A proposal that came as a
file is signed in its place; one that came as a line is printed as one.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...options import FILE, IntRange, as_json, node_url, option, passphrase_file, wallet_folder
from .contract_share import sure

if TYPE_CHECKING:
    from ....contracts.moment import Moment
    from ....core.types import Payment
    from ....wallet.cosigning.contract_book import Contract
    from ....wallet.cosigning.proposals import Proposal
    from ...contract_place import ContractPlace

_PREIMAGE_FILE = 1_024
"""Bytes of a file with a secret, which has 64 hex digits."""

out = option("--out", type=FILE, metavar="FILE", help="The file to write.  [default: the proposal's own]")
line = option("--line", is_flag=True, help="Print it as a line for a chat too.")
preimage_file = option(
    "--preimage-file", type=FILE, metavar="FILE", help="Its first line is a secret (64 hex digits) of the contract."
)


@click.command()
@click.argument("contract", metavar="CONTRACT")
@click.argument("receiver", metavar="TO")
@click.argument("amount")
@click.argument("asset", required=False)
@option("--fee", metavar="COINS", help="What the miner gets.  [default: what gets it into the next block]")
@option("--memo", default="", metavar="TEXT", help="A line for all to read, at most 140 bytes.")
@option("--sequence", type=IntRange(0, 2**53 - 1), help="In the place of another payment that was signed.")
@preimage_file
@option("--out", type=FILE, metavar="FILE", help="The file to write.  [default: CONTRACT-SEQUENCE.json]")
@line
@wallet_folder
@node_url
@as_json
def spend(contract: str, receiver: str, amount: str, asset: str | None, **how: Any) -> None:
    """Propose a payment from a contract.

    Nothing is signed yet: the proposal goes to those who sign, as a file or as a line in a chat. ASSET is a symbol that
    the contract holds, or an asset's id.

    \b
    moneyer contract spend till dora 2.5 --memo "the roof"
    moneyer contract spend till dora 3 TICKET --line
    """
    from ...contract_place import find_contract_place
    from ...output import print_pairs
    from .proposal_words import chain_state, rows_of_proposal

    place = find_contract_place(how["data"], how["node"])
    held = place.contract(contract)
    proposal = _proposed(place, held, receiver, (amount, asset), how)
    if not how["json"]:
        print_pairs(rows_of_proposal(place, proposal, held, chain_state(place, proposal)))
        _warn_unready(place, held)
    path = how["out"] or Path(f"{held.name}-{proposal.spend.sequence}.json")
    _give(place, proposal, held, path, how, is_new=True)


def _proposed(
    place: ContractPlace, held: Contract, receiver: str, amounts: tuple[str, str | None], how: dict[str, Any]
) -> Proposal:
    """The proposal, with the fee for whoever signs. Raises CannotSign while nothing is open."""
    from ....core.codec import encode_unsigned
    from ....core.policy import decode_policy
    from ....core.types import Payment
    from ....wallet.cosigning.errors import CannotSign
    from ....wallet.cosigning.leaf_signing import chosen_for, most_leaves, witness_size
    from ....wallet.cosigning.proposals import Proposal
    from ...spending.spend_order import checked_memo, parsed

    memo = checked_memo(how["memo"]).encode()
    asset, units = _amount(place, held, *amounts)
    preimages = _preimages(how["preimage_file"])
    moment = place.moment()
    shape = decode_policy(held.raw_policy)
    chosen = chosen_for(shape, list(place.own), list(preimages), moment)
    if chosen is None:
        raise CannotSign(f"nothing can be spent from {held.name} now: {_why_closed(place, held, preimages, moment)}")
    account = place.place.client.account(place.coin.address(held.payload))
    sequence = how["sequence"]
    if sequence is None:
        sequence = int(account["pending"]["next_sequence"])
    payment = Payment(held.payload, 0, sequence, memo, b"", _receiver(place, receiver), asset, units)
    if how["fee"] is not None:
        fee = parsed(how["fee"], "the fee", place.coin.decimals)
    else:
        largest = most_leaves(shape, chosen) or ()
        size = len(encode_unsigned(payment)) + 2 + witness_size(held.raw_policy, shape, largest)
        fee = place.place.client.fee(size)
    return Proposal(place.coin, replace(payment, fee=fee), held.raw_policy, chosen, preimages, {})


def _why_closed(place: ContractPlace, held: Contract, preimages: dict[bytes, bytes], moment: Moment) -> str:
    """Why no way of a contract is open, even if all sign."""
    from ....contracts.choose import AtHand, locks_text, missing

    lack = missing(held.policy, AtHand(held.keys, tuple(preimages)), moment, place.coin, place.names_of(held))
    if lack is None:
        return "it is locked"
    return f"it is locked until {locks_text(lack.wait)}" if lack.now is None and lack.wait else lack.sentence


def _receiver(place: ContractPlace, who: str) -> bytes:
    """A name, a contact, a contract of the book, or an address."""
    from ....wallet.cosigning.contract_book import contract_names, read_contract
    from ....wallet.names import find_name

    if find_name(contract_names(place.data), who) is not None and find_name(place.taken_names(), who) is None:
        return read_contract(place.data, place.coin, who).payload
    return place.resolve(who)


def _amount(place: ContractPlace, held: Contract, amount: str, asset: str | None) -> tuple[bytes, int]:
    """The asset's id (zeros for the coin) and its units. Raises UsageError, ClickException."""
    from ....core.types import COIN_ASSET
    from ...spending.asset_names import find_asset
    from ...spending.spend_order import parsed

    if asset is None or asset.upper() == place.coin.symbol:  # an asset that is named like the coin goes by its id
        found, decimals = COIN_ASSET, place.coin.decimals
    else:
        known = find_asset(place.place, asset, holder=held.payload)
        found, decimals = bytes.fromhex(known.id), known.decimals
    units = parsed(amount, "the amount", decimals)
    if units == 0:
        raise click.UsageError("the amount is 0: there is nothing to send")
    return found, units


def _preimages(path: Path | None) -> dict[bytes, bytes]:
    """Hash -> secret, of a file that was named. The error never shows what is in it."""
    from ...contract_place import read_handed

    if path is None:
        return {}
    words = read_handed(path, _PREIMAGE_FILE).split()
    try:
        preimage = bytes.fromhex(words[0].decode("ascii")) if words else b""
    except ValueError:
        preimage = b""
    if len(preimage) != 32:
        raise click.ClickException(f"{path}: a secret is 64 hex digits on the first line")
    return {sha256(preimage).digest(): preimage}


def _warn_unready(place: ContractPlace, held: Contract) -> None:
    lacking = place.lacking(held)
    if lacking:
        click.echo(
            f"careful: not known here whether {', '.join(lacking)} kept this contract: no receipt of theirs", err=True
        )


def _give(
    place: ContractPlace,
    proposal: Proposal,
    held: Contract | None,
    path: Path | None,
    how: dict[str, Any],
    *,
    is_new: bool = False,
) -> None:
    """Write the proposal to its file, or print its line where it has none."""
    from ....system.advice import as_typed, typed
    from ....wallet.cosigning.proposal_bytes import encode_proposal, line_of
    from ...contract_place import write_handed
    from ...exits import effect
    from ...output import print_json
    from .proposal_words import proposal_view

    if path is not None:
        write_handed(path, encode_proposal(proposal), replace=not is_new)
        effect().done(f"The proposal {proposal.number} is written to {path}")
    if how["json"]:
        print_json({**proposal_view(place, proposal, held), "file": None if path is None else str(path)})
        return
    what = "FILE" if path is None else typed(path)
    if path is not None:
        click.echo(f"\nwritten to {path}")
    if proposal.is_complete:
        click.echo(as_typed(f"next:  moneyer contract submit {what}"))
    else:
        click.echo(as_typed(f"next, whoever signs:  moneyer contract sign {what}"))
    if path is None or how["line"]:
        click.echo(line_of(proposal))


@click.command()
@click.argument("proposal", metavar="PROPOSAL")
@preimage_file
@sure
@out
@line
@wallet_folder
@node_url
@passphrase_file
@as_json
def sign(proposal: str, **how: Any) -> None:
    """Show what a proposal does, and sign it.

    PROPOSAL is a file, a line from a chat (in quotes), or - for standard input. Signs with those of your keys that are
    still needed, after you said yes.

    \b
    moneyer contract sign till-0.json
    moneyer contract sign "moneyer-proposal1:…" --yes
    """
    from ...contract_place import confirm, find_contract_place
    from ...output import print_pairs
    from .proposal_words import (
        chain_state,
        check_can_be_sent,
        known_contract,
        read_proposal,
        rows_of_proposal,
        signed_text,
    )

    place = find_contract_place(how["data"], how["node"])
    read, path = read_proposal(place, proposal)
    held = known_contract(place, read)
    state = chain_state(place, read)
    if state is not None:
        check_can_be_sent(place, read, state)
    given = _wanted(read, _preimages(how["preimage_file"]))
    keys = read.useful(list(place.own))
    if not how["json"]:
        print_pairs(rows_of_proposal(place, read, held, state))
    if not keys and not given:
        _check_has_signed(place, read)
        _give(place, read, held, how["out"] or path, how)
        return
    names = ", ".join([place.own[key] for key in keys])
    if how["json"] and not how["yes"]:
        raise click.UsageError("--json shows nobody what is signed: look without it first, then say --yes with it")
    confirm(f"Sign it as {names}?" if keys else "Show the secret?", is_sure=how["yes"])
    signed = read.signed_with(_signatures(place, read, keys, how["passphrase_file"]), given)
    if not how["json"]:
        click.echo(signed_text(place, signed, held, names))
    _give(place, signed, held, how["out"] or path, how)


def _wanted(proposal: Proposal, preimages: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Those that the proposal lacks. Raises ClickException for one that it has no use for."""
    lacking = proposal.lacking_preimages
    if not set(preimages) <= {*lacking, *proposal.preimages}:
        raise click.ClickException("--preimage-file: this secret is not behind any hash that the proposal chooses")
    return {digest: preimage for digest, preimage in preimages.items() if digest in lacking}


def _check_has_signed(place: ContractPlace, proposal: Proposal) -> None:
    """Raises ClickException where no key of this wallet could sign; says why there is nothing to do else."""
    mine = [key for key in proposal.keys if key in place.own]
    if not mine:
        raise click.ClickException("none of the keys of this contract is in this wallet: there is nothing to sign with")
    if any(key in proposal.signatures for key in mine):
        click.echo("you have signed it already: nothing was changed", err=True)
    elif proposal.leaves is not None:
        click.echo("enough have signed it already: nothing was changed", err=True)
    else:
        raise click.ClickException("your key has no part in the way that this proposal takes: nothing was signed")


def _signatures(
    place: ContractPlace, proposal: Proposal, keys: list[bytes], key_file: Path | None
) -> dict[bytes, bytes]:
    import os

    from ....core.signing import sign as sign_digest
    from ...secret import unlock

    if not keys:
        return {}
    wallet, _ = unlock(place.place.wallet_path(), key_file)
    return {key: sign_digest(wallet.secret_for(b"\x00" + key), proposal.digest, os.urandom(32)) for key in keys}


@click.command()
@click.argument("proposals", nargs=-1, required=True, metavar="PROPOSAL…")
@out
@line
@wallet_folder
@node_url
@as_json
def combine(proposals: tuple[str, ...], **how: Any) -> None:
    """Put the signatures of several copies of a proposal together.

    The first one, if it is a file, gets them all.

    \b
    moneyer contract combine till-0.json till-0-from-bob.json
    """
    from ....wallet.cosigning.proposals import combined
    from ...contract_place import find_contract_place
    from ...output import print_pairs
    from .proposal_words import chain_state, known_contract, read_proposal, rows_of_proposal

    place = find_contract_place(how["data"], how["node"])
    read = [read_proposal(place, each) for each in proposals]
    whole = combined(read[0][0], [each for each, _ in read[1:]])
    held = known_contract(place, whole)
    if not how["json"]:
        print_pairs(rows_of_proposal(place, whole, held, chain_state(place, whole)))
    _give(place, whole, held, how["out"] or read[0][1], how)


@click.command()
@click.argument("proposal", metavar="PROPOSAL")
@option("--replace", is_flag=True, help="Take the place of a waiting payment, if this one pays a higher fee.")
@option("--wait", is_flag=True, help="Show its way into a block.")
@option("--confirmations", type=IntRange(1, 10_000), default=1, show_default=True, help="To wait for.")
@option("--timeout", type=IntRange(1, 86_400), default=600, show_default=True, help="Seconds to wait.")
@wallet_folder
@node_url
@as_json
def submit(proposal: str, **how: Any) -> None:
    """Send a proposal that enough have signed.

    To send it again is safe: it is one transaction, which the chain takes once. Exit status as of `moneyer send`.

    \b
    moneyer contract submit till-0.json --wait
    """
    from ...contract_place import find_contract_place
    from ...output import print_json
    from ...waiting import watch
    from .proposal_words import chain_state, check_can_be_sent, known_contract, missing_text, read_proposal

    place = find_contract_place(how["data"], how["node"])
    read, _ = read_proposal(place, proposal)
    held = known_contract(place, read)
    if not read.is_complete:
        lack = missing_text(place, read, held)
        raise click.ClickException(f"not enough have signed this proposal yet: it still needs {lack}")
    whole = read.finished()
    place.check_node()
    report = _sent_before(place, whole)
    if report is None:
        state = chain_state(place, read)
        if state is not None:
            check_can_be_sent(place, read, state)
        report = _submitted(place, whole, replace=how["replace"])
    said = _Said(place, whole, held)
    trouble = None
    if not how["json"]:
        click.echo(f"{_status_text(report)}: {said.text}\ntxid {report['txid']}")
    if how["wait"]:
        found = watch(place.place, said.confirming(str(report["txid"]), how), _quiet if how["json"] else click.echo)
        report.update(found.report)
        trouble = found.trouble
    if how["json"]:
        print_json(report)
    if trouble is not None:
        raise trouble


def _status_text(report: dict[str, Any]) -> str:
    """What became of a payment: a word of the mempool, such as "ready", says little to who pays."""
    return "in a block" if report["status"] == "confirmed" else "accepted"


def _quiet(line: str) -> None:
    """For `--json`, where stdout has the answer alone."""


class _Said:
    """A payment from a contract in words."""

    def __init__(self, place: ContractPlace, whole: Payment, held: Contract | None) -> None:
        self.sender = place.coin.address(whole.sender)
        self.name = held.name if held is not None else "the contract"
        self.text = f"{place.amount(whole.amount, whole.asset)} from {self.name} to {place.who(whole.receiver)}"

    def confirming(self, txid: str, how: dict[str, Any]) -> Any:
        """What `--wait` waits for."""
        from ...waiting import Confirming

        return Confirming(txid, self.sender, self.name, how["confirmations"], how["timeout"], _stands)


def _stands(txid: str, state: str) -> str:
    return f"Transaction {txid} was accepted, and {state}: `moneyer tx {txid}` shows it"


def _sent_before(place: ContractPlace, whole: Payment) -> dict[str, Any] | None:
    """The transaction as the node knows it already; None where it does not."""
    from ....client.errors import Refused
    from ....core.codec import show, txid

    try:
        found = place.place.client.transaction(show(txid(whole)))
    except Refused as error:
        if error.status != 404:
            raise
        return None
    return {name: found[name] for name in ("txid", "status", "block_hash", "height", "confirmations")}


def _submitted(place: ContractPlace, whole: Payment, *, replace: bool) -> dict[str, Any]:
    """Send it. Whatever ends this, the exit status tells whether it may have been taken."""
    from ....client.errors import Unanswered
    from ....core.codec import show, txid
    from ....core.errors import MoneyerError
    from ...exits import UNCONFIRMED, effect

    name = show(txid(whole))
    effect().may_be(f"Transaction {name} may have been taken: `moneyer tx {name}` finds it, or the node has none")
    try:
        sent = place.place.client.submit(whole, replace=replace)
    except Unanswered:
        raise
    except (MoneyerError, OSError):
        effect().nothing()
        raise
    effect().is_now(UNCONFIRMED, _stands(sent.txid, "it still waits for a block"))
    return {"txid": sent.txid, "status": sent.status}
