"""A shop that takes a coin. An order is paid by a transfer whose memo is the order's name."""

from moneyer import Client


class Shop:
    """Asks one node. An order counts as paid when its transfer has two confirmations."""

    confirmations = 2

    def __init__(self, node_url: str, address: str) -> None:
        self._client = Client(node_url)
        self.address = address

    def is_paid(self, order: str, price: str) -> bool:
        """Whether enough has been paid for an order, and is deep enough in the chain."""
        wanted = self._client.units(price)
        return wanted <= sum(
            each["amount"]
            for each in self._client.history(self.address)
            if each["receiver"] == self.address
            and each["memo"] == order
            and each["confirmations"] >= self.confirmations
        )
