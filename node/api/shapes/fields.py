"""The fields that the shapes of `/v1` are made of, and what writes them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

Json = Any
"""Any JSON value: msgspec has no narrower name that it gives a schema for."""

HASH_PATTERN = "^[0-9a-f]{64}$"
Hash = Annotated[str, Meta(pattern=HASH_PATTERN, description="64 hex digits in lower case")]
Bits = Annotated[str, Meta(pattern="^[0-9a-f]{8}$", description="8 hex digits in lower case")]
Hex = Annotated[str, Meta(pattern="^([0-9a-f]{2})*$", description="bytes in hex: an even number of hex digits")]
Address = Annotated[str, Meta(max_length=80)]
Units = Annotated[int, Meta(ge=0, le=2**53 - 1, description="base units")]
Count = Annotated[int, Meta(ge=0)]

encode = msgspec.json.Encoder().encode
