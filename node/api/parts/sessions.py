"""Sessions of browsers: a one-time code, made for whoever has the node's token, becomes a cookie.

`moneyer open` asks for a code and opens the page with it in the URL's fragment, which no server sees. The page hands it
in and gets a session. Codes and sessions live in this process's memory: they end with it, and with the token under
which they were made (`moneyer token --renew`). What is kept of each is its SHA-256, by which it is looked up: how long
that takes says nothing about a code or a secret.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from time import monotonic
from typing import Final

from ...system.api_token import TokenFile
from ...system.shares import address_key
from ..http.errors import BadCode, TooManyTries

CODE_SECONDS: Final = 60
"""A code holds for so long, and for one use."""
IDLE_SECONDS: Final = 3_600
"""A session ends after so long without a request."""
TOTAL_SECONDS: Final = 12 * 3_600
"""A session ends after so long, whatever it is used for."""
TRIES: Final = 10
"""Wrong codes of one address in `TRY_SECONDS`; those that follow are told to wait for the rest of them."""
TRY_SECONDS: Final = 60
_MOST_CODES: Final = 16
_MOST_SESSIONS: Final = 64
_MOST_ADDRESSES: Final = 1_000
"""Whose wrong codes are counted. The one that tried first goes first."""
_MOST_COOKIES: Final = 8
"""Of this node's name in one request; more are not looked at."""
_BYTES: Final = 32
"""Of randomness, in a code and in a session's secret."""


@dataclass(frozen=True, slots=True)
class _Code:
    token: str
    """The node's token when it was made."""
    until: float


@dataclass(slots=True)
class _Session:
    token: str
    """The node's token when it began."""
    until: float
    idle_until: float


@dataclass(slots=True)
class _Tries:
    count: int
    until: float


class Sessions:
    """The codes and sessions of one node. May be used by several threads; times are by the monotonic clock."""

    def __init__(self, token: TokenFile, cookie: str, clock: Callable[[], float] = monotonic) -> None:
        self.cookie: Final = cookie
        """The cookie's name. Browsers share cookies between the ports of a host, so each node has one of its own."""
        self._token = token
        self._clock = clock
        self._lock = threading.Lock()
        """Guards what follows."""
        self._codes: OrderedDict[bytes, _Code] = OrderedDict()
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()
        """The one that was used last stands last."""
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def new_code(self) -> str:
        """A code, for somebody who has shown that the node is theirs."""
        code, token = secrets.token_urlsafe(_BYTES), self._token.current
        with self._lock:
            self._codes[_digest(code)] = _Code(token, self._clock() + CODE_SECONDS)
            while len(self._codes) > _MOST_CODES:
                self._codes.popitem(last=False)
        return code

    def begin(self, code: str, remote: str) -> str:
        """The secret of a new session; the code is used up. Raises BadCode, TooManyTries.

        A right code is taken after however many wrong ones: nobody can guess one, and who tries (another user of the
        machine, or everybody behind one proxy) must not keep the owner out.
        """
        secret, token, now = secrets.token_urlsafe(_BYTES), self._token.current, self._clock()
        address = address_key(remote)
        with self._lock:
            tries = self._tries.get(address)
            if tries is not None and now > tries.until:
                del self._tries[address]
                tries = None
            found = self._codes.pop(_digest(code), None)
            if found is None or now > found.until or not _is_same(found.token, token):
                if tries is not None and tries.count >= TRIES:
                    raise TooManyTries(f"too many wrong codes came from {remote}: try again in {TRY_SECONDS} s")
                self._count_try(address, tries, now)
                raise BadCode(
                    "this code is wrong, was used already, or is older than a minute: `moneyer open` makes a new one"
                )
            self._sessions[_digest(secret)] = _Session(token, now + TOTAL_SECONDS, now + IDLE_SECONDS)
            while len(self._sessions) > _MOST_SESSIONS:
                self._sessions.popitem(last=False)
        return secret

    def _count_try(self, address: str, tries: _Tries | None, now: float) -> None:
        if tries is not None:
            tries.count += 1
            return
        self._tries[address] = _Tries(1, now + TRY_SECONDS)
        while len(self._tries) > _MOST_ADDRESSES:
            self._tries.popitem(last=False)

    def is_valid(self, secret: str) -> bool:
        """Whether a session of this secret goes on; that it was used is noted."""
        token, now, digest = self._token.current, self._clock(), _digest(secret)
        with self._lock:
            found = self._sessions.get(digest)
            if found is None:
                return False
            if now > min(found.until, found.idle_until) or not _is_same(found.token, token):
                del self._sessions[digest]
                return False
            found.idle_until = now + IDLE_SECONDS
            self._sessions.move_to_end(digest)
            return True

    def first_valid(self, secrets: Sequence[str]) -> str:
        """The first of these secrets whose session goes on, else the first of them. There is one at least.

        Another web server of the host can give the browser a cookie of the same name, for a path of its choice: the
        browser sends both.
        """
        return next(filter(self.is_valid, secrets[:_MOST_COOKIES]), secrets[0])

    def end(self, secret: str) -> None:
        """End the session of this secret, if there is one."""
        with self._lock:
            self._sessions.pop(_digest(secret), None)


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "replace")).digest()


def _is_same(one: str, other: str) -> bool:
    return compare_digest(one.encode(), other.encode())
