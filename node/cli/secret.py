"""Reads passphrases, recovery phrases and keys: from a terminal, a key file, the environment or stdin, never from an
argument, which other users of the machine can see."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .place import terminal

if TYPE_CHECKING:
    from ..wallet.keystore import Wallet

_TRIES = 3
"""Times that a passphrase is asked."""


def unlock(path: Path, key_file: Path | None) -> tuple[Wallet, str | None]:
    """The wallet with its keys, and the passphrase that opened it (None: it is open).

    Raises WalletMissing, WalletLocked where nobody can be asked, WalletUnreadable for a wrong passphrase.
    """
    from ..wallet.errors import WalletLocked, WalletUnreadable
    from ..wallet.keystore import open_wallet
    from ..wallet.seal import given_passphrase

    wallet = open_wallet(path)
    if not wallet.locked:
        return wallet, None
    passphrase = given_passphrase(key_file)
    if passphrase is not None:
        return open_wallet(path, passphrase=passphrase), passphrase
    if not terminal():
        raise WalletLocked(
            f"{path} is encrypted: give its passphrase in MONEYER_PASSPHRASE, or a key file with --passphrase-file"
        )
    for left in reversed(range(_TRIES)):
        passphrase = _ask("Passphrase of the wallet")
        try:
            return open_wallet(path, passphrase=passphrase), passphrase
        except WalletUnreadable as error:
            if not left:
                raise
            click.echo(f"{error.message}; try again", err=True)
    raise AssertionError


def new_passphrase(key_file: Path | None, *, may_be_open: bool, variable: str = "MONEYER_PASSPHRASE") -> str | None:
    """The passphrase of a wallet that is to be made; None: it shall be open (`--open`).

    Raises ClickException where none is given and nobody can be asked.
    """
    from ..wallet.seal import given_passphrase

    passphrase = given_passphrase(key_file, variable=variable)
    if passphrase is not None:
        return passphrase
    if may_be_open:
        return None
    if not terminal():
        raise click.ClickException(
            f"a wallet is kept encrypted: give a passphrase in {variable} or a key file, or say --open for one that "
            "whoever can read the file can spend from"
        )
    click.echo("The wallet is encrypted with a passphrase. Nobody can restore a lost one.", err=True)
    while True:
        first = _ask("New passphrase")
        if _ask("The same again") == first:
            return first
        click.echo("The two differ; try again", err=True)


def read_secret(question: str, *, hidden: bool = True) -> str:
    """A line that must not stand among the arguments: asked on a terminal, else read from stdin."""
    if terminal():
        answer: str = click.prompt(question, hide_input=hidden, err=True)
        return answer.strip()
    line = sys.stdin.readline(10_000).strip()
    if not line:
        raise click.ClickException(f"{question[0].lower()}{question[1:]} is read from standard input: nothing came")
    return line


def _ask(question: str) -> str:
    answer: str = click.prompt(question, hide_input=True, err=True)
    return answer
