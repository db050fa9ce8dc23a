"""SHA-256 by the SHA instructions of x86-64 and by vectors at once: AMD since Zen, Intel since Ice Lake."""

from __future__ import annotations

from pathlib import Path

from worker.engines import mixed_ir
from worker.engines.compiled import CompiledEngine, Processor
from worker.engines.sha import NoInstructions

GROUPS = (6, 5, 5)
"""Hashes side by side. On a Zen 4: by 4 46.9 million hashes/s, by 5 or 6 49.2, by 7 45.9."""
_GROUPS_OF_16_REGISTERS = (4, 4, 4, 4)


class MixedEngine(CompiledEngine):
    def __init__(self, cache: Path | None = None) -> None:
        """Raises NoInstructions, or ImportError without llvmlite."""
        processor = Processor()
        if not (processor.is_x86 and processor.has("sha", "sse4.1", "avx2")):
            raise NoInstructions("this processor has no SHA-256 instructions beside 256-bit vectors")
        is_made_for = processor.has("avx512f", "avx512vl")
        groups = GROUPS if is_made_for else _GROUPS_OF_16_REGISTERS
        weakness = "" if is_made_for else "it is made for processors with AVX-512, and this one has none"
        super().__init__("mixed", mixed_ir.module(groups), processor, cache, weakness)
