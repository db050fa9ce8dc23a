"""Write docs/cli.md from the commands themselves: python -m tools.cli_docs (`make docs`)."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click

from moneyer.node.cli.exits import MEANINGS
from moneyer.node.cli.folders import DEFAULT_FOLDER
from moneyer.node.cli.main import COMMANDS, cli

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"

_HEAD = """\
<!-- Made from the commands by `make docs` (tools/cli_docs.py), and held equal by a test: change the commands. -->

# The command line

`moneyer COMMAND --help` shows the same. Every option can also be an environment variable, which stands beside it.
Where the script `moneyer` is not at hand, `python -P -m moneyer` is the same; without `-P` Python itself looks
for modules in the current folder, whoever put them there.

## Exit statuses

| status | means |
|---|---|
{statuses}

What a command has to say goes to stdout, what went wrong to stderr: one sentence, and no traceback. With `--json`
stdout has one JSON document in the API's shape, or nothing: nothing for status 1 and 2; for 3, and where a transfer's
fate is unknown, the document that names it (`txid`, `status`). Ctrl-C, a closed pipe and a full disk change none of
that: where something had been changed by then, the status is 3 or 4, never 1, and the sentence says what stands and
how to see it. With `MONEYER_DEBUG=1` a command logs what lies behind its sentence (SQLite's own words, say), and a
bug in it shows where.

**A payment that is safe to repeat.** `moneyer send … --idempotency KEY` keeps what it signs in `DATA/sent/`, under
the key and before it is sent. Whoever repeats the command with that key, after a kill, a power cut or status 4, sends
the same bytes again, which the chain takes once: the answer has the same txid. The key with another amount, receiver,
memo or fee is refused. So a script may do:

```sh
moneyer send shop supplier 12.5 --wait --json --idempotency invoice-1417 > paid.json
case $? in
  0) echo paid ;;
  3) echo "accepted: look again later, with the same command" ;;
  4) echo "unknown: run the same command again" ;;
  *) echo "refused: nothing was sent" ;;
esac
```

A repeat never signs anew: where another transfer of the sender came first, so that the first can't be taken any more,
it is refused, and the payment wants another key.

## Commands

{commands}
"""


def page() -> str:
    """The text of docs/cli.md."""
    statuses = "\n".join(f"| {status} | {meaning} |" for status, meaning in MEANINGS.items())
    rows = "\n".join(
        f"| [`moneyer {name}`](#moneyer-{name}) | {sentence} |" for name, (_, sentence) in COMMANDS.items()
    )
    with click.Context(cli, info_name="moneyer", **cli.context_settings) as top:
        sections = "\n".join(_sections(top))
    text = _HEAD.format(statuses=statuses, commands=f"| command | does |\n|---|---|\n{rows}\n\n{sections}")
    # One page for all systems.
    return text.replace(DEFAULT_FOLDER, "~/.local/share/moneyer/up").rstrip() + "\n"


def _sections(parent: click.Context) -> Iterator[str]:
    group = parent.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None
        with click.Context(command, info_name=name, parent=parent) as context:
            yield _section(context)
            if isinstance(command, click.Group):
                yield from _sections(context)


def _section(context: click.Context) -> str:
    command = context.command
    parts = [f"### {context.command_path}\n"]
    if not isinstance(command, click.Group):
        usage = " ".join(command.collect_usage_pieces(context))
        parts.append(f"`{context.command_path} {usage}`\n")
    parts.append(_prose(cleandoc(command.help or "")))
    options = [_option(context, each) for each in command.params if isinstance(each, click.Option)]
    if options:
        parts.append("| option | does | variable |\n|---|---|---|\n" + "\n".join(options) + "\n")
    return "\n".join(parts)


def _prose(text: str) -> str:
    """A command's help: its paragraphs, and its examples (behind click's `\\b`) as they are."""
    parts = []
    for block in re.split(r"\n\n+", text):
        if block.startswith("\b\n"):
            parts.append("```sh\n" + block.removeprefix("\b\n") + "\n```")
        else:
            parts.append(textwrap.fill(" ".join(block.split()), 120, break_on_hyphens=False, break_long_words=False))
    return "\n\n".join(parts) + "\n"


def _option(context: click.Context, option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    if not option.is_flag:
        names += f" `{option.make_metavar(context)}`"
    extra = option.get_help_extra(context)
    about, _, default = (option.help or "").partition("  [default: ")
    parts = [about] if about else []
    bounds = extra.get("range", "")
    if bounds and bounds not in about:
        parts.append(f"{bounds}.")
    if default or "default" in extra:
        parts.append(f"Default: {default.rstrip(']') if default else '`' + extra['default'] + '`'}.")
    shown = " ".join(parts)
    variables = ", ".join(f"`{each}`" for each in extra.get("envvars", ()))
    cells = [cell.replace("|", "\\|") for cell in (names, shown, variables)]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    sys.stdout.write(f"{PAGE} is written\n")
