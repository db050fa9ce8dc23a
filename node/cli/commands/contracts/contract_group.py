"""`moneyer contract`: the group of the commands on contracts."""

from __future__ import annotations

import click

from .contract_find import recover
from .contract_look import list_, show
from .contract_new import escrow, inherit, multisig, new, vault, vesting
from .contract_share import accept, export, receipt
from .contract_spend import combine, sign, spend, submit


@click.group()
def contract() -> None:
    """Addresses that several people, times and secrets guard.

    A contract is an address that is a policy: who may spend, how many of them, after when. Keep its file: the address
    does not show the policy, and without it nobody can spend.
    """


_COMMANDS = (
    (new, multisig, vault, escrow, vesting, inherit),
    (accept, receipt, export, recover),
    (list_, show),
    (spend, sign, combine, submit),
)

for _command in (each for group in _COMMANDS for each in group):
    contract.add_command(_command)
