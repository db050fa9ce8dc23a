"""`moneyer`: finds the command, and turns every failure into one sentence and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from node import __version__
from node.core.errors import MoneyerError

DONE, FAILED, USAGE = 0, 1, 2

# A module is loaded when one of its commands is wanted, so that `moneyer COMMAND` pays for that command alone.
COMMANDS = {
    "up": "node.cli.up:up",
    "node": "node.cli.run:node",
    "worker": "node.cli.run:worker",
    "status": "node.cli.look:status",
    "verify": "node.cli.data:verify",
    "db": "node.cli.data:db",
}


class LazyGroup(click.Group):
    """A group whose commands are named in COMMANDS and loaded one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "MONEYER", "max_content_width": 100},
    epilog="Begin with:  moneyer up",
)
@click.version_option(__version__, prog_name="moneyer", message="%(prog)s %(version)s")
def cli() -> None:
    """A coin of your own: a node that keeps the chain, a worker that mines it.

    Every option can also be an environment variable, for example MONEYER_UP_PORT for `moneyer up --port`.
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
    except click.UsageError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        return _say(error.format_message(), FAILED)
    except click.Abort:
        return _say("stopped", FAILED)
    except MoneyerError as error:
        return _say(error.message, FAILED)
    except BrokenPipeError:
        # The reader has gone (`moneyer … | head`). Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        return _say(_of_system(error), FAILED)
    except Exception as error:  # a bug: still no traceback for a person, who can ask for one
        if os.environ.get("MONEYER_DEBUG"):
            raise
        return _say(
            f"this is a bug in moneyer ({type(error).__name__}: {str(error)[:200]}); MONEYER_DEBUG=1 shows where",
            FAILED,
        )
    return result if isinstance(result, int) else DONE


def _of_system(error: OSError) -> str:
    what = error.strerror or str(error)
    return f"{error.filename}: {what}" if error.filename else what


def _say(sentence: str, status: int) -> int:
    click.echo(f"moneyer: {sentence}", err=True)
    return status


if __name__ == "__main__":
    main()
