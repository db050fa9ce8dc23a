"""The engine `mixed`: SHA-256 by the SHA instructions of x86-64 and by vectors at once (AMD since Zen, Intel since Ice
Lake)."""

from __future__ import annotations

from pathlib import Path

from . import mixed_ir
from .compiled import CompiledEngine, Processor
from .sha import NoInstructions

GROUPS = (6, 5, 5)
"""Hashes side by side. Measured on a Zen 4: by 4 46.9 million hashes/s, by 5 or 6 49.2, by 7 45.9."""
_GROUPS_OF_16_REGISTERS = (4, 4, 4, 4)
_PORTIONS = 24
"""Measured on a Zen 4, million hashes/s with AVX-512 and without: 8 portions 34 and 30, 12 39 and 28, 16 42 and 31,
24 43 and 32, 32 42 and 31; not apart 49 and 39."""
_WEAKNESS = (
    "it changes between SHA-256 instructions, which are of the SSE kind, and 256-bit vectors (AVX), and this processor "
    "is slow to change"
)
"""On an Intel Emerald Rapids each change took 132 ns, in a loop of one `sha256rnds2` and one 256-bit `vpaddd`; with a
128-bit one the loop took 1.3 ns. A Zen 3 was as slow. On a Zen 4 the engine is the fastest of all."""


class MixedEngine(CompiledEngine):
    """An `Engine` of both units of an x86-64 processor."""

    def __init__(self, cache: Path | None = None, *, apart: bool = False) -> None:
        """`apart`: for processors that are slow to change between the two kinds of instructions.

        Raises NoInstructions, or ImportError without llvmlite.
        """
        processor = Processor()
        if not (processor.is_x86 and processor.has("sha", "sse4.1", "avx2")):
            raise NoInstructions("this processor has no SHA-256 instructions beside 256-bit vectors")
        self.apart = apart
        groups = GROUPS if processor.has("avx512f", "avx512vl") else _GROUPS_OF_16_REGISTERS
        super().__init__("mixed", mixed_ir.module(groups, _PORTIONS if apart else None), processor, cache, _WEAKNESS)
