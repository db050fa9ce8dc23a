"""`moneyer`: finds the command, and turns every failure into one sentence and an exit status."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

import click

from node import __version__
from node.core.errors import MoneyerError

DONE, FAILED, USAGE = 0, 1, 2

# A module is loaded when one of its commands is wanted, so that `moneyer COMMAND` pays for that command alone. The
# sentences are those that the commands begin with (a test holds them equal): the list loads none of them.
COMMANDS = {
    "up": ("node.cli.up:up", "Run a network on this machine."),
    "new": ("node.cli.new:new", "Make a coin of your own."),
    "join": ("node.cli.join:join", "Join the coin of a running node."),
    "node": ("node.cli.run:node", "Run one node."),
    "worker": ("node.cli.run:worker", "Run the mining worker of a node on this machine."),
    "stratum": ("node.cli.stratum:stratum", "Let SHA-256d miners mine for a node (Stratum v1)."),
    "mine": ("node.cli.mine:mine", "Mine blocks now."),
    "mining": ("node.cli.mining:mining", "Show or switch when a node's worker mines."),
    "wallet": ("node.cli.wallet:wallet", "Keys, names and contacts."),
    "balance": ("node.cli.money:balance", "Show what somebody has."),
    "send": ("node.cli.send:send", "Send coins."),
    "history": ("node.cli.money:history", "Show what somebody got and sent."),
    "status": ("node.cli.look:status", "Show how a node stands."),
    "peers": ("node.cli.look:peers", "Show the nodes that a node knows."),
    "mempool": ("node.cli.look:mempool", "Show what waits for a block."),
    "block": ("node.cli.look:block", "Show a block."),
    "tx": ("node.cli.look:tx", "Show a transaction."),
    "verify": ("node.cli.data:verify", "Check every block of a data folder, from genesis on."),
    "db": ("node.cli.data:db", "The database of a data folder: upgrade, check, back up."),
    "bench": ("node.cli.bench:bench", "Measure what this machine can do."),
    "token": ("node.cli.token:token", "Show or renew the token of a node."),
    "completion": ("node.cli.completion:completion", "Print a script that completes commands in your shell."),
}


class LazyGroup(click.Group):
    """A group whose commands are named in COMMANDS and loaded one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

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
    from node.words import nearest, quoted

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
    """The entry point. Exits with 0: done, 1: refused or failed, the sentence on stderr, 2: usage."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """One command; its exit status. What it says goes to stdout, what went wrong to stderr."""
    try:
        result = cli.main(
            args=None if arguments is None else list(arguments), prog_name="moneyer", standalone_mode=False
        )
        sys.stdout.flush()  # here, where a full disk can still be told
    except click.UsageError as error:
        from node.cli.command import as_typed
        from node.cli.usage import sentence_of

        click.UsageError(as_typed(sentence_of(error)), error.ctx).show()
        return USAGE
    except click.ClickException as error:
        return _say(error.format_message(), FAILED)
    except click.Abort:
        return _say("stopped", FAILED)
    except MoneyerError as error:
        return _say(error.message, FAILED)
    except BrokenPipeError:
        _give_up_stdout()  # the reader has gone (`moneyer … | head`)
        return FAILED
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO) and not error.filename:
            _give_up_stdout()
        return _say(_of_system(error), FAILED)
    except Exception as error:  # a bug: still no traceback for a person, who can ask for one
        if os.environ.get("MONEYER_DEBUG"):
            raise
        return _say(
            f"this is a bug in moneyer ({type(error).__name__}: {str(error)[:200]}); MONEYER_DEBUG=1 shows where",
            FAILED,
        )
    return result if isinstance(result, int) else DONE


def _give_up_stdout() -> None:
    """Python would complain once more when it flushes what is left at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _of_system(error: OSError) -> str:
    what = error.strerror or str(error)
    return f"{error.filename}: {what}" if error.filename else what


def _say(sentence: str, status: int) -> int:
    from node.cli.command import as_typed
    from node.text import shown

    with suppress(OSError):  # stderr may be on the same full disk
        click.echo(f"moneyer: {shown(as_typed(sentence))}", err=True)
    return status


if __name__ == "__main__":
    main()
