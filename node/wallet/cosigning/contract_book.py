"""The contract book: `contracts/NAME.json` in the wallet's folder, a file for each contract, and the same for others.

A file has the policy's bytes, what its maker calls the co-signers, and their receipts. The address is not in it: it is
computed from the policy each time. The file that `moneyer contract export` writes, and the one for each co-signer, have
the same format, so that a lost book is put together again from any of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from ...core.codec import show
from ...core.coin import Coin
from ...core.errors import BadWitness
from ...core.policy import Key, Policy, decode_policy, payload_of_policy
from ...system.decoding import prepare
from ...system.files import target
from ...system.text import shown
from ...system.words import nearest, place_of, quoted
from ..errors import NameTaken, WalletMissing, WalletUnreadable
from ..names import check_name, find_name, is_name
from ..private_files import locked, read_private, write_private
from ..walletfile import Hex32, Name
from .errors import BadContractFile, UnknownContract
from .receipts import Hex64, Receipt, is_receipt

FOLDER: Final = "contracts"
MAX_CONTRACT: Final = 2**16
"""Bytes of one file; a policy of 64 nodes has under 2,200, in hex twice that."""
MAX_CONTRACTS: Final = 1_000
"""In one book."""
_MAX_KEYS: Final = 20
_SUFFIX: Final = ".json"

_PolicyHex = Annotated[
    str,
    msgspec.Meta(pattern="^([0-9a-f]{2})+$", min_length=2, max_length=8_192, description="a policy's bytes, in hex"),
]


class _ContractFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a file."""

    format: Literal["moneyer-contract"]
    version: Literal[1]
    chain_id: Hex32
    """As the API shows it."""
    name: Name
    policy: _PolicyHex
    names: Annotated[dict[Hex32, Name], msgspec.Meta(max_length=_MAX_KEYS)]
    """Key -> what the file's maker calls its owner."""
    receipts: Annotated[dict[Hex32, Hex64], msgspec.Meta(max_length=_MAX_KEYS)]
    """Key -> signature."""


prepare(_ContractFile)


@dataclass(frozen=True)
class Contract:
    """One contract of a book."""

    name: str
    raw_policy: bytes
    names: Mapping[bytes, str]
    """32-byte key -> a name."""
    receipts: Mapping[bytes, bytes]
    """32-byte key -> the signature of its receipt, which was checked."""

    @cached_property
    def policy(self) -> Policy:
        return decode_policy(self.raw_policy).policy

    @cached_property
    def payload(self) -> bytes:
        """33 bytes: of its address."""
        return payload_of_policy(self.raw_policy)

    @cached_property
    def keys(self) -> tuple[bytes, ...]:
        """Of the co-signers, in the policy's order."""
        return tuple([leaf.key for leaf in decode_policy(self.raw_policy).leaves if isinstance(leaf, Key)])

    def name_of(self, key: bytes) -> str | None:
        """What the book calls a co-signer."""
        return self.names.get(key)

    def unproven(self, own: Collection[bytes]) -> list[bytes]:
        """The keys whose owners have not shown that they hold the contract. `own`: this wallet's keys, which count."""
        return [key for key in self.keys if key not in self.receipts and key not in own]

    def with_receipts(self, receipts: Iterable[tuple[bytes, bytes]]) -> Contract:
        """With more receipts, (key, signature) each, that were checked; of one key the first stays."""
        added = {key: signature for key, signature in receipts if key in self.keys}
        return replace(self, receipts={**added, **self.receipts})


def encode_contract(contract: Contract, coin: Coin) -> bytes:
    """The file of a contract."""
    held = _ContractFile(
        "moneyer-contract",
        1,
        show(coin.chain_id),
        contract.name,
        contract.raw_policy.hex(),
        {key.hex(): name for key, name in contract.names.items()},
        {key.hex(): signature.hex() for key, signature in contract.receipts.items()},
    )
    return msgspec.json.format(msgspec.json.encode(held), indent=2) + b"\n"


def decode_contract(content: bytes, coin: Coin) -> Contract:
    """The contract in a file's bytes; its policy is one, its receipts were checked. Raises BadContractFile."""
    try:
        held = msgspec.json.decode(content, type=_ContractFile)
    except (msgspec.MsgspecError, RecursionError):
        raise BadContractFile(f"this is no contract, or it is damaged ({place_of(_ContractFile, content)})") from None
    if held.chain_id != show(coin.chain_id):
        raise BadContractFile("this contract is of another coin", expected=show(coin.chain_id), found=held.chain_id)
    if not all(map(is_name, (held.name, *held.names.values()))):
        raise BadContractFile("a name in this contract's file is none: it was changed")
    raw = bytes.fromhex(held.policy)
    try:
        decode_policy(raw)
    except BadWitness as error:
        raise BadContractFile(f"the policy in this file is none: {error.message}") from None
    names = {bytes.fromhex(key): name for key, name in held.names.items()}
    receipts = {bytes.fromhex(key): bytes.fromhex(signature) for key, signature in held.receipts.items()}
    contract = Contract(held.name, raw, names, receipts)
    for key, signature in receipts.items():
        if key not in contract.keys or not is_receipt(coin, contract.payload, key, signature):
            raise BadContractFile(
                f"the receipt of {shown(names.get(key, key.hex()[:8] + '…'))} in this file is not of this contract: the"
                " file was changed"
            )
    if any(key not in contract.keys for key in names):
        raise BadContractFile("this file names a key that is not in its policy: the file was changed")
    return contract


# the book


def contract_names(data: Path) -> list[str]:
    """The names in a book, by the alphabet; none where there is no book. Raises OSError."""
    try:
        found = [path.name for path in (data / FOLDER).iterdir() if path.name.endswith(_SUFFIX)]
    except FileNotFoundError:
        return []
    return sorted([name for each in found if is_name(name := each.removesuffix(_SUFFIX))])[:MAX_CONTRACTS]


def read_contract(data: Path, coin: Coin, name: str) -> Contract:
    """A contract by its name, in any case. Raises UnknownContract with the nearest name, WalletUnreadable, OSError."""
    names = contract_names(data)
    found = find_name(names, name)
    if found is None:
        near = nearest(name, names)
        hint = f": did you mean {near}?" if near else ": `moneyer contract list` shows those that there are"
        raise UnknownContract(f"there is no contract {quoted(name)} here{hint}", nearest=near)
    return _read(data, coin, found)


def read_book(data: Path, coin: Coin) -> Iterator[Contract | WalletUnreadable]:
    """Each contract by its name; in place of a damaged one its error. Raises OSError."""
    for name in contract_names(data):
        try:
            yield _read(data, coin, name)
        except WalletUnreadable as error:
            yield error


def contract_at(data: Path, coin: Coin, payload: bytes) -> Contract | None:
    """The contract with this payload; None where the book has none, or its file is damaged. Raises OSError."""
    whole = (each for each in read_book(data, coin) if isinstance(each, Contract))
    return next((contract for contract in whole if contract.payload == payload), None)


def _read(data: Path, coin: Coin, name: str) -> Contract:
    path = data / FOLDER / f"{name}{_SUFFIX}"
    try:
        contract = decode_contract(read_private(path, MAX_CONTRACT), coin)
    except BadContractFile as error:
        raise WalletUnreadable(
            f"{path}: {error.message}. A co-signer's copy puts it right: move this file away, then"
            " `moneyer contract recover FILE`"
        ) from None
    except WalletMissing:
        raise UnknownContract(f"{path} is gone") from None
    return replace(contract, name=name)


def add_contract(data: Path, coin: Coin, contract: Contract, taken: Iterable[str] = ()) -> Contract:
    """Put a contract into the book, and give it as it stands there.

    One that is there already, under whatever name, gets what is new of names and receipts. `taken`: names of keys and
    contacts, which no contract may have. Raises BadName, NameTaken, WalletUnreadable, OSError.
    """
    name = check_name(contract.name)
    with locked(data):
        held = contract_at(data, coin, contract.payload)
        if held is None:
            _check_free(data, name, taken)
            merged = replace(contract, name=name)
        else:
            merged = held.with_receipts(contract.receipts.items())
            merged = replace(merged, names={**contract.names, **held.names})
        if merged != held:
            _write(data, coin, merged)
    return merged


def _check_free(data: Path, name: str, taken: Iterable[str]) -> None:
    names = contract_names(data)
    if find_name(names, name) is not None:
        raise NameTaken(f"there is a contract {name} already: take another name")
    if find_name(taken, name) is not None:
        raise NameTaken(f"{name} is a key or a contact already: take another name for the contract")
    if len(names) >= MAX_CONTRACTS:
        raise WalletUnreadable(f"there is room for {MAX_CONTRACTS} contracts: move some files away")


def add_receipt(data: Path, coin: Coin, receipt: Receipt) -> Contract:
    """Keep a co-signer's receipt. Raises UnknownContract, BadContractFile, WalletUnreadable, OSError."""
    with locked(data):
        held = contract_at(data, coin, receipt.payload)
        if held is None:
            raise UnknownContract(
                f"this is a receipt for {coin.address(receipt.payload)}, a contract that is not kept here: take in its"
                " file first, with `moneyer contract accept FILE`"
            )
        if receipt.key not in held.keys:
            raise BadContractFile(f"this receipt is by a key that is not in the contract {held.name}")
        merged = held.with_receipts([(receipt.key, receipt.signature)])
        if merged != held:
            _write(data, coin, merged)
    return merged


def _write(data: Path, coin: Coin, contract: Contract) -> None:
    path = target(data / FOLDER) / f"{contract.name}{_SUFFIX}"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_private(path, encode_contract(contract, coin), replace=True)
