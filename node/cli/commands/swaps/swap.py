"""`moneyer swap`: offers, takes and carries out atomic swaps between two coins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ...exits import UNCONFIRMED, Ended
from ...options import FILE, FOLDER, IntRange, as_json, node_url, option, passphrase_file, wallet_folder

if TYPE_CHECKING:
    from .swap_parties import Party, Sides

_POLL_SECONDS: Final = 1.0
"""Between two looks of `run`; a look is some ten requests to each of two nodes on this machine."""

other_folder = option("--other", type=FOLDER, metavar="DIR", help="The data folder of the coin that you get.")
other_node = option("--other-node", metavar="URL", help="Its node.  [default: the one that runs there]")
other_passphrase = option(
    "--other-passphrase-file", type=FILE, metavar="FILE", help="As --passphrase-file, for its wallet."
)
to_account = option("--to", metavar="NAME", help="Your account on the other coin.  [default: as FROM, else miner]")
line_file = option("--file", type=FILE, metavar="FILE", help="Write the line for the other side there.")
confirmations = option(
    "--confirmations", type=IntRange(1, 1000), metavar="N", help="Asked of each payment.  [default: 6; development: 1]"
)


def _both(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which both folders, nodes and wallets are named."""
    for each in (as_json, other_passphrase, passphrase_file, other_node, node_url, other_folder, wallet_folder):
        command = each(command)
    return command


@click.group()
def swap() -> None:
    """Swap coins with somebody on another chain.

    Nobody has to be trusted: who stops, at whatever point, costs the other side time, not coins. --data is the folder
    of the coin that you give, --other that of the coin that you get; the node of each has to run.

    One side offers, the other takes the offer, the first takes its answer. Then both leave `moneyer swap run` running.
    """


@swap.command()
@click.argument("sender", metavar="FROM")
@click.argument("amount")
@click.argument("wanted")
@to_account
@confirmations
@option("--patience", type=IntRange(5, 604_800), default=3600, show_default=True, help="Seconds a side may be away.")
@line_file
@_both
def offer(sender: str, amount: str, wanted: str, **how: Any) -> None:
    """Offer coins of one chain for coins of another.

    FROM is your account that pays AMOUNT; WANTED is how much you want of the other coin. What is printed is a line for
    the other side. Nothing is paid before you have taken its answer.

    \b
    moneyer swap offer alice 10 25 --data beach --other moon
    """
    from .swap_making import make_offer
    from .swap_parties import open_sides

    sides = open_sides(how, how["other"])
    party = make_offer(sides, sender, amount, wanted, how)
    _pass_on(party, how, "send this line to the other side, and take its answer with `moneyer swap take ANSWER`")


@swap.command()
@click.argument("line", metavar="OFFER|ANSWER")
@click.argument("sender", metavar="[FROM]", required=False)
@to_account
@confirmations
@line_file
@option("--yes", is_flag=True, help="Do not ask.")
@_both
def take(line: str, sender: str | None, **how: Any) -> None:
    """Take somebody's offer, or the answer to yours.

    Its line, or the file with it. To take an offer say FROM which account you pay, later; what is printed is the
    answer, a line for the other side. To take an answer pays your side of the swap.

    \b
    moneyer swap take offer.txt bob --data moon --other beach
    moneyer swap take answer.txt --data beach
    """
    from .swap_making import make_answer, read_terms, take_answer
    from .swap_parties import open_sides

    terms = read_terms(line)
    if not terms.is_answered:
        if sender is None:
            raise click.UsageError("this is an offer: say FROM which account you pay")
        party = make_answer(open_sides(how, how["other"]), terms, sender, how)
        _pass_on(party, how, "send this line to the other side; it pays first, then `moneyer swap run` goes on")
        return
    party = take_answer(terms, how)
    _go(party, how)


@swap.command()
@click.argument("swap_id", metavar="[ID]", required=False)
@_both
def status(swap_id: str | None, **how: Any) -> None:
    """Show where a swap stands, and what to do by when.

    ID, or how it begins; the only swap of the folder where it is left out.

    \b
    moneyer swap status --data beach
    """
    from ...output import fitted, print_json
    from .swap_parties import open_party
    from .swap_words import party_json, plan_lines, step_lines

    party = open_party(how, swap_id)
    seen = party.see()
    step = party.step(seen)
    if how["json"]:
        print_json(party_json(party, seen, step))
        return
    click.echo(f"swap {party.terms.swap_id}")
    for line in (
        *plan_lines(party.record.role, party.swap),
        *step_lines(step, party.terms.swap_id, _where(party.sides)),
    ):
        click.echo(fitted(line))


@swap.command("list")
@wallet_folder
@as_json
def list_(data: Path | None, json: bool) -> None:
    """List the swaps of a data folder.

    No node is asked: `moneyer swap status ID` says where one stands.

    \b
    moneyer swap list --data beach
    """
    from ....contracts.moment import utc_text
    from ....core.coin import format_amount
    from ....wallet.errors import WalletUnreadable
    from ....wallet.swap_book import read_swap, swap_ids
    from ...output import print_json, print_table
    from ...place import find_place

    place = find_place(data, None)
    folder, coin = place.wallet_path().parent, place.local_coin
    held = []
    for swap_id in swap_ids(folder):
        try:
            held.append((swap_id, read_swap(folder, swap_id)))
        except WalletUnreadable as error:  # the others are listed all the same
            click.echo(error.message, err=True)
    if json:
        rows = [
            {"id": each, "role": one.role, "amount": one.gives.amount, "refund_time": one.gives.refund_time}
            for each, one in held
        ]
        print_json({"swaps": rows})
        return
    if not held:
        click.echo("there is no swap here yet: `moneyer swap offer` or `moneyer swap take` begins one")
        return
    print_table(
        ("id", "you", f"give {coin.symbol}", "back from", "other folder"),
        [
            (
                each,
                "offer" if one.role == "maker" else "take",
                format_amount(one.gives.amount, coin.decimals),
                utc_text(one.gives.refund_time),
                one.other_folder,
            )
            for each, one in held
        ],
        right=(f"give {coin.symbol}",),
        cut=("other folder",),
    )


@swap.command()
@click.argument("swap_id", metavar="[ID]", required=False)
@_both
def claim(swap_id: str | None, **how: Any) -> None:
    """Claim what the other side has paid.

    Or do what comes before that. It is refused where claiming would not be safe.

    \b
    moneyer swap claim --data beach
    """
    from .swap_parties import open_party

    _go(open_party(how, swap_id), how, refused="refund")


@swap.command()
@click.argument("swap_id", metavar="[ID]", required=False)
@_both
def refund(swap_id: str | None, **how: Any) -> None:
    """Take back what you have paid.

    Once its time has come, and the other side has not claimed it.

    \b
    moneyer swap refund --data beach
    """
    from .swap_parties import open_party

    _go(open_party(how, swap_id), how, refused="pay")


@swap.command()
@click.argument("swap_id", metavar="[ID]", required=False)
@option("--once", is_flag=True, help="Do what can be done now, and do not wait.")
@option("--timeout", type=IntRange(1, 8_000_000), metavar="SECONDS", help="To stop after.  [default: at its end]")
@_both
def run(swap_id: str | None, once: bool, timeout: int | None, **how: Any) -> None:
    """Carry out a swap to its end.

    It pays, claims or takes back, whatever is right, and waits in between. It can be ended and started again at any
    time; the wallets stay unlocked in it while it runs. Exit status: 0 when the swap has ended, 3 when it has not.

    \b
    moneyer swap run --data beach
    """
    from .swap_act import follow
    from .swap_parties import open_party

    party = open_party(how, swap_id)
    if once:
        _go(party, how)
        return
    follow(party, timeout, _POLL_SECONDS, as_json=how["json"])


def _go(party: Party, how: dict[str, Any], refused: str | None = None) -> None:
    """Do what can be done now, and say it. `refused`: a step that this command does not take."""
    from ...output import fitted, print_json
    from .swap_act import act
    from .swap_words import party_json, step_lines

    if refused is not None:
        step = party.step(party.see())
        if step.kind == refused:
            raise click.ClickException(f"not now: {step.sentence}")
    step, done = act(party)
    if how["json"]:
        told = party_json(party, step=step)
        print_json(told if done is None else {**told, "sent": {"kind": done.kind, "txid": done.txid}})
    elif done is not None:
        click.echo(fitted(f"{step.sentence[:1].upper()}{step.sentence[1:]}."))
        click.echo(f"{done.sentence}: txid {done.txid}")
    else:
        for line in step_lines(step, party.terms.swap_id, _where(party.sides)):
            click.echo(fitted(line))
    if refused is not None and done is None and not step.is_end:
        raise Ended(f"nothing to do now: {step.sentence}", UNCONFIRMED)


def _pass_on(party: Party, how: dict[str, Any], what_next: str) -> None:
    """Print a line for the other side, or write it to a file, and say what comes next."""
    from ....contracts.swaps.swap_line import write_line
    from ....system.advice import as_typed
    from ...output import fitted, print_json
    from .swap_words import party_json, say_plan

    line = write_line(party.terms)
    if how["file"] is not None:
        how["file"].write_text(f"{line}\n", "ascii")
    if how["json"]:
        print_json({**party_json(party), "line": line})
        return
    if party.record.role == "maker":
        say_plan("maker", party.swap)
    click.echo(line if how["file"] is None else f"written to {how['file']}")
    click.echo(fitted(as_typed(f"swap {party.terms.swap_id}: {what_next}")), err=True)


def _where(sides: Sides) -> str:
    from ....system.advice import typed

    return f" --data {typed(sides.folder)}"
