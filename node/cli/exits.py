"""Exit statuses, and what a command has changed so far, which a failure after it has to tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from ..core.errors import MoneyerError

DONE, REFUSED, USAGE, UNCONFIRMED, UNKNOWN = range(5)

MEANINGS = {
    DONE: "Done.",
    REFUSED: "Refused or failed; nothing happened.",
    USAGE: "Usage: the command line itself is wrong (an option, an argument, an amount).",
    UNCONFIRMED: "Accepted, not confirmed yet: the transfer stands, and waits for a block.",
    UNKNOWN: "Unknown: the connection broke after the request may have been taken, or what was done could not be "
    "printed. The sentence on stderr says how to find out.",
}
"""What each status means, for the documentation (`docs/cli.md`)."""


class Ended(click.ClickException):
    """Ends a command with a status of its own; the message is its sentence on stderr."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Effect:
    """What a command has changed so far. A failure from there on (Ctrl-C, a full disk) is not REFUSED any more."""

    def __init__(self) -> None:
        self.status = REFUSED
        """The exit status of a failure from here on."""
        self.sentence = ""
        """What stands, and how to look at it; empty while nothing was changed."""
        self.in_doubt = False
        """Whether `sentence` says that something may have been done, so that an error need not say it too."""

    def is_now(self, status: int, sentence: str) -> None:
        """From here on a failure ends in `status`, and `sentence` says what stands and how to look at it."""
        self.status, self.sentence, self.in_doubt = status, sentence, False

    def may_be(self, sentence: str) -> None:
        """Nobody knows from here on whether something was done: `sentence` says so, and how to find out."""
        self.is_now(UNKNOWN, sentence)
        self.in_doubt = True

    def done(self, sentence: str) -> None:
        """Something was changed: `sentence` says so where the command's own answer cannot be printed."""
        self.is_now(UNKNOWN, sentence)

    def nothing(self) -> None:
        """Nothing was changed after all."""
        self.is_now(REFUSED, "")

    @contextmanager
    def asking(self, change: str, look: str) -> Iterator[None]:
        """Around one request that changes something: `change` says what, `look` how to see whether it was done."""
        from ..client.errors import ClientError, Unanswered

        before = self.status, self.sentence, self.in_doubt
        self.may_be(f"What was asked may have been done all the same: {look}")
        try:
            yield
        except Unanswered:
            raise
        except ClientError:
            self.status, self.sentence, self.in_doubt = before  # it was refused, or never sent
            raise
        self.done(f"{change}: {look}")

    def words_of(self, error: MoneyerError) -> str:
        """An error's sentence; where `sentence` tells the doubt that it has, without that."""
        return str(getattr(error, "reason", error.message)) if self.in_doubt else error.message


def sentence_of(error: BaseException) -> str:
    """What ended a command, for a further sentence behind it: an error's message, or `stopped`."""
    return effect().words_of(error) if isinstance(error, MoneyerError) else "stopped"


def joined(sentence: str, further: str) -> str:
    """Two sentences; the first may lack its full stop."""
    return f"{sentence.rstrip('.')}{'' if sentence.endswith('?') else '.'} {further}"


def effect() -> Effect:
    """The effect of the command that runs now."""
    context = click.get_current_context(silent=True)
    return (context.find_object(Effect) if context is not None else None) or Effect()
