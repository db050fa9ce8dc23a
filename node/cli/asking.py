"""The node that a command asks, which may turn out to be another program with JSON of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from node.client import Client, ClientError
from node.client.transport import DEADLINE

_NUMBERS: Final = frozenset(
    {
        "amount",
        "balance",
        "bytes",
        "count",
        "duplicate",
        "fee",
        "fees",
        "hashrate",
        "incoming",
        "last_share",
        "low_difficulty",
        "outgoing",
        "stale",
    }
)
"""What a command calculates with: a number under this name, wherever it stands, or null."""


class NodeClient(Client):
    """A client whose answers are sure to have the keys that a command reads; without one, no node has answered.

    Nor has one where something else stands for a number that is reckoned with. Only for commands: to a program of
    somebody's own a missing key is a KeyError, as it is in any dictionary.
    """

    def get(self, path: str, deadline: float = DEADLINE) -> Any:
        return self._known(super().get(path, deadline))

    def post(self, path: str, body: Any = None, deadline: float = DEADLINE) -> Any:
        return self._known(super().post(path, body, deadline))

    def delete(self, path: str, deadline: float = DEADLINE) -> Any:
        return self._known(super().delete(path, deadline))

    def _known(self, answer: Any) -> Any:
        if not isinstance(answer, dict):
            raise self._transport.nonsense()
        return _checked(answer, self._transport.nonsense)


class _Object(dict[str, Any]):
    """A JSON object of an answer; `nonsense` makes the error for a key that it lacks."""

    def __init__(self, held: dict[str, Any], nonsense: Callable[[], ClientError]) -> None:
        super().__init__(held)
        self._nonsense = nonsense

    def __missing__(self, key: str) -> Any:
        raise self._nonsense()


def _checked(value: Any, nonsense: Callable[[], ClientError]) -> Any:
    if isinstance(value, dict):
        if any(not isinstance(value[key], int | float | None) for key in _NUMBERS & value.keys()):
            raise nonsense()
        return _Object({key: _checked(each, nonsense) for key, each in value.items()}, nonsense)
    if isinstance(value, list):
        return [_checked(each, nonsense) for each in value]
    return value
