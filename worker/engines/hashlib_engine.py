"""The engine `hashlib`: the standard library's SHA-256, with all that does not depend on the nonce hashed once.

A SHA-256 object that has taken the header's first 76 bytes holds the midstate of the first 64 and 12 bytes more; it is
copied for each nonce. A nonce's lowest byte comes first on the wire, so the 256 values of that byte are the outer loop,
each with a copy that has taken 77 bytes, and the inner loop runs over one list of three-byte ends, made once a call.
"""

from __future__ import annotations

from hashlib import sha256


class HashlibEngine:
    """An `Engine` that runs everywhere."""

    name = "hashlib"
    weakness = ""

    def search(self, header80: bytes, target: int, start_nonce: int, count: int) -> int | None:
        first, last = start_nonce, start_nonce + count - 1
        ends = [row.to_bytes(3, "little") for row in range(first >> 8, (last >> 8) + 1)]
        # The digest's last byte is the top of the number that is compared, and rules out nearly every nonce.
        top = target >> 248
        base = sha256(header80[:76])
        hash_once = sha256
        for low in range(256):
            begin = 1 if low < first & 255 else 0
            stop = len(ends) - 1 if low > last & 255 else len(ends)
            if begin >= stop:
                continue
            state = base.copy()
            state.update(bytes((low,)))
            copy = state.copy
            for end in ends[begin:stop]:
                hasher = copy()
                hasher.update(end)
                if hash_once(hasher.digest()).digest()[31] <= top:
                    digest = hash_once(hasher.digest()).digest()
                    if int.from_bytes(digest, "little") <= target:
                        return int.from_bytes(end, "little") << 8 | low
        return None
