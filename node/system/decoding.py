"""Types of JSON, made ready while a module is imported: msgspec is not safe where threads meet a type first."""

from __future__ import annotations

from typing import Any

import msgspec


def prepare(*shapes: Any) -> None:
    """Have msgspec look at these types now; those that they are made of are looked at with them.

    Otherwise it does so when one is first decoded. As that runs Python, another thread may get its turn, finds the
    type half looked at, and the process ends by a segmentation fault (msgspec 0.22; seen about once in 30 starts of a
    network's nodes on a busy machine, where several peers greet a node at once). So a module calls this below the
    types that it decodes; `tests/test_decoding.py` looks for those that were forgotten.
    """
    for shape in shapes:
        msgspec.json.Decoder(shape)
