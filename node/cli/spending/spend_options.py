"""The options of every command that spends, spelled once."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..options import IntRange, as_json, node_url, option, passphrase_file, wallet_folder
from .spend_order import How, checked_memo

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    option("--fee", metavar="COINS", help="What the miner gets.  [default: what gets it into the next block]"),
    option("--memo", default="", metavar="TEXT", help="A line for all to read, at most 140 bytes."),
    option("--wait", is_flag=True, help="Show its way into a block."),
    option("--confirmations", type=IntRange(1, 10_000), default=1, show_default=True, help="To wait for."),
    option("--timeout", type=IntRange(1, 86_400), default=600, show_default=True, help="Seconds to wait."),
    option(
        "--idempotency", metavar="KEY", help="A text of yours for this payment: a repeat with it pays nothing twice."
    ),
    wallet_folder,
    node_url,
    passphrase_file,
    as_json,
)


def spending(command: F) -> F:
    """Give a command the options that `how_of` reads."""
    for each in reversed(_OPTIONS):
        command = each(command)
    return command


def how_of(given: dict[str, Any]) -> How:
    """What the options of `spending` said. Raises UsageError."""
    _check_key(given["idempotency"])
    checked_memo(given["memo"])
    data, node = given["data"], given["node"]
    named = (("--data", data), ("--node", node))
    where = "".join(f" {name} {shlex.quote(str(value))}" for name, value in named if value is not None)
    taken = {name: given[name] for name in ("fee", "memo", "wait", "confirmations", "timeout", "idempotency", "json")}
    key_file: Path | None = given["passphrase_file"]
    return How(**taken, key_file=key_file, where=where)


def _check_key(key: str | None) -> None:
    from ...wallet.sent import MAX_KEY

    if key is not None and not (key.isprintable() and 1 <= len(key.encode()) <= MAX_KEY):
        raise click.UsageError(f"--idempotency: a text of 1 to {MAX_KEY} bytes without control characters")
