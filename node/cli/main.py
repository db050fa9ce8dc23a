"""`moneyer`: finds the command, and turns every failure into one sentence and an exit status."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper

import click

from ... import __version__
from ..core.errors import MoneyerError
from ..system.lifecycle import import_nothing_from_here
from .exits import DONE, REFUSED, UNKNOWN, USAGE, Effect, Ended, joined

# Name -> (module:function, first sentence of its help). The module is loaded when the command is wanted, so that each
# command starts quickly; the sentences are repeated here (a test holds them equal) so that the list loads no module.
COMMANDS = {
    "up": (".commands.up:up", "Run a network on this machine."),
    "open": (".commands.open:open_", "Open the node's page in a browser, signed in."),
    "new": (".commands.new:new", "Make a coin of your own."),
    "join": (".commands.join:join", "Join the coin of a running node."),
    "node": (".commands.run:node", "Run one node."),
    "worker": (".commands.run:worker", "Run the mining worker of a node on this machine."),
    "stratum": (".commands.run:stratum", "Let SHA-256d miners mine for a node (Stratum v1)."),
    "mine": (".commands.mine:mine", "Mine blocks now."),
    "mining": (".commands.mine:mining", "Show or switch when a node's worker mines."),
    "wallet": (".commands.wallet:wallet", "Keys, names and contacts."),
    "balance": (".commands.money:balance", "Show what somebody has."),
    "send": (".commands.send:send", "Send coins, or units of an asset."),
    "history": (".commands.money:history", "Show what somebody got and sent."),
    "asset": (".commands.assets.asset_commands:asset", "Assets: tickets, shares, vouchers on your coin."),
    "contract": (
        ".commands.contracts.contract_group:contract",
        "Addresses that several people, times and secrets guard.",
    ),
    "swap": (".commands.swaps.swap:swap", "Swap coins with somebody on another chain."),
    "status": (".commands.look:status", "Show how a node stands."),
    "peers": (".commands.look:peers", "Show the nodes that a node knows."),
    "mempool": (".commands.look:mempool", "Show what waits for a block."),
    "block": (".commands.look:block", "Show a block."),
    "tx": (".commands.look:tx", "Show a transaction."),
    "net": (".commands.networks.net:net", "Networks from a graph."),
    "lab": (".commands.networks.lab_commands:lab", "Experiments on networks, and attacks on a node."),
    "verify": (".commands.database.verify_blocks:verify", "Check every block of a data folder, from genesis on."),
    "db": (".commands.database.db_group:db", "The database of a node: check, back up, upgrade, copy."),
    "sim": (".commands.networks.sim:sim", "Simulate a network of thousands of nodes on a virtual clock."),
    "bench": (".commands.extras:bench", "Measure what this machine can do."),
    "token": (".commands.extras:token", "Show or renew the token of a node."),
    "completion": (".commands.extras:completion", "Print a script that completes commands in your shell."),
}


class _ReaderGone(Exception):
    """stdout was closed by its reader (`moneyer … | head`). click would end with 1, whatever had been changed."""


class LazyGroup(click.Group):
    """A group whose commands are named in COMMANDS and loaded one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module, __package__), name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _ReaderGone from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, sentence) for name, (_, sentence) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:
            ctx.fail(_unknown(args[0]))
        return super().resolve_command(ctx, args)


def _unknown(name: str) -> str:
    from ..system.words import nearest, quoted

    near = nearest(name, COMMANDS)
    return f"there is no command {quoted(name)}{f': did you mean {near}?' if near else ''}"


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "MONEYER", "max_content_width": 100},
    epilog='Begin with:  moneyer up   or   moneyer new "Beach Coin"',
)
@click.version_option(__version__, prog_name="moneyer", message="%(prog)s %(version)s")
def cli() -> None:
    """A coin of your own: a node that keeps the chain, a worker that mines it.

    Every option can also be an environment variable, for example MONEYER_UP_PORT for `moneyer up --port P`.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point. Exits with a status of `node.cli.exits`; what went wrong is a sentence on stderr."""
    import_nothing_from_here()
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status. Answers go to stdout, failures to stderr."""
    _open_what_is_closed()
    if os.environ.get("MONEYER_DEBUG"):
        from ..system.logs import configure

        configure("debug")
    effect = Effect()
    try:
        result = cli.main(
            args=None if arguments is None else list(arguments), prog_name="moneyer", standalone_mode=False, obj=effect
        )
        sys.stdout.flush()  # here, where a full disk can still be told
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.message, err=True)
        return USAGE
    except click.UsageError as error:
        from ..system.advice import as_typed
        from .usage import sentence_of

        click.UsageError(as_typed(sentence_of(error)), error.ctx).show()
        return USAGE
    except Ended as error:
        return _say(error.format_message(), error.status)
    except click.ClickException as error:
        return _end(effect, error.format_message())
    except (click.Abort, KeyboardInterrupt):
        return _end(effect, "stopped")
    except MoneyerError as error:
        # A changing call without an answer, of a command that says no more about it.
        return _end(effect, effect.words_of(error), UNKNOWN if error.code == "unanswered" else REFUSED)
    except (_ReaderGone, BrokenPipeError):
        _give_up_stdout()
        return _end(effect, "the answer could not be written: its reader has gone") if effect.sentence else REFUSED
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO) and not error.filename:
            _give_up_stdout()
        from ..system.words import of_system

        return _end(effect, of_system(error))
    except Exception as error:  # a bug: still no traceback for a person, who can ask for one
        if os.environ.get("MONEYER_DEBUG"):
            raise
        return _end(
            effect,
            f"this is a bug in moneyer ({type(error).__name__}: {str(error)[:200]}); MONEYER_DEBUG=1 shows where",
        )
    return result if isinstance(result, int) else DONE


def _open_what_is_closed() -> None:
    """Open /dev/null in place of a closed stdin, stdout or stderr.

    Else the next file or socket would get that number, and be written to as if it were the stream.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal of another alphabet than the text's


def _give_up_stdout() -> None:
    """Send the rest of stdout to /dev/null: Python would complain once more when it flushes it at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(effect: Effect, sentence: str, status: int = REFUSED) -> int:
    """Print a failure and give its status; what was changed before it is told too, and decides the status."""
    if not effect.sentence:
        return _say(sentence, status)
    return _say(joined(sentence, effect.sentence), effect.status)


def _say(sentence: str, status: int) -> int:
    from ..system.advice import as_typed
    from ..system.text import shown
    from .output import fitted

    with suppress(OSError):  # stderr may be on the same full disk
        click.echo(fitted(f"moneyer: {shown(as_typed(sentence))}", sys.stderr), err=True)
    return status


if __name__ == "__main__":
    main()
