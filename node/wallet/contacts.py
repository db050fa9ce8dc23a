"""`contacts.json`: names for other people's addresses. Nothing in it is secret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ..system.advice import typed
from ..system.decoding import prepare
from ..system.text import shown
from ..system.words import place_of
from .errors import NameTaken, UnknownKey, WalletMissing, WalletUnreadable
from .names import check_name, find_name
from .private_files import locked, read_private, write_private
from .walletfile import Name

CONTACTS_FILE = "contacts.json"
MAX_FILE = 2**20
"""Bytes."""
MAX_CONTACTS = 5_000

Address = Annotated[
    str, msgspec.Meta(pattern="^[a-z]{1,16}1[02-9ac-hj-np-z]{59}$", max_length=76, description="an address")
]


class _Contacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the file."""

    format: Literal["moneyer-contacts"]
    version: Literal[1]
    contacts: dict[Name, Address]


prepare(_Contacts)


def read_contacts(folder: Path) -> Mapping[str, str]:
    """Name -> address, in the order of adding; none where there is no file. Raises WalletUnreadable, OSError."""
    path = folder / CONTACTS_FILE
    try:
        content = read_private(path, MAX_FILE)
    except WalletMissing:
        return {}
    try:
        return msgspec.json.decode(content, type=_Contacts).contacts
    except (msgspec.MsgspecError, RecursionError):
        where = place_of(_Contacts, content)
        raise WalletUnreadable(f"{path} is damaged ({where}): mend it, or move it away") from None


def check_no_contact(folder: Path, name: str) -> None:
    """Raises NameTaken for a key's name that a contact or a contract has: nobody could tell the two apart.

    And as `read_contacts`.
    """
    _check_no_contract(folder, name)
    found = find_name(read_contacts(folder), name)
    if found is not None:
        forget = f"moneyer wallet contact {typed(found)} --remove"
        raise NameTaken(f"{found} is a contact already: take another name, or forget it with `{forget}`", name=found)


def _check_no_contract(folder: Path, name: str) -> None:
    from .cosigning.contract_book import contract_names  # which loads what only contracts need

    found = find_name(contract_names(folder), name)
    if found is not None:
        raise NameTaken(f"{found} is a contract already: take another name", name=found)


def add_contact(folder: Path, name: str, address: str) -> None:
    """Name an address (checked by the caller, lower case). Raises BadName, NameTaken, WalletUnreadable, OSError."""
    clean = check_name(name)
    _check_no_contract(folder, clean)
    with locked(folder):
        held = dict(read_contacts(folder))
        name = find_name(held, clean) or clean
        if held.get(name, address) != address:
            raise NameTaken(f"{name} is {held[name]} already: remove that contact first, or take another name")
        held[name] = address
        if len(held) > MAX_CONTACTS:
            raise WalletUnreadable(f"there is room for {MAX_CONTACTS} contacts: remove some first")
        _write(folder, held)


def remove_contact(folder: Path, name: str) -> str:
    """Remove a contact; gives its address. Raises UnknownKey, WalletUnreadable, OSError."""
    with locked(folder):
        held = dict(read_contacts(folder))
        found = find_name(held, name)
        if found is None:
            raise UnknownKey(f"there is no contact {shown(name, 40)}", known=list(held)[:20])
        address = held.pop(found)
        _write(folder, held)
    return address


def _write(folder: Path, contacts: dict[str, str]) -> None:
    content = msgspec.json.encode(_Contacts("moneyer-contacts", 1, contacts))
    write_private(folder / CONTACTS_FILE, msgspec.json.format(content, indent=2) + b"\n", replace=True)
