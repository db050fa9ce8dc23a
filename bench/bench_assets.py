"""Rules 2: connecting asset payments, spends of contracts and the dearest policies, beside plain transfers in turns."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from bench.bench_connect import connecting
from bench.chains import SENDERS, Line, connect_many, senders
from bench.common import SHORT, Cost, at_least, below, in_turns, plain, ratios, report
from moneyer.node.core import codec, policy, signing
from moneyer.node.core.coin import Coin
from moneyer.node.core.policy import AfterHeight, AfterTime, Item, Key, Policy, Threshold
from moneyer.node.core.types import COIN_ASSET, Issue, Payment, Spend
from tests.kit.chains import Key as Person
from tests.kit.chains import easy_coin, key

PER_BLOCK = 2_000
BLOCKS = 2 if SHORT else 10
"""Of payments: 20,000 in the long form."""
ROUNDS = 3 if SHORT else 5
RICH = 10**12
LARGE = 1_000_000
"""Bytes of a full block."""

People = list[Person]


def of_keys(k: int, people: People) -> bytes:
    """The bytes of a policy: k of these keys."""
    return policy.encode_policy(Threshold(k, tuple([Key(each.payload[1:]) for each in people])))


def signed(coin: Coin, spend: Payment | Issue, who: Person) -> Spend:
    """By a key of its own."""
    return signing.sign_spend(who.secret, coin.chain_id, spend, aux_rand=bytes(32))


def spent(coin: Coin, spend: Payment, raw_policy: bytes, signers: dict[int, Person], others: list[int]) -> Payment:
    """By a policy: leaves that are signed, by index, and those that need no data."""
    shape = policy.decode_policy(raw_policy)
    digest = codec.sighash(coin.chain_id, spend, policy.chosen_of(shape, sorted([*signers, *others])))
    items = [Item(index, signing.sign(who.secret, digest, bytes(32))) for index, who in signers.items()]
    items += [Item(index, b"") for index in others]
    return replace(spend, witness=policy.encode_witness(raw_policy, sorted(items, key=lambda item: item.index)))


def payment(sender: bytes, receiver: bytes, asset: bytes, sequence: int) -> Payment:
    return Payment(sender, 1, sequence, b"", b"", receiver, asset, 1)


def receivers() -> list[bytes]:
    return [bytes([0]) + signing.public_key(key(f"receiver {i}").secret) for i in range(5_000)]


class Made:
    """A coin of rules 2 and, on it, as many payments of each kind."""

    def __init__(self) -> None:
        self.people = senders()
        self.others = [[key(f"signer {i} {j}") for j in range(3)] for i in range(SENDERS)]
        self.policies = [of_keys(2, each) for each in self.others]
        self.contracts = [policy.payload_of_policy(raw) for raw in self.policies]
        rich = [(who, RICH) for who in self.people]
        plain = easy_coin(rules=2, max_block_bytes=2 * LARGE)
        contracts = [(plain.address(payload), RICH) for payload in self.contracts]
        self.coin = easy_coin(rules=2, premine=[*rich, *contracts], max_block_bytes=2 * LARGE)
        self._receivers = receivers()
        self._random = Random(2)

    def receiver(self) -> bytes:
        return self._random.choice(self._receivers)

    def transfers(self, count: int) -> list[Spend]:
        """Of version 1."""
        made: list[Spend] = []
        for number in range(count):
            who = self.people[number % SENDERS]
            made.append(
                signing.sign_transfer(
                    who.secret, self.coin.chain_id, self.receiver(), 1, 1, number // SENDERS, b"", aux_rand=bytes(32)
                )
            )
        return made

    def given(self) -> tuple[list[Spend], bytes]:
        """An asset of which every sender has some, and its id."""
        first, *others = self.people
        issue = Issue(first.payload, 1, 0, b"", b"", first.payload, RICH, RICH, 0, b"GOLD", b"Gold", bytes(32))
        asset = codec.asset_id(self.coin.chain_id, issue)
        rows = [signed(self.coin, issue, first)]
        for sequence, who in enumerate(others, 1):
            gift = replace(payment(first.payload, who.payload, asset, sequence), amount=RICH // SENDERS)
            rows.append(signed(self.coin, gift, first))
        return rows, asset

    def asset_payments(self, count: int, asset: bytes) -> list[Spend]:
        made: list[Spend] = []
        for number in range(count):
            who = self.people[number % SENDERS]
            before = SENDERS if who is self.people[0] else 0
            pays = payment(who.payload, self.receiver(), asset, before + number // SENDERS)
            made.append(signed(self.coin, pays, who))
        return made

    def contract_spends(self, count: int) -> list[Spend]:
        """By 2 of 3."""
        made: list[Spend] = []
        for number in range(count):
            which = number % SENDERS
            pays = payment(self.contracts[which], self.receiver(), COIN_ASSET, number // SENDERS)
            signers = {index: self.others[which][index] for index in (0, 2)}
            made.append(spent(self.coin, pays, self.policies[which], signers, []))
        return made


def twenty() -> tuple[bytes, dict[int, Person], list[int]]:
    """20 of 20 keys: two thresholds, as one has 16 children at most."""
    people = [key(f"one of twenty {i}") for i in range(20)]
    halves = [Threshold(10, tuple([Key(each.payload[1:]) for each in half])) for half in (people[:10], people[10:])]
    return policy.encode_policy(Threshold(2, tuple(halves))), dict(enumerate(people)), []


def keyless(number: int) -> tuple[bytes, dict[int, Person], list[int]]:
    """64 nodes and no key, each time another policy: nothing that was decoded before helps."""
    branches: list[Policy] = []
    for branch in range(3):
        leaves: list[Policy] = [AfterTime(number % 1_000 + leaf) for leaf in range(15)]
        branches.append(Threshold(15, (*leaves[:14], AfterHeight(branch))))
    branches.append(Threshold(14, tuple([AfterTime(leaf) for leaf in range(14)])))
    raw = policy.encode_policy(Threshold(4, tuple(branches)))
    return raw, {}, list(range(59))


def full_of(made: list[tuple[bytes, dict[int, Person], list[int]]]) -> tuple[Coin, list[bytes]]:
    """A coin and a block of at most `LARGE` bytes full of spends, one a policy, each paid in the premine."""
    payloads = {policy.payload_of_policy(raw): (raw, signers, others) for raw, signers, others in made}
    plain = easy_coin(rules=2)
    premine = [(plain.address(payload), RICH) for payload in payloads]
    coin = easy_coin(rules=2, premine=premine, max_block_bytes=2 * LARGE)
    spends: list[Spend] = []
    size = 0
    sequences = dict.fromkeys(payloads, 0)
    while size < LARGE:
        for payload, (raw, signers, others) in payloads.items():
            pays = payment(payload, key("anybody").payload, COIN_ASSET, sequences[payload])
            sequences[payload] += 1
            spends.append(spent(coin, pays, raw, signers, others))
            size += codec.transaction_size(spends[-1])
            if size >= LARGE:
                break
    line = Line(coin)
    return coin, [codec.encode_block(line.add()) for _ in range(2)] + [codec.encode_block(line.add(spends))]


def dear() -> tuple[list[Cost], list[Cost], list[Cost]]:
    """A full block of plain transfers, of 20 of 20, and of 64 nodes without a key, in turns."""
    made = Made()
    count = LARGE // codec.TRANSFER_BASE
    transfers = [codec.encode_block(Line(made.coin).add(made.transfers(count)))]
    signed_coin, signed_raws = full_of([twenty()])
    keyless_coin, keyless_raws = full_of([keyless(number) for number in range(500)])
    plain_runs, signed_runs, keyless_runs = in_turns(
        ROUNDS,
        lambda: connecting(made.coin, transfers, 1, connect_many),
        lambda: connecting(signed_coin, signed_raws, 1, connect_many),
        lambda: connecting(keyless_coin, keyless_raws, 1, connect_many),
    )
    return plain_runs, signed_runs, keyless_runs


def main() -> None:
    made = Made()
    count = BLOCKS * PER_BLOCK
    gifts, asset = made.given()
    plain_raws = Line(made.coin).raws(BLOCKS, made.transfers(count))
    of_assets = Line(made.coin)
    asset_raws = [codec.encode_block(of_assets.add(gifts))]
    asset_raws += of_assets.raws(BLOCKS, made.asset_payments(count, asset))
    contract_raws = Line(made.coin).raws(BLOCKS, made.contract_spends(count))
    transfers, assets, contracts = in_turns(
        ROUNDS,
        lambda: connecting(made.coin, plain_raws, count, connect_many),
        lambda: connecting(made.coin, asset_raws, count, connect_many),
        lambda: connecting(made.coin, contract_raws, count, connect_many),
    )
    plain_block, signed_block, keyless_block = dear()
    report(
        "assets",
        [
            plain(f"{count:,} plain transfers, as sync connects them", transfers, "transfers/s"),
            plain(f"{count:,} payments of an asset", assets, "payments/s"),
            plain(f"{count:,} spends by 2 of 3", contracts, "spends/s"),
            at_least("payments of an asset / plain transfers", ratios(assets, transfers), "×", 0.8),
            at_least("spends by 2 of 3 / plain transfers", ratios(contracts, transfers), "×", 0.45),
            plain("a full block of plain transfers", plain_block, "blocks/s"),
            below("of 20 of 20, by that", ratios(plain_block, signed_block), "×", 2),
            below("of 64 nodes without a key, by that", ratios(plain_block, keyless_block), "×", 2),
        ],
    )


if __name__ == "__main__":
    main()
