"""The orders that know assets: a payment, an issue, a mint, a burn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ...core.types import Burn, Issue, Mint, Payment
from ...system.text import shown
from ...system.words import quoted
from .asset_names import LOOKED_AT, Known, check_rules, holdings
from .spend_order import How, Order, Signed, parsed

if TYPE_CHECKING:
    from ...client.client import Sent
    from ...core.types import Spend
    from ..place import Place

_FIXED: Final = {"payment": 190, "mint": 190, "burn": 157}
"""Bytes of a transaction of a key without its memo: envelope, body, lengths and signature (docs/protocol.md)."""


class _AssetOrder(Order):
    """An order about an asset that is there already."""

    kind: str

    def __init__(self, place: Place, sender: str, amount: str, asset: Known, how: How) -> None:
        super().__init__(place, sender, how)
        self.asset = asset
        self.amount = _above_nothing(amount, asset.decimals)

    @property
    def size(self) -> int:
        return _FIXED[self.kind] + len(self.memo.encode())

    @property
    def what(self) -> str:
        """The amount, with the asset's symbol and the beginning of its id."""
        return self.asset.units(self.amount)

    def lines(self, sent: Sent) -> list[str]:
        return [f"asset {self.asset.id}"]

    def fields(self, spend: Spend) -> dict[str, Any]:
        asset = {"asset": self.asset.id, "symbol": self.asset.symbol, "decimals": self.asset.decimals}
        return {"kind": self.kind, **asset}

    def _check_held(self) -> None:
        """Raises ClickException where the sender has not as much in confirmed blocks; the node knows of what waits."""
        found = list(holdings(self.place, self.sender))
        held = sum(int(each["amount"]) for each in found if each["asset"] == self.asset.id)
        if not held and len(found) >= LOOKED_AT:  # there may be more than were looked at: the node will say
            return
        if held < self.amount:
            raise click.ClickException(
                f"{self.sender_name} holds {self.asset.units(held)}, and {self.asset.units(self.amount)} are asked for"
            )


class AssetPayment(_AssetOrder):
    """Units of an asset for somebody."""

    kind = "payment"

    def __init__(self, place: Place, sender: str, receiver: str, amount: str, asset: Known, how: How) -> None:
        super().__init__(place, sender, amount, asset, how)
        self.receiver_name, self.receiver = receiver, place.payload(receiver)

    def told(self) -> str:
        return f"{self.what} from {shown(self.sender_name)} to {shown(self.receiver_name)}"

    def means(self, kept: Spend) -> bool:
        mine = (self.receiver, self.asset.id, self.amount)
        return isinstance(kept, Payment) and (kept.receiver, kept.asset.hex(), kept.amount) == mine

    def check(self) -> None:
        super().check()
        self._check_held()

    def submit(self, secret: bytes, signed: Signed) -> Sent:
        client, asset = self.place.client, self.asset.id
        return client.pay(secret, self.receiver, self.amount, asset=asset, fee=self.fee, memo=self.memo, signed=signed)


class MintOrder(_AssetOrder):
    """More of an asset, by its issuer."""

    kind = "mint"

    def __init__(self, place: Place, sender: str, receiver: str, amount: str, asset: Known, how: How) -> None:
        super().__init__(place, sender, amount, asset, how)
        self.receiver_name, self.receiver = receiver, place.payload(receiver)

    def told(self) -> str:
        return f"{self.what} made for {shown(self.receiver_name)} by {shown(self.sender_name)}"

    def means(self, kept: Spend) -> bool:
        mine = (self.receiver, self.asset.id, self.amount)
        return isinstance(kept, Mint) and (kept.receiver, kept.asset.hex(), kept.amount) == mine

    def check(self) -> None:
        super().check()
        asset, room = self.asset, self.asset.max_supply - self.asset.minted
        if asset.issuer != self.coin.address(self.sender):
            raise click.ClickException(
                f"only the issuer of {asset.symbol} {asset.id[:10]}… makes more of it, and that is "
                f"{self.place.name_of(asset.issuer)}"
            )
        if self.amount > room:
            raise click.ClickException(
                f"of {asset.symbol} {asset.id[:10]}… there may be {asset.count(asset.max_supply)} at most, and "
                f"{asset.count(asset.minted)} were made: there is room for {asset.count(room)}. What was burned makes "
                "no room"
            )

    def submit(self, secret: bytes, signed: Signed) -> Sent:
        client, asset = self.place.client, self.asset.id
        return client.mint(
            secret, asset, self.amount, receiver=self.receiver, fee=self.fee, memo=self.memo, signed=signed
        )


class BurnOrder(_AssetOrder):
    """The end of units of an asset."""

    kind = "burn"

    def __init__(self, place: Place, sender: str, amount: str, asset: Known, how: How) -> None:
        super().__init__(place, sender, amount, asset, how)
        self.receiver_name, self.receiver = sender, self.sender

    def told(self) -> str:
        return f"{self.what} of {shown(self.sender_name)} burned for ever"

    def means(self, kept: Spend) -> bool:
        return isinstance(kept, Burn) and (kept.asset.hex(), kept.amount) == (self.asset.id, self.amount)

    def check(self) -> None:
        super().check()
        self._check_held()

    def submit(self, secret: bytes, signed: Signed) -> Sent:
        client, asset = self.place.client, self.asset.id
        return client.burn(secret, asset, self.amount, fee=self.fee, memo=self.memo, signed=signed)


class IssueOrder(Order):
    """A new asset. `terms`: its name, symbol, decimals and content; supplies in one of it, as text."""

    def __init__(
        self,
        place: Place,
        sender: str,
        receiver: str,
        how: How,
        *,
        name: str,
        symbol: str,
        decimals: int,
        supply: str,
        max_supply: str | None,
        content: bytes,
    ) -> None:
        check_rules(place)
        super().__init__(place, sender, how)
        self.receiver_name, self.receiver = receiver, place.payload(receiver)
        self.name, self.symbol, self.decimals, self.content = name, symbol, decimals, content
        self.amount = parsed(supply, "--supply", decimals, "asset")
        most = supply if max_supply is None else max_supply
        self.max_supply = parsed(most, "--max-supply", decimals, "asset")
        if not self.max_supply:
            raise click.UsageError("--supply is 0, so give --max-supply: without it there could never be any")
        if self.max_supply < self.amount:
            raise click.UsageError(f"--max-supply {quoted(most)}: that is less than --supply {quoted(supply)}")

    @property
    def size(self) -> int:
        return 201 + sum(len(each.encode()) for each in (self.name, self.symbol, self.memo))

    @property
    def _texts(self) -> tuple[bytes, bytes]:
        return self.symbol.encode(), self.name.encode()

    def told(self) -> str:
        from ..output import coins

        what = coins(self.amount, self.decimals, self.symbol)
        return f"{shown(self.name)} issued by {shown(self.sender_name)}: {what} for {shown(self.receiver_name)}"

    def means(self, kept: Spend) -> bool:
        return isinstance(kept, Issue) and (
            (kept.receiver, kept.amount, kept.max_supply, kept.decimals, kept.symbol, kept.name, kept.content)
            == (self.receiver, self.amount, self.max_supply, self.decimals, *self._texts, self.content)
        )

    def lines(self, sent: Sent) -> list[str]:
        from ..output import coins

        more = self.max_supply - self.amount
        room = f"and {coins(more, self.decimals, self.symbol)} more may be made later" if more else "and never more"
        content = [f"content {self.content.hex()} (SHA-256 of the file)"] if any(self.content) else []
        return [f"asset {self._id(sent.transfer)} ({room})", *content]

    def fields(self, spend: Spend) -> dict[str, Any]:
        return {
            "kind": "issue",
            "asset": self._id(spend),
            "symbol": self.symbol,
            "name": self.name,
            "decimals": self.decimals,
            "content": self.content.hex(),
            "max_supply": self.max_supply,
        }

    def _id(self, spend: Spend) -> str:
        from ...core.codec import asset_id

        return asset_id(self.coin.chain_id, spend).hex() if isinstance(spend, Issue) else ""

    def submit(self, secret: bytes, signed: Signed) -> Sent:
        return self.place.client.issue(
            secret,
            self.symbol,
            self.name,
            self.amount,
            max_supply=self.max_supply,
            decimals=self.decimals,
            content=self.content,
            receiver=self.receiver,
            fee=self.fee,
            memo=self.memo,
            signed=signed,
        )


def _above_nothing(amount: str, decimals: int) -> int:
    units = parsed(amount, "the amount", decimals, "asset")
    if not units:
        raise click.UsageError("the amount is 0: there is nothing to do")
    return units


def digest_of(path: Path) -> bytes:
    """The SHA-256 of a file, read in pieces. Raises ClickException for what is no file, or larger than 1 GB."""
    from hashlib import sha256

    digest, left = sha256(), _MOST_BYTES
    try:
        if not path.is_file():
            raise click.ClickException(f"{path} is no file")
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                left -= len(piece)
                if left < 0:
                    raise click.ClickException(f"{path} has over {_MOST_BYTES:,} bytes: that is too large here")
                digest.update(piece)
    except OSError as error:
        raise click.ClickException(f"{path} can't be read: {error.strerror}") from None
    return digest.digest()


_MOST_BYTES: Final = 1_000_000_000
"""Of a document or picture."""
