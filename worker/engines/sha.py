"""The engine `sha`: SHA-256 by the processor's own instructions (AMD since Zen, Intel since Ice Lake, most ARM64)."""

from __future__ import annotations

from pathlib import Path

from . import sha_ir
from .compiled import CompiledEngine, Processor
from .sha_sets import X86, Arm, Instructions

STREAMS = 4
"""Nonces side by side. Measured on a Zen 4: 2 gave 27.7 million hashes/s, 3 34.6, 4 36.4, 5 34.6."""


class NoInstructions(Exception):
    """This processor has no instructions for SHA-256."""


class ShaEngine(CompiledEngine):
    """An `Engine` of one instruction set, X86 or Arm."""

    def __init__(self, cache: Path | None = None) -> None:
        """Raises NoInstructions, or ImportError without llvmlite."""
        processor = Processor()
        super().__init__("sha", sha_ir.module(_instructions(processor), STREAMS), processor, cache)


def _instructions(processor: Processor) -> type[Instructions]:
    # LLVM ends the process when it is given an instruction that the processor lacks, so this must be right.
    if processor.is_x86 and processor.has("sha", "sse4.1"):
        return X86
    if processor.is_arm and processor.has("sha2"):
        return Arm
    raise NoInstructions("this processor has no SHA-256 instructions")
