"""The client of commands, which never lets another program's JSON pass for a node's answer.

A file of its own: the client costs a third of a command's start, and completion or a command on a wallet asks no node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..client.client import Client
from ..client.errors import ClientError
from ..client.transport import DEADLINE

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
"""Keys whose values commands calculate with: a number or null, wherever they stand."""


class NodeClient(Client):
    """A client for commands: an answer that lacks a key that is read counts as no node's answer (NoAnswer).

    So does one with something else in place of a number. In a program of somebody's own, which uses `Client`, a missing
    key is a KeyError, as it is in any dictionary.
    """

    def get(self, path: str, deadline: float = DEADLINE) -> Any:
        return self._known(super().get(path, deadline))

    def post(self, path: str, body: Any = None, deadline: float = DEADLINE) -> Any:
        return self._known(super().post(path, body, deadline))

    def put(self, path: str, body: Any = None, deadline: float = DEADLINE) -> Any:
        return self._known(super().put(path, body, deadline))

    def delete(self, path: str, deadline: float = DEADLINE) -> Any:
        return self._known(super().delete(path, deadline))

    def _known(self, answer: Any) -> Any:
        if not isinstance(answer, dict):
            raise self._transport.nonsense()
        return _checked(answer, self._transport.nonsense)


class _Object(dict[str, Any]):
    """A JSON object of an answer; a key that it lacks is a NoAnswer."""

    def __init__(self, held: dict[str, Any], nonsense: Callable[[], ClientError]) -> None:
        """`nonsense`: makes the error."""
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
