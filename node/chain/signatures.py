"""Signature checks of many transfers, in threads: the curve library releases the GIL."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import islice

from ..core.signing import signature_checks, verify_many
from ..core.types import Spend

_CORES = os.cpu_count() or 1
"""Asked once: the system opens a file to answer."""
_LEAST = 64
"""Fewer checks than this in a part cost more to hand over than to do."""


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_CORES, thread_name_prefix="signatures")


def verify_signatures(chain_id: bytes, spends: Sequence[Spend]) -> list[bool]:
    """Whether each spend's signatures are its sender's on this chain, in order; they passed the checks in isolation."""
    of_each = [signature_checks(chain_id, spend) for spend in spends]
    found = iter(_verify([check for checks in of_each for check in checks]))
    return [all(list(islice(found, len(checks)))) for checks in of_each]  # a list: every verdict is taken


def _verify(checks: list[tuple[bytes, bytes, bytes]]) -> list[bool]:
    parts = min(_CORES, len(checks) // _LEAST)
    if parts < 2:
        return verify_many(checks)
    step = -(-len(checks) // parts)
    slices = [checks[start : start + step] for start in range(0, len(checks), step)]
    return [is_valid for part in _pool().map(verify_many, slices) for is_valid in part]
