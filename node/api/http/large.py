"""A large answer, handed over piece by piece: whole, it would be the server's until its client has taken it."""

from __future__ import annotations

from time import monotonic
from typing import Final, Protocol

LARGE: Final = 262_144
"""Bytes of an answer that is handed over in pieces: until its client has it, all of it is kept."""
LARGE_SECONDS: Final = 30.0
"""For all of a large answer: nodes give up on each other's then."""
_PIECE: Final = 65_536


class Chunks(Protocol):
    """What a stream is made of. Each is sent as soon as it is there; `close` is called once, however it ends."""

    def __next__(self) -> bytes: ...

    def close(self) -> None: ...


class Large:
    """A large answer under way, in pieces; it ends early where it is late, and its client sees that bytes lack.

    `taken`: what each connection of its client had taken by `look_at` minus `seconds`, once that was looked at.
    """

    def __init__(self, content: bytes, seconds: float) -> None:
        self.size = len(content)
        self.taken: dict[int, int] | None = None
        self.look_at = monotonic()
        self._content = content
        self._at = 0
        self._ends_at = monotonic() + seconds

    def __next__(self) -> bytes:
        piece = self._content[self._at : self._at + _PIECE]
        if not piece or monotonic() > self._ends_at:
            raise StopIteration
        self._at += len(piece)
        return piece

    def close(self) -> None:
        self._content = b""
