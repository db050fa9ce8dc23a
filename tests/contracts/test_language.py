"""The policy language: what a text says, where it is wrong, and that what is printed reads back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moneyer.node.contracts.errors import BadPolicy
from moneyer.node.contracts.language import KEYWORDS, MAX_TEXT, parse_policy, print_policy, read_policy
from moneyer.node.contracts.policy_tree import numbered
from moneyer.node.core.address import decode_address, encode_address
from moneyer.node.core.policy import (
    MAX_KEYS,
    AfterHeight,
    AfterTime,
    Hash,
    Key,
    Policy,
    Threshold,
    decode_policy,
    encode_policy,
)
from tests.conftest import vector_file
from tests.contracts.people import CONTRACT, DIGEST, NAMES, PAYLOADS, key_of, name_of, policies, policy_of, resolve
from tests.kit import chains

ALICE, BOB, CAROL = Key(key_of("alice")), Key(key_of("bob")), Key(key_of("carol"))
SECRET = Hash(bytes.fromhex(DIGEST))
NEW_YEAR = AfterTime(1_798_761_600)


def both(*children: Policy) -> Threshold:
    return Threshold(len(children), children)


def either(*children: Policy) -> Threshold:
    return Threshold(1, children)


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("alice", ALICE),
        ("2 of (alice, bob, carol)", Threshold(2, (ALICE, BOB, CAROL))),
        ("alice or (bob and after 2027-01-01)", either(ALICE, both(BOB, NEW_YEAR))),
        ("alice and after height 5000", both(ALICE, AfterHeight(5000))),
        (
            f"(bob and hash {DIGEST}) or (alice and after height 1440)",
            either(both(BOB, SECRET), both(ALICE, AfterHeight(1440))),
        ),
        (
            "2 of (alice, bob and carol, after height 5)",
            Threshold(2, (ALICE, both(BOB, CAROL), AfterHeight(5))),
        ),
        ("alice and (bob and carol)", both(ALICE, both(BOB, CAROL))),
        ("alice or (bob or carol)", either(ALICE, either(BOB, CAROL))),
        ("1 of (2 of (alice, bob, carol), after time 0)", either(Threshold(2, (ALICE, BOB, CAROL)), AfterTime(0))),
        ("after height 4294967295", AfterHeight(2**32 - 1)),
        ("after 2106-02-07 06:28:15", AfterTime(2**32 - 1)),
        (
            "Anna Maria or 2 of (of, alice)".replace("of,", '"of",'),
            either(Key(key_of("Anna Maria")), both(Key(key_of("of")), ALICE)),
        ),
        ('"Tom and Jerry" or O\'Brien', either(Key(key_of("Tom and Jerry")), Key(key_of("O'Brien")))),
        ("Ольга and 王芳 and भारत", both(*[Key(key_of(name)) for name in ("Ольга", "王芳", "भारत")])),
        ("2 or 2027-01-01", either(Key(key_of("2")), Key(key_of("2027-01-01")))),
    ],
)
def test_a_text_says_this_policy(text: str, policy: Policy) -> None:
    assert policy_of(text) == policy
    assert policy_of(print_policy(policy, name_of)) == policy


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("alice  OR\n\t( ( bob AND AFTER 2027-01-01 00:00 ) )", "alice or (bob and after 2027-01-01)"),
        ("3 of (alice,bob,carol)", "alice and bob and carol"),
        ("1 of (alice, bob)", "alice or bob"),
        ("2 of ((alice or bob), (carol and dave), erin)", "2 of (alice or bob, carol and dave, erin)"),
        ("(2 of (alice, bob, carol)) or dave", "2 of (alice, bob, carol) or dave"),
        ("alice and after time 1798761600", "alice and after 2027-01-01"),
        ("alice and after 2027-01-01 12:00:00", "alice and after 2027-01-01 12:00"),
        ("alice and after 2027-01-01 12:00:07", "alice and after 2027-01-01 12:00:07"),
        (f"alice and HASH {DIGEST.upper()}", f"alice and hash {DIGEST}"),
        ('"alice" or "OR" or "after"', 'alice or "OR" or "after"'),
        ("Anna   Maria or bob", "Anna Maria or bob"),
        (key_of("carol").hex().upper(), "carol"),
    ],
)
def test_a_policy_is_printed_in_one_form(text: str, printed: str) -> None:
    assert print_policy(policy_of(text), name_of) == printed


REFUSED = [
    # the caret's place is marked by ^, which stands before the wrong character
    ("^", "says who may spend"),
    ("^   ", "says who may spend"),
    ("alice or bob ^and carol", "put brackets"),
    ("alice and bob ^or carol", "put brackets"),
    ("alice and^ ", "ends where"),
    ("alice and ^)", 'not ")"'),
    ("^and alice", "something is missing"),
    ("alice ^)", "closes no bracket"),
    ("^(alice or bob", "not closed"),
    ("2 of ^(alice, bob", "not closed"),
    ("alice^, bob", "comma"),
    ("(alice^, bob)", "comma"),
    ('alice ^"bob"', "is missing"),
    ("alice or ^mallory", "no account mallory"),
    ("alice ^of (bob, carol)", "comes a number"),
    ("2 of ^3 (alice, bob, carol)", "list in brackets"),
    ("2 of ^alice", "list in brackets"),
    ("2-of-3 ^(alice, bob, carol)", "before a bracket"),
    ("1 of ^(alice)", "two parts at least"),
    ("^0 of (alice, bob)", "anybody"),
    ("^3 of (alice, bob)", "1 to 2"),
    (f"^{'9' * 5000} of (alice, bob)", "1 to 2"),
    ("2 of (alice, bob,^)", 'not ")"'),
    ("2 of (alice,^, bob)", 'not ","'),
    ("alice and after^ ", "comes a date"),
    ("alice and after ^tomorrow", "comes a date"),
    ("alice and after ^5000", "comes a date"),
    ("alice and after ^2027-13-01", "no such date"),
    ("alice and after ^2027-02-29", "no such date"),
    ("alice and after ^2027-01-01 24:01", "no such date"),
    ("alice and after ^1969-12-31", "from 1970"),
    ("alice and after ^2106-02-08", "2106"),
    ("alice and after ^2106-02-07 06:28:16", "2106"),
    ("alice and after ^٢٠٢٧-01-01", "comes a date"),
    ("alice and after 2027-01-01 ^noon", "is missing"),
    ("alice and after height^ ", "whole number"),
    ("alice and after height ^soon", "whole number"),
    ("alice and after height ^-1", "whole number"),
    ("alice and after height ^4294967296", "4294967295"),
    ("alice and after height ^٥", "whole number"),
    (f"alice and after height ^{'1' * 6000}", "4294967295"),
    ("alice and after time ^4294967296", "4294967295"),
    ("alice and after time ^1.5", "whole Unix seconds"),
    ("alice and hash^ ", "64 hex digits"),
    ("alice and hash ^(bob)", "64 hex digits"),
    ("alice and hash ^9f86", "this has 4"),
    (f"alice and hash ^{DIGEST}0", "this has 65"),
    ("alice and hash ^9f86…", "0-9 and a-f"),
    ('alice or ^"bob', "no second"),
    ('alice or ^""', "empty name"),
    ("alice or b^$b", "character in it: $"),
    ("alice or “bob”".replace("“", "^“"), "“"),
    ("alice or bob^\u202e", "\\u202e"),
    ("alice or b^\u200bob", "\\u200b"),
    ("alice or bob^\u3164", "\\u3164"),
    ("alice or bob^\xa0and carol", "\\xa0"),
    ("alice or bob^\x00", "\\x00"),
    ('alice or "b^:b"', "character in it: :"),
    (f"alice or ^{'b' * 77}", "77 characters"),
    ("alice and (bob or ^alice)", "at character 1"),
    (f"alice or ^{key_of('alice').hex()}", "counts once"),
    (f"alice and ^{CONTRACT}", "contract cannot sign"),
    (" and ".join(["after height 1"] * 16) + " and ^after height 1", "16 at most"),
    ("2 of (" + ", ".join(["after height 1"] * 16) + ", ^after height 1)", "16 at most"),
    ("alice or (bob and (carol or (^dave and erin)))", "4 levels"),
    ("(" * 16 + "^(alice" + ")" * 17, "16 may be"),
]


@pytest.mark.parametrize(("marked", "why"), REFUSED)
def test_what_is_wrong_is_pointed_at(marked: str, why: str) -> None:
    before, _, behind = marked.partition("^")
    with pytest.raises(BadPolicy) as refused:
        policy_of(before + behind)
    assert why in refused.value.message
    assert refused.value.position == refused.value.details["position"] == len(before)
    assert refused.value.message.endswith(f"(at character {len(before) + 1})")


def test_the_sixty_fifth_node_is_pointed_at() -> None:
    group = " and ".join(["after height 1"] * 15)
    text = f"({group}) or ({group}) or ({group}) or ({group})"
    with pytest.raises(BadPolicy, match="too large") as refused:
        policy_of(text)
    assert refused.value.position == 0  # the root itself is the node too much


def test_the_twenty_first_key_is_refused_before_more_is_resolved() -> None:
    asked = []

    def count(name: str) -> bytes:
        asked.append(name)
        return chains.key(name).payload

    names = [f"name {number}" for number in range(40)]
    groups = [f"2 of ({', '.join(names[start : start + 10])})" for start in range(0, 40, 10)]
    with pytest.raises(BadPolicy, match="too many keys"):
        parse_policy(" or ".join(groups), count)
    assert len(asked) == MAX_KEYS + 1


def test_a_text_that_is_too_long_is_not_read() -> None:
    with pytest.raises(BadPolicy, match=r"8,193 characters") as refused:
        policy_of("a" * (MAX_TEXT + 1))
    assert refused.value.position is None
    assert refused.value.pointed() == refused.value.message


def test_the_caret_stands_under_the_character() -> None:
    with pytest.raises(BadPolicy) as refused:
        policy_of("王芳 or\n भारत or ?")
    why, text, caret = refused.value.pointed().splitlines()
    assert "at character 16" in why
    assert text == "  王芳 or  भारत or ?"
    # each of 王芳 takes two columns, and the vowel sign of भा is a spacing one
    assert caret == "  " + " " * 17 + "^"


def test_a_long_text_is_cut_around_the_character() -> None:
    text = f"2 of ({', '.join([f'after height {number}' for number in range(5)])}, alice, bob, alice, carol and dave)"
    with pytest.raises(BadPolicy, match="stands in the policy already") as refused:
        policy_of(text)
    _, shown, caret = refused.value.pointed().splitlines()
    assert shown.startswith("  …")
    assert shown[caret.index("^") :] == "alice, carol and dave)"


def test_a_sign_that_a_terminal_obeys_is_shown_escaped() -> None:
    with pytest.raises(BadPolicy) as refused:
        policy_of("alice or \x1b[31mbob")
    assert "\x1b" not in refused.value.pointed()


def test_an_error_of_a_node_is_pointed_at_its_place() -> None:
    read = read_policy("alice or (bob and after height 5)", resolve)
    pointed = [read.pointing(BadPolicy("so", node=number)).position for number in range(5)]
    assert pointed == list(read.places) == [0, 0, 10, 10, 18]
    assert read.pointing(BadPolicy("so")).position is None


def test_an_address_is_a_signer_and_prints_as_what_the_caller_calls_it() -> None:
    def by_address(text: str) -> bytes:
        return decode_address("easy", text, 2)

    addresses = [encode_address("easy", PAYLOADS[name]) for name in ("alice", "bob")]
    policy = parse_policy(f"{addresses[0]} and {addresses[1].upper()}", by_address)
    assert policy == both(ALICE, BOB)
    printed = print_policy(policy, lambda key: encode_address("easy", b"\0" + key))
    assert printed == " and ".join(addresses)
    with pytest.raises(BadPolicy, match="a contract cannot sign"):
        parse_policy(encode_address("easy", b"\1" + bytes(32)), by_address)


@given(policies())
def test_what_is_printed_reads_back(policy: Policy) -> None:
    text = print_policy(policy, name_of)
    read = read_policy(text, resolve)
    assert read.policy == policy
    assert print_policy(read.policy, name_of) == text
    assert len(read.places) == sum(1 for _ in numbered(policy))
    assert policy_of(print_policy(policy)) == policy  # keys as digits
    assert decode_policy(encode_policy(policy)).policy == policy


@given(st.sampled_from(["", "a\u202eb", 'a"b', "a(b", " ", "a" * 100, "\x00", "a:b", "a,b", "a  b", "a\tb", "…"]))
def test_a_name_that_cannot_be_read_back_is_printed_as_its_key_or_in_quotes(name: str) -> None:
    text = print_policy(ALICE, lambda key: name)
    assert parse_policy(text, lambda found: PAYLOADS["alice"] if found == name else bytes(33)) == ALICE


_pieces = st.sampled_from([*"(),-", '"', *KEYWORDS, *NAMES, "AND", "1", "5000", "12:00", DIGEST, "\u202e", "…", "\n"])


@given(
    st.lists(_pieces, max_size=40).map(" ".join) | st.lists(_pieces, max_size=40).map("".join) | st.text(max_size=60)
)
def test_any_text_is_a_policy_or_is_refused_at_a_place(text: str) -> None:
    refused = None
    try:
        policy = policy_of(text)
    except BadPolicy as error:
        refused = error
    else:
        assert policy_of(print_policy(policy, name_of)) == policy
        encode_policy(policy)
    if refused is not None:
        assert refused.position is not None
        assert 0 <= refused.position <= len(text)
        assert refused.pointed().count("\n") == 2


def test_the_policies_of_the_vectors_print_and_read_back() -> None:
    rows = json.loads(vector_file("rules2.json").read_text("utf-8"))["policies"]
    for row in rows:
        policy = decode_policy(bytes.fromhex(row["policy"])).policy
        assert policy_of(print_policy(policy)) == policy
