"""Does the next step of a swap, or all to its end: signs a payment, a claim or a refund, keeps it, then sends it.

Each is kept in the swap's file before it is sent, under the folder's lock. A repeat sends the same bytes: a payment
always, so that nothing is paid twice; a claim or refund unless its fee has become too low, as any of them can be the
only one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import click

from ....client.errors import ClientError, Refused, Unanswered
from ....contracts.swaps.swap_steps import HalfSeen, Seen, Step
from ....contracts.swaps.swap_terms import Half
from ....core.codec import show, txid
from ....core.policy import decode_policy
from ....core.types import COIN_ASSET, Payment, Spend
from ....system.advice import typed
from ....wallet.cosigning.leaf_signing import sign_leaves, witness_size
from ....wallet.keystore import Wallet
from ....wallet.private_files import locked
from ....wallet.swap_book import SwapRecord, secret_of, write_swap
from ...exits import UNCONFIRMED, Ended, effect
from ...output import fitted, print_json
from ...place import Place
from .swap_parties import Party
from .swap_words import party_json

_BODY: Final = 125
"""Bytes of a payment without memo and witness."""


@dataclass(frozen=True, slots=True)
class Done:
    """What was sent."""

    kind: str
    txid: str
    sentence: str


class NotNow(click.ClickException):
    """What is to be done cannot be done yet: `run` looks again."""


def act(party: Party) -> tuple[Step, Done | None]:
    """Look, and do what is to be done now; None where there is nothing.

    Raises ClientError, CannotSign, ClickException, OSError, and what `unlock` raises.
    """
    party = party.reread()
    step = party.step(party.see())
    doers: dict[str, Callable[[Party, Seen], Done]] = {"pay": _pay, "claim": _claim, "refund": _refund}
    if _todo(party, step) not in doers:
        return step, None
    _ = party.sides.gives_wallet, party.sides.gets_wallet  # a passphrase is asked for before the lock is held
    with locked(party.sides.folder):
        party = party.reread()
        seen = party.see()
        step = party.step(seen)  # another process may have done it meanwhile
        todo = _todo(party, step)
        return step, doers[todo](party, seen) if todo in doers else None


def _todo(party: Party, step: Step) -> str:
    """The kind of a step; of one that waits for its own spend in the mempool that spend, where it pays too little."""
    if step.in_mempool is None:
        return step.kind
    is_claim = step.in_mempool == "claim"
    kept = party.record.claim if is_claim else party.record.refund
    place, half = (party.sides.gets, party.record.gets) if is_claim else (party.sides.gives, party.record.gives)
    return step.kind if kept is None or kept.fee >= _least_fee(place, party, half) else step.in_mempool


def _least_fee(place: Place, party: Party, half: Half) -> int:
    """Base units that get a spend of one contract into the next block."""
    raw = party.terms.raw_policy(half)
    return place.client.fee(_BODY + witness_size(raw, decode_policy(raw), (0, 1)))


def follow(party: Party, timeout: int | None, pause: float, *, as_json: bool) -> None:
    """Do what is to be done and look again, until the end. Raises Ended where it has not ended in `timeout` seconds.

    A node that does not answer is asked again: what is to be done next is only more urgent then.
    """
    end = None if timeout is None else time.monotonic() + timeout
    said = ""
    while True:
        try:
            step, done = act(party)
            sentence = done.sentence + f": txid {done.txid}" if done is not None else step.sentence
        except (ClientError, NotNow) as error:
            step, sentence = Step("wait", error.message), error.message
        if sentence != said and not as_json:
            click.echo(fitted(f"{time.strftime('%H:%M:%S')}  {sentence}"))
        said = sentence
        if step.is_end:
            break
        if end is not None and time.monotonic() >= end:
            raise Ended(
                f"the swap has not ended: {step.sentence}. `moneyer swap run {party.terms.swap_id}` goes on",
                UNCONFIRMED,
            )
        time.sleep(pause)
    if as_json:
        print_json(party_json(party, step=step))
    effect().done(f"The swap has ended: {step.sentence}")


def _pay(party: Party, seen: Seen) -> Done:
    record, place = party.record, party.sides.gives
    half, coin = record.gives, place.coin

    def signed(spend: Spend) -> None:
        write_swap(party.sides.folder, replace(record, payment=spend))
        _may_be_sent(spend, party)

    kept = record.payment
    try:
        if kept is not None:
            _may_be_sent(kept, party)
            sent = place.client.submit(kept, replace=False)
        else:
            _check_not_on_its_way(party, half)
            secret = party.sides.gives_wallet.secret_for(record.pays_from)
            sent = place.client.send(secret, party.terms.payload(half), half.amount, signed=signed)
    except Refused as error:
        if kept is None:
            # Nobody has it: the node refused it, and it was sent nowhere else.
            write_swap(party.sides.folder, record)
            effect().nothing()
            raise
        if error.node_code != "bad_sequence":
            raise
        raise click.ClickException(
            f"the payment of this swap (txid {show(txid(kept))}) can't be taken any more: another transfer of the same"
            " account came first. Nothing was paid; make a new offer"
        ) from None
    return _told("pay", sent.txid, f"{coin.in_coins(half.amount)} are on their way into the contract", party)


def _check_not_on_its_way(party: Party, half: Half) -> None:
    """Raises NotNow where a payment waits already: an older copy of the swap's file, put back, does not know of it."""
    place = party.sides.gives
    incoming = int(place.client.account(place.coin.address(party.terms.payload(half)))["pending"]["incoming"])
    if incoming >= half.amount:
        raise NotNow("as much is on its way into the contract already: a block has to take it first")


def _claim(party: Party, seen: Seen) -> Done:
    record = party.record
    own = secret_key(party.sides.gets_wallet, record)
    if record.role == "maker":
        preimage = secret_of(secret_key(party.sides.gives_wallet, record), record.salt)
        got, given = seen.second, seen.first
    else:
        got, given = seen.first, seen.second
        spend = given.spend
        if spend is None or spend.preimage is None:
            raise click.ClickException("the secret is not known yet: nothing can be claimed")
        preimage = spend.preimage
    kept, spend_now = record.claim, _Spending(party, party.sides.gets, record.gets, got, record.pays_to)
    signed = spend_now.signed(own, (preimage,), kept)
    if signed != kept:
        write_swap(party.sides.folder, replace(record, claim=signed))
    shown = replace(record, claim=signed, claimed=True)
    try:
        done = spend_now.sent("claim", signed, "your claim is on its way")
    except Unanswered:
        write_swap(party.sides.folder, shown)  # somebody may have it, and the secret in it
        raise
    write_swap(party.sides.folder, shown)
    return done


def _refund(party: Party, seen: Seen) -> Done:
    record = party.record
    given = seen.first if record.role == "maker" else seen.second
    spend_now = _Spending(party, party.sides.gives, record.gives, given, record.pays_from)
    signed = spend_now.signed(secret_key(party.sides.gives_wallet, record), (), record.refund)
    if signed != record.refund:
        write_swap(party.sides.folder, replace(record, refund=signed))
    return spend_now.sent("refund", signed, "what you paid is on its way back")


@dataclass(frozen=True, slots=True)
class _Spending:
    """A spend of all that one contract holds."""

    party: Party
    place: Place
    half: Half
    seen: HalfSeen
    receiver: bytes

    def signed(self, secret: bytes, preimages: tuple[bytes, ...], kept: Spend | None) -> Spend:
        """The spend that was kept, if it is still good; else a new one. Raises ClickException, CannotSign."""
        coin, raw = self.place.coin, self.party.terms.raw_policy(self.half)
        waits = self.seen.spend  # the other side's refund, in whose place a claim comes
        beats = 0 if waits is None else waits.fee + waits.fee // 10 + 1
        least = max(_least_fee(self.place, self.party, self.half), beats)
        if kept is not None and kept.fee >= least and kept.cost <= self.seen.paid:
            return kept
        if least >= self.seen.paid:
            raise NotNow(
                f"the contract holds {coin.in_coins(self.seen.paid)}, and the fee alone is {coin.in_coins(least)}:"
                " wait until fees are lower"
            )
        fee = max(least, _dearer(kept, self.seen.paid))
        spend = Payment(
            sender=self.party.terms.payload(self.half),
            fee=fee,
            sequence=0,
            memo=b"",
            witness=b"",
            receiver=self.receiver,
            asset=COIN_ASSET,
            amount=self.seen.paid - fee,
        )
        return sign_leaves(raw, spend, coin, (secret,), preimages, self.seen.moment)

    def sent(self, kind: str, spend: Spend, sentence: str) -> Done:
        """Submit; it takes the place of one that paid less."""
        _may_be_sent(spend, self.party)
        sent = self.place.client.submit(spend)
        return _told(kind, sent.txid, sentence, self.party)


def _dearer(kept: Spend | None, held: int) -> int:
    """The fee that takes the place of a waiting spend: over a tenth more. 0 where none was signed."""
    return 0 if kept is None or kept.cost > held else min(held - 1, kept.fee + kept.fee // 10 + 1)


def secret_key(wallet: Wallet, record: SwapRecord) -> bytes:
    """The 32-byte secret key of the swap's own account. Raises ClickException, WalletLocked."""
    payload = wallet.payload_of(record.key_name)
    if payload is None:
        raise click.ClickException(
            f"the key {record.key_name} of this swap is not in the wallet any more: put back a copy of wallet.json"
        )
    return wallet.secret_for(payload)


def _may_be_sent(spend: Spend, party: Party) -> None:
    effect().may_be(
        f"Transaction {show(txid(spend))} may have been taken: `moneyer swap status {party.terms.swap_id} --data"
        f" {typed(party.sides.folder)}` shows where the swap stands, and the same command goes on"
    )


def _told(kind: str, sent: str, sentence: str, party: Party) -> Done:
    effect().is_now(
        UNCONFIRMED, f"Transaction {sent} was accepted: `moneyer swap status {party.terms.swap_id}` shows more"
    )
    return Done(kind, sent, sentence)
