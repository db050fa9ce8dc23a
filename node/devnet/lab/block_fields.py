"""A block's bytes cut into the protocol's fields (docs/protocol.md, sections 3 and 4), to show what was changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...core import codec
from ...core.types import HEADER_SIZE, Block, Coinbase, Envelope, Transaction

_HEADER = (("version", 4), ("prev_hash", 32), ("merkle_root", 32), ("timestamp", 4), ("bits", 4), ("nonce", 4))
_NUMBERS = ("version", "timestamp", "height", "amount", "fee", "sequence")
_FOLLOWING = ("header merkle_root", "header nonce")
"""What every change of a block changes with it."""


@dataclass(frozen=True, slots=True)
class Field:
    """Some bytes of a block that are one field."""

    name: str
    """As docs/protocol.md calls it, behind the part of the block: `header bits`, `transaction 1 amount`."""
    start: int
    """Position of its first byte in the block."""
    raw: bytes
    mark: str = ""
    """`changed` or `added`, beside the honest block; `follows` where another change asks for it; else empty."""
    was: bytes | None = None
    """The honest block's bytes, where they are others."""

    @property
    def number(self) -> int | None:
        """What the bytes say, where they are a number that a person reads; little-endian, as all numbers here."""
        return _number(self.name, self.raw)

    @property
    def number_before(self) -> int | None:
        """The honest block's."""
        return None if self.was is None else _number(self.name, self.was)

    def as_json(self) -> dict[str, object]:
        """For programs."""
        was = None if self.was is None else self.was.hex()
        return {"name": self.name, "start": self.start, "hex": self.raw.hex(), "mark": self.mark, "was": was}


def _number(name: str, raw: bytes) -> int | None:
    return int.from_bytes(raw, "little") if name.rpartition(" ")[2] in _NUMBERS else None


def fields_of(block: Block) -> list[Field]:
    """All of a block's fields, in order; their bytes end to end are the block."""
    found: list[Field] = []
    start = 0
    for name, raw in _parts(block):
        found.append(Field(name, start, raw))
        start += len(raw)
    return found


def marked(sent: Block, honest: Block) -> list[Field]:
    """The fields of `sent`, with those marked that differ from the honest block's."""
    held = {each.name: each.raw for each in fields_of(honest)}
    fields = fields_of(sent)
    changed = [each.name for each in fields if held.get(each.name) != each.raw]
    is_meant = {name for name in changed if name not in _FOLLOWING} or {name for name in changed if "root" in name}

    def mark(field: Field) -> str:
        if field.name not in held:
            return "added"
        if field.name not in changed:
            return ""
        return "changed" if field.name in is_meant or not is_meant else "follows"

    return [
        replace(each, mark=mark(each), was=held[each.name] if each.name in held and each.name in changed else None)
        for each in fields
    ]


def _parts(block: Block) -> Iterator[tuple[str, bytes]]:
    yield from _cut("header", codec.encode_header(block.header), _HEADER)
    yield "count of transactions", codec.encode_count(len(block.transactions))
    for number, transaction in enumerate(block.transactions):
        raw = codec.encode_transaction(transaction)
        yield from _cut(f"transaction {number}", raw, _sizes(transaction))


def _sizes(transaction: Transaction) -> tuple[tuple[str, int], ...]:
    if isinstance(transaction, Coinbase):
        size = len(transaction.extra)
        return ("version", 1), ("height", 4), ("receiver", 33), ("amount", 8), ("extra", 1 + size)
    memo = ("memo", 1 + len(transaction.memo))
    if isinstance(transaction, Envelope):
        begin = ("version", 1), ("sender", 33), ("fee", 8), ("sequence", 8)
        witness = ("witness", 2 + len(transaction.witness))
        body = codec.transaction_size(transaction) - sum(size for _, size in (*begin, memo, witness))
        return (*begin, ("body", body), memo, witness)
    whole = ("version", 1), ("sender", 33), ("receiver", 33), ("amount", 8), ("fee", 8), ("sequence", 8)
    return (*whole, memo, ("signature", 64))


def _cut(part: str, raw: bytes, sizes: tuple[tuple[str, int], ...]) -> Iterator[tuple[str, bytes]]:
    start = 0
    for name, size in sizes:
        yield f"{part} {name}", raw[start : start + size]
        start += size


assert sum(size for _, size in _HEADER) == HEADER_SIZE  # noqa: S101 - the two are written apart
