"""The lesson, `/learn`: nine steps, each one idea and something to touch, computed in the browser.

A step's text is its template in `templates/learn/`, what it does is its module in `static/learn/pages/`. Its tasks
stand here, since the lesson's first page needs to know how many there are. Nothing here reads the chain: the pages ask
`/v1` for blocks and proofs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..api.http.errors import NotFound
from .frame.pages import Page, Visit, page


@dataclass(frozen=True)
class Task:
    name: str
    """The word by which the step's module says that it is done."""
    what: str
    """What to do, for the reader."""


@dataclass(frozen=True)
class Step:
    slug: str
    """Its path is `/learn/SLUG`."""
    short: str
    """One word for the row of the steps."""
    title: str
    idea: str
    """One sentence for the lesson's first page."""
    tasks: tuple[Task, ...]

    @property
    def template(self) -> str:
        return f"learn/{self.slug.replace('-', '_')}.html"

    @property
    def script(self) -> str:
        """The name of its module."""
        return f"{self.slug.replace('-', '_')}.js"

    @property
    def href(self) -> str:
        return f"/learn/{self.slug}"


@dataclass(frozen=True)
class _Index:
    title: str = "All nine steps"
    href: str = "/learn"


STEPS: Final = (
    Step(
        "hash",
        "Hash",
        "A fingerprint for data",
        "A hash is a number that stands for data. Change one letter, and it is quite another number.",
        (
            Task("change", "Change one letter. How much of the hash changes?"),
            Task("back", "Put the old text back: the old hash is back, too."),
            Task("long", "Paste a long text, over 200 letters. The hash stays as long as it was."),
            Task("zero", "Find a text whose hash begins with 0. One text in 16 does."),
        ),
    ),
    Step(
        "block",
        "Block",
        "A block, and the work in it",
        "A block counts only if its hash is small. To find such a hash takes many tries; to check it takes one.",
        (
            Task("hand", "Find a nonce by hand for one zero. It may take a while."),
            Task("break", "Change the text of the block that you found: its work is gone."),
            Task("machine", "Take four zeros and let the machine search."),
            Task("harder", "Take five zeros: how much longer does it take?"),
            Task("own", "Turn the nonce of your chain’s newest block."),
        ),
    ),
    Step(
        "chain",
        "Chain",
        "A chain of blocks",
        "Each block holds the hash of the one before. Change an old one, and all that follow break.",
        (
            Task("change", "Change what stands in one of the first blocks: which blocks break?"),
            Task("link", "Mine that block again. Its hash is another one now, so the next block has to be mined, too."),
            Task("mend", "Mine all that is broken, and look at what it cost."),
            Task("own", "Do the same to the newest five blocks of your own node."),
            Task("depth", "See what it would cost to change a block deep down in your chain."),
        ),
    ),
    Step(
        "signature",
        "Signature",
        "Payments and signatures",
        "Only the owner of a key can sign a payment, and a signature fits one payment only.",
        (
            Task("sign", "Sign Ann’s payment with her key."),
            Task("amount", "Change the amount after signing: the signature fits no more."),
            Task("back", "Set the amount back: it fits again."),
            Task("forge", "Be the thief: sign with Mallory’s key."),
            Task("chain", "Sign with Ann’s key, then take the payment to another coin’s chain."),
            Task("own", "Change the amount of a payment of your own chain."),
        ),
    ),
    Step(
        "merkle",
        "Proof",
        "A proof in a few hashes",
        "One hash stands for thousands of payments, and a few more prove that one of them is there.",
        (
            Task("change", "Change a payment: which hashes change, up to the root?"),
            Task("prove", "Prove another payment: which hashes does it take?"),
            Task("lie", "Claim something else than what is in the block."),
            Task("odd", "Take 3, 5, 6 or 7 payments: the last of an odd row is paired with itself."),
        ),
    ),
    Step(
        "difficulty",
        "Difficulty",
        "An even pace for everybody",
        "If blocks come too fast, the chain makes itself harder; if too slowly, easier.",
        (
            Task("fast", "Give it ten times the miners and mine some blocks: they come too fast."),
            Task("settle", "Go on mining until the pace is right again. How many blocks does it take?"),
            Task("slow", "Now let the miners go away again: blocks come slowly."),
        ),
    ),
    Step(
        "fork",
        "Fork",
        "Two chains, and which one counts",
        "When the chain forks, nobody votes: the chain with the most work counts.",
        (
            Task("fork", "Cut the cable and let both find blocks: a fork."),
            Task("heal", "Let one get ahead, then mend the cable: the other gives up its blocks."),
            Task("tie", "Mend the cable when both have the same work."),
            Task("work", "Let the side with fewer blocks win, by making them hard ones."),
        ),
    ),
    Step(
        "double-spend",
        "Double spend",
        "Paying twice with the same coins",
        "A thief with many miners can undo a payment. Waiting for confirmations makes that a bad bet.",
        (
            Task("one", "Play one attack, and watch the race."),
            Task("many", "Play 1,000: does she win as often as computed?"),
            Task("wait", "Let the shop wait for 6 confirmations, with Mallory at 10 to 30 %."),
            Task("half", "Give her more than half of the miners, and let the shop wait for 6 or more."),
            Task("own", "Play with the share of your own chain’s largest miner."),
        ),
    ),
    Step(
        "policy",
        "Policy",
        "Who may spend",
        "An address can be more than one key: two of three people, a time to wait for, a secret.",
        (
            Task("two", "Spend from the shared purse with two signatures."),
            Task("more", "Let all three sign. Why is that refused?"),
            Task("early", "Be the heir, and try before your block has come."),
            Task("late", "Move the height until it has."),
            Task("both", "In the swap, claim with the secret at a height where the refund is open, too."),
        ),
    ),
)
"""In the order in which they are read."""

_AROUND: Final = (_Index(), *STEPS, _Index())
_PLACES: Final = {step.slug: place for place, step in enumerate(STEPS, 1)}


@page("/learn")
def lesson(visit: Visit[None]) -> Page:
    return Page("learn/index.html", {"steps": STEPS})


@page("/learn/{step}")
def lesson_step(visit: Visit[None]) -> Page:
    """Raises NotFound."""
    place = _PLACES.get(visit.call.path["step"])
    if place is None:
        raise NotFound("the lesson has no such step: /learn lists all nine")
    step, before, following = STEPS[place - 1], _AROUND[place - 1], _AROUND[place + 1]
    content = {"step": step, "steps": STEPS, "place": place, "before": before, "following": following}
    return Page(step.template, content)
