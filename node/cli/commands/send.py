"""`moneyer send`: signs a transfer here, with the wallet of the data folder; the node gets the finished transfer only.

What is checked and signed is an order of `node.cli.spending`: of coins, or where an asset is named, of the asset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ...core.codec import TRANSFER_BASE
from ...core.types import Transfer
from ...system.text import shown
from ..place import complete_names
from ..spending.spend_options import how_of, spending
from ..spending.spend_order import How, Order, Signed, parsed, perform

if TYPE_CHECKING:
    from ...client.client import Sent
    from ...core.types import Spend
    from ..place import Place


class _Send(click.Command):
    """A command whose negative amount does not count as an unknown option."""

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
@click.argument("asset", required=False)
@spending
def send(sender: str, receiver: str, amount: str, asset: str | None, **given: Any) -> None:
    """Send coins, or units of an asset.

    FROM is a name of your wallet (or its address), TO a name, a contact or an address, AMOUNT in coins. With ASSET (its
    symbol, its id, or the first 8 digits of that) AMOUNT is of that asset; the fee is in coins.

    Exit status: 0 accepted (with --wait: confirmed), 1 refused and nothing was sent, 2 usage, 3 accepted but not
    confirmed in time, 4 unknown. With --json stdout has the txid and the `status` for 0, 3 and 4.

    \b
    moneyer send alice bob 2.5 --wait
    moneyer send miner beach1q… 10 --fee 0.001 --memo "for the ice cream"
    moneyer send alice bob 2.5 --wait --json --idempotency invoice-1417
    moneyer send alice bob 3 TICKET
    """
    from ..place import find_place

    how = how_of(given)
    place = find_place(given["data"], given["node"])
    if asset is None or asset.upper() == place.coin.symbol:  # an asset that is named like the coin goes by its id
        perform(_CoinPayment(place, sender, receiver, amount, how))
        return
    from ..spending.asset_names import find_asset
    from ..spending.asset_orders import AssetPayment
    from ..spending.spend_order import own_account

    found = find_asset(place, asset, holder=own_account(place, sender))
    perform(AssetPayment(place, sender, receiver, amount, found, how))


class _CoinPayment(Order):
    """Coins for somebody: a transfer of version 1."""

    def __init__(self, place: Place, sender: str, receiver: str, amount: str, how: How) -> None:
        self.amount = parsed(amount, "the amount", place.coin.decimals)
        if self.amount == 0:
            raise click.UsageError("the amount is 0: there is nothing to send")
        super().__init__(place, sender, how)
        self.receiver_name, self.receiver = receiver, place.payload(receiver)

    @property
    def coin_amount(self) -> int:
        return self.amount

    @property
    def size(self) -> int:
        return TRANSFER_BASE + len(self.memo.encode())

    def told(self) -> str:
        return f"{self.shown(self.amount)} from {shown(self.sender_name)} to {shown(self.receiver_name)}"

    def means(self, kept: Spend) -> bool:
        mine = (self.receiver, self.amount)
        return isinstance(kept, Transfer) and (kept.receiver, kept.amount) == mine

    def submit(self, secret: bytes, signed: Signed) -> Sent:
        return self.place.client.send(secret, self.receiver, self.amount, fee=self.fee, memo=self.memo, signed=signed)
