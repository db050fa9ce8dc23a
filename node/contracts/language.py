"""The policy language: text to policy, and back in one canonical form.

    policy  =  part | part and part and … | part or part or …
    part    =  signer | lock | hash HEX64 | K of ( policy , policy , … ) | ( policy )
    lock    =  after DATE | after DATE HH:MM | after DATE HH:MM:SS | after height N | after time UNIX-SECONDS
    signer  =  a name | "a name" | an address of a key | 64 hex digits (an x-only key)

Dates are UTC. The keywords `and or of after hash` may be in capitals too; a name that has one of them as a word stands
in quotes, and every name may. `and` and `or` beside each other without brackets are refused: whichever bound tighter,
some people would have meant the other, and here that is money. `a and b and c` is one threshold, 3 of 3, and `a or b or
c` is 1 of 3; brackets keep what they hold apart, so `a and (b and c)` is another policy, with another address.

Printing uses the fewest brackets; what is printed reads back as the same policy.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from ..core.address import MAX_ADDRESS
from ..core.errors import MoneyerError
from ..core.policy import (
    MAX_CHILDREN,
    MAX_DEPTH,
    MAX_KEYS,
    MAX_NODES,
    AfterHeight,
    AfterTime,
    Hash,
    Key,
    Policy,
    Threshold,
)
from ..core.types import PAYLOAD_SIZE, POLICY_KIND
from ..system.text import is_visible, shown
from .errors import BadPolicy
from .moment import date_text

MAX_TEXT: Final = 8_192
"""Characters: 64 leaves of 64 hex digits each, with what stands between them, are under 6,000."""
_MAX_BRACKETS: Final = 16
"""Brackets within brackets. A policy has 4 levels; more brackets than that say nothing."""
_LAST_U32: Final = 2**32 - 1
_LONGEST_NUMBER: Final = 20
"""Digits that are read."""

_AND, _OR, _OF, _AFTER, _HASH = KEYWORDS = ("and", "or", "of", "after", "hash")
_SPACES: Final = " \t\r\n"
_SIGNS: Final = "(),"
_QUOTE: Final = '"'
_INSIDE: Final = " .'_-"
"""Characters that a name may have between letters and digits, as in `node.wallet.names`."""
_HEX_32: Final = re.compile(r"[0-9a-fA-F]{64}")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_CLOCK: Final = re.compile(r"\d{2}:\d{2}(:\d{2})?", re.ASCII)
_AFTER_WHAT: Final = (
    'behind "after" comes a date (2027-01-01, in UTC), "height" and a number, or "time" and Unix seconds'
)

Resolve = Callable[[str], bytes]
"""The 33-byte payload of a name or an address, as it stands in the text. Raises a MoneyerError."""
NameOf = Callable[[bytes], str | None]
"""The name of a 32-byte x-only key, or None."""


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A policy as it was read, and where each of its nodes stands in the text."""

    policy: Policy
    text: str
    places: tuple[int, ...]
    """Of each node, in pre-order, the index of its first character (of a threshold: its first part, or its K)."""

    def pointing(self, error: BadPolicy) -> BadPolicy:
        """An error about this policy that names a node, with the place of that node in the text."""
        node = error.details.get("node")
        return error if node is None else BadPolicy(error.why, text=self.text, position=self.places[node], node=node)


class _Token(NamedTuple):
    kind: str
    """`word`, `name` (in quotes), `end`, or the sign itself."""
    text: str
    at: int

    def is_word(self, keyword: str) -> bool:
        return self.kind == "word" and self.text.casefold() == keyword

    @property
    def is_keyword(self) -> bool:
        return self.kind == "word" and self.text.casefold() in KEYWORDS


class _Node(NamedTuple):
    policy: Policy
    places: tuple[int, ...]


def parse_policy(text: str, resolve: Resolve) -> Policy:
    """The policy that a text says. Raises BadPolicy, which points at the character that is wrong.

    It is within the bounds of consensus; whether it is safe to use is `safety.check_safe`'s question.
    """
    return read_policy(text, resolve).policy


def read_policy(text: str, resolve: Resolve) -> PolicyText:
    """`parse_policy`, with the places of the nodes. Raises BadPolicy."""
    if len(text) > MAX_TEXT:
        raise BadPolicy(
            f"the policy has {len(text):,} characters, and may have {MAX_TEXT:,}", expected=MAX_TEXT, found=len(text)
        )
    parser = _Parser(text, resolve)
    policy, places = parser.whole()
    return PolicyText(policy, text, places)


def _tokens(text: str) -> list[_Token]:
    tokens = []
    at = 0
    while at < len(text):
        letter = text[at]
        if letter in _SPACES:
            at += 1
            continue
        start = at
        if letter in _SIGNS:
            at += 1
            tokens.append(_Token(letter, letter, start))
        elif letter == _QUOTE:
            end = text.find(_QUOTE, at + 1)
            if end < 0:
                raise BadPolicy('a quoted name begins here, and no second " ends it', text=text, position=start)
            at = end + 1
            tokens.append(_Token("name", text[start + 1 : end], start))
        else:
            while at < len(text) and text[at] not in _SPACES + _SIGNS + _QUOTE:
                at += 1
            tokens.append(_Token("word", text[start:at], start))
    return [*tokens, _Token("end", "", len(text.rstrip(_SPACES)))]


class _Parser:
    """Reads one policy. The bounds are checked on the way, so that little is read and resolved beyond them."""

    def __init__(self, text: str, resolve: Resolve) -> None:
        self._text = text
        self._resolve = resolve
        self._waiting = _tokens(text)[::-1]
        self._nodes = 0
        self._brackets = 0
        self._keys: dict[bytes, int] = {}
        """Where each key stands."""

    def whole(self) -> _Node:
        """The policy that the whole text is."""
        if self._next.kind == "end":
            raise self._wrong("a policy says who may spend: 2 of (alice, bob, carol)", 0)
        node = self._policy()
        if self._next.kind != "end":
            raise self._not_here(self._next)
        self._check_depth(node)
        return node

    @property
    def _next(self) -> _Token:
        return self._waiting[-1]

    def _take(self) -> _Token:
        """The next token; the end is never taken."""
        return self._waiting.pop() if self._next.kind != "end" else self._next

    def _wrong(self, why: str, position: int) -> BadPolicy:
        return BadPolicy(why, text=self._text, position=position)

    def _not_here(self, token: _Token) -> BadPolicy:
        """The error of a token that can't follow a part that is complete."""
        if token.kind == ")":
            return self._wrong('this ")" closes no bracket', token.at)
        if token.kind == ",":
            return self._wrong("a comma stands only between the parts of a list: 2 of (alice, bob, carol)", token.at)
        if token.is_word(_OF):
            return self._wrong(
                'before "of" comes a number: 2 of (alice, bob, carol); a name with this word in it stands in quotes',
                token.at,
            )
        return self._wrong('here "and" or "or" is missing; a list is written as 2 of (alice, bob, carol)', token.at)

    def _policy(self) -> _Node:
        """One part, or several that are joined by one operator."""
        start = self._next.at
        parts = [self._part()]
        operator = self._next
        if not (operator.is_word(_AND) or operator.is_word(_OR)):
            return parts[0]
        word = operator.text.casefold()
        while self._next.is_word(word):
            self._take()
            self._check_room(len(parts), self._next.at)
            parts.append(self._part())
        if self._next.is_word(_AND) or self._next.is_word(_OR):
            raise self._wrong(
                'here "and" meets "or": put brackets, (a and b) or c, or a and (b or c), which say different things',
                self._next.at,
            )
        return self._threshold(len(parts) if word == _AND else 1, parts, start)

    def _part(self) -> _Node:
        token = self._next
        if token.kind == "(":
            return self._in_brackets()
        if token.kind == "name":
            self._take()
            return self._signer(token.text, token.at, token.at + 1)
        if token.kind == "word" and not token.is_keyword:
            self._take()
            if self._next.is_word(_OF) and _is_number(token.text):
                return self._list(token)
            return self._bare_signer(token)
        if token.is_word(_AFTER):
            self._take()
            return self._lock(token)
        if token.is_word(_HASH):
            self._take()
            return self._hash(token)
        if token.kind == "end":
            raise self._wrong("the text ends where a name, a time or a bracket should follow", token.at)
        if token.is_keyword:
            raise self._wrong(
                f'before "{token.text}" something is missing; a name with this word in it stands in quotes', token.at
            )
        raise self._wrong(f'here a name, a time or a bracket should stand, not "{token.text}"', token.at)

    def _in_brackets(self) -> _Node:
        bracket = self._open()
        node = self._policy()
        self._close(bracket)
        return node

    def _open(self) -> _Token:
        self._brackets += 1
        if self._brackets > _MAX_BRACKETS:
            raise self._wrong(f"too many brackets within brackets: {_MAX_BRACKETS} may be", self._next.at)
        return self._take()

    def _close(self, bracket: _Token) -> None:
        if self._next.kind == "end":
            raise self._wrong('this bracket is not closed: a ")" is missing', bracket.at)
        if self._next.kind != ")":
            raise self._not_here(self._next)
        self._take()
        self._brackets -= 1

    def _list(self, number: _Token) -> _Node:
        self._take()
        if self._next.kind != "(":
            raise self._wrong('behind "of" comes a list in brackets: 2 of (alice, bob, carol)', self._next.at)
        bracket = self._open()
        parts = [self._policy()]
        while self._next.kind == ",":
            self._take()
            self._check_room(len(parts), self._next.at)
            parts.append(self._policy())
        self._close(bracket)
        if len(parts) == 1:
            raise self._wrong("a list has two parts at least, with commas between them: 2 of (alice, bob)", bracket.at)
        k = self._number(number, len(parts), f"of a list of {len(parts)}, 1 to {len(parts)} can be asked for")
        if k == 0:
            raise self._wrong("0 of a list would let anybody spend: ask for 1 at least", number.at)
        return self._threshold(k, parts, number.at)

    def _threshold(self, k: int, parts: list[_Node], start: int) -> _Node:
        self._count(start)
        policy = Threshold(k, tuple([part.policy for part in parts]))
        return _Node(policy, (start, *(place for part in parts for place in part.places)))

    def _leaf(self, leaf: Key | Hash | AfterHeight | AfterTime, at: int) -> _Node:
        self._count(at)
        return _Node(leaf, (at,))

    def _count(self, at: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._wrong(f"the policy is too large: it may have {MAX_NODES} parts, lists counted too", at)

    def _check_room(self, parts: int, at: int) -> None:
        if parts == MAX_CHILDREN:
            raise self._wrong(
                f"too many parts: {MAX_CHILDREN} at most are joined or listed; group them in brackets", at
            )

    def _check_depth(self, node: _Node) -> None:
        places = iter(node.places)

        def check(policy: Policy, depth: int) -> None:
            place = next(places)
            if depth > MAX_DEPTH:
                raise self._wrong(f"this lies too deep: a policy has {MAX_DEPTH} levels at most", place)
            for child in policy.children if isinstance(policy, Threshold) else ():
                check(child, depth + 1)

        check(node.policy, 1)

    # leaves

    def _hash(self, keyword: _Token) -> _Node:
        token = self._take()
        if token.kind != "word":
            raise self._wrong('behind "hash" come the 64 hex digits of a SHA-256', token.at)
        if not _HEX_32.fullmatch(token.text):
            raise self._wrong(_why_no_hex(token.text), token.at)
        return self._leaf(Hash(bytes.fromhex(token.text)), keyword.at)

    def _lock(self, keyword: _Token) -> _Node:
        token = self._take()
        if token.is_word("height"):
            return self._leaf(AfterHeight(self._u32("height", "a height is a whole number")), keyword.at)
        if token.is_word("time"):
            return self._leaf(AfterTime(self._u32("time", "a time is whole Unix seconds")), keyword.at)
        if token.kind != "word" or not _DATE.fullmatch(token.text):
            raise self._wrong(_AFTER_WHAT, token.at)
        clock = self._take().text if self._next.kind == "word" and _CLOCK.fullmatch(self._next.text) else "00:00"
        try:
            time = int(datetime.fromisoformat(f"{token.text} {clock}").replace(tzinfo=UTC).timestamp())
        except ValueError:
            raise self._wrong("there is no such date or time of day", token.at) from None
        if not 0 <= time <= _LAST_U32:
            raise self._wrong("a date is from 1970-01-01 to 2106-02-07", token.at)
        return self._leaf(AfterTime(time), keyword.at)

    def _u32(self, keyword: str, what: str) -> int:
        token = self._take()
        if token.kind != "word" or not _is_number(token.text):
            raise self._wrong(f'behind "{keyword}" comes a number: {what}', token.at)
        return self._number(token, _LAST_U32, f"{what} up to {_LAST_U32}")

    def _number(self, token: _Token, most: int, expected: str) -> int:
        if len(token.text) > _LONGEST_NUMBER or int(token.text) > most:
            raise self._wrong(expected, token.at)
        return int(token.text)

    def _bare_signer(self, first: _Token) -> _Node:
        """A name of one word or more, an address, or a key."""
        words = [first]
        while self._next.kind == "word" and not self._next.is_keyword:
            words.append(self._take())
        if len(words) == 1 and _HEX_32.fullmatch(first.text):
            return self._key(bytes.fromhex(first.text), first.at)
        for word in words:
            self._check_letters(word.text, word.at)
        if self._next.kind == "(":
            raise self._wrong(
                'before a bracket stands "and", "or" or a number and "of": 2 of (alice, bob)', self._next.at
            )
        return self._signer(" ".join([word.text for word in words]), first.at, first.at)

    def _signer(self, name: str, at: int, letters_at: int) -> _Node:
        """`letters_at`: where the name's first letter stands, which is behind a quote."""
        if not name:
            raise self._wrong("an empty name", at)
        if len(name) > MAX_ADDRESS:
            raise self._wrong(f"this has {len(name)} characters, more than any name or address", at)
        self._check_letters(name, letters_at)
        try:
            payload = self._resolve(name)
        except BadPolicy:
            raise
        except MoneyerError as error:
            raise self._wrong(error.message, at) from error
        if len(payload) == PAYLOAD_SIZE and payload[0] == POLICY_KIND:
            raise self._wrong(
                f"{shown(name)} is a contract, and a contract cannot sign: name the people who can, or write its"
                " policy here in brackets",
                at,
            )
        return self._key(payload[1:], at)

    def _check_letters(self, name: str, start: int) -> None:
        for place, letter in enumerate(name):
            if not _may_be_in_name(letter):
                raise self._wrong(f"no name and no address has this character in it: {shown(letter)}", start + place)

    def _key(self, key: bytes, at: int) -> _Node:
        if key in self._keys:
            raise self._wrong(
                f"this key stands in the policy already, at character {self._keys[key] + 1}: a key counts once; who"
                " should count twice gives two keys",
                at,
            )
        if len(self._keys) == MAX_KEYS:
            raise self._wrong(f"too many keys: a policy has {MAX_KEYS} at most", at)
        self._keys[key] = at
        return self._leaf(Key(key), at)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _may_be_in_name(letter: str) -> bool:
    category = unicodedata.category(letter)
    return letter in _INSIDE or (is_visible(letter) and (category[0] == "L" or category in ("Nd", "Mn", "Mc")))


def _why_no_hex(text: str) -> str:
    if re.fullmatch("[0-9a-fA-F]+", text):
        return f"a hash has 64 hex digits, the SHA-256 of 32 secret bytes: this has {len(text)}"
    return "a hash is written with the hex digits 0-9 and a-f, 64 of them"


# back to text


def print_policy(policy: Policy, name_of: NameOf = lambda key: None) -> str:
    """The canonical text of a policy: with names where `name_of` has one, else with the key's 64 hex digits.

    Where `name_of` and the `resolve` of the reader fit each other, it reads back as the same policy.
    """
    match policy:
        case Key(key):
            return _printed_name(name_of(key)) or key.hex()
        case Hash(digest):
            return f"hash {digest.hex()}"
        case AfterHeight(height):
            return f"after height {height}"
        case AfterTime(time):
            return f"after {date_text(time)}"
        case Threshold(k, children):
            operator = operator_of(policy)
            if operator:
                return f" {operator} ".join(_printed_parts(children, name_of))
            return f"{k} of ({', '.join([print_policy(child, name_of) for child in children])})"


def operator_of(policy: Threshold) -> str | None:
    """`and` for all of the children, `or` for one of them, None for a number between."""
    return _AND if policy.k == len(policy.children) else _OR if policy.k == 1 else None


def _printed_parts(children: Sequence[Policy], name_of: NameOf) -> list[str]:
    texts = []
    for child in children:
        text = print_policy(child, name_of)
        texts.append(f"({text})" if isinstance(child, Threshold) and operator_of(child) else text)
    return texts


def _printed_name(name: str | None) -> str | None:
    """A name as it can be read back, in quotes where needed; None for one that no quotes help."""
    if not name or len(name) > MAX_ADDRESS or not all(map(_may_be_in_name, name)):
        return None
    words = name.split(" ")
    if all(words) and not any(word.casefold() in KEYWORDS for word in words) and not _HEX_32.fullmatch(name):
        return name
    return f'"{name}"'
