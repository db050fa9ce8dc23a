"""A passphrase from where no person types it: a key file, or the environment."""

from __future__ import annotations

import os
from pathlib import Path

from node.wallet.errors import WalletUnreadable
from node.wallet.seal import MAX_PASSPHRASE

VARIABLE = "MONEYER_PASSPHRASE"


def given_passphrase(file: Path | None = None, *, variable: str = VARIABLE) -> str | None:
    """The passphrase of a key file (its first line), else of the environment; None where neither is there.

    Raises WalletUnreadable for one that cannot be meant, OSError. It is never part of a message.
    """
    if file is not None:
        with file.open("rb") as stream:
            first = stream.read(4 * MAX_PASSPHRASE + 2).split(b"\n", 1)[0].removesuffix(b"\r")
        try:
            return check_passphrase(first.decode())
        except UnicodeDecodeError:
            raise WalletUnreadable(f"{file} is no key file: its first line is the passphrase, in UTF-8") from None
    found = os.environ.get(variable)
    return None if found is None else check_passphrase(found)


def check_passphrase(text: str) -> str:
    """`text`, if it can be a passphrase. Raises WalletUnreadable."""
    if not 1 <= len(text) <= MAX_PASSPHRASE:
        raise WalletUnreadable(f"a passphrase has 1 to {MAX_PASSPHRASE} characters")
    return text
