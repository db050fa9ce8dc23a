"""The SHA-256 instructions of x86-64 and of ARM64, behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from .sha256_ir import INITIAL

QUAD = "<4 x i32>"


@dataclass(frozen=True, slots=True)
class Quad:
    """Four words in an LLVM value."""

    name: str
    inside: bool = False
    """Whether it depends on the nonce."""


State = tuple[Quad, Quad]
"""The words A to H, in the order that the instructions want."""


def constant(*words: int) -> Quad:
    return Quad(f"<{', '.join(f'i32 {word}' for word in words)}>")


class Instructions(ABC):
    """Collects LLVM instructions: `before` the loop and `inside` it."""

    declarations: Sequence[str]

    def __init__(self) -> None:
        self.before: list[str] = []
        self.inside: list[str] = []
        self._count = 0

    def emit(self, text: str, *needs: Quad) -> Quad:
        """Add an instruction, in the loop where one of the quads that it needs depends on the nonce."""
        self._count += 1
        quad = Quad(f"%q{self._count}", any(need.inside for need in needs))
        (self.inside if quad.inside else self.before).append(f"{quad.name} = {text}")
        return quad

    def call(self, name: str, *quads: Quad) -> Quad:
        return self.emit(f"call {QUAD} @{name}({', '.join(f'{QUAD} {quad.name}' for quad in quads)})", *quads)

    def binary(self, operation: str, left: Quad, right: Quad) -> Quad:
        """`add` or `sub`."""
        return self.emit(f"{operation} {QUAD} {left.name}, {right.name}", left, right)

    def add_states(self, left: State, right: State) -> State:
        return self.binary("add", left[0], right[0]), self.binary("add", left[1], right[1])

    def pick(self, left: Quad, right: Quad, *places: int) -> Quad:
        """Words out of two quads: places 0 to 3 of the left, 4 to 7 of the right."""
        mask = ", ".join(f"i32 {place}" for place in places)
        return self.emit(f"shufflevector {QUAD} {left.name}, {QUAD} {right.name}, <4 x i32> <{mask}>", left, right)

    @abstractmethod
    def state(self, words: Sequence[int]) -> State:
        """The state of words A to H."""

    @abstractmethod
    def in_order(self, state: State) -> State:
        """The state as two quads, A to D and E to H."""

    @abstractmethod
    def four_rounds(self, state: State, words: Quad, known: Quad | None = None) -> State:
        """`words`: of the schedule, K added. `known`: the same, but right in the two lower words only."""

    @abstractmethod
    def first_sums(self, old: Quad, next_old: Quad) -> Quad:
        """W[t-16] + σ0(W[t-15]) for four t."""

    @abstractmethod
    def last_sums(self, first_sums: Quad, middle: Quad, newest: Quad, known: Quad) -> Quad:
        """… + W[t-7] + σ1(W[t-2]): the next four words. `known`: as `newest`, but right in the lowest word only."""

    @abstractmethod
    def last_word(self, state: State, words: Quad) -> Quad:
        """The last word of the hash, lowest in a quad, from the state after 60 rounds and the last words, K added."""


class X86(Instructions):
    """The SHA extensions. State: ABEF and CDGH, A and C in the highest place."""

    declarations = (
        f"declare {QUAD} @llvm.x86.sha256rnds2({QUAD}, {QUAD}, {QUAD})",
        f"declare {QUAD} @llvm.x86.sha256msg1({QUAD}, {QUAD})",
        f"declare {QUAD} @llvm.x86.sha256msg2({QUAD}, {QUAD})",
    )

    def state(self, words: Sequence[int]) -> State:
        a, b, c, d, e, f, g, h = words
        return constant(f, e, b, a), constant(h, g, d, c)

    def in_order(self, state: State) -> State:
        return self.pick(*state, 3, 2, 7, 6), self.pick(*state, 1, 0, 5, 4)

    def two_rounds(self, state: State, words: Quad) -> State:
        """`words`: as for `four_rounds`, of which the two lower ones count."""
        abef, cdgh = state
        return self.call("llvm.x86.sha256rnds2", cdgh, abef, words), abef

    def four_rounds(self, state: State, words: Quad, known: Quad | None = None) -> State:
        state = self.two_rounds(state, known or words)
        return self.two_rounds(state, self.pick(words, words, 2, 3, 2, 3))

    def first_sums(self, old: Quad, next_old: Quad) -> Quad:
        return self.call("llvm.x86.sha256msg1", old, next_old)

    def last_sums(self, first_sums: Quad, middle: Quad, newest: Quad, known: Quad) -> Quad:
        sums = self.binary("add", first_sums, self.pick(middle, known, 1, 2, 3, 4))
        return self.call("llvm.x86.sha256msg2", sums, newest)

    def last_word(self, state: State, words: Quad) -> Quad:
        # The F after 62 rounds is the E after 61 and the H at the end.
        abef, _ = self.two_rounds(state, words)
        return self.binary("add", abef, constant(INITIAL[7], 0, 0, 0))


class Arm(Instructions):
    """The SHA-2 part of the cryptography extension. State: A to D and E to H."""

    declarations = (
        f"declare {QUAD} @llvm.aarch64.crypto.sha256h({QUAD}, {QUAD}, {QUAD})",
        f"declare {QUAD} @llvm.aarch64.crypto.sha256h2({QUAD}, {QUAD}, {QUAD})",
        f"declare {QUAD} @llvm.aarch64.crypto.sha256su0({QUAD}, {QUAD})",
        f"declare {QUAD} @llvm.aarch64.crypto.sha256su1({QUAD}, {QUAD}, {QUAD})",
    )

    def state(self, words: Sequence[int]) -> State:
        return constant(*words[:4]), constant(*words[4:])

    def in_order(self, state: State) -> State:
        return state

    def four_rounds(self, state: State, words: Quad, known: Quad | None = None) -> State:
        abcd, efgh = state
        return (
            self.call("llvm.aarch64.crypto.sha256h", abcd, efgh, words),
            self.call("llvm.aarch64.crypto.sha256h2", efgh, abcd, words),
        )

    def first_sums(self, old: Quad, next_old: Quad) -> Quad:
        return self.call("llvm.aarch64.crypto.sha256su0", old, next_old)

    def last_sums(self, first_sums: Quad, middle: Quad, newest: Quad, known: Quad) -> Quad:
        return self.call("llvm.aarch64.crypto.sha256su1", first_sums, middle, newest)

    def last_word(self, state: State, words: Quad) -> Quad:
        _, efgh = self.four_rounds(state, words)
        return self.binary("add", self.pick(efgh, efgh, 3, 3, 3, 3), constant(INITIAL[7], 0, 0, 0))
