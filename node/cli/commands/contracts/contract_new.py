"""`moneyer contract new`, and the ready-made contracts: a policy is read, judged and kept, and written for each
co-signer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ...options import FOLDER, IntRange, as_json, node_url, option, wallet_folder

if TYPE_CHECKING:
    from ....contracts.moment import Lock, Moment
    from ....core.policy import Policy
    from ....wallet.cosigning.contract_book import Contract
    from ...contract_place import ContractPlace

_UNITS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"([1-9][0-9]{0,5})([mhdw])", re.ASCII)
_LONGEST_FILE_NAME = 200
"""Bytes; systems take 255."""

Command = TypeVar("Command", bound=Callable[..., Any])

name_option = option("--name", metavar="NAME", help="What to call the contract.  [default: its kind and a number]")
after = option(
    "--after",
    metavar="WHEN",
    help='When the later way opens: a date in UTC ("2027-01-01 12:00"), "height 5000", or a span from now (90d, 12h).',
)
spare = option("--spare", metavar="WHO", help="One key more where all are asked for, so that one may be lost.")
files = option("--files", type=FOLDER, metavar="DIR", help="Where the co-signers' files go.  [default: this folder]")


def _common(command: Command) -> Command:
    """The options that all of these commands have."""
    for decorate in (as_json, node_url, wallet_folder, files):
        command = decorate(command)
    return command


@click.command()
@click.argument("name")
@click.argument("policy")
@spare
@_common
def new(name: str, policy: str, spare: str | None, **how: Any) -> None:
    """Make a contract from a policy.

    A policy says who may spend, how many of them, after when, against which secret: names of your wallet and contacts,
    addresses, `and`, `or`, `N of (…)`, `after DATE`, `after height N`, `hash HEX`. It is ready once each co-signer has
    shown that he holds it.

    \b
    moneyer contract new till "2 of (alice, bob, carol)"
    moneyer contract new savings "alice or (bob and after 2027-01-01)"
    """
    from ....contracts.errors import BadPolicy
    from ....contracts.language import parse_policy

    place, moment = _begin(how)
    try:
        read = parse_policy(policy, place.resolve)
        _check(place, read, moment, policy)
    except BadPolicy as error:
        raise click.ClickException(_one_line(error)) from None
    if spare is not None:
        read = _with_spare(place, read, spare)
        _check(place, read, moment, None)
    _make(place, name, read, moment, how)


@click.command()
@click.argument("k", metavar="K", type=IntRange(1, 16))
@click.argument("who", metavar="WHO…", nargs=-1, required=True)
@spare
@name_option
@_common
def multisig(k: int, who: tuple[str, ...], spare: str | None, name: str | None, **how: Any) -> None:
    """Make a contract of which K of several sign.

    \b
    moneyer contract multisig 2 alice bob carol
    moneyer contract multisig 2 alice bob --spare paper
    """
    from ....contracts import ready_made

    place, moment = _begin(how)
    policy = ready_made.multisig(k, [_key(place, each) for each in who])
    if spare is not None:
        policy = _with_spare(place, policy, spare)
    _make_checked(place, name or _next_name(place, "multisig"), policy, moment, how)


@click.command()
@click.argument("hot")
@click.argument("cold")
@after
@name_option
@_common
def vault(hot: str, cold: str, after: str | None, name: str | None, **how: Any) -> None:
    """Make a vault: COLD spends at once, HOT after a while.

    \b
    moneyer contract vault phone drawer --after 90d
    """
    from ....contracts import ready_made

    place, moment = _begin(how)
    policy = ready_made.vault(_key(place, hot), _key(place, cold), _lock(place, after, moment))
    _make_checked(place, name or _next_name(place, "vault"), policy, moment, how)


@click.command()
@click.argument("buyer")
@click.argument("seller")
@click.argument("arbiter")
@name_option
@_common
def escrow(buyer: str, seller: str, arbiter: str, name: str | None, **how: Any) -> None:
    """Make an escrow: two of buyer, seller and arbiter sign.

    \b
    moneyer contract escrow alice bob carol
    """
    from ....contracts import ready_made

    place, moment = _begin(how)
    policy = ready_made.escrow(_key(place, buyer), _key(place, seller), _key(place, arbiter))
    _make_checked(place, name or _next_name(place, "escrow"), policy, moment, how)


@click.command()
@click.argument("beneficiary", metavar="WHO")
@after
@option("--recall", metavar="WHO", help="Somebody who can take it back, at any time.")
@name_option
@_common
def vesting(beneficiary: str, after: str | None, recall: str | None, name: str | None, **how: Any) -> None:
    """Make a contract that WHO can spend from after a date.

    \b
    moneyer contract vesting ben --after 2030-06-01
    """
    from ....contracts import ready_made

    place, moment = _begin(how)
    taker = None if recall is None else _key(place, recall)
    policy = ready_made.vesting(_key(place, beneficiary), _lock(place, after, moment), taker)
    _make_checked(place, name or _next_name(place, "vesting"), policy, moment, how)


@click.command()
@click.argument("owner")
@click.argument("heir")
@after
@name_option
@_common
def inherit(owner: str, heir: str, after: str | None, name: str | None, **how: Any) -> None:
    """Make a contract that HEIR can spend from after a date.

    OWNER can at any time, and makes a new one before the date.

    \b
    moneyer contract inherit anna ben --after 2028-01-01
    """
    from ....contracts import ready_made

    place, moment = _begin(how)
    policy = ready_made.inherit(_key(place, owner), _key(place, heir), _lock(place, after, moment))
    _make_checked(place, name or _next_name(place, "inherit"), policy, moment, how)


def _begin(how: dict[str, Any]) -> tuple[ContractPlace, Moment | None]:
    from ...contract_place import find_contract_place

    place = find_contract_place(how["data"], how["node"])
    return place, place.moment_if_known()


def _key(place: ContractPlace, who: str) -> bytes:
    from ....core.types import POLICY_KIND

    payload = place.resolve(who)
    if payload[0] == POLICY_KIND:
        raise click.ClickException(f"{who[:80]} is a contract, and a contract cannot sign: name the people who can")
    return payload[1:]


def _lock(place: ContractPlace, text: str | None, moment: Moment | None) -> Lock:
    """The lock that `--after` means. Raises UsageError."""
    from ....contracts.errors import BadPolicy
    from ....contracts.language import parse_policy
    from ....contracts.ready_made import time_in
    from ....core.policy import AfterHeight, AfterTime

    if text is None:
        raise click.UsageError("--after is missing: say when the later way opens, such as --after 90d")
    span = _SPAN.fullmatch(text.strip())
    if span is not None:
        if moment is None:
            raise click.ClickException("a span is counted from the chain's time, and no node answers: give a date")
        return time_in(int(span[1]) * _UNITS[span[2]], moment)
    try:
        lock = parse_policy(f"after {text}", place.resolve)
    except BadPolicy as error:
        raise click.UsageError(f"--after: {error.why}; or a span from now, such as 90d or 12h") from None
    if not isinstance(lock, AfterHeight | AfterTime):
        raise click.UsageError("--after: one date, height or span")
    if moment is not None and moment.has_come(lock):
        raise click.UsageError("--after: this has come already, so the later way would be open at once: take another")
    return lock


def _with_spare(place: ContractPlace, policy: Policy, who: str) -> Policy:
    from ....contracts.safety import with_spare

    made = with_spare(policy, _key(place, who))
    if made is None:
        raise click.ClickException(
            "--spare: in this policy no group asks for all of its keys, or the spare key is in it already"
        )
    return made


def _check(place: ContractPlace, policy: Policy, moment: Moment | None, text: str | None) -> None:
    """Raises BadPolicy, pointing into the text where there is one."""
    from ....contracts.errors import BadPolicy
    from ....contracts.language import read_policy
    from ....contracts.safety import check_safe

    try:
        check_safe(policy, place.coin, moment)
    except BadPolicy as error:
        raise error if text is None else read_policy(text, place.resolve).pointing(error) from None


def _one_line(error: Any) -> str:
    """The sentence, and in brackets what stands at its place."""
    if error.text is None or error.position is None:
        return str(error.message)
    from ....system.words import quoted

    return f"{error.message}, at {quoted(error.text[error.position : error.position + 24])}"


def _next_name(place: ContractPlace, kind: str) -> str:
    from ....wallet.cosigning.contract_book import contract_names
    from ....wallet.names import find_name

    taken = [*contract_names(place.data), *place.taken_names()]
    return next(name for number in range(1, 10_000) if find_name(taken, name := f"{kind}-{number}") is None)


def _make_checked(place: ContractPlace, name: str, policy: Policy, moment: Moment | None, how: dict[str, Any]) -> None:
    _check(place, policy, moment, None)
    _make(place, name, policy, moment, how)


def _make(place: ContractPlace, name: str, policy: Policy, moment: Moment | None, how: dict[str, Any]) -> None:
    """Keep the contract, write its files, and tell."""
    from ....core.policy import encode_policy
    from ....wallet.cosigning.contract_book import Contract, add_contract, contract_at
    from ....wallet.names import check_name
    from ...exits import effect

    raw = encode_policy(policy)
    contract = Contract(check_name(name), raw, {}, {})
    contract = replace(contract, names={key: place.known[key] for key in contract.keys if key in place.known})
    held = contract_at(place.data, place.coin, contract.payload)
    if held is not None and held.name != contract.name:
        raise click.ClickException(
            f"this policy is kept already, as the contract {held.name}: the same keys and times always have the same"
            " address. Take another key (`moneyer wallet new NAME`) or time to have two"
        )
    contract = add_contract(place.data, place.coin, _with_own_receipts(place, contract), place.taken_names())
    effect().done(f"The contract {contract.name} is kept: `moneyer contract show` shows it")
    written = write_files(place, contract, how["files"] or Path())
    tell(place, contract, moment, written, as_json=how["json"])


def _with_own_receipts(place: ContractPlace, contract: Contract) -> Contract:
    """With receipts by one's own keys: whoever gets the file sees that its maker holds it too.

    Without them where the wallet is locked and nobody can be asked; the maker's own `contract accept` adds them.
    """
    from ....wallet.cosigning.receipts import sign_receipt
    from ....wallet.errors import WalletLocked
    from ...secret import unlock

    mine = [key for key in contract.keys if key in place.own]
    if not mine or len(mine) == len(contract.keys):
        return contract
    try:
        wallet, _ = unlock(place.place.wallet_path(), None)
    except WalletLocked:
        return contract
    receipts = [sign_receipt(place.coin, contract.payload, wallet.secret_for(b"\x00" + key)) for key in mine]
    return contract.with_receipts([(each.key, each.signature) for each in receipts])


def write_files(
    place: ContractPlace, contract: Contract, folder: Path, only: Sequence[bytes] | None = None
) -> dict[bytes, Path]:
    """A file for each co-signer whose key is not one's own. Raises ClickException, OSError."""
    from ....wallet.cosigning.contract_book import encode_contract
    from ...contract_place import write_handed

    written = {}
    name_of = place.names_of(contract)
    for key in contract.keys if only is None else only:
        if key in place.own:
            continue
        person = name_of(key) or f"key-{key.hex()[:8]}"
        path = folder / f"{contract.name}-for-{person}.json"
        if len(path.name.encode()) > _LONGEST_FILE_NAME:
            path = folder / f"contract-for-{key.hex()[:8]}.json"
        write_handed(path, encode_contract(contract, place.coin))
        written[key] = path
    return written


def tell(
    place: ContractPlace, contract: Contract, moment: Moment | None, written: dict[bytes, Path], *, as_json: bool
) -> None:
    """Say what was made, and what is to be done until it is ready."""
    from ....contracts.safety import cautions
    from ....system.advice import as_typed
    from ...output import fitted, print_json, print_pairs
    from .contract_words import rows_of, view

    if as_json:
        given = [{"key": key.hex(), "file": str(path)} for key, path in written.items()]
        print_json({**view(place, contract, moment), "files": given})
        return
    print_pairs(rows_of(place, contract, moment))
    for caution in cautions(contract.policy, place.coin, moment, place.names_of(contract)):
        click.echo(fitted(f"careful: {caution.message}"))
        if caution.code == "all_needed":
            click.echo(as_typed("with one key more, one may be lost:  the same command, another name, and --spare WHO"))
    if not written:
        return
    print_pairs([(f"for {place.called(contract, key)}", path) for key, path in written.items()])
    click.echo("Don't pay into it yet: give each co-signer his file. He types")
    click.echo(as_typed("  moneyer contract accept FILE"))
    click.echo("which shows him what it is, and writes a receipt that he gives back. Take it in with")
    click.echo(as_typed("  moneyer contract receipt FILE"))
