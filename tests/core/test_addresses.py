"""What is no address is told by the first thing that is wrong with it."""

from __future__ import annotations

import pytest

from moneyer.node.core.address import decode_address, encode_address
from moneyer.node.core.errors import BadAddress
from tests.kit.chains import key

ALICE = encode_address("easy", key("alice").payload)
OTHER = encode_address("other", key("alice").payload)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no address: an address of this coin begins with easy1"),
        ("1", "no address: an address of this coin begins with easy1"),
        ("version 1", 'no address: character 8, " ", is none of a-z and 0-9'),
        ("abc1def", "no address: an address of this coin begins with easy1"),
        ("other1qqqq", "no address: an address of this coin begins with easy1"),
        (OTHER[:-1] + ("q" if OTHER[-1] != "q" else "p"), "no address: an address of this coin begins with easy1"),
        (OTHER, "this is an address of another coin: it begins with other1, and ours with easy1"),
        (OTHER.upper(), "this is an address of another coin: it begins with other1, and ours with easy1"),
        ("easy1", "no address: it has 5 characters, and an address of this coin has 64"),
        (ALICE[:-1], "no address: it has 63 characters, and an address of this coin has 64"),
        (ALICE + "q", "no address: it has 65 characters, and an address of this coin has 64"),
        ("q" * 500, "no address: it has 500 characters, and an address of this coin has 64"),
        (ALICE[:10] + "b" + ALICE[11:], 'no address: character 11, "b", stands in no address behind the first 1'),
        (ALICE[:10] + "\u212a" + ALICE[11:], 'no address: character 11, "\\u212a", is none of a-z and 0-9'),
        (
            ALICE[:6].upper() + ALICE[6:],
            "no address: it is partly in capitals; an address is all lower case or all upper case",
        ),
        (ALICE[:-2] + ALICE[-1] + ALICE[-2], "no address: it has a typing error, its checksum does not fit"),
    ],
)
def test_the_first_thing_that_is_wrong_is_said(text: str, why: str) -> None:
    with pytest.raises(BadAddress) as refused:
        decode_address("easy", text, 1)
    assert refused.value.message == why


def test_an_address_in_either_case_is_one() -> None:
    assert decode_address("easy", ALICE, 1) == decode_address("easy", ALICE.upper(), 1) == key("alice").payload
