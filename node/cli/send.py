"""`moneyer send`: signed here, with the wallet of the data folder; the node only gets the finished transfer."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.cli.options import as_json, complete_names, node_url, option, passphrase_file, wallet_folder

if TYPE_CHECKING:
    from node.cli.place import Place
    from node.client import Sent

_SEEN_SECONDS = 5.0
"""How long peers are asked whether they have it; a network that gossips takes some hundredths of a second."""


class _Send(click.Command):
    """A negative amount is no unknown option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name[1:2].isdigit() or error.option_name[1:2] == ".":
                raise click.UsageError("the amount is below 0: who gets coins sends none", ctx) from None
            raise


@click.command(cls=_Send)
@click.argument("sender", metavar="FROM", shell_complete=complete_names)
@click.argument("receiver", metavar="TO", shell_complete=complete_names)
@click.argument("amount")
@option("--fee", metavar="COINS", help="What the miner gets.  [default: what gets it into the next block]")
@option("--memo", default="", metavar="TEXT", help="A line for all to read, at most 140 bytes.")
@option("--wait", is_flag=True, help="Show its way into a block.")
@option("--confirmations", type=click.IntRange(1, 10_000), default=1, show_default=True, help="To wait for.")
@option("--timeout", type=click.IntRange(1, 86_400), default=600, show_default=True, help="Seconds to wait.")
@wallet_folder
@node_url
@passphrase_file
@as_json
def send(
    sender: str,
    receiver: str,
    amount: str,
    data: Path | None,
    node: str | None,
    passphrase_file: Path | None,
    **how: Any,
) -> None:
    """Send coins.

    FROM is a name of your wallet (or its address), TO a name, a contact or an address, AMOUNT in coins.

    \b
    moneyer send alice bob 2.5 --wait
    moneyer send miner beach1q… 10 --fee 0.001 --memo "for the ice cream"
    """
    from node.cli.output import print_json
    from node.cli.place import find_place

    place, is_json = find_place(data, node), how["json"]
    order = _Order(place, sender, receiver, amount, how["fee"], how["memo"])
    sent = order.carry_out(passphrase_file)
    report = {**order.report(sent), "url": f"{place.url}/v1/transactions/{sent.txid}"}
    if not is_json:
        order.print_sent(sent)
    if how["wait"]:
        report.update(_watch(place, order, sent, how["confirmations"], how["timeout"], quiet=is_json))
    if is_json:
        print_json(report)
    elif not how["wait"]:
        named = (("--data", data), ("--node", node))
        where = "".join(f" {name} {shlex.quote(str(value))}" for name, value in named if value is not None)
        click.echo(f"see it:  moneyer tx {sent.txid[:12]}{where}\n         {report['url']}")


class _Order:
    """What is to be sent, checked before a passphrase is asked for. Amounts in base units."""

    def __init__(self, place: Place, sender: str, receiver: str, amount: str, fee: str | None, memo: str) -> None:
        self.place, self.coin, self.memo = place, place.coin, _checked_memo(memo)
        self.sender_name, self.receiver_name = sender, receiver
        self.sender = self._own(sender)
        self.receiver = place.payload(receiver)
        self.amount = _amount(amount, "the amount", self.coin.decimals)
        if self.amount == 0:
            raise click.ClickException("the amount is 0: there is nothing to send")
        self.fee = None if fee is None else _amount(fee, "the fee", self.coin.decimals)

    def _own(self, who: str) -> bytes:
        wallet = self.place.wallet
        if wallet is None:
            raise click.ClickException(
                f"there is no wallet to send from{f' in {self.place.folder}' if self.place.folder else ''}: "
                "name its data folder with --data, or make one with `moneyer wallet new`"
            )
        payload = self.place.payload(who)
        if wallet.name_of(payload) is None:
            raise click.ClickException(
                f"the key of {who[:80]} is not in this wallet, so nothing can be sent from there. "
                f"It holds: {', '.join(list(wallet.names)[:8])}"
            )
        return payload

    def carry_out(self, key_file: Path | None) -> Sent:
        """Sign and submit. Raises OutOfFunds with what is missing, Refused, and what `unlock` raises."""
        from node.cli.secret import unlock
        from node.client import OutOfFunds, Refused
        from node.wallet.files import locked

        self._check_funds()
        path = self.place.wallet_path()
        wallet, _ = unlock(path, key_file)
        secret = wallet.secret_for(self.sender)
        try:
            # Two sends at once from one wallet go one after the other; the node refuses what still meets.
            with locked(path.parent):
                return self.place.client.send(secret, self.receiver, self.amount, fee=self.fee, memo=self.memo)
        except OutOfFunds as error:
            raise self._missing(error) from None
        except Refused as error:
            least = error.details.get("expected")
            if error.node_code != "fee_too_low" or not isinstance(least, int):
                raise
            raise click.ClickException(
                f"the fee is too low: this node asks for {self._shown(least)} at least. Give --fee, or leave it out"
            ) from None

    def _check_funds(self) -> None:
        from node.client import OutOfFunds
        from node.client.node import check_funds

        if self.fee is None:
            self.fee = self.place.client.fee()
        try:
            check_funds(self.place.client.account(self.coin.address(self.sender)), self.amount, self.fee)
        except OutOfFunds as error:
            raise self._missing(error) from None

    def _missing(self, error: Any) -> click.ClickException:
        held = error.details
        waiting = f" ({self._shown(held['waiting'])} more are on their way out already)" if held["waiting"] else ""
        return click.ClickException(
            f"{self._shown(held['missing'])} are missing: {self.sender_name} has {self._shown(held['free'])} to "
            f"spend{waiting}, and {self._shown(held['needed'])} are needed with the fee"
        )

    def _shown(self, units: int) -> str:
        from node.cli.output import coins

        return coins(units, self.coin.decimals, self.coin.symbol)

    def print_sent(self, sent: Sent) -> None:
        from node.cli.output import style
        from node.text import shown

        state = "accepted" if sent.status != "waiting" else "accepted; it waits for one before it"
        click.echo(
            f"{style(state, fg='green')}: {self._shown(self.amount)} from {shown(self.sender_name)} to "
            f"{shown(self.receiver_name)}, fee {self._shown(sent.transfer.fee)}"
        )
        click.echo(f"txid {sent.txid}")

    def report(self, sent: Sent) -> dict[str, Any]:
        """For `--json`, in the API's words."""
        return {
            "txid": sent.txid,
            "status": sent.status,
            "sender": self.coin.address(self.sender),
            "receiver": self.coin.address(self.receiver),
            "amount": self.amount,
            "fee": sent.transfer.fee,
            "sequence": sent.transfer.sequence,
            "memo": self.memo,
        }


def _checked_memo(memo: str) -> str:
    from node.core.types import MAX_MEMO

    try:
        size = len(memo.encode())
    except UnicodeEncodeError:
        raise click.ClickException("the memo is no text that can be sent: it is not UTF-8") from None
    if size > MAX_MEMO:
        raise click.ClickException(f"the memo has {size} bytes of UTF-8, and {MAX_MEMO} is the most: shorten it")
    return memo


def _amount(text: str, what: str, decimals: int) -> int:
    from node.core.errors import BadAmount
    from node.core.money import parse_amount

    try:
        return parse_amount(text, decimals)
    except BadAmount as error:
        raise click.ClickException(f"{what}, {text[:40]!r}: {error.message}") from None


def _watch(place: Place, order: _Order, sent: Sent, wanted: int, timeout: float, *, quiet: bool) -> dict[str, Any]:
    """Tell each step of the way, unless `quiet`; what came of it. Raises NotConfirmed."""
    from node.cli.output import coins, confirmations, style

    def say(line: str) -> None:
        if not quiet:
            click.echo(line)

    seen, peers = _seen_by(place, sent.txid)
    say(f"seen by {seen} of {peers} peer{'' if peers == 1 else 's'}" if peers else "this node has no peers yet")

    def progress(found: dict[str, Any]) -> None:
        if found["confirmations"] == 0:
            say("waiting for a block …")
            return
        if not told:
            say(f"in block {found['height']} ({found['block_hash']})")
        told.append(found["confirmations"])
        say(confirmations(found["confirmations"]))

    told: list[int] = []
    found = place.client.wait_for(sent.txid, wanted, timeout, progress=progress)
    coin = order.coin
    account = place.client.account(coin.address(order.sender))
    new = coins(account["balance"], coin.decimals, coin.symbol)
    say(f"{order.sender_name} now has {style(new, bold=True)}")
    return {
        "status": found["status"],
        "seen_by": seen,
        "peers": peers,
        "block_hash": found["block_hash"],
        "height": found["height"],
        "confirmations": found["confirmations"],
        "balance": account["balance"],
    }


def _seen_by(place: Place, txid: str) -> tuple[int, int]:
    """How many of the node's connected peers have the transfer, and how many there are."""
    from concurrent.futures import ThreadPoolExecutor

    from node.client import Client, ClientError

    urls = [str(peer["url"]) for peer in place.client.peers() if peer["state"] == "connected"][:64]
    if not urls:
        return 0, 0

    def has_it(url: str) -> bool:
        try:
            Client(url).get(f"/v1/transactions/{txid}", deadline=2)
        except ClientError:
            return False
        return True

    left, end = set(urls), time.monotonic() + _SEEN_SECONDS
    with ThreadPoolExecutor(8) as threads:
        while True:
            asked = list(left)
            left -= {url for url, has in zip(asked, threads.map(has_it, asked), strict=True) if has}
            if not left or time.monotonic() > end:
                return len(urls) - len(left), len(urls)
            time.sleep(0.1)
